//! Batches of buckets, as the walk sends them.

use s3_kms_replication::model::Retry;
use serde_json::{Value, json};

use crate::support::*;

fn batch(buckets: &[String]) -> Value {
    json!({"Action": "Reconcile", "SourceBuckets": buckets})
}

fn names(prefix: &str, count: usize) -> Vec<String> {
    (0..count).map(|number| format!("{prefix}-{number:02}")).collect()
}

fn with_buckets(names: &[String]) -> State {
    let bucket = || Bucket::new("us-east-1").encrypted_with(SOURCE_KEY);
    names.iter().fold(two_buckets(), |state, name| state.with_bucket(name, bucket()))
}

/// A lease that does not expire during a test.
fn held_by_another() -> (String, u64) {
    ("another".to_owned(), now() + 3600)
}

fn buckets_of(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|item| item["Bucket"].as_str().unwrap()).collect()
}

#[tokio::test(start_paused = true)]
async fn batch_counts_each_bucket_once_and_a_failure_is_its_own() {
    let mut buckets = names("prod", 20);
    let mut state = with_buckets(&buckets);
    state.bucket_mut("prod-03").object_lock = true;
    let fake = Fake::new(state);
    buckets.extend(["other", "Legacy_Bucket", "not a name", "prod-gone"].map(str::to_owned));
    let answer = invoke(&fake, &batch(&buckets)).await.unwrap();
    let counts = ["Changed", "Unchanged", "Skipped"].map(|count| answer[count].as_u64().unwrap());
    assert_eq!(counts, [19, 2, 1], "{answer}");
    assert_eq!(buckets_of(&answer["Failures"]), ["prod-03", "not a name"], "{answer}");
    assert_eq!(answer["NotDone"], json!([]));

    let answer = invoke(&fake, &batch(&buckets)).await.unwrap();
    assert_eq!((&answer["Changed"], &answer["Unchanged"]), (&json!(0), &json!(21)), "{answer}");
}

#[tokio::test(start_paused = true)]
async fn batch_of_a_wrong_form_is_refused_before_any_call() {
    let mut table = Table::default();
    for (case, payload) in [
        ("too many", batch(&names("prod", 26))),
        ("none", batch(&[])),
        ("a number", json!({"Action": "Reconcile", "SourceBuckets": 7})),
        (
            "with one bucket",
            json!({"Action": "Reconcile", "SourceBuckets": ["abc"], "SourceBucket": "abc"}),
        ),
        ("dry run", json!({"Action": "Reconcile", "SourceBuckets": ["abc"], "DryRun": true})),
        ("another command", json!({"Action": "Apply", "SourceBuckets": ["abc"]})),
    ] {
        let fake = Fake::new(two_buckets());
        table.add(case, &invoke(&fake, &payload).await.unwrap_err().to_string());
        assert_eq!(fake.calls.borrow().len(), 0, "{case}");
    }
    insta::assert_snapshot!(table.text());
}

#[tokio::test(start_paused = true)]
async fn failure_that_a_retry_can_help_is_not_done_and_has_at_most_300_characters() {
    let buckets = names("prod", 2);
    let mut state = with_buckets(&buckets);
    state.leases.insert("prod-01".to_owned(), held_by_another());
    let fake = Fake::new(state);
    let answer = invoke(&fake, &batch(&buckets)).await.unwrap();
    assert_eq!((&answer["Changed"], &answer["Failures"]), (&json!(1), &json!([])));
    assert_eq!(buckets_of(&answer["NotDone"]), ["prod-01"]);
    let error = answer["NotDone"][0]["Error"].as_str().unwrap();
    assert!(error.contains("another writer") && error.chars().count() <= 300, "{error}");
}

#[tokio::test(start_paused = true)]
async fn buckets_for_which_no_time_is_left_are_not_done_first_in_the_answer_and_done_by_repeating()
{
    let buckets = names("prod", 12);
    let mut state = with_buckets(&buckets);
    // Another holder keeps the leases of the first five, so that they wait until the deadline.
    for name in &buckets[..5] {
        state.leases.insert(name.clone(), held_by_another());
    }
    let fake = Fake::new(state);
    let answer = invoke(&fake, &batch(&buckets)).await.unwrap();
    let not_done: Vec<String> =
        buckets_of(&answer["NotDone"]).into_iter().map(str::to_owned).collect();
    assert_eq!(not_done.len(), 12, "{answer}");
    assert!(not_done[..7].iter().all(|name| buckets[5..].contains(name)), "{not_done:?}");
    let answer = invoke(&fake, &batch(&not_done)).await.unwrap();
    assert_eq!(answer["Changed"], json!(7), "{answer}");
    fake.state.borrow_mut().leases.clear();
    let answer = invoke(&fake, &batch(&not_done)).await.unwrap();
    assert_eq!((&answer["Changed"], &answer["Unchanged"]), (&json!(5), &json!(7)), "{answer}");
}

#[tokio::test(start_paused = true)]
async fn buckets_for_whose_roles_the_account_has_no_room_are_counted() {
    let fake = Fake::new(with_buckets(&names("prod", 3)));
    fake.refuse("CreateRole", 2, "LimitExceeded", Retry::Never);
    let answer = invoke(&fake, &batch(&names("prod", 3))).await.unwrap();
    assert_eq!((&answer["RolesNeeded"], &answer["Changed"]), (&json!(2), &json!(1)), "{answer}");
    let error = answer["Failures"][0]["Error"].as_str().unwrap();
    assert!(error.contains("LimitExceeded"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn five_buckets_of_a_batch_are_worked_on_at_a_time() {
    let buckets = names("prod", 25);
    let fake = Fake::new(with_buckets(&buckets));
    fake.record_times();
    invoke(&fake, &batch(&buckets)).await.unwrap();
    let rounds = fake.rounds();
    let first = rounds.split(" 2. ").next().unwrap();
    let begun = buckets.iter().filter(|name| first.contains(name.as_str()));
    assert_eq!(begun.count(), 5, "{rounds}");
}
