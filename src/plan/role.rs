//! The role that serves a rule: ours, or the one that others replicate the bucket with.

use std::collections::BTreeMap;

use super::{OWNER_TAG, Observed, Refusal, Step};
use crate::cloud::{Identity, Role};
use crate::grants::PolicyDocument;
use crate::settings::RoleSettings;
use crate::spec::{ExistingRole, PolicyName, RoleName, Spec};

/// IAM's limit for the inline policies of one role, white space not counted.
pub(super) const INLINE_POLICY_LIMIT: usize = 10_240;

/// The role that will serve the rule.
pub(super) enum ServingRole<'a> {
    /// Ours, which may not exist yet.
    Ours { name: RoleName, arn: String, existing: Option<&'a Role> },
    /// Somebody else's, which gets our inline policy.
    Theirs(&'a Role),
}

impl<'a> ServingRole<'a> {
    pub(super) fn choose(spec: &Spec, observed: &'a Observed, settings: &RoleSettings) -> Result<Self, Refusal> {
        let roles = &observed.roles;
        let Identity { account, partition } = &observed.identity;
        let name = RoleName::of_source(&spec.rule.source);
        let existing = roles.ours(&spec.rule.source);
        let arn = existing.map_or_else(|| format!("arn:{partition}:iam::{account}:role{}{name}", settings.path), |role| role.arn.clone());
        let serving = observed.source.replication.as_ref().map(|configuration| configuration.role());
        if let Some(serving) = serving.filter(|serving| *serving != arn) {
            let (bucket, role, found) = (spec.rule.source.clone(), serving.to_owned(), roles.with_arn(serving));
            let other = found.and_then(|found| found.tags.get(OWNER_TAG)).filter(|of| *of != bucket.as_str());
            return match (other, spec.existing_role, found) {
                (Some(of), ..) => Err(Refusal::RoleOfOtherBucket { bucket, role, of: of.clone() }),
                (None, ExistingRole::Refuse, _) => Err(Refusal::ForeignRole { bucket, role }),
                (None, ExistingRole::Extend, Some(found)) => Ok(Self::Theirs(found)),
                (None, ExistingRole::Extend, None) => Err(Refusal::ServingRoleMissing { bucket, role }),
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
            Self::Theirs(role) => Some(role),
        }
    }

    pub(super) fn name(&self) -> &RoleName {
        match self {
            Self::Ours { name, .. } => name,
            Self::Theirs(role) => &role.name,
        }
    }

    pub(super) fn arn(&self) -> &str {
        match self {
            Self::Ours { arn, .. } => arn,
            Self::Theirs(role) => &role.arn,
        }
    }

    pub(super) fn policy_name(&self, spec: &Spec) -> PolicyName {
        match self {
            Self::Ours { .. } => PolicyName::of_rule(&spec.rule.id),
            Self::Theirs(_) => PolicyName::in_shared_role(&spec.rule),
        }
    }

    /// What makes the role itself right; nothing for somebody else's.
    pub(super) fn steps(&self, spec: &Spec, settings: &RoleSettings, trust: PolicyDocument) -> Vec<Step> {
        let Self::Ours { name, existing, .. } = self else { return Vec::new() };
        let Some(role) = existing else {
            let (path, boundary) = (settings.path.clone(), settings.boundary.clone());
            return vec![Step::CreateRole { name: name.clone(), path, trust, boundary, source: spec.rule.source.clone() }];
        };
        let mut steps = Vec::new();
        if PolicyDocument::parse(&role.trust).as_ref() != Some(&trust) {
            steps.push(Step::UpdateAssumeRolePolicy { name: name.clone(), was: role.trust.clone(), trust });
        }
        if let Some(boundary) = settings.boundary.clone().filter(|boundary| role.boundary.as_ref() != Some(boundary)) {
            steps.push(Step::PutRolePermissionsBoundary { name: name.clone(), was: role.boundary.clone(), boundary });
        }
        steps
    }
}

/// Refuses what would not fit into the role.
pub(super) fn check_policy_size(
    role: &ServingRole<'_>,
    name: &PolicyName,
    document: &PolicyDocument,
    job: Option<&Step>,
) -> Result<(), Refusal> {
    let size = |text: &str| text.chars().filter(|character| !character.is_whitespace()).count();
    let nothing = BTreeMap::new();
    let of_job = match job {
        Some(Step::PutRolePolicy { policy, document, .. }) => Some((policy, document)),
        _ => None,
    };
    let written = || of_job.into_iter().chain([(name, document)]);
    let is_kept = |(other, _): &(&String, &String)| written().all(|(name, _)| *other != name.as_str());
    let others = role.existing().map_or(&nothing, |role| &role.policies).iter().filter(is_kept);
    let total = others.map(|(_, text)| size(text)).chain(written().map(|(_, document)| size(&document.to_string()))).sum();
    if total > INLINE_POLICY_LIMIT {
        return Err(Refusal::PoliciesTooLong { role: role.name().clone(), total, limit: INLINE_POLICY_LIMIT });
    }
    Ok(())
}
