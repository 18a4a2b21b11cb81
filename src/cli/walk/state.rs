//! The state of a bucket's rule, compared with the policy.
//!
//! It owns the states, and how one is explained. It must not know how a bucket is reconciled.

use std::fmt;

use s3_kms_replication::plan::{Action, Plan};
use s3_kms_replication::reconcile::Outcome;
use serde::Serialize;

use crate::screen;

/// The state of a bucket's rule, compared with the policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(super) enum State {
    /// The rule is as the policy requires.
    Configured,
    /// The rule does not exist.
    Missing,
    /// The rule exists, but differs from the policy.
    Drifted,
    /// The rule exists, but the bucket has lost the tags that the policy requires.
    Withdrawn,
    /// The rule was missing and has been created.
    Created,
    /// The rule had drifted and has been repaired.
    Repaired,
    /// The rule was withdrawn and has been removed.
    Removed,
    /// The rule is applied, but S3 has not yet replicated the canary.
    Unverified,
    /// No rule applies to this bucket; `why` says for what reason.
    Skipped,
    /// The bucket could not be read or changed.
    Failed,
}

impl fmt::Display for State {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&format!("{self:?}").to_lowercase())
    }
}

impl State {
    /// The state that the outcome of a rule shows.
    pub fn of_outcome(outcome: &Outcome, dry_run: bool) -> Self {
        let is_new = outcome.plan.adds_rule();
        match (outcome.plan.is_empty(), outcome.attributes.is_none(), dry_run) {
            (true, _, _) => Self::Configured,
            (false, true, true) => Self::Withdrawn,
            (false, true, false) => Self::Removed,
            (false, false, true) if is_new => Self::Missing,
            (false, false, true) => Self::Drifted,
            (false, false, false) if is_new => Self::Created,
            (false, false, false) => Self::Repaired,
        }
    }

    /// Whether something is still to be changed.
    pub fn is_pending(self) -> bool {
        matches!(self, Self::Missing | Self::Drifted | Self::Withdrawn)
    }

    /// Whether the walk has not done what it was asked.
    pub fn is_failure(self) -> bool {
        matches!(self, Self::Failed | Self::Unverified)
    }

    pub fn colored(self) -> String {
        let text = self.to_string();
        match self {
            Self::Configured | Self::Created | Self::Repaired | Self::Removed => {
                screen::green(&text)
            }
            Self::Missing | Self::Drifted | Self::Withdrawn | Self::Unverified => {
                screen::yellow(&text)
            }
            Self::Failed => screen::red(&text),
            Self::Skipped => text,
        }
    }
}

/// Explains a state: the number of changes for a new rule, otherwise the operations of the changes; and the plan's warnings.
pub(super) fn explain(state: State, plan: &Plan) -> String {
    let changes = match (state, plan.actions().count()) {
        (State::Missing | State::Created, 1) => "1 change".to_owned(),
        (State::Missing | State::Created, count) => format!("{count} changes"),
        _ => {
            let mut actions: Vec<&str> = plan.actions().map(Action::operation).collect();
            actions.dedup();
            actions.join(", ")
        }
    };
    let warnings = plan.warnings.iter().map(|warning| format!("warning: {warning}"));
    Some(changes)
        .filter(|changes| !changes.is_empty())
        .into_iter()
        .chain(warnings)
        .collect::<Vec<_>>()
        .join("; ")
}
