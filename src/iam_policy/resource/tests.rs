//! Policies of buckets and keys: our statements among foreign ones.

use super::ResourcePolicy;
use crate::iam_policy::Statement;
use crate::iam_policy::statement::allow;

const FOREIGN: &str = r#"{"Sid":"Foreign", "Effect":"Deny","Principal":"*","Action":"s3:*","Resource":"*","Condition":{"Bool":{"aws:SecureTransport":"false"}}}"#;

fn own(action: &'static str) -> Statement {
    allow("Own", [action], ["*".to_owned()])
}

#[test]
fn a_foreign_statement_keeps_every_byte_when_an_own_one_changes() {
    for text in [
        format!(r#"{{"Version":"2008-10-17","Id":"x","Statement":[{FOREIGN},{}]}}"#, own("s3:Get")),
        format!(r#"{{ "Statement": {FOREIGN} }}"#),
    ] {
        let policy = ResourcePolicy::parse(Some(&text)).unwrap();
        let with = policy.clone().with(&own("s3:Put"));
        assert!(own("s3:Put").equals_text(with.statement("Own").unwrap()));
        for changed in [with.to_string(), with.without("Own").to_string()] {
            assert_eq!(changed.matches(FOREIGN).count(), 1, "{changed}");
            assert_eq!(
                ResourcePolicy::parse(Some(&changed)).unwrap().statement("Foreign"),
                Some(FOREIGN)
            );
        }
    }
}

#[test]
fn a_policy_is_empty_without_its_only_statement() {
    let policy = ResourcePolicy::parse(None).unwrap();
    assert!(policy.is_empty());
    let with = policy.with(&own("s3:Get"));
    assert!(!with.is_empty() && with.without("Own").is_empty());
}

#[test]
fn a_statement_is_ours_and_not_the_accounts_where_it_is_confined_to_roles() {
    let role = r#""arn:aws:iam::111122223333:role/x""#;
    let root = r#""arn:aws:iam::111122223333:root""#;
    let confined =
        |roles: &str| format!(r#","Condition":{{"ArnEquals":{{"aws:PrincipalArn":{roles}}}}}"#);
    for (principal, condition, is_own, is_of_account) in [
        (role, String::new(), true, false),
        (r#""AROAEXAMPLE""#, String::new(), true, false),
        (root, String::new(), false, true),
        (root, confined(role), true, false),
        (r#""111122223333""#, confined(&format!("[{role}]")), true, false),
        (root, confined(r#""*""#), false, true),
        (root, confined("[]"), false, true),
        (root, r#","Condition":{"Bool":{"aws:SecureTransport":true}}"#.to_owned(), false, true),
    ] {
        let text = format!(
            r#"{{"Sid":"Own","Effect":"Allow","Principal":{{"AWS":{principal}}},"Action":"kms:*","Resource":"*"{condition}}}"#
        );
        assert_eq!(Statement::is_own_text(&text), is_own, "{text}");
        let policy = ResourcePolicy::parse(Some(&format!(r#"{{"Statement":{text}}}"#)));
        assert_eq!(policy.unwrap().allows_account_root(), is_of_account, "{text}");
    }
}

#[test]
fn a_text_that_is_no_policy_is_refused() {
    for text in ["", "[]", "{}", r#"{"Statement":[1"#] {
        assert!(ResourcePolicy::parse(Some(text)).is_none(), "{text}");
    }
}
