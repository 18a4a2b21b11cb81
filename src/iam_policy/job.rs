//! The grants of a job for existing objects, beside those of its rule.
//!
//! It must not know when a rule has a job.

use super::RolePolicyDocument;
use super::key_pattern::key_pattern;
use super::sid::{JOB_MANIFEST, JOB_OBJECTS, JOB_REPORT};
use super::statement::allow;
use crate::model::{BucketName, Partition};
use crate::spec::Report;

/// The inline policy that a job for existing objects needs in addition to the rule's inline policy.
///
/// Follows <https://docs.aws.amazon.com/AmazonS3/latest/userguide/s3-batch-replication-policies.html>, for a manifest that S3 generates and
/// does not store. No key is granted, since S3 encrypts reports with SSE-S3 whatever the bucket's default encryption is.
pub fn job_document(
    partition: Partition,
    source: &BucketName,
    prefix: &str,
    report: &Report,
) -> RolePolicyDocument {
    let (bucket, report_bucket) = (source.arn(partition), report.bucket.arn(partition));
    let report_directory = if report.prefix.is_empty() {
        "job-".to_owned()
    } else {
        format!("{}/job-", report.prefix)
    };
    RolePolicyDocument::new(vec![
        allow(
            JOB_OBJECTS,
            ["s3:InitiateReplication"],
            [format!("{bucket}/{}", key_pattern(prefix))],
        ),
        allow(
            JOB_MANIFEST,
            ["s3:GetReplicationConfiguration", "s3:PutInventoryConfiguration"],
            [bucket],
        ),
        allow(
            JOB_REPORT,
            ["s3:PutObject"],
            [format!("{report_bucket}/{}", key_pattern(&report_directory))],
        ),
    ])
}
