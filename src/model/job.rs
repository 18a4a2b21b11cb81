//! S3 Batch Operations jobs.

use aws_sdk_s3control::types::JobStatus;

/// An S3 Batch Operations job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// Its description. Jobs of this program have the text of a [`RuleAddress`](super::RuleAddress).
    pub description: String,
    /// Its state.
    pub status: JobStatus,
}

impl Job {
    /// Whether the job has ended: completed, failed or cancelled.
    pub fn has_ended(&self) -> bool {
        is_final(&self.status)
    }

    /// Whether the job can be cancelled: it has not ended and is not about to end.
    pub fn can_be_cancelled(&self) -> bool {
        !self.has_ended()
            && !matches!(
                self.status,
                JobStatus::Cancelling | JobStatus::Completing | JobStatus::Failing
            )
    }
}

/// Whether a job stays in this state.
pub fn is_final(status: &JobStatus) -> bool {
    matches!(status, JobStatus::Cancelled | JobStatus::Complete | JobStatus::Failed)
}
