//! The command `Verify`: a rule is tested with a canary, of which nothing is left.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;

use aws_sdk_kms::types::KeyState;
use futures_util::FutureExt;
use insta::assert_snapshot;
use s3_kms_replication::model::{ObjectVersion, Retry, Versioning};
use serde_json::json;
use tokio::time::Instant;

use crate::support::*;

const KEY: &str = "Tax.s3-kms-replication-verify/demo-source/s3-kms-replication.demo-destination";

fn canary_in(bucket: &str) -> String {
    format!("object `{KEY}` of bucket `{bucket}`")
}

/// The error of a Verify in a state; nothing of the canary is left after it.
async fn refused(state: State, replicator: Replicator) -> String {
    let fake = Fake::new(state);
    fake.replicator.replace(replicator);
    let error = verify(&fake).await.unwrap_err();
    assert_eq!(fake.objects(), Vec::new());
    format!("{}: {error}", error.kind())
}

#[tokio::test(start_paused = true)]
async fn invariant_4_verify_of_a_working_rule_leaves_no_object() {
    let before = configured().await;
    let fake = Fake::new(before.clone());
    fake.replicator.borrow_mut().pending = 3;
    let answer = verify(&fake).await.unwrap();
    assert_eq!(
        (&answer["Status"], &answer["RuleId"]),
        (&json!("Verified"), &json!("s3-kms-replication.demo-destination"))
    );
    assert_eq!(*fake.state.borrow(), before);
    assert_eq!(
        fake.writes(),
        [
            Call::write("PutObject", canary_in("demo-source")),
            Call::write("DeleteObject", canary_in("demo-source")),
            Call::write("DeleteObject", canary_in("demo-destination")),
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn canary_has_the_tags_and_key_of_the_request_and_is_removed_from_every_destination() {
    let fake = Fake::new(two_buckets());
    fake.state.borrow_mut().buckets.insert("second".to_owned(), Bucket::new("us-west-2"));
    let given = "arn:aws:kms:us-east-1:111122223333:key/given";
    let mut tagged = sample("command-apply");
    tagged["Tags"] = json!({"a": "1"});
    let mut second = sample("command-apply");
    second["DestinationBucket"] = json!("second");
    for request in [&tagged, &second] {
        invoke(&fake, request).await.unwrap();
    }
    let before = fake.state.borrow().clone();
    fake.replicator.borrow_mut().pending = usize::MAX;
    let mut request = sample("command-verify");
    request["SourceKmsKeyArns"] = json!(given);
    assert_eq!(invoke(&fake, &request).await.unwrap()["Status"], "Pending");
    let canary = fake.objects().remove(0);
    assert_eq!(
        (canary.tags, canary.content.unwrap().kms_key.unwrap()),
        (BTreeMap::from([("a".to_owned(), "1".to_owned())]), given.to_owned())
    );

    fake.replicator.borrow_mut().pending = 0;
    assert_eq!(verify(&fake).await.unwrap()["Status"], "Verified");
    assert_eq!(*fake.state.borrow(), before);
    assert!(fake.writes().contains(&Call::write("DeleteObject", canary_in("second"))));
}

#[tokio::test(start_paused = true)]
async fn verify_continues_with_the_pending_canary() {
    let before = configured().await;
    let fake = Fake::new(before.clone());
    fake.replicator.borrow_mut().pending = usize::MAX;
    let started = Instant::now();
    assert_eq!(verify(&fake).await.unwrap()["Status"], "Pending");
    assert!((270..290).contains(&started.elapsed().as_secs()));
    assert_eq!(fake.objects().len(), 1);
    fake.replicator.borrow_mut().pending = 1;
    assert_eq!(verify(&fake).await.unwrap()["Status"], "Verified");
    assert_eq!(fake.count("PutObject"), 1);
    assert_eq!(*fake.state.borrow(), before);
}

#[tokio::test(start_paused = true)]
async fn verify_writes_another_canary_until_the_rule_takes_effect() {
    let before = configured().await;
    let fake = Fake::new(before.clone());
    fake.replicator.borrow_mut().unnoticed = 3;
    assert_eq!(verify(&fake).await.unwrap()["Status"], "Verified");
    assert_eq!(*fake.state.borrow(), before);
}

#[tokio::test(start_paused = true)]
async fn two_concurrent_verifications_both_succeed() {
    let before = configured().await;
    let fake = Fake::new(before.clone());
    fake.replicator.borrow_mut().pending = 5;
    let (one, two) = tokio::join!(verify(&fake), verify(&fake));
    assert_eq!([&one.unwrap()["Status"], &two.unwrap()["Status"]], ["Verified", "Verified"]);
    assert_eq!(*fake.state.borrow(), before);
}

#[tokio::test(start_paused = true)]
async fn foreign_delete_markers_of_the_canary_are_removed() {
    let before = configured().await;
    let fake = Fake::new(before.clone());
    for name in ["demo-source", "demo-destination"] {
        let marker = Object {
            key: KEY.to_owned(),
            version: "marker".to_owned(),
            tags: BTreeMap::new(),
            content: None,
        };
        fake.state.borrow_mut().bucket_mut(name).objects.push(marker);
    }
    assert_eq!(verify(&fake).await.unwrap()["Status"], "Verified");
    assert_eq!(*fake.state.borrow(), before);
}

#[tokio::test(start_paused = true)]
async fn failed_replication_names_every_cause_that_can_be_read() {
    type Damage = fn(&mut State);
    let damages: Vec<(&str, Damage)> = vec![
        ("nothing that can be seen", |_| {}),
        ("versioning is suspended", |state| {
            state.bucket_mut("demo-destination").versioning = Versioning::Suspended
        }),
        ("the replica key is disabled", |state| {
            state.key_mut(REPLICA_KEY).state = KeyState::Disabled
        }),
        ("the source key is pending deletion", |state| {
            state.key_mut(SOURCE_KEY).state = KeyState::PendingDeletion
        }),
        ("the role is gone", |state| drop(state.roles.remove("s3-crr-demo-source"))),
        ("the role has lost its policy", |state| {
            state.role_mut("s3-crr-demo-source").policies.clear()
        }),
        ("grants and trust were changed", |state| {
            let role = state.role_mut("s3-crr-demo-source");
            role.policies
                .values_mut()
                .for_each(|policy| *policy = policy.replace("kms:Encrypt", "kms:Sign"));
            role.trust = role.trust.replace("s3.amazonaws.com", "ec2.amazonaws.com");
        }),
        ("the replica key's policy lets nobody in", |state| {
            let key_policy = r#"{"Version":"2012-10-17","Statement":[]}"#;
            state.policies.insert(format!("key `{REPLICA_KEY}`"), key_policy.to_owned());
        }),
        ("another default key", |state| {
            let new = "arn:aws:kms:us-east-1:111122223333:key/new";
            state.keys.insert(new.to_owned(), key(new));
            state.bucket_mut("demo-source").encryption = kms(new);
        }),
    ];
    let mut messages = Vec::new();
    for (damage, change) in damages {
        let mut state = configured().await;
        change(&mut state);
        messages.push(format!(
            "{damage}:\n  {}",
            refused(state, Replicator { fails: true, ..Replicator::default() }).await
        ));
    }
    assert_snapshot!(messages.join("\n"));
}

#[tokio::test(start_paused = true)]
async fn invariant_11_verify_fails_when_the_replica_differs_from_the_rule() {
    let mut messages = vec![
        refused(configured().await, Replicator { keeps_key: true, ..Replicator::default() }).await,
    ];
    messages.push(
        refused(configured().await, Replicator { unnoticed: usize::MAX, ..Replicator::default() })
            .await,
    );
    let fake = Fake::new(configured().await);
    fake.replicator.borrow_mut().pending = usize::MAX;
    verify(&fake).await.unwrap();
    let impostor = fake.objects().remove(0);
    let content = Some(ObjectVersion { replication: None, kms_key: None, last_modified: None });
    fake.state
        .borrow_mut()
        .bucket_mut("demo-destination")
        .objects
        .push(Object { content, ..impostor });
    // S3 has given up, so that its own replica does not come.
    fake.replicator.replace(Replicator { fails: true, ..Replicator::default() });
    messages.push(verify(&fake).await.unwrap_err().to_string());
    assert_eq!(fake.objects(), Vec::new());
    assert_snapshot!(messages.join("\n"));
}

#[tokio::test(start_paused = true)]
async fn invariant_9_verify_of_an_unusable_rule_is_refused_without_writes() {
    type Change = fn(&mut State);
    let changes: Vec<Change> = vec![
        |state| drop(state.buckets.remove("demo-source")),
        |state| drop(state.buckets.remove("demo-destination")),
        |state| state.bucket_mut("demo-source").replication = None,
        |state| state.bucket_mut("demo-destination").object_lock = true,
        |state| {
            state.edit_replication(
                "demo-source",
                "<Status>Enabled</Status>",
                "<Status>Disabled</Status>",
            )
        },
        |state| {
            state.edit_replication(
                "demo-source",
                "<Prefix>Tax<",
                &format!("<Prefix>{}<", "p".repeat(1_000)),
            )
        },
    ];
    let mut messages = Vec::new();
    for change in changes {
        let mut state = configured().await;
        change(&mut state);
        let fake = Fake::new(state);
        messages.push(verify(&fake).await.unwrap_err().to_string());
        assert_eq!(fake.writes(), []);
    }
    assert_snapshot!(messages.join("\n"));
}

#[tokio::test(start_paused = true)]
async fn invariant_4_canary_is_removed_after_a_fault_in_any_call() {
    let faults = [
        Fault::Refused("AccessDenied", Retry::Never),
        Fault::Refused("SlowDown", Retry::NextInvocation),
        Fault::AnswerLost,
        Fault::Hangs,
        Fault::Panic,
    ];
    let mut points = 0;
    for (before, request) in [
        (configured().await, sample("command-verify")),
        (two_buckets(), create_verified(0, json!({}))),
    ] {
        let undisturbed = Fake::new(before.clone());
        undisturbed.replicator.borrow_mut().pending = 2;
        invoke(&undisturbed, &request).await.unwrap();
        assert_eq!(undisturbed.objects(), Vec::new());
        let calls = undisturbed.calls.take();
        for (fault, (index, call)) in faults
            .into_iter()
            .flat_map(|fault| calls.iter().enumerate().map(move |call| (fault, call)))
        {
            let point = format!("{fault:?} in call {index}, {call}");
            let fake = Fake::new(before.clone());
            fake.replicator.borrow_mut().pending = 2;
            fake.fail_call(index, fault);
            let ended = AssertUnwindSafe(invoke(&fake, &request)).catch_unwind().await;
            fake.stop_failing();
            let resumable = match &ended {
                Ok(Ok(answer)) => answer["Status"] == "Pending",
                Ok(Err(error)) => error.kind() == "VerifyPending",
                Err(_) => false,
            };
            let in_removal = !calls[index..].iter().any(|call| call.operation == "HeadObject");
            // A failed removal is retried. After a panic, the next verification removes the canary.
            let later = resumable || (in_removal && fault == Fault::Panic);
            if !later {
                assert_eq!(fake.objects(), Vec::new(), "{point}");
            }
            // What a holder that died left behind is over by now.
            fake.state.borrow_mut().leases.clear();
            fake.replicator.borrow_mut().pending = 0;
            invoke(&fake, &request).await.unwrap();
            assert_eq!(fake.state, undisturbed.state, "{point}, then again");
            points += 1;
        }
    }
    print_count(points, "fault points of Verify");
}

#[tokio::test(start_paused = true)]
async fn denied_verify_call_names_the_parameter_that_gives_the_right() {
    for (action, code) in [
        ("PutObject", "AccessDenied"),
        ("HeadObject", "HTTP 403"),
        ("ListObjectVersions", "AccessDenied"),
    ] {
        let fake = Fake::new(configured().await);
        fake.refuse(action, 1, code, Retry::Never);
        let error = verify(&fake).await.unwrap_err().to_string();
        assert!(
            error.contains(code)
                && error.contains("the template's parameter `AllowVerify` gives this right"),
            "{error}"
        );
    }
}
