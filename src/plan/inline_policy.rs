//! The inline policy of a rule in the role that serves it.
//!
//! It owns the policy's name, its change in two steps, and the limit of a role's inline policies. It must not know what a policy document
//! grants.

use std::collections::BTreeMap;

use super::role::ServingRole;
use super::{Action, Refusal};
use crate::iam_policy::{INLINE_POLICY_LIMIT, RolePolicyDocument, policy_size};
use crate::model::{InlinePolicyName, Role, RoleName, RuleAddress};
use crate::spec::Spec;

/// The name of the rule's inline policy in a foreign role: the one of 0.1.0, where the role has that policy and it is for this bucket.
pub(super) fn inline_policy_in_foreign_role(role: &Role, rule: &RuleAddress) -> InlinePolicyName {
    let earlier = InlinePolicyName::for_rule_in_foreign_role_of_0_1_0(rule);
    let document =
        role.policies.get(earlier.as_str()).and_then(|text| RolePolicyDocument::parse(text));
    let sources = document.as_ref().and_then(RolePolicyDocument::source_bucket);
    if sources.as_ref() == Some(&rule.source) {
        earlier
    } else {
        InlinePolicyName::for_rule_in_foreign_role(rule)
    }
}

/// The rule's inline policy in the serving role.
pub(super) struct InlinePolicy<'a> {
    role: RoleName,
    name: InlinePolicyName,
    /// All inline policies of the role.
    existing: Option<&'a BTreeMap<String, String>>,
    current: Option<RolePolicyDocument>,
}

impl<'a> InlinePolicy<'a> {
    pub(super) fn new(spec: &Spec, role: &ServingRole<'a>) -> Self {
        let name = role.policy_name(spec);
        let existing = role.existing().map(|role| &role.policies);
        let current = existing.and_then(|policies| policies.get(name.as_str()));
        let current = current.and_then(|text| RolePolicyDocument::parse(text));
        Self { role: role.name().clone(), name, existing, current }
    }

    /// The document that the role has, if its form is the form of our documents.
    pub(super) fn current(&self) -> Option<&RolePolicyDocument> {
        self.current.as_ref()
    }

    /// The change to `wanted`. With `keeps_current`, the grants of the current document stay until the rule has changed.
    pub(super) fn replaced_by(
        self,
        wanted: RolePolicyDocument,
        keeps_current: bool,
    ) -> InlinePolicyChange<'a> {
        let earlier =
            self.current.as_ref().filter(|current| keeps_current && !wanted.covers(current));
        let until_changed =
            earlier.map_or_else(|| wanted.clone(), |earlier| wanted.with_earlier(earlier));
        InlinePolicyChange { policy: self, until_changed, wanted }
    }
}

/// A change of the rule's inline policy in two steps: first to a document that also has the grants of the rule's earlier form, then to the
/// wanted document.
pub(super) struct InlinePolicyChange<'a> {
    policy: InlinePolicy<'a>,
    until_changed: RolePolicyDocument,
    wanted: RolePolicyDocument,
}

impl InlinePolicyChange<'_> {
    /// Writes the document that is needed until the rule has changed.
    pub(super) fn grant(&self) -> Option<Action> {
        let InlinePolicy { name, existing, current, .. } = &self.policy;
        let before = existing.and_then(|policies| policies.get(name.as_str()));
        let differs = current.as_ref() != Some(&self.until_changed);
        differs.then(|| self.put(before.cloned(), &self.until_changed))
    }

    /// Writes the wanted document once the rule has changed.
    pub(super) fn tighten(&self) -> Option<Action> {
        let differs = self.until_changed != self.wanted;
        differs.then(|| self.put(Some(self.until_changed.to_string()), &self.wanted))
    }

    fn put(&self, before: Option<String>, document: &RolePolicyDocument) -> Action {
        let (role, policy) = (self.policy.role.clone(), self.policy.name.clone());
        Action::PutRolePolicy { role, policy, before, document: document.clone() }
    }

    /// Refuses inline policies that IAM would not accept together. `job_rights` is the action that changes the job's inline policy.
    pub(super) fn check_size(&self, job_rights: Option<&Action>) -> Result<(), Refusal> {
        let mut written = vec![(&self.policy.name, &self.until_changed)];
        if let Some(Action::PutRolePolicy { policy, document, .. }) = job_rights {
            written.push((policy, document));
        }
        check_size(&self.policy.role, self.policy.existing, &written)
    }
}

/// Refuses inline policies that IAM would not accept together: the `written` ones and the other `existing` ones.
pub(super) fn check_size(
    role: &RoleName,
    existing: Option<&BTreeMap<String, String>>,
    written: &[(&InlinePolicyName, &RolePolicyDocument)],
) -> Result<(), Refusal> {
    let total = size_together(existing, written);
    if total > INLINE_POLICY_LIMIT {
        return Err(Refusal::InlinePoliciesTooLong {
            role: role.clone(),
            total,
            limit: INLINE_POLICY_LIMIT,
        });
    }
    Ok(())
}

/// The size of a role's inline policies, as IAM counts them: the `written` ones and the other `existing` ones.
pub(super) fn size_together(
    existing: Option<&BTreeMap<String, String>>,
    written: &[(&InlinePolicyName, &RolePolicyDocument)],
) -> usize {
    let is_kept = |name: &str| written.iter().all(|(written, _)| written.as_str() != name);
    let kept = existing
        .into_iter()
        .flatten()
        .filter(|(name, _)| is_kept(name))
        .map(|(_, text)| policy_size(text));
    kept.chain(written.iter().map(|(_, document)| policy_size(&document.to_string()))).sum()
}
