//! The caller of AWS.

use super::{Account, Partition};

/// The account and the partition of the caller's credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The account, which owns the source buckets and the roles.
    pub account: Account,
    /// The partition of that account.
    pub partition: Partition,
}
