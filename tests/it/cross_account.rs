//! A destination in another account: with a role to assume there, without one, and what is left when it ends.

use std::collections::BTreeSet;

use s3_kms_replication::model::{Retry, Versioning};
use serde_json::{Value, json};

use crate::support::*;

fn without_role() -> Value {
    json!({"DestinationBucket": "abroad", "ReplicaKmsKeyArn": OTHER_ACCOUNT_KEY, "DestinationAccount": OTHER_ACCOUNT})
}

fn ours_in(fake: &Fake, name: &str) -> Vec<Value> {
    our_statements(&fake.state.borrow(), name)
}

#[tokio::test(start_paused = true)]
async fn invariant_4_delete_removes_only_our_statements_of_those_that_create_wrote_with_an_assumed_role()
 {
    let fake = Fake::new(two_accounts());
    assert_eq!(
        create(&fake, merged(other_account_properties(), json!({"ReplicaOwner": "Destination"})))
            .await["Status"],
        "SUCCESS"
    );
    let writes = fake.writes();
    let at = |operation: &str| fake.position(operation);
    assert!(at("PutRolePolicy") < at("PutBucketPolicy").min(at("PutKeyPolicy")), "{writes:#?}");
    assert!(
        at("PutBucketPolicy").max(at("PutKeyPolicy")) < at("PutBucketReplication"),
        "{writes:#?}"
    );
    let of_bucket = fake.state.borrow().policies["bucket `abroad`"].clone();
    assert!(
        of_bucket.contains(BUCKET_POLICY.split_once('[').unwrap().1.strip_suffix("]}").unwrap()),
        "byte for byte: {of_bucket}"
    );
    insta::assert_json_snapshot!([
        ours_in(&fake, "bucket `abroad`"),
        ours_in(&fake, &format!("key `{OTHER_ACCOUNT_KEY}`"))
    ]);
    let rule = fake.state.borrow().rules("demo-source")[0].clone();
    assert_eq!(rule.destination_account(), Some(OTHER_ACCOUNT));
    assert_eq!(
        rule.text(&["Destination", "AccessControlTranslation", "Owner"]),
        Some("Destination")
    );

    fake.calls.borrow_mut().clear();
    create(&fake, merged(other_account_properties(), json!({"ReplicaOwner": "Destination"}))).await;
    assert_eq!(fake.writes(), [], "applying again performs no writes");
    delete_with(&fake, other_account_properties()).await;
    let state = fake.state.borrow();
    assert_eq!(foreign_statements(&state), foreign_statements(&two_accounts()));
    assert!(state.policies.keys().all(|policy| our_statements(&state, policy).is_empty()));
    assert!(state.roles.is_empty() && state.buckets["demo-source"].replication.is_none());
}

#[tokio::test(start_paused = true)]
async fn invariant_4_delete_leaves_no_bucket_policy_on_a_created_destination() {
    let fake = Fake::new(two_accounts());
    let made = merged(
        other_account_properties(),
        json!({"DestinationBucket": "made", "CreateDestinationBucket": true}),
    );
    assert_eq!(create(&fake, made.clone()).await["Status"], "SUCCESS");
    assert_eq!(fake.state.borrow().buckets["made"].owner, OTHER_ACCOUNT);
    assert_eq!(ours_in(&fake, "bucket `made`").len(), 1);
    delete_with(&fake, made).await;
    assert!(!fake.state.borrow().policies.contains_key("bucket `made`"));
}

#[tokio::test(start_paused = true)]
async fn earlier_destination_loses_our_statements_after_the_rule_is_written() {
    let fake = Fake::new(two_accounts());
    create(&fake, other_account_properties()).await;
    fake.clear();
    invoke(
        &fake,
        &custom_resource(
            "Update",
            merged(other_account_properties(), json!({"DestinationBucket": "abroad-too"})),
        ),
    )
    .await
    .unwrap();
    assert_eq!(only_answer(&fake)["Status"], "SUCCESS");
    assert_eq!(
        (ours_in(&fake, "bucket `abroad`").len(), ours_in(&fake, "bucket `abroad-too`").len()),
        (0, 1)
    );
    let order: Vec<String> = fake
        .writes()
        .iter()
        .map(|write| write.to_string().split("statement").next().unwrap().to_owned())
        .collect();
    insta::assert_json_snapshot!(order);
}

#[tokio::test(start_paused = true)]
async fn invariant_9_unreadable_destination_without_a_role_is_refused_with_the_statements_to_add() {
    let fake = Fake::new(two_accounts());
    let refused = create(&fake, without_role()).await;
    assert_eq!((refused["Status"].as_str(), fake.writes().len()), (Some("FAILED"), 0));
    let command = json!({"Action": "Plan", "SourceBucket": "demo-source"});
    let refused = invoke(&fake, &merged(command, without_role())).await.unwrap_err();
    insta::assert_snapshot!(refused);
}

#[tokio::test(start_paused = true)]
async fn denied_destination_without_an_account_is_refused_with_the_property_that_names_the_account()
{
    let fake = Fake::new(two_accounts());
    let abroad = json!({"DestinationBucket": "abroad", "ReplicaKmsKeyArn": OTHER_ACCOUNT_KEY});
    let answer = create(&fake, abroad).await;
    let reason = answer["Reason"].as_str().unwrap();
    assert!(
        reason.ends_with(
            "; if the bucket is another account's, `DestinationAccount` must name that account"
        ),
        "{reason}"
    );
    assert_eq!(fake.writes(), []);
}

#[tokio::test(start_paused = true)]
async fn denied_read_of_a_destination_of_the_same_account_names_no_other_account() {
    let fake = Fake::new(two_buckets());
    fake.deny_after(0, "GetBucketVersioning");
    let answer = create(&fake, json!({})).await;
    assert_eq!(
        answer["Reason"],
        "GetBucketVersioning on bucket `demo-destination`: AccessDenied: as told"
    );
    assert_eq!(fake.writes(), []);
}

#[tokio::test(start_paused = true)]
async fn rule_without_a_role_is_written_only_to_a_destination_that_is_versioned() {
    let mut state = two_accounts();
    state.readable = BTreeSet::from(["abroad".to_owned(), OTHER_ACCOUNT_KEY.to_owned()]);
    let fake = Fake::new(state.clone());
    let refused = create(&fake, without_role()).await;
    insta::assert_snapshot!(refused["Reason"].as_str().unwrap(), @"versioning of `DestinationBucket` `abroad` is Off, which only account 444455556666 can change: enable it there, or set `DestinationRoleArn`");
    assert_eq!(fake.writes(), []);

    state.bucket_mut("abroad").versioning = Versioning::Enabled;
    let fake = Fake::new(state);
    let answer = create(&fake, without_role()).await;
    assert_eq!(answer["Status"], "SUCCESS");
    let reason = answer["Reason"].as_str().unwrap();
    assert!(
        reason.contains("need these statements") && reason.contains("s3:ReplicateObject"),
        "{reason}"
    );
    assert_eq!(foreign_statements(&fake.state.borrow()), foreign_statements(&two_accounts()));
    assert_eq!(delete_with(&fake, without_role()).await["Status"], "SUCCESS");
}

#[tokio::test(start_paused = true)]
async fn invariant_9_creating_a_bucket_of_another_account_without_a_role_is_refused() {
    let mut state = two_accounts();
    state.readable = BTreeSet::from([OTHER_ACCOUNT_KEY.to_owned()]);
    let fake = Fake::new(state);
    let absent = merged(
        without_role(),
        json!({"DestinationBucket": "made", "CreateDestinationBucket": true}),
    );
    let refused = create(&fake, absent).await;
    insta::assert_snapshot!(refused["Reason"].as_str().unwrap(), @"`CreateDestinationBucket` of `made` in account 444455556666 needs `DestinationRoleArn`, a role of that account");
}

#[tokio::test(start_paused = true)]
async fn invariant_9_resource_policy_that_would_be_too_long_is_refused_without_writes() {
    for (name, limit) in
        [("bucket `abroad`".to_owned(), 20_480), (format!("key `{OTHER_ACCOUNT_KEY}`"), 32_768)]
    {
        let fake = Fake::new(two_accounts());
        create(&fake, other_account_properties()).await;
        let with_ours = fake.state.borrow().policies[&name].clone();
        for (excess, status) in [(0, "SUCCESS"), (1, "FAILED")] {
            let mut state = two_accounts();
            let padding = limit + excess - with_ours.len();
            let padded = state.policies[&name].replacen(
                "\"Version\"",
                &format!("\"Id2\":\"{}\",\"Version\"", "x".repeat(padding - 9)),
                1,
            );
            state.policies.insert(name.clone(), padded);
            let fake = Fake::new(state);
            let answer = create(&fake, other_account_properties()).await;
            assert_eq!(answer["Status"], status, "{name}: {answer}");
            if excess > 0 {
                assert!(
                    answer["Reason"]
                        .as_str()
                        .unwrap()
                        .contains(&format!("would have {} bytes", limit + 1)),
                    "{answer}"
                );
                assert_eq!(fake.writes(), []);
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn invariant_9_invalid_cross_account_property_is_refused_without_a_call() {
    for (changes, expected) in [
        (
            json!({"DestinationAccount": "1"}),
            "`DestinationAccount` has the account `1`; an account's id is 12 digits",
        ),
        (
            json!({"DestinationAccount": "111122223333"}),
            "`DestinationRoleArn` is a role of account 444455556666",
        ),
        (
            json!({"DestinationRoleArn": "replication-setup"}),
            "`DestinationRoleArn` is `replication-setup`; a role is named by its ARN",
        ),
        (
            json!({"DestinationRoleArn": null}),
            "`DestinationRoleExternalId` needs `DestinationRoleArn`",
        ),
        (
            json!({"DestinationRoleExternalId": "x"}),
            "`DestinationRoleExternalId` is `x`; an external id has 2 to 1,224",
        ),
        (json!({"ReplicaOwner": "Me"}), "`ReplicaOwner` is `Me`; allowed are Source, Destination"),
    ] {
        let fake = Fake::new(two_accounts());
        let answer = create(&fake, merged(other_account_properties(), changes)).await;
        assert!(answer["Reason"].as_str().unwrap().starts_with(expected), "{answer}");
        assert_eq!(fake.calls.borrow().len(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn role_of_the_same_account_adds_no_statements_and_no_account_to_the_rule() {
    let fake = Fake::new(two_buckets());
    let own_role = json!({"DestinationRoleArn": "arn:aws:iam::111122223333:role/setup", "ReplicaOwner": "Destination"});
    assert_eq!(create(&fake, own_role).await["Status"], "SUCCESS");
    let state = fake.state.borrow();
    let rule = &state.rules("demo-source")[0];
    assert!(state.policies.is_empty() && rule.destination_account().is_none());
}

#[tokio::test]
async fn owner_of_replicas_is_warned_of_where_it_cannot_change() {
    let one_account = |account: Value| {
        (two_buckets(), json!({"ReplicaOwner": "Destination", "DestinationAccount": account}))
    };
    let abroad = |owner: &str| {
        (two_accounts(), merged(other_account_properties(), json!({"ReplicaOwner": owner})))
    };
    let unasked = (two_buckets(), json!({"ReplicaOwner": "Source"}));
    for ((state, changes), is_warned_of, is_overridden) in [
        (one_account(Value::Null), true, false),
        (one_account(json!(ACCOUNT)), true, false),
        (unasked, false, false),
        (abroad("Source"), false, false),
        (abroad("Destination"), false, true),
    ] {
        let plan = plan_apply(&state, &spec(changes.clone())).unwrap();
        let warnings = plan.warnings.iter();
        let of_owner = warnings.filter(|it| it.starts_with("`ReplicaOwner` `Destination` has no"));
        assert_eq!(of_owner.count(), usize::from(is_warned_of), "{changes}: {:?}", plan.warnings);
        let state = executed(state, &plan).await;
        let rule = state.rules("demo-source").remove(0);
        assert_eq!(rule.xml().contains("AccessControlTranslation"), is_overridden, "{changes}");
    }
}

#[tokio::test(start_paused = true)]
async fn deleted_bucket_loses_its_statements_in_the_other_account() {
    let policy = json!({"Rules": [merged(other_account_properties(), json!({"Name": "dr", "Match": {"BucketNames": ["prod-*"]}}))]}).to_string();
    let settings = environment(&[
        ("REPLICATION_POLICY", policy.as_str()),
        ("LOCK_TABLE", "leases"),
        ("AWS_REGION", "us-east-1"),
    ]);
    let fake = Fake::new(two_accounts());
    let reconcile = json!({"Action": "Reconcile", "SourceBucket": "prod-orders"});
    let invoke = async || invoke_with(&fake, &reconcile, &settings).await.unwrap();
    invoke().await;
    assert_eq!(ours_in(&fake, "bucket `abroad`").len(), 1);
    fake.state.borrow_mut().buckets.remove("prod-orders");
    invoke().await;
    assert_eq!(
        ours_in(&fake, "bucket `abroad`").len()
            + ours_in(&fake, &format!("key `{OTHER_ACCOUNT_KEY}`")).len(),
        0
    );
    assert!(fake.state.borrow().roles.is_empty());
}

#[tokio::test(start_paused = true)]
async fn verify_reads_the_replica_with_the_destination_role() {
    let fake = Fake::new(two_accounts());
    assert_eq!(
        create(&fake, merged(other_account_properties(), json!({"Verify": true}))).await["Status"],
        "SUCCESS"
    );
    assert!(
        fake.state.borrow().buckets.values().all(|bucket| bucket.objects.is_empty()),
        "nothing of the canary stays"
    );
}

#[tokio::test(start_paused = true)]
async fn changed_rule_keeps_its_earlier_statements_until_it_is_written() {
    let fake = Fake::new(two_accounts());
    create(&fake, other_account_properties()).await;
    fake.clear();
    invoke(
        &fake,
        &custom_resource("Update", merged(other_account_properties(), json!({"Prefix": "Vat"}))),
    )
    .await
    .unwrap();
    let writes: Vec<String> = fake
        .writes()
        .iter()
        .filter(|write| !write.operation.contains("RolePolicy"))
        .map(ToString::to_string)
        .collect();
    insta::assert_json_snapshot!(writes);
    assert_eq!(
        (
            ours_in(&fake, "bucket `abroad`").len(),
            ours_in(&fake, &format!("key `{OTHER_ACCOUNT_KEY}`")).len()
        ),
        (1, 1)
    );
}

#[tokio::test(start_paused = true)]
async fn invariant_4_delete_after_a_failed_update_removes_the_statements_of_both_forms() {
    let change = merged(other_account_properties(), json!({"Prefix": "Vat"}));
    let changed = async |fault: Option<usize>| {
        let fake = Fake::new(two_accounts());
        create(&fake, other_account_properties()).await;
        fake.calls.borrow_mut().clear();
        if let Some(index) = fault {
            fake.fail_call(index, Fault::Refused("AccessDenied", Retry::Never));
        }
        invoke(&fake, &custom_resource("Update", change.clone())).await.unwrap();
        fake
    };
    let released = changed(None).await.position("ReleaseLease");
    for index in 0..released {
        let fake = changed(Some(index)).await;
        fake.stop_failing();
        delete_with(&fake, change.clone()).await;
        let left = (
            ours_in(&fake, "bucket `abroad`").len(),
            ours_in(&fake, &format!("key `{OTHER_ACCOUNT_KEY}`")).len(),
        );
        assert_eq!(left, (0, 0), "after a fault in call {index}");
    }
}
