//! The statements of resource policies, judged by their `Sid`s.

use s3_kms_replication::model::ReplicationRule;
use serde_json::Value;

use super::State;

/// The statements of a policy; a policy may have one without brackets.
pub(super) fn statements(policy: &str) -> Vec<Value> {
    match serde_json::from_str::<Value>(policy).unwrap()["Statement"].take() {
        Value::Array(statements) => statements,
        one => vec![one],
    }
}

fn is_ours(statement: &Value) -> bool {
    statement["Sid"].as_str().is_some_and(|sid| sid.starts_with("S3KmsReplication"))
}

/// Our statements in the policy of this name, such as "bucket `abroad`".
pub fn our_statements(state: &State, policy: &str) -> Vec<Value> {
    let policy = state.policies.get(policy);
    policy
        .map(|policy| statements(policy))
        .unwrap_or_default()
        .into_iter()
        .filter(is_ours)
        .collect()
}

/// All foreign statements, by the policy in which they are.
pub fn foreign_statements(state: &State) -> Vec<(String, Vec<Value>)> {
    let foreign = |policy: &String| -> Vec<Value> {
        statements(policy).into_iter().filter(|statement| !is_ours(statement)).collect()
    };
    let by_policy = state.policies.iter().map(|(name, policy)| (name.clone(), foreign(policy)));
    by_policy.filter(|(_, foreign)| !foreign.is_empty()).collect()
}

/// Whether the policies of a rule's destination and key have a statement of ours.
pub fn admits_role(state: &State, rule: &ReplicationRule) -> bool {
    let key = rule.replica_kms_key_id().unwrap();
    let bucket = rule.destination_bucket().unwrap().rsplit(':').next().unwrap();
    let policies = [format!("bucket `{bucket}`"), format!("key `{key}`")];
    policies.iter().all(|policy| !our_statements(state, policy).is_empty())
}
