//! The destination of a rule, as its configuration names it.
//!
//! It must not know whether the destination exists.

use crate::model::{BucketName, ReplicationRule};
use crate::plan::Refusal;

/// The destination bucket of a rule, and the key that encrypts its replicas.
///
/// # Errors
/// A [`Refusal`] if the rule names no valid bucket.
pub fn destination(rule: &ReplicationRule) -> Result<(BucketName, Option<&str>), Refusal> {
    let bucket = rule
        .destination_bucket()
        .ok_or_else(|| Refusal::IncompleteRule("`Destination`".to_owned()))?;
    match BucketName::parse_name_or_arn(bucket) {
        Ok(bucket) => Ok((bucket, rule.replica_kms_key_id())),
        Err(problem) => {
            Err(Refusal::IncompleteRule(format!("a `Destination` whose `Bucket` {problem}")))
        }
    }
}
