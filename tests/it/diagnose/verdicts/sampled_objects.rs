//! The verdict is about objects that are written now, and those in the sample that S3 still has to replicate.

use s3_kms_replication::model::ObjectOwnership;

use super::*;

#[tokio::test]
async fn sampled_objects_count_by_what_has_become_of_them() {
    let cases = [
        fails("failed object of another account", |state| {
            let bucket = state.bucket_mut("demo-source");
            bucket.ownership = ObjectOwnership::ObjectWriter;
            let failed = unreplicated(ReplicationStatus::Failed);
            bucket.samples.push((OTHER_ACCOUNT.to_owned(), failed));
        })
        .finding(ObjectsOwnedByOthers, FailsForSome)
        .finding(ObjectsFailed, Note),
        works("replicated object whose key is disabled", |state| {
            let other = "arn:aws:kms:us-east-1:111122223333:key/earlier";
            let mut key = key(other);
            key.state = KeyState::Disabled;
            state.keys.insert(other.to_owned(), key);
            sample(state, SampledObject { kms_key: Some(other.to_owned()), ..object("b") });
        })
        .finding(SourceKeyUnusable, Note)
        .finding(SampledKeyNotGranted, Note),
        works("object whose key is of another account, and cannot be read", |state| {
            let other = "arn:aws:kms:us-east-1:999988887777:key/theirs";
            add_statement(state, &allow(json!({"Action": "kms:*", "Resource": other})));
            sample(state, SampledObject { kms_key: Some(other.to_owned()), ..object("b") });
        }),
        fails("object in two layers where the role may write one", |state| {
            edit_policy(state, r#","aws:kms:dsse""#, "");
            let pending = unreplicated(ReplicationStatus::Pending);
            sample(state, SampledObject { dual_layer: true, last_modified: now(), ..pending });
        })
        .finding(ActionNotGranted, FailsForSome),
    ];
    assert_cases(&working().await, cases, &Access::Own).await;
}
