//! AWS's documented answers. Each group names the page of the IAM User Guide (<https://docs.aws.amazon.com/IAM/latest/UserGuide/>), or of
//! another guide, that says so.

use serde_json::{Value, json};

use super::case::{Case, ROLE, SESSION, USER};

const KEY: &str = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";
const OBJECT: &str = "arn:aws:s3:::source/a/b";

fn answer(case: &Value) -> &'static str {
    serde_json::from_value::<Case>(case.clone()).unwrap().outcome()
}

fn policy(statements: Value) -> Value {
    json!({"Version": "2012-10-17", "Statement": statements})
}

/// A session's request to read an object of its own account, with one statement of an identity policy.
fn with_statement(statement: Value, context: Value) -> &'static str {
    answer(
        &json!({"principal": SESSION, "action": "s3:GetObject", "resource": OBJECT, "account": "111122223333",
                   "context": context, "identity": [policy(statement)]}),
    )
}

fn condition(operator: &str, key: &str, values: Value) -> Value {
    json!({"Effect": "Allow", "Action": "*", "Resource": "*", "Condition": {operator: {key: values}}})
}

/// `reference_policies_elements_action.html`, `…_notaction.html`, `…_resource.html`, `…_notresource.html`.
#[test]
fn actions_and_resources_match_as_documented() {
    for (elements, allowed) in [
        (json!({"Action": "s3:GetObject", "Resource": OBJECT}), true),
        (json!({"Action": ["s3:PutObject", "S3:GETOBJECT"], "Resource": "*"}), true),
        (json!({"Action": "s3:Get*", "Resource": "arn:aws:s3:::source/*"}), true),
        (json!({"Action": "s3:Get?bject", "Resource": "arn:aws:s3:::source/?/b"}), true),
        (json!({"Action": "s3:GetObjectVersion", "Resource": "*"}), false),
        (json!({"Action": "*", "Resource": "arn:aws:s3:::source"}), false),
        (json!({"Action": "*", "Resource": "arn:aws:s3:::source/b"}), false),
        (json!({"Action": "*", "Resource": "arn:aws:s3:::SOURCE/*"}), false),
        // A final wildcard also matches colons.
        (json!({"Action": "*", "Resource": "arn:aws:s3:*"}), true),
        (json!({"NotAction": "s3:Put*", "Resource": "*"}), true),
        (json!({"NotAction": ["iam:*", "s3:Get*"], "Resource": "*"}), false),
        (json!({"Action": "*", "NotResource": "arn:aws:s3:::source/secret/*"}), true),
        (
            json!({"Action": "*", "NotResource": ["arn:aws:s3:::x", "arn:aws:s3:::source/a/*"]}),
            false,
        ),
    ] {
        let mut statement = elements;
        statement["Effect"] = json!("Allow");
        let expected = if allowed { "Allowed" } else { "ImplicitlyDenied" };
        assert_eq!(with_statement(statement.clone(), json!({})), expected, "{statement}");
    }
}

/// `reference_policies_elements_condition_operators.html`: operators by type, a key that is absent, `IfExists`, `Null`.
#[test]
fn operators_hold_as_documented() {
    let context = json!({
        "aws:SourceIp": "203.0.113.9", "aws:PrincipalTag/team": "Red", "aws:MultiFactorAuthAge": "300",
        "aws:CurrentTime": "2026-06-01T12:00:00Z", "aws:EpochTime": "1780315200", "aws:SecureTransport": "true",
        "aws:PrincipalTag/bytes": "QmluYXJ5", "aws:SourceArn": "arn:aws:s3:::source", "aws:PrincipalOrgPaths": ["o-1/r-1/", "o-1/r-2/"],
    });
    for (operator, key, values, holds) in [
        ("StringEquals", "aws:PrincipalTag/team", json!("Red"), true),
        ("StringEquals", "AWS:principaltag/TEAM", json!("Red"), true),
        ("StringEquals", "aws:PrincipalTag/team", json!("red"), false),
        ("StringEquals", "aws:PrincipalTag/team", json!("R*"), false),
        ("StringEqualsIgnoreCase", "aws:PrincipalTag/team", json!(["blue", "red"]), true),
        ("StringNotEquals", "aws:PrincipalTag/team", json!(["blue", "Red"]), false),
        ("StringNotEquals", "aws:PrincipalTag/team", json!(["blue", "red"]), true),
        ("StringLike", "aws:PrincipalTag/team", json!("R?d"), true),
        ("StringLike", "aws:PrincipalTag/team", json!("r*"), false),
        ("StringNotLike", "aws:PrincipalTag/team", json!("B*"), true),
        ("StringEquals", "aws:SourceVpce", json!("vpce-1"), false),
        ("StringNotEquals", "aws:SourceVpce", json!("vpce-1"), true),
        ("StringEqualsIfExists", "aws:SourceVpce", json!("vpce-1"), true),
        ("StringLikeIfExists", "aws:PrincipalTag/team", json!("B*"), false),
        ("NumericEquals", "aws:MultiFactorAuthAge", json!(300), true),
        ("NumericLessThan", "aws:MultiFactorAuthAge", json!("300"), false),
        ("NumericLessThanEquals", "aws:MultiFactorAuthAge", json!("300"), true),
        ("NumericGreaterThan", "aws:MultiFactorAuthAge", json!("299.5"), true),
        ("NumericNotEquals", "aws:MultiFactorAuthAge", json!("3e2"), false),
        ("DateGreaterThan", "aws:CurrentTime", json!("2026-06-01T00:00:00Z"), true),
        ("DateLessThan", "aws:CurrentTime", json!("2026-06-01T14:00:00+02:00"), false),
        ("DateEquals", "aws:EpochTime", json!("2026-06-01T12:00:00Z"), true),
        ("Bool", "aws:SecureTransport", json!(true), true),
        ("Bool", "aws:SecureTransport", json!("false"), false),
        ("BinaryEquals", "aws:PrincipalTag/bytes", json!("QmluYXJ5"), true),
        ("BinaryEquals", "aws:PrincipalTag/bytes", json!("QmluYXJ6"), false),
        ("IpAddress", "aws:SourceIp", json!("203.0.113.0/24"), true),
        ("IpAddress", "aws:SourceIp", json!(["0.0.0.0/0", "::/0"]), true),
        ("NotIpAddress", "aws:SourceIp", json!(["198.51.100.0/24", "203.0.113.9"]), false),
        ("NotIpAddress", "aws:SourceIp", json!("2001:DB8:1234:5678::/64"), true),
        ("ArnLike", "aws:SourceArn", json!("arn:aws:s3:::sour*"), true),
        ("ArnEquals", "aws:SourceArn", json!("arn:aws:s3:::sour*"), true),
        ("ArnLike", "aws:SourceArn", json!("arn:aws:*"), false),
        ("ArnNotLike", "aws:SourceArn", json!("arn:aws:s3:::other"), true),
        ("Null", "aws:SourceVpce", json!("true"), true),
        ("Null", "aws:SourceVpce", json!(false), false),
        ("Null", "aws:SourceIp", json!("false"), true),
        // A key with several values needs a set operator.
        ("StringLike", "aws:PrincipalOrgPaths", json!("o-1/*"), false),
    ] {
        let expected = if holds { "Allowed" } else { "ImplicitlyDenied" };
        let statement = condition(operator, key, values);
        assert_eq!(with_statement(statement.clone(), context.clone()), expected, "{statement}");
    }
}

/// `reference_policies_condition-single-vs-multi-valued-context-keys.html`, and for `ForAnyValue:…IfExists` of a key that is absent
/// <https://repost.aws/questions/QU9HFmDzP0QGuU-fd7rS6B7w>.
#[test]
fn set_operators_hold_as_documented() {
    let paths = |values: &[&str]| json!({"aws:PrincipalOrgPaths": values});
    for (operator, wanted, context, holds) in [
        ("ForAllValues:StringEquals", json!(["a", "b", "c"]), paths(&["a", "b"]), true),
        ("ForAllValues:StringEquals", json!(["a"]), paths(&["a", "b"]), false),
        ("ForAllValues:StringEquals", json!(["a"]), json!({}), true),
        ("ForAllValues:StringNotLike", json!("key1*"), paths(&["key1:hr", "key1:it"]), false),
        ("ForAllValues:StringNotLike", json!("key1*"), paths(&["key2:audit"]), true),
        ("ForAllValues:StringNotLike", json!("key1*"), json!({}), true),
        ("ForAnyValue:StringEquals", json!(["a", "x"]), paths(&["a", "b"]), true),
        ("ForAnyValue:StringEquals", json!("x"), paths(&["a", "b"]), false),
        ("ForAnyValue:StringEquals", json!("x"), json!({}), false),
        ("ForAnyValue:StringNotEquals", json!("a"), paths(&["a", "b"]), true),
        ("ForAnyValue:StringEqualsIfExists", json!("x"), json!({}), false),
    ] {
        let expected = if holds { "Allowed" } else { "ImplicitlyDenied" };
        let statement = condition(operator, "aws:PrincipalOrgPaths", wanted);
        assert_eq!(
            with_statement(statement.clone(), context.clone()),
            expected,
            "{statement} {context}"
        );
    }
}

/// `reference_policies_variables.html` and `reference_policies_elements_version.html`.
#[test]
fn variables_have_values_as_documented() {
    let tagged = json!({"aws:PrincipalTag/team": "a", "aws:SourceVpce": "a"});
    let starred = json!({"aws:PrincipalTag/team": "*"});
    let resource = |resource: &str| json!({"Effect": "Allow", "Action": "*", "Resource": resource});
    for (statement, context, allowed) in [
        (resource("arn:aws:s3:::source/${aws:PrincipalTag/team}/*"), &tagged, true),
        (resource("arn:aws:s3:::source/${aws:principaltag/TEAM}/*"), &tagged, true),
        (resource("arn:aws:s3:::source/${aws:PrincipalTag/team}/*"), &json!({}), false),
        (resource("arn:aws:s3:::source/${aws:PrincipalTag/team, 'a'}/*"), &json!({}), true),
        (resource("arn:aws:s3:::source/${aws:PrincipalTag/team, 'x'}/*"), &tagged, true),
        (resource("arn:aws:s3:::source/${*}"), &tagged, false),
        (resource("arn:aws:s3:::source/${aws:PrincipalTag/team}"), &starred, false),
        (
            condition("StringEquals", "aws:SourceVpce", json!("${aws:PrincipalTag/team}")),
            &tagged,
            true,
        ),
        (condition("StringLike", "aws:PrincipalTag/team", json!("${*}")), &starred, true),
        (condition("StringLike", "aws:PrincipalTag/team", json!("${?}")), &starred, false),
        (
            condition("StringEquals", "aws:SourceVpce", json!("${aws:PrincipalTag/other}")),
            &tagged,
            false,
        ),
        (
            condition("StringNotEquals", "aws:SourceVpce", json!("${aws:PrincipalTag/other}")),
            &tagged,
            true,
        ),
    ] {
        let expected = if allowed { "Allowed" } else { "ImplicitlyDenied" };
        assert_eq!(
            with_statement(statement.clone(), context.clone()),
            expected,
            "{statement} {context}"
        );
    }
    let old = json!({"Version": "2008-10-17", "Statement": resource("arn:aws:s3:::source/${aws:PrincipalTag/team}/*")});
    let case = json!({"principal": SESSION, "action": "s3:GetObject", "resource": OBJECT, "account": "111122223333",
                      "context": tagged, "identity": [old]});
    assert_eq!(answer(&case), "ImplicitlyDenied");
}

const FULL: &str = r#"{"Effect": "Allow", "Action": "*", "Resource": "*"}"#;

fn allow_all() -> Value {
    policy(serde_json::from_str(FULL).unwrap())
}

fn resource_statement(effect: &str, principal: Value) -> Value {
    json!({"Effect": effect, "Principal": principal, "Action": "*", "Resource": "*"})
}

/// `reference_policies_evaluation-logic_policy-eval-basics.html`, `reference_policies_evaluation-logic-cross-account.html`,
/// `access_policies_boundaries.html`, `reference_policies_elements_principal.html` and, for keys,
/// <https://docs.aws.amazon.com/kms/latest/developerguide/key-policy-default.html>.
#[test]
fn layers_combine_as_documented() {
    let nothing = policy(json!([]));
    let unlike_s3 = policy(json!({"Effect": "Allow", "Action": "ec2:*", "Resource": "*"}));
    let root = json!({"AWS": "arn:aws:iam::111122223333:root"});
    let to = |principal: Value| policy(resource_statement("Allow", principal));
    let deny = |principal: Value| {
        policy(json!([
            resource_statement("Allow", root.clone()),
            resource_statement("Deny", principal)
        ]))
    };
    let not = |principal: Value| {
        policy(json!([
        resource_statement("Allow", root.clone()), {"Effect": "Deny", "NotPrincipal": principal, "Action": "*", "Resource": "*"}]))
    };
    let (allowed, implicit, explicit) = ("Allowed", "ImplicitlyDenied", "ExplicitlyDenied");
    let undecided = "Undecided";
    for (action, account, identity, boundary, resource, expected) in [
        // One account, S3: either layer is enough.
        ("s3:GetObject", "111122223333", &allow_all(), None, None, allowed),
        ("s3:GetObject", "111122223333", &nothing, None, None, implicit),
        ("s3:GetObject", "111122223333", &nothing, None, Some(to(json!({"AWS": ROLE}))), allowed),
        ("s3:GetObject", "111122223333", &nothing, None, Some(to(root.clone())), implicit),
        ("s3:GetObject", "111122223333", &nothing, None, Some(to(json!("*"))), allowed),
        (
            "s3:GetObject",
            "111122223333",
            &nothing,
            None,
            Some(to(json!({"AWS": "AROAEXAMPLEDELETEDROLE"}))),
            implicit,
        ),
        ("s3:GetObject", "111122223333", &allow_all(), None, Some(deny(json!("*"))), explicit),
        (
            "s3:GetObject",
            "111122223333",
            &allow_all(),
            None,
            Some(deny(json!({"AWS": "111122223333"}))),
            explicit,
        ),
        (
            "s3:GetObject",
            "111122223333",
            &allow_all(),
            None,
            Some(deny(json!({"AWS": USER}))),
            allowed,
        ),
        (
            "s3:GetObject",
            "111122223333",
            &allow_all(),
            None,
            Some(not(json!({"AWS": [SESSION, ROLE, "111122223333"]}))),
            allowed,
        ),
        (
            "s3:GetObject",
            "111122223333",
            &allow_all(),
            None,
            Some(not(json!({"AWS": USER}))),
            explicit,
        ),
        // With NotPrincipal the account must be named, too: "otherwise, the policy might deny access to the entire account".
        (
            "s3:GetObject",
            "111122223333",
            &allow_all(),
            None,
            Some(not(json!({"AWS": ROLE}))),
            undecided,
        ),
        (
            "s3:GetObject",
            "111122223333",
            &allow_all(),
            None,
            Some(not(json!({"AWS": [ROLE, "arn:aws:iam::111122223333:root"]}))),
            undecided,
        ),
        (
            "s3:GetObject",
            "111122223333",
            &allow_all(),
            None,
            Some(not(json!({"AWS": "111122223333"}))),
            undecided,
        ),
        ("s3:GetObject", "111122223333", &nothing, None, Some(not(json!({"AWS": ROLE}))), implicit),
        // A boundary limits identity policies and grants to the role, not grants to the session.
        ("s3:GetObject", "111122223333", &allow_all(), Some(&unlike_s3), None, implicit),
        ("s3:GetObject", "111122223333", &allow_all(), Some(&allow_all()), None, allowed),
        (
            "s3:GetObject",
            "111122223333",
            &nothing,
            Some(&unlike_s3),
            Some(to(json!({"AWS": ROLE}))),
            implicit,
        ),
        (
            "s3:GetObject",
            "111122223333",
            &nothing,
            Some(&unlike_s3),
            Some(to(json!({"AWS": SESSION}))),
            allowed,
        ),
        // Identity-based policies and boundaries "do not limit permissions granted using the aws:PrincipalArn condition key with a wildcard".
        (
            "s3:GetObject",
            "111122223333",
            &nothing,
            Some(&unlike_s3),
            Some(policy(json!({
            "Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*",
            "Condition": {"ArnEquals": {"aws:PrincipalArn": ROLE}}}))),
            allowed,
        ),
        // "The NotPrincipal element with a Deny effect will always deny any IAM principal that has a permissions boundary policy attached."
        (
            "s3:GetObject",
            "111122223333",
            &allow_all(),
            Some(&allow_all()),
            Some(not(json!({"AWS": [SESSION, ROLE]}))),
            explicit,
        ),
        // Two accounts: both must allow.
        ("s3:GetObject", "444455556666", &allow_all(), None, None, implicit),
        ("s3:GetObject", "444455556666", &nothing, None, Some(to(json!({"AWS": ROLE}))), implicit),
        (
            "s3:GetObject",
            "444455556666",
            &allow_all(),
            None,
            Some(to(json!({"AWS": ROLE}))),
            allowed,
        ),
        ("s3:GetObject", "444455556666", &allow_all(), None, Some(to(root.clone())), allowed),
        (
            "s3:GetObject",
            "444455556666",
            &allow_all(),
            Some(&unlike_s3),
            Some(to(json!({"AWS": SESSION}))),
            implicit,
        ),
        // A key: its policy must allow, or let the account decide.
        ("kms:Decrypt", "111122223333", &allow_all(), None, Some(nothing.clone()), implicit),
        ("kms:Decrypt", "111122223333", &allow_all(), None, Some(to(root.clone())), allowed),
        ("kms:Decrypt", "111122223333", &nothing, None, Some(to(root.clone())), implicit),
        ("kms:Decrypt", "111122223333", &nothing, None, Some(to(json!({"AWS": ROLE}))), allowed),
        ("kms:Decrypt", "444455556666", &allow_all(), None, Some(to(root.clone())), allowed),
        ("kms:Decrypt", "444455556666", &nothing, None, Some(to(json!({"AWS": ROLE}))), implicit),
    ] {
        let arn = if action.starts_with("kms:") { KEY } else { OBJECT };
        let case = json!({"principal": SESSION, "action": action, "resource": arn, "account": account, "context": {},
                          "identity": [identity], "boundary": boundary, "resource_policy": resource});
        assert_eq!(answer(&case), expected, "{case}");
    }
}

/// `reference_policies_elements_principal.html#principal-services` and
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/confused-deputy.html>.
#[test]
fn trust_policies_let_services_in_as_documented() {
    let trust = |principal: Value, condition: Value| {
        policy(
            json!({"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole", "Condition": condition}),
        )
    };
    let s3 = json!({"Service": "s3.amazonaws.com"});
    let account = json!({"StringEquals": {"aws:SourceAccount": "111122223333"}});
    for (trust, context, expected) in [
        (trust(s3.clone(), json!({})), json!({}), "Allowed"),
        (
            trust(json!({"Service": ["s3.amazonaws.com", "ec2.amazonaws.com"]}), json!({})),
            json!({}),
            "Allowed",
        ),
        (
            trust(json!({"Service": "batchoperations.s3.amazonaws.com"}), json!({})),
            json!({}),
            "ImplicitlyDenied",
        ),
        (trust(json!({"AWS": "111122223333"}), json!({})), json!({}), "ImplicitlyDenied"),
        (trust(s3.clone(), account.clone()), json!({}), "ImplicitlyDenied"),
        (trust(s3, account), json!({"aws:SourceAccount": "111122223333"}), "Allowed"),
    ] {
        let case = json!({"principal": "s3.amazonaws.com", "action": "sts:AssumeRole", "resource": ROLE, "account": "111122223333",
                          "context": context, "resource_policy": trust});
        assert_eq!(answer(&case), expected, "{case}");
    }
}
