//! Canaries of earlier requests: which one still shows something, and that none stays or is forgotten, wherever a request is killed.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use s3_kms_replication::config::Settings;
use s3_kms_replication::model::{
    Encryption, ObjectVersion, RecordedRequest, ReplicationStatus, Retry,
};
use serde_json::{Value, json};

use crate::support::*;

const KEY: &str = "Tax.s3-kms-replication-verify/demo-source/s3-kms-replication.demo-destination";

/// Handles a payload until call `index` has been made, and then no further. Returns whether the request was killed there.
async fn killed_at(fake: &Fake, payload: &Value, settings: &Settings, index: usize) -> bool {
    let was_killed = {
        let mut work = pin!(invoke_with(fake, payload, settings));
        poll_fn(|context| match work.as_mut().poll(context) {
            Poll::Ready(_) => Poll::Ready(false),
            Poll::Pending if fake.calls.borrow().len() > index => Poll::Ready(true),
            Poll::Pending => Poll::Pending,
        })
        .await
    };
    // What a holder that died has left has expired when the request comes again.
    fake.state.borrow_mut().leases.clear();
    was_killed
}

fn object(key: &str, version: &str, content: ObjectVersion) -> Object {
    let (key, version) = (key.to_owned(), version.to_owned());
    Object { key, version, tags: BTreeMap::new(), content: Some(content) }
}

fn version(replication: Option<ReplicationStatus>, age: u64) -> ObjectVersion {
    let kms_key = Some(SOURCE_KEY.to_owned());
    ObjectVersion { replication, kms_key, last_modified: Some(now() - age) }
}

fn replica() -> ObjectVersion {
    let kms_key = Some(REPLICA_KEY.to_owned());
    ObjectVersion { replication: Some(ReplicationStatus::Replica), kms_key, last_modified: None }
}

/// A fake whose rule is configured, with these versions of the canary at the source, and a replica of each.
async fn with_canary(content: ObjectVersion) -> Fake {
    let mut state = configured().await;
    state.bucket_mut("demo-source").objects.push(object(KEY, "earlier", content));
    state.bucket_mut("demo-destination").objects.push(object(KEY, "earlier", replica()));
    Fake::new(state)
}

#[tokio::test(start_paused = true)]
async fn invariant_11_only_a_young_or_pending_canary_of_an_earlier_request_counts() {
    const DAY: u64 = 24 * 60 * 60;
    let completed = Some(ReplicationStatus::Completed);
    let mut points = 0;
    for (replication, age, is_resumed) in [
        (completed, 60, true),
        (completed, 20 * 60, false),
        (completed, DAY, false),
        (Some(ReplicationStatus::Failed), DAY, false),
        (Some(ReplicationStatus::Replica), 60, false),
        (None, 60, false),
        (None, DAY, false),
    ] {
        let fake = with_canary(version(replication, age)).await;
        // Rights were removed meanwhile.
        fake.replicator.borrow_mut().fails = true;
        let result = verify(&fake).await;
        let point = format!("{replication:?}, {age} seconds old: {result:?}");
        assert_eq!(result.is_ok(), is_resumed, "{point}");
        assert_eq!(fake.count("PutObject"), usize::from(!is_resumed), "{point}");
        assert_eq!(fake.objects(), Vec::new(), "{point}");
        points += 1;
    }
    let mut undated = version(completed, 0);
    undated.last_modified = None;
    let fake = with_canary(undated).await;
    assert_eq!(
        (verify(&fake).await.unwrap()["Status"].clone(), fake.count("PutObject")),
        (json!("Verified"), 1)
    );
    let fake = with_canary(version(Some(ReplicationStatus::Pending), DAY)).await;
    fake.state.borrow_mut().bucket_mut("demo-destination").objects.clear();
    fake.replicator.borrow_mut().pending = 1;
    assert_eq!(
        (verify(&fake).await.unwrap()["Status"].clone(), fake.count("PutObject")),
        (json!("Verified"), 0)
    );
    print_count(points + 2, "canaries of earlier requests");
}

/// The state in which a Verify was killed before its first DELETE: canary and replica are there.
async fn with_left_canary() -> (State, BTreeMap<String, RecordedRequest>) {
    let fake = Fake::new(configured().await);
    let undisturbed = Fake::new(fake.state.borrow().clone());
    verify(&undisturbed).await.unwrap();
    let first = undisturbed.position("DeleteObject");
    assert!(killed_at(&fake, &sample("command-verify"), &settings(), first).await);
    assert_eq!(fake.objects().len(), 2);
    (fake.state.take(), fake.generations.take())
}

#[tokio::test(start_paused = true)]
async fn no_canary_stays_after_any_next_request_wherever_that_is_killed() {
    let (mut left, records) = with_left_canary().await;
    left.buckets.insert("second".to_owned(), Bucket::new("us-west-2"));
    let apply = |changes: Value| {
        let named = json!({"Name": "demo-destination"});
        merged(merged(sample("command-apply"), named), changes)
    };
    let mut points = 0;
    for (next, request) in [
        ("Delete", sample("command-delete")),
        ("Apply without Verify", apply(json!({}))),
        ("another prefix", apply(json!({"Prefix": "Vat"}))),
        ("another destination", apply(json!({"DestinationBucket": "second"}))),
        ("Apply with Verify", apply(json!({"Verify": true}))),
        ("Verify", sample("command-verify")),
    ] {
        let start = || {
            let fake = Fake::new(left.clone());
            fake.generations.replace(records.clone());
            fake
        };
        let undisturbed = start();
        invoke(&undisturbed, &request).await.unwrap();
        assert_eq!(undisturbed.objects(), Vec::new(), "{next}");
        let calls = undisturbed.calls.borrow().len();
        for index in 0..calls {
            let fake = start();
            killed_at(&fake, &request, &settings(), index).await;
            invoke(&fake, &request).await.unwrap();
            assert_eq!(fake.objects(), Vec::new(), "{next}, killed at call {index}");
            assert_eq!(fake.state, undisturbed.state, "{next}, killed at call {index}");
            points += 1;
        }
    }
    print_count(points, "kills of requests after a verification that was killed");
}

#[tokio::test(start_paused = true)]
async fn invariant_4_more_versions_than_one_answer_lists_are_removed() {
    let fake = Fake::new(configured().await);
    for name in ["demo-source", "demo-destination"] {
        let objects = (0..2_500).map(|number| Object {
            content: (number % 2 == 0).then(|| version(None, 60)),
            ..object(KEY, &format!("many-{number}"), replica())
        });
        fake.state.borrow_mut().bucket_mut(name).objects.extend(objects);
    }
    assert_eq!(verify(&fake).await.unwrap()["Status"], "Verified");
    assert_eq!(fake.objects(), Vec::new());
}

#[tokio::test(start_paused = true)]
async fn canary_that_one_end_alone_has_is_removed_before_its_rule_is_deleted() {
    const FORMER: &str = "Tax.s3-kms-replication-verify/s3-kms-replication.demo-destination";
    for (case, bucket, key) in [
        ("source", "demo-source", KEY),
        ("source, of version 0.1.0", "demo-source", FORMER),
        ("destination", "demo-destination", KEY),
    ] {
        let mut state = configured().await;
        state.bucket_mut(bucket).objects.push(object(key, "left", version(None, 60)));
        let fake = Fake::new(state);
        invoke(&fake, &sample("command-delete")).await.unwrap();
        assert_eq!(fake.objects(), Vec::new(), "{case}");
        assert!(fake.position("DeleteObject") < fake.position("DeleteBucketReplication"), "{case}");
    }
}

#[tokio::test(start_paused = true)]
async fn canaries_of_version_0_1_0_are_removed_and_those_of_other_sources_stay() {
    let former = "Tax.s3-kms-replication-verify/s3-kms-replication.demo-destination";
    for request in [sample("command-verify"), sample("command-delete")] {
        let fake = Fake::new(configured().await);
        let theirs = object(former, "theirs", replica());
        {
            let mut state = fake.state.borrow_mut();
            let ours = object(former, "ours", version(Some(ReplicationStatus::Completed), 60));
            state.bucket_mut("demo-source").objects.push(ours);
            let replicas = [object(former, "ours", replica()), theirs.clone()];
            state.bucket_mut("demo-destination").objects.extend(replicas);
        }
        invoke(&fake, &request).await.unwrap();
        assert_eq!(fake.objects(), [theirs]);
    }
}

#[tokio::test(start_paused = true)]
async fn replica_of_a_canary_of_version_0_1_0_is_removed_although_the_look_for_it_is_denied() {
    let former = "Tax.s3-kms-replication-verify/s3-kms-replication.demo-destination";
    let mut state = configured().await;
    let ours = object(former, "ours", version(Some(ReplicationStatus::Completed), 60));
    state.bucket_mut("demo-source").objects.push(ours);
    state.bucket_mut("demo-destination").objects.push(object(former, "ours", replica()));
    let delete = sample("command-delete");
    let undisturbed = Fake::new(state.clone());
    invoke(&undisturbed, &delete).await.unwrap();
    let is_look = |call: &Call| {
        call.operation == "ListObjectVersions" && call.resource.ends_with("`demo-destination`")
    };
    let look = undisturbed.calls.take().iter().position(is_look).unwrap();
    let fake = Fake::new(state);
    fake.fail_call(look, Fault::Refused("AccessDenied", Retry::Never));
    invoke(&fake, &delete).await.unwrap();
    assert_eq!(fake.objects(), Vec::new());
}

#[tokio::test(start_paused = true)]
async fn two_sources_with_one_destination_and_one_rule_name_keep_each_others_replicas() {
    let fake = Fake::new(configured().await);
    let of_other = |request: &str| {
        merged(sample(request), json!({"SourceBucket": "prod-orders", "Name": "demo-destination"}))
    };
    invoke(&fake, &of_other("command-apply")).await.unwrap();
    fake.replicator.borrow_mut().pending = 3;
    fake.clear();
    let verify_other = of_other("command-verify");
    let (one, other) = tokio::join!(verify(&fake), invoke(&fake, &verify_other));
    assert_eq!([&one.unwrap()["Status"], &other.unwrap()["Status"]], ["Verified", "Verified"]);
    assert_eq!((fake.count("PutObject"), fake.objects()), (2, Vec::new()));
    let deleted: Vec<String> = fake.writes().iter().map(ToString::to_string).collect();
    let of_destination = |key: &str| {
        deleted.iter().filter(|write| write.starts_with("Delete") && write.contains(key)).count()
    };
    assert_eq!(
        (of_destination("/demo-source/"), of_destination("/prod-orders/")),
        (2, 2),
        "{deleted:#?}"
    );
}

/// The settings with a policy whose rule asks for `Verify`.
fn verifying() -> Settings {
    let policy = r#"{"Rules": [{"Name": "dr", "Match": {"BucketNames": ["prod-*"]}, "DestinationBucket": "demo-destination", "Verify": true,
        "ReplicaKmsKeyArn": "arn:aws:kms:us-west-2:111122223333:alias/dr"}]}"#;
    let policy = environment(&[("REPLICATION_POLICY", policy)]).policy;
    Settings { policy, ..settings() }
}

#[tokio::test(start_paused = true)]
async fn verification_of_an_event_is_not_forgotten_wherever_the_event_is_killed() {
    let (event, settings) = (sample("create-bucket"), verifying());
    let undisturbed = Fake::new(two_buckets());
    invoke_with(&undisturbed, &event, &settings).await.unwrap();
    let calls = undisturbed.calls.take();
    let ended = calls.iter().rposition(|call| call.operation == "RecordGeneration").unwrap();
    let mut points = 0;
    for (index, call) in calls.iter().enumerate() {
        let fake = Fake::new(two_buckets());
        killed_at(&fake, &event, &settings, index).await;
        let answer = invoke_with(&fake, &event, &settings).await.unwrap();
        let status = &answer["Rules"][0]["Status"];
        let is_verified = *status == "Verified" || (index > ended && *status == "Unchanged");
        assert!(is_verified, "{status} after a kill at call {index}, {call}");
        assert_eq!((fake.objects(), &fake.state), (Vec::new(), &undisturbed.state), "{index}");
        let again = invoke_with(&fake, &event, &settings).await.unwrap();
        assert_eq!(again["Rules"][0]["Status"], "Unchanged", "the verification ends");
        points += 1;
    }
    print_count(points, "kills of an event with Verify");
}

#[tokio::test(start_paused = true)]
async fn without_a_record_a_canary_at_either_end_shows_that_a_verification_is_due() {
    let settings = Settings { lock_table: None, ..verifying() };
    let event = sample("create-bucket");
    let fake = Fake::new(two_buckets());
    invoke_with(&fake, &event, &settings).await.unwrap();
    let key = ".s3-kms-replication-verify/prod-orders/s3-kms-replication.dr";
    fake.state.borrow_mut().bucket_mut("demo-destination").objects.push(object(
        key,
        "1",
        replica(),
    ));
    let answer = invoke_with(&fake, &event, &settings).await.unwrap();
    assert_eq!((&answer["Rules"][0]["Status"], fake.objects()), (&json!("Verified"), Vec::new()));
}

#[tokio::test(start_paused = true)]
async fn invariant_11_canary_is_encrypted_with_a_granted_key_where_the_bucket_does_not_use_kms() {
    let fake = Fake::new(configured().await);
    fake.state.borrow_mut().bucket_mut("demo-source").encryption = Encryption::S3;
    fake.replicator.borrow_mut().pending = usize::MAX;
    assert_eq!(verify(&fake).await.unwrap()["Status"], "Pending");
    let canary = fake.objects().remove(0).content.unwrap();
    assert_eq!(canary.kms_key.as_deref(), Some(SOURCE_KEY));
    // The replica shows what the rule does with the key.
    fake.replicator.replace(Replicator { keeps_key: true, ..Replicator::default() });
    let wrong = verify(&fake).await.unwrap_err().to_string();
    assert!(wrong.contains("its replica is encrypted with the source object's key"), "{wrong}");

    // A canary without a key, which an earlier request has written, shows nothing about the keys.
    let plain = ObjectVersion { kms_key: None, ..version(Some(ReplicationStatus::Pending), 60) };
    fake.state.borrow_mut().bucket_mut("demo-source").objects.push(object(KEY, "plain", plain));
    fake.replicator.take();
    fake.clear();
    let answer = verify(&fake).await.unwrap();
    assert_eq!((fake.count("PutObject"), &answer["Status"]), (1, &json!("Verified")));
    assert!(!answer.to_string().contains("nothing about the rule's keys"), "{answer}");

    fake.state.borrow_mut().role_mut(OWN_ROLE_NAME).policies.clear();
    let answer = verify(&fake).await.unwrap();
    assert!(answer.to_string().contains("nothing about the rule's keys"), "{answer}");
}

#[tokio::test(start_paused = true)]
async fn one_request_writes_at_most_eight_canaries() {
    let fake = Fake::new(configured().await);
    fake.replicator.borrow_mut().unnoticed = usize::MAX;
    verify(&fake).await.unwrap_err();
    assert_eq!((fake.count("PutObject"), fake.objects()), (8, Vec::new()));
}

/// The number that the record of the rule's verifications has: odd while one is open.
fn verification_number(fake: &Fake) -> Option<u64> {
    let generations = fake.generations.borrow();
    let found = generations.iter().find(|(id, _)| id.ends_with("/verification"));
    found.map(|(_, recorded)| recorded.generation)
}

#[tokio::test(start_paused = true)]
async fn verifications_that_begin_at_once_get_different_numbers() {
    let mut points = 0;
    for pauses in 0..30 {
        let fake = Fake::new(configured().await);
        let later = async {
            for _ in 0..pauses {
                tokio::task::yield_now().await;
            }
            verify(&fake).await
        };
        let (one, two) = tokio::join!(verify(&fake), later);
        assert!(one.is_ok() && two.is_ok(), "after {pauses} pauses: {one:?} {two:?}");
        let number = verification_number(&fake).unwrap();
        assert!(number >= 4 && number.is_multiple_of(2), "after {pauses} pauses: {number}");
        assert_eq!(fake.objects(), Vec::new());
        points += 1;
    }
    print_count(points, "pairs of verifications");
}

#[tokio::test(start_paused = true)]
async fn verification_that_failed_in_a_call_is_not_recorded_as_ended() {
    for (code, retry, is_open) in [
        ("SlowDown", Retry::NextInvocation, true),
        ("InternalError", Retry::Soon, true),
        ("AccessDenied", Retry::Never, false),
    ] {
        let fake = Fake::new(configured().await);
        fake.refuse("HeadObject", usize::MAX, code, retry);
        verify(&fake).await.unwrap_err();
        assert_eq!(fake.objects(), Vec::new(), "{code}");
        let number = verification_number(&fake).unwrap();
        assert_eq!(number % 2 == 1, is_open, "{code}: {number}");
    }
}
