//! Invariant 6: several writers of one bucket's configuration.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::join_all;
use s3_kms_replication::config::Settings;
use s3_kms_replication::model::Retry;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::support::*;

const WRITERS: usize = 20;

/// Twenty requests at once, each for a rule of its own on one bucket: what AWS holds in the end, and the errors.
async fn twenty_at_once(settings: &Settings) -> (State, Vec<String>) {
    let fake = Fake::new(two_buckets());
    // There is a role to share already.
    invoke(&fake, &sample("command-apply")).await.unwrap();
    let requests: Vec<Value> = (0..WRITERS)
        .map(|writer| {
            let mut request = sample("command-apply");
            request["Name"] = json!(format!("rule-{writer}"));
            request["Prefix"] = json!(format!("prefix-{writer}/"));
            request
        })
        .collect();
    let invoke = async |request: &Value| invoke_with(&fake, request, settings).await;
    let answers = join_all(requests.iter().map(invoke)).await;
    (
        fake.state.take(),
        answers
            .into_iter()
            .filter_map(|answer| answer.err().map(|error| error.to_string()))
            .collect(),
    )
}

fn rules_and_policies(state: &State) -> (Vec<String>, Vec<String>) {
    let configuration = state.buckets["demo-source"].replication.as_ref().unwrap();
    let mut rules: Vec<String> =
        configuration.rules().map(|rule| rule.id().unwrap().to_owned()).collect();
    rules.sort();
    (rules, state.roles["s3-crr-demo-source"].policies.keys().cloned().collect())
}

#[tokio::test(start_paused = true)]
async fn invariant_6_no_rule_is_lost_between_twenty_writers() {
    let (state, errors) = twenty_at_once(&settings()).await;
    let (rules, policies) = rules_and_policies(&state);
    assert_eq!(rules, policies, "a rule for each policy, and a policy for each rule");
    assert_eq!(rules.len() + errors.len(), 1 + WRITERS);
    let length: usize = state.roles["s3-crr-demo-source"].policies.values().map(String::len).sum();
    let one = length / rules.len();
    assert!(
        length <= 10_240 && length + one > 10_240,
        "{} rules are all that 10,240 characters admit",
        rules.len()
    );
    for error in errors {
        assert!(error.contains("IAM allows 10240"), "{error}");
    }
    assert_eq!(state.leases, BTreeMap::new());
}

#[tokio::test(start_paused = true)]
async fn invariant_6_rules_are_lost_between_twenty_writers_without_the_lease() {
    let (state, _) = twenty_at_once(&Settings { lock_table: None, ..settings() }).await;
    let (rules, policies) = rules_and_policies(&state);
    assert_ne!(rules, policies);
}

#[tokio::test(start_paused = true)]
async fn invariant_6_expired_lease_is_acquired_and_held_lease_is_waited_for() {
    let held = |expires_at| {
        let mut state = two_buckets();
        state.leases.insert("demo-source".to_owned(), ("another".to_owned(), expires_at));
        Fake::new(state)
    };
    assert_eq!(create(&held(0), json!({})).await["Status"], "SUCCESS");
    let fake = held(u64::MAX);
    let answer = create(&fake, json!({})).await;
    assert_eq!(
        answer["Reason"],
        "waited for another writer of `demo-source` until the time ran out"
    );
    assert_eq!(fake.writes(), []);
    assert_eq!(fake.state.borrow().leases["demo-source"].0, "another");
}

#[tokio::test(start_paused = true)]
async fn invariant_6_lease_is_acquired_only_to_write_and_a_recent_holder_causes_a_new_read() {
    let now = now();
    for (ended, reads) in [(None, 0), (Some(now - 60), 0), (Some(now - 1), 1), (Some(now), 1)] {
        let fake = Fake::new(two_buckets());
        fake.released.borrow_mut().extend(ended.map(|ended| ("demo-source".to_owned(), ended)));
        create(&fake, json!({})).await;
        let (acquired, released) = (fake.position("AcquireLease"), fake.position("ReleaseLease"));
        let before_writing = acquired..fake.first_write();
        let calls = fake.calls.take();
        let under_it =
            calls[before_writing].iter().filter(|call| call.operation == "GetBucketReplication");
        assert_eq!(under_it.count(), reads, "the lease before ended {ended:?}");
        assert_eq!(released, calls.len() - 1);

        create(&fake, json!({})).await;
        assert_eq!(fake.count("AcquireLease"), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn refused_request_neither_waits_for_nor_keeps_a_lease() {
    let unsigned = custom_resource("Create", json!({}));
    let signed = signed(unsigned.clone(), "20261122T080000Z");
    for (held, request) in
        [(true, &unsigned), (false, &unsigned), (true, &signed), (false, &signed)]
    {
        let fake = Fake::new(two_buckets());
        let theirs = "arn:aws:iam::111122223333:role/theirs";
        fake.state.borrow_mut().bucket_mut("demo-source").replication =
            replicating(theirs, vec![foreign_rule("theirs", 1)]);
        let leases: BTreeMap<_, _> = held
            .then(|| ("demo-source".to_owned(), ("another".to_owned(), u64::MAX)))
            .into_iter()
            .collect();
        fake.state.borrow_mut().leases = leases.clone();
        let started = Instant::now();
        invoke(&fake, request).await.unwrap();
        let answer = only_answer(&fake);
        assert!(answer["Reason"].as_str().unwrap().contains("ExistingRole"), "{answer}");
        assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());
        assert_eq!(fake.state.borrow().leases, leases);
    }
}

#[tokio::test(start_paused = true)]
async fn invariant_4_delete_during_its_own_create_leaves_nothing() {
    let created = Fake::new(two_buckets());
    let (create, delete) = (
        signed(custom_resource("Create", json!({})), "20261122T080000Z"),
        signed(custom_resource("Delete", json!({})), "20261122T080000Z"),
    );
    invoke(&created, &create).await.unwrap();
    let calls = created.calls.borrow().len();
    for at in 0..=calls {
        let fake = Fake::new(two_buckets());
        let deleting = async {
            while fake.calls.borrow().len() < at {
                tokio::task::yield_now().await;
            }
            invoke(&fake, &delete).await
        };
        let (deleted, created) = tokio::join!(deleting, invoke(&fake, &create));
        assert!(created.is_ok() && deleted.is_ok(), "after {at} calls of {calls}");
        assert_eq!(fake.state.borrow().roles, BTreeMap::new(), "after {at} calls of {calls}");
        assert_eq!(
            fake.state.borrow().buckets["demo-source"].replication,
            None,
            "after {at} calls of {calls}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn superseded_request_undoes_no_later_one() {
    let fake = Fake::new(two_buckets());
    for (request_type, date, rules) in [
        ("Create", "20261122T080000Z", 1),
        ("Create", "20261122T080000Z", 1),
        ("Delete", "20261122T080130Z", 0),
        ("Create", "20261122T080000Z", 0),
        ("Update", "20261122T080100Z", 0),
        ("Delete", "20261122T080130Z", 0),
        ("Create", "20261122T080131Z", 1),
        ("Delete", "20261122T080130Z", 1),
    ] {
        invoke(&fake, &signed(custom_resource(request_type, json!({})), date)).await.unwrap();
        let state = fake.state.borrow();
        let configuration = state.buckets["demo-source"].replication.as_ref();
        assert_eq!(
            configuration.map_or(0, |configuration| configuration.rules().count()),
            rules,
            "{request_type} of {date}"
        );
    }
    assert!(fake.answers.borrow()[3].contains("has had a later request than this one"));
}

#[tokio::test(start_paused = true)]
async fn lease_is_released_when_the_holder_panics_or_the_answer_is_lost() {
    let undisturbed = Fake::new(two_buckets());
    create(&undisturbed, json!({})).await;
    let (acquire, first_write) = (undisturbed.position("AcquireLease"), undisturbed.first_write());
    let calls = undisturbed.calls.take();
    let panics = (acquire + 1..first_write).map(|index| (index, Fault::Panic));
    for (index, fault) in panics.chain([(acquire, Fault::AnswerLost)]) {
        let fake = Fake::new(two_buckets());
        fake.fail_call(index, fault);
        assert_eq!(create(&fake, json!({})).await["Status"], "FAILED");
        assert_eq!(fake.state.borrow().leases, BTreeMap::new(), "{fault:?} of {}", calls[index]);
    }
}

#[tokio::test(start_paused = true)]
async fn invariant_6_lease_outlives_a_write_that_was_not_answered_by_a_minute() {
    let undisturbed = Fake::new(two_buckets());
    create(&undisturbed, json!({})).await;
    let timed_out = Fault::Refused("TimedOut", Retry::NextInvocation);
    for (operation, fault, is_other_call_denied) in [
        ("PutBucketReplication", timed_out, false),
        // Also when another call of its stage has failed before.
        ("CreateRole", timed_out, true),
        ("PutRolePolicy", Fault::Panic, false),
    ] {
        let fake = Fake::new(two_buckets());
        fake.fail_call(undisturbed.position(operation), fault);
        if is_other_call_denied {
            fake.refuse("PutBucketVersioning", 1, "AccessDenied", Retry::Never);
        }
        create(&fake, json!({})).await;
        let now = now();
        let (_, ends) = fake.state.borrow().leases["demo-source"];
        assert!((now + 59..=now + 62).contains(&ends), "{operation}: {}", ends - now);
    }
}

#[tokio::test(start_paused = true)]
async fn invariant_6_lease_outlives_the_deadline_of_its_holder() {
    let fake = Fake::new(two_buckets());
    fake.refuse("PutBucketReplication", 3, "InvalidRequest", Retry::Soon);
    let looking = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        fake.state.borrow().leases["demo-source"].1
    };
    let now = now();
    let (_, ends) = tokio::join!(create(&fake, json!({"ServiceTimeout": "60"})), looking);
    assert!((now + 50 + 60..=now + 50 + 63).contains(&ends), "{}", ends - now);
}

#[tokio::test(start_paused = true)]
async fn invariant_5_hanging_lease_release_leaves_time_for_the_answer() {
    let undisturbed = Fake::new(two_buckets());
    create(&undisturbed, json!({})).await;
    let release = undisturbed.position("ReleaseLease");
    for (timeout, waited) in [("4", 1), ("300", 2)] {
        let fake = Fake::new(two_buckets());
        fake.fail_call(release, Fault::Hangs);
        let started = Instant::now();
        assert_eq!(create(&fake, json!({"ServiceTimeout": timeout})).await["Status"], "SUCCESS");
        assert_eq!(started.elapsed().as_secs_f64().round() as u64, waited);
    }
}

#[tokio::test(start_paused = true)]
async fn request_with_an_empty_plan_waits_for_an_earlier_writer() {
    let fake = Fake::new(two_buckets());
    invoke(&fake, &signed(custom_resource("Create", json!({})), "20261122T080000Z")).await.unwrap();
    let asked = fake.state.borrow().clone();
    fake.state
        .borrow_mut()
        .leases
        .insert("demo-source".to_owned(), ("an earlier Update".to_owned(), u64::MAX));
    let earlier = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let mut state = fake.state.borrow_mut();
        state.edit_replication("demo-source", "<Prefix>Tax<", "<Prefix>Vat<");
        let (_, ended) = state.leases.remove("demo-source").unwrap();
        fake.released.borrow_mut().insert("demo-source".to_owned(), ended);
    };
    let later = signed(custom_resource("Update", json!({"Prefix": "Tax"})), "20261122T080001Z");
    let (answered, ()) = tokio::join!(invoke(&fake, &later), earlier);
    answered.unwrap();
    assert_eq!(*fake.state.borrow(), asked);
}

#[tokio::test(start_paused = true)]
async fn invariant_5_answer_is_in_time_when_the_state_changes_at_every_replan() {
    for _ in 0..50 {
        let fake = Fake::new(two_buckets());
        fake.refuse("PutBucketReplication", usize::MAX, "NoSuchEntity", Retry::Replan);
        let started = Instant::now();
        create(&fake, json!({"ServiceTimeout": "40"})).await;
        assert!(started.elapsed() <= Duration::from_secs(32), "{:?}", started.elapsed());
    }
}

/// Creates our rule while others write theirs, a little later.
async fn created_while_others_write(fake: &Fake, later: Duration) {
    let theirs = async {
        tokio::time::sleep(later).await;
        let mut state = fake.state.borrow_mut();
        state.bucket_mut("demo-source").replication =
            replicating(OWN_ROLE, vec![foreign_rule("theirs", 7)]);
    };
    let (answer, ()) = tokio::join!(create(fake, json!({})), theirs);
    assert_eq!(answer["Status"], "SUCCESS", "{answer}");
    let state = fake.state.borrow();
    let ids: Vec<_> = state.buckets["demo-source"]
        .replication
        .as_ref()
        .unwrap()
        .rules()
        .filter_map(|rule| rule.id())
        .collect();
    assert_eq!((ids.len(), ids[0]), (2, "theirs"));
}

#[tokio::test(start_paused = true)]
async fn invariant_2_foreign_rule_written_during_retries_survives() {
    let fake = Fake::new(two_buckets());
    // Long enough for what was observed to be no longer fresh.
    fake.refuse("PutBucketReplication", 6, "InvalidRequest", Retry::Soon);
    created_while_others_write(&fake, Duration::from_secs(3)).await;
}

#[tokio::test(start_paused = true)]
async fn invariant_2_foreign_rule_written_during_a_slow_read_survives() {
    let undisturbed = Fake::new(two_buckets());
    create(&undisturbed, json!({})).await;
    let read = undisturbed.position("GetBucketReplication");
    for slow in read + 1..undisturbed.position("PutBucketReplication") {
        let fake = Fake::new(two_buckets());
        fake.fail_call(slow, Fault::Slow);
        created_while_others_write(&fake, Duration::from_secs(1)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn lease_is_released_at_once_when_only_reads_ran_out_of_time() {
    let undisturbed = Fake::new(two_buckets());
    create(&undisturbed, json!({})).await;
    let (acquire, first_write) = (undisturbed.position("AcquireLease"), undisturbed.first_write());
    let calls = undisturbed.calls.take();
    for (index, call) in calls.iter().enumerate().take(first_write).skip(acquire + 1) {
        let fake = Fake::new(two_buckets());
        fake.fail_call(index, Fault::Hangs);
        let answer = create(&fake, json!({})).await;
        assert_eq!(answer["Reason"], "ran out of time while AWS's state was read");
        assert_eq!(fake.state.borrow().leases, BTreeMap::new(), "{call}");
    }
}
