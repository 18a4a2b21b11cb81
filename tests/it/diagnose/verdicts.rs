//! Setups in which a verdict is easily wrong, with the verdict that AWS's documents give.

mod bucket_policies;
mod key_policies;
mod not_principal;
mod role_policies;
mod sampled_objects;
mod some_objects;
mod source_without_kms;
mod trust;
mod unreadable_destination;

use aws_sdk_kms::types::KeyState;
use s3_kms_replication::diagnose::Code::*;
use s3_kms_replication::diagnose::Severity::*;
use s3_kms_replication::model::Encryption;

use super::*;

/// Adds an object to the sample of the source.
fn sample(state: &mut State, object: SampledObject) {
    state.bucket_mut("demo-source").samples.push((ACCOUNT.to_owned(), object));
}

/// An object that S3 is to replicate, or could not.
fn unreplicated(status: ReplicationStatus) -> SampledObject {
    SampledObject { replication: Some(status), ..object("b") }
}
