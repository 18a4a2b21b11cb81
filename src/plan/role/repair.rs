//! The repair of a role of ours.
//!
//! It must not know what the role serves.

use crate::iam_policy::RolePolicyDocument;
use crate::model::Role;
use crate::plan::Action;
use crate::spec::RoleSettings;

/// Replaces the role's trust policy, unless it is `trust`.
pub(in crate::plan) fn repair_trust(role: &Role, trust: RolePolicyDocument) -> Option<Action> {
    let is_right = RolePolicyDocument::parse(&role.trust).as_ref() == Some(&trust);
    let (name, before) = (role.name.clone(), role.trust.clone());
    (!is_right).then_some(Action::UpdateAssumeRolePolicy { name, before, trust })
}

/// Actions that repair the trust policy and the permissions boundary of a role of ours.
pub(in crate::plan) fn repair(
    role: &Role,
    settings: &RoleSettings,
    trust: RolePolicyDocument,
) -> Vec<Action> {
    let name = &role.name;
    let mut actions = Vec::from_iter(repair_trust(role, trust));
    if let Some(boundary) =
        settings.boundary.clone().filter(|boundary| role.boundary.as_ref() != Some(boundary))
    {
        actions.push(Action::PutRolePermissionsBoundary {
            name: name.clone(),
            before: role.boundary.clone(),
            boundary,
        });
    }
    actions
}
