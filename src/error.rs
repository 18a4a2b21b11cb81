//! The one error type of the pipeline.

use crate::cloud::{CloudError, Remedy};
use crate::plan::Refusal;
use crate::spec::Invalid;
use crate::verify::Failure;

/// Why a request was not carried out. Each message can be shown to whoever asked: none holds a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A value that cannot be accepted.
    #[error(transparent)]
    Invalid(#[from] Invalid),

    /// Something is wrong in AWS that this program may not or cannot mend; nothing was changed.
    #[error(transparent)]
    Refused(#[from] Refusal),

    /// A call failed before anything was changed.
    #[error(transparent)]
    Observe(#[from] CloudError),

    /// A call failed on the way; the same request finishes the rest.
    #[error("{failure}; done before: {}; not done: {}", listed(.done), listed(.left))]
    Apply {
        /// The call that failed.
        failure: Box<CloudError>,
        /// The steps that had been done.
        done: Vec<String>,
        /// The steps that had not, the failed one among them.
        left: Vec<String>,
    },

    /// The time ran out.
    #[error("ran out of time; done: {}; not done: {}", listed(.done), listed(.left))]
    OutOfTime {
        /// The steps that had been done.
        done: Vec<String>,
        /// The steps that may not have been.
        left: Vec<String>,
    },

    /// Another writer of a bucket's replication configuration, or of an account's policies, did not end in time.
    #[error("waited for another writer of `{0}` until the time ran out")]
    Busy(String),

    /// The request came so late, or came again, that a later one about the same custom resource has been dealt with already.
    #[error("custom resource `{0}` has had a later request than this one")]
    Overtaken(String),

    /// The state turned out to be another than was observed, and then this came up.
    #[error("{error}; done before: {}", listed(.done))]
    Interrupted {
        /// What came up.
        error: Box<Error>,
        /// The steps that had been done before.
        done: Vec<String>,
    },

    /// A rule is not known to replicate.
    #[error("`Verify` of rule `{rule}` with canary `{canary}`: {failure}")]
    Unverified {
        /// The rule, among those of all buckets.
        rule: String,
        /// The canary's key.
        canary: String,
        /// What became of it.
        failure: Box<Failure>,
    },

    /// Whether a rule replicates is not known yet.
    #[error("`Verify` of rule `{rule}`: its canary `{canary}` is still PENDING, and stays for the same request to go on with")]
    VerifyPending {
        /// The rule, among those of all buckets.
        rule: String,
        /// The canary's key.
        canary: String,
    },

    /// A policy is needed and none is configured.
    #[error("no replication policy is configured; set the template's `ReplicationPolicy` or `ReplicationPolicyParameter`")]
    NoPolicy,

    /// A payload that is none of those that are known.
    #[error("the payload {0}")]
    UnknownPayload(String),

    /// A `ResponseURL` that is not CloudFormation's. The URL is a credential and is not shown.
    #[error("`ResponseURL` is missing or not of a host of CloudFormation; it is not answered")]
    ForeignResponseUrl,

    /// CloudFormation could not be told how the request ended.
    #[error("CloudFormation could not be answered: {0}")]
    Unanswered(String),

    /// The code failed where it never should.
    #[error("internal error: {0}")]
    Internal(String),
}

impl Error {
    /// Whether the same request may succeed later, with nothing changed by anybody.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::OutOfTime { .. } | Self::Busy(_) | Self::Unanswered(_) | Self::VerifyPending { .. } => true,
            Self::Interrupted { error, .. } => error.is_transient(),
            _ => self.remedy().is_some_and(|remedy| remedy != Remedy::None),
        }
    }

    /// Whether it is what was asked for that stands against it, rather than anything that failed.
    pub fn is_refusal(&self) -> bool {
        match self {
            Self::Invalid(_) | Self::Refused(_) | Self::NoPolicy | Self::UnknownPayload(_) | Self::Overtaken(_) => true,
            Self::Interrupted { error, .. } => error.is_refusal(),
            _ => false,
        }
    }

    /// Whether it is certain that nothing was changed.
    pub fn changed_nothing(&self) -> bool {
        matches!(self, Self::Invalid(_) | Self::Refused(_) | Self::Observe(_) | Self::Busy(_) | Self::Overtaken(_))
    }

    /// Whether a call may still be on its way.
    pub fn is_uncertain(&self) -> bool {
        matches!(self, Self::OutOfTime { .. }) || self.remedy() == Some(Remedy::Later)
    }

    /// What helps against the failed call, when it was one.
    pub fn remedy(&self) -> Option<Remedy> {
        match self {
            Self::Observe(failure) => Some(failure.remedy),
            Self::Apply { failure, .. } => Some(failure.remedy),
            Self::Interrupted { error, .. } => error.remedy(),
            Self::Unverified { failure, .. } => failure.remedy(),
            _ => None,
        }
    }

    /// The failed call, when it was one.
    pub fn failure_mut(&mut self) -> Option<&mut CloudError> {
        match self {
            Self::Observe(failure) => Some(failure),
            Self::Apply { failure, .. } => Some(failure),
            Self::Interrupted { error, .. } => error.failure_mut(),
            Self::Unverified { failure, .. } => match &mut **failure {
                Failure::Call(failure) => Some(failure),
                _ => None,
            },
            _ => None,
        }
    }

    /// The error's type for Lambda, by which Step Functions can tell errors apart.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Invalid(_) | Self::UnknownPayload(_) | Self::ForeignResponseUrl | Self::NoPolicy => "InvalidRequest",
            Self::Refused(_) => "Refused",
            Self::Observe(_) | Self::Apply { .. } => "CallFailed",
            Self::Overtaken(_) => "Overtaken",
            Self::OutOfTime { .. } | Self::Busy(_) => "OutOfTime",
            Self::Interrupted { error, .. } => error.kind(),
            Self::Unverified { failure, .. } if failure.remedy().is_some() => "CallFailed",
            Self::Unverified { .. } => "VerifyFailed",
            Self::VerifyPending { .. } => "VerifyPending",
            Self::Unanswered(_) => "Unanswered",
            Self::Internal(_) => "InternalError",
        }
    }
}

/// Steps as text.
fn listed(steps: &[String]) -> String {
    if steps.is_empty() { "nothing".to_owned() } else { steps.join(", ") }
}
