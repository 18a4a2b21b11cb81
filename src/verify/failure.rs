//! Why the replication of a rule is not confirmed.
//!
//! It owns the texts of these reasons. It must not know how one is found.

use crate::model::{ApiError, OptionalRight, Retry};

/// Why the replication of a rule is not confirmed, as the rest of a sentence that begins with the canary's name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "each variant's message explains its fields")]
pub enum Failure {
    #[error("{0}")]
    Call(ApiError),

    #[error("S3 gives it no replication status: no rule of the bucket selects it")]
    NotSelected,

    #[error("it was removed before it was replicated")]
    Gone,

    #[error("its replication status is COMPLETED, and there is no replica")]
    NoReplica,

    #[error("the destination's object with its key is no replica")]
    NotAReplica,

    #[error("its replica is encrypted with {found}, not with the replica key `{expected}`")]
    WrongKey { expected: String, found: String },

    #[error("its replication status is FAILED: {0}")]
    NotReplicated(String),

    #[error("its replication status is still PENDING after {0} seconds")]
    StillPending(u64),
}

impl From<ApiError> for Failure {
    fn from(failure: ApiError) -> Self {
        Self::Call(failure.with_needed_right(Some(OptionalRight::Verify)))
    }
}

impl Failure {
    /// When a retry of the failed call can help; `None` if no call failed.
    pub fn retry(&self) -> Option<Retry> {
        match self {
            Self::Call(failure) => Some(failure.retry),
            Self::NotSelected
            | Self::Gone
            | Self::NoReplica
            | Self::NotAReplica
            | Self::WrongKey { .. }
            | Self::NotReplicated(_)
            | Self::StillPending(_) => None,
        }
    }
}
