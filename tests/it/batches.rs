//! Batches of buckets, as the walk sends them.

use s3_kms_replication::config::Settings;
use s3_kms_replication::model::{Retry, Role, RoleName};
use serde_json::{Value, json};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;

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

/// The environment of a deployment with this `RoleScope`.
fn with_role_scope(scope: &str) -> Settings {
    let policy = r#"{"Rules": [{"Name": "dr", "Match": {"BucketNames": ["prod-*"]}, "DestinationBucket": "copy-{bucket}",
        "CreateDestinationBucket": true, "ReplicaKmsKeyArn": "arn:aws:kms:us-west-2:111122223333:alias/dr"}]}"#;
    environment(&[
        ("REPLICATION_POLICY", policy),
        ("AWS_REGION", "us-east-1"),
        ("ROLE_SCOPE", scope),
        ("STACK_ID", "arn:aws:cloudformation:us-east-1:111122223333:stack/crr/6f3c"),
        ("EXECUTION_ROLE_ARN", EXECUTION_ROLE),
        ("LOCK_TABLE", "leases"),
    ])
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

/// An account with so many roles, of the 1,000 that it may have, and two buckets that need one more each.
fn with_roles(count: usize) -> Fake {
    let role = |number| {
        let arn = format!("arn:aws:iam::{ACCOUNT}:role/r{number}");
        Role { name: RoleName::from_arn(&arn).unwrap(), arn, ..foreign_role() }
    };
    let buckets = with_buckets(&names("prod", 2));
    Fake::new((0..count).map(role).fold(buckets, State::with_role))
}

/// What a batch with these settings warns of the quota of roles.
async fn warnings(fake: &Fake, settings: &Settings) -> Vec<String> {
    let log = Log::default();
    let lines = tracing_subscriber::fmt::layer().with_writer(log.clone()).with_ansi(false);
    let logging = tracing::subscriber::set_default(
        tracing_subscriber::registry().with(lines.with_filter(LevelFilter::WARN)),
    );
    let answer = invoke_with(fake, &batch(&names("prod", 2)), settings).await.unwrap();
    drop(logging);
    assert_eq!(answer["NotDone"], json!([]), "{answer}");
    let is_warning = |line: &&str| line.contains(" WARN ") && line.contains("quota of roles");
    log.text().lines().filter(is_warning).map(str::to_owned).collect()
}

#[tokio::test(start_paused = true)]
async fn batch_that_leaves_less_than_a_tenth_of_the_quota_of_roles_warns_and_names_the_role_scope()
{
    let far = with_roles(897);
    assert_eq!(warnings(&far, &settings()).await, [""; 0]);
    for quota_is_met in [false, true] {
        let near = with_roles(898);
        if quota_is_met {
            near.refuse("CreateRole", 1, "LimitExceeded", Retry::Never);
        }
        let logged = warnings(&near, &settings()).await;
        let (in_use, needed) = if quota_is_met { (899, 1) } else { (900, 0) };
        let expected = format!("roles_in_use={in_use} roles_quota=1000 roles_needed={needed}");
        assert_eq!(logged.len(), 1, "{logged:?}");
        assert!(logged[0].contains(&expected), "{logged:?}");
        assert!(logged[0].contains("`RoleScope: Policy`"), "{logged:?}");
        assert_eq!(near.count("GetAccountSummary"), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn quota_of_roles_that_cannot_be_read_fails_no_bucket() {
    for failure in ["AccessDenied", "Throttling"] {
        let fake = with_roles(900);
        fake.refuse("GetAccountSummary", 1, failure, Retry::Never);
        let logged = warnings(&fake, &settings()).await;
        assert_eq!(logged.len(), 1, "{logged:?}");
        assert!(logged[0].contains("could not be read") && logged[0].contains(failure));
    }
}

#[tokio::test(start_paused = true)]
async fn quota_of_roles_is_not_read_for_one_role_of_all_buckets_or_for_an_event() {
    let fake = with_roles(900);
    assert_eq!(warnings(&fake, &with_role_scope("Policy")).await, [""; 0]);
    invoke(&with_roles(900), &sample("create-bucket")).await.unwrap();
    assert_eq!(fake.count("GetAccountSummary"), 0);
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

/// `tests/bench/walk_cost.py` computes from these rounds what a walk costs.
#[tokio::test(start_paused = true)]
async fn bucket_of_a_walk_takes_the_recorded_rounds_in_a_process_that_has_handled_another() {
    let buckets = names("prod", 2);
    for scope in ["Bucket", "Policy"] {
        let fake = Fake::new(with_buckets(&buckets));
        let settings = with_role_scope(scope);
        let walk = async |bucket: &[String]| {
            fake.clear();
            fake.record_times();
            invoke_with(&fake, &batch(bucket), &settings).await.unwrap();
            fake.rounds()
        };
        walk(&buckets[..1]).await;
        insta::assert_snapshot!(format!("first_walk_{scope}"), walk(&buckets[1..]).await);
        insta::assert_snapshot!(format!("later_walk_{scope}"), walk(&buckets[1..]).await);
    }
}
