//! Faults of the two buckets and of their policies.

use super::*;

/// Changes of a Deny: it is for these actions, on the bucket and on these of its objects.
fn denial(bucket: &str, action: &str, objects: &str) -> Value {
    let bucket = format!("arn:aws:s3:::{bucket}");
    json!({"Action": action, "Resource": [bucket, format!("{bucket}/{objects}")]})
}

pub fn faults() -> Vec<Case> {
    vec![
        fails("source is not versioned", |state| {
            state.bucket_mut("demo-source").versioning = Versioning::Suspended;
        })
        .finding(SourceNotVersioned, FailsNow),
        fails("destination is not versioned", |state| {
            state.bucket_mut("demo-destination").versioning = Versioning::Suspended;
        })
        .finding(DestinationNotVersioned, FailsNow),
        fails("destination is gone", |state| drop(state.buckets.remove("demo-destination")))
            .finding(DestinationMissing, FailsNow),
        fails("policy of the source denies", |state| {
            source_denies(state, denial("demo-source", "s3:GetObject*", "*"));
        })
        .finding(SourceBucketPolicyDenies, FailsNow),
        fails("policy of the source denies for one prefix", |state| {
            source_denies(state, denial("demo-source", "s3:GetObject*", "secret/*"));
        })
        .finding(SourceBucketPolicyDenies, FailsForSome),
        fails("policy of the destination denies", |state| {
            destination_denies(state, denial("demo-destination", "s3:*", "*"));
        })
        .finding(DestinationBucketPolicyDenies, FailsNow),
        works("objects may belong to other accounts", |state| {
            state.bucket_mut("demo-source").ownership = ObjectOwnership::BucketOwnerPreferred;
        })
        .finding(ObjectsOwnedByOthers, WillFail),
        works("destination replicates by rules of its own", |state| {
            let rules = vec![Rule::new("further", 1).build()];
            let bucket = state.buckets.remove("demo-destination").unwrap();
            let replicating = bucket.replicating(FOREIGN_ROLE, rules);
            state.buckets.insert("demo-destination".to_owned(), replicating);
        })
        .finding(ReplicasNotReplicated, Note),
        works("destination is behind", |state| {
            let behind = ReplicationMetrics { failed: 0.0, pending: 7.0, latency: 7_200.0 };
            state.metrics.insert("theirs".to_owned(), behind);
        })
        .finding(ObjectsPending, Note),
    ]
}
