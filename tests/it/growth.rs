//! The cost of an invocation as the number of rules grows. `tests/bench/instructions.py` counts the instructions of these tests.

use s3_kms_replication::config::{Policy, PolicySource};
use s3_kms_replication::model::Versioning;

use crate::fake::Fake;
use crate::*;

/// The number of rules: as many as AWS allows, unless `tests/bench/instructions.py` sets `SIZE`.
fn size(most: u16) -> u16 {
    std::env::var("SIZE").map_or(most, |size| size.parse().unwrap())
}

#[tokio::test(start_paused = true)]
async fn a_plan_with_many_foreign_rules() {
    let mut state = two_buckets();
    let foreign_rules = (1..=size(999))
        .map(|number| foreign_rule(&format!("foreign-{number}"), number.into()))
        .collect();
    let source = state.buckets.get_mut("demo-source").unwrap();
    source.replication = replicating(
        "arn:aws:iam::111122223333:role/s3-kms-replication/s3-crr-demo-source",
        foreign_rules,
    );
    source.versioning = Versioning::Enabled;
    let planned = ask(&Fake::of(state), &sample("command-plan")).await.unwrap();
    assert_eq!(planned["Status"], "Planned");
}

#[tokio::test(start_paused = true)]
async fn an_event_under_a_policy_of_many_rules() {
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
    let fake = Fake::of(two_buckets());
    let deadline = Instant::now() + Duration::from_secs(300);
    let handled = Box::pin(handle(&sample("create-bucket"), deadline, &fake, &settings)).await;
    assert_eq!(handled.answer.unwrap()["Rules"][0]["Status"], "Configured");
}

#[tokio::test(start_paused = true)]
async fn an_event_about_a_long_name_under_rules_with_several_placeholders() {
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
    let fake = Fake::of(state);
    let mut event = sample("create-bucket");
    event["detail"]["requestParameters"]["bucketName"] = json!(name);
    let deadline = Instant::now() + Duration::from_secs(300);

    let begin = std::time::Instant::now();
    let handled = Box::pin(handle(&event, deadline, &fake, &settings)).await;
    assert!(handled.answer.is_ok(), "{:?}", handled.answer);
    // Less than a second, even in a debug build. Trying every pair of substrings takes many minutes.
    assert!(begin.elapsed() < Duration::from_secs(60), "{:?}", begin.elapsed());
}
