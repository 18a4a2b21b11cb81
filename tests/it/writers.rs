//! Invariant 6: several writers of one bucket's configuration.

use futures_util::future::join_all;
use serde_json::json;

use s3_kms_replication::model::Retry;

use crate::fake::{Fake, Fault, State};
use crate::*;

const WRITERS: usize = 20;

/// Twenty requests at once, each for a rule of its own on one bucket: what AWS holds in the end, and the errors.
async fn twenty_at_once(settings: &Settings) -> (State, Vec<String>) {
    let fake = Fake::of(two_buckets());
    let end = Instant::now() + Duration::from_secs(300);
    // There is a role to share already.
    ask(&fake, &sample("command-apply")).await.unwrap();
    let requests: Vec<Value> = (0..WRITERS)
        .map(|writer| {
            let mut request = sample("command-apply");
            request["Name"] = json!(format!("rule-{writer}"));
            request["Prefix"] = json!(format!("prefix-{writer}/"));
            request
        })
        .collect();
    let answers = join_all(
        requests
            .iter()
            .map(async |request| Box::pin(handle(request, end, &fake, settings)).await.answer),
    )
    .await;
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
        configuration.rules().iter().map(|rule| rule.id().unwrap().to_owned()).collect();
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
async fn without_the_lease_rules_are_lost_so_the_test_above_tests_it() {
    let (state, _) = twenty_at_once(&Settings { lock_table: None, ..settings() }).await;
    let (rules, policies) = rules_and_policies(&state);
    assert_ne!(rules, policies);
}

#[tokio::test(start_paused = true)]
async fn a_lease_is_taken_over_when_its_holders_time_is_over_and_waited_for_until_then() {
    let held = |expires_at| {
        let mut state = two_buckets();
        state.leases.insert("demo-source".to_owned(), ("another".to_owned(), expires_at));
        Fake::of(state)
    };
    assert_eq!(create(&held(0), json!({})).await["Status"], "SUCCESS");
    let fake = held(u64::MAX);
    let answer = create(&fake, json!({})).await;
    assert_eq!(
        answer["Reason"],
        "waited for another writer of `demo-source` until the time ran out"
    );
    assert_eq!(fake.writes(), Vec::<String>::new());
    assert_eq!(fake.state.borrow().leases["demo-source"].0, "another");
}

#[tokio::test(start_paused = true)]
async fn a_lease_is_taken_only_to_write_and_the_state_is_read_again_under_it_if_another_may_have_written()
 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    for (ended, reads) in [(None, 0), (Some(now - 60), 0), (Some(now - 1), 1), (Some(now), 1)] {
        let fake = Fake::of(two_buckets());
        fake.released.borrow_mut().extend(ended.map(|ended| ("demo-source".to_owned(), ended)));
        create(&fake, json!({})).await;
        let calls = fake.calls.take();
        let position = |name: &str| calls.iter().position(|call| call.starts_with(name)).unwrap();
        let under_it = calls[position("Acquire")..position("! ")]
            .iter()
            .filter(|call| call.starts_with("GetBucketReplication"));
        assert_eq!(under_it.count(), reads, "the lease before ended {ended:?}");
        assert_eq!(position("Release"), calls.len() - 1);

        create(&fake, json!({})).await;
        assert!(!fake.calls.borrow().iter().any(|call| call.starts_with("Acquire")));
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_refused_waits_for_no_lease_and_keeps_none() {
    for held in [true, false] {
        let fake = Fake::of(two_buckets());
        let theirs = "arn:aws:iam::111122223333:role/theirs";
        fake.state.borrow_mut().buckets.get_mut("demo-source").unwrap().replication =
            replicating(theirs, vec![foreign_rule("theirs", 1)]);
        let leases: BTreeMap<_, _> = held
            .then(|| ("demo-source".to_owned(), ("another".to_owned(), u64::MAX)))
            .into_iter()
            .collect();
        fake.state.borrow_mut().leases = leases.clone();
        let started = Instant::now();
        let answer = create(&fake, json!({})).await;
        assert!(answer["Reason"].as_str().unwrap().contains("ExistingRole"), "{answer}");
        assert!(started.elapsed() < Duration::from_secs(1));
        assert_eq!(fake.state.borrow().leases, leases);
    }
}

#[tokio::test(start_paused = true)]
async fn a_delete_that_overtakes_its_own_create_at_any_call_leaves_nothing() {
    let created = Fake::of(two_buckets());
    let (create, delete) = (
        signed(custom_resource("Create", json!({})), "20261122T080000Z"),
        signed(custom_resource("Delete", json!({})), "20261122T080000Z"),
    );
    ask(&created, &create).await.unwrap();
    let calls = created.calls.borrow().len();
    for at in 0..=calls {
        let fake = Fake::of(two_buckets());
        let deleting = async {
            while fake.calls.borrow().len() < at {
                tokio::task::yield_now().await;
            }
            ask(&fake, &delete).await
        };
        let (deleted, created) = tokio::join!(deleting, ask(&fake, &create));
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
async fn a_request_that_comes_late_or_again_undoes_no_later_one() {
    let fake = Fake::of(two_buckets());
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
        ask(&fake, &signed(custom_resource(request_type, json!({})), date)).await.unwrap();
        let state = fake.state.borrow();
        let configuration = state.buckets["demo-source"].replication.as_ref();
        assert_eq!(
            configuration.map_or(0, |configuration| configuration.rules().len()),
            rules,
            "{request_type} of {date}"
        );
    }
    assert!(fake.answers.borrow()[3].contains("has had a later request than this one"));
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_was_lost_on_the_way_or_in_a_panic_is_given_back() {
    let undisturbed = Fake::of(two_buckets());
    create(&undisturbed, json!({})).await;
    let calls = undisturbed.calls.take();
    let acquire = calls.iter().position(|call| call.starts_with("Acquire")).unwrap();
    let first_write = calls.iter().position(|call| call.starts_with("! ")).unwrap();
    let panics = (acquire + 1..first_write).map(|index| (index, Fault::Panic));
    for (index, fault) in panics.chain([(acquire, Fault::AnswerLost)]) {
        let fake = Fake::of(two_buckets());
        fake.fault.set(Some((index, fault)));
        assert_eq!(create(&fake, json!({})).await["Status"], "FAILED");
        assert_eq!(fake.state.borrow().leases, BTreeMap::new(), "{fault:?} of {}", calls[index]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_lease_outlives_a_call_that_may_still_be_on_its_way_by_seconds_and_not_by_minutes() {
    let undisturbed = Fake::of(two_buckets());
    create(&undisturbed, json!({})).await;
    let calls = undisturbed.calls.take();
    let timed_out = Fault::Refused("TimedOut", Retry::NextInvocation);
    // Also when another of its stage has failed before.
    let denied = Some(("PutBucketVersioning", 1, "AccessDenied", Retry::Never));
    for (call, fault, refusals) in [
        ("PutBucketReplication", timed_out, None),
        ("CreateRole", timed_out, denied),
        ("PutRolePolicy", Fault::Panic, None),
    ] {
        let index = calls.iter().position(|done| done.starts_with(&format!("! {call}"))).unwrap();
        let fake = Fake::of(two_buckets());
        fake.fault.set(Some((index, fault)));
        fake.refusals.set(refusals);
        create(&fake, json!({})).await;
        let now =
            std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
        let (_, ends) = fake.state.borrow().leases["demo-source"];
        assert!((now + 4..=now + 7).contains(&ends), "{call}: {}", ends - now);
    }
}

#[tokio::test(start_paused = true)]
async fn a_lease_outlives_the_time_that_its_holder_has_to_work() {
    let fake = Fake::of(two_buckets());
    fake.refusals.set(Some(("PutBucketReplication", 3, "InvalidRequest", Retry::Soon)));
    let looking = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        fake.state.borrow().leases["demo-source"].1
    };
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let (_, ends) = tokio::join!(create(&fake, json!({"ServiceTimeout": "60"})), looking);
    assert!((now + 50 + 5..=now + 50 + 8).contains(&ends), "{}", ends - now);
}

#[tokio::test(start_paused = true)]
async fn giving_a_lease_back_leaves_most_of_the_time_for_the_answer() {
    let undisturbed = Fake::of(two_buckets());
    create(&undisturbed, json!({})).await;
    let release =
        undisturbed.calls.take().iter().position(|call| call.starts_with("Release")).unwrap();
    for (timeout, waited) in [("4", 1), ("300", 2)] {
        let fake = Fake::of(two_buckets());
        fake.fault.set(Some((release, Fault::Hangs)));
        let started = Instant::now();
        assert_eq!(create(&fake, json!({"ServiceTimeout": timeout})).await["Status"], "SUCCESS");
        assert_eq!(started.elapsed().as_secs_f64().round() as u64, waited);
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_with_nothing_to_write_waits_for_an_earlier_one_that_may_be_writing() {
    let fake = Fake::of(two_buckets());
    ask(&fake, &signed(custom_resource("Create", json!({})), "20261122T080000Z")).await.unwrap();
    let asked = fake.state.borrow().clone();
    fake.state
        .borrow_mut()
        .leases
        .insert("demo-source".to_owned(), ("an earlier Update".to_owned(), u64::MAX));
    let earlier = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let mut state = fake.state.borrow_mut();
        state.buckets.get_mut("demo-source").unwrap().replication.as_mut().unwrap().rules[0]
            .filter = Some(ReplicationRuleFilter::builder().prefix("Vat").build());
        let (_, ended) = state.leases.remove("demo-source").unwrap();
        fake.released.borrow_mut().insert("demo-source".to_owned(), ended);
    };
    let later = signed(custom_resource("Update", json!({"Prefix": "Tax"})), "20261122T080001Z");
    let (answered, ()) = tokio::join!(ask(&fake, &later), earlier);
    answered.unwrap();
    assert_eq!(*fake.state.borrow(), asked);
}

#[tokio::test(start_paused = true)]
async fn an_answer_is_in_time_however_often_the_state_changes_underneath() {
    for _ in 0..50 {
        let fake = Fake::of(two_buckets());
        fake.refusals.set(Some((
            "PutBucketReplication",
            usize::MAX,
            "NoSuchEntity",
            Retry::Replan,
        )));
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
        state.buckets.get_mut("demo-source").unwrap().replication = replicating(
            "arn:aws:iam::111122223333:role/s3-kms-replication/s3-crr-demo-source",
            vec![foreign_rule("theirs", 7)],
        );
    };
    let (answer, ()) = tokio::join!(create(fake, json!({})), theirs);
    assert_eq!(answer["Status"], "SUCCESS", "{answer}");
    let state = fake.state.borrow();
    let ids: Vec<_> = state.buckets["demo-source"]
        .replication
        .as_ref()
        .unwrap()
        .rules()
        .iter()
        .filter_map(|rule| rule.id())
        .collect();
    assert_eq!((ids.len(), ids[0]), (2, "theirs"));
}

#[tokio::test(start_paused = true)]
async fn a_rule_that_others_write_while_ours_waits_for_aws_is_not_lost() {
    let fake = Fake::of(two_buckets());
    // Long enough for what was observed to be no longer fresh.
    fake.refusals.set(Some(("PutBucketReplication", 6, "InvalidRequest", Retry::Soon)));
    created_while_others_write(&fake, Duration::from_secs(3)).await;
}

#[tokio::test(start_paused = true)]
async fn a_rule_that_others_write_while_we_still_look_is_not_lost() {
    let undisturbed = Fake::of(two_buckets());
    create(&undisturbed, json!({})).await;
    let calls = undisturbed.calls.take();
    let seen = calls.iter().position(|call| call.starts_with("GetBucketReplication")).unwrap();
    let put = calls.iter().position(|call| call.starts_with("! PutBucketReplication")).unwrap();
    for slow in seen + 1..put {
        let fake = Fake::of(two_buckets());
        fake.fault.set(Some((slow, Fault::Slow)));
        created_while_others_write(&fake, Duration::from_secs(1)).await;
    }
}
