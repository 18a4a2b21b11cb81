//! The engine's errors: why a request about a rule failed.
//!
//! It must not know how a request arrived or how its error is answered.

use crate::model::{ApiError, BucketName, Retry};
use crate::plan::Refusal;
use crate::spec::Invalid;
use crate::verify::Failure;

/// Why a request about a rule failed. No message contains a secret, so each can be shown to the caller.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A value of the request is invalid.
    #[error(transparent)]
    Invalid(#[from] Invalid),

    /// The state of AWS forbids the change. This attempt changed nothing.
    #[error(transparent)]
    Refused(#[from] Refusal),

    /// A call failed outside a plan: a read, or the acquisition of the lease. This attempt changed nothing.
    #[error(transparent)]
    Read(#[from] ApiError),

    /// A call failed while a plan was applied. Repeating the request completes the rest.
    #[error("{failure}; done before: {}; not done: {}", list(.done), list(.not_done))]
    Apply {
        /// The failed call.
        failure: Box<ApiError>,
        /// The actions that were done.
        done: Vec<String>,
        /// The actions that were not done, the failed one among them.
        not_done: Vec<String>,
    },

    /// The deadline passed while AWS's state was read. This attempt changed nothing.
    #[error("ran out of time while AWS's state was read")]
    ReadOutOfTime,

    /// The deadline passed while a plan was applied.
    #[error("ran out of time; done: {}; not done: {}", list(.done), list(.not_done))]
    OutOfTime {
        /// The actions that were done.
        done: Vec<String>,
        /// The actions that may not have been done.
        not_done: Vec<String>,
    },

    /// Another holder did not release the lease before the deadline.
    #[error("waited for another writer of `{0}` until the time ran out")]
    Busy(String),

    /// S3 denies that a bucket exists of which a recent event or another answer tells.
    #[error("bucket `{0}` is not visible yet; repeat the request later")]
    NotVisible(BucketName),

    /// A later request about the same custom resource has superseded this one.
    #[error("custom resource `{0}` has had a later request than this one")]
    Superseded(String),

    /// The request failed after an earlier step of it had changed something: an attempt that started over, or the apply before a Verify.
    #[error("{error}; done before: {}", list(.done))]
    Interrupted {
        /// Why the last step failed.
        error: Box<Error>,
        /// The actions that earlier steps had done.
        done: Vec<String>,
    },

    /// Verify could not confirm that the rule replicates.
    #[error("verification of rule `{rule}` failed with canary `{canary}`: {failure}")]
    Unverified {
        /// The rule, as `<source bucket>/<rule id>`.
        rule: String,
        /// The canary's key.
        canary: String,
        /// What happened to the canary.
        failure: Box<Failure>,
    },

    /// The canary is not replicated yet, and repeating the request resumes the verification.
    #[error(
        "verification of rule `{rule}` has not ended: its canary `{canary}` is still PENDING; repeat the request to continue with it"
    )]
    VerifyPending {
        /// The rule, as `<source bucket>/<rule id>`.
        rule: String,
        /// The canary's key.
        canary: String,
    },

    /// The request needs a replication policy, and none is configured.
    #[error(
        "no replication policy is configured; set the template's `ReplicationPolicy` or `ReplicationPolicyParameter`"
    )]
    NoPolicy,
}

impl Error {
    /// Whether the same request may succeed later without any change by a person.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::ReadOutOfTime
            | Self::OutOfTime { .. }
            | Self::Busy(_)
            | Self::NotVisible(_)
            | Self::VerifyPending { .. } => true,
            Self::Interrupted { error, .. } => error.is_transient(),
            _ => self.retry().is_some_and(|retry| retry != Retry::Never),
        }
    }

    /// Whether the account has no room for another role.
    pub fn lacks_role(&self) -> bool {
        match self {
            Self::Apply { failure, .. } => {
                failure.operation == "CreateRole" && failure.code == "LimitExceeded"
            }
            Self::Interrupted { error, .. } => error.lacks_role(),
            _ => false,
        }
    }

    /// Whether the request was refused, rather than failed in a call.
    pub fn is_refusal(&self) -> bool {
        match self {
            Self::Invalid(_) | Self::Refused(_) | Self::NoPolicy | Self::Superseded(_) => true,
            Self::Interrupted { error, .. } => error.is_refusal(),
            _ => false,
        }
    }

    /// Whether certainly nothing was changed.
    pub fn changed_nothing(&self) -> bool {
        matches!(
            self,
            Self::NoPolicy
                | Self::Invalid(_)
                | Self::Refused(_)
                | Self::Read(_)
                | Self::ReadOutOfTime
                | Self::Busy(_)
                | Self::NotVisible(_)
                | Self::Superseded(_)
        )
    }

    /// Whether a write may still take effect.
    pub fn is_uncertain(&self) -> bool {
        match self {
            Self::OutOfTime { .. } => true,
            Self::Apply { failure, .. } => failure.is_unanswered(),
            Self::Interrupted { error, .. } => error.is_uncertain(),
            _ => false,
        }
    }

    /// When a retry of the failed call can help; `None` when no call failed.
    pub fn retry(&self) -> Option<Retry> {
        match self {
            Self::Read(failure) => Some(failure.retry),
            Self::Apply { failure, .. } => Some(failure.retry),
            Self::Interrupted { error, .. } => error.retry(),
            Self::Unverified { failure, .. } => failure.retry(),
            _ => None,
        }
    }

    /// The failed call; `None` when no call failed.
    pub fn failure_mut(&mut self) -> Option<&mut ApiError> {
        match self {
            Self::Read(failure) => Some(failure),
            Self::Apply { failure, .. } => Some(failure),
            Self::Interrupted { error, .. } => error.failure_mut(),
            Self::Unverified { failure, .. } => match &mut **failure {
                Failure::Call(failure) => Some(failure),
                _ => None,
            },
            _ => None,
        }
    }

    /// The error's type for Lambda. Step Functions decides by it whether to retry.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Invalid(_) | Self::NoPolicy => "InvalidRequest",
            Self::Refused(_) => "Refused",
            Self::Read(_) | Self::Apply { .. } => "CallFailed",
            Self::Superseded(_) => "Superseded",
            Self::ReadOutOfTime | Self::OutOfTime { .. } | Self::Busy(_) | Self::NotVisible(_) => {
                "OutOfTime"
            }
            Self::Interrupted { error, .. } => error.kind(),
            Self::Unverified { failure, .. } if failure.retry().is_some() => "CallFailed",
            Self::Unverified { .. } => "VerifyFailed",
            Self::VerifyPending { .. } => "VerifyPending",
        }
    }
}

/// Joins actions to text.
fn list(actions: &[String]) -> String {
    if actions.is_empty() { "nothing".to_owned() } else { actions.join(", ") }
}
