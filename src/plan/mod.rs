//! Plans: from a snapshot and a spec to named stages of actions.
//!
//! It owns the decision what must change, and in which order. It must not know how AWS is read and how actions are executed.
//!
//! # Guarantees
//! - A rule is written after everything that the rule needs, and deleted before everything that the rule needs. Only a job is started later
//!   and cancelled earlier. When a rule changes, grants that only its earlier form needs are removed after the rule is written.
//! - Every plan leaves foreign rules, roles and policies as the snapshot shows them.
//! - The plan for a state that already is as the spec says is empty.

mod action;
mod alarm;
mod apply;
mod change;
mod cross_account;
mod delete;
mod destination;
mod inline_policy;
mod job;
mod keys;
mod overlap;
mod refusal;
mod replication_write;
mod resource_policy_write;
mod role;
mod rules;
mod shared_role;
mod snapshot;
mod text;

use std::collections::BTreeSet;
use std::fmt;

pub use action::{Action, Replaces};
pub use apply::{apply, grant};
pub use change::{Change, Effect};
pub use cross_account::{foreign_statements, remove_statements};
pub use delete::{clean_up_deleted_bucket, delete};
pub use job::{JobRequest, NewJob, ObjectSelection, is_job_of, revoke_job_rights, start_job};
pub(crate) use keys::check_usable;
pub use refusal::{Refusal, StatementToAdd};
pub use replication_write::ReplicationWrite;
pub use resource_policy_write::{ResourcePolicyConflict, ResourcePolicyWrite};
pub use rules::list_rules;
pub use shared_role::{BucketToServe, SharedRole, ensure_shared_role, remove_replaced_role};
pub use snapshot::{
    ApplySnapshot, Created, DeleteSnapshot, Destination, JobSnapshot, ResourcePolicySnapshot,
    Roles, Source,
};
pub use text::{Detail, Line, Summary};

use crate::model::{Region, ReplicationConfiguration, RoleName, RuleId};

/// The attributes of an applied rule, under the names that they have in every answer.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct RuleAttributes {
    /// ARN of the role that serves the rule.
    pub role_arn: String,
    /// Name of that role.
    pub role_name: RoleName,
    /// ARNs of the keys with which the role may decrypt source objects.
    pub source_kms_key_arns: BTreeSet<String>,
    /// ARN of the key that encrypts replicas.
    pub replica_kms_key_arn: String,
    /// ARN of the destination bucket.
    pub destination_bucket_arn: String,
    /// Region of the destination bucket.
    pub destination_region: Region,
    /// Id of the job for existing objects; `None` if there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job_id: Option<String>,
}

/// The name of a stage. Stages run in this order; one without an action is not in the plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum StageName {
    /// Cancels a job that a new job replaces or whose rule is deleted.
    CancelJob,
    /// Creates or repairs buckets and the role, and enables versioning.
    Prepare,
    /// Writes the role's inline policies, and prepares a destination bucket that was created.
    Grant,
    /// Writes statements into other accounts' policies, and the alarm.
    Admit,
    /// Writes the replication configuration, or deletes the rule and its alarm.
    Switch,
    /// Removes statements from other accounts' policies.
    Withdraw,
    /// Removes rights that are no longer needed.
    Tighten,
    /// Deletes the role.
    RemoveRole,
    /// Starts the job for existing objects.
    StartJob,
}

impl fmt::Display for StageName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, formatter)
    }
}

/// A stage of a plan. Its actions do not depend on each other and run concurrently.
#[derive(Debug, Clone, PartialEq)]
pub struct Stage {
    /// Its name.
    pub name: StageName,
    /// Its actions, at least one.
    pub actions: Vec<Action>,
}

/// What must change. A stage begins when the previous stage has ended.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Plan {
    /// The stages, in order. Consecutive stages may have the same name.
    pub stages: Vec<Stage>,
    /// What the plan deliberately leaves as it is, as one sentence for each thing.
    pub kept: Vec<String>,
    /// What the caller should know, as one sentence for each thing.
    pub warnings: Vec<String>,
}

impl Plan {
    /// A plan with these stages, without empty ones. Actions that change the same resource policy get consecutive stages, since each action reads
    /// and writes the whole policy.
    fn new(stages: impl IntoIterator<Item = (StageName, Vec<Action>)>) -> Self {
        let mut plan = Self::default();
        for (name, actions) in stages {
            let first = plan.stages.len();
            for action in actions {
                let policy = action.resource_policy();
                let is_free = |stage: &&mut Stage| {
                    policy.is_none()
                        || stage.actions.iter().all(|other| other.resource_policy() != policy)
                };
                match plan.stages.iter_mut().skip(first).find(is_free) {
                    Some(stage) => stage.actions.push(action),
                    None => plan.stages.push(Stage { name, actions: vec![action] }),
                }
            }
        }
        plan
    }

    /// Whether the plan has no actions.
    pub fn is_empty(&self) -> bool {
        self.stages.is_empty()
    }

    /// Whether objects may be replicated from now on that were not before.
    pub fn mends_replication(&self) -> bool {
        self.actions().any(Action::mends_replication)
    }

    /// Whether the plan adds a rule to the bucket's configuration.
    pub fn adds_rule(&self) -> bool {
        self.actions().any(|action| match action.replaces() {
            Replaces::Replication(write) => {
                write.rule_before().is_none() && write.rule_after().is_some()
            }
            Replaces::ResourcePolicy(_) | Replaces::Nothing => false,
        })
    }

    /// All actions, in order.
    pub fn actions(&self) -> impl Iterator<Item = &Action> {
        self.stages.iter().flat_map(|stage| &stage.actions)
    }

    /// Puts the stages of `first` before those of this plan.
    pub(crate) fn put_before(&mut self, first: Self) {
        self.stages.splice(0..0, first.stages);
    }

    /// Adds the stages and the notes of `last` at the end.
    pub(crate) fn put_after(&mut self, last: Self) {
        self.stages.extend(last.stages);
        self.kept.extend(last.kept);
        self.warnings.extend(last.warnings);
    }

    /// Adds a note on the other rules that the written configuration keeps.
    fn note_kept_rules(&mut self, rule_id: &RuleId) {
        let written = self.actions().find_map(Action::written_configuration);
        let ids = written.iter().flat_map(|written| written.rules()).filter_map(|rule| rule.id());
        let others: Vec<String> =
            ids.filter(|id| *id != rule_id.as_str()).map(|id| format!("`{id}`")).collect();
        if !others.is_empty() {
            self.kept
                .push(format!("the other rules, unchanged and in order: {}", others.join(", ")));
        }
    }
}

/// How long a role or a grant stays that another one has replaced, since objects may still be pending. Longer than 24 hours, since a plan that
/// begins the time may be repeated for a while before it replaces anything.
pub const KEEP_TIME: std::time::Duration = std::time::Duration::from_secs(25 * 60 * 60);

/// Whether the configuration has the rule.
pub fn has_rule(rule_id: &RuleId, replication: Option<&ReplicationConfiguration>) -> bool {
    rules::find(replication, rule_id).is_some()
}

/// Whether a rule of ours replicates to the bucket with this ARN.
pub fn has_own_rule_to(replication: Option<&ReplicationConfiguration>, arn: &str) -> bool {
    let rules = replication.into_iter().flat_map(ReplicationConfiguration::rules);
    let mut own = rules.filter(|rule| rule.id().and_then(RuleId::parse).is_some());
    own.any(|rule| rule.destination_bucket() == Some(arn))
}

#[cfg(test)]
mod tests;
