//! Changes of a setup's policies. A case says of a statement only what is particular to the case.

use super::*;

/// The id of a statement that denies, by which a diagnosis names it.
pub const GUARD: &str = "Guard";

/// The text of the role's only inline policy.
pub fn inline_policy(state: &mut State) -> &mut String {
    state.role_mut(OWN_ROLE_NAME).policies.values_mut().next().unwrap()
}

/// Replaces every occurrence of a text in the role's inline policy, which must have it.
pub fn edit_policy(state: &mut State, from: &str, to: &str) {
    let policy = inline_policy(state);
    assert!(policy.contains(from), "`{from}` is not in {policy}");
    *policy = policy.replace(from, to);
}

/// Adds a statement to the role's inline policy.
pub fn add_statement(state: &mut State, statement: &Value) {
    edit_policy(state, r#""Statement":["#, &format!(r#""Statement":[{statement},"#));
}

/// A statement that allows all actions on everything, with changes of its elements; `null` leaves an element out.
pub fn allow(changes: Value) -> Value {
    statement("Allow", changes)
}

/// A statement that denies all actions on everything, with changes of its elements; `null` leaves an element out.
pub fn deny(changes: Value) -> Value {
    statement("Deny", changes)
}

fn statement(effect: &str, changes: Value) -> Value {
    let everything = json!({"Effect": effect, "Action": "*", "Resource": "*"});
    let mut statement = merged(everything, changes);
    statement.as_object_mut().unwrap().retain(|_, element| !element.is_null());
    statement
}

/// A policy document of one statement, or of several.
pub fn document(statements: &Value) -> String {
    json!({"Version": "2012-10-17", "Statement": statements}).to_string()
}

/// Gives a bucket a policy of one statement.
pub fn bucket_policy(state: &mut State, bucket: &str, statement: Value) {
    state.policies.insert(format!("bucket `{bucket}`"), document(&json!([statement])));
}

/// Denies everyone everything in the source, with changes of the statement.
pub fn source_denies(state: &mut State, changes: Value) {
    bucket_denies(state, "demo-source", changes);
}

/// Denies everyone everything in the destination, with changes of the statement.
pub fn destination_denies(state: &mut State, changes: Value) {
    bucket_denies(state, "demo-destination", changes);
}

fn bucket_denies(state: &mut State, bucket: &str, changes: Value) {
    let objects = format!("arn:aws:s3:::{bucket}/*");
    let common = json!({"Sid": GUARD, "Principal": "*", "Action": "s3:*", "Resource": objects});
    bucket_policy(state, bucket, deny(merged(common, changes)));
}

/// Lets the account decide about a key, with changes of the statement.
pub fn key_allows(state: &mut State, key: &str, changes: Value) {
    key_policy(state, key, &account_decides(changes));
}

/// Lets the account decide about a key, except for decryption under this condition.
pub fn key_denies_decryption(state: &mut State, key: &str, condition: Value) {
    let action = "kms:Decrypt";
    let changes = json!({"Sid": GUARD, "Principal": "*", "Action": action, "Condition": condition});
    key_policy(state, key, &json!([account_decides(json!({})), deny(changes)]));
}

fn account_decides(changes: Value) -> Value {
    let root = format!("arn:aws:iam::{ACCOUNT}:root");
    allow(merged(json!({"Principal": {"AWS": root}, "Action": "kms:*"}), changes))
}

fn key_policy(state: &mut State, key: &str, statements: &Value) {
    let policy = json!({"Statement": statements}).to_string();
    state.policies.insert(format!("key `{key}`"), policy);
}
