//! Placeholders of places and of account-regional names, in both directions: filled for a source, and recognised in a destination's name.

use serde_json::{Value, json};

use super::*;
use crate::model::{Account, BucketName};
use crate::spec::{ExistingDestination, Spec};

const OURS: &str = "111122223333";

fn account(text: &str) -> Account {
    Account::parse(text).unwrap()
}

fn rule(changes: Value) -> Value {
    let mut rule = json!({
        "Name": "dr", "Match": {"BucketNames": ["*"]}, "DestinationBucket": "{bucket}-replica",
        "ReplicaKmsKeyArn": "arn:aws:kms:us-west-2:111122223333:alias/dr",
    });
    for (name, value) in changes.as_object().unwrap() {
        rule[name] = value.clone();
    }
    rule
}

fn policy(changes: Value) -> Result<Policy, Invalid> {
    Policy::parse(&json!({"Rules": [rule(changes)]}).to_string())
}

fn spec(changes: Value, bucket: &str, region: &str) -> Result<Spec, Invalid> {
    let policy = policy(changes).unwrap();
    let bucket = BucketName::parse(bucket).unwrap();
    let rule = policy.rules_for_name(&bucket).next().unwrap();
    rule.spec(&bucket, &Region::parse(region).unwrap(), &account(OURS))
}

fn everywhere() -> Value {
    json!({
        "DestinationBucket": "{bucket_prefix}-dr-{destination_account}-{destination_region}-an",
        "ReplicaKmsKeyArn": "arn:aws:kms:{destination_region}:{destination_account}:alias/dr-{region}-{account}",
        "DestinationRegion": {"us-east-1": "us-west-2", "eu-west-1": "eu-central-1"},
        "DestinationAccount": "444455556666",
    })
}

#[test]
fn one_policy_serves_every_account_and_region() {
    for (bucket, region, destination, key) in [
        (
            "orders-111122223333-us-east-1-an",
            "us-east-1",
            "orders-dr-444455556666-us-west-2-an",
            "arn:aws:kms:us-west-2:444455556666:alias/dr-us-east-1-111122223333",
        ),
        (
            "orders",
            "eu-west-1",
            "orders-dr-444455556666-eu-central-1-an",
            "arn:aws:kms:eu-central-1:444455556666:alias/dr-eu-west-1-111122223333",
        ),
        (
            "orders-111122223333-us-east-1-an",
            "eu-west-1",
            "orders-111122223333-us-east-1-an-dr-444455556666-eu-central-1-an",
            "",
        ),
    ] {
        match spec(everywhere(), bucket, region) {
            Ok(spec) => assert_eq!(
                (spec.destination.as_str(), spec.replica_key.as_str()),
                (destination, key)
            ),
            // The name of another Region has no prefix to take, and the whole of it is too long.
            Err(refused) => assert!(key.is_empty(), "{refused}"),
        }
    }
    let refused = spec(everywhere(), "orders", "sa-east-1").unwrap_err();
    assert_eq!(
        refused.to_string(),
        "`DestinationRegion` has no entry for sa-east-1, only for eu-west-1, us-east-1"
    );
}

#[test]
fn destination_region_is_given_or_mapped_or_the_keys() {
    let key = |region: &str| format!("arn:aws:kms:{region}:111122223333:alias/dr");
    for (changes, region, expected) in [
        (json!({}), "us-east-1", "us-west-2"),
        (json!({"ReplicaKmsKeyArn": key("{region}")}), "eu-west-1", "eu-west-1"),
        (
            json!({"ReplicaKmsKeyArn": key("{destination_region}"), "DestinationRegion": "eu-west-2"}),
            "us-east-1",
            "eu-west-2",
        ),
        (
            json!({"ReplicaKmsKeyArn": key("{destination_region}"), "DestinationRegion": {"us-east-1": "ca-west-1"}}),
            "us-east-1",
            "ca-west-1",
        ),
    ] {
        assert_eq!(spec(changes, "orders", region).unwrap().destination_region.as_str(), expected);
    }
}

#[test]
fn value_that_is_wrong_for_every_bucket_is_refused_when_the_policy_is_read() {
    let mut errors = Vec::new();
    for changes in [
        json!({"ReplicaKmsKeyArn": "arn:aws:kms:{destination_region}:111122223333:alias/dr"}),
        json!({"ReplicaKmsKeyArn": "arn:aws:kms:us-west-2:111122223333:alias/{bucket}"}),
        json!({"ReplicaKmsKeyArn": "arn:aws:kms:us-west-2:{acount}:alias/dr"}),
        json!({"DestinationBucket": "arn:aws:s3:{region}::x"}),
        json!({"DestinationBucket": "{bucket}-{destination}"}),
        json!({"DestinationBucket": "{bucket"}),
        json!({"DestinationRegion": {}}),
        json!({"DestinationRegion": ["us-west-2"]}),
        json!({"DestinationRegion": {"us-east-1": "west"}}),
        json!({"DestinationRegion": {"east": "us-west-2"}}),
        json!({"DestinationRegion": {"us-east-1": 1}}),
        json!({"DestinationRegion": {"us-east-1": "us-west-2", "eu-west-1": "eu-west-2"}}),
        json!({"DestinationAccount": "1"}),
        json!({"ExistingDestination": "Maybe"}),
    ] {
        errors.push(policy(changes).unwrap_err().to_string());
    }
    insta::assert_snapshot!(errors.join("\n"));
}

#[test]
fn existing_destination_is_refused_by_default_where_the_name_has_placeholders() {
    for (destination, given, expected) in [
        ("fixed", None, ExistingDestination::Use),
        ("fixed-{account}-{region}", None, ExistingDestination::Refuse),
        ("fixed-{account}-{region}", Some("Use"), ExistingDestination::Use),
        ("fixed", Some("Refuse"), ExistingDestination::Refuse),
        ("{bucket}-replica", None, ExistingDestination::Refuse),
        ("{bucket_prefix}-replica", None, ExistingDestination::Refuse),
        ("{bucket}-replica", Some("Use"), ExistingDestination::Use),
    ] {
        let changes = json!({"DestinationBucket": destination, "ExistingDestination": given});
        let spec = spec(changes, "orders", "us-east-1").unwrap();
        assert_eq!(spec.existing_destination, expected, "{destination}");
    }
}

#[test]
fn destination_is_recognised_through_every_placeholder() {
    let an = "{bucket_prefix}-dr-{destination_account}-{destination_region}-an";
    let map = json!({"us-east-1": "us-west-2", "eu-west-1": "eu-central-1"});
    let key = "arn:aws:kms:{destination_region}:111122223333:alias/dr";
    for (destination, region, pattern, bucket, expected) in [
        (an, json!("us-west-2"), "*", "orders-dr-111122223333-us-west-2-an", true),
        (an, json!("us-west-2"), "*", "orders-dr-111122223333-us-west-1-an", false),
        (an, json!("us-west-2"), "*", "orders-dr-444455556666-us-west-2-an", false),
        (an, json!("us-west-2"), "*-us-east-1-an", "orders-dr-111122223333-us-west-2-an", true),
        (an, json!("us-west-2"), "test-*", "orders-dr-111122223333-us-west-2-an", false),
        (an, map.clone(), "*", "orders-dr-111122223333-eu-central-1-an", true),
        (an, map.clone(), "*", "orders-dr-111122223333-us-east-1-an", false),
        ("dr-{region}-{destination_region}", map.clone(), "*", "dr-us-east-1-us-west-2", true),
        ("dr-{region}-{destination_region}", map.clone(), "*", "dr-us-east-1-eu-central-1", false),
        ("dr-{region}-{destination_region}", map, "*", "dr-eu-west-1-eu-central-1", true),
        ("{bucket_prefix}-dr", json!("us-west-2"), "*-111122223333-*-an", "orders-dr", true),
        ("{bucket_prefix}-dr", json!("us-west-2"), "orders-*-xx-new-9-an", "orders-dr", true),
        ("{bucket_prefix}-dr", json!("us-west-2"), "orders-444455556666-*-an", "orders-dr", false),
        ("{bucket_prefix}-dr", json!("us-west-2"), "bills-*", "orders-dr", false),
        ("{bucket_prefix}.{bucket}", json!("us-west-2"), "*", "a1b.a1b", true),
        ("{bucket_prefix}.{bucket}", json!("us-west-2"), "*", "a1b.a1c", false),
        (
            "{bucket_prefix}.{bucket}",
            json!("us-west-2"),
            "*",
            "a1b.a1b-111122223333-us-east-1-an",
            true,
        ),
    ] {
        let changes = json!({
            "DestinationBucket": destination, "DestinationRegion": region,
            "ReplicaKmsKeyArn": key, "Match": {"BucketNames": [pattern]},
        });
        let policy = policy(changes).unwrap();
        let name = BucketName::parse(bucket).unwrap();
        let found = policy.has_destination(&name, &account(OURS));
        assert_eq!(found, expected, "{destination}, {pattern}, {bucket}");
    }
}

#[test]
fn every_filled_destination_is_recognised() {
    let names = [
        "{bucket}",
        "{bucket_prefix}",
        "{account}",
        "{region}",
        "{destination_account}",
        "{destination_region}",
    ];
    let mut count = 0;
    for first in names {
        for second in names {
            for source in ["orders", "orders-111122223333-us-east-1-an"] {
                let destination = format!("x{first}.{second}y");
                let changes = json!({"DestinationBucket": destination});
                let Ok(spec) = spec(changes.clone(), source, "us-east-1") else { continue };
                let policy = policy(changes).unwrap();
                assert!(
                    policy.has_destination(&spec.destination, &account(OURS)),
                    "{destination}: {}",
                    spec.destination
                );
                count += 1;
            }
        }
    }
    assert!(count > 50, "{count}");
}

#[test]
fn pattern_that_looks_like_a_regular_expression_and_a_shared_destination_are_warned_of() {
    for (names, destination, warnings) in [
        (json!(["*"]), "{bucket}-replica", 0),
        (json!(["prod-*", "a?c.example.*", "Old_*"]), "{bucket}-replica", 0),
        (json!(["prod-.*"]), "{bucket}-replica", 1),
        (json!([".*", "^prod$", "(a|b)", "a[0-9]", "a\\d", "a+", "a{2}"]), "{bucket}-replica", 7),
        (json!(["orders"]), "shared", 0),
        (json!(["orders", "bills"]), "shared", 1),
        (json!(["*"]), "shared-{account}-{region}", 1),
        (json!(["*"]), "{bucket_prefix}-dr", 0),
    ] {
        let changes = json!({"Match": {"BucketNames": names}, "DestinationBucket": destination});
        let policy = policy(changes).unwrap();
        assert_eq!(policy.warnings().len(), warnings, "{names}: {:?}", policy.warnings());
    }
    let changes = json!({"Match": {"BucketNames": ["prod-.*"]}, "DestinationBucket": "shared"});
    insta::assert_snapshot!(policy(changes).unwrap().warnings().join("\n"));
}
