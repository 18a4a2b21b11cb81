//! The evaluation of simple cases; the judge is in `tests/it/evaluator`.

use super::*;
use crate::model::{Account, RoleArn};

const ROLE: &str = "arn:aws:iam::111122223333:role/replication";

fn decision(identity: &str, action: &str, resource: &str, context: &Context) -> Decision {
    let identity = [Policy::parse(PolicySource::Inline("x".to_owned()), identity).unwrap()];
    let principal = Principal::RoleSession {
        role: RoleArn::parse(ROLE).unwrap(),
        session: "s3-replication".to_owned(),
    };
    let account = Account::parse("111122223333").unwrap();
    let request =
        Request { principal: &principal, action, resource, resource_account: &account, context };
    decide(&request, &Policies { identity: &identity, ..Policies::default() })
}

#[test]
fn a_denial_names_the_nearest_statement_and_what_does_not_match() {
    let policy = r#"{"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": "s3:ListBucket", "Resource": "arn:aws:s3:::source"},
        {"Sid": "Read", "Effect": "Allow", "Action": "s3:GetObject*", "Resource": "arn:aws:s3:::source"}]}"#;
    let Decision::Denied(denials) =
        decision(policy, "s3:GetObjectVersionAcl", "arn:aws:s3:::source/key", &Context::new())
    else {
        panic!("not denied");
    };
    let [Denial { layer: Layer::Identity, reason: DenialReason::NoAllow { nearest } }] = &*denials
    else {
        panic!("{denials:?}");
    };
    assert_eq!(nearest.len(), 1);
    assert_eq!(nearest[0].statement.to_string(), "statement `Read` of inline policy `x`");
    assert!(matches!(&*nearest[0].mismatches, [Mismatch::Resource { .. }]));
}

#[test]
fn a_condition_on_an_unknown_key_is_undecided() {
    let policy = r#"{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "s3:*", "Resource": "*",
        "Condition": {"IpAddress": {"aws:SourceIp": "203.0.113.0/24"}}}}"#;
    let Decision::Undecided(undecided) =
        decision(policy, "s3:ListBucket", "arn:aws:s3:::source", &Context::new())
    else {
        panic!("decided");
    };
    assert_eq!(undecided.keys.into_iter().collect::<Vec<_>>(), ["aws:SourceIp"]);
    let known = Context::new().with("aws:sourceip", "203.0.113.9");
    assert_eq!(decision(policy, "s3:ListBucket", "arn:aws:s3:::source", &known), Decision::Allowed);
}
