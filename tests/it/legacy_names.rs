//! Buckets with names from before March 2018, and patterns of names that match nothing.

use serde_json::json;

use crate::support::*;

fn policy(
    names: serde_json::Value,
    excluded: serde_json::Value,
    tags: serde_json::Value,
) -> String {
    json!({"Rules": [{
        "Name": "dr", "DestinationBucket": "{bucket}-replica",
        "Match": {"BucketNames": names, "ExcludeBucketNames": excluded, "BucketTags": tags},
        "ReplicaKmsKeyArn": "arn:aws:kms:us-west-2:111122223333:alias/dr",
    }]})
    .to_string()
}

#[tokio::test(start_paused = true)]
async fn reconcile_of_a_legacy_bucket_never_fails_and_says_why_nothing_is_done() {
    let mut table = Table::default();
    let long = "a".repeat(64);
    for (case, bucket, policy) in [
        ("matches", "Legacy_Bucket", policy(json!(["*"]), json!(["*-replica"]), json!({}))),
        ("excluded", "Legacy_Bucket", policy(json!(["*"]), json!(["Legacy_*"]), json!({}))),
        ("no rule", "Legacy_Bucket", policy(json!(["prod-*"]), json!([]), json!({}))),
        ("with tags", "Legacy_Bucket", policy(json!(["*"]), json!([]), json!({"dr": "true"}))),
        ("long", &long, policy(json!(["prod-*"]), json!([]), json!({}))),
    ] {
        let settings = environment(&[("REPLICATION_POLICY", &policy)]);
        let fake = Fake::new(two_buckets());
        let command = json!({"Action": "Reconcile", "SourceBucket": bucket});
        let answer = invoke_with(&fake, &command, &settings).await.unwrap();
        assert_eq!(answer["SourceBucket"], bucket);
        assert_eq!(fake.calls.borrow().len(), 0, "{case}");
        let reason = answer["Skipped"].as_str().or(answer["Rules"][0]["Error"].as_str());
        table.add(case, reason.unwrap());
    }
    insta::assert_snapshot!(table.text());
    // Every other way of asking refuses the name.
    for action in ["Plan", "Apply", "Delete", "Verify"] {
        let command = merged(
            sample("command-apply"),
            json!({"Action": action, "SourceBucket": "Legacy_Bucket"}),
        );
        assert!(invoke(&Fake::new(two_buckets()), &command).await.is_err(), "{action}");
    }
}

#[tokio::test(start_paused = true)]
async fn pattern_like_a_regular_expression_is_named_where_nothing_matches_and_where_a_rule_applies()
{
    let answer = async |names| {
        let policy = policy(names, json!([]), json!({}));
        let settings = environment(&[("REPLICATION_POLICY", &policy)]);
        let state = two_buckets().with_bucket(
            "prod-orders-replica",
            Bucket::new("us-west-2").tagged("s3-kms-replication", "prod-orders"),
        );
        invoke_with(&Fake::new(state), &sample("create-bucket"), &settings).await.unwrap()
    };
    let skipped = answer(json!(["prod-.*"])).await;
    insta::assert_snapshot!(skipped["Skipped"].as_str().unwrap());
    let applied = answer(json!(["^prod-.*", "prod-*"])).await;
    let warning = &applied["Rules"][0]["Warnings"][0];
    assert!(warning.as_str().unwrap().contains("`^prod-.*`"), "{applied}");
}
