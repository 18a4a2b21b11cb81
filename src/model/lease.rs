//! Leases in DynamoDB.

/// The right to write a resource that has no conditional write, for a limited time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// The DynamoDB table that keeps leases.
    pub table: String,
    /// The resource that only the holder writes: a bucket's replication configuration, or an account's policies.
    pub resource: String,
    /// The holder's id, which no other invocation has.
    pub holder: String,
    /// When the lease expires, in seconds since the epoch.
    pub expires_at: u64,
}

/// A lease that was acquired.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Acquired {
    /// When the lease before this one expired or was released, in seconds since the epoch; `None` when none is remembered.
    pub previous_expiry: Option<u64>,
}
