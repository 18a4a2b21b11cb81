//! A foreign rule whose destination S3 refuses: every write of the bucket's configuration fails, at once and with that rule's name.

use std::time::Duration;

use s3_kms_replication::model::Versioning;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::support::*;

/// `prod-*` buckets, replicated to `demo-destination`.
const ONE_DESTINATION: &str = r#"{"Rules": [{
    "Name": "dr",
    "Match": {"BucketNames": ["prod-*"]},
    "DestinationBucket": "demo-destination",
    "ReplicaKmsKeyArn": "arn:aws:kms:us-west-2:111122223333:alias/dr"
}]}"#;

/// Two buckets, and a third to which a foreign rule of `bucket` replicates, until something happens to the third.
fn with_rule_to_audit_copies(bucket: &str) -> State {
    let rule = Rule::new("theirs", 7)
        .build()
        .xml()
        .replace("arn:aws:s3:::demo-destination", "arn:aws:s3:::audit-copies");
    let mut state = two_buckets()
        .with_bucket("audit-copies", Bucket::new("eu-west-1").versioned())
        .with_bucket("demo-destination", Bucket::new("us-west-2").versioned());
    let source = Bucket::new("us-east-1").encrypted_with(SOURCE_KEY).versioned();
    state.buckets.insert(bucket.to_owned(), source.replicating_xml(OWN_ROLE, &rule));
    state
}

#[tokio::test(start_paused = true)]
async fn invariant_9_refused_destination_of_a_foreign_rule_is_named_within_seconds() {
    let gone = |state: &mut State| drop(state.buckets.remove("audit-copies"));
    let suspended =
        |state: &mut State| state.bucket_mut("audit-copies").versioning = Versioning::Suspended;
    let off = |state: &mut State| state.bucket_mut("audit-copies").versioning = Versioning::Off;
    let cases = [
        (gone as fn(&mut State), "does not exist"),
        (suspended, "has its versioning suspended"),
        (off, "has no versioning"),
    ];
    for (happens, problem) in cases {
        let mut state = with_rule_to_audit_copies("demo-source");
        happens(&mut state);
        let before = state.rules("demo-source");
        let fake = Fake::new(state);
        let begin = Instant::now();
        let answer = create(&fake, json!({})).await;
        let reason = answer["Reason"].as_str().unwrap();
        assert_eq!(answer["Status"], "FAILED");
        let expected = format!("the destination `audit-copies` of foreign rule `theirs` {problem}");
        assert!(reason.contains(&expected), "{reason}");
        assert!(begin.elapsed() < Duration::from_secs(10), "{:?}", begin.elapsed());
        assert_eq!(fake.count("PutBucketReplication"), 1);
        assert_eq!(fake.state.borrow().rules("demo-source"), before);
    }
}

#[tokio::test(start_paused = true)]
async fn foreign_rule_with_a_good_destination_hinders_nothing() {
    let fake = Fake::new(with_rule_to_audit_copies("demo-source"));
    assert_eq!(create(&fake, json!({})).await["Status"], "SUCCESS");
}

/// SQS's message about a new bucket.
fn message(bucket: &str) -> Value {
    let mut event = sample("create-bucket");
    event["detail"]["requestParameters"]["bucketName"] = json!(bucket);
    let mut message = sample("sqs-batch")["Records"][0].clone();
    message["messageId"] = json!(bucket);
    message["body"] = json!(event.to_string());
    message
}

#[tokio::test(start_paused = true)]
async fn messages_that_wait_leave_the_others_of_a_batch_their_time() {
    let bad = ["prod-bad-1", "prod-bad-2", "prod-bad-3", "prod-bad-4", "prod-bad-5", "prod-bad-6"];
    let good = ["prod-good-1", "prod-good-2"];
    // What the bad buckets wait for: a foreign destination that is gone fails at once, a lease of another until the deadline.
    for waits in [false, true] {
        let mut state =
            two_buckets().with_bucket("demo-destination", Bucket::new("us-west-2").versioned());
        for bucket in bad {
            let with_rule = with_rule_to_audit_copies(bucket);
            state.buckets.insert(bucket.to_owned(), with_rule.buckets[bucket].clone());
            if waits {
                state.leases.insert(bucket.to_owned(), ("another".to_owned(), u64::MAX));
            }
        }
        for bucket in good {
            let new = Bucket::new("us-east-1").encrypted_with(SOURCE_KEY);
            state.buckets.insert(bucket.to_owned(), new);
        }
        let fake = Fake::new(state);
        let records: Vec<_> = bad.iter().chain(&good).map(|bucket| message(bucket)).collect();
        let settings = environment(&[
            ("REPLICATION_POLICY", ONE_DESTINATION),
            ("EXECUTION_ROLE_ARN", EXECUTION_ROLE),
            ("LOCK_TABLE", "leases"),
            ("AWS_REGION", "us-east-1"),
        ]);
        let answer = invoke_with(&fake, &json!({"Records": records}), &settings).await.unwrap();
        let mut failed: Vec<_> = answer["batchItemFailures"]
            .as_array()
            .unwrap()
            .iter()
            .map(|failure| failure["itemIdentifier"].as_str().unwrap())
            .collect();
        failed.sort_unstable();
        assert_eq!(failed, bad);
        for bucket in good {
            assert_eq!(fake.state.borrow().rules(bucket).len(), 1, "{bucket}, waits: {waits}");
        }
    }
}
