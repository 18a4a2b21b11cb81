//! The errors of reading a payload.

use crate::spec::Invalid;

/// Why a payload could not be read. No message contains a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A value that cannot be accepted.
    #[error(transparent)]
    Invalid(#[from] Invalid),

    /// A payload of an unknown kind.
    #[error("the payload {0}")]
    UnknownPayload(String),

    /// A `ResponseURL` that is not CloudFormation's. The URL is a credential, so the message does not show it.
    #[error(
        "`ResponseURL` is missing or does not name CloudFormation's bucket of this Region; the request is not answered"
    )]
    ForeignResponseUrl,
}
