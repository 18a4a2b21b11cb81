//! What the planner says of names, prefixes, keys and of other rules for the same objects.

use insta::assert_snapshot;
use s3_kms_replication::model::ReplicationRule;
use serde_json::{Value, json};

use super::with;
use crate::support::*;

fn warnings(state: &State, changes: Value) -> Vec<String> {
    plan_apply(state, &spec(changes)).unwrap().warnings
}

#[tokio::test]
async fn destination_is_created_only_under_a_name_that_s3_gives_to_new_buckets() {
    let mut table = Table::default();
    for name in [
        "orders-111122223333-us-west-2-an",
        "orders-111122223333-us-east-1-an",
        "orders-444455556666-us-west-2-an",
        "111122223333-us-west-2-an",
        "orders-an",
        "xn--orders",
        "sthree-orders",
        "amzn-s3-demo-bucket",
    ] {
        let changes = json!({"DestinationBucket": name, "CreateDestinationBucket": true});
        let result = match plan_apply(&two_buckets(), &spec(changes.clone())) {
            Ok(_) => "created".to_owned(),
            Err(refusal) => format!("refused: {refusal}"),
        };
        table.add(name, &result);
        // An existing bucket of that name is an ordinary one.
        let existing = two_buckets().with_bucket(name, Bucket::new("us-west-2"));
        assert!(plan_apply(&existing, &spec(changes)).is_ok(), "{name}");
    }
    assert_snapshot!(table.text());
}

#[tokio::test]
async fn prefix_that_s3_takes_literally_is_warned_of() {
    let mut table = Table::default();
    for prefix in
        ["*", "logs/*", "a*b", "/", "/logs/", "s3://bucket/logs/", "arn:aws:s3:::bucket/logs"]
    {
        let warnings = warnings(&two_buckets(), json!({"Prefix": prefix}));
        table.add(prefix, &warnings.join("\n"));
    }
    assert_snapshot!(table.text());
    for ordinary in ["", "logs/", "logs", "a?", "2026-", "s3", "arn"] {
        assert_eq!(warnings(&two_buckets(), json!({"Prefix": ordinary})), [""; 0], "{ordinary}");
    }
}

#[tokio::test]
async fn rule_for_the_same_objects_and_destination_is_named_with_the_one_that_wins() {
    let tagged = |key: &str, value: &str| {
        Rule::new("theirs", 1).filter(&format!("<Tag><Key>{key}</Key><Value>{value}</Value></Tag>"))
    };
    let elsewhere = "<And><Not><Prefix>Tax</Prefix></Not></And>";
    let mut table = Table::default();
    let cases: Vec<(&str, ReplicationRule, Value)> = vec![
        ("all objects", Rule::new("theirs", 1).build(), json!({})),
        ("part of ours", Rule::new("theirs", 1).prefix("Tax/2026").build(), json!({})),
        ("we are below", Rule::new("theirs", 7).build(), json!({"Priority": 3})),
        ("other keys", Rule::new("theirs", 1).prefix("Vat").build(), json!({})),
        ("disabled", Rule::new("theirs", 1).disabled().build(), json!({})),
        ("other destination", foreign_rule_to("elsewhere"), json!({})),
        ("a tag", tagged("a", "1").build(), json!({})),
        ("the same tag", tagged("a", "1").build(), json!({"Tags": {"a": "1", "b": "2"}})),
        ("another value of the tag", tagged("a", "2").build(), json!({"Tags": {"a": "1"}})),
        ("not understood", Rule::new("theirs", 1).filter(elsewhere).build(), json!({})),
        ("our other rule", Rule::new("s3-kms-replication.other", 1).build(), json!({})),
    ];
    for (case, other, changes) in cases {
        let state = with(with_foreign_role(), |state| state.buckets.clear());
        let rules = vec![other];
        let source = Bucket::new("us-east-1").encrypted_with(SOURCE_KEY).versioned();
        let state = state
            .with_bucket("demo-source", source.replicating(OWN_ROLE, rules))
            .with_bucket("demo-destination", Bucket::new("us-west-2").versioned());
        let warnings = warnings(&state, merged(json!({"Prefix": "Tax"}), changes));
        table.add(case, &if warnings.is_empty() { "none".to_owned() } else { warnings.join("\n") });
    }
    assert_snapshot!(table.text());
}

fn foreign_rule_to(bucket: &str) -> ReplicationRule {
    let mut state = two_buckets();
    let rules = vec![Rule::new("theirs", 1).build()];
    state.bucket_mut("demo-source").replication = replicating(OWN_ROLE, rules);
    state.edit_replication("demo-source", "demo-destination", bucket);
    state.rules("demo-source").remove(0)
}

#[tokio::test]
async fn priority_of_the_earlier_rule_of_a_renamed_resource_is_refused_with_a_way_out() {
    let earlier = Rule::new("s3-kms-replication.demo-Old-0a1b2c3d", 5).build();
    let mut state = two_buckets();
    state.bucket_mut("demo-source").replication = replicating(OWN_ROLE, vec![earlier]);
    assert_snapshot!(plan_apply(&state, &spec(json!({"Priority": 5}))).unwrap_err());
}

#[tokio::test(start_paused = true)]
async fn given_source_key_of_another_account_is_taken_as_given_when_it_cannot_be_read() {
    let theirs = "arn:aws:kms:us-east-1:444455556666:key/1234abcd-12ab-34cd-56ef-1234567890ab";
    let fake = Fake::new(two_buckets());
    let answer = create(&fake, json!({"SourceKmsKeyArns": [theirs, SOURCE_KEY]})).await;
    assert_eq!(answer["Data"]["SourceKmsKeyArns"], format!("{SOURCE_KEY},{theirs}"));
    assert_snapshot!(answer["Reason"].as_str().unwrap());
    let alias = "arn:aws:kms:us-east-1:444455556666:alias/theirs";
    let fake = Fake::new(two_buckets());
    let answer = create(&fake, json!({"SourceKmsKeyArns": alias})).await;
    assert_eq!((answer["Status"].as_str(), fake.writes().len()), (Some("FAILED"), 0));
    assert_snapshot!(answer["Reason"].as_str().unwrap());
    // The bucket's own default key must be described.
    let mut state = two_buckets();
    state.bucket_mut("demo-source").encryption = kms(theirs);
    let fake = Fake::new(state);
    assert_eq!(create(&fake, json!({})).await["Status"], "FAILED");
    assert_eq!(fake.writes(), []);
}

#[tokio::test]
async fn key_whose_primary_region_changes_is_usable() {
    use aws_sdk_kms::types::KeyState;
    for (state, is_usable) in [
        (KeyState::Enabled, true),
        (KeyState::Updating, true),
        (KeyState::Disabled, false),
        (KeyState::PendingDeletion, false),
        (KeyState::PendingImport, false),
        (KeyState::Creating, false),
        (KeyState::Unavailable, false),
    ] {
        for arn in [SOURCE_KEY, REPLICA_KEY, "arn:aws:kms:us-west-2:111122223333:alias/dr"] {
            let mut buckets = two_buckets();
            if arn != SOURCE_KEY {
                buckets.keys.retain(|other, _| other == SOURCE_KEY || other == arn);
            }
            buckets.key_mut(arn).state = state.clone();
            let planned = plan_apply(
                &buckets,
                &spec(
                    json!({"ReplicaKmsKeyArn": if arn == SOURCE_KEY { REPLICA_KEY } else { arn }}),
                ),
            );
            assert_eq!(planned.is_ok(), is_usable, "{state:?} {arn}");
        }
    }
}
