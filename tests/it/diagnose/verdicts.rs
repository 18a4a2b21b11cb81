//! Setups in which a verdict is easily wrong, with the verdict that AWS's documents give.

use aws_sdk_kms::types::KeyState;
use s3_kms_replication::diagnose::Code::{self, *};
use s3_kms_replication::diagnose::Severity::{self, *};
use s3_kms_replication::diagnose::Verdict::{self, *};
use s3_kms_replication::model::{Encryption, ObjectOwnership, ReplicationStatus, SampledObject};

use super::faults::key_policy;
use super::*;

/// Changes a working setup of one account.
type Change = fn(&mut State);

/// A name, the change, the verdict, and all findings.
type Case = (&'static str, Change, Verdict, &'static [(Code, Severity)]);

async fn assert_verdicts(working: &State, cases: &[Case], access: &Access) {
    let mut wrong = String::new();
    for (name, change, verdict, findings) in cases {
        let mut state = working.clone();
        change(&mut state);
        let diagnosis = diagnosed(state, access).await;
        if diagnosis.verdict != Some(*verdict) || codes(&diagnosis) != *findings {
            wrong += &format!("{name}, not {verdict:?} {findings:?}: {}\n", diagnosis.text);
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// Gives a bucket a policy of these statements.
fn bucket_policy(state: &mut State, bucket: &str, statements: &str) {
    let policy = format!(r#"{{"Version":"2012-10-17","Statement":[{statements}]}}"#);
    state.policies.insert(format!("bucket `{bucket}`"), policy);
}

/// A key policy that lets the account decide, with one more statement.
fn guarded_key(state: &mut State, key: &str, statement: &str) {
    let root = r#"{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:root"},"Action":"kms:*","Resource":"*"}"#;
    let policy = format!(r#"{{"Version":"2012-10-17","Statement":[{root},{statement}]}}"#);
    key_policy(state, key, &policy);
}

/// Denies everything in a bucket to all but those named.
fn deny_all_but(state: &mut State, principals: &str) {
    bucket_policy(
        state,
        "demo-destination",
        &format!(
            r#"{{"Sid":"Guard","Effect":"Deny","NotPrincipal":{{"AWS":[{principals}]}},"Action":"s3:*","Resource":"arn:aws:s3:::demo-destination/*"}}"#
        ),
    );
}

/// Denies all actions on this resource of a bucket's policy.
fn deny_resource(state: &mut State, bucket: &str, resource: &str) {
    bucket_policy(
        state,
        bucket,
        &format!(
            r#"{{"Sid":"Guard","Effect":"Deny","Principal":"*","Action":"s3:*","Resource":"{resource}"}}"#
        ),
    );
}

/// Adds a statement to the role's inline policy.
fn add_statement(state: &mut State, statement: &str) {
    edit_policy(state, r#""Statement":["#, &format!(r#""Statement":[{statement},"#));
}

fn sample(state: &mut State, object: SampledObject) {
    state.bucket_mut("demo-source").samples.push((ACCOUNT.to_owned(), object));
}

/// Takes the prefix `logs/` for the rule, with an object under it.
fn under_prefix(state: &mut State) {
    let filter = "<Filter><Prefix>logs/</Prefix></Filter>";
    state.edit_replication("demo-source", "<Filter/>", filter);
    sample(state, object("logs/1"));
}

const NONE: &[(Code, Severity)] = &[];

/// `reference_policies_elements_notprincipal.html`: "you must also specify the account ARN of the not-denied principal. Otherwise, the policy
/// might deny access to the entire account".
const NOT_PRINCIPAL: &[Case] = &[
    (
        "NotPrincipal names the role only",
        |state| deny_all_but(state, &format!(r#""{OWN_ROLE}""#)),
        Unknown,
        NONE,
    ),
    (
        "NotPrincipal names the role and the account",
        |state| deny_all_but(state, &format!(r#""{OWN_ROLE}","arn:aws:iam::111122223333:root""#)),
        Unknown,
        NONE,
    ),
    (
        "NotPrincipal names another role",
        |state| deny_all_but(state, r#""arn:aws:iam::111122223333:role/other""#),
        Fails,
        &[(DestinationBucketPolicyDenies, FailsNow)],
    ),
    (
        "NotPrincipal names a session of the role, the role and the account",
        |state| {
            let session = "arn:aws:sts::111122223333:assumed-role/s3-crr-demo-source/any";
            deny_all_but(
                state,
                &format!(r#""{session}","{OWN_ROLE}","arn:aws:iam::111122223333:root""#),
            );
        },
        Unknown,
        NONE,
    ),
    (
        "condition excepts the role",
        |state| {
            bucket_policy(
                state,
                "demo-destination",
                &format!(
                    r#"{{"Effect":"Deny","Principal":"*","Action":"s3:*","Resource":"arn:aws:s3:::demo-destination/*","Condition":{{"ArnNotEquals":{{"aws:PrincipalArn":"{OWN_ROLE}"}}}}}}"#
                ),
            );
        },
        Works,
        NONE,
    ),
    (
        "Deny names a session of the role",
        |state| {
            bucket_policy(
                state,
                "demo-destination",
                r#"{"Effect":"Deny","Principal":{"AWS":"arn:aws:sts::111122223333:assumed-role/s3-crr-demo-source/any"},"Action":"s3:*","Resource":"arn:aws:s3:::demo-destination/*"}"#,
            );
        },
        Unknown,
        NONE,
    ),
];

/// A Deny for some objects is found, whatever its pattern, or the verdict is unknown.
const SOME_OBJECTS: &[Case] = &[
    (
        "wildcard in the bucket's name",
        |state| deny_resource(state, "demo-source", "arn:aws:s3:::demo-*/secret/*"),
        Fails,
        &[(SourceBucketPolicyDenies, FailsForSome)],
    ),
    (
        "pattern begins with a wildcard, under a rule with a prefix",
        |state| {
            under_prefix(state);
            deny_resource(state, "demo-source", "*.tmp");
        },
        Fails,
        &[(SourceBucketPolicyDenies, FailsForSome)],
    ),
    (
        "the folder that the rule's prefix names",
        |state| {
            under_prefix(state);
            deny_resource(state, "demo-source", "arn:aws:s3:::demo-source/logs/");
        },
        Fails,
        &[(SourceBucketPolicyDenies, FailsForSome)],
    ),
    (
        "pattern of another prefix than the rule's",
        |state| {
            under_prefix(state);
            deny_resource(state, "demo-source", "arn:aws:s3:::demo-source/secret/*");
        },
        Works,
        NONE,
    ),
    (
        "variable of a tag in the pattern",
        |state| {
            let role = state.role_mut(OWN_ROLE_NAME);
            role.tags.insert("team".to_owned(), "red".to_owned());
            deny_resource(
                state,
                "demo-source",
                "arn:aws:s3:::demo-source/${aws:PrincipalTag/team}/*",
            );
        },
        Fails,
        &[(SourceBucketPolicyDenies, FailsForSome)],
    ),
    (
        "variable that is not known in the pattern",
        |state| deny_resource(state, "demo-source", "arn:aws:s3:::demo-source/${aws:userid}/*"),
        Unknown,
        NONE,
    ),
    (
        "the 60th of many patterns",
        |state| {
            let allowed: String =
                (0..60).map(|n| format!(r#""arn:aws:s3:::demo-source/{n:02}/*","#)).collect();
            add_statement(
                state,
                &format!(
                    r#"{{"Effect":"Allow","Action":"s3:GetObject","Resource":[{allowed}"a"]}}"#
                ),
            );
            deny_resource(state, "demo-source", "arn:aws:s3:::demo-source/zz/*");
        },
        Unknown,
        NONE,
    ),
    (
        "encryption context in the policy of a key",
        |state| {
            guarded_key(
                state,
                SOURCE_KEY,
                r#"{"Effect":"Deny","Principal":"*","Action":"kms:Decrypt","Resource":"*","Condition":{"StringLike":{"kms:EncryptionContext:aws:s3:arn":"arn:aws:s3:::demo-source/secret/*"}}}"#,
            );
        },
        Fails,
        &[(KeyPolicyDenies, FailsForSome)],
    ),
    (
        "all objects but those of one prefix",
        |state| {
            bucket_policy(
                state,
                "demo-destination",
                r#"{"Effect":"Deny","Principal":"*","Action":"s3:Replicate*","NotResource":"arn:aws:s3:::demo-destination/public/*"}"#,
            );
        },
        Fails,
        &[(DestinationBucketPolicyDenies, FailsForSome)],
    ),
    (
        "two statements that allow all objects together",
        |state| {
            edit_policy(
                state,
                r#""Resource":"arn:aws:s3:::demo-source/*""#,
                r#""Resource":["arn:aws:s3:::demo-source/a*","arn:aws:s3:::demo-source/*"]"#,
            );
        },
        Works,
        NONE,
    ),
];

/// The verdict is about objects that are written now, and those in the sample that S3 still has to replicate.
const SAMPLES: &[Case] = &[
    (
        "failed object of another account",
        |state| {
            let bucket = state.bucket_mut("demo-source");
            bucket.ownership = ObjectOwnership::ObjectWriter;
            let failed =
                SampledObject { replication: Some(ReplicationStatus::Failed), ..object("b") };
            bucket.samples.push((OTHER_ACCOUNT.to_owned(), failed));
        },
        Fails,
        &[(ObjectsOwnedByOthers, FailsForSome), (ObjectsFailed, Note)],
    ),
    (
        "replicated object whose key is disabled",
        |state| {
            let other = "arn:aws:kms:us-east-1:111122223333:key/earlier";
            let mut key = super::key(other);
            key.state = KeyState::Disabled;
            state.keys.insert(other.to_owned(), key);
            sample(state, SampledObject { kms_key: Some(other.to_owned()), ..object("b") });
        },
        Works,
        &[(SourceKeyUnusable, Note), (SampledKeyNotGranted, Note)],
    ),
    (
        "object whose key is of another account, and cannot be read",
        |state| {
            let other = "arn:aws:kms:us-east-1:999988887777:key/theirs";
            add_statement(
                state,
                &format!(r#"{{"Effect":"Allow","Action":"kms:*","Resource":"{other}"}}"#),
            );
            sample(state, SampledObject { kms_key: Some(other.to_owned()), ..object("b") });
        },
        Works,
        NONE,
    ),
    (
        "object in two layers where the role may write one",
        |state| {
            edit_policy(state, r#","aws:kms:dsse""#, "");
            let replication = Some(ReplicationStatus::Pending);
            let dual_layer = true;
            sample(
                state,
                SampledObject { replication, dual_layer, last_modified: now(), ..object("b") },
            );
        },
        Fails,
        &[(ActionNotGranted, FailsForSome)],
    ),
];

/// A source whose default encryption is SSE-S3: KMS matters only for objects whose writers choose it.
const WITHOUT_KMS: &[Case] = &[
    ("nothing else", |_| {}, Works, NONE),
    (
        "policy demands replicas with KMS",
        |state| deny_algorithm(state, "StringNotEquals", "aws:kms"),
        Fails,
        &[(DestinationBucketPolicyDenies, FailsNow)],
    ),
    (
        "policy denies replicas with KMS",
        |state| deny_algorithm(state, "StringEquals", "aws:kms"),
        Works,
        NONE,
    ),
    (
        "policy denies replicas with KMS, and an object with KMS was replicated",
        |state| {
            sample(state, object("b"));
            deny_algorithm(state, "StringEquals", "aws:kms");
        },
        Works,
        &[(DestinationBucketPolicyDenies, Note)],
    ),
    (
        "policy denies replicas with KMS, and an object with KMS failed",
        |state| {
            let replication = Some(ReplicationStatus::Failed);
            sample(state, SampledObject { replication, ..object("b") });
            deny_algorithm(state, "StringEquals", "aws:kms");
        },
        Fails,
        &[(DestinationBucketPolicyDenies, FailsForSome), (ObjectsFailed, Note)],
    ),
    (
        "policy demands replicas with KMS, and the only object has KMS",
        |state| {
            sample(state, object("b"));
            deny_algorithm(state, "StringNotEquals", "aws:kms");
        },
        Fails,
        &[(DestinationBucketPolicyDenies, FailsNow)],
    ),
    (
        "replica key is disabled",
        |state| state.key_mut(REPLICA_KEY).state = KeyState::Disabled,
        Works,
        &[(ReplicaKeyUnusable, WillFail)],
    ),
    (
        "replica key is gone, and an object with KMS is pending",
        |state| {
            drop(state.keys.remove(REPLICA_KEY));
            let replication = Some(ReplicationStatus::Pending);
            sample(state, SampledObject { replication, last_modified: now(), ..object("b") });
        },
        Fails,
        &[(ReplicaKeyMissing, FailsForSome)],
    ),
    (
        "role has no right to the replica key",
        |state| edit_policy(state, REPLICA_KEY, "arn:aws:kms:us-west-2:111122223333:key/other"),
        Works,
        NONE,
    ),
];

/// Denies replicas by how they are encrypted.
fn deny_algorithm(state: &mut State, operator: &str, algorithm: &str) {
    bucket_policy(
        state,
        "demo-destination",
        &format!(
            r#"{{"Effect":"Deny","Principal":"*","Action":"s3:ReplicateObject","Resource":"arn:aws:s3:::demo-destination/*","Condition":{{"{operator}":{{"s3:x-amz-server-side-encryption":"{algorithm}"}}}}}}"#
        ),
    );
}

/// The keys that a service sends when it assumes a role. AWS does not document whether S3 sends them to replicate.
const TRUST: &[Case] = &[
    (
        "trust demands the source's account",
        |state| demand(state, r#"{"StringEquals":{"aws:SourceAccount":"111122223333"}}"#),
        Unknown,
        NONE,
    ),
    (
        "trust demands the source bucket",
        |state| demand(state, r#"{"ArnLike":{"aws:SourceArn":"arn:aws:s3:::demo-source"}}"#),
        Unknown,
        NONE,
    ),
    (
        "trust demands the source bucket, if the key is sent",
        |state| {
            demand(state, r#"{"ArnLikeIfExists":{"aws:SourceArn":"arn:aws:s3:::demo-source"}}"#)
        },
        Works,
        NONE,
    ),
    (
        "trust demands another bucket",
        |state| demand(state, r#"{"ArnLike":{"aws:SourceArn":"arn:aws:s3:::other"}}"#),
        Fails,
        &[(RoleNotTrusted, FailsNow)],
    ),
    (
        "trust demands another bucket, if the key is sent",
        |state| demand(state, r#"{"ArnLikeIfExists":{"aws:SourceArn":"arn:aws:s3:::other"}}"#),
        Unknown,
        NONE,
    ),
    (
        "trust demands the organization",
        |state| demand(state, r#"{"StringEquals":{"aws:SourceOrgID":"o-1"}}"#),
        Unknown,
        NONE,
    ),
];

/// Gives the trust policy a condition.
fn demand(state: &mut State, condition: &str) {
    let trust = &mut state.role_mut(OWN_ROLE_NAME).trust;
    let action = r#""Action":"sts:AssumeRole""#;
    assert!(trust.contains(action), "{trust}");
    *trust = trust.replace(action, &format!(r#"{action},"Condition":{condition}"#));
}

/// A destination in another account that shows nothing to the caller: the role's rights may depend on who owns it.
const UNREADABLE: &[Case] = &[
    ("nothing else", |_| {}, Unknown, NONE),
    (
        "rule does not name the account, and a policy does",
        |state| unname_account(state),
        Unknown,
        NONE,
    ),
    (
        "rule does not name the account, nor does a policy, and the role may not write",
        |state| {
            unname_account(state);
            edit_policy(state, r#""s3:ReplicateObject""#, r#""s3:PutObject""#);
        },
        Fails,
        &[(ActionNotGranted, FailsNow)],
    ),
    (
        "role may not override the owner, which may not be needed",
        |state| edit_policy(state, r#""s3:ObjectOwnerOverrideToBucketOwner","#, ""),
        Unknown,
        &[(ActionNotGranted, Note)],
    ),
    (
        "policy of the role is for another account than the rule names",
        |state| {
            edit_policy(
                state,
                r#""aws:ResourceAccount":"444455556666""#,
                r#""aws:ResourceAccount":"111122223333""#,
            );
        },
        Fails,
        &[(ActionNotGranted, FailsNow)],
    ),
];

/// Leaves the destination's account out of the rule.
fn unname_account(state: &mut State) {
    state.remove_element("demo-source", "AccessControlTranslation");
    state.remove_element("demo-source", "Account");
}

/// Everything that S3 calls, on everything.
const ALL_RIGHTS: &str =
    r#"{"Effect":"Allow","Action":["s3:Get*","s3:List*","s3:Replicate*","kms:*"],"Resource":"*"}"#;

/// Makes these statements the role's only policy, of a version of the policy language.
fn role_policy(state: &mut State, version: &str, statements: &str) {
    *inline_policy(state) = format!(r#"{{"Version":"{version}","Statement":[{statements}]}}"#);
}

/// Adds a statement to a role that has all rights.
fn with_rights(state: &mut State, statement: &str) {
    role_policy(state, "2012-10-17", &format!("{ALL_RIGHTS},{statement}"));
}

/// Gives the role, which has all rights, a permissions boundary of one statement.
fn boundary(state: &mut State, statement: &str) {
    role_policy(state, "2012-10-17", ALL_RIGHTS);
    let arn = "arn:aws:iam::111122223333:policy/boundary";
    state.role_mut(OWN_ROLE_NAME).boundary = Some(arn.to_owned());
    let document = format!(r#"{{"Version":"2012-10-17","Statement":{statement}}}"#);
    state.managed_policies.insert(arn.to_owned(), document);
}

/// `reference_policies_elements_notaction.html`, `…_notresource.html`, `…_version.html`, `…_condition_operators.html`, and
/// `access_policies_boundaries.html`.
const ROLE_POLICIES: &[Case] = &[
    ("all rights", |state| role_policy(state, "2012-10-17", ALL_RIGHTS), Works, NONE),
    (
        "rights in a managed policy",
        |state| {
            role_policy(state, "2012-10-17", "");
            let arn = "arn:aws:iam::111122223333:policy/rights".to_owned();
            state.managed_policies.insert(arn.clone(), format!(r#"{{"Statement":{ALL_RIGHTS}}}"#));
            state.role_mut(OWN_ROLE_NAME).attached.push(arn);
        },
        Works,
        NONE,
    ),
    (
        "boundary that allows all but IAM",
        |state| boundary(state, r#"{"Effect":"Allow","NotAction":"iam:*","Resource":"*"}"#),
        Works,
        NONE,
    ),
    (
        "boundary that allows all but deletes",
        |state| {
            boundary(
                state,
                r#"{"Effect":"Allow","NotAction":["s3:ReplicateObject","s3:Delete*"],"Resource":"*"}"#,
            );
        },
        Fails,
        &[(BoundaryDoesNotAllow, FailsNow)],
    ),
    (
        "Allow with NotResource",
        |state| {
            role_policy(
                state,
                "2012-10-17",
                r#"{"Effect":"Allow","Action":"*","NotResource":"arn:aws:s3:::other/*"}"#,
            );
        },
        Works,
        NONE,
    ),
    (
        "Deny with NotAction",
        |state| {
            with_rights(
                state,
                r#"{"Effect":"Deny","NotAction":["S3:*","kms:decrypt","kms:?ncrypt","kms:GenerateData*"],"Resource":"*"}"#,
            );
        },
        Works,
        NONE,
    ),
    (
        "variable of the account in a resource",
        |state| {
            edit_policy(state, SOURCE_KEY, &SOURCE_KEY.replace(ACCOUNT, "${aws:PrincipalAccount}"));
        },
        Works,
        NONE,
    ),
    (
        "variable in a policy of the old version",
        |state| {
            edit_policy(state, SOURCE_KEY, &SOURCE_KEY.replace(ACCOUNT, "${aws:PrincipalAccount}"));
            edit_policy(state, "2012-10-17", "2008-10-17");
        },
        Fails,
        &[(KeyNotGranted, FailsNow)],
    ),
    (
        "wildcard under an operator without wildcards",
        |state| {
            edit_policy(state, r#""kms:ViaService":"s3.us-east-1.amazonaws.com""#, r#""x":"*""#);
            edit_policy(
                state,
                r#""StringLike":{"#,
                r#""StringEquals":{"kms:ViaService":"s3.*.amazonaws.com"},"StringLike":{"#,
            );
            edit_policy(state, r#","x":"*""#, "");
        },
        Fails,
        &[(ViaServiceNotGranted, FailsNow), (ViaServiceNotGranted, FailsNow)],
    ),
    (
        "all keys of the encryption context are known",
        |state| {
            with_rights(
                state,
                r#"{"Effect":"Deny","Action":"kms:*","Resource":"*","Condition":{"ForAnyValue:StringNotEquals":{"kms:EncryptionContextKeys":"aws:s3:arn"}}}"#,
            );
        },
        Works,
        NONE,
    ),
    (
        "key that only services send",
        |state| {
            role_policy(
                state,
                "2012-10-17",
                r#"{"Effect":"Allow","Action":"kms:*","Resource":"*"},{"Effect":"Allow","Action":"s3:*","Resource":"*","Condition":{"StringEquals":{"aws:SourceAccount":"111122223333"}}}"#,
            );
        },
        Fails,
        &[(ActionNotGranted, FailsNow), (ActionNotGranted, FailsNow)],
    ),
    (
        "key that only services send, if it is there",
        |state| {
            role_policy(
                state,
                "2012-10-17",
                r#"{"Effect":"Allow","Action":["s3:*","kms:*"],"Resource":"*","Condition":{"StringEqualsIfExists":{"aws:SourceAccount":"444455556666"}}}"#,
            );
        },
        Works,
        NONE,
    ),
    (
        "key that is not known, for all values",
        |state| {
            role_policy(
                state,
                "2012-10-17",
                r#"{"Effect":"Allow","Action":["s3:*","kms:*"],"Resource":"*","Condition":{"ForAllValues:StringEquals":{"aws:TagKeys":"a"}}}"#,
            );
        },
        Unknown,
        NONE,
    ),
    (
        "Region of the call",
        |state| {
            with_rights(
                state,
                r#"{"Effect":"Deny","Action":"*","Resource":"*","Condition":{"StringNotEquals":{"aws:RequestedRegion":["us-east-1","us-west-2"]}}}"#,
            );
        },
        Unknown,
        NONE,
    ),
    (
        "unknown element",
        |state| {
            with_rights(state, r#"{"Effect":"Allow","Action":"*","Resource":"*","Except":"x"}"#)
        },
        Unknown,
        NONE,
    ),
];

/// `example-bucket-policies.html`, `reference_policies_elements_principal.html`, and `key-policy-default.html`.
const RESOURCE_POLICIES: &[Case] = &[
    (
        "denies without TLS",
        |state| {
            let statement = |bucket: &str| {
                format!(
                    r#"{{"Effect":"Deny","Principal":"*","Action":"s3:*","Resource":["arn:aws:s3:::{bucket}","arn:aws:s3:::{bucket}/*"],"Condition":{{"Bool":{{"aws:SecureTransport":"false"}}}}}}"#
                )
            };
            for bucket in ["demo-source", "demo-destination"] {
                bucket_policy(state, bucket, &statement(bucket));
            }
        },
        Works,
        NONE,
    ),
    (
        "denies PutObject without KMS",
        |state| {
            bucket_policy(
                state,
                "demo-destination",
                r#"{"Effect":"Deny","Principal":"*","Action":"s3:PutObject","Resource":"arn:aws:s3:::demo-destination/*","Condition":{"StringNotEquals":{"s3:x-amz-server-side-encryption":"aws:kms"}}}"#,
            );
        },
        Works,
        NONE,
    ),
    (
        "denies another replica key",
        |state| {
            bucket_policy(
                state,
                "demo-destination",
                r#"{"Effect":"Deny","Principal":"*","Action":"s3:*","Resource":"arn:aws:s3:::demo-destination/*","Condition":{"StringNotEqualsIfExists":{"s3:x-amz-server-side-encryption-aws-kms-key-id":"arn:aws:kms:us-west-2:111122223333:key/other"}}}"#,
            );
        },
        Fails,
        // With IfExists, `StringNotEquals` also holds for a call that has no such header.
        &[(DestinationBucketPolicyDenies, FailsNow)],
    ),
    (
        "denies what says another key",
        |state| {
            bucket_policy(
                state,
                "demo-destination",
                &format!(
                    r#"{{"Effect":"Deny","Principal":"*","Action":"s3:*","Resource":"arn:aws:s3:::demo-destination/*","Condition":{{"StringNotEquals":{{"s3:x-amz-server-side-encryption-aws-kms-key-id":"{REPLICA_KEY}"}},"Null":{{"s3:x-amz-server-side-encryption-aws-kms-key-id":"false"}}}}}}"#
                ),
            );
        },
        Works,
        NONE,
    ),
    (
        "denies what reads without a header of writes",
        |state| {
            bucket_policy(
                state,
                "demo-source",
                r#"{"Effect":"Deny","Principal":"*","Action":"s3:*","Resource":"arn:aws:s3:::demo-source/*","Condition":{"StringNotEquals":{"s3:x-amz-server-side-encryption":"aws:kms"}}}"#,
            );
        },
        Fails,
        &[(SourceBucketPolicyDenies, FailsNow)],
    ),
    (
        "denies the account",
        |state| {
            bucket_policy(
                state,
                "demo-source",
                r#"{"Effect":"Deny","Principal":{"AWS":"111122223333"},"Action":"s3:GetObject*","Resource":"arn:aws:s3:::demo-source/*"}"#,
            );
        },
        Fails,
        &[(SourceBucketPolicyDenies, FailsNow)],
    ),
    (
        "denies the service, which only assumes the role",
        |state| {
            bucket_policy(
                state,
                "demo-source",
                r#"{"Effect":"Deny","Principal":{"Service":"s3.amazonaws.com"},"Action":"s3:*","Resource":"arn:aws:s3:::demo-source/*"}"#,
            );
        },
        Works,
        NONE,
    ),
    (
        "denies all but services",
        |state| {
            bucket_policy(
                state,
                "demo-source",
                r#"{"Effect":"Deny","Principal":"*","Action":"s3:*","Resource":"arn:aws:s3:::demo-source/*","Condition":{"Bool":{"aws:PrincipalIsAWSService":"false"}}}"#,
            );
        },
        Fails,
        &[(SourceBucketPolicyDenies, FailsNow)],
    ),
    (
        "denies all but the unique id of a role",
        |state| {
            bucket_policy(
                state,
                "demo-source",
                r#"{"Effect":"Deny","Principal":"*","Action":"s3:*","Resource":"arn:aws:s3:::demo-source/*","Condition":{"StringNotLike":{"aws:userid":"AROAEXAMPLE:*"}}}"#,
            );
        },
        Unknown,
        NONE,
    ),
    (
        "denies buckets of other accounts",
        |state| {
            add_statement(
                state,
                r#"{"Effect":"Deny","Action":"s3:*","Resource":"*","Condition":{"StringNotEquals":{"s3:ResourceAccount":"111122223333"}}}"#,
            );
        },
        Works,
        NONE,
    ),
    (
        "bucket policy gives what the role lacks",
        |state| {
            edit_policy(state, "s3:GetObjectVersionForReplication", "s3:GetObject");
            bucket_policy(
                state,
                "demo-source",
                &format!(
                    r#"{{"Effect":"Allow","Principal":{{"AWS":"{OWN_ROLE}"}},"Action":"s3:GetObjectVersion*","Resource":"arn:aws:s3:::demo-source/*"}}"#
                ),
            );
        },
        Works,
        NONE,
    ),
    (
        "key policy gives what the role lacks",
        |state| {
            edit_policy(state, SOURCE_KEY, "arn:aws:kms:us-east-1:111122223333:key/other");
            key_policy(
                state,
                SOURCE_KEY,
                &format!(
                    r#"{{"Statement":{{"Effect":"Allow","Principal":{{"AWS":"{OWN_ROLE}"}},"Action":"kms:Decrypt","Resource":"*"}}}}"#
                ),
            );
        },
        Works,
        NONE,
    ),
    (
        "key policy for S3 of its Region and for callers of the account",
        |state| {
            key_policy(
                state,
                REPLICA_KEY,
                r#"{"Statement":{"Effect":"Allow","Principal":{"AWS":"*"},"Action":["kms:Encrypt","kms:Decrypt","kms:GenerateDataKey*"],"Resource":"*","Condition":{"StringEquals":{"kms:CallerAccount":"111122223333","kms:ViaService":"s3.us-west-2.amazonaws.com"}}}}"#,
            );
        },
        Works,
        NONE,
    ),
    (
        "key policy for another service",
        |state| {
            key_policy(
                state,
                REPLICA_KEY,
                r#"{"Statement":{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:root"},"Action":"kms:*","Resource":"*","Condition":{"StringEquals":{"kms:ViaService":"ebs.us-west-2.amazonaws.com"}}}}"#,
            );
        },
        Fails,
        &[(KeyPolicyDoesNotAllow, FailsNow)],
    ),
    (
        "key of several Regions, whose other half is granted",
        |state| {
            let key = "arn:aws:kms:us-west-2:111122223333:key/mrk-1234";
            state.keys.insert(key.to_owned(), super::key(key));
            state.edit_replication("demo-source", REPLICA_KEY, key);
            edit_policy(state, REPLICA_KEY, &key.replace("us-west-2", "us-east-1"));
        },
        Fails,
        &[(ActionNotGranted, FailsNow), (KeyNotGranted, FailsNow)],
    ),
];

#[tokio::test]
async fn policies_of_the_role_decide_as_aws_documents() {
    assert_verdicts(&working().await, ROLE_POLICIES, &Access::Own).await;
}

#[tokio::test]
async fn policies_of_buckets_and_keys_decide_as_aws_documents() {
    assert_verdicts(&working().await, RESOURCE_POLICIES, &Access::Own).await;
}

#[tokio::test]
async fn account_of_a_destination_that_cannot_be_read_is_not_guessed() {
    assert_verdicts(&working_abroad().await, UNREADABLE, &Access::Own).await;
}

#[tokio::test]
async fn objects_without_kms_need_no_key() {
    let mut state = working().await;
    let source = state.bucket_mut("demo-source");
    source.encryption = Encryption::S3;
    source.samples = vec![(ACCOUNT.to_owned(), SampledObject { kms_key: None, ..object("a") })];
    assert_verdicts(&state, WITHOUT_KMS, &Access::Own).await;
}

#[tokio::test]
async fn trust_policy_must_let_s3_in_with_and_without_the_keys_of_services() {
    assert_verdicts(&working().await, TRUST, &Access::Own).await;
}

#[tokio::test]
async fn rule_that_alone_selects_kms_objects_is_undecided_with_the_lower_priority() {
    let mut state = working().await;
    let rule = state.rules("demo-source")[0].xml().to_owned();
    let selection = "<SseKmsEncryptedObjects><Status>Enabled</Status></SseKmsEncryptedObjects>";
    assert!(rule.contains(selection), "{rule}");
    let other = rule
        .replace("<ID>theirs</ID>", "<ID>other</ID>")
        .replace("<Priority>1<", "<Priority>2<")
        .replace(selection, &selection.replace("Enabled", "Disabled"));
    state.edit_replication("demo-source", &rule, &format!("{rule}{other}"));
    let diagnosis = diagnosed(state, &Access::Own).await;
    let verdicts: Vec<_> = diagnosis.rules.iter().map(|rule| rule.verdict).collect();
    assert_eq!(verdicts, [Unknown, Unknown], "{}", diagnosis.text);
    let findings = diagnosis.rules.iter().flat_map(|rule| &rule.findings);
    let found: Vec<_> = findings.map(|finding| (finding.code, finding.severity)).collect();
    assert_eq!(found, [(RuleOverridden, Note)], "{}", diagnosis.text);
}

#[tokio::test]
async fn exception_by_not_principal_is_certain_only_as_aws_documents() {
    assert_verdicts(&working().await, NOT_PRINCIPAL, &Access::Own).await;
}

#[tokio::test]
async fn denial_for_some_objects_is_found_or_makes_the_verdict_unknown() {
    assert_verdicts(&working().await, SOME_OBJECTS, &Access::Own).await;
}

#[tokio::test]
async fn sampled_objects_count_by_what_has_become_of_them() {
    assert_verdicts(&working().await, SAMPLES, &Access::Own).await;
}
