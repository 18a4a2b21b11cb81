//! What an invocation costs when there are many rules: `tests/bench/instructions.py` counts the instructions of these tests.

use s3_kms_replication::config::{Policy, PolicySource, Settings};
use s3_kms_replication::model::Versioning;
use serde_json::json;

use crate::support::*;

/// The number of rules: as many as AWS allows, unless instructions are counted.
fn size(most: u16) -> u16 {
    std::env::var("SIZE").map_or(most, |size| size.parse().unwrap())
}

#[tokio::test(start_paused = true)]
async fn plan_for_a_bucket_with_many_rules() {
    let mut state = two_buckets();
    let foreign_rules = (1..=size(999))
        .map(|number| foreign_rule(&format!("foreign-{number}"), number.into()))
        .collect();
    let source = state.bucket_mut("demo-source");
    source.replication = replicating(OWN_ROLE, foreign_rules);
    source.versioning = Versioning::Enabled;
    let planned = invoke(&Fake::new(state), &sample("command-plan")).await.unwrap();
    assert_eq!(planned["Status"], "Planned");
}

#[tokio::test(start_paused = true)]
async fn event_under_a_policy_of_many_rules() {
    let key = "arn:aws:kms:us-west-2:111122223333:alias/dr";
    let rules = (1..=size(1_000)).map(|number| {
        let match_ = json!({"BucketNames": [if number == 1 { "prod-*".to_owned() } else { format!("team-{number}-*") }]});
        json!({"Name": format!("rule-{number}"), "Match": match_, "DestinationBucket": "{bucket}-replica",
               "CreateDestinationBucket": true, "ReplicaKmsKeyArn": key})
    });
    let policy = json!({"Rules": rules.collect::<Vec<_>>()}).to_string();
    let settings = Settings {
        policy: Some(PolicySource::Inline(Policy::parse(&policy).unwrap())),
        ..settings()
    };
    let fake = Fake::new(two_buckets());
    let answer = invoke_with(&fake, &sample("create-bucket"), &settings).await.unwrap();
    assert_eq!(answer["Rules"][0]["Status"], "Configured");
}

#[tokio::test(start_paused = true)]
async fn event_about_a_long_name_under_rules_with_several_placeholders() {
    let name = "a".repeat(63);
    let key = "arn:aws:kms:us-west-2:111122223333:alias/dr";
    let rules = (1..=size(1_000)).map(|number| {
        // Only the first rule is for the bucket. The others would be for any shorter name from which they might replicate to the bucket.
        let excluded = if number == 1 { "none" } else { &name };
        let match_ = json!({"BucketNames": ["a*"], "ExcludeBucketNames": [excluded], "BucketTags": {"dr": "yes"}});
        json!({"Name": format!("rule-{number}"), "Match": match_, "DestinationBucket": "{bucket}{region}{bucket}",
               "ReplicaKmsKeyArn": key})
    });
    let policy = json!({"Rules": rules.collect::<Vec<_>>()}).to_string();
    let policy = Policy::parse(&policy).unwrap();
    let settings = Settings { policy: Some(PolicySource::Inline(policy)), ..settings() };
    let mut state = two_buckets();
    state.buckets.insert(name.clone(), Bucket::new("us-east-1"));
    let fake = Fake::new(state);
    let mut event = sample("create-bucket");
    event["detail"]["requestParameters"]["bucketName"] = json!(name);
    let begin = std::time::Instant::now();
    invoke_with(&fake, &event, &settings).await.unwrap();
    // Less than a second, even in a debug build. Trying every pair of substrings takes many minutes.
    assert!(begin.elapsed().as_secs() < 60, "{:?}", begin.elapsed());
}
