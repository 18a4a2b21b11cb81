//! Why a payload could not be read.

use crate::spec::Invalid;

/// Why a payload could not be read. No message holds a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A value that cannot be accepted.
    #[error(transparent)]
    Invalid(#[from] Invalid),

    /// A payload that is none of the known ones.
    #[error("the payload {0}")]
    UnknownPayload(String),

    /// A `ResponseURL` that is not CloudFormation's. The URL is a credential and is not shown.
    #[error("`ResponseURL` is missing or not of a host of CloudFormation; it is not answered")]
    ForeignResponseUrl,
}
