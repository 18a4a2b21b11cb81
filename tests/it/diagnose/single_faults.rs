//! Faults that need a setup of their own, or whose verdict is not the one of their severity.

use s3_kms_replication::diagnose::Code::*;
use s3_kms_replication::diagnose::Severity::*;
use s3_kms_replication::model::{Encryption, KeyGrant, ReplicationMetrics};

use super::faults::bucket_key;
use super::*;

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
        let condition = json!({"StringNotEquals": {key: "any"}});
        destination_denies(&mut state, json!({"Condition": condition}));
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
        let condition = json!({"Bool": {"aws:ViaAWSService": via}});
        key_denies_decryption(&mut state, SOURCE_KEY, condition);
        let diagnosis = diagnosed(state, &Access::Own).await;
        assert_eq!(diagnosis.verdict, Some(Verdict::Unknown), "{via}: {}", diagnosis.text);
    }
}
