//! What an invocation costs when there is more to look at: `tests/bench/instructions.py` counts the instructions of these tests.

use s3_kms_replication::config::{Policy, PolicySource};
use s3_kms_replication::model::Versioning;

use crate::fake::Fake;
use crate::*;

/// How much there is to look at: as much as AWS allows, unless it is counted.
fn size(most: u16) -> u16 {
    std::env::var("SIZE").map_or(most, |size| size.parse().unwrap())
}

#[tokio::test(start_paused = true)]
async fn a_plan_beside_many_rules() {
    let mut state = two_buckets();
    let theirs = (1..=size(999))
        .map(|number| foreign_rule(&format!("theirs-{number}"), number.into()))
        .collect();
    let source = state.buckets.get_mut("demo-source").unwrap();
    source.replication =
        replicating("arn:aws:iam::111122223333:role/s3-kms-replication/s3-crr-demo-source", theirs);
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
