//! Faults of sampled objects.

use super::*;

/// Encrypts the object with another key than the bucket's default.
fn with_other_key(state: &mut State, object: SampledObject) {
    let other = "arn:aws:kms:us-east-1:111122223333:key/earlier";
    state.keys.insert(other.to_owned(), key(other));
    sample(state, SampledObject { kms_key: Some(other.to_owned()), ..object });
}

pub fn faults() -> Vec<Case> {
    vec![
        fails("object that is being replicated has another key", |state| {
            with_other_key(state, pending());
        })
        .finding(SampledKeyNotGranted, FailsForSome),
        works("object that was replicated has another key", |state| {
            with_other_key(state, object("b"));
        })
        .finding(SampledKeyNotGranted, Note),
        works("object that was replicated belongs to another account", |state| {
            let bucket = state.bucket_mut("demo-source");
            bucket.ownership = ObjectOwnership::ObjectWriter;
            bucket.samples.push((OTHER_ACCOUNT.to_owned(), object("b")));
        })
        .finding(ObjectsOwnedByOthers, Note),
        works("object is a replica", |state| {
            sample(state, with_status(ReplicationStatus::Replica))
        })
        .finding(ReplicasNotReplicated, Note),
        works("object is archived", |state| {
            let storage_class = "DEEP_ARCHIVE".to_owned();
            sample(state, SampledObject { storage_class, ..pending() });
        })
        .finding(ObjectsArchived, Note),
        works("object is older than the rule", |state| {
            sample(state, SampledObject { replication: None, ..object("b") });
        })
        .finding(ObjectsNeverSelected, Note),
        works("object failed long ago", |state| {
            sample(state, with_status(ReplicationStatus::Failed));
        })
        .finding(ObjectsFailed, Note),
        works("object is pending for long", |state| {
            sample(state, with_status(ReplicationStatus::Pending));
        })
        .finding(ObjectsPending, Note),
    ]
}
