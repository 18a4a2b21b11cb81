//! What an action replaces as a whole, so that a foreign write after the snapshot would be lost.
//!
//! It must not know how such a write is noticed.

use super::{Action, Subject};
use crate::model::{ReplicationConfiguration, ResourcePolicyTarget, RuleId};
use crate::plan::{ReplicationWrite, ResourcePolicyWrite};

/// What an action replaces as a whole. A foreign write after the snapshot would be lost.
#[derive(Debug, Clone, Copy)]
pub enum Replaces<'a> {
    /// A bucket's replication configuration.
    Replication(ReplicationWrite<'a>),
    /// The policy of a bucket or a key.
    ResourcePolicy(ResourcePolicyWrite<'a>),
    /// Nothing that has foreign writers.
    Nothing,
}

impl Action {
    /// What the action replaces as a whole.
    pub fn replaces(&self) -> Replaces<'_> {
        match self.subject() {
            Subject::Replication(write) => Replaces::Replication(write),
            Subject::ResourcePolicy(write) => Replaces::ResourcePolicy(write),
            Subject::Versioning(_)
            | Subject::CreatedDestination(_)
            | Subject::Role(_)
            | Subject::InlinePolicy { .. }
            | Subject::KeepTag(_)
            | Subject::JobTag { .. }
            | Subject::NewJob(_)
            | Subject::RunningJob(_)
            | Subject::Alarm(_) => Replaces::Nothing,
        }
    }

    /// The bucket or key whose policy the action changes.
    pub fn resource_policy(&self) -> Option<&ResourcePolicyTarget> {
        match self.replaces() {
            Replaces::ResourcePolicy(write) => Some(write.target),
            Replaces::Replication(_) | Replaces::Nothing => None,
        }
    }

    /// The replication configuration that the action writes.
    pub fn written_configuration(&self) -> Option<&ReplicationConfiguration> {
        self.replication().and_then(|write| write.after)
    }

    /// The rule whose values the action changes among those of other rules.
    pub(in crate::plan) fn changed_rule(&self) -> Option<&RuleId> {
        self.replication().map(|write| write.rule)
    }

    /// The write of a replication configuration that the action is.
    pub(super) fn replication(&self) -> Option<ReplicationWrite<'_>> {
        match self.replaces() {
            Replaces::Replication(write) => Some(write),
            Replaces::ResourcePolicy(_) | Replaces::Nothing => None,
        }
    }
}
