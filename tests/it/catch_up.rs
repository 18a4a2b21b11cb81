//! Catch-up: the function asks itself to look for objects that a rule has missed, and one job replicates them or a person is told.

mod decisions;
mod failures;
mod jobs;
mod messages;

use std::sync::LazyLock;
use std::time::Duration;

use aws_sdk_s3control::types::JobStatus;
use s3_kms_replication::config::Settings;
use s3_kms_replication::error::Error;
use s3_kms_replication::handler::handle;
use s3_kms_replication::model::{ReplicationStatus, Retry};
use serde_json::{Value, json};

use crate::support::*;

const RULE: &str = "s3-kms-replication.demo-destination";

/// The time of the catch-ups in these tests.
static TIME: LazyLock<u64> = LazyLock::new(|| now() - 900);

async fn invoke_with_queue(fake: &Fake, payload: &Value) -> Result<Value, Error> {
    invoke_with(fake, payload, &settings_with_queue()).await
}

/// The messages that were sent since the last time.
fn sent(fake: &Fake) -> Vec<Value> {
    let messages = fake.messages.take();
    assert!(messages.iter().all(|(_, delay)| *delay == Duration::from_secs(900)));
    messages.iter().map(|(body, _)| serde_json::from_str(body).unwrap()).collect()
}

fn message(changes: Value) -> Value {
    let message = json!({"Action": "CatchUp", "SourceBucket": "demo-source", "RuleId": RULE, "Time": *TIME, "IsNew": true, "IsSecond": false});
    merged(message, changes)
}

fn with_report() -> Value {
    json!({"ReportBucket": "reports", "ReportPrefix": ""})
}

/// A bucket with the walk-through's rule and these objects under its prefix: replication status, and whether they are older than the rule. The
/// bucket was empty when the rule was made, so the rule's request for existing objects has started no job.
async fn bucket_with(objects: &[(Option<ReplicationStatus>, bool)]) -> Fake {
    bucket_after(&merged(sample("command-apply"), job_properties()), objects).await
}

/// The same without a request for existing objects.
async fn bucket_without_wish(objects: &[(Option<ReplicationStatus>, bool)]) -> Fake {
    bucket_after(&sample("command-apply"), objects).await
}

async fn bucket_after(apply: &Value, objects: &[(Option<ReplicationStatus>, bool)]) -> Fake {
    let mut state = with_report_bucket();
    state.bucket_mut("demo-source").objects.clear();
    let fake = Fake::new(state);
    invoke_with_queue(&fake, apply).await.unwrap();
    sent(&fake);
    set_objects(&fake, objects);
    fake.replicator.borrow_mut().pending = usize::MAX;
    fake.clear();
    fake
}

fn set_objects(fake: &Fake, objects: &[(Option<ReplicationStatus>, bool)]) {
    let objects = objects.iter().zip(1..).map(|((status, is_older), number)| {
        let time = if *is_older { *TIME - 1 } else { *TIME };
        Object::new(&format!("Tax/secret-{number}"), *status, time)
    });
    fake.state.borrow_mut().bucket_mut("demo-source").objects = objects.collect();
}

async fn end_job(fake: &Fake, id: &str) {
    fake.state.borrow_mut().jobs.get_mut(id).unwrap().job.status = JobStatus::Complete;
    invoke(fake, &job_status_changed(id, "Complete")).await.unwrap();
}

/// A Replay of the objects that S3 failed to replicate.
fn replay() -> Value {
    json!({"Action": "Replay", "SourceBucket": "demo-source", "Name": "demo-destination", "ReportBucket": "reports"})
}

fn deny_status(fake: &Fake) {
    fake.refuse("HeadObject", usize::MAX, "HTTP 403", Retry::Never);
}

/// What a catch-up counted and sent.
async fn outcome(fake: &Fake, message: &Value) -> String {
    outcome_with(fake, message, &settings_with_queue()).await
}

async fn outcome_with(fake: &Fake, message: &Value, settings: &Settings) -> String {
    let handled =
        Box::pin(handle(&message.to_string(), within_five_minutes(), fake, settings)).await;
    let answer = handled.answer.unwrap();
    assert!(!answer.to_string().contains("secret"), "no key is in an answer");
    let line: Value = serde_json::from_str(&handled.counters.line(
        "function",
        Duration::ZERO,
        std::time::UNIX_EPOCH,
    ))
    .unwrap();
    let counted = ["CaughtUp", "Unexamined", "Pending", "JobsStarted", "Unreplicated", "Skipped"]
        .into_iter()
        .filter(|name| !line[name].is_null())
        .map(|name| format!("{name} {}", line[name]));
    let again = sent(fake)
        .iter()
        .map(|it| format!("comes again, IsSecond {}", it["IsSecond"]))
        .collect::<Vec<_>>();
    counted.chain(again).collect::<Vec<_>>().join("; ")
}
