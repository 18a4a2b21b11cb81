//! Leases in DynamoDB.

/// The right to write a resource that has no conditional write, for a limited time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// The DynamoDB table that keeps leases.
    pub table: String,
    /// The resource that only the holder may write: a bucket's replication configuration, or an account's policies.
    pub resource: String,
    /// The holder's id, which is unique for each invocation.
    pub holder: String,
    /// When the lease expires, in seconds since the epoch.
    pub expires_at: u64,
}

/// The result of acquiring a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Acquired {
    /// When the previous lease expired or was released, in seconds since the epoch; `None` if the table has no previous lease.
    pub previous_expiry: Option<u64>,
}
