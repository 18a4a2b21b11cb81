//! Invariant 9: what is wrong is said before anything is changed.

use std::collections::BTreeMap;

use aws_sdk_kms::types::KeyState;
use insta::assert_snapshot;
use s3_kms_replication::model::{Encryption, Key, Retry, Role, RoleName};
use serde_json::json;

use crate::support::*;

#[tokio::test(start_paused = true)]
async fn invariant_9_unusable_state_is_refused_without_writes() {
    type Change = fn(&mut State);
    let key: fn(&mut State, &str, fn(&mut Key)) = |state, arn, change| change(state.key_mut(arn));
    let cases: Vec<(&str, Change)> = vec![
        ("the source is missing", |state| drop(state.buckets.remove("demo-source"))),
        ("the destination is missing", |state| drop(state.buckets.remove("demo-destination"))),
        ("the destination is in another Region than the key", |state| {
            state.bucket_mut("demo-destination").region = "us-east-1"
        }),
        ("the replica key is missing", |state| drop(state.keys.remove(REPLICA_KEY))),
        ("the default key is missing", |state| drop(state.keys.remove(SOURCE_KEY))),
        ("the source is locked", |state| state.bucket_mut("demo-source").object_lock = true),
        ("the role's name is taken", |state| {
            let name =
                RoleName::from_arn("arn:aws:iam::111122223333:role/s3-crr-demo-source").unwrap();
            state.roles.insert(name.to_string(), Role { name, ..foreign_role() });
        }),
        ("the bucket has V1 rules", |state| {
            let rule = Rule::new("old", 1).v1().build();
            state.bucket_mut("demo-source").replication = replicating(OWN_ROLE, vec![rule]);
        }),
        ("the priority is taken", |state| {
            state.bucket_mut("demo-source").replication =
                replicating(OWN_ROLE, vec![foreign_rule("theirs", 1)]);
        }),
        ("the bucket has as many rules as S3 allows", |state| {
            let rules = (0..1_000)
                .map(|index| foreign_rule(&format!("theirs-{index}"), index + 10))
                .collect();
            state.bucket_mut("demo-source").replication = replicating(OWN_ROLE, rules);
        }),
        ("the role's inline policies get too long", |state| {
            let name = RoleName::from_arn(OWN_ROLE).unwrap();
            let tags =
                BTreeMap::from([("s3-kms-replication".to_owned(), "demo-source".to_owned())]);
            let policies =
                BTreeMap::from([("s3-kms-replication.other".to_owned(), "x".repeat(9_000))]);
            state.roles.insert(
                name.to_string(),
                Role {
                    name,
                    arn: OWN_ROLE.to_owned(),
                    tags,
                    policies,
                    attached: Vec::new(),
                    ..foreign_role()
                },
            );
        }),
    ];
    let mut reasons = Vec::new();
    let mut refused = async |case: &str, before: State| {
        let fake = Fake::new(before.clone());
        let answer = create(&fake, json!({})).await;
        assert_eq!(answer["Status"], "FAILED", "{case}");
        assert_eq!(fake.writes(), [], "{case}");
        assert_eq!(*fake.state.borrow(), before, "{case}");
        reasons.push(format!("{case}:\n  {}", answer["Reason"].as_str().unwrap()));
    };
    for (case, change) in cases {
        let mut state = two_buckets();
        change(&mut state);
        refused(case, state).await;
    }
    for (case, change) in [
        ("disabled", (|key| key.state = KeyState::Disabled) as fn(&mut Key)),
        ("pending deletion", |key| key.state = KeyState::PendingDeletion),
        ("asymmetric", |key| key.symmetric = false),
        ("managed by AWS", |key| key.aws_managed = true),
    ] {
        for (side, arn) in [("replica", REPLICA_KEY), ("source", SOURCE_KEY)] {
            let mut state = two_buckets();
            key(&mut state, arn, change);
            if (case, side) != ("managed by AWS", "source") {
                refused(&format!("the {side} key is {case}"), state).await;
            }
        }
    }
    assert_snapshot!(reasons.join("\n"));
}

#[tokio::test(start_paused = true)]
async fn invariant_9_given_source_key_of_another_region_is_refused_and_a_usable_one_replaces_the_default()
 {
    let fake = Fake::new(two_buckets());
    let refused = create(&fake, json!({"SourceKmsKeyArns": REPLICA_KEY})).await;
    assert_snapshot!(refused["Reason"].as_str().unwrap(), @"`SourceKmsKeyArns`: key `arn:aws:kms:us-west-2:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab` is not in us-east-1, the Region of bucket `demo-source`");
    assert_eq!(*fake.state.borrow(), two_buckets());
    let given = "arn:aws:kms:us-east-1:111122223333:key/given";
    fake.state.borrow_mut().keys.insert(given.to_owned(), key(given));
    assert_eq!(
        create(&fake, json!({"SourceKmsKeyArns": [given]})).await["Data"]["SourceKmsKeyArns"],
        given
    );
}

#[tokio::test(start_paused = true)]
async fn prefix_beyond_ascii_is_granted_by_its_ascii_part_with_a_warning() {
    let fake = Fake::new(two_buckets());
    let answer = create(&fake, json!({"Prefix": "tax/été/"})).await;
    assert_snapshot!(answer["Reason"].as_str().unwrap(), @"`Prefix` `tax/été/` is not printable ASCII throughout, so the grants are for all keys that begin with `tax/`");
    assert!(
        fake.state.borrow().roles["s3-crr-demo-source"]
            .policies
            .values()
            .all(|policy| policy.contains("demo-source/tax/*"))
    );
}

#[tokio::test(start_paused = true)]
async fn source_without_kms_gets_a_rule_without_kms_and_a_warning() {
    let mut state = two_buckets();
    state.bucket_mut("demo-source").encryption = Encryption::S3;
    let fake = Fake::new(state);
    let answer = create(&fake, json!({})).await;
    assert_eq!(answer["Data"]["SourceKmsKeyArns"], "");
    assert_snapshot!(answer["Reason"].as_str().unwrap(), @"bucket `demo-source` encrypts with SSE-S3, not KMS: replicas have the same type of encryption, so they are not KMS-encrypted");
    let state = fake.state.borrow();
    let rule = &state.rules("demo-source")[0];
    assert!(!rule.xml().contains("SourceSelectionCriteria"));
    assert_eq!(rule.replica_kms_key_id(), None);
    assert!(
        !state.roles["s3-crr-demo-source"]
            .policies
            .values()
            .any(|policy| policy.contains("kms:Decrypt"))
    );
}

#[tokio::test(start_paused = true)]
async fn invariant_9_answer_404_without_the_code_of_s3_does_not_say_that_a_bucket_is_missing() {
    for operation in ["GetBucketReplication", "GetBucketVersioning"] {
        let fake = Fake::new(two_buckets());
        fake.refuse(operation, 1, "HTTP 404", Retry::Never);
        let answer = create(&fake, json!({"CreateDestinationBucket": "true"})).await;
        let reason = answer["Reason"].as_str().unwrap();
        assert!(reason.ends_with("HTTP 404: as told"), "{operation}: {reason}");
        assert_eq!(fake.writes(), [], "{operation}");
    }
}
