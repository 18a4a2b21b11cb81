//! A source whose default encryption is SSE-S3: KMS matters only for objects whose writers choose it.

use super::*;

/// Denies replicas by how they are encrypted.
fn deny_replicas(state: &mut State, operator: &str, algorithm: &str) {
    let condition = json!({operator: {"s3:x-amz-server-side-encryption": algorithm}});
    destination_denies(state, json!({"Action": "s3:ReplicateObject", "Condition": condition}));
}

fn demand_kms(state: &mut State) {
    deny_replicas(state, "StringNotEquals", "aws:kms");
}

fn deny_kms(state: &mut State) {
    deny_replicas(state, "StringEquals", "aws:kms");
}

#[tokio::test]
async fn objects_without_kms_need_no_key() {
    let mut state = working().await;
    let source = state.bucket_mut("demo-source");
    source.encryption = Encryption::S3;
    source.samples = vec![(ACCOUNT.to_owned(), SampledObject { kms_key: None, ..object("a") })];
    assert_works(&diagnosed(state.clone(), &Access::Own).await);
    let cases = [
        fails("policy demands replicas with KMS", demand_kms)
            .finding(DestinationBucketPolicyDenies, FailsNow),
        works("policy denies replicas with KMS", deny_kms),
        works("policy denies replicas with KMS, and an object with KMS was replicated", |state| {
            sample(state, object("b"));
            deny_kms(state);
        })
        .finding(DestinationBucketPolicyDenies, Note),
        fails("policy denies replicas with KMS, and an object with KMS failed", |state| {
            sample(state, unreplicated(ReplicationStatus::Failed));
            deny_kms(state);
        })
        .finding(DestinationBucketPolicyDenies, FailsForSome)
        .finding(ObjectsFailed, Note),
        fails("policy demands replicas with KMS, and the only object has KMS", |state| {
            sample(state, object("b"));
            demand_kms(state);
        })
        .finding(DestinationBucketPolicyDenies, FailsNow),
        works("replica key is disabled", |state| {
            state.key_mut(REPLICA_KEY).state = KeyState::Disabled;
        })
        .finding(ReplicaKeyUnusable, WillFail),
        fails("replica key is gone, and an object with KMS is pending", |state| {
            drop(state.keys.remove(REPLICA_KEY));
            let pending = unreplicated(ReplicationStatus::Pending);
            sample(state, SampledObject { last_modified: now(), ..pending });
        })
        .finding(ReplicaKeyMissing, FailsForSome),
        works("role has no right to the replica key", |state| {
            edit_policy(state, REPLICA_KEY, "arn:aws:kms:us-west-2:111122223333:key/other");
        }),
    ];
    assert_cases(&state, cases, &Access::Own).await;
}
