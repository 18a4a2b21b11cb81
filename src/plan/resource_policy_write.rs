//! Writes of resource policies, and what must hold before one.
//!
//! It owns the decision whether a policy that was just read may be replaced. It must not know how policies are read and written.

use crate::iam_policy::{ResourcePolicy, Statement};
use crate::model::ResourcePolicyTarget;

/// A write of a resource policy.
#[derive(Debug, Clone, Copy)]
pub struct ResourcePolicyWrite<'a> {
    /// The bucket or key that has the policy.
    pub target: &'a ResourcePolicyTarget,
    pub(super) sid: &'a str,
    /// The statement under `sid` that the plan was made for.
    pub(super) before: Option<&'a str>,
    /// `None` when the statement is removed.
    pub(super) statement: Option<&'a Statement>,
    /// Whether the plan was made for a policy that exists.
    pub(super) had_policy: bool,
}

/// Why a policy must not be written over the one that was just read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ResourcePolicyConflict {
    /// The plan was made for a policy, and now there is none.
    #[error("there was a policy, and now there is none")]
    PolicyGone,
    /// Another statement has our statement's `Sid`.
    #[error("another has written a statement with this `Sid`")]
    StatementChanged,
    /// A key's policy would have no statement but ours, or no longer the one that gives the key's account its rights.
    #[error("the key's policy would lose the statement that gives the key's account its rights")]
    AccountLosesKey,
    /// The text that was read is not a policy.
    #[error("what was read is not a policy")]
    NotAPolicy,
}

impl ResourcePolicyWrite<'_> {
    /// The policy to write over `current`, the policy that was just read.
    ///
    /// # Errors
    /// A [`ResourcePolicyConflict`] if `current` is not what the plan was made for, or the write would take a key from its account.
    pub fn replace(&self, current: Option<&str>) -> Result<ResourcePolicy, ResourcePolicyConflict> {
        if current.is_none() && self.had_policy && self.statement.is_some() {
            return Err(ResourcePolicyConflict::PolicyGone);
        }
        let policy = ResourcePolicy::parse(current).ok_or(ResourcePolicyConflict::NotAPolicy)?;
        let is_unchanged = match (policy.statement(self.sid), self.before) {
            (Some(now), Some(before)) => now == before || Statement::are_equal(now, before),
            (Some(_), None) => false,
            (None, _) => true,
        };
        if !is_unchanged {
            return Err(ResourcePolicyConflict::StatementChanged);
        }
        let (gave_rights, is_key) =
            (policy.allows_account_root(), matches!(self.target, ResourcePolicyTarget::Key { .. }));
        let written = match self.statement {
            Some(statement) => policy.with(statement),
            None => policy.without(self.sid),
        };
        let is_lost = gave_rights && !written.allows_account_root();
        if is_key && current.is_some() && (is_lost || !written.has_other_than(self.sid)) {
            return Err(ResourcePolicyConflict::AccountLosesKey);
        }
        Ok(written)
    }

    /// Whether the policy shows the write of our statement.
    pub fn is_reflected_in(&self, policy: Option<&str>) -> bool {
        let policy = ResourcePolicy::parse(policy);
        let shown = policy.as_ref().and_then(|policy| policy.statement(self.sid));
        match self.statement {
            Some(statement) => shown.is_some_and(|text| statement.equals_text(text)),
            None => policy.is_some() && shown.is_none(),
        }
    }
}
