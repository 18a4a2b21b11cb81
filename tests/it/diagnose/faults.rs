//! Every fault that a bucket and a role of one account can have, put one at a time into a setup that works.

use aws_sdk_kms::types::KeyState;
use s3_kms_replication::diagnose::Code::{self, *};
use s3_kms_replication::diagnose::Severity::{self, *};
use s3_kms_replication::diagnose::Verdict;
use s3_kms_replication::model::{
    Encryption, KeyGrant, ObjectOwnership, ReplicationMetrics, ReplicationStatus, SampledObject,
    Versioning,
};

use super::*;

type Break = fn(&mut State);

const OTHER_KEY: &str = "arn:aws:kms:us-east-1:111122223333:key/earlier";

fn deny(bucket: &str, action: &str, resource: &str) -> String {
    format!(
        r#"{{"Version":"2012-10-17","Statement":[{{"Sid":"Guard","Effect":"Deny","Principal":"*","Action":"{action}","Resource":["arn:aws:s3:::{bucket}","arn:aws:s3:::{bucket}/{resource}"]}}]}}"#
    )
}

fn samples(state: &mut State, objects: impl IntoIterator<Item = SampledObject>) {
    let objects = objects.into_iter().map(|object| (ACCOUNT.to_owned(), object));
    state.bucket_mut("demo-source").samples.extend(objects);
}

fn bucket_key(state: &mut State, bucket: &str, key: &str) {
    state.bucket_mut(bucket).encryption = Encryption::with_bucket_key(key);
}

fn key_policy(state: &mut State, key: &str, policy: &str) {
    state.policies.insert(format!("key `{key}`"), policy.to_owned());
}

/// The faults, and the one finding of each.
const FAULTS: &[(&str, Break, Code, Severity)] = &[
    (
        "rule is disabled",
        |state| {
            state.edit_replication(
                "demo-source",
                "<Status>Enabled</Status><SourceSel",
                "<Status>Disabled</Status><SourceSel",
            )
        },
        RuleDisabled,
        FailsNow,
    ),
    (
        "rule does not select KMS objects",
        |state| state.remove_element("demo-source", "SourceSelectionCriteria"),
        KmsObjectsNotSelected,
        FailsNow,
    ),
    (
        "prefix begins with a slash",
        |state| {
            state.edit_replication(
                "demo-source",
                "<Filter/>",
                "<Filter><Prefix>/Tax/</Prefix></Filter>",
            )
        },
        PrefixMatchesNothing,
        FailsNow,
    ),
    (
        "prefix has a wildcard",
        |state| {
            state.edit_replication(
                "demo-source",
                "<Filter/>",
                "<Filter><Prefix>logs/*</Prefix></Filter>",
            )
        },
        PrefixMatchesNothing,
        FailsNow,
    ),
    (
        "prefix selects no object yet",
        |state| {
            state.edit_replication(
                "demo-source",
                "<Filter/>",
                "<Filter><Prefix>Tax/</Prefix></Filter>",
            )
        },
        PrefixMatchesNothing,
        Note,
    ),
    (
        "source is not versioned",
        |state| state.bucket_mut("demo-source").versioning = Versioning::Suspended,
        SourceNotVersioned,
        FailsNow,
    ),
    (
        "destination is not versioned",
        |state| state.bucket_mut("demo-destination").versioning = Versioning::Suspended,
        DestinationNotVersioned,
        FailsNow,
    ),
    (
        "destination is gone",
        |state| drop(state.buckets.remove("demo-destination")),
        DestinationMissing,
        FailsNow,
    ),
    ("role is gone", |state| drop(state.roles.remove(OWN_ROLE_NAME)), RoleMissing, FailsNow),
    (
        "role is not trusted",
        |state| {
            let trust = &mut state.role_mut(OWN_ROLE_NAME).trust;
            *trust = trust.replace("s3.amazonaws.com", "ec2.amazonaws.com");
        },
        RoleNotTrusted,
        FailsNow,
    ),
    (
        "trust policy demands the source's account",
        |state| {
            let trust = &mut state.role_mut(OWN_ROLE_NAME).trust;
            *trust = trust.replace(
                r#""Action":"sts:AssumeRole""#,
                r#""Action":"sts:AssumeRole","Condition":{"StringEquals":{"aws:SourceAccount":"111122223333"}}"#,
            );
            assert!(trust.contains("SourceAccount"), "{trust}");
        },
        RoleNotTrusted,
        FailsNow,
    ),
    (
        "role may not read object versions for replication",
        |state| edit_policy(state, "s3:GetObjectVersionForReplication", "s3:GetObjectVersion"),
        ActionNotGranted,
        FailsNow,
    ),
    (
        "source's objects are named without a slash",
        |state| {
            edit_policy(
                state,
                r#""Resource":"arn:aws:s3:::demo-source/*""#,
                r#""Resource":"arn:aws:s3:::demo-source""#,
            );
        },
        ActionNotGranted,
        FailsNow,
    ),
    (
        "tags are read of the destination",
        |state| {
            edit_policy(state, r#""s3:GetObjectVersionTagging""#, r#""s3:GetObjectTagging""#);
            edit_policy(
                state,
                r#""s3:ReplicateTags""#,
                r#""s3:ReplicateTags","s3:GetObjectVersionTagging""#,
            );
        },
        ActionNotGranted,
        FailsForSome,
    ),
    (
        "role may not read annotations",
        |state| {
            edit_policy(
                state,
                "s3:GetObjectVersionAnnotationForReplication",
                "s3:GetObjectVersionAnnotation",
            )
        },
        AnnotationsNotReplicated,
        Note,
    ),
    (
        "role may write under one prefix only",
        |state| {
            edit_policy(
                state,
                r#""Resource":"arn:aws:s3:::demo-destination/*""#,
                r#""Resource":"arn:aws:s3:::demo-destination/Tax/*""#,
            );
        },
        ActionNotGranted,
        FailsForSome,
    ),
    (
        "encryption context of the source has the object form only, with a Bucket Key",
        |state| {
            bucket_key(state, "demo-source", SOURCE_KEY);
            state.bucket_mut("demo-source").samples.clear();
            edit_policy(
                state,
                r#"["arn:aws:s3:::demo-source","arn:aws:s3:::demo-source/*"]"#,
                r#""arn:aws:s3:::demo-source/*""#,
            );
        },
        EncryptionContextNotGranted,
        FailsNow,
    ),
    (
        "encryption context of the source has the bucket form only",
        |state| {
            edit_policy(
                state,
                r#"["arn:aws:s3:::demo-source","arn:aws:s3:::demo-source/*"]"#,
                r#""arn:aws:s3:::demo-source""#,
            );
        },
        EncryptionContextNotGranted,
        FailsNow,
    ),
    (
        "encryption context of the source has the object form only",
        |state| {
            edit_policy(
                state,
                r#"["arn:aws:s3:::demo-source","arn:aws:s3:::demo-source/*"]"#,
                r#""arn:aws:s3:::demo-source/*""#,
            );
        },
        EncryptionContextNotGranted,
        WillFail,
    ),
    (
        "encryption context of the source has the object form only, and an object has a Bucket Key",
        |state| {
            edit_policy(
                state,
                r#"["arn:aws:s3:::demo-source","arn:aws:s3:::demo-source/*"]"#,
                r#""arn:aws:s3:::demo-source/*""#,
            );
            samples(state, [SampledObject { bucket_key: true, ..object("b") }]);
        },
        EncryptionContextNotGranted,
        FailsForSome,
    ),
    (
        "encryption context of the destination has the object form only, with a Bucket Key",
        |state| {
            bucket_key(state, "demo-destination", REPLICA_KEY);
            edit_policy(
                state,
                r#"["arn:aws:s3:::demo-destination","arn:aws:s3:::demo-destination/*"]"#,
                r#""arn:aws:s3:::demo-destination/*""#,
            );
        },
        EncryptionContextNotGranted,
        FailsNow,
    ),
    (
        "role may not make data keys, with a Bucket Key",
        |state| {
            bucket_key(state, "demo-destination", REPLICA_KEY);
            edit_policy(state, r#""kms:GenerateDataKey""#, r#""kms:DescribeKey""#);
        },
        KeyNotGranted,
        FailsNow,
    ),
    (
        "role may not decrypt with the replica key, with a Bucket Key",
        |state| {
            bucket_key(state, "demo-destination", REPLICA_KEY);
            edit_policy(state, r#"["kms:Decrypt","kms:Encrypt","#, r#"["kms:Encrypt","#);
        },
        KeyNotGranted,
        FailsNow,
    ),
    (
        "key is used through another Region",
        |state| edit_policy(state, "s3.us-east-1.amazonaws.com", "s3.eu-west-1.amazonaws.com"),
        ViaServiceNotGranted,
        FailsNow,
    ),
    (
        "key is used through another suffix",
        |state| edit_policy(state, "s3.us-west-2.amazonaws.com", "s3.us-west-2.amazonaws.com.cn"),
        ViaServiceNotGranted,
        FailsNow,
    ),
    (
        "alias is a resource",
        |state| {
            edit_policy(
                state,
                &format!(r#""Resource":"{SOURCE_KEY}""#),
                r#""Resource":"arn:aws:kms:us-east-1:111122223333:alias/source""#,
            )
        },
        AliasAsResource,
        FailsNow,
    ),
    (
        "policy of the role denies",
        |state| {
            let denial = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"s3:Replicate*","Resource":"*"}]}"#;
            state.role_mut(OWN_ROLE_NAME).policies.insert("guard".to_owned(), denial.to_owned());
        },
        RolePolicyDenies,
        FailsNow,
    ),
    (
        "boundary does not allow to read objects",
        |state| {
            let boundary = "arn:aws:iam::111122223333:policy/boundary";
            state.role_mut(OWN_ROLE_NAME).boundary = Some(boundary.to_owned());
            let document = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["kms:*","s3:GetObjectVersionAcl","s3:GetObjectVersionTagging","s3:GetReplicationConfiguration","s3:List*","s3:Replicate*"],"Resource":"*"}]}"#;
            state.managed_policies.insert(boundary.to_owned(), document.to_owned());
        },
        BoundaryDoesNotAllow,
        FailsNow,
    ),
    (
        "replica key is gone",
        |state| drop(state.keys.remove(REPLICA_KEY)),
        ReplicaKeyMissing,
        FailsNow,
    ),
    (
        "replica key is disabled",
        |state| state.key_mut(REPLICA_KEY).state = KeyState::Disabled,
        ReplicaKeyUnusable,
        FailsNow,
    ),
    (
        "replica key is about to be deleted",
        |state| state.key_mut(REPLICA_KEY).state = KeyState::PendingDeletion,
        ReplicaKeyUnusable,
        FailsNow,
    ),
    (
        "replica key is asymmetric",
        |state| state.key_mut(REPLICA_KEY).symmetric = false,
        ReplicaKeyUnusable,
        FailsNow,
    ),
    (
        "replica key is of another Region",
        |state| {
            let key = REPLICA_KEY.replace("us-west-2", "eu-west-1");
            state.keys.insert(key.clone(), super::key(&key));
            state.edit_replication("demo-source", REPLICA_KEY, &key);
            edit_policy(state, REPLICA_KEY, &key);
        },
        ReplicaKeyUnusable,
        FailsNow,
    ),
    (
        "source key is disabled",
        |state| state.key_mut(SOURCE_KEY).state = KeyState::Disabled,
        SourceKeyUnusable,
        FailsNow,
    ),
    (
        "key policy lets nobody of the account in",
        |state| {
            key_policy(
                state,
                REPLICA_KEY,
                r#"{"Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:role/other"},"Action":"kms:*","Resource":"*"}]}"#,
            )
        },
        KeyPolicyDoesNotAllow,
        FailsNow,
    ),
    (
        "key policy denies",
        |state| {
            let root = r#"{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:root"},"Action":"kms:*","Resource":"*"}"#;
            let denial = format!(
                r#"{{"Sid":"Guard","Effect":"Deny","Principal":"*","Action":"kms:Decrypt","Resource":"*","Condition":{{"ArnNotEquals":{{"aws:PrincipalArn":"{FOREIGN_ROLE}"}}}}}}"#
            );
            key_policy(
                state,
                SOURCE_KEY,
                &format!(r#"{{"Version":"2012-10-17","Statement":[{root},{denial}]}}"#),
            );
        },
        KeyPolicyDenies,
        FailsNow,
    ),
    (
        "policy of the source denies",
        |state| {
            drop(state.policies.insert(
                "bucket `demo-source`".to_owned(),
                deny("demo-source", "s3:GetObject*", "*"),
            ))
        },
        SourceBucketPolicyDenies,
        FailsNow,
    ),
    (
        "policy of the source denies for one prefix",
        |state| {
            drop(state.policies.insert(
                "bucket `demo-source`".to_owned(),
                deny("demo-source", "s3:GetObject*", "secret/*"),
            ))
        },
        SourceBucketPolicyDenies,
        FailsForSome,
    ),
    (
        "policy of the destination denies",
        |state| {
            drop(state.policies.insert(
                "bucket `demo-destination`".to_owned(),
                deny("demo-destination", "s3:*", "*"),
            ))
        },
        DestinationBucketPolicyDenies,
        FailsNow,
    ),
    (
        "object has another key",
        |state| {
            state.keys.insert(OTHER_KEY.to_owned(), super::key(OTHER_KEY));
            samples(state, [SampledObject { kms_key: Some(OTHER_KEY.to_owned()), ..object("b") }]);
        },
        SampledKeyNotGranted,
        FailsForSome,
    ),
    (
        "object belongs to another account",
        |state| {
            let bucket = state.bucket_mut("demo-source");
            bucket.ownership = ObjectOwnership::ObjectWriter;
            bucket.samples.push((OTHER_ACCOUNT.to_owned(), object("b")));
        },
        ObjectsOwnedByOthers,
        FailsForSome,
    ),
    (
        "destination replicates by rules of its own",
        |state| {
            let rules = vec![Rule::new("further", 1).build()];
            let bucket = state.buckets.remove("demo-destination").unwrap();
            state
                .buckets
                .insert("demo-destination".to_owned(), bucket.replicating(FOREIGN_ROLE, rules));
        },
        ReplicasNotReplicated,
        Note,
    ),
    (
        "object is a replica",
        |state| {
            samples(
                state,
                [SampledObject { replication: Some(ReplicationStatus::Replica), ..object("b") }],
            )
        },
        ReplicasNotReplicated,
        Note,
    ),
    (
        "object is archived",
        |state| {
            samples(
                state,
                [SampledObject {
                    replication: Some(ReplicationStatus::Pending),
                    last_modified: now(),
                    storage_class: "DEEP_ARCHIVE".to_owned(),
                    ..object("b")
                }],
            )
        },
        ObjectsArchived,
        Note,
    ),
    (
        "object is older than the rule",
        |state| samples(state, [SampledObject { replication: None, ..object("b") }]),
        ObjectsNeverSelected,
        Note,
    ),
    (
        "object failed long ago",
        |state| {
            samples(
                state,
                [SampledObject { replication: Some(ReplicationStatus::Failed), ..object("b") }],
            )
        },
        ObjectsFailed,
        Note,
    ),
    (
        "object is pending for long",
        |state| {
            samples(
                state,
                [SampledObject { replication: Some(ReplicationStatus::Pending), ..object("b") }],
            )
        },
        ObjectsPending,
        Note,
    ),
    (
        "destination is behind",
        |state| {
            let behind = ReplicationMetrics { failed: 0.0, pending: 7.0, latency: 7_200.0 };
            state.metrics.insert("theirs".to_owned(), behind);
        },
        ObjectsPending,
        Note,
    ),
];

#[tokio::test]
async fn invariant_10_every_fault_in_a_working_setup_is_found_alone() {
    let working = working().await;
    assert_works(&diagnosed(working.clone(), &Access::Own).await);
    let (mut found, mut wrong) = (Table::default(), Vec::new());
    for (name, break_setup, code, severity) in FAULTS {
        let mut broken = working.clone();
        break_setup(&mut broken);
        assert_ne!(broken, working, "{name}");
        let diagnosis = diagnosed(broken, &Access::Own).await;
        let expected = match severity {
            FailsNow | FailsForSome => Verdict::Fails,
            WillFail | Note => Verdict::Works,
        };
        if codes(&diagnosis) != [(*code, *severity)] || diagnosis.verdict != Some(expected) {
            wrong.push(format!("{name}, not {code} {severity:?}: {}", diagnosis.text));
        }
        found.add(name, diagnosis.text.trim_end());
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    insta::assert_snapshot!(found.text());
}

#[tokio::test]
async fn missing_right_to_make_data_keys_is_unknown_without_a_bucket_key() {
    let mut state = working().await;
    edit_policy(&mut state, r#""kms:GenerateDataKey""#, r#""kms:DescribeKey""#);
    let diagnosis = diagnosed(state, &Access::Own).await;
    assert_eq!(codes(&diagnosis), [(KeyNotGranted, WillFail)], "{}", diagnosis.text);
    assert_eq!(diagnosis.verdict, Some(Verdict::Unknown), "{}", diagnosis.text);
}

#[tokio::test]
async fn grant_on_a_key_counts_where_policies_do_not_allow() {
    let mut state = working().await;
    edit_policy(
        &mut state,
        &format!(r#""Resource":"{SOURCE_KEY}""#),
        r#""Resource":"arn:aws:kms:us-east-1:111122223333:key/other""#,
    );
    assert_eq!(codes(&diagnosed(state.clone(), &Access::Own).await), [(KeyNotGranted, FailsNow)]);
    state.grants.insert(
        SOURCE_KEY.to_owned(),
        vec![KeyGrant {
            id: "1".to_owned(),
            grantee: OWN_ROLE.to_owned(),
            operations: vec!["Decrypt".to_owned()],
            context_subset: [].into(),
            context_equals: [].into(),
        }],
    );
    assert_works(&diagnosed(state, &Access::Own).await);
}

#[tokio::test]
async fn rule_that_another_rule_overrides_is_noted() {
    let mut state = working().await;
    let rule = state.rules("demo-source")[0].xml().to_owned();
    let other =
        rule.replace("<ID>theirs</ID>", "<ID>other</ID>").replace("<Priority>1<", "<Priority>2<");
    assert_ne!(rule, other);
    state.edit_replication("demo-source", &rule, &format!("{rule}{other}"));
    let diagnosis = diagnosed(state, &Access::Own).await;
    let of = |index: usize| -> Vec<_> {
        diagnosis.rules[index]
            .findings
            .iter()
            .map(|finding| (finding.code, finding.severity))
            .collect()
    };
    assert_eq!((of(0), of(1)), (vec![(RuleOverridden, Note)], vec![]), "{}", diagnosis.text);
}

#[tokio::test]
async fn recent_failures_without_a_seen_cause_make_the_verdict_unknown() {
    let mut state = working().await;
    let failed = ReplicationMetrics { failed: 3.0, ..ReplicationMetrics::default() };
    state.metrics.insert("theirs".to_owned(), failed);
    let diagnosis = diagnosed(state, &Access::Own).await;
    assert_eq!(codes(&diagnosis), [(ObjectsFailed, Note)], "{}", diagnosis.text);
    assert_eq!(diagnosis.verdict, Some(Verdict::Unknown), "{}", diagnosis.text);
}

#[tokio::test]
async fn denial_by_an_unknown_condition_key_makes_the_verdict_unknown() {
    for key in ["aws:SourceVpce", "aws:SourceIp", "aws:PrincipalOrgID"] {
        let mut state = working().await;
        let denial = deny("demo-destination", "s3:*", "*").replace(
            r#""Action""#,
            &format!(r#""Condition":{{"StringNotEquals":{{"{key}":"any"}}}},"Action""#),
        );
        state.policies.insert("bucket `demo-destination`".to_owned(), denial);
        let diagnosis = diagnosed(state, &Access::Own).await;
        assert_eq!(diagnosis.verdict, Some(Verdict::Unknown), "{}", diagnosis.text);
        assert!(diagnosis.text.contains("statement `Guard`"), "{}", diagnosis.text);
        assert!(diagnosis.text.contains(key), "{}", diagnosis.text);
    }
}

#[tokio::test]
async fn rule_of_the_first_version_is_noted() {
    let mut state = working_with(json!({"Prefix": "a"})).await;
    let filter = "<Filter><Prefix>a</Prefix></Filter>";
    state.edit_replication("demo-source", filter, "<Prefix>a</Prefix>");
    let diagnosis = diagnosed(state, &Access::Own).await;
    assert_eq!(codes(&diagnosis), [(V1Rule, Note)], "{}", diagnosis.text);
}

#[tokio::test]
async fn faults_of_object_lock_are_found_alone() {
    let mut state = two_buckets();
    for bucket in ["demo-source", "demo-destination"] {
        state.bucket_mut(bucket).object_lock = true;
    }
    let working = working_on(state, json!({})).await;
    assert_works(&diagnosed(working.clone(), &Access::Own).await);

    let mut unlocked = working.clone();
    unlocked.bucket_mut("demo-destination").object_lock = false;
    let diagnosis = diagnosed(unlocked, &Access::Own).await;
    assert_eq!(codes(&diagnosis), [(DestinationObjectLockMissing, FailsNow)], "{}", diagnosis.text);

    for right in ["s3:GetObjectRetention", "s3:GetObjectLegalHold"] {
        let mut state = working.clone();
        edit_policy(&mut state, right, "s3:GetObject");
        let diagnosis = diagnosed(state, &Access::Own).await;
        assert_eq!(codes(&diagnosis), [(ActionNotGranted, FailsForSome)], "{}", diagnosis.text);
        assert!(diagnosis.text.contains(right), "{}", diagnosis.text);
    }
}

#[tokio::test]
async fn missing_right_to_replicate_delete_markers_fails_only_where_the_rule_replicates_them() {
    for replicates in [true, false] {
        let mut state = working_with(json!({"DeleteMarkerReplication": replicates})).await;
        edit_policy(&mut state, "s3:ReplicateDelete", "s3:GetObject");
        let diagnosis = diagnosed(state, &Access::Own).await;
        let expected: &[_] = if replicates { &[(ActionNotGranted, FailsForSome)] } else { &[] };
        assert_eq!(codes(&diagnosis), expected, "{}", diagnosis.text);
    }
}

#[tokio::test]
async fn policy_for_replicas_in_one_layer_fails_objects_in_two() {
    let mut state = working().await;
    edit_policy(&mut state, r#","aws:kms:dsse""#, "");
    assert_works(&diagnosed(state.clone(), &Access::Own).await);
    state.bucket_mut("demo-source").encryption =
        Encryption::Kms { key: Some(SOURCE_KEY.to_owned()), bucket_key: false, dual_layer: true };
    let diagnosis = diagnosed(state, &Access::Own).await;
    assert_eq!(codes(&diagnosis), [(ActionNotGranted, FailsNow)], "{}", diagnosis.text);
}

#[tokio::test]
async fn bucket_key_at_the_destination_does_not_count_for_objects_in_two_layers() {
    let mut state = working().await;
    bucket_key(&mut state, "demo-destination", REPLICA_KEY);
    state.bucket_mut("demo-source").encryption =
        Encryption::Kms { key: Some(SOURCE_KEY.to_owned()), bucket_key: false, dual_layer: true };
    assert_works(&diagnosed(state.clone(), &Access::Own).await);
    edit_policy(
        &mut state,
        r#""arn:aws:s3:::demo-destination","arn:aws:s3:::demo-destination/*""#,
        r#""arn:aws:s3:::demo-destination""#,
    );
    let diagnosis = diagnosed(state, &Access::Own).await;
    assert_eq!(diagnosis.verdict, Some(Verdict::Fails), "{}", diagnosis.text);
}

#[tokio::test]
async fn denial_of_a_key_by_the_way_of_the_call_makes_the_verdict_unknown() {
    for via in ["true", "false"] {
        let mut state = working().await;
        let root = r#"{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:root"},"Action":"kms:*","Resource":"*"}"#;
        let denial = format!(
            r#"{{"Effect":"Deny","Principal":"*","Action":"kms:Decrypt","Resource":"*","Condition":{{"Bool":{{"aws:ViaAWSService":"{via}"}}}}}}"#
        );
        key_policy(
            &mut state,
            SOURCE_KEY,
            &format!(r#"{{"Version":"2012-10-17","Statement":[{root},{denial}]}}"#),
        );
        let diagnosis = diagnosed(state, &Access::Own).await;
        assert_eq!(diagnosis.verdict, Some(Verdict::Unknown), "{via}: {}", diagnosis.text);
    }
}
