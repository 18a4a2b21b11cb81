//! The plan that makes the shared role right.
//!
//! It must not know which buckets the role serves.

use std::collections::BTreeMap;

use super::{SharedRole, has_passed};
use crate::iam_policy::{self, INLINE_POLICY_LIMIT, RolePolicyDocument, SharedGrants};
use crate::model::{InlinePolicyName, KEEP_TAG, OWNER_TAG, Role, RoleName, RoleOwner};
use crate::plan::inline_policy::size_together;
use crate::plan::role::repair;
use crate::plan::{Action, Plan, Refusal, StageName};
use crate::spec::RoleSettings;

/// Plans the changes after which the role is as the policy needs it. `now` is in seconds since the epoch.
///
/// # Errors
/// A [`Refusal`] if the role is not ours, is under another path, or would have too many grants.
pub fn ensure_shared_role(
    wanted: &SharedRole,
    existing: Option<&Role>,
    settings: &RoleSettings,
    now: u64,
) -> Result<Plan, Refusal> {
    let name = &wanted.name;
    if existing.is_some_and(|role| role.tags.get(OWNER_TAG) != Some(&wanted.stack_id)) {
        return Err(Refusal::SharedRoleOwnedByOther { role: name.clone() });
    }
    if let Some(role) = existing.filter(|role| role.arn != wanted.arn) {
        let (existing, path) = (role.arn.clone(), settings.path.clone());
        return Err(Refusal::SharedRoleAtOtherPath { role: existing, path });
    }
    let keep_until = existing.and_then(|role| role.tags.get(KEEP_TAG));
    let may_drop_earlier = keep_until.is_some_and(|until| has_passed(until, now));
    let policies = existing.map(|role| &role.policies);
    let wanted_policies = wanted.grants.iter();
    let written: Vec<PolicyToWrite> = wanted_policies
        .map(|grants| PolicyToWrite::new(grants, policies, may_drop_earlier))
        .collect();
    check_size(name, policies, &written)?;
    let keeps_earlier =
        written.iter().any(|write| !write.is_right && write.document.has_earlier_grants());
    let keep = existing
        .filter(|_| keeps_earlier)
        .map(|_| Action::KeepForNow { role: name.clone(), before: keep_until.cloned() });
    let mut prepare = make_or_repair(wanted, existing, settings);
    prepare.extend(keep);
    let put = written.into_iter().filter_map(|write| write.action(name));
    Ok(Plan::new([(StageName::Prepare, prepare), (StageName::Grant, put.collect())]))
}

/// A rule's inline policy in the shared role.
struct PolicyToWrite {
    policy: InlinePolicyName,
    before: Option<String>,
    document: RolePolicyDocument,
    is_right: bool,
}

impl PolicyToWrite {
    /// The policy of one rule, beside the grants of its earlier form unless these may be dropped.
    fn new(
        grants: &SharedGrants,
        existing: Option<&BTreeMap<String, String>>,
        may_drop_earlier: bool,
    ) -> Self {
        let policy = InlinePolicyName::for_rule(&grants.rule);
        let before = existing.and_then(|policies| policies.get(policy.as_str())).cloned();
        let current = before.as_deref().and_then(RolePolicyDocument::parse);
        // The time of an earlier change says nothing about the grants that this change replaces.
        let to_keep = current.as_ref().map(|current| {
            if may_drop_earlier { current.without_earlier_grants() } else { current.clone() }
        });
        let document = grants.document();
        let document = match &to_keep {
            Some(to_keep) => document.with_earlier_grants(to_keep),
            None => document,
        };
        Self { is_right: current.as_ref() == Some(&document), policy, before, document }
    }

    fn action(self, role: &RoleName) -> Option<Action> {
        let Self { policy, before, document, is_right } = self;
        let role = role.clone();
        (!is_right).then_some(Action::PutRolePolicy { role, policy, before, document })
    }
}

/// Refuses inline policies that IAM would not accept together.
fn check_size(
    role: &RoleName,
    existing: Option<&BTreeMap<String, String>>,
    written: &[PolicyToWrite],
) -> Result<(), Refusal> {
    let documents: Vec<(&InlinePolicyName, &RolePolicyDocument)> =
        written.iter().map(|write| (&write.policy, &write.document)).collect();
    let (total, limit) = (size_together(existing, &documents), INLINE_POLICY_LIMIT);
    if total <= limit {
        return Ok(());
    }
    let is_of_policy = |name: &str| written.iter().any(|write| write.policy.as_str() == name);
    let names = existing.into_iter().flat_map(BTreeMap::keys);
    let others: Vec<String> =
        names.filter(|name| !is_of_policy(name)).map(|name| format!("`{name}`")).collect();
    Err(Refusal::SharedRolePoliciesTooLong { role: role.clone(), total, limit, others })
}

fn make_or_repair(
    wanted: &SharedRole,
    existing: Option<&Role>,
    settings: &RoleSettings,
) -> Vec<Action> {
    let (name, trust) = (wanted.name.clone(), iam_policy::trust());
    let Some(role) = existing else {
        let owner = RoleOwner::Stack(wanted.stack_id.clone());
        let (path, boundary) = (settings.path.clone(), settings.boundary.clone());
        return vec![Action::CreateRole { name, path, trust, boundary, owner }];
    };
    repair(role, settings, trust)
}
