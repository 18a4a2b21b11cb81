//! The role that serves a rule: ours, or the foreign one with which the bucket already replicates.

use std::collections::BTreeMap;

use super::{Action, ApplySnapshot, Refusal};
use crate::iam_policy::PolicyDocument;
use crate::model::{Identity, OWNER_TAG, PolicyName, Role, RoleName};
use crate::spec::{ExistingRole, RoleSettings, Spec};

/// IAM's limit for the inline policies of one role, white space not counted.
pub(super) const INLINE_POLICY_LIMIT: usize = 10_240;

/// The role that will serve the rule.
pub(super) enum ServingRole<'a> {
    /// Ours, which may not exist yet.
    Ours { name: RoleName, arn: String, existing: Option<&'a Role> },
    /// A foreign one, which gets our inline policy.
    Foreign(&'a Role),
}

impl<'a> ServingRole<'a> {
    pub(super) fn choose(
        spec: &Spec,
        snapshot: &'a ApplySnapshot,
        settings: &RoleSettings,
    ) -> Result<Self, Refusal> {
        let roles = &snapshot.roles;
        let Identity { account, partition } = &snapshot.identity;
        let name = RoleName::of_source(&spec.rule.source);
        let existing = roles.ours(&spec.rule.source);
        let arn = existing.map_or_else(
            || format!("arn:{partition}:iam::{account}:role{}{name}", settings.path),
            |role| role.arn.clone(),
        );
        let serving =
            snapshot.source.replication.as_ref().map(|configuration| configuration.role());
        if let Some(serving) = serving.filter(|serving| *serving != arn) {
            let (bucket, role, found) =
                (spec.rule.source.clone(), serving.to_owned(), roles.with_arn(serving));
            let other = found
                .and_then(|found| found.tags.get(OWNER_TAG))
                .filter(|of| *of != bucket.as_str());
            return match (other, spec.existing_role, found) {
                (Some(of), ..) => Err(Refusal::RoleOfOtherBucket { bucket, role, of: of.clone() }),
                (None, ExistingRole::Refuse, _) => Err(Refusal::ForeignRole { bucket, role }),
                (None, ExistingRole::Extend, Some(found)) => Ok(Self::Foreign(found)),
                (None, ExistingRole::Extend, None) => {
                    Err(Refusal::ServingRoleMissing { bucket, role })
                }
            };
        }
        if roles.named_ours.is_some() && existing.is_none() {
            return Err(Refusal::RoleOwnedByOther { role: name, bucket: spec.rule.source.clone() });
        }
        Ok(Self::Ours { name, arn, existing })
    }

    pub(super) fn existing(&self) -> Option<&'a Role> {
        match self {
            Self::Ours { existing, .. } => *existing,
            Self::Foreign(role) => Some(role),
        }
    }

    pub(super) fn name(&self) -> &RoleName {
        match self {
            Self::Ours { name, .. } => name,
            Self::Foreign(role) => &role.name,
        }
    }

    pub(super) fn arn(&self) -> &str {
        match self {
            Self::Ours { arn, .. } => arn,
            Self::Foreign(role) => &role.arn,
        }
    }

    pub(super) fn policy_name(&self, spec: &Spec) -> PolicyName {
        match self {
            Self::Ours { .. } => PolicyName::of_rule(&spec.rule.id),
            Self::Foreign(_) => PolicyName::in_foreign_role(&spec.rule),
        }
    }

    /// Actions that create or repair the role itself; none for a foreign one.
    pub(super) fn repair(
        &self,
        spec: &Spec,
        settings: &RoleSettings,
        trust: PolicyDocument,
    ) -> Vec<Action> {
        let Self::Ours { name, existing, .. } = self else {
            return Vec::new();
        };
        let Some(role) = existing else {
            let (path, boundary) = (settings.path.clone(), settings.boundary.clone());
            return vec![Action::CreateRole {
                name: name.clone(),
                path,
                trust,
                boundary,
                source: spec.rule.source.clone(),
            }];
        };
        let mut actions = Vec::new();
        if PolicyDocument::parse(&role.trust).as_ref() != Some(&trust) {
            actions.push(Action::UpdateAssumeRolePolicy {
                name: name.clone(),
                before: role.trust.clone(),
                trust,
            });
        }
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
}

/// The rule's inline policy: as the role has it, and as it is to be.
pub(super) struct RolePolicy<'a> {
    role: RoleName,
    name: PolicyName,
    /// All inline policies of the role.
    existing: Option<&'a BTreeMap<String, String>>,
    current: Option<PolicyDocument>,
}

impl<'a> RolePolicy<'a> {
    pub(super) fn new(spec: &Spec, role: &ServingRole<'a>) -> Self {
        let name = role.policy_name(spec);
        let existing = role.existing().map(|role| &role.policies);
        let current = existing.and_then(|policies| policies.get(name.as_str()));
        let current = current.and_then(|text| PolicyDocument::parse(text));
        Self { role: role.name().clone(), name, existing, current }
    }

    /// The document that the role has, when it is one of our form.
    pub(super) fn current(&self) -> Option<&PolicyDocument> {
        self.current.as_ref()
    }

    /// The change to `wanted`. With `keeps_current`, what the current document grants stays granted until the rule has changed.
    pub(super) fn replaced_by(
        self,
        wanted: PolicyDocument,
        keeps_current: bool,
    ) -> PolicyChange<'a> {
        let earlier =
            self.current.as_ref().filter(|current| keeps_current && !wanted.covers(current));
        let until_changed =
            earlier.map_or_else(|| wanted.clone(), |earlier| wanted.with_earlier(earlier));
        PolicyChange { policy: self, until_changed, wanted }
    }
}

/// A change of the rule's inline policy: first to a document that also grants what the rule's earlier form needs, then to the
/// wanted one.
pub(super) struct PolicyChange<'a> {
    policy: RolePolicy<'a>,
    until_changed: PolicyDocument,
    wanted: PolicyDocument,
}

impl PolicyChange<'_> {
    /// Writes what is needed until the rule has changed.
    pub(super) fn grant(&self) -> Option<Action> {
        let RolePolicy { name, existing, current, .. } = &self.policy;
        let before = existing.and_then(|policies| policies.get(name.as_str()));
        let differs = current.as_ref() != Some(&self.until_changed);
        differs.then(|| self.put(before.cloned(), &self.until_changed))
    }

    /// Removes what is not needed once the rule has changed.
    pub(super) fn tighten(&self) -> Option<Action> {
        let differs = self.until_changed != self.wanted;
        differs.then(|| self.put(Some(self.until_changed.to_string()), &self.wanted))
    }

    fn put(&self, before: Option<String>, document: &PolicyDocument) -> Action {
        let (role, policy) = (self.policy.role.clone(), self.policy.name.clone());
        Action::PutRolePolicy { role, policy, before, document: document.clone() }
    }

    /// Refuses what would not fit into the role, with the policy that `job` writes.
    pub(super) fn check_size(&self, job: Option<&Action>) -> Result<(), Refusal> {
        let written = [(&self.policy.name, &self.until_changed)];
        let of_job = job.and_then(|job| match job {
            Action::PutRolePolicy { policy, document, .. } => Some((policy, document)),
            _ => None,
        });
        check_size(
            &self.policy.role,
            self.policy.existing,
            &Vec::from_iter(written.into_iter().chain(of_job)),
        )
    }
}

/// Refuses inline policies that IAM would not accept together: those that are `written`, and the `existing` others.
pub(super) fn check_size(
    role: &RoleName,
    existing: Option<&BTreeMap<String, String>>,
    written: &[(&PolicyName, &PolicyDocument)],
) -> Result<(), Refusal> {
    let size = |text: &str| text.chars().filter(|character| !character.is_whitespace()).count();
    let is_kept = |name: &str| written.iter().all(|(written, _)| written.as_str() != name);
    let kept = existing
        .into_iter()
        .flatten()
        .filter(|(name, _)| is_kept(name))
        .map(|(_, text)| size(text));
    let total = kept.chain(written.iter().map(|(_, document)| size(&document.to_string()))).sum();
    if total > INLINE_POLICY_LIMIT {
        return Err(Refusal::PoliciesTooLong {
            role: role.clone(),
            total,
            limit: INLINE_POLICY_LIMIT,
        });
    }
    Ok(())
}
