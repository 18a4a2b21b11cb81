//! Whose credentials are in use.

use super::{Account, Partition};

/// Whose credentials are in use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The account that owns everything that is made.
    pub account: Account,
    /// The partition of that account.
    pub partition: Partition,
}
