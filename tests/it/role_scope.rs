//! `RoleScope` Policy: one role for all buckets of the replication policy.

use std::time::Duration;

use s3_kms_replication::config::{PolicySource, Settings};
use s3_kms_replication::model::{Retry, Versioning};
use serde_json::{Value, json};

use crate::support::*;

const STACK: &str = "arn:aws:cloudformation:us-east-1:111122223333:stack/crr/6f3c";
const RULES: &str = r#"{"Rules": [{
    "Name": "dr",
    "Match": {"BucketNames": ["prod-*"], "ExcludeBucketNames": ["prod-scratch-*"]},
    "DestinationBucket": "copy-{bucket}",
    "DestinationRegion": "us-west-2",
    "ReplicaKmsKeyArn": "arn:aws:kms:us-west-2:111122223333:alias/dr",
    "CreateDestinationBucket": true,
    "Priority": 1
}, {
    "Name": "audit",
    "Match": {"BucketNames": ["prod-o*"], "BucketTags": {"audit": "true"}, "ExcludeBucketNames": ["prod-scratch-*"]},
    "DestinationBucket": "audit-{account}",
    "ExistingDestination": "Use",
    "ReplicaKmsKeyArn": "arn:aws:kms:us-west-2:111122223333:alias/dr",
    "Priority": 2
}]}"#;

fn with_scope(scope: &str, policy: &str) -> Settings {
    environment(&[
        ("REPLICATION_POLICY", policy),
        ("EXECUTION_ROLE_ARN", EXECUTION_ROLE),
        ("LOCK_TABLE", "leases"),
        ("AWS_REGION", "us-east-1"),
        ("ROLE_SCOPE", scope),
        ("STACK_ID", STACK),
    ])
}

fn policy_scope() -> Settings {
    with_scope("Policy", RULES)
}

fn bucket_scope() -> Settings {
    with_scope("Bucket", RULES)
}

/// Two buckets of the policy, of which `prod-orders` has the tag of both rules, and the destination of one.
fn buckets() -> State {
    let audited = Bucket::new("us-east-1").encrypted_with(SOURCE_KEY).tagged("audit", "true");
    two_buckets()
        .with_bucket("prod-bills", Bucket::new("us-east-1").encrypted_with(SOURCE_KEY))
        .with_bucket("prod-orders", audited)
        .with_bucket("audit-111122223333", Bucket::new("us-west-2"))
}

fn created(bucket: &str) -> Value {
    let mut event = sample("create-bucket");
    event["detail"]["requestParameters"]["bucketName"] = json!(bucket);
    event
}

fn walked(bucket: &str) -> Value {
    json!({"Action": "Reconcile", "SourceBucket": bucket})
}

/// A custom resource for a bucket of the policy.
fn custom(request_type: &str, second: u32) -> Value {
    let changes = json!({"SourceBucket": "prod-orders", "Priority": null});
    signed(custom_resource(request_type, changes), &format!("20261122T1200{second:02}Z"))
}

fn serving_role(state: &State, bucket: &str) -> String {
    let replication = state.buckets[bucket].replication.as_ref().unwrap();
    replication.role().rsplit('/').next().unwrap().to_owned()
}

fn shared_role(state: &State) -> String {
    let mut names = state.roles.keys().filter(|name| name.starts_with("s3-crr-us-east-1_"));
    names.next().unwrap().clone()
}

/// Lets the time pass for which replaced roles and grants stay.
fn a_day_later(state: &mut State) {
    let tags = state
        .roles
        .values_mut()
        .filter_map(|role| role.tags.get_mut("s3-kms-replication-keep-until"));
    tags.for_each(|until| *until = (now() - 1).to_string());
    state.leases.clear();
}

/// The state after this process has handled the requests.
async fn after(state: State, settings: &Settings, requests: &[Value]) -> State {
    let fake = Fake::new(state);
    for request in requests {
        invoke_with(&fake, request, settings).await.unwrap();
    }
    fake.state.take()
}

#[tokio::test(start_paused = true)]
async fn one_role_serves_all_buckets_and_later_events_make_no_call_to_iam() {
    let fake = Fake::new(buckets());
    invoke_with(&fake, &created("prod-bills"), &policy_scope()).await.unwrap();
    let role = shared_role(&fake.state.borrow());
    assert_eq!(fake.state.borrow().roles[&role].tags["s3-kms-replication"], STACK);
    assert_eq!(serving_role(&fake.state.borrow(), "prod-bills"), role);

    fake.clear();
    let answer = invoke_with(&fake, &created("prod-orders"), &policy_scope()).await.unwrap();
    assert_eq!(answer["Rules"].as_array().unwrap().len(), 2, "{answer}");
    assert_eq!(answer["Rules"][0]["RoleName"], role);
    let calls = lines(&fake.calls.borrow());
    assert!(!calls.contains("Role"), "{calls}");
    assert_eq!(fake.state.borrow().roles.len(), 1);
    assert!(rules_have_their_grants(&fake.state.borrow()));

    fake.clear();
    invoke_with(&fake, &created("prod-orders"), &policy_scope()).await.unwrap();
    assert_eq!(fake.writes(), []);
}

#[tokio::test(start_paused = true)]
async fn role_that_others_removed_or_changed_is_repaired_by_the_next_process() {
    let state = after(buckets(), &policy_scope(), &[created("prod-bills")]).await;
    let role = shared_role(&state);
    let right = state.roles[&role].clone();
    let statement = r#""Statement":["#;
    let harms: [fn(&mut State, &str); 5] = [
        |state, role| drop(state.roles.remove(role)),
        |state, role| drop(state.role_mut(role).policies.remove("s3-kms-replication.dr")),
        |state, role| {
            state.role_mut(role).trust = r#"{"Version":"2012-10-17","Statement":[]}"#.to_owned();
        },
        |state, role| {
            let policy = state.role_mut(role).policies.get_mut("s3-kms-replication.dr").unwrap();
            let own =
                r#""Statement":[{"Sid":"Own","Effect":"Allow","Action":"s3:*","Resource":"*"},"#;
            *policy = policy.replace(r#""Statement":["#, own);
        },
        |state, role| {
            let policy = state.role_mut(role).policies.get_mut("s3-kms-replication.dr").unwrap();
            *policy = policy.replace("s3:ReplicateTags", "s3:PutObject");
        },
    ];
    assert!(right.policies["s3-kms-replication.dr"].contains(statement));
    for harm in harms {
        let mut harmed = state.clone();
        harm(&mut harmed, &role);
        let repaired = after(harmed, &policy_scope(), &[walked("prod-bills")]).await;
        assert_eq!(repaired.roles[&role], right);
    }
}

#[tokio::test(start_paused = true)]
async fn role_of_that_name_that_is_not_tagged_as_ours_is_refused_before_anything_is_changed() {
    let mut state = after(buckets(), &policy_scope(), &[created("prod-bills")]).await;
    let role = shared_role(&state);
    state.role_mut(&role).tags.clear();
    let fake = Fake::new(state);
    let error = invoke_with(&fake, &created("prod-orders"), &policy_scope()).await;
    assert!(format!("{error:?}").contains("not tagged as the role of all buckets"), "{error:?}");
    assert!(fake.state.borrow().rules("prod-orders").is_empty());
}

#[tokio::test(start_paused = true)]
async fn role_of_all_buckets_at_another_path_is_refused_before_anything_is_changed() {
    let state = after(buckets(), &policy_scope(), &[walked("prod-bills")]).await;
    let mut moved = policy_scope();
    moved.roles.path = "/other/".to_owned();
    for bucket in ["prod-bills", "prod-orders"] {
        let fake = Fake::new(State { leases: Default::default(), ..state.clone() });
        let error = invoke_with(&fake, &walked(bucket), &moved).await.unwrap_err().to_string();
        assert!(error.contains(&state.roles[&shared_role(&state)].arn), "{error}");
        assert!(error.contains("`RolePath` is `/other/`"), "{error}");
        assert_eq!(fake.writes(), []);
    }
}

#[tokio::test(start_paused = true)]
async fn changed_policy_keeps_earlier_grants_until_a_walk_a_day_later() {
    let mut state = after(buckets(), &policy_scope(), &[created("prod-bills")]).await;
    let role = shared_role(&state);
    let changed = with_scope("Policy", &RULES.replace("copy-{bucket}", "dr-{bucket}"));
    state = after(state, &changed, &[created("prod-orders")]).await;
    let policy = |state: &State| state.roles[&role].policies["s3-kms-replication.dr"].clone();
    assert!(policy(&state).contains("copy-prod-*") && policy(&state).contains(":dr-prod-*"));
    assert!(rules_have_their_grants(&state));
    state = after(state, &changed, &[walked("prod-bills")]).await;
    assert!(policy(&state).contains("copy-prod-*"), "a walk within a day keeps them");
    a_day_later(&mut state);
    state = after(state, &changed, &[walked("prod-bills")]).await;
    assert!(!policy(&state).contains("copy-prod-*") && policy(&state).contains(":dr-prod-*"));
}

#[tokio::test(start_paused = true)]
async fn second_change_of_the_policy_keeps_the_grants_of_the_first_for_another_day() {
    let changed_to =
        |destination| with_scope("Policy", &RULES.replace("copy-{bucket}", destination));
    let second = changed_to("second-{bucket}");
    let mut state = after(buckets(), &policy_scope(), &[created("prod-bills")]).await;
    let role = shared_role(&state);
    state = after(state, &second, &[walked("prod-bills")]).await;
    a_day_later(&mut state);
    state = after(state, &second, &[walked("prod-bills")]).await;
    // The time of the first change has passed.
    let third = changed_to("third-{bucket}");
    for _ in ["the change", "a later event of the same day"] {
        state = after(state, &third, &[created("prod-orders")]).await;
        let policy = &state.roles[&role].policies["s3-kms-replication.dr"];
        assert!(policy.contains(":second-prod-*") && policy.contains(":third-prod-*"), "{policy}");
        assert!(!policy.contains("copy-prod-*"), "{policy}");
        assert!(rules_have_their_grants(&state));
    }
    state = after(state, &third, &[walked("prod-bills")]).await;
    a_day_later(&mut state);
    state = after(state, &third, &[walked("prod-bills")]).await;
    let policy = &state.roles[&role].policies["s3-kms-replication.dr"];
    assert!(!policy.contains(":second-prod-*"), "{policy}");
}

/// A policy of five rules, with the destinations and names that `destination` and `name` give each number.
fn five_rules(destination: fn(usize) -> String, name: fn(usize) -> String) -> Settings {
    let rule = |number: usize| {
        let pattern = if number == 0 { "prod-*".to_owned() } else { format!("team{number}-*") };
        json!({
            "Name": name(number),
            "Match": {"BucketNames": [pattern]},
            "DestinationBucket": destination(number),
            "DestinationRegion": "us-west-2",
            "ReplicaKmsKeyArn": "arn:aws:kms:us-west-2:111122223333:alias/dr",
            "CreateDestinationBucket": true,
        })
    };
    let rules: Vec<Value> = (0..5).map(rule).collect();
    with_scope("Policy", &json!({"Rules": rules}).to_string())
}

#[tokio::test(start_paused = true)]
async fn change_without_room_for_the_former_grants_is_refused_with_ways_out_that_work() {
    let copies = |_| "copy-{bucket}".to_owned();
    let names = |number| format!("rule{number}");
    let walk = [walked("prod-bills")];
    let state = after(buckets(), &five_rules(copies, names), &walk).await;
    let role = shared_role(&state);
    let refused = async |mut state: State, settings: &Settings| {
        a_day_later(&mut state);
        let fake = Fake::new(state);
        let error = invoke_with(&fake, &walk[0], settings).await.unwrap_err().to_string();
        assert_eq!(fake.writes(), [], "{error}");
        error.chars().take(300).collect::<String>()
    };
    let all_changed = five_rules(|_| "dr-{bucket}".to_owned(), names);
    let error = refused(state.clone(), &all_changed).await;
    assert!(error.contains("change fewer rules at a time"), "{error}");
    assert!(error.ends_with("or set `RoleScope` to Bucket"), "{error}");
    // One way out: fewer rules at a time.
    let first_changed = five_rules(
        |number| (if number == 0 { "dr-{bucket}" } else { "copy-{bucket}" }).to_owned(),
        names,
    );
    let mut changed = after(state.clone(), &first_changed, &walk).await;
    a_day_later(&mut changed);
    changed = after(changed, &first_changed, &walk).await;
    assert!(!changed.roles[&role].policies["s3-kms-replication.rule0"].contains("copy-prod-*"));
    // The other: deletion of what removed rules have left.
    let renamed = |number| five_rules_name(number, 1);
    let renamed_again = |number| five_rules_name(number, 2);
    let mut renamed = after(state, &five_rules(copies, renamed), &walk).await;
    let error = refused(renamed.clone(), &five_rules(copies, renamed_again)).await;
    let left = "s3-kms-replication.rule0";
    assert!(error.contains(&format!("if no bucket has their rules, delete `{left}`")), "{error}");
    renamed.role_mut(&role).policies.remove(left);
    after(renamed, &five_rules(copies, renamed_again), &walk).await;
}

/// The name of a rule in a policy of which the first rules have other names.
fn five_rules_name(number: usize, renamed: usize) -> String {
    if number < renamed { format!("new{number}") } else { format!("rule{number}") }
}

#[test]
fn policy_that_may_leave_no_room_for_former_grants_is_warned_of_at_start() {
    let large = five_rules(|_| "copy-{bucket}".to_owned(), |number| format!("rule{number}"));
    for (settings, expected) in [(large, 1), (policy_scope(), 0), (bucket_scope(), 0)] {
        let Some(PolicySource::Inline(policy)) = &settings.policy else { panic!("no policy") };
        let warnings = settings.policy_warnings(policy);
        let of_room = warnings.iter().filter(|it| it.contains("change few rules at a time"));
        assert_eq!(of_room.count(), expected, "{warnings:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn walk_fails_for_a_bucket_whose_rule_the_role_of_all_buckets_grants_no_longer() {
    let state = after(buckets(), &policy_scope(), &[walked("prod-bills")]).await;
    let own = after(buckets(), &bucket_scope(), &[walked("prod-bills")]).await;
    let excluding = RULES.replace("\"prod-scratch-*\"", "\"prod-bills\"");
    let narrowed = RULES.replace("[\"prod-*\"]", "[\"prod-o*\"]");
    let removed = narrowed.replace("\"Name\": \"dr\"", "\"Name\": \"other\"");
    for (policy, state, fails) in [
        (&excluding, &state, true),
        (&narrowed, &state, true),
        // The inline policy of a removed rule stays, and so does a role of the bucket's own.
        (&removed, &state, false),
        (&excluding, &own, false),
    ] {
        let fake = Fake::new(state.clone());
        let settings = with_scope("Policy", policy);
        let answer = invoke_with(&fake, &walked("prod-bills"), &settings).await.unwrap();
        assert_eq!(
            answer.to_string().contains("does not match the name of bucket"),
            fails,
            "{answer}"
        );
        assert_eq!(answer["Skipped"].is_null(), fails, "{answer}");
        let batch = json!({"Action": "Reconcile", "SourceBuckets": ["prod-bills"]});
        let counts = invoke_with(&fake, &batch, &settings).await.unwrap();
        assert_eq!(counts["Failures"].as_array().unwrap().len(), usize::from(fails), "{counts}");
        // An event takes no more reads than before.
        fake.clear();
        let answer = invoke_with(&fake, &created("prod-bills"), &settings).await.unwrap();
        assert!(!answer["Skipped"].is_null(), "{answer}");
        assert_eq!(fake.writes(), []);
    }
}

#[tokio::test(start_paused = true)]
async fn walk_skips_a_bucket_that_no_rule_matches_and_whose_replication_it_may_not_read() {
    let fake = Fake::new(buckets());
    fake.refuse("GetBucketReplication", 1, "AccessDenied", Retry::Never);
    let answer = invoke_with(&fake, &walked("demo-source"), &policy_scope()).await.unwrap();
    assert!(!answer["Skipped"].is_null(), "{answer}");
}

#[tokio::test(start_paused = true)]
async fn own_role_is_replaced_by_a_walk_and_removed_by_a_walk_a_day_later() {
    let walk = [walked("prod-orders"), walked("prod-bills")];
    let mut state = after(buckets(), &bucket_scope(), &walk).await;
    assert_eq!(state.roles.len(), 2);
    state = after(state, &policy_scope(), &walk).await;
    let role = shared_role(&state);
    for bucket in ["prod-orders", "prod-bills"] {
        assert_eq!(serving_role(&state, bucket), role);
    }
    assert_eq!(state.roles.len(), 3, "objects may be pending");
    state = after(state, &policy_scope(), &walk).await;
    assert_eq!(state.roles.len(), 3, "a walk within a day removes nothing");
    a_day_later(&mut state);
    let event = after(state.clone(), &policy_scope(), &[created("prod-bills")]).await;
    assert_eq!(event.roles.len(), 3, "an event removes nothing");
    state = after(state, &policy_scope(), &walk).await;
    assert_eq!(state.roles.keys().collect::<Vec<_>>(), [&role]);
    let fake = Fake::new(state);
    invoke_with(&fake, &walk[0], &policy_scope()).await.unwrap();
    assert_eq!(fake.writes(), []);
}

#[tokio::test(start_paused = true)]
async fn buckets_get_roles_of_their_own_again_and_the_role_of_all_stays() {
    let walk = [walked("prod-orders"), walked("prod-bills")];
    let mut state = after(buckets(), &policy_scope(), &walk).await;
    let role = shared_role(&state);
    state = after(state, &bucket_scope(), &walk).await;
    for bucket in ["prod-orders", "prod-bills"] {
        assert_eq!(serving_role(&state, bucket), format!("s3-crr-{bucket}"));
    }
    assert!(rules_have_their_grants(&state) && state.roles.contains_key(&role));
    let fake = Fake::new(state);
    invoke_with(&fake, &walk[0], &bucket_scope()).await.unwrap();
    assert_eq!(fake.writes(), []);
}

#[tokio::test(start_paused = true)]
async fn stale_time_of_an_earlier_change_does_not_remove_a_role_early() {
    let walk = [walked("prod-bills")];
    let mut state = after(buckets(), &bucket_scope(), &walk).await;
    state = after(state, &policy_scope(), &walk).await;
    a_day_later(&mut state);
    state = after(state, &bucket_scope(), &walk).await;
    state = after(state, &policy_scope(), &walk).await;
    state = after(state, &policy_scope(), &walk).await;
    assert!(state.roles.contains_key("s3-crr-prod-bills"));
}

#[tokio::test(start_paused = true)]
async fn bucket_with_a_rule_beside_the_policy_has_a_role_of_its_own() {
    let state = after(buckets(), &policy_scope(), &[walked("prod-orders")]).await;
    let state = after(state, &policy_scope(), &[custom("Create", 0)]).await;
    assert_eq!(serving_role(&state, "prod-orders"), "s3-crr-prod-orders");
    assert_eq!(state.roles["s3-crr-prod-orders"].policies.len(), 3);
    let fake = Fake::new(state);
    let answer = invoke_with(&fake, &walked("prod-orders"), &policy_scope()).await.unwrap();
    assert_eq!(fake.writes(), []);
    let kept = answer["Rules"][0]["Kept"].to_string();
    assert!(
        kept.contains("although `RoleScope` is Policy") && kept.contains("demo-Repl"),
        "{kept}"
    );
    let mut delete = custom("Delete", 1);
    delete["PhysicalResourceId"] = json!(format!("prod-orders/{CUSTOM_RULE}"));
    let state = after(fake.state.take(), &policy_scope(), &[delete]).await;
    let state = after(state, &policy_scope(), &[walked("prod-orders")]).await;
    assert_eq!(serving_role(&state, "prod-orders"), shared_role(&state));
}

#[tokio::test(start_paused = true)]
async fn foreign_rule_foreign_role_and_a_job_keep_a_bucket_from_the_role_of_all() {
    let mut with_rule = after(buckets(), &bucket_scope(), &[walked("prod-bills")]).await;
    let own = with_rule.buckets["prod-bills"].replication.as_ref().unwrap().role().to_owned();
    let mut all = with_rule.rules("prod-bills");
    all.push(foreign_rule("theirs", 50));
    with_rule.bucket_mut("prod-bills").replication = replicating(&own, all);
    with_rule.bucket_mut("demo-destination").versioning = Versioning::Enabled;
    let job = RULES.replacen(
        "\"CreateDestinationBucket\": true",
        "\"CreateDestinationBucket\": true, \"ReplicateExistingObjects\": true, \"ReportBucket\": \"reports\"",
        1,
    );
    let with_reports = buckets().with_bucket("reports", Bucket::new("us-east-1"));
    for (state, settings) in
        [(with_rule, policy_scope()), (with_reports, with_scope("Policy", &job))]
    {
        let fake = Fake::new(state);
        let answer = invoke_with(&fake, &walked("prod-bills"), &settings).await.unwrap();
        assert_eq!(serving_role(&fake.state.borrow(), "prod-bills"), "s3-crr-prod-bills");
        assert!(answer.to_string().contains("although `RoleScope` is Policy"), "{answer}");
        fake.clear();
        invoke_with(&fake, &walked("prod-bills"), &settings).await.unwrap();
        assert_eq!(fake.writes(), []);
    }
}

#[tokio::test(start_paused = true)]
async fn concurrent_events_make_the_role_once() {
    let fake = Fake::new(buckets());
    let settings = policy_scope();
    let (bills, orders) = (created("prod-bills"), created("prod-orders"));
    let (one, other) =
        tokio::join!(invoke_with(&fake, &bills, &settings), invoke_with(&fake, &orders, &settings));
    for answer in [one, other] {
        assert!(!answer.unwrap().to_string().contains("Failed"));
    }
    assert_eq!((fake.count("CreateRole"), fake.count("PutRolePolicy")), (1, 2));
    assert!(rules_have_their_grants(&fake.state.borrow()));
}

#[tokio::test(start_paused = true)]
async fn no_bucket_of_the_first_batch_replicates_before_iam_may_know_the_role() {
    let fake = Fake::new(buckets());
    fake.record_times();
    let batch = json!({"Action": "Reconcile", "SourceBuckets": ["prod-bills", "prod-orders"]});
    let answer = invoke_with(&fake, &batch, &policy_scope()).await.unwrap();
    assert_eq!(answer["Changed"], 2, "{answer}");
    let known = fake.times_of("PutRolePolicy")[0] + Duration::from_secs(10);
    let replicates = fake.times_of("PutBucketReplication");
    assert!(replicates.iter().all(|at| *at >= known), "{}", fake.rounds());
}

#[tokio::test(start_paused = true)]
async fn plan_shows_the_role_of_all_buckets_and_changes_nothing() {
    let fake = Fake::new(buckets());
    let mut plan = walked("prod-bills");
    plan["DryRun"] = json!(true);
    let answer = invoke_with(&fake, &plan, &policy_scope()).await.unwrap();
    assert_eq!(fake.writes(), []);
    let stages = &answer["Rules"][0]["Stages"];
    assert_eq!(stages[0][0]["Action"], "CreateRole");
    assert_eq!(stages[1][0]["Action"], "PutRolePolicy");
    insta::assert_json_snapshot!("document", stages[1][0]["Document"]);
}

#[tokio::test(start_paused = true)]
async fn exhausted_quota_of_roles_names_the_role_scope() {
    let fake = Fake::new(buckets());
    fake.refuse("CreateRole", 1, "LimitExceeded", Retry::Never);
    let answer = invoke_with(&fake, &walked("prod-bills"), &bucket_scope()).await.unwrap();
    let error = answer["Rules"][0]["Error"].as_str().unwrap();
    assert!(error.contains("set `RoleScope` to Policy"), "{error}");
}

/// The rounds of an event about `bucket` in a process that has handled another bucket, with the number of its calls.
async fn rounds_of_event(fake: &Fake, bucket: &str, policy: &str) -> String {
    fake.clear();
    fake.record_times();
    invoke_with(fake, &created(bucket), &with_scope("Policy", policy)).await.unwrap();
    let calls = u32::try_from(fake.calls.borrow().len()).unwrap();
    print_count(calls, &format!("calls of an event about {bucket} in RoleScope Policy"));
    format!("{calls} calls\n{}", fake.rounds())
}

#[tokio::test(start_paused = true)]
async fn new_bucket_and_its_next_event_take_the_recorded_rounds() {
    let fixed = RULES
        .replace("copy-{bucket}", "copies")
        .replace("\"CreateDestinationBucket\": true", "\"ExistingDestination\": \"Use\"");
    for (destination, policy) in [("created", RULES), ("existing", &fixed)] {
        let copies = Bucket { versioning: Versioning::Enabled, ..Bucket::new("us-west-2") };
        let bucket = Bucket::new("us-east-1").encrypted_with(SOURCE_KEY);
        let state = buckets().with_bucket("copies", copies).with_bucket("prod-notes", bucket);
        let fake = Fake::new(state);
        invoke_with(&fake, &created("prod-bills"), &with_scope("Policy", policy)).await.unwrap();
        let new = rounds_of_event(&fake, "prod-notes", policy).await;
        insta::assert_snapshot!(format!("new_bucket_with_{destination}_destination"), new);
        let again = rounds_of_event(&fake, "prod-notes", policy).await;
        insta::assert_snapshot!(format!("next_event_with_{destination}_destination"), again);
    }
}

/// Walks in batches, over 10,000 buckets with `make scale`.
#[tokio::test(start_paused = true)]
async fn many_buckets_are_walked_in_batches_and_have_one_role() {
    let size: usize = std::env::var("IN_PROCESS").map_or(1_000, |size| size.parse().unwrap());
    let names: Vec<String> = (0..size).map(|number| format!("prod-b{number:05}")).collect();
    let bucket = || Bucket::new("us-east-1").encrypted_with(SOURCE_KEY);
    let state = names.iter().fold(two_buckets(), |state, name| state.with_bucket(name, bucket()));
    let fake = Fake::new(state);
    for (walk, changed, unchanged) in [("first", size, 0), ("second", 0, size)] {
        let (mut invocations, mut counts) = (0, [0, 0]);
        for batch in names.chunks(25) {
            let batch = json!({"Action": "Reconcile", "SourceBuckets": batch});
            let answer = invoke_with(&fake, &batch, &policy_scope()).await.unwrap();
            assert_eq!((&answer["Failures"], &answer["NotDone"]), (&json!([]), &json!([])));
            for (count, name) in counts.iter_mut().zip(["Changed", "Unchanged"]) {
                *count += usize::try_from(answer[name].as_u64().unwrap()).unwrap();
            }
            invocations += 1;
        }
        assert_eq!((invocations, counts), (size / 25, [changed, unchanged]));
        let calls = u32::try_from(fake.calls.borrow().len()).unwrap();
        print_count(calls, &format!("calls of the {walk} walk over {size} buckets"));
        assert_eq!(fake.writes().is_empty(), walk == "second");
        fake.clear();
    }
    let state = fake.state.take();
    assert_eq!(state.roles.keys().collect::<Vec<_>>(), [&shared_role(&state)]);
    assert!(rules_have_their_grants(&state));
}

const FAULTS: [Fault; 6] = [
    Fault::Refused("AccessDenied", Retry::Never),
    Fault::Refused("SlowDown", Retry::NextInvocation),
    Fault::Refused("OperationAborted", Retry::Soon),
    Fault::AnswerLost,
    Fault::DoneAlready("EntityAlreadyExists"),
    Fault::Hangs,
];

/// The state without leases, without the times until which roles stay, and with the rules of each bucket in the order of their ids.
fn comparable(mut state: State) -> State {
    state.leases.clear();
    for bucket in state.buckets.values_mut() {
        if let Some(replication) = &bucket.replication {
            let mut rules: Vec<_> = replication.rules().cloned().collect();
            rules.sort_by_key(|rule| rule.id().map(str::to_owned));
            bucket.replication = replicating(replication.role(), rules);
        }
    }
    for role in state.roles.values_mut() {
        role.tags.remove("s3-kms-replication-keep-until");
    }
    state
}

#[tokio::test(start_paused = true)]
async fn invariant_3_role_scope_converges_after_a_failure_of_any_call() {
    let walk = [walked("prod-orders")];
    let own = after(buckets(), &bucket_scope(), &walk).await;
    let shared = after(buckets(), &policy_scope(), &walk).await;
    let mut replaced = after(own.clone(), &policy_scope(), &walk).await;
    a_day_later(&mut replaced);
    let changed = RULES.replace("copy-{bucket}", "dr-{bucket}");
    let mut untagged = shared.clone();
    untagged.bucket_mut("prod-orders").tags.clear();
    let flows = [
        ("event", buckets(), policy_scope(), created("prod-orders")),
        ("from Bucket to Policy", own, policy_scope(), walked("prod-orders")),
        ("from Policy to Bucket", shared.clone(), bucket_scope(), walked("prod-orders")),
        ("removal of the own role", replaced, policy_scope(), walked("prod-orders")),
        ("changed policy", shared.clone(), with_scope("Policy", &changed), walked("prod-orders")),
        ("custom resource", shared, policy_scope(), custom("Create", 0)),
        ("lost tag", untagged, policy_scope(), walked("prod-orders")),
    ];
    let mut points = 0;
    for (flow, before, settings, request) in flows {
        let fake = Fake::new(before.clone());
        invoke_with(&fake, &request, &settings).await.unwrap();
        let calls = fake.calls.borrow().len();
        let undisturbed = comparable(fake.state.take());
        for (fault, index) in
            FAULTS.iter().flat_map(|fault| (0..calls).map(move |index| (*fault, index)))
        {
            let point = format!("{flow}, {fault:?} in call {index} of {calls}");
            let fake = Fake::new(before.clone());
            fake.fail_call(index, fault);
            let _ = invoke_with(&fake, &request, &settings).await;
            fake.stop_failing();
            assert!(rules_have_their_grants(&fake.state.borrow()), "{point}");
            let mut state = fake.state.take();
            state.leases.clear();
            let fake = Fake::new(state);
            let _ = invoke_with(&fake, &request, &settings).await;
            let ended = comparable(fake.state.take());
            for (name, bucket) in &ended.buckets {
                assert_eq!(
                    Some(bucket),
                    undisturbed.buckets.get(name),
                    "{point}: {name}, then again"
                );
            }
            assert_eq!(ended.roles, undisturbed.roles, "{point}, then again");
            assert_eq!(ended, undisturbed, "{point}, then again");
            points += 1;
        }
    }
    print_count(points, "fault points of the role scope");
    assert!(points >= 300, "{points}");
}

/// Whether the role of every bucket has an inline policy of each rule, which names the beginning of the rule's destination.
fn rules_have_their_grants(state: &State) -> bool {
    state.buckets.values().filter_map(|bucket| bucket.replication.as_ref()).all(|configuration| {
        let role = state.roles.values().find(|role| role.arn == configuration.role());
        configuration.rules().all(|rule| {
            let policies = role.map(|role| &role.policies);
            let policy = policies.and_then(|policies| policies.get(rule.id().unwrap()));
            let arn = rule.destination_bucket().unwrap();
            let pattern = arn.split_once("prod-").map(|(before, _)| format!("{before}prod-*"));
            policy.is_some_and(|policy| {
                let has = |arn: &String| policy.contains(&format!("\"{arn}/"));
                has(&arn.to_owned()) || pattern.as_ref().is_some_and(has)
            })
        })
    })
}

#[tokio::test(start_paused = true)]
async fn replay_of_a_bucket_with_the_role_of_all_buckets_is_refused_without_writes() {
    let fake = Fake::new(buckets().with_bucket("reports", Bucket::new("us-east-1")));
    invoke_with(&fake, &created("prod-bills"), &policy_scope()).await.unwrap();
    fake.clear();
    let replay = json!({"Action": "Replay", "SourceBucket": "prod-bills", "Name": "dr", "ReportBucket": "reports"});
    let refused = invoke_with(&fake, &replay, &policy_scope()).await.unwrap_err().to_string();
    assert!(refused.contains("`RoleScope` Policy), which gets no job"), "{refused}");
    assert_eq!(fake.writes().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn catch_up_of_a_bucket_with_the_role_of_all_buckets_tells_what_gives_it_a_job() {
    let fake = Fake::new(buckets());
    invoke_with(&fake, &created("prod-bills"), &policy_scope()).await.unwrap();
    fake.state.borrow_mut().bucket_mut("prod-bills").objects = vec![Object::new("a", None, 5)];
    fake.clear();
    let message = json!({"Action": "CatchUp", "SourceBucket": "prod-bills", "RuleId": "s3-kms-replication.dr", "Time": now(),
        "IsNew": true, "IsSecond": false});
    let told = invoke_with(&fake, &message, &policy_scope()).await.unwrap();
    assert_eq!((&told["Unreplicated"], fake.writes().len()), (&json!(1), 0), "{told}");
    let reason = told["Reason"].as_str().unwrap();
    assert!(reason.contains("give its rule `ReplicateExistingObjects`"), "{reason}");
}
