//! A rule put to the test with a canary, of which nothing stays.

use std::panic::AssertUnwindSafe;
use std::time::{SystemTime, UNIX_EPOCH};

use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use futures_util::FutureExt;
use insta::assert_snapshot;
use s3_kms_replication::model::{ObjectVersion, Replication, Retry, Versioning};
use serde_json::json;

use crate::fake::Object;
use crate::fake::{Bucket, Fake, Fault, Replicator, State};
use crate::*;

const KEY: &str = "Tax.s3-kms-replication-verify/s3-kms-replication.demo-destination";

/// The id of the custom resource's rule.
const CUSTOM_RULE: &str = "s3-kms-replication.demo-Replication-a6e2a683";

/// What the command `Apply` of the walk-through leaves.
async fn configured() -> State {
    let fake = Fake::of(two_buckets());
    ask(&fake, &sample("command-apply")).await.unwrap();
    fake.state.take()
}

async fn verify(fake: &Fake) -> Result<Value, Error> {
    ask(fake, &sample("command-verify")).await
}

/// The error of a Verify in a state; nothing of the canary is left after it.
async fn refused(state: State, replicator: Replicator) -> String {
    let fake = Fake::of(state);
    fake.replicator.replace(replicator);
    let error = verify(&fake).await.unwrap_err();
    assert_eq!(objects(&fake), Vec::new());
    format!("{}: {error}", error.kind())
}

fn objects(fake: &Fake) -> Vec<Object> {
    fake.state.borrow().buckets.values().flat_map(|bucket| bucket.objects.clone()).collect()
}

#[tokio::test(start_paused = true)]
async fn a_rule_that_replicates_is_verified_with_an_object_of_which_nothing_stays() {
    let before = configured().await;
    let fake = Fake::of(before.clone());
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
            format!("PutObject demo-source/{KEY}"),
            format!("DeleteObject demo-source/{KEY}"),
            format!("DeleteObject demo-destination/{KEY}")
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_canary_has_the_rules_tags_and_the_key_that_is_given_and_goes_to_every_rule_that_selects_it()
 {
    let fake = Fake::of(two_buckets());
    fake.state.borrow_mut().buckets.insert("second".to_owned(), Bucket::new("us-west-2"));
    let given = "arn:aws:kms:us-east-1:111122223333:key/given";
    let mut tagged = sample("command-apply");
    tagged["Tags"] = json!({"a": "1"});
    let mut second = sample("command-apply");
    second["DestinationBucket"] = json!("second");
    for request in [&tagged, &second] {
        ask(&fake, request).await.unwrap();
    }
    let before = fake.state.borrow().clone();
    fake.replicator.borrow_mut().pending = usize::MAX;
    let mut request = sample("command-verify");
    request["SourceKmsKeyArns"] = json!(given);
    assert_eq!(ask(&fake, &request).await.unwrap()["Status"], "Pending");
    let canary = objects(&fake).remove(0);
    assert_eq!(
        (canary.tags, canary.seen.unwrap().kms_key.unwrap()),
        (BTreeMap::from([("a".to_owned(), "1".to_owned())]), given.to_owned())
    );

    fake.replicator.borrow_mut().pending = 0;
    assert_eq!(verify(&fake).await.unwrap()["Status"], "Verified");
    assert_eq!(*fake.state.borrow(), before);
    assert!(fake.writes().contains(&format!("DeleteObject second/{KEY}")));
}

#[tokio::test(start_paused = true)]
async fn asking_again_goes_on_with_the_canary_that_was_pending() {
    let before = configured().await;
    let fake = Fake::of(before.clone());
    fake.replicator.borrow_mut().pending = usize::MAX;
    let started = Instant::now();
    assert_eq!(verify(&fake).await.unwrap()["Status"], "Pending");
    assert!((270..290).contains(&started.elapsed().as_secs()));
    assert_eq!(objects(&fake).len(), 1);
    fake.replicator.borrow_mut().pending = 1;
    assert_eq!(verify(&fake).await.unwrap()["Status"], "Verified");
    assert_eq!(fake.writes().iter().filter(|call| call.starts_with("PutObject")).count(), 1);
    assert_eq!(*fake.state.borrow(), before);
}

#[tokio::test(start_paused = true)]
async fn a_rule_that_s3_has_yet_to_notice_is_given_another_canary() {
    let before = configured().await;
    let fake = Fake::of(before.clone());
    fake.replicator.borrow_mut().unnoticed = 3;
    assert_eq!(verify(&fake).await.unwrap()["Status"], "Verified");
    assert_eq!(*fake.state.borrow(), before);
}

#[tokio::test(start_paused = true)]
async fn two_trials_at_once_both_come_to_their_end() {
    let before = configured().await;
    let fake = Fake::of(before.clone());
    fake.replicator.borrow_mut().pending = 5;
    let (one, two) = tokio::join!(verify(&fake), verify(&fake));
    assert_eq!([&one.unwrap()["Status"], &two.unwrap()["Status"]], ["Verified", "Verified"]);
    assert_eq!(*fake.state.borrow(), before);
}

#[tokio::test(start_paused = true)]
async fn delete_markers_and_versions_that_others_made_of_a_canary_go_too() {
    let before = configured().await;
    let fake = Fake::of(before.clone());
    for name in ["demo-source", "demo-destination"] {
        let marker = Object {
            key: KEY.to_owned(),
            version: "marker".to_owned(),
            tags: BTreeMap::new(),
            seen: None,
        };
        fake.state.borrow_mut().buckets.get_mut(name).unwrap().objects.push(marker);
    }
    assert_eq!(verify(&fake).await.unwrap()["Status"], "Verified");
    assert_eq!(*fake.state.borrow(), before);
}

#[tokio::test(start_paused = true)]
async fn what_keeps_a_rule_from_replicating_is_looked_for_and_named() {
    type Damage = fn(&mut State);
    let damages: Vec<(&str, Damage)> = vec![
        ("nothing that can be seen", |_| {}),
        ("versioning is suspended", |state| {
            state.buckets.get_mut("demo-destination").unwrap().versioning = Versioning::Suspended
        }),
        ("the replica key is disabled", |state| {
            state.keys.get_mut(REPLICA_KEY).unwrap().state = KeyState::Disabled
        }),
        ("the source key is pending deletion", |state| {
            state.keys.get_mut(SOURCE_KEY).unwrap().state = KeyState::PendingDeletion
        }),
        ("the role is gone", |state| drop(state.roles.remove("s3-crr-demo-source"))),
        ("the role has lost its policy", |state| {
            state.roles.get_mut("s3-crr-demo-source").unwrap().policies.clear()
        }),
        ("grants and trust were changed", |state| {
            let role = state.roles.get_mut("s3-crr-demo-source").unwrap();
            role.policies
                .values_mut()
                .for_each(|policy| *policy = policy.replace("kms:Encrypt", "kms:Sign"));
            role.trust = role.trust.replace("s3.amazonaws.com", "ec2.amazonaws.com");
        }),
        ("another default key", |state| {
            let new = "arn:aws:kms:us-east-1:111122223333:key/new";
            state.keys.insert(new.to_owned(), key(new));
            state.buckets.get_mut("demo-source").unwrap().encryption = kms(new);
        }),
    ];
    let mut told = Vec::new();
    for (damage, change) in damages {
        let mut state = configured().await;
        change(&mut state);
        told.push(format!(
            "{damage}:\n  {}",
            refused(state, Replicator { fails: true, ..Replicator::default() }).await
        ));
    }
    assert_snapshot!(told.join("\n"));
}

#[tokio::test(start_paused = true)]
async fn a_replica_that_is_not_as_asked_is_refused() {
    let mut told = vec![
        refused(configured().await, Replicator { keeps_key: true, ..Replicator::default() }).await,
    ];
    told.push(
        refused(configured().await, Replicator { unnoticed: usize::MAX, ..Replicator::default() })
            .await,
    );
    let fake = Fake::of(configured().await);
    fake.replicator.borrow_mut().pending = usize::MAX;
    verify(&fake).await.unwrap();
    let impostor = objects(&fake).remove(0);
    let seen = Some(ObjectVersion { replication: None, kms_key: None });
    fake.state
        .borrow_mut()
        .buckets
        .get_mut("demo-destination")
        .unwrap()
        .objects
        .push(Object { seen, ..impostor });
    // S3 has given up, so that its own replica does not come.
    fake.replicator.replace(Replicator { fails: true, ..Replicator::default() });
    told.push(verify(&fake).await.unwrap_err().to_string());
    assert_eq!(objects(&fake), Vec::new());
    assert_snapshot!(told.join("\n"));
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_verified_is_refused_before_anything_is_written() {
    type Change = fn(&mut State);
    let changes: Vec<Change> = vec![
        |state| drop(state.buckets.remove("demo-source")),
        |state| drop(state.buckets.remove("demo-destination")),
        |state| state.buckets.get_mut("demo-source").unwrap().replication = None,
        |state| state.buckets.get_mut("demo-destination").unwrap().object_lock = true,
        |state| {
            let configuration =
                state.buckets.get_mut("demo-source").unwrap().replication.as_mut().unwrap();
            configuration.rules[0].status = ReplicationRuleStatus::Disabled;
        },
        |state| {
            let configuration =
                state.buckets.get_mut("demo-source").unwrap().replication.as_mut().unwrap();
            configuration.rules[0].filter =
                Some(ReplicationRuleFilter::builder().prefix("p".repeat(1_000)).build());
        },
    ];
    let mut told = Vec::new();
    for change in changes {
        let mut state = configured().await;
        change(&mut state);
        let fake = Fake::of(state);
        told.push(verify(&fake).await.unwrap_err().to_string());
        assert_eq!(fake.writes(), Vec::<String>::new());
    }
    assert_snapshot!(told.join("\n"));
}

#[tokio::test(start_paused = true)]
async fn nothing_of_a_canary_stays_whatever_fails() {
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
        let undisturbed = Fake::of(before.clone());
        undisturbed.replicator.borrow_mut().pending = 2;
        ask(&undisturbed, &request).await.unwrap();
        assert_eq!(objects(&undisturbed), Vec::new());
        let calls = undisturbed.calls.take();
        for (fault, (index, call)) in faults
            .into_iter()
            .flat_map(|fault| calls.iter().enumerate().map(move |call| (fault, call)))
        {
            let point = format!("{fault:?} in call {index}, {call}");
            let fake = Fake::of(before.clone());
            fake.replicator.borrow_mut().pending = 2;
            fake.fault.set(Some((index, fault)));
            let ended = AssertUnwindSafe(ask(&fake, &request)).catch_unwind().await;
            fake.fault.set(None);
            let resumable = match &ended {
                Ok(Ok(answer)) => answer["Status"] == "Pending",
                Ok(Err(error)) => error.kind() == "VerifyPending",
                Err(_) => false,
            };
            let in_removal = !calls[index..].iter().any(|call| call.starts_with("HeadObject"));
            // The removal is tried again, whatever fails in it; but where the code itself breaks, that is for the next trial.
            let later = resumable || (in_removal && fault == Fault::Panic);
            if !later {
                assert_eq!(objects(&fake), Vec::new(), "{point}");
            }
            // What a holder that died left behind is over by now.
            fake.state.borrow_mut().leases.clear();
            fake.replicator.borrow_mut().pending = 0;
            ask(&fake, &request).await.unwrap();
            assert_eq!(fake.state, undisturbed.state, "{point}, then again");
            points += 1;
        }
    }
    count(points, "fault points of Verify");
}

#[tokio::test(start_paused = true)]
async fn a_right_that_is_missing_is_named_by_the_parameter_that_gives_it() {
    for (action, code) in [
        ("PutObject", "AccessDenied"),
        ("HeadObject", "HTTP 403"),
        ("ListObjectVersions", "AccessDenied"),
    ] {
        let fake = Fake::of(configured().await);
        fake.refusals.set(Some((action, 1, code, Retry::Never)));
        let error = verify(&fake).await.unwrap_err().to_string();
        assert!(
            error.contains(code)
                && error.contains("the template's parameter `AllowVerify` gives this right"),
            "{error}"
        );
    }
}

/// The walk-through's Create with `Verify`, signed that many seconds ago.
fn create_verified(seconds_ago: u64, changes: Value) -> Value {
    let signed_at = SystemTime::now() - Duration::from_secs(seconds_ago);
    let seconds = signed_at.duration_since(UNIX_EPOCH).unwrap().as_secs();
    let date = DateTime::from_secs(i64::try_from(seconds).unwrap())
        .fmt(Format::DateTime)
        .unwrap()
        .replace(['-', ':'], "");
    let mut request =
        signed(custom_resource("Create", json!({"Verify": "true", "ServiceTimeout": null})), &date);
    request["ResourceProperties"]
        .as_object_mut()
        .unwrap()
        .extend(changes.as_object().unwrap().clone());
    request
}

#[tokio::test(start_paused = true)]
async fn a_custom_resource_is_verified_before_it_succeeds() {
    let plain = Fake::of(two_buckets());
    create(&plain, json!({})).await;
    let fake = Fake::of(two_buckets());
    fake.replicator.borrow_mut().pending = 3;
    ask(&fake, &create_verified(0, json!({}))).await.unwrap();
    assert_eq!(only_answer(&fake)["Status"], "SUCCESS");
    assert_eq!(fake.state, plain.state);
    let written =
        |action: &str| fake.writes().iter().position(|call| call.starts_with(action)).unwrap();
    assert!(written("PutBucketReplication") < written("PutObject"));
}

#[tokio::test(start_paused = true)]
async fn cloudformation_is_answered_by_the_delivery_that_sees_the_canary_replicated() {
    let fake = Fake::of(two_buckets());
    fake.replicator.borrow_mut().pending = usize::MAX;
    let error = ask(&fake, &create_verified(0, json!({}))).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.is_transient(), fake.answers.borrow().len()),
        ("VerifyPending", true, 0)
    );
    assert_snapshot!(error, @"`Verify` of rule `demo-source/s3-kms-replication.demo-Replication-a6e2a683`: its canary `Tax.s3-kms-replication-verify/s3-kms-replication.demo-Replication-a6e2a683` is still PENDING; repeat the request to continue with it");
    fake.replicator.borrow_mut().pending = 0;
    // The same request six minutes later: the clock that tells its age stands still, so its date goes back.
    fake.generations.borrow_mut().clear();
    ask(&fake, &create_verified(360, json!({}))).await.unwrap();
    assert_eq!(only_answer(&fake)["Status"], "SUCCESS");
    assert_eq!(objects(&fake), Vec::new());
}

#[tokio::test(start_paused = true)]
async fn cloudformation_is_told_that_the_canary_is_pending_when_the_request_may_not_come_again() {
    for request in [
        create_verified(700, json!({})),
        create_verified(0, json!({"ServiceTimeout": "300"})),
        custom_resource("Create", json!({"Verify": "true"})),
    ] {
        let fake = Fake::of(two_buckets());
        fake.replicator.borrow_mut().pending = usize::MAX;
        ask(&fake, &request).await.unwrap();
        let answer = only_answer(&fake);
        assert_eq!(
            (&answer["Status"], &answer["PhysicalResourceId"]),
            (&json!("FAILED"), &json!(format!("demo-source/{CUSTOM_RULE}")))
        );
        assert!(
            answer["Reason"].as_str().unwrap().contains("is still PENDING after 28"),
            "{answer}"
        );
        assert_eq!(objects(&fake), Vec::new());
    }
}

#[tokio::test(start_paused = true)]
async fn a_canary_that_waits_for_a_delivery_goes_when_that_finds_its_resource_deleted() {
    let fake = Fake::of(two_buckets());
    fake.replicator.borrow_mut().pending = usize::MAX;
    let request = create_verified(60, json!({}));
    ask(&fake, &request).await.unwrap_err();
    let mut delete = custom_resource("Delete", json!({}));
    delete["ResponseURL"] = create_verified(0, json!({}))["ResponseURL"].clone();
    ask(&fake, &delete).await.unwrap();
    assert_eq!(objects(&fake).len(), 1);
    fake.answers.borrow_mut().clear();
    ask(&fake, &request).await.unwrap();
    assert!(only_answer(&fake)["Reason"].as_str().unwrap().contains("has had a later request"));
    assert_eq!(objects(&fake), Vec::new());
}

#[tokio::test(start_paused = true)]
async fn what_keeps_a_rule_from_being_tried_changes_no_id_of_a_resource_that_was_made() {
    let undisturbed = Fake::of(two_buckets());
    ask(&undisturbed, &create_verified(0, json!({}))).await.unwrap();
    let calls = undisturbed.calls.take();
    let released = calls.iter().position(|call| call.starts_with("Release")).unwrap();
    for index in released + 1..calls.len() {
        let fake = Fake::of(two_buckets());
        fake.fault.set(Some((index, Fault::Refused("AccessDenied", Retry::Never))));
        ask(&fake, &create_verified(0, json!({}))).await.unwrap();
        let answer = only_answer(&fake);
        assert_eq!(
            answer["PhysicalResourceId"],
            format!("demo-source/{CUSTOM_RULE}"),
            "call {index}: {answer}"
        );
        assert_eq!(objects(&fake), Vec::new(), "call {index}");
    }
}

/// Handles an event with a policy whose rule asks for `Verify`.
async fn tell(fake: &Fake) -> Result<Value, Error> {
    let policy = r#"{"Rules": [{"Name": "dr", "Match": {"BucketNames": ["prod-*"]}, "DestinationBucket": "demo-destination", "Verify": true,
        "ReplicaKmsKeyArn": "arn:aws:kms:us-west-2:111122223333:alias/dr"}]}"#;
    let policy = Settings::read(|name| (name == "REPLICATION_POLICY").then(|| policy.to_owned()))
        .unwrap()
        .policy;
    let settings = Settings { policy, ..settings() };
    Box::pin(handle(
        &sample("create-bucket"),
        Instant::now() + Duration::from_secs(300),
        fake,
        &settings,
    ))
    .await
    .answer
}

#[tokio::test(start_paused = true)]
async fn a_rule_of_the_policy_is_verified_when_it_was_changed_and_until_its_trial_has_ended() {
    let fake = Fake::of(two_buckets());
    let status = |answer: Result<Value, Error>| {
        answer.unwrap()["Rules"][0]["Status"].as_str().unwrap().to_owned()
    };
    let canaries =
        |fake: &Fake| fake.writes().iter().filter(|call| call.starts_with("PutObject")).count();
    fake.replicator.borrow_mut().pending = usize::MAX;
    let started = Instant::now();
    assert_eq!(tell(&fake).await.unwrap_err().kind(), "VerifyPending");
    assert!((130..160).contains(&started.elapsed().as_secs()), "half of the time is for others");
    fake.replicator.borrow_mut().pending = 0;
    assert_eq!((status(tell(&fake).await), canaries(&fake)), ("Verified".to_owned(), 1));
    assert_eq!((status(tell(&fake).await), canaries(&fake)), ("Unchanged".to_owned(), 1));
    fake.state.borrow_mut().roles.values_mut().for_each(|role| role.policies.clear());
    assert_eq!((status(tell(&fake).await), canaries(&fake)), ("Verified".to_owned(), 2));
    assert_eq!(objects(&fake), Vec::new());
}

#[tokio::test(start_paused = true)]
async fn a_rule_that_was_changed_is_not_judged_by_a_canary_from_before() {
    let fake = Fake::of(configured().await);
    fake.replicator.borrow_mut().pending = usize::MAX;
    verify(&fake).await.unwrap();
    fake.state.borrow_mut().buckets.get_mut("demo-source").unwrap().objects[0]
        .seen
        .as_mut()
        .unwrap()
        .replication = Some(Replication::Failed);
    fake.replicator.take();
    let mut changed = sample("command-apply");
    changed["Verify"] = json!(true);
    changed["StorageClass"] = json!("GLACIER_IR");
    assert_eq!(ask(&fake, &changed).await.unwrap()["Status"], "Verified");
    assert_eq!(objects(&fake), Vec::new());
}

#[tokio::test(start_paused = true)]
async fn a_locked_bucket_is_not_to_be_verified_and_nothing_is_changed() {
    let mut state = two_buckets();
    state.buckets.get_mut("demo-destination").unwrap().object_lock = true;
    let fake = Fake::of(state);
    ask(&fake, &create_verified(0, json!({}))).await.unwrap();
    assert!(
        only_answer(&fake)["Reason"]
            .as_str()
            .unwrap()
            .contains("`demo-destination` has S3 Object Lock")
    );
    assert_eq!(fake.writes(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn cloudformation_is_answered_in_time_when_the_canary_cannot_be_removed() {
    let answered = async |fault: Option<usize>| {
        let fake = Fake::of(two_buckets());
        fake.replicator.borrow_mut().pending = usize::MAX;
        fake.fault.set(fault.map(|index| (index, Fault::Hangs)));
        let started = Instant::now();
        ask(&fake, &custom_resource("Create", json!({"Verify": "true", "ServiceTimeout": "6"})))
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
    let looked = calls.iter().rposition(|call| call.starts_with("HeadObject")).unwrap();
    for index in looked + 1..calls.len() {
        answered(Some(index)).await;
    }
}
