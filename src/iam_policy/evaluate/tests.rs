//! The evaluation of simple cases; cases with AWS's answers, and the simulator's, are in `tests/it/evaluator`.

use std::collections::BTreeMap;

use super::*;
use crate::model::{Account, RoleArn};

const ROLE: &str = "arn:aws:iam::111122223333:role/replication";

fn decision(identity: &str, action: &str, resource: &str, context: &Context) -> Decision {
    let identity = [Policy::parse(PolicySource::Inline("x".to_owned()), identity).unwrap()];
    let (principal, account) = (principal(), Account::parse("111122223333").unwrap());
    let resource = &Text::from(resource);
    let owner = Owner::Account(&account);
    let request = Request { principal: &principal, action, resource, owner, context };
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
    assert_eq!(undecided.causes, [Cause::ConditionKey("aws:SourceIp".to_owned())].into());
    let known = Context::new().with("aws:sourceip", "203.0.113.9");
    assert_eq!(decision(policy, "s3:ListBucket", "arn:aws:s3:::source", &known), Decision::Allowed);
}

fn principal() -> Principal {
    Principal::RoleSession {
        role: RoleArn::parse(ROLE).unwrap(),
        session: Some("s3-replication".to_owned()),
    }
}

#[test]
fn grant_allows_its_operations_with_its_encryption_context() {
    let key = "arn:aws:kms:us-east-1:111122223333:key/1";
    let nobody = r#"{"Version": "2012-10-17", "Statement": []}"#;
    let policy = Policy::parse(PolicySource::Key(key.to_owned()), nobody).unwrap();
    let pair = |value: &str| BTreeMap::from([("aws:s3:arn".to_owned(), value.to_owned())]);
    let grant = Grant {
        grantee: ROLE.to_owned(),
        operations: vec!["Decrypt".to_owned()],
        ..Grant::default()
    };
    let subset = Grant { context_subset: pair("arn:aws:s3:::source"), ..grant.clone() };
    let equals = Grant { context_equals: Some(pair("arn:aws:s3:::source")), ..grant.clone() };
    let stranger =
        Grant { grantee: "arn:aws:iam::111122223333:role/other".to_owned(), ..grant.clone() };
    let known = Context::new().with("kms:EncryptionContext:aws:s3:arn", "arn:aws:s3:::source");
    let more = known.clone().with("kms:EncryptionContext:other", "x");
    for (grant, action, context, expected) in [
        (&grant, "kms:Decrypt", &known, "allowed"),
        (&grant, "kms:Encrypt", &known, "denied"),
        (&stranger, "kms:Decrypt", &known, "denied"),
        (&subset, "kms:Decrypt", &more, "allowed"),
        (&equals, "kms:Decrypt", &known, "allowed"),
        (&equals, "kms:Decrypt", &more, "denied"),
        (&subset, "kms:Decrypt", &Context::new(), "undecided"),
    ] {
        let account = Account::parse("111122223333").unwrap();
        let (principal, grants) = (principal(), [grant.clone()]);
        let resource = ResourcePolicy::Key { policy: Some(&policy), grants: &grants };
        let request = Request {
            principal: &principal,
            action,
            resource: &Text::from(key),
            owner: Owner::Account(&account),
            context,
        };
        let decision = decide(&request, &Policies { resource, ..Policies::default() });
        let found = match decision {
            Decision::Allowed => "allowed",
            Decision::Denied(_) => "denied",
            Decision::Undecided(_) => "undecided",
        };
        assert_eq!(found, expected, "{grant:?} {action} {context:?}");
    }
}

#[test]
fn bucket_policy_that_names_a_canonical_user_leaves_its_statement_undecided() {
    let account = Account::parse("444455556666").unwrap();
    let everything = r#"{"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}"#;
    let identity = [Policy::parse(PolicySource::Inline("x".to_owned()), everything).unwrap()];
    let (principal, context) = (principal(), Context::new());
    let request = Request {
        principal: &principal,
        action: "s3:ReplicateObject",
        resource: &Text::from("arn:aws:s3:::destination/key"),
        owner: Owner::Account(&account),
        context: &context,
    };
    for principal in [
        r#"{"CanonicalUser": "79a5"}"#,
        r#"{"CanonicalUser": "79a5", "Service": "s3.amazonaws.com"}"#,
    ] {
        let text = format!(
            r#"{{"Statement": {{"Effect": "Allow", "Principal": {principal}, "Action": "*", "Resource": "*"}}}}"#
        );
        let bucket = Policy::parse(PolicySource::Bucket("destination".to_owned()), &text).unwrap();
        let policies = Policies {
            identity: &identity,
            resource: ResourcePolicy::Bucket(Some(&bucket)),
            ..Policies::default()
        };
        let Decision::Undecided(undecided) = decide(&request, &policies) else {
            panic!("decided");
        };
        assert!(undecided.causes.contains(&Cause::CanonicalUser));
        assert_eq!(
            undecided.statements.first().unwrap().to_string(),
            "statement 1 of bucket policy of `destination`"
        );
    }
}
