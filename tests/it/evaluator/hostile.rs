//! Policies that are made to break a reader, and that IAM would refuse: an error or an answer, soon, and never a panic.

use std::time::{Duration, Instant};

use s3_kms_replication::iam_policy::evaluate::{Policy, PolicySource};
use serde_json::json;

use super::case::{Case, SESSION};

fn parse(text: &str) -> Result<Policy, String> {
    Policy::parse(PolicySource::Bucket("demo".to_owned()), text).map_err(|error| error.to_string())
}

#[test]
fn unreadable_policy_is_an_error_that_names_the_policy_and_the_place() {
    let mut errors = String::new();
    for text in [
        "",
        "{",
        "null",
        "[]",
        "{}",
        r#"{"Statement": 7}"#,
        r#"{"Statement": [[]]}"#,
        r#"{"Version": "2020-01-01", "Statement": []}"#,
        r#"{"Statement": [], "Statement": []}"#,
        r#"{"Statement": [], "Extra": 1}"#,
        r#"{"Statement": {"Effect": "Allow"}}"#,
        r#"{"Statement": {"Action": "*"}}"#,
        r#"{"Statement": {"Effect": "allow", "Action": "*"}}"#,
        r#"{"Statement": {"Effect": "Allow", "Action": {"a": 1}}}"#,
        r#"{"Statement": {"Effect": "Allow", "Action": "*", "NotAction": "*"}}"#,
        r#"{"Statement": [{"Effect": "Allow", "Action": "*"}, {"Effect": "Allow", "Action": "*", "Extra": 1}]}"#,
        r#"{"Statement": {"Effect": "Allow", "Action": "*", "Principal": "s3.amazonaws.com"}}"#,
        r#"{"Statement": {"Effect": "Allow", "Action": "*", "Principal": {"Role": "x"}}}"#,
        r#"{"Statement": {"Effect": "Allow", "Action": "*", "Condition": []}}"#,
        r#"{"Statement": {"Effect": "Allow", "Action": "*", "Condition": {"StringEquals": "x"}}}"#,
        r#"{"Statement": {"Effect": "Allow", "Action": "*", "Condition": {"StringIs": {"a": "b"}}}}"#,
        r#"{"Statement": {"Effect": "Allow", "Action": "*", "Condition": {"NullIfExists": {"a": "true"}}}}"#,
        r#"{"Statement": {"Effect": "Allow", "Action": "*", "Condition": {"ForSome:Bool": {"a": "true"}}}}"#,
        r#"{"Statement": {"Effect": "Allow", "Action": "*", "Condition": {"Bool": {"a": null}}}}"#,
    ] {
        let error = parse(text).expect_err(text);
        errors.push_str(&format!("{text}\n  {error}\n"));
    }
    insta::assert_snapshot!(errors);
    assert!(parse(&"[".repeat(100_000)).is_err());
    let deep = format!("{}1{}", r#"{"a":"#.repeat(10_000), "}".repeat(10_000));
    assert!(parse(&format!(r#"{{"Statement": {deep}}}"#)).is_err());
}

#[test]
fn single_statement_numbers_and_booleans_are_read_as_iam_reads_them() {
    let text = r#"{"Id": "x", "Statement": {"Sid": "", "Effect": "Deny", "NotPrincipal": {"AWS": 111122223333}, "Action": "s3:*",
        "Resource": "*", "Condition": {"Bool": {"aws:SecureTransport": false}, "NumericLessThan": {"s3:signatureAge": [600, 1.5, -1]}}}}"#;
    let policy = parse(text).unwrap();
    let (statement, resource) = policy.resources().next().unwrap();
    assert_eq!(
        (&*statement.to_string(), resource),
        ("statement 1 of bucket policy of `demo`", "*")
    );
}

/// The time to decide about a resource of `length` characters, with patterns of 20,000 characters that nearly match it.
fn seconds_for(length: usize) -> Duration {
    let pattern = format!("arn:aws:s3:::source/{}b", "*a".repeat(10_000));
    let variables = format!("arn:aws:s3:::source/{}b", "${aws:PrincipalTag/team}*".repeat(800));
    let case: Case = serde_json::from_value(json!({
        "principal": SESSION, "action": "s3:GetObject", "resource": format!("arn:aws:s3:::source/{}", "a".repeat(length)),
        "account": "111122223333", "context": {"aws:PrincipalTag/team": "a", "aws:SourceVpce": "a".repeat(length)},
        "identity": [{"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Action": "s3:*", "Resource": [pattern, variables]},
            {"Effect": "Allow", "Action": "s3:*", "Resource": "*",
             "Condition": {"StringLike": {"aws:SourceVpce": format!("{}b", "a*?".repeat(6_000))}}}]}]}))
    .unwrap();
    let begin = Instant::now();
    assert_eq!(case.outcome(), "ImplicitlyDenied");
    begin.elapsed()
}

#[test]
fn patterns_of_many_wildcards_are_matched_in_time_that_grows_with_the_text() {
    assert!(seconds_for(1_000) < Duration::from_secs(5));
    // Trying every way to divide the text among the wildcards would take more than the age of the universe.
    assert!(seconds_for(10_000) < Duration::from_secs(60));
}
