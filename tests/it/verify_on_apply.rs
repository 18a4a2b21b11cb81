//! The property `Verify`: a rule is tested after it was applied, before its request succeeds.

use std::time::Duration;

use insta::assert_snapshot;
use s3_kms_replication::config::Settings;
use s3_kms_replication::error::Error;
use s3_kms_replication::model::{ReplicationStatus, Retry};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::support::*;

#[tokio::test(start_paused = true)]
async fn invariant_11_create_with_verify_succeeds_only_after_the_canary_was_replicated() {
    let plain = Fake::new(two_buckets());
    create(&plain, json!({})).await;
    let fake = Fake::new(two_buckets());
    fake.replicator.borrow_mut().pending = 3;
    invoke(&fake, &create_verified(0, json!({}))).await.unwrap();
    assert_eq!(only_answer(&fake)["Status"], "SUCCESS");
    assert_eq!(fake.state, plain.state);
    assert!(fake.position("PutBucketReplication") < fake.position("PutObject"));
}

#[tokio::test(start_paused = true)]
async fn pending_canary_leaves_the_answer_to_the_next_delivery() {
    let fake = Fake::new(two_buckets());
    fake.replicator.borrow_mut().pending = usize::MAX;
    let error = invoke(&fake, &create_verified(0, json!({}))).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.is_transient(), fake.answers.borrow().len()),
        ("VerifyPending", true, 0)
    );
    assert_snapshot!(error, @"verification of rule `demo-source/s3-kms-replication.demo-Replication-a6e2a683` has not ended: its canary `Tax.s3-kms-replication-verify/demo-source/s3-kms-replication.demo-Replication-a6e2a683` is still PENDING; repeat the request to continue with it");
    fake.replicator.borrow_mut().pending = 0;
    // The same request six minutes later: the clock that tells its age stands still, so its date goes back.
    fake.generations.borrow_mut().clear();
    invoke(&fake, &create_verified(360, json!({}))).await.unwrap();
    assert_eq!(only_answer(&fake)["Status"], "SUCCESS");
    assert_eq!(fake.objects(), Vec::new());
}

#[tokio::test(start_paused = true)]
async fn invariant_11_create_fails_with_pending_canary_when_no_further_delivery_is_due() {
    for request in [
        create_verified(700, json!({})),
        create_verified(0, json!({"ServiceTimeout": "300"})),
        custom_resource("Create", json!({"Verify": "true"})),
    ] {
        let fake = Fake::new(two_buckets());
        fake.replicator.borrow_mut().pending = usize::MAX;
        invoke(&fake, &request).await.unwrap();
        let answer = only_answer(&fake);
        assert_eq!(answer["Status"], "FAILED");
        let id = answer["PhysicalResourceId"].as_str().unwrap();
        assert!(id.starts_with(&format!("demo-source/{CUSTOM_RULE}")), "{id}");
        let reason = answer["Reason"].as_str().unwrap();
        let is_late = ["27", "28"].map(|time| format!("is still PENDING after {time}"));
        assert!(is_late.iter().any(|late| reason.contains(late)), "{answer}");
        assert_eq!(fake.objects(), Vec::new());
    }
}

#[tokio::test(start_paused = true)]
async fn pending_canary_of_a_deleted_resource_is_removed_by_the_next_delivery() {
    let fake = Fake::new(two_buckets());
    fake.replicator.borrow_mut().pending = usize::MAX;
    let request = create_verified(60, json!({}));
    invoke(&fake, &request).await.unwrap_err();
    let mut delete = custom_resource("Delete", json!({}));
    delete["ResponseURL"] = create_verified(0, json!({}))["ResponseURL"].clone();
    invoke(&fake, &delete).await.unwrap();
    assert_eq!(fake.objects(), Vec::new(), "Delete removes the canary with its rule");
    fake.answers.borrow_mut().clear();
    invoke(&fake, &request).await.unwrap();
    assert!(only_answer(&fake)["Reason"].as_str().unwrap().contains("has had a later request"));
    assert_eq!(fake.objects(), Vec::new());
}

#[tokio::test(start_paused = true)]
async fn create_whose_verification_failed_gets_an_id_whose_delete_removes_everything() {
    let undisturbed = Fake::new(two_buckets());
    invoke(&undisturbed, &create_verified(0, json!({}))).await.unwrap();
    let calls = undisturbed.calls.borrow().len();
    for index in undisturbed.position("ReleaseLease") + 1..calls {
        let fake = Fake::new(two_buckets());
        fake.fail_call(index, Fault::Refused("AccessDenied", Retry::Never));
        invoke(&fake, &create_verified(0, json!({}))).await.unwrap();
        let answer = only_answer(&fake);
        let id = answer["PhysicalResourceId"].as_str().unwrap();
        let expected = match answer["Status"].as_str() {
            Some("SUCCESS") => id == format!("demo-source/{CUSTOM_RULE}"),
            _ => id.starts_with(&format!("demo-source/{CUSTOM_RULE}/failed-create/")),
        };
        assert!(expected, "call {index}: {answer}");
        assert_eq!(fake.objects(), Vec::new(), "call {index}");
        let mut delete = custom_resource("Delete", json!({}));
        delete["ResponseURL"] = create_verified(0, json!({}))["ResponseURL"].clone();
        delete["PhysicalResourceId"] = json!(id);
        fake.clear();
        fake.stop_failing();
        invoke(&fake, &delete).await.unwrap();
        assert_eq!(only_answer(&fake)["Status"], "SUCCESS", "call {index}");
        assert!(fake.state.borrow().roles.is_empty(), "call {index}");
        assert!(fake.state.borrow().rules("demo-source").is_empty(), "call {index}");
    }
}

/// Handles an event with a policy whose rule asks for `Verify`.
async fn invoke_with_verify(fake: &Fake) -> Result<Value, Error> {
    let policy = r#"{"Rules": [{"Name": "dr", "Match": {"BucketNames": ["prod-*"]}, "DestinationBucket": "demo-destination", "Verify": true,
        "ReplicaKmsKeyArn": "arn:aws:kms:us-west-2:111122223333:alias/dr"}]}"#;
    let policy = environment(&[("REPLICATION_POLICY", policy)]).policy;
    let settings = Settings { policy, ..settings() };
    invoke_with(fake, &sample("create-bucket"), &settings).await
}

#[tokio::test(start_paused = true)]
async fn policy_rule_is_verified_after_a_change_until_the_verification_ends() {
    let fake = Fake::new(two_buckets());
    let status = |answer: Result<Value, Error>| {
        answer.unwrap()["Rules"][0]["Status"].as_str().unwrap().to_owned()
    };
    let canaries = |fake: &Fake| fake.count("PutObject");
    fake.replicator.borrow_mut().pending = usize::MAX;
    let started = Instant::now();
    assert_eq!(invoke_with_verify(&fake).await.unwrap_err().kind(), "VerifyPending");
    assert!((130..160).contains(&started.elapsed().as_secs()), "half of the time is for others");
    fake.replicator.borrow_mut().pending = 0;
    assert_eq!(
        (status(invoke_with_verify(&fake).await), canaries(&fake)),
        ("Verified".to_owned(), 1)
    );
    assert_eq!(
        (status(invoke_with_verify(&fake).await), canaries(&fake)),
        ("Unchanged".to_owned(), 1)
    );
    fake.state.borrow_mut().roles.values_mut().for_each(|role| role.policies.clear());
    assert_eq!(
        (status(invoke_with_verify(&fake).await), canaries(&fake)),
        ("Verified".to_owned(), 2)
    );
    assert_eq!(fake.objects(), Vec::new());
}

#[tokio::test(start_paused = true)]
async fn invariant_11_changed_rule_is_not_judged_by_an_earlier_canary() {
    let fake = Fake::new(configured().await);
    fake.replicator.borrow_mut().pending = usize::MAX;
    verify(&fake).await.unwrap();
    fake.state.borrow_mut().bucket_mut("demo-source").objects[0]
        .content
        .as_mut()
        .unwrap()
        .replication = Some(ReplicationStatus::Failed);
    fake.replicator.take();
    let mut changed = sample("command-apply");
    changed["Verify"] = json!(true);
    changed["StorageClass"] = json!("GLACIER_IR");
    assert_eq!(invoke(&fake, &changed).await.unwrap()["Status"], "Verified");
    assert_eq!(fake.objects(), Vec::new());
}

#[tokio::test(start_paused = true)]
async fn invariant_9_verify_of_a_locked_bucket_is_refused_without_writes() {
    let mut state = two_buckets();
    state.bucket_mut("demo-destination").object_lock = true;
    let fake = Fake::new(state);
    invoke(&fake, &create_verified(0, json!({}))).await.unwrap();
    assert!(
        only_answer(&fake)["Reason"]
            .as_str()
            .unwrap()
            .contains("`demo-destination` has S3 Object Lock")
    );
    assert_eq!(fake.writes(), []);
}

#[tokio::test(start_paused = true)]
async fn invariant_5_cloudformation_is_answered_in_time_when_the_canary_cannot_be_removed() {
    let answered = async |fault: Option<usize>| {
        let fake = Fake::new(two_buckets());
        fake.replicator.borrow_mut().pending = usize::MAX;
        if let Some(index) = fault {
            fake.fail_call(index, Fault::Hangs);
        }
        let started = Instant::now();
        invoke(&fake, &custom_resource("Create", json!({"Verify": "true", "ServiceTimeout": "6"})))
            .await
            .unwrap();
        assert_eq!(only_answer(&fake)["Status"], "FAILED");
        assert!(
            started.elapsed() < Duration::from_secs(6),
            "{:?} with a hang in call {fault:?}",
            started.elapsed()
        );
        fake.calls.take()
    };
    let calls = answered(None).await;
    let last_read = calls.iter().rposition(|call| call.operation == "HeadObject").unwrap();
    for index in last_read + 1..calls.len() {
        answered(Some(index)).await;
    }
}
