//! Requests, handed to the program as Lambda hands them, and its environment.

use std::io::Write;
use std::sync::LazyLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use s3_kms_replication::config::Settings;
use s3_kms_replication::error::Error;
use s3_kms_replication::handler::handle;
use s3_kms_replication::model::{Partition, Region};
use s3_kms_replication::request::Environment;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{EXECUTION_ROLE, Fake, POLICY, State, custom_resource, sample, two_buckets};

/// The settings that these environment variables give.
pub fn environment(variables: &[(&str, &str)]) -> Settings {
    let value = |name: &str| {
        let found = variables.iter().find(|(variable, _)| *variable == name);
        found.map(|(_, value)| (*value).to_owned())
    };
    Settings::read(value).unwrap()
}

/// The settings of a function that sends itself messages for catch-ups.
pub fn settings_with_queue() -> Settings {
    environment(&[
        ("EXECUTION_ROLE_ARN", EXECUTION_ROLE),
        ("LOCK_TABLE", "leases"),
        ("CATCH_UP_QUEUE_URL", "https://sqs.us-east-1.amazonaws.com/111122223333/events"),
        ("AWS_REGION", "us-east-1"),
    ])
}

/// The function's settings, with [`POLICY`].
pub fn settings() -> Settings {
    environment(&[
        ("REPLICATION_POLICY", POLICY),
        ("EXECUTION_ROLE_ARN", EXECUTION_ROLE),
        ("LOCK_TABLE", "leases"),
        ("ALLOW_DIAGNOSE", "true"),
        ("AWS_REGION", "us-east-1"),
    ])
}

/// What payloads are read with in the settings' Region.
pub fn request_environment() -> Environment<'static> {
    static REGION: LazyLock<Region> = LazyLock::new(|| Region::parse("us-east-1").unwrap());
    Environment {
        region: &REGION,
        partition: Partition::Aws,
        execution_role_arn: None,
        allows_loopback: false,
    }
}

/// The deadline of an invocation that has five minutes.
pub fn within_five_minutes() -> Instant {
    Instant::now() + Duration::from_secs(300)
}

/// Handles a payload as Lambda would have it handled, with five minutes to go.
pub async fn invoke(fake: &Fake, payload: &Value) -> Result<Value, Error> {
    invoke_with(fake, payload, &settings()).await
}

/// The same, with other settings.
pub async fn invoke_with(
    fake: &Fake,
    payload: &Value,
    settings: &Settings,
) -> Result<Value, Error> {
    invoke_text(fake, &payload.to_string(), settings).await
}

/// The same, with a payload that need not be JSON.
pub async fn invoke_text(fake: &Fake, payload: &str, settings: &Settings) -> Result<Value, Error> {
    Box::pin(handle(payload, within_five_minutes(), fake, settings)).await.answer
}

/// The one answer that CloudFormation got.
pub fn only_answer(fake: &Fake) -> Value {
    let answers = fake.answers.borrow();
    assert_eq!(answers.len(), 1, "CloudFormation gets exactly one answer");
    assert!(answers[0].len() <= 4_096, "the answer keeps CloudFormation's limit");
    serde_json::from_str(&answers[0]).unwrap()
}

async fn answer_to(fake: &Fake, request_type: &str, changes: Value) -> Value {
    fake.answers.borrow_mut().clear();
    invoke(fake, &custom_resource(request_type, changes)).await.unwrap();
    only_answer(fake)
}

/// Creates the custom resource with these changes of its properties; the answer.
pub async fn create(fake: &Fake, changes: Value) -> Value {
    answer_to(fake, "Create", changes).await
}

/// Updates the custom resource; the answer.
pub async fn update(fake: &Fake, changes: Value) -> Value {
    answer_to(fake, "Update", changes).await
}

/// Deletes the custom resource; the answer.
pub async fn delete(fake: &Fake) -> Value {
    delete_with(fake, json!({})).await
}

/// Deletes the custom resource that has these properties; the answer.
pub async fn delete_with(fake: &Fake, changes: Value) -> Value {
    answer_to(fake, "Delete", changes).await
}

/// Verifies the rule of the walk-through's command.
pub async fn verify(fake: &Fake) -> Result<Value, Error> {
    invoke(fake, &sample("command-verify")).await
}

/// Two buckets after the walk-through's command `Apply`.
pub async fn configured() -> State {
    let fake = Fake::new(two_buckets());
    invoke(&fake, &sample("command-apply")).await.unwrap();
    fake.state.take()
}

/// The time that leases are judged by, in seconds since 1970.
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// Says how much a test went through, also when it passes.
pub fn print_count(number: u32, what: &str) {
    std::io::stderr().write_all(format!("{number} {what}\n").as_bytes()).unwrap();
}
