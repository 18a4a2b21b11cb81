//! What unknown keys may change: a decision holds for all their values, and what is undecided depends on them.

use std::collections::BTreeSet;

use s3_kms_replication::iam_policy::evaluate::{Decision, Layer};
use serde_json::{Value, json};

use super::case::{Case, OneOrMany, SESSION};
use super::generator::Generator;

/// A case for each value that a key may have, and one without the key.
fn assignments(case: &Case, key: &str, values: &[&str]) -> Vec<Case> {
    let mut known = case.clone();
    known.unknown.remove(key);
    let mut cases = vec![known.clone()];
    for value in values {
        known.context.insert(key.to_owned(), OneOrMany::One((*value).to_owned()));
        cases.push(known.clone());
    }
    cases
}

const UNKNOWN: [(&str, &[&str]); 3] = [
    ("aws:SourceIp", &["203.0.113.9", "198.51.100.1", "8.8.8.8", "2001:db8::1"]),
    ("aws:SourceVpce", &["vpce-1", "vpce-22", "other", "red"]),
    ("aws:PrincipalOrgID", &["o-1a2b3c", "o-other", "x"]),
];

#[test]
fn decision_holds_for_every_value_of_unknown_keys() {
    let mut generator = Generator::new(4);
    let mut decided = 0;
    for _ in 0..400 {
        let mut case = generator.case();
        for (key, _) in UNKNOWN {
            case.context.remove(key);
            case.unknown.insert(key.to_owned());
        }
        let outcome = case.outcome();
        if outcome == "Undecided" {
            continue;
        }
        decided += 1;
        let mut assigned = vec![case.clone()];
        for (key, values) in UNKNOWN {
            assigned = assigned.iter().flat_map(|case| assignments(case, key, values)).collect();
        }
        for known in assigned {
            let known_outcome = known.outcome();
            // A Deny that may match makes an implicit denial an explicit one; both are denials.
            let is_same = known_outcome == outcome
                || (outcome == "ImplicitlyDenied" && known_outcome == "ExplicitlyDenied");
            assert!(is_same, "{outcome} {known_outcome} {}", json!(known));
        }
    }
    assert!(decided > 150, "{decided}");
}

/// Statements with one condition each, whose keys appear nowhere else in the case.
fn statements() -> Vec<Value> {
    let conditions = [
        json!({"IpAddress": {"aws:SourceIp": "203.0.113.0/24"}}),
        json!({"NotIpAddressIfExists": {"aws:SourceIp": "203.0.113.0/24"}}),
        json!({"StringEquals": {"aws:SourceVpce": "vpce-1"}}),
        json!({"StringNotLike": {"aws:SourceVpce": "vpce-*"}}),
        json!({"StringLikeIfExists": {"aws:SourceVpce": ["vpce-2?", "vpce-1"]}}),
        json!({"Null": {"aws:SourceVpce": "true"}}),
        json!({"StringEqualsIgnoreCase": {"aws:PrincipalOrgID": "O-OTHER"}}),
        json!({"ForAnyValue:StringEquals": {"aws:PrincipalOrgID": ["o-1a2b3c", "y"]}}),
        json!({"ForAllValues:StringNotEquals": {"aws:PrincipalOrgID": "x"}}),
    ];
    let with = |effect: &str, condition: &Value| json!({"Effect": effect, "Action": "*", "Resource": "*", "Condition": condition});
    conditions
        .iter()
        .flat_map(|condition| [with("Allow", condition), with("Deny", condition)])
        .collect()
}

#[test]
fn undecided_request_is_allowed_for_some_values_and_denied_for_others() {
    let statements = statements();
    let allow = json!({"Effect": "Allow", "Action": "*", "Resource": "*"});
    let key = |statement: &Value| {
        statement["Condition"]
            .as_object()
            .unwrap()
            .values()
            .next()
            .unwrap()
            .as_object()
            .unwrap()
            .keys()
            .next()
            .unwrap()
            .clone()
    };
    let mut undecided = 0;
    for first in &statements {
        for second in statements.iter().filter(|second| key(second) != key(first)) {
            for identity in [json!([first, second]), json!([first, second, allow])] {
                let case: Case = serde_json::from_value(json!({
                    "principal": SESSION, "action": "s3:GetObject", "resource": "arn:aws:s3:::source/a", "account": "111122223333",
                    "context": {}, "unknown": UNKNOWN.map(|(key, _)| key),
                    "identity": [{"Version": "2012-10-17", "Statement": identity}]}))
                .unwrap();
                let Decision::Undecided(reason) = case.decision() else { continue };
                undecided += 1;
                let mut assigned = vec![case];
                for (key, values) in UNKNOWN {
                    assigned =
                        assigned.iter().flat_map(|case| assignments(case, key, values)).collect();
                }
                let outcomes: BTreeSet<&str> = assigned.iter().map(Case::outcome).collect();
                assert!(
                    outcomes.contains("Allowed") && outcomes.len() > 1,
                    "{outcomes:?} {identity}"
                );
                assert!(!reason.causes.is_empty() && !reason.statements.is_empty(), "{reason:?}");
            }
        }
    }
    assert!(undecided > 200, "{undecided}");
}

#[test]
fn unread_layer_leaves_a_request_undecided_unless_another_layer_denies() {
    let mut generator = Generator::new(7);
    let mut kept = 0;
    for _ in 0..500 {
        let case = generator.case();
        for layer in [Layer::Identity, Layer::Boundary, Layer::BucketPolicy, Layer::KeyPolicy] {
            match case.decision_without(BTreeSet::from([layer])) {
                Decision::Allowed => panic!("{layer:?} may deny: {}", json!(case)),
                Decision::Undecided(_) => {}
                Decision::Denied(_) => kept += 1,
            }
        }
    }
    assert!(kept > 100, "{kept}");
}
