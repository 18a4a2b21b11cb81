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
    let theirs = (1..=size(999))
        .map(|number| foreign_rule(&format!("theirs-{number}"), number.into()))
        .collect();
    let source = state.bucket_mut("demo-source");
    source.replication = replicating(OWN_ROLE, theirs);
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
