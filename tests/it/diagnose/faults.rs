//! Every fault that a bucket and a role of one account can have, put one at a time into a setup that works.

mod buckets;
mod encryption_context;
mod keys;
mod objects;
mod role;
mod rule;

use aws_sdk_kms::types::KeyState;
use s3_kms_replication::diagnose::Code::*;
use s3_kms_replication::diagnose::Severity::*;
use s3_kms_replication::model::{Encryption, ObjectOwnership, ReplicationMetrics, Versioning};

use super::*;

pub fn bucket_key(state: &mut State, bucket: &str, key: &str) {
    state.bucket_mut(bucket).encryption = Encryption::with_bucket_key(key);
}

/// Adds an object to the sample of the source.
fn sample(state: &mut State, object: SampledObject) {
    state.bucket_mut("demo-source").samples.push((ACCOUNT.to_owned(), object));
}

/// An object that S3 is to replicate.
fn pending() -> SampledObject {
    SampledObject { last_modified: now(), ..with_status(ReplicationStatus::Pending) }
}

/// An old object with this status.
fn with_status(status: ReplicationStatus) -> SampledObject {
    SampledObject { replication: Some(status), ..object("b") }
}

#[tokio::test]
async fn invariant_10_every_fault_in_a_working_setup_is_found_alone() {
    let working = working().await;
    assert_works(&diagnosed(working.clone(), &Access::Own).await);
    let faults = rule::faults()
        .into_iter()
        .chain(buckets::faults())
        .chain(role::faults())
        .chain(encryption_context::faults())
        .chain(keys::faults())
        .chain(objects::faults());
    let faults = faults.inspect(|fault| assert_eq!(fault.findings.len(), 1));
    let found = assert_cases(&working, faults, &Access::Own).await;
    insta::assert_snapshot!(found.text());
}
