//! Failed calls of the AWS API.

use super::OptionalRight;

/// When a retry of a failed call can help.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// Soon: an earlier write is not visible everywhere yet, or another writer is active.
    Soon,
    /// After a new snapshot and a new plan: the state is not what the snapshot shows.
    Replan,
    /// In the next invocation: AWS throttles or is unavailable, and the SDK has used up its retries.
    NextInvocation,
    /// Never, unless the request or the rights change.
    Never,
}

/// A failed call: the operation, its resource, and AWS's own code and message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{operation} on {resource}: {code}: {message}{}", .missing_right.map(|right| format!("; the template's parameter `{}` gives this right", right.parameter())).unwrap_or_default())]
pub struct ApiError {
    /// The API's operation, such as `PutBucketReplication`.
    pub operation: &'static str,
    /// The resource, such as ``bucket `demo` ``.
    pub resource: String,
    /// AWS's error code; a code of this program when AWS did not answer.
    pub code: String,
    /// AWS's message.
    pub message: String,
    /// The right that the caller lacks, if it is one that a deployment may leave out.
    pub missing_right: Option<OptionalRight>,
    /// When a retry can help.
    pub retry: Retry,
}

impl ApiError {
    /// Adds the right that the call needs, if it was denied.
    #[must_use]
    pub fn with_needed_right(self, right: Option<OptionalRight>) -> Self {
        let missing_right = self.missing_right.or(right.filter(|_| self.is_denied()));
        Self { missing_right, ..self }
    }

    /// Whether the call ended without AWS's answer, so that a write may still take effect.
    pub fn is_unanswered(&self) -> bool {
        matches!(self.code.as_str(), "TimedOut" | "Unreachable" | "UnreadableAnswer")
    }

    /// Whether AWS denied access. The state of the resource is then unknown.
    pub fn is_denied(&self) -> bool {
        // The answer to a HEAD request has no error code.
        matches!(self.code.as_str(), "AccessDenied" | "AccessDeniedException" | "HTTP 403")
    }

    /// Whether S3 answers that there is no such bucket.
    pub fn is_missing_bucket(&self) -> bool {
        matches!(self.code.as_str(), "NoSuchBucket" | "HTTP 404")
    }
}
