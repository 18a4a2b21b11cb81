use super::*;
use crate::model::{Account, BucketName};

fn policy(text: &str) -> Result<Policy, Invalid> {
    Settings::read(|name| (name == "REPLICATION_POLICY").then(|| text.to_owned())).map(|settings| {
        match settings.policy {
            Some(PolicySource::Inline(policy)) => policy,
            other => panic!("{other:?}"),
        }
    })
}

fn rule(destination: &str, matching: &str) -> String {
    format!(
        r#"{{"Name": "dr", "Match": {matching}, "DestinationBucket": "{destination}", "ReplicaKmsKeyArn": "arn:aws:kms:us-west-2:111122223333:alias/dr"}}"#
    )
}

fn rules(rules: &[String]) -> String {
    format!(r#"{{"Rules": [{}]}}"#, rules.join(", "))
}

#[test]
fn an_empty_variable_is_as_good_as_none() {
    let settings = Settings::read(|_| Some(" ".to_owned())).unwrap();
    assert_eq!(
        settings.roles,
        RoleSettings { path: "/s3-kms-replication/".to_owned(), boundary: None }
    );
    assert!(
        settings.policy.is_none()
            && settings.execution_role_arn.is_none()
            && !settings.loopback_endpoint
    );
}

#[test]
fn only_an_endpoint_on_this_machine_is_a_loopback_endpoint() {
    for (url, is_loopback) in [
        ("http://127.0.0.1:4566", true),
        ("http://localhost:4566", true),
        ("http://[::1]:4566", true),
        ("https://s3.us-east-1.amazonaws.com", false),
        ("http://10.0.0.1", false),
    ] {
        let settings = Settings::read(|name| (name == "AWS_ENDPOINT_URL").then(|| url.to_owned()));
        assert_eq!(settings.unwrap().loopback_endpoint, is_loopback, "{url}");
    }
}

#[test]
fn what_is_wrong_with_the_environment_is_named_with_its_place() {
    let everything = r#"{"BucketNames": ["*"]}"#;
    let good = rule("{bucket}-replica", everything);
    let mut errors = Vec::new();
    for (name, value) in [
        ("ROLE_PATH", "replication".to_owned()),
        ("ROLE_PERMISSIONS_BOUNDARY_ARN", "boundary".to_owned()),
        ("AWS_REGION", "nowhere".to_owned()),
        ("REPLICATION_POLICY", "{\"Rules\": [\n  {]\n}".to_owned()),
        ("REPLICATION_POLICY", "[]".to_owned()),
        ("REPLICATION_POLICY", r#"{"Rules": [], "Version": 1}"#.to_owned()),
        ("REPLICATION_POLICY", r#"{"Rules": [{}]}"#.to_owned()),
        ("REPLICATION_POLICY", rules(&[good.clone(), good.clone()])),
        ("REPLICATION_POLICY", rules(&[good.replace("\"Match\"", "\"Matches\"")])),
        ("REPLICATION_POLICY", rules(&[rule("{bucket}-replica", "{}")])),
        ("REPLICATION_POLICY", rules(&[rule("{bucket}-replica", r#"{"BucketName": "*"}"#)])),
        (
            "REPLICATION_POLICY",
            rules(&[rule("{bucket}-replica", r#"{"BucketTags": {"dr": true}}"#)]),
        ),
        (
            "REPLICATION_POLICY",
            rules(&[good.clone(), rule("{name}-replica", everything).replace("\"dr\"", "\"b\"")]),
        ),
        ("REPLICATION_POLICY", rules(&[rule("{bucket}", everything)])),
        ("REPLICATION_POLICY", rules(&[good.replace("us-west-2", "us_west")])),
        (
            "REPLICATION_POLICY",
            rules(&[good.replace("\"Name\"", "\"SourceBucket\": \"x\", \"Name\"")]),
        ),
        ("REPLICATION_POLICY", rules(&[good.replace("\"Name\"", "\"Priorty\": 1, \"Name\"")])),
    ] {
        errors.push(
            Settings::read(|variable| (variable == name).then(|| value.clone()))
                .unwrap_err()
                .to_string(),
        );
    }
    insta::assert_snapshot!(errors.join("\n"));
}

#[test]
fn patterns_choose_buckets_and_exclusions_win() {
    let policy = policy(&rules(&[rule(
        "backup",
        r#"{"BucketNames": ["prod-*", "a?c"], "ExcludeBucketNames": ["*-tmp"]}"#,
    )]))
    .unwrap();
    let chosen = |name: &str| policy.named(&BucketName::parse(name).unwrap()).count() == 1;
    assert_eq!(
        ["prod-a", "abc", "abbc", "prod-a-tmp", "test"].map(chosen),
        [true, true, false, false, false]
    );
}

#[test]
fn placeholders_are_filled_in() {
    let policy = policy(&rules(&[rule(
        "arn:aws:s3:::{bucket}-{account}-{region}",
        r#"{"BucketNames": ["*"]}"#,
    )]))
    .unwrap();
    let bucket = BucketName::parse("orders").unwrap();
    let rule = policy.named(&bucket).next().unwrap();
    let spec = rule
        .spec(
            &bucket,
            &Region::parse("eu-west-1").unwrap(),
            &Account::parse("111122223333").unwrap(),
        )
        .unwrap();
    assert_eq!(spec.destination.as_str(), "orders-111122223333-eu-west-1");
}

#[test]
fn a_destination_of_a_rule_is_recognised_whatever_its_placeholders() {
    let account = Account::parse("111122223333").unwrap();
    let prod = r#"{"BucketNames": ["prod-*"]}"#;
    for (destination, bucket, expected) in [
        ("backup", "backup", true),
        ("backup", "backups", false),
        ("arn:aws:s3:::backup", "backup", true),
        ("{bucket}-replica", "prod-a-replica", true),
        ("{bucket}-replica", "test-a-replica", false),
        ("{bucket}-replica", "prod-a", false),
        ("dr-{region}-{bucket}", "dr-eu-west-1-prod-a", true),
        ("dr-{region}-{bucket}", "dr-europe-prod-a", false),
        ("dr-{account}", "dr-111122223333", true),
        ("dr-{account}", "dr-444455556666", false),
    ] {
        let policy = policy(&rules(&[rule(destination, prod)])).unwrap();
        assert_eq!(
            policy.has_destination(&BucketName::parse(bucket).unwrap(), &account),
            expected,
            "{destination}, {bucket}"
        );
    }
}
