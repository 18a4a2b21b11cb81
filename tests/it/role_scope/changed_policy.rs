//! A replication policy that changes: former grants stay for a day, and need room; a rule that is granted no longer is told.

use s3_kms_replication::config::PolicySource;

use super::*;

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
fn five_rules(
    destination: impl Fn(usize) -> &'static str,
    name: impl Fn(usize) -> String,
) -> Settings {
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
    let copies = |_| "copy-{bucket}";
    // The names when so many first rules have other ones.
    let renamed = |count| {
        move |number| if number < count { format!("new{number}") } else { format!("rule{number}") }
    };
    let walk = [walked("prod-bills")];
    let state = after(buckets(), &five_rules(copies, renamed(0)), &walk).await;
    let role = shared_role(&state);
    let refused = async |mut state: State, settings: &Settings| {
        a_day_later(&mut state);
        let fake = Fake::new(state);
        let error = invoke_with(&fake, &walk[0], settings).await.unwrap_err().to_string();
        assert_eq!(fake.writes(), [], "{error}");
        error.chars().take(300).collect::<String>()
    };
    let all_changed = five_rules(|_| "dr-{bucket}", renamed(0));
    let error = refused(state.clone(), &all_changed).await;
    assert!(error.contains("change fewer rules at a time"), "{error}");
    assert!(error.ends_with("or set `RoleScope` to Bucket"), "{error}");
    // One way out: fewer rules at a time.
    let first = |number| if number == 0 { "dr-{bucket}" } else { "copy-{bucket}" };
    let first_changed = five_rules(first, renamed(0));
    let mut changed = after(state.clone(), &first_changed, &walk).await;
    a_day_later(&mut changed);
    changed = after(changed, &first_changed, &walk).await;
    assert!(!changed.roles[&role].policies["s3-kms-replication.rule0"].contains("copy-prod-*"));
    // The other: deletion of what removed rules have left.
    let mut one_renamed = after(state, &five_rules(copies, renamed(1)), &walk).await;
    let two_renamed = five_rules(copies, renamed(2));
    let error = refused(one_renamed.clone(), &two_renamed).await;
    let left = "s3-kms-replication.rule0";
    assert!(error.contains(&format!("if no bucket has their rules, delete `{left}`")), "{error}");
    one_renamed.role_mut(&role).policies.remove(left);
    after(one_renamed, &two_renamed, &walk).await;
}

#[test]
fn policy_that_may_leave_no_room_for_former_grants_is_warned_of_at_start() {
    let policy_of = |settings: Settings| match settings.policy {
        Some(PolicySource::Inline(policy)) => policy,
        other => panic!("{other:?}"),
    };
    let large = policy_of(five_rules(|_| "copy-{bucket}", |number| format!("rule{number}")));
    let small = policy_of(policy_scope());
    for (settings, policy, expected) in
        [(policy_scope(), &large, 1), (bucket_scope(), &large, 0), (policy_scope(), &small, 0)]
    {
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
        fake.clear();
        let answer = invoke_with(&fake, &created("prod-bills"), &settings).await.unwrap();
        assert!(!answer["Skipped"].is_null(), "{answer}");
        assert_eq!(fake.count("GetBucketReplication"), 0, "an event does not read the rules");
        assert_eq!(fake.writes(), []);
    }
}

#[tokio::test(start_paused = true)]
async fn walk_skips_a_bucket_that_no_rule_matches_and_whose_replication_it_may_not_read() {
    let fake = Fake::new(buckets());
    fake.refuse("GetBucketReplication", 1, "AccessDenied", Retry::Never);
    let answer = invoke_with(&fake, &walked("demo-source"), &policy_scope()).await.unwrap();
    assert!(!answer["Skipped"].is_null(), "{answer}");
    assert_eq!(fake.count("GetBucketReplication"), 1);
}
