//! Joins the errors of the layers.

use crate::model::ApiError;
use crate::spec::Invalid;
use crate::{reconcile, request};

/// Why an invocation failed. Each message can be shown to whoever asked: none holds a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The payload could not be read.
    #[error(transparent)]
    Request(#[from] request::Error),

    /// The request was not carried out.
    #[error(transparent)]
    Reconcile(#[from] reconcile::Error),

    /// CloudFormation could not be answered.
    #[error("CloudFormation could not be answered: {0}")]
    Unanswered(String),

    /// The program has a fault.
    #[error("internal error: {0}")]
    Internal(String),
}

impl Error {
    /// Whether the same request may succeed later although nobody changes anything.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unanswered(_) => true,
            Self::Reconcile(error) => error.is_transient(),
            Self::Request(_) | Self::Internal(_) => false,
        }
    }

    /// Whether the request itself is at fault, rather than a call that failed.
    pub fn is_refusal(&self) -> bool {
        match self {
            Self::Request(request::Error::Invalid(_) | request::Error::UnknownPayload(_)) => true,
            Self::Reconcile(error) => error.is_refusal(),
            Self::Request(request::Error::ForeignResponseUrl)
            | Self::Unanswered(_)
            | Self::Internal(_) => false,
        }
    }

    /// Whether a value that was given cannot be accepted.
    pub fn is_invalid(&self) -> bool {
        matches!(
            self,
            Self::Request(request::Error::Invalid(_))
                | Self::Reconcile(reconcile::Error::Invalid(_))
        )
    }

    /// Whether it is certain that nothing was changed.
    pub fn changed_nothing(&self) -> bool {
        match self {
            Self::Request(request::Error::Invalid(_)) => true,
            Self::Reconcile(error) => error.changed_nothing(),
            Self::Request(_) | Self::Unanswered(_) | Self::Internal(_) => false,
        }
    }

    /// Whether a canary is still to be replicated, so that the same request goes on with it.
    pub fn is_verify_pending(&self) -> bool {
        matches!(self, Self::Reconcile(reconcile::Error::VerifyPending { .. }))
    }

    /// The failed call, when one failed.
    pub fn failure_mut(&mut self) -> Option<&mut ApiError> {
        match self {
            Self::Reconcile(error) => error.failure_mut(),
            Self::Request(_) | Self::Unanswered(_) | Self::Internal(_) => None,
        }
    }

    /// The error's type for Lambda, by which Step Functions tells errors apart.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Request(_) => "InvalidRequest",
            Self::Reconcile(error) => error.kind(),
            Self::Unanswered(_) => "Unanswered",
            Self::Internal(_) => "InternalError",
        }
    }
}

impl From<Invalid> for Error {
    fn from(invalid: Invalid) -> Self {
        Self::Request(invalid.into())
    }
}

impl From<ApiError> for Error {
    fn from(failure: ApiError) -> Self {
        Self::Reconcile(failure.into())
    }
}
