//! Every fault that a bucket and a role of one account can have, put one at a time into a setup that works.

use aws_sdk_kms::types::KeyState;
use s3_kms_replication::diagnose::Code::{self, *};
use s3_kms_replication::diagnose::Severity::{self, *};
use s3_kms_replication::diagnose::Verdict;
use s3_kms_replication::model::{
    Encryption, ObjectOwnership, ReplicationMetrics, ReplicationStatus, SampledObject, Versioning,
};

use super::*;

type Break = fn(&mut State);

const OTHER_KEY: &str = "arn:aws:kms:us-east-1:111122223333:key/earlier";

pub fn deny(bucket: &str, action: &str, resource: &str) -> String {
    format!(
        r#"{{"Version":"2012-10-17","Statement":[{{"Sid":"Guard","Effect":"Deny","Principal":"*","Action":"{action}","Resource":["arn:aws:s3:::{bucket}","arn:aws:s3:::{bucket}/{resource}"]}}]}}"#
    )
}

fn samples(state: &mut State, objects: impl IntoIterator<Item = SampledObject>) {
    let objects = objects.into_iter().map(|object| (ACCOUNT.to_owned(), object));
    state.bucket_mut("demo-source").samples.extend(objects);
}

/// An object that S3 is to replicate.
fn pending(key: &str) -> SampledObject {
    let replication = Some(ReplicationStatus::Pending);
    SampledObject { replication, last_modified: now(), ..object(key) }
}

pub fn bucket_key(state: &mut State, bucket: &str, key: &str) {
    state.bucket_mut(bucket).encryption = Encryption::with_bucket_key(key);
}

pub fn key_policy(state: &mut State, key: &str, policy: &str) {
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
        "prefix begins with a slash, and the bucket is empty",
        |state| {
            state.bucket_mut("demo-source").samples.clear();
            state.edit_replication(
                "demo-source",
                "<Filter/>",
                "<Filter><Prefix>/Tax/</Prefix></Filter>",
            )
        },
        PrefixMatchesNothing,
        WillFail,
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
        "trust policy demands another account's buckets",
        |state| {
            let trust = &mut state.role_mut(OWN_ROLE_NAME).trust;
            *trust = trust.replace(
                r#""Action":"sts:AssumeRole""#,
                r#""Action":"sts:AssumeRole","Condition":{"StringEquals":{"aws:SourceAccount":"444455556666"}}"#,
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
            samples(state, [SampledObject { bucket_key: true, ..pending("b") }]);
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
        "object that is being replicated has another key",
        |state| {
            state.keys.insert(OTHER_KEY.to_owned(), super::key(OTHER_KEY));
            samples(state, [SampledObject { kms_key: Some(OTHER_KEY.to_owned()), ..pending("b") }]);
        },
        SampledKeyNotGranted,
        FailsForSome,
    ),
    (
        "object that was replicated has another key",
        |state| {
            state.keys.insert(OTHER_KEY.to_owned(), super::key(OTHER_KEY));
            samples(state, [SampledObject { kms_key: Some(OTHER_KEY.to_owned()), ..object("b") }]);
        },
        SampledKeyNotGranted,
        Note,
    ),
    (
        "object that was replicated belongs to another account",
        |state| {
            let bucket = state.bucket_mut("demo-source");
            bucket.ownership = ObjectOwnership::ObjectWriter;
            bucket.samples.push((OTHER_ACCOUNT.to_owned(), object("b")));
        },
        ObjectsOwnedByOthers,
        Note,
    ),
    (
        "objects may belong to other accounts",
        |state| state.bucket_mut("demo-source").ownership = ObjectOwnership::BucketOwnerPreferred,
        ObjectsOwnedByOthers,
        WillFail,
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
                [SampledObject { storage_class: "DEEP_ARCHIVE".to_owned(), ..pending("b") }],
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
