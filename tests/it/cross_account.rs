//! A destination in another account: with a role to assume there, without one, and what is left when it ends.

use std::collections::BTreeSet;

use aws_sdk_s3::types::ReplicationRule;
use s3_kms_replication::model::Retry;
use serde_json::json;

use crate::fake::{Bucket, Fake, Fault, State};
use crate::*;

const OTHER: &str = "444455556666";
const ROLE: &str = "arn:aws:iam::444455556666:role/replication-setup";
const OTHER_KEY: &str = "arn:aws:kms:us-west-2:444455556666:key/theirs";
const BUCKET_POLICY: &str = r#"{"Version":"2012-10-17","Statement":[{"Sid":"TlsOnly", "Effect":"Deny","Principal":"*","Action":"s3:*","Resource":"arn:aws:s3:::abroad","Condition":{"Bool":{"aws:SecureTransport":"false"}}}]}"#;
const KEY_POLICY: &str = r#"{"Id":"key-default-1","Version":"2012-10-17","Statement":[{"Sid":"Enable IAM User Permissions","Effect":"Allow","Principal":{"AWS":"arn:aws:iam::444455556666:root"},"Action":"kms:*","Resource":"*"}]}"#;

/// The source's buckets, and a bucket and a key of another account, both with a policy.
pub fn buckets() -> State {
    let mut state = two_buckets();
    let bucket = || Bucket { owner: OTHER.to_owned(), ..Bucket::new("us-west-2") };
    state.buckets.insert("abroad".to_owned(), bucket());
    state.buckets.insert("abroad-too".to_owned(), bucket());
    state.keys.insert(OTHER_KEY.to_owned(), key(OTHER_KEY));
    state.policies.insert("bucket `abroad`".to_owned(), BUCKET_POLICY.to_owned());
    state.policies.insert(format!("key `{OTHER_KEY}`"), KEY_POLICY.to_owned());
    state
}

pub fn properties() -> Value {
    json!({"DestinationBucket": "abroad", "ReplicaKmsKeyArn": OTHER_KEY, "DestinationRoleArn": ROLE, "DestinationRoleExternalId": "ours"})
}

fn without_role() -> Value {
    json!({"DestinationBucket": "abroad", "ReplicaKmsKeyArn": OTHER_KEY, "DestinationAccount": OTHER})
}

fn statements(policy: &str) -> Vec<Value> {
    match &serde_json::from_str::<Value>(policy).unwrap()["Statement"] {
        Value::Array(statements) => statements.clone(),
        lone => vec![lone.clone()],
    }
}

fn is_ours(statement: &Value) -> bool {
    statement["Sid"].as_str().is_some_and(|sid| sid.starts_with("S3KmsReplication"))
}

/// All statements that are not ours, by the policy in which they are.
pub fn statements_of_others(state: &State) -> Vec<(String, Vec<Value>)> {
    let others = |policy: &String| {
        statements(policy).into_iter().filter(|statement| !is_ours(statement)).collect::<Vec<_>>()
    };
    state
        .policies
        .iter()
        .map(|(name, policy)| (name.clone(), others(policy)))
        .filter(|(_, others)| !others.is_empty())
        .collect()
}

/// Whether the destination of a rule lets the replication role in.
pub fn has_statement(state: &State, rule: &ReplicationRule) -> bool {
    let destination = rule.destination().unwrap();
    let key = destination.encryption_configuration().unwrap().replica_kms_key_id().unwrap();
    let policies = [
        format!("bucket `{}`", destination.bucket().rsplit(':').next().unwrap()),
        format!("key `{key}`"),
    ];
    policies.iter().all(|name| {
        state.policies.get(name).is_some_and(|policy| statements(policy).iter().any(is_ours))
    })
}

fn with(mut properties: Value, more: Value) -> Value {
    properties.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    properties
}

fn ours_in(fake: &Fake, name: &str) -> Vec<Value> {
    let state = fake.state.borrow();
    state
        .policies
        .get(name)
        .map(|policy| statements(policy))
        .unwrap_or_default()
        .into_iter()
        .filter(is_ours)
        .collect()
}

async fn delete_with(fake: &Fake, properties: Value) -> Value {
    fake.answers.borrow_mut().clear();
    ask(fake, &custom_resource("Delete", properties)).await.unwrap();
    only_answer(fake)
}

#[tokio::test(start_paused = true)]
async fn a_role_to_assume_gets_the_destination_ready_and_delete_takes_only_ours_back() {
    let fake = Fake::of(buckets());
    assert_eq!(
        create(&fake, with(properties(), json!({"ReplicaOwner": "Destination"}))).await["Status"],
        "SUCCESS"
    );
    let writes = fake.writes();
    let at = |action: &str| writes.iter().position(|write| write.starts_with(action)).unwrap();
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
        ours_in(&fake, &format!("key `{OTHER_KEY}`"))
    ]);
    let destination =
        fake.state.borrow().buckets["demo-source"].replication.as_ref().unwrap().rules()[0]
            .destination()
            .cloned()
            .unwrap();
    assert_eq!(destination.account(), Some(OTHER));
    assert_eq!(destination.access_control_translation().unwrap().owner().as_str(), "Destination");

    fake.calls.borrow_mut().clear();
    create(&fake, with(properties(), json!({"ReplicaOwner": "Destination"}))).await;
    assert_eq!(fake.writes(), [""; 0], "twice is once");
    delete_with(&fake, properties()).await;
    let state = fake.state.borrow();
    assert_eq!(statements_of_others(&state), statements_of_others(&buckets()));
    assert!(
        state
            .policies
            .values()
            .flat_map(|policy| statements(policy))
            .all(|statement| !is_ours(&statement))
    );
    assert!(state.roles.is_empty() && state.buckets["demo-source"].replication.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_destination_that_was_made_there_has_no_policy_of_ours_left() {
    let fake = Fake::of(buckets());
    let made =
        with(properties(), json!({"DestinationBucket": "made", "CreateDestinationBucket": true}));
    assert_eq!(create(&fake, made.clone()).await["Status"], "SUCCESS");
    assert_eq!(fake.state.borrow().buckets["made"].owner, OTHER);
    assert_eq!(ours_in(&fake, "bucket `made`").len(), 1);
    delete_with(&fake, made).await;
    assert!(!fake.state.borrow().policies.contains_key("bucket `made`"));
}

#[tokio::test(start_paused = true)]
async fn an_earlier_destination_loses_our_statements_after_the_rule_has_changed() {
    let fake = Fake::of(buckets());
    create(&fake, properties()).await;
    fake.calls.borrow_mut().clear();
    fake.answers.borrow_mut().clear();
    ask(
        &fake,
        &custom_resource("Update", with(properties(), json!({"DestinationBucket": "abroad-too"}))),
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
        .map(|write| write.split("statement").next().unwrap().to_owned())
        .collect();
    insta::assert_json_snapshot!(order);
}

#[tokio::test(start_paused = true)]
async fn without_a_role_the_statements_are_said_and_nothing_is_changed() {
    let fake = Fake::of(buckets());
    let refused = create(&fake, without_role()).await;
    assert_eq!((refused["Status"].as_str(), fake.writes().len()), (Some("FAILED"), 0));
    let command = json!({"Action": "Plan", "SourceBucket": "demo-source"});
    let refused = ask(&fake, &with(command, without_role())).await.unwrap_err();
    insta::assert_snapshot!(refused);
}

#[tokio::test(start_paused = true)]
async fn without_a_role_the_rule_is_attached_to_what_can_be_seen_to_be_ready() {
    let mut state = buckets();
    state.shown = BTreeSet::from(["abroad".to_owned(), OTHER_KEY.to_owned()]);
    let fake = Fake::of(state.clone());
    let refused = create(&fake, without_role()).await;
    insta::assert_snapshot!(refused["Reason"].as_str().unwrap(), @"versioning of `DestinationBucket` `abroad` is Off, which only account 444455556666 can change: enable it there, or set `DestinationRoleArn`");
    assert_eq!(fake.writes(), [""; 0]);

    state.buckets.get_mut("abroad").unwrap().versioning =
        s3_kms_replication::model::Versioning::Enabled;
    let fake = Fake::of(state);
    let answer = create(&fake, without_role()).await;
    assert_eq!(answer["Status"], "SUCCESS");
    let reason = answer["Reason"].as_str().unwrap();
    assert!(
        reason.contains("need these statements") && reason.contains("s3:ReplicateObject"),
        "{reason}"
    );
    assert_eq!(statements_of_others(&fake.state.borrow()), statements_of_others(&buckets()));
    assert_eq!(delete_with(&fake, without_role()).await["Status"], "SUCCESS");
}

#[tokio::test(start_paused = true)]
async fn a_bucket_of_another_account_is_not_created_without_a_role() {
    let mut state = buckets();
    state.shown = BTreeSet::from([OTHER_KEY.to_owned()]);
    let fake = Fake::of(state);
    let absent =
        with(without_role(), json!({"DestinationBucket": "made", "CreateDestinationBucket": true}));
    let refused = create(&fake, absent).await;
    insta::assert_snapshot!(refused["Reason"].as_str().unwrap(), @"`CreateDestinationBucket` of `made` in account 444455556666 needs `DestinationRoleArn`, a role of that account");
}

#[tokio::test(start_paused = true)]
async fn a_policy_that_would_become_too_long_is_refused_before_anything_is_changed() {
    for (name, limit) in
        [("bucket `abroad`".to_owned(), 20_480), (format!("key `{OTHER_KEY}`"), 32_768)]
    {
        let fake = Fake::of(buckets());
        create(&fake, properties()).await;
        let with_ours = fake.state.borrow().policies[&name].clone();
        for (excess, status) in [(0, "SUCCESS"), (1, "FAILED")] {
            let mut state = buckets();
            let padding = limit + excess - with_ours.len();
            let padded = state.policies[&name].replacen(
                "\"Version\"",
                &format!("\"Id2\":\"{}\",\"Version\"", "x".repeat(padding - 9)),
                1,
            );
            state.policies.insert(name.clone(), padded);
            let fake = Fake::of(state);
            let answer = create(&fake, properties()).await;
            assert_eq!(answer["Status"], status, "{name}: {answer}");
            if excess > 0 {
                assert!(
                    answer["Reason"]
                        .as_str()
                        .unwrap()
                        .contains(&format!("would have {} bytes", limit + 1)),
                    "{answer}"
                );
                assert_eq!(fake.writes(), [""; 0]);
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_wrong_with_the_other_account_is_said() {
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
        let fake = Fake::of(buckets());
        let answer = create(&fake, with(properties(), changes)).await;
        assert!(answer["Reason"].as_str().unwrap().starts_with(expected), "{answer}");
        assert_eq!(fake.calls.borrow().len(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_role_of_the_same_account_changes_nothing_but_whose_credentials_are_used() {
    let fake = Fake::of(two_buckets());
    let own_role = json!({"DestinationRoleArn": "arn:aws:iam::111122223333:role/setup", "ReplicaOwner": "Destination"});
    assert_eq!(create(&fake, own_role).await["Status"], "SUCCESS");
    let state = fake.state.borrow();
    let rule = &state.buckets["demo-source"].replication.as_ref().unwrap().rules()[0];
    assert!(state.policies.is_empty() && rule.destination().unwrap().account().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_bucket_that_is_gone_takes_its_statements_with_it() {
    let policy = json!({"Rules": [with(properties(), json!({"Name": "dr", "Match": {"BucketNames": ["prod-*"]}}))]}).to_string();
    let settings = {
        let variables = [
            ("REPLICATION_POLICY", policy.as_str()),
            ("LOCK_TABLE", "leases"),
            ("AWS_REGION", "us-east-1"),
        ];
        Settings::read(|name| {
            variables
                .iter()
                .find(|(variable, _)| *variable == name)
                .map(|(_, value)| (*value).to_owned())
        })
        .unwrap()
    };
    let fake = Fake::of(buckets());
    let reconcile = json!({"Action": "Reconcile", "SourceBucket": "prod-orders"});
    let ask = async || {
        Box::pin(handle(&reconcile, Instant::now() + Duration::from_secs(300), &fake, &settings))
            .await
            .answer
            .unwrap()
    };
    ask().await;
    assert_eq!(ours_in(&fake, "bucket `abroad`").len(), 1);
    fake.state.borrow_mut().buckets.remove("prod-orders");
    ask().await;
    assert_eq!(
        ours_in(&fake, "bucket `abroad`").len()
            + ours_in(&fake, &format!("key `{OTHER_KEY}`")).len(),
        0
    );
    assert!(fake.state.borrow().roles.is_empty());
}

#[tokio::test(start_paused = true)]
async fn verify_looks_at_the_replica_as_the_destinations_account() {
    let fake = Fake::of(buckets());
    assert_eq!(
        create(&fake, with(properties(), json!({"Verify": true}))).await["Status"],
        "SUCCESS"
    );
    assert!(
        fake.state.borrow().buckets.values().all(|bucket| bucket.objects.is_empty()),
        "nothing of the canary stays"
    );
}

#[tokio::test(start_paused = true)]
async fn while_a_rule_changes_its_earlier_statements_stay_beside_the_new_ones() {
    let fake = Fake::of(buckets());
    create(&fake, properties()).await;
    fake.calls.borrow_mut().clear();
    fake.answers.borrow_mut().clear();
    ask(&fake, &custom_resource("Update", with(properties(), json!({"Prefix": "Vat"}))))
        .await
        .unwrap();
    let writes: Vec<String> =
        fake.writes().into_iter().filter(|write| !write.contains("RolePolicy")).collect();
    insta::assert_json_snapshot!(writes);
    assert_eq!(
        (
            ours_in(&fake, "bucket `abroad`").len(),
            ours_in(&fake, &format!("key `{OTHER_KEY}`")).len()
        ),
        (1, 1)
    );
}

#[tokio::test(start_paused = true)]
async fn delete_takes_back_what_a_change_that_failed_has_left_beside() {
    let change = with(properties(), json!({"Prefix": "Vat"}));
    let changed = async |fault: Option<usize>| {
        let fake = Fake::of(buckets());
        create(&fake, properties()).await;
        fake.calls.borrow_mut().clear();
        fake.fault.set(fault.map(|index| (index, Fault::Refused("AccessDenied", Retry::Never))));
        ask(&fake, &custom_resource("Update", change.clone())).await.unwrap();
        fake
    };
    let calls = changed(None).await.calls.take();
    let released = calls.iter().position(|call| call.starts_with("Release")).unwrap();
    for index in 0..released {
        let fake = changed(Some(index)).await;
        fake.fault.set(None);
        delete_with(&fake, change.clone()).await;
        let left = (
            ours_in(&fake, "bucket `abroad`").len(),
            ours_in(&fake, &format!("key `{OTHER_KEY}`")).len(),
        );
        assert_eq!(left, (0, 0), "after a fault in call {index}");
    }
}
