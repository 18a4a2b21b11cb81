//! Policy documents: what is granted, and what a document that was read says.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::key_pattern::{key_pattern, plain_key_pattern};
use super::{BucketInRegion, Grants, RolePolicyDocument, Statement, trust};
use crate::model::{Account, BucketName, Partition, Region};

struct Case {
    partition: Partition,
    regions: (&'static str, &'static str),
    prefix: &'static str,
    source_keys: &'static [&'static str],
    object_lock: bool,
}

const PLAIN: Case = Case {
    partition: Partition::Aws,
    regions: ("us-east-1", "us-west-2"),
    prefix: "",
    source_keys: &["arn:aws:kms:us-east-1:111122223333:key/source"],
    object_lock: false,
};

fn document(case: &Case) -> RolePolicyDocument {
    with_grants(case, |grants| grants.document())
}

fn with_grants<T>(case: &Case, make: impl FnOnce(&Grants<'_>) -> T) -> T {
    let bucket = |name| BucketName::parse(name).unwrap();
    let region = |code| Region::parse(code).unwrap();
    make(&Grants {
        partition: case.partition,
        source: BucketInRegion { bucket: &bucket("demo-source"), region: &region(case.regions.0) },
        destination: BucketInRegion {
            bucket: &bucket("demo-destination"),
            region: &region(case.regions.1),
        },
        prefix: case.prefix,
        source_keys: &case.source_keys.iter().map(|key| (*key).to_owned()).collect(),
        replica_key: &format!(
            "arn:{}:kms:{}:111122223333:key/replica",
            case.partition, case.regions.1
        ),
        destination_account: &Account::parse("111122223333").unwrap(),
        object_lock: case.object_lock,
        owner_override: false,
    })
}

#[test]
fn documents_for_each_kind_of_rule_match_their_snapshots() {
    let china = ("cn-north-1", "cn-northwest-1");
    let govcloud = ("us-gov-east-1", "us-gov-west-1");
    insta::assert_json_snapshot!("trust", trust());
    for (name, case) in [
        ("plain", PLAIN),
        ("prefix", Case { prefix: "Tax", ..PLAIN }),
        ("no_source_key", Case { source_keys: &[], ..PLAIN }),
        (
            "two_source_keys",
            Case {
                source_keys: &[
                    "arn:aws:kms:us-east-1:111122223333:key/new",
                    "arn:aws:kms:us-east-1:111122223333:key/old",
                ],
                ..PLAIN
            },
        ),
        ("object_lock", Case { object_lock: true, ..PLAIN }),
        (
            "china",
            Case {
                partition: Partition::AwsCn,
                regions: china,
                source_keys: &["arn:aws-cn:kms:cn-north-1:111122223333:key/source"],
                ..PLAIN
            },
        ),
        (
            "govcloud",
            Case {
                partition: Partition::AwsUsGov,
                regions: govcloud,
                source_keys: &["arn:aws-us-gov:kms:us-gov-east-1:111122223333:key/source"],
                ..PLAIN
            },
        ),
    ] {
        insta::assert_json_snapshot!(name, document(&case));
    }
}

#[test]
fn wildcards_in_a_prefix_are_escaped_in_its_pattern() {
    for (prefix, pattern, plain) in [
        ("", "*", "*"),
        ("Tax", "Tax*", "Tax*"),
        ("a*b?$c/", "a${*}b${?}${$}c/*", "a*"),
        ("$x", "${$}x*", "*"),
        ("été/", "*", "*"),
        ("logs/é/x", "logs/*", "logs/*"),
    ] {
        assert_eq!(
            (key_pattern(prefix).as_str(), plain_key_pattern(prefix).as_str()),
            (pattern, plain)
        );
    }
}

#[test]
fn statements_for_foreign_policies_have_no_policy_variables() {
    let statements = with_grants(&Case { prefix: "tax/*/", ..PLAIN }, |grants| {
        grants.statements("Own", "arn:aws:iam::111122223333:role/x")
    });
    for statement in [statements.bucket, statements.key].map(|statement| statement.to_string()) {
        assert!(
            !statement.contains('$') && statement.contains("demo-destination/tax/*\""),
            "{statement}"
        );
    }
}

#[test]
fn documents_are_equal_in_any_order_of_elements() {
    let reordered = r#"{"Statement":[{"Resource":["b","a"],"Effect":"Allow","Action":"x:Y"}],"Version":"2012-10-17"}"#;
    let listed = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["x:Y"],"Resource":["a","b"]}]}"#;
    assert_eq!(
        RolePolicyDocument::parse(reordered).unwrap(),
        RolePolicyDocument::parse(listed).unwrap()
    );
}

#[test]
fn a_statement_is_split_into_lines_unless_its_form_is_unknown() {
    let line = |path: &str, value: &str| (path.to_owned(), BTreeSet::from([value.to_owned()]));
    let own = r#"{"Sid":"Own","Effect":"Allow","Action":"s3:Get","Resource":"*"}"#;
    assert_eq!(
        Statement::lines_of_text(own),
        [line("Own.Allow", "s3:Get"), line("Own.Resource", "*")]
    );
    assert_eq!(Statement::lines_of_text("1"), [line("Statement", "1")]);
}

#[test]
fn a_document_with_an_unknown_element_is_not_read() {
    assert_eq!(
        RolePolicyDocument::parse(
            r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","NotAction":"x:Y","Resource":"*"}]}"#
        ),
        None
    );
    assert_eq!(RolePolicyDocument::parse("not JSON"), None);
}

#[test]
fn source_keys_are_read_back_from_a_document() {
    let keys = document(&PLAIN).source_keys();
    assert_eq!(keys, BTreeSet::from(["arn:aws:kms:us-east-1:111122223333:key/source".to_owned()]));
}

#[test]
fn a_document_with_an_earlier_one_has_the_statements_of_both_once() {
    let (earlier, document) = (document(&PLAIN), document(&Case { prefix: "Tax", ..PLAIN }));
    let both = document.with_earlier(&earlier);
    assert!(both.covers(&document) && both.covers(&earlier));
    assert_eq!(document.with_earlier(&both), both);
    let names: Vec<String> =
        both.statement.iter().filter_map(|statement| statement.sid.clone()).collect();
    assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len());
    assert_eq!(
        names.iter().filter(|name| name.starts_with("Earlier")).count(),
        4,
        "the two documents have one statement in common"
    );
}

#[test]
fn earlier_grants_are_kept_for_the_same_purpose_and_nothing_else_is() {
    let text = |text: &str| RolePolicyDocument::parse(text).unwrap();
    let wanted = document(&Case { prefix: "Tax", ..PLAIN });
    let earlier = document(&PLAIN);
    let both = wanted.with_earlier_grants(&earlier);
    assert!(both.covers(&wanted) && both.covers(&earlier) && both.has_earlier_grants());
    assert_eq!(wanted.with_earlier_grants(&both), both);
    assert_eq!(wanted.with_earlier_grants(&wanted), wanted);
    assert!(!wanted.has_earlier_grants());
    for foreign in [
        r#"{"Sid":"Theirs","Effect":"Allow","Action":"s3:*","Resource":"*"}"#,
        r#"{"Sid":"SourceBucket","Effect":"Allow","Action":"s3:*","Resource":"*"}"#,
        r#"{"Sid":"SourceBucket","Effect":"Deny","Action":["s3:GetReplicationConfiguration","s3:ListBucket"],"Resource":"*"}"#,
    ] {
        let edited = text(&format!(r#"{{"Version":"2012-10-17","Statement":[{foreign}]}}"#));
        assert_eq!(wanted.with_earlier_grants(&edited), wanted, "{foreign}");
    }
}

proptest! {
    #[test]
    fn a_document_is_equal_after_it_is_written_and_read(prefix in ".{0,40}") {
        let prefix: &'static str = prefix.leak();
        let document = document(&Case { prefix, ..PLAIN });
        prop_assert_eq!(RolePolicyDocument::parse(&document.to_string()), Some(document));
    }
}
