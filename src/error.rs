//! Joins the errors of the layers below.
//!
//! It owns the classification of errors for callers. It must not know answers and clients.

use crate::model::{ApiError, RuleAddress};
use crate::spec::Invalid;
use crate::{reconcile, request};

/// Why an invocation failed. No message contains a secret, so every caller may see it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The payload is not valid.
    #[error(transparent)]
    Request(#[from] request::Error),

    /// The request failed.
    #[error(transparent)]
    Reconcile(#[from] reconcile::Error),

    /// A resource of Terraform has its new rule, and the rule of its earlier input could not be deleted. Terraform counts the update as done
    /// and forgets the earlier rule.
    #[error(
        "rule `{}` of bucket `{}` is applied; rule `{}` of bucket `{}`, which it replaces, was not deleted, so delete it with the command `Delete`: {error}",
        .rule.id, .rule.source, .earlier.id, .earlier.source
    )]
    EarlierRuleRemains {
        /// The rule that was applied.
        rule: RuleAddress,
        /// The rule that was to be deleted.
        earlier: RuleAddress,
        /// Why it was not.
        error: Box<Error>,
    },

    /// The answer could not be sent to CloudFormation.
    #[error("CloudFormation could not be answered: {0}")]
    Unanswered(String),

    /// The program has a bug.
    #[error("internal error: {0}")]
    Internal(String),
}

impl Error {
    /// Whether the same request may succeed later without any change.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unanswered(_) => true,
            Self::Reconcile(error) => error.is_transient(),
            Self::EarlierRuleRemains { error, .. } => error.is_transient(),
            Self::Request(_) | Self::Internal(_) => false,
        }
    }

    /// Whether the cause is the request, not a failed call.
    pub fn is_refusal(&self) -> bool {
        match self {
            Self::Request(request::Error::Invalid(_) | request::Error::UnknownPayload(_)) => true,
            Self::Reconcile(error) => error.is_refusal(),
            Self::EarlierRuleRemains { .. }
            | Self::Request(request::Error::ForeignResponseUrl)
            | Self::Unanswered(_)
            | Self::Internal(_) => false,
        }
    }

    /// Whether the cause is a value that cannot be accepted.
    pub fn is_invalid(&self) -> bool {
        matches!(
            self,
            Self::Request(request::Error::Invalid(_))
                | Self::Reconcile(reconcile::Error::Invalid(_))
        )
    }

    /// Whether the invocation certainly changed nothing.
    pub fn changed_nothing(&self) -> bool {
        match self {
            Self::Request(_) => true,
            Self::Reconcile(error) => error.changed_nothing(),
            Self::EarlierRuleRemains { .. } | Self::Unanswered(_) | Self::Internal(_) => false,
        }
    }

    /// Whether a canary is not replicated yet. The same request then continues with this canary.
    pub fn is_verify_pending(&self) -> bool {
        matches!(self, Self::Reconcile(reconcile::Error::VerifyPending { .. }))
    }

    /// The failed call, if a call failed.
    pub fn failure_mut(&mut self) -> Option<&mut ApiError> {
        match self {
            Self::Reconcile(error) => error.failure_mut(),
            Self::EarlierRuleRemains { error, .. } => error.failure_mut(),
            Self::Request(_) | Self::Unanswered(_) | Self::Internal(_) => None,
        }
    }

    /// The error's type in Lambda's answer. Step Functions decides by this type whether to retry.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Request(_) => "InvalidRequest",
            Self::Reconcile(error) => error.kind(),
            Self::EarlierRuleRemains { error, .. } => error.kind(),
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
