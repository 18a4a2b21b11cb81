//! What is counted, by kind of request.

use std::time::{Duration, UNIX_EPOCH};

use s3_kms_replication::handler::handle;
use serde_json::{Value, json};

use crate::support::*;

/// What the invocation counted, as it is logged, without the metadata for CloudWatch.
async fn counted(fake: &Fake, payload: &Value) -> String {
    let handled =
        Box::pin(handle(&payload.to_string(), within_five_minutes(), fake, &settings())).await;
    let line = handled.counters.line(
        "function",
        Duration::from_millis(12),
        UNIX_EPOCH + Duration::from_secs(5),
    );
    let mut line: Value = serde_json::from_str(&line).unwrap();
    let metadata = line.as_object_mut().unwrap().remove("_aws").unwrap();
    let metrics = metadata["CloudWatchMetrics"][0]["Metrics"].as_array().unwrap();
    let names: Vec<&str> = metrics.iter().map(|metric| metric["Name"].as_str().unwrap()).collect();
    assert!(
        names.iter().all(|name| line[name].is_u64()),
        "every metric that is announced has a value"
    );
    assert_eq!(metadata["Timestamp"], 5_000);
    assert_eq!(line["Version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(
        metadata["CloudWatchMetrics"][0]["Dimensions"],
        json!([["FunctionName"], ["FunctionName", "AskedBy"]])
    );
    for name in ["FunctionName", "Duration", "Version"] {
        line.as_object_mut().unwrap().remove(name).unwrap();
    }
    line.to_string()
}

#[tokio::test(start_paused = true)]
async fn every_rule_is_counted_by_outcome_and_by_kind_of_request() {
    let fake = Fake::new(two_buckets());
    let mut never_created = custom_resource("Delete", json!({"SourceBucket": null}));
    never_created["PhysicalResourceId"] = json!("made-up");
    let mut verified = sample("command-apply");
    verified["Verify"] = json!(true);
    let mut lines_of_metrics = Vec::new();
    for (what, payload) in [
        ("a new bucket", sample("create-bucket")),
        ("again", sample("create-bucket")),
        ("a call that failed", sample("create-bucket-failed")),
        ("a batch", sample("sqs-batch")),
        ("Create", custom_resource("Create", json!({}))),
        ("Create, not acceptable", custom_resource("Create", json!({"Prefx": "x"}))),
        ("Plan", sample("command-plan")),
        ("Reconcile", sample("command-reconcile")),
        ("Diagnose", json!({"Action": "Diagnose", "SourceBucket": "demo-source"})),
        ("Delete", custom_resource("Delete", json!({}))),
        ("Verify without a rule", sample("command-verify")),
        ("Apply and Verify", verified.clone()),
        ("Verify", sample("command-verify")),
        ("Delete of what was never there", never_created),
        ("create of Terraform", sample("terraform-create")),
        ("update of Terraform", sample("terraform-update")),
        ("delete of Terraform", sample("terraform-delete")),
        ("nothing known", json!({})),
    ] {
        lines_of_metrics.push(format!("{what}: {}", counted(&fake, &payload).await));
    }
    fake.replicator.borrow_mut().pending = usize::MAX;
    lines_of_metrics
        .push(format!("Verify, pending: {}", counted(&fake, &sample("command-verify")).await));
    lines_of_metrics
        .push(format!("Apply and Verify, pending: {}", counted(&fake, &verified).await));
    fake.replicator.replace(Replicator { fails: true, ..Replicator::default() });
    lines_of_metrics
        .push(format!("Verify that fails: {}", counted(&fake, &sample("command-verify")).await));
    fake.fail_call(fake.calls.borrow().len(), Fault::Panic);
    lines_of_metrics.push(format!(
        "Create that panics: {}",
        counted(&fake, &custom_resource("Create", json!({}))).await
    ));
    insta::assert_snapshot!(lines_of_metrics.join("\n"));
}
