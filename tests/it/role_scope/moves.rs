//! Which role serves a bucket, and the moves between the role of all buckets and a bucket's own.

use super::*;

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
    let bills = Bucket::new("us-east-1").encrypted_with(SOURCE_KEY).versioned();
    let with_role = buckets()
        .with_role(foreign_role())
        .with_bucket(
            "prod-bills",
            bills.replicating(FOREIGN_ROLE, vec![foreign_rule("theirs", 50)]),
        )
        .with_bucket("demo-destination", Bucket::new("us-west-2").versioned());
    let with_reports = buckets().with_bucket("reports", Bucket::new("us-east-1"));
    let first_rule_with = |properties: &str| {
        let property = "\"CreateDestinationBucket\": true";
        with_scope("Policy", &RULES.replacen(property, &format!("{property}, {properties}"), 1))
    };
    let job = r#""ReplicateExistingObjects": true, "ReportBucket": "reports""#;
    let extended = first_rule_with(r#""ExistingRole": "Extend""#);
    for (what, state, settings, role) in [
        ("a foreign rule", with_rule, policy_scope(), "s3-crr-prod-bills"),
        ("a foreign role", with_role, extended, "their-replication"),
        ("a job", with_reports, first_rule_with(job), "s3-crr-prod-bills"),
    ] {
        let fake = Fake::new(state);
        let answer = invoke_with(&fake, &walked("prod-bills"), &settings).await.unwrap();
        assert_eq!(serving_role(&fake.state.borrow(), "prod-bills"), role, "{what}: {answer}");
        assert!(answer.to_string().contains("although `RoleScope` is Policy"), "{answer}");
        fake.clear();
        invoke_with(&fake, &walked("prod-bills"), &settings).await.unwrap();
        assert_eq!(fake.writes(), [], "{what}");
    }
}
