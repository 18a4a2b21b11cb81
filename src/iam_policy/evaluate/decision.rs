//! What is decided, and why.

use std::collections::BTreeSet;

use super::document::StatementRef;
use super::statement::NearMiss;

/// The policies that decide together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Layer {
    /// The inline and managed policies of a user or a role.
    Identity,
    /// The permissions boundary of a user or a role.
    Boundary,
    /// The policy of a bucket.
    BucketPolicy,
    /// The policy of a key, with its grants.
    KeyPolicy,
    /// The trust policy of a role.
    TrustPolicy,
}

/// The answer to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Allowed, whatever the values of unknown keys are.
    Allowed,
    /// Denied, whatever the values of unknown keys are, for each of these reasons; at least one.
    Denied(Vec<Denial>),
    /// It depends on what is unknown.
    Undecided(Undecided),
}

/// One reason for a denial.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denial {
    /// Where the denial comes from.
    pub layer: Layer,
    /// Why.
    pub reason: DenialReason,
}

/// Why a layer denies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DenialReason {
    /// A statement with the effect `Deny` matches.
    Explicit(StatementRef),
    /// The layer must allow the request, and no statement does.
    NoAllow {
        /// The statements that allow similar requests, nearest first.
        nearest: Vec<NearMiss>,
    },
}

/// What must be known for a decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Undecided {
    /// The condition keys whose values are unknown, as the statements write them; and `CanonicalUser`, if a bucket policy names accounts by
    /// their canonical user IDs.
    pub keys: BTreeSet<String>,
    /// The statements that these keys decide about.
    pub statements: BTreeSet<StatementRef>,
    /// The layers that were not read.
    pub unread: BTreeSet<Layer>,
}
