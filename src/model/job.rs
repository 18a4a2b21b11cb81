//! S3 Batch Operations jobs.

use aws_sdk_s3control::types::JobStatus;

/// An S3 Batch Operations job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// What it is for: of ours, a rule among those of all buckets.
    pub description: String,
    /// Its state.
    pub status: JobStatus,
}

impl Job {
    /// Whether it has come to its end, whichever.
    pub fn has_ended(&self) -> bool {
        is_end(&self.status)
    }

    /// Whether it can be cancelled: it is not on its way to its end, either.
    pub fn can_be_cancelled(&self) -> bool {
        !self.has_ended()
            && !matches!(
                self.status,
                JobStatus::Cancelling | JobStatus::Completing | JobStatus::Failing
            )
    }
}

/// Whether a job does not come back from this state.
pub fn is_end(status: &JobStatus) -> bool {
    matches!(status, JobStatus::Cancelled | JobStatus::Complete | JobStatus::Failed)
}
