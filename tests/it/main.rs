//! Tests of the whole pipeline: from a payload to what AWS holds afterwards, on a cloud that holds state; and of the requests that the
//! AWS SDK sends.

#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that panics has failed, as it should"
)]

mod alarms;
mod cross_account;
mod fake;
mod faults;
mod generated;
mod growth;
mod invariants;
mod jobs;
mod metrics;
mod outages;
mod policy_parameter;
mod requests;
mod rounds;
mod secrets;
mod verify;
mod wire;
mod writers;

use std::collections::BTreeMap;
use std::io::Write;
use std::time::Duration;

use aws_sdk_kms::types::KeyState;
use aws_sdk_s3::types::{
    Destination, ReplicationConfiguration, ReplicationRule, ReplicationRuleFilter,
    ReplicationRuleStatus,
};
use s3_kms_replication::config::Settings;
use s3_kms_replication::error::Error;
use s3_kms_replication::handler::{Handled, handle};
use s3_kms_replication::model::{Encryption, Key};
use s3_kms_replication::spec::RoleSettings;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::fake::{Bucket, Fake, State};

const SOURCE_KEY: &str = "arn:aws:kms:us-east-1:111122223333:key/source";
const REPLICA_KEY: &str =
    "arn:aws:kms:us-west-2:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";
const TOPIC: &str = "arn:aws:sns:us-east-1:111122223333:alarms";
const EXECUTION_ROLE: &str = "arn:aws:iam::111122223333:role/s3-kms-replication-function";
const POLICY: &str = r#"{"Rules": [{
    "Name": "dr",
    "Match": {"BucketNames": ["prod-*"], "ExcludeBucketNames": ["prod-scratch-*"]},
    "DestinationBucket": "{bucket}-replica",
    "DestinationRegion": "us-west-2",
    "ReplicaKmsKeyArn": "arn:aws:kms:us-west-2:111122223333:alias/dr",
    "CreateDestinationBucket": true
}, {
    "Name": "audit",
    "Match": {"BucketNames": ["prod-o*"], "BucketTags": {"audit": "true"}},
    "DestinationBucket": "audit-{account}",
    "ReplicaKmsKeyArn": "arn:aws:kms:us-west-2:111122223333:alias/dr"
}]}"#;

fn key(arn: &str) -> Key {
    Key { arn: arn.to_owned(), state: KeyState::Enabled, symmetric: true, aws_managed: false }
}

fn kms(key: &str) -> Encryption {
    Encryption::Kms { key: Some(key.to_owned()), bucket_key: false }
}

/// Two plain buckets and the keys for them: what the walk-through begins with.
fn two_buckets() -> State {
    let mut state = State::default();
    let source = Bucket { encryption: kms(SOURCE_KEY), ..Bucket::new("us-east-1") };
    state.buckets = BTreeMap::from([
        ("demo-source".to_owned(), source.clone()),
        ("demo-destination".to_owned(), Bucket::new("us-west-2")),
        ("prod-orders".to_owned(), source),
    ]);
    for (name, arn) in [
        (SOURCE_KEY, SOURCE_KEY),
        (REPLICA_KEY, REPLICA_KEY),
        ("arn:aws:kms:us-west-2:111122223333:alias/dr", REPLICA_KEY),
    ] {
        state.keys.insert(name.to_owned(), key(arn));
    }
    state
}

/// A V2 rule that is not ours.
fn foreign_rule(id: &str, priority: i32) -> ReplicationRule {
    ReplicationRule::builder()
        .id(id)
        .priority(priority)
        .filter(ReplicationRuleFilter::builder().prefix(id).build())
        .status(ReplicationRuleStatus::Disabled)
        .destination(
            Destination::builder()
                .bucket("arn:aws:s3:::demo-destination")
                .account("444455556666")
                .build()
                .unwrap(),
        )
        .build()
        .unwrap()
}

fn replicating(role: &str, rules: Vec<ReplicationRule>) -> Option<ReplicationConfiguration> {
    Some(ReplicationConfiguration::builder().role(role).set_rules(Some(rules)).build().unwrap())
}

fn settings() -> Settings {
    let variables = [
        ("REPLICATION_POLICY", POLICY),
        ("EXECUTION_ROLE_ARN", EXECUTION_ROLE),
        ("LOCK_TABLE", "leases"),
        ("AWS_REGION", "us-east-1"),
    ];
    Settings::read(|name| {
        variables
            .iter()
            .find(|(variable, _)| *variable == name)
            .map(|(_, value)| (*value).to_owned())
    })
    .unwrap()
}

/// Handles a payload as Lambda would have it handled, with five minutes to go.
async fn ask(fake: &Fake, payload: &Value) -> Result<Value, Error> {
    Box::pin(handle(payload, Instant::now() + Duration::from_secs(300), fake, &settings()))
        .await
        .answer
}

/// The sample event of that name.
fn sample(name: &str) -> Value {
    let file = format!("{}/events/{name}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap()
}

/// The custom resource's request of the walk-through, with some properties put in or, when `null`, left out.
fn custom_resource(request_type: &str, changes: Value) -> Value {
    let mut request = sample(&format!("cloudformation-{}", request_type.to_lowercase()));
    let properties = request["ResourceProperties"].as_object_mut().unwrap();
    for (name, value) in changes.as_object().unwrap() {
        properties.insert(name.clone(), value.clone());
    }
    request
}

/// The request with the time at which CloudFormation signed it.
fn signed(mut request: Value, date: &str) -> Value {
    let url = format!("{}&X-Amz-Date={date}", request["ResponseURL"].as_str().unwrap());
    request["ResponseURL"] = json!(url);
    request
}

/// Says how much a test went through, also when it passes.
fn count(number: u32, what: &str) {
    std::io::stderr().write_all(format!("{number} {what}\n").as_bytes()).unwrap();
}

/// The one answer that CloudFormation got.
fn only_answer(fake: &Fake) -> Value {
    let answers = fake.answers.borrow();
    assert_eq!(answers.len(), 1, "CloudFormation gets exactly one answer");
    assert!(answers[0].len() <= 4_096, "the answer keeps CloudFormation's limit");
    serde_json::from_str(&answers[0]).unwrap()
}

async fn create(fake: &Fake, changes: Value) -> Value {
    fake.answers.borrow_mut().clear();
    ask(fake, &custom_resource("Create", changes)).await.unwrap();
    only_answer(fake)
}

async fn delete(fake: &Fake) -> Value {
    fake.answers.borrow_mut().clear();
    ask(fake, &custom_resource("Delete", json!({}))).await.unwrap();
    only_answer(fake)
}
