//! The role of all buckets: made once, repaired, planned, and refused where another role has its name.

use std::time::Duration;

use s3_kms_replication::model::Role;

use super::*;

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
    let granted = fake.times_of("PutRolePolicy");
    let known = *granted.last().unwrap() + Duration::from_secs(10);
    let replicates = fake.times_of("PutBucketReplication");
    assert_eq!((granted.len(), replicates.len()), (2, 3), "{}", fake.rounds());
    assert!(replicates.iter().all(|at| *at >= known), "{}", fake.rounds());
}

#[tokio::test(start_paused = true)]
async fn role_that_others_removed_or_changed_is_repaired_by_the_next_process() {
    let state = after(buckets(), &policy_scope(), &[created("prod-bills")]).await;
    let name = shared_role(&state);
    let right = state.roles[&name].clone();
    let policy = "s3-kms-replication.dr";
    let edited = |from: &str, to: &str| {
        let mut role = right.clone();
        let document = role.policies.get_mut(policy).unwrap();
        *document = document.replace(from, to);
        Some(role)
    };
    let statement = r#""Statement":["#;
    let further = r#"{"Sid":"Own","Effect":"Allow","Action":"s3:*","Resource":"*"},"#;
    let mut without_policy = right.clone();
    without_policy.policies.remove(policy);
    let nobody = r#"{"Version":"2012-10-17","Statement":[]}"#.to_owned();
    for (what, role) in [
        ("the role is gone", None),
        ("an inline policy is gone", Some(without_policy)),
        ("nobody is trusted", Some(Role { trust: nobody, ..right.clone() })),
        ("a statement was added", edited(statement, &format!("{statement}{further}"))),
        ("an action was replaced", edited("s3:ReplicateTags", "s3:PutObject")),
    ] {
        assert_ne!(role.as_ref(), Some(&right), "{what}");
        let mut harmed = state.clone();
        harmed.roles.remove(&name);
        harmed.roles.extend(role.map(|role| (name.clone(), role)));
        let repaired = after(harmed, &policy_scope(), &[walked("prod-bills")]).await;
        assert_eq!(repaired.roles[&name], right, "{what}");
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
    assert_eq!(fake.writes(), []);
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
