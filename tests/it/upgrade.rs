//! What an earlier release made keeps working: roles, inline policies, rules, tags, alarms, statements and the table's items of 0.1.0.

mod state;

use std::collections::BTreeSet;

use s3_kms_replication::model::RuleAddress;
use serde_json::{Value, json};

use crate::support::*;
use state::state_0_1_0;

/// A bucket's name of 63 letters, whose role's name is shortened with a hash.
const LONG_NAME: &str = "orders-and-invoices-of-all-years-for-the-long-term-archive-unit";

/// The page that says what an upgrade costs.
const DOCUMENT: &str = include_str!("../../docs/upgrade.md");

/// A command about a rule to `demo-destination`, or as `more` says.
fn command(action: &str, bucket: &str, more: Value) -> Value {
    let mut payload = merged(sample("command-apply"), more);
    payload["Action"] = json!(action);
    payload["SourceBucket"] = json!(bucket);
    payload
}

/// The requests that configured the state of 0.1.0, with the name of the rule's kind.
fn requests() -> Vec<(&'static str, Value)> {
    let mut update = custom_resource("Update", json!({}));
    update["ResourceProperties"] =
        custom_resource("Create", json!({"AlarmTopicArn": TOPIC}))["ResourceProperties"].take();
    vec![
        ("custom resource", signed(update, "20260101T000100Z")),
        ("replication policy", sample("create-bucket")),
        ("command with a long bucket name", command("Apply", LONG_NAME, json!({}))),
        (
            "command with Object Lock",
            command("Apply", "locked", json!({"DestinationBucket": "locked-copy"})),
        ),
        ("foreign role", command("Apply", "extended", json!({"ExistingRole": "Extend"}))),
        ("other account", command("Apply", "for-abroad", other_account_properties())),
    ]
}

/// The pairs of action and resource that a role's inline policies allow.
fn grants(state: &State, role: &str) -> BTreeSet<(String, String)> {
    let list = |value: &Value| match value {
        Value::Array(values) => {
            values.iter().map(|value| value.as_str().unwrap().to_owned()).collect()
        }
        value => vec![value.as_str().unwrap().to_owned()],
    };
    let mut grants = BTreeSet::new();
    for document in state.roles[role].policies.values() {
        let document: Value = serde_json::from_str(document).unwrap();
        for statement in document["Statement"].as_array().into_iter().flatten() {
            for action in list(&statement["Action"]) {
                grants.extend(
                    list(&statement["Resource"])
                        .into_iter()
                        .map(|resource| (action.clone(), resource)),
                );
            }
        }
    }
    grants
}

#[tokio::test(start_paused = true)]
async fn state_of_0_1_0_keeps_everything_and_new_rights_come_as_drift_once() {
    let fake = state_0_1_0();
    let before = fake.state.borrow().clone();
    for (name, request) in requests() {
        let answer = invoke(&fake, &request).await.unwrap();
        assert!(!answer.to_string().contains("Failed"), "{name}: {answer}");
    }
    assert!(only_answer(&fake)["Status"] == "SUCCESS", "{:?}", fake.answers.borrow());
    // An upgrade may widen inline policies. It makes and changes nothing else: no role, rule, tag, bucket, alarm or statement.
    let writes: Vec<&str> = fake.writes().iter().map(|call| call.operation).collect();
    assert!(writes.iter().all(|operation| *operation == "PutRolePolicy"), "{writes:?}");
    assert!(writes.len() <= requests().len(), "{writes:?}");
    print_count(
        u32::try_from(writes.len()).unwrap(),
        &format!(
            "IAM calls write new rights when {} rules of 0.1.0 are upgraded",
            requests().len()
        ),
    );
    let after = fake.state.borrow().clone();
    let mut new_actions = BTreeSet::new();
    for role in before.roles.keys() {
        let (earlier, later) = (grants(&before, role), grants(&after, role));
        assert!(earlier.is_subset(&later), "{role} has lost rights");
        new_actions.extend(later.difference(&earlier).map(|(action, _)| action.clone()));
    }
    let without_policies = |mut state: State| {
        state
            .roles
            .values_mut()
            .for_each(|role| role.policies.values_mut().for_each(String::clear));
        state.leases.clear();
        state
    };
    assert_eq!(without_policies(after), without_policies(before));
    // A permissions boundary must allow what is new.
    let undocumented: Vec<&String> =
        new_actions.iter().filter(|action| !DOCUMENT.contains(&format!("`{action}`"))).collect();
    assert_eq!(undocumented, Vec::<&String>::new(), "docs/upgrade.md lists new actions");

    fake.clear();
    for (name, request) in requests() {
        invoke(&fake, &request).await.unwrap_or_else(|error| panic!("{name}: {error}"));
    }
    assert_eq!(fake.writes(), [], "the upgrade is done once");
}

#[tokio::test(start_paused = true)]
async fn invariant_4_delete_removes_what_0_1_0_made_and_nothing_else() {
    let fake = state_0_1_0();
    let rules_of = |bucket: &str| -> Vec<RuleAddress> {
        let state = fake.state.borrow();
        let rules = state.rules(bucket);
        let ids = rules.iter().filter_map(|rule| rule.id());
        ids.filter_map(|id| RuleAddress::parse(&format!("{bucket}/{id}"))).collect()
    };
    let buckets: Vec<String> = fake.state.borrow().buckets.keys().cloned().collect();
    let mut deleted = 0;
    for rule in buckets.iter().flat_map(|bucket| rules_of(bucket)) {
        let mut payload = json!({
            "Action": "Delete", "SourceBucket": rule.source.to_string(),
            "Name": rule.id.as_str().strip_prefix("s3-kms-replication.").unwrap(),
        });
        if rule.source.as_str() == "for-abroad" {
            let access = other_account_properties();
            for name in ["DestinationRoleArn", "DestinationRoleExternalId"] {
                payload[name] = access[name].clone();
            }
        }
        let answer = invoke(&fake, &payload).await.unwrap();
        assert_eq!(answer["Status"], "Removed", "{answer}");
        deleted += 1;
    }
    assert!(deleted >= requests().len(), "{deleted} rules");
    let state = fake.state.borrow();
    let roles: Vec<&String> = state.roles.keys().collect();
    assert_eq!(roles, ["their-replication"]);
    assert_eq!(state.roles["their-replication"].policies.keys().collect::<Vec<_>>(), ["theirs"]);
    let rules: Vec<String> = buckets
        .iter()
        .flat_map(|bucket| state.rules(bucket))
        .map(|rule| rule.id().unwrap().to_owned())
        .collect();
    assert_eq!(rules, ["theirs"]);
    assert!(state.alarms.is_empty(), "{:?}", state.alarms);
    assert!(state.policies.keys().all(|policy| our_statements(&state, policy).is_empty()));
}

#[tokio::test(start_paused = true)]
async fn deleted_bucket_loses_the_role_that_0_1_0_made() {
    let fake = state_0_1_0();
    fake.state.borrow_mut().buckets.remove("demo-source");
    invoke(&fake, &deleted_demo_source()).await.unwrap();
    assert!(!fake.state.borrow().roles.contains_key(OWN_ROLE_NAME));
    assert!(fake.state.borrow().alarms.is_empty());
}

#[tokio::test(start_paused = true)]
async fn generation_that_0_1_0_recorded_supersedes_an_older_request() {
    let late = custom_resource("Update", json!({"AlarmTopicArn": TOPIC, "Prefix": "late/"}));
    let fake = state_0_1_0();
    let before = fake.state.borrow().clone();
    // Signed before the Create whose generation the table remembers.
    let _ = invoke(&fake, &signed(late.clone(), "20251231T235900Z")).await;
    assert_eq!(fake.state.borrow().rules("demo-source"), before.rules("demo-source"));
    invoke(&fake, &signed(late, "20260101T000100Z")).await.unwrap();
    assert_ne!(fake.state.borrow().rules("demo-source"), before.rules("demo-source"));
}
