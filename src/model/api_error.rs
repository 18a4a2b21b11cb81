//! Failed calls of the AWS API.

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
#[error("{operation} on {resource}: {code}: {message}{}", .parameter.map(|name| format!("; the template's parameter `{name}` gives this right")).unwrap_or_default())]
pub struct ApiError {
    /// The API's operation, such as `PutBucketReplication`.
    pub operation: &'static str,
    /// The resource, such as ``bucket `demo` ``.
    pub resource: String,
    /// AWS's error code; a code of this program when AWS did not answer.
    pub code: String,
    /// AWS's message.
    pub message: String,
    /// The template's parameter that gives the missing right, if there is one.
    pub parameter: Option<&'static str>,
    /// When a retry can help.
    pub retry: Retry,
}

impl ApiError {
    /// Adds the template's parameter that gives the missing right, if the call was denied.
    #[must_use]
    pub fn with_parameter(self, parameter: Option<&'static str>) -> Self {
        Self { parameter: self.parameter.or(parameter.filter(|_| self.is_denied())), ..self }
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
}
