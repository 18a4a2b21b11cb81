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
    /// Allowed, whatever the unknown is.
    Allowed,
    /// Denied, whatever the unknown is, for each of these reasons; at least one.
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
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Undecided {
    /// What is unknown.
    pub causes: BTreeSet<Cause>,
    /// The statements that it decides about.
    pub statements: BTreeSet<StatementRef>,
}

/// One thing that decides and is not known.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// The value of a condition key, as a statement writes the key.
    ConditionKey(String),
    /// The end of the resource's name, or of a value that has it: [`super::Text::Open`].
    EndOfName,
    /// The account that owns the resource.
    ResourceAccount,
    /// The name of the role's session.
    SessionName,
    /// For which account a canonical user ID stands.
    CanonicalUser,
    /// What a `Deny` with `NotPrincipal` does that names only some of the account, the role and the session. AWS "might" deny then.
    NotPrincipal,
    /// A policy of this layer, which was not read.
    Unread(Layer),
}
