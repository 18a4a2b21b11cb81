//! The role that serves a rule: our role, or the foreign role with which the bucket already replicates.
//!
//! It must not know what a policy document grants.

mod repair;

pub(super) use self::repair::{repair, repair_trust};
use super::inline_policy::inline_policy_in_foreign_role;
use super::{Action, ApplySnapshot, Refusal, Roles, SharedRole, shared_role};
use crate::iam_policy::RolePolicyDocument;
use crate::model::{Identity, InlinePolicyName, KEEP_TAG, OWNER_TAG, Role, RoleName, RoleOwner};
use crate::spec::{ExistingRole, RoleSettings, Spec};

/// The role that will serve the rule.
pub(super) enum ServingRole<'a> {
    /// Our role, which may not exist yet.
    Own { name: RoleName, arn: String, existing: Option<&'a Role> },
    /// A foreign role, which gets our inline policy.
    Foreign(&'a Role),
    /// The role of all buckets, which has its grants. It replaces our role `replaced`, which serves the bucket now.
    Shared { role: &'a SharedRole, replaced: Option<&'a Role> },
}

impl<'a> ServingRole<'a> {
    pub(super) fn choose(
        spec: &Spec,
        snapshot: &'a ApplySnapshot,
        settings: &RoleSettings,
    ) -> Result<Self, Refusal> {
        let roles = &snapshot.roles;
        let Identity { account, partition } = &snapshot.identity;
        let existing = roles.own(&spec.rule.source);
        let name = existing
            .map_or_else(|| RoleName::for_source(&spec.rule.source), |role| role.name.clone());
        let arn = existing.map_or_else(
            || format!("arn:{partition}:iam::{account}:role{}{name}", settings.path),
            |role| role.arn.clone(),
        );
        let serving =
            snapshot.source.replication.as_ref().map(|configuration| configuration.role());
        let served_by_shared = serving.is_some_and(|serving| settings.is_shared_role(serving));
        if let Some(serving) = serving.filter(|serving| *serving != arn && !served_by_shared) {
            return Self::extend(serving, spec, roles);
        }
        if let Some(role) = &snapshot.shared_role
            && shared_role::reason(spec, role, snapshot).is_none()
        {
            let replaced = existing.filter(|own| serving == Some(&own.arn));
            return Ok(Self::Shared { role, replaced });
        }
        if served_by_shared && !spec.dry_run {
            shared_role::check_own_role(spec, snapshot, existing)?;
        }
        if roles.with_own_name.is_some() && existing.is_none() {
            return Err(Refusal::RoleOwnedByOther { role: name, bucket: spec.rule.source.clone() });
        }
        let parts = existing.map(|role| foreign_parts(role, &settings.path)).unwrap_or_default();
        if serving.is_none() && !parts.is_empty() {
            let (bucket, parts) = (spec.rule.source.clone(), parts.join(", "));
            return Err(Refusal::RoleNotOnlyOurs { role: name, bucket, parts });
        }
        Ok(Self::Own { name, arn, existing })
    }

    /// The foreign role with this ARN, which serves the bucket.
    fn extend(arn: &str, spec: &Spec, roles: &'a Roles) -> Result<Self, Refusal> {
        let (bucket, role) = (spec.rule.source.clone(), arn.to_owned());
        let found = roles.with_arn(arn);
        let tag = found.and_then(|found| found.tags.get(OWNER_TAG));
        if let Some(stack) = tag.filter(|owner| owner.contains(":stack/")) {
            return Err(Refusal::RoleOfOtherStack { bucket, role, stack: stack.clone() });
        }
        if let Some(owner) = tag.filter(|owner| *owner != bucket.as_str()) {
            return Err(Refusal::RoleOfOtherBucket { bucket, role, owner: owner.clone() });
        }
        match (spec.existing_role, found) {
            (ExistingRole::Refuse, _) => Err(Refusal::ForeignRole { bucket, role }),
            (ExistingRole::Extend, Some(found)) => Ok(Self::Foreign(found)),
            (ExistingRole::Extend, None) => Err(Refusal::ServingRoleMissing { bucket, role }),
        }
    }

    pub(super) fn existing(&self) -> Option<&'a Role> {
        match self {
            Self::Own { existing, .. } => *existing,
            Self::Foreign(role) => Some(role),
            Self::Shared { .. } => None,
        }
    }

    pub(super) fn name(&self) -> &RoleName {
        match self {
            Self::Own { name, .. } => name,
            Self::Foreign(role) => &role.name,
            Self::Shared { role, .. } => &role.name,
        }
    }

    pub(super) fn arn(&self) -> &str {
        match self {
            Self::Own { arn, .. } => arn,
            Self::Foreign(role) => &role.arn,
            Self::Shared { role, .. } => &role.arn,
        }
    }

    pub(super) fn policy_name(&self, spec: &Spec) -> InlinePolicyName {
        match self {
            Self::Own { .. } | Self::Shared { .. } => InlinePolicyName::for_rule(&spec.rule.id),
            Self::Foreign(role) => inline_policy_in_foreign_role(role, &spec.rule),
        }
    }

    /// Why our role serves the bucket although the replication policy has a role for all buckets.
    pub(super) fn reason_for_own(&self, spec: &Spec, snapshot: &ApplySnapshot) -> Option<String> {
        let shared = snapshot.shared_role.as_ref()?;
        let reason = match self {
            Self::Own { .. } => shared_role::reason(spec, shared, snapshot)?,
            Self::Foreign(_) => "it replicates with a foreign role".to_owned(),
            Self::Shared { .. } => return None,
        };
        Some(format!(
            "role `{}` of bucket `{}`, although `RoleScope` is Policy: {reason}",
            self.name(),
            spec.rule.source
        ))
    }

    /// Records how long our role must stay that the role of all buckets replaces. Always anew, since the role may have been replaced before.
    pub(super) fn keep_replaced(&self) -> Option<Action> {
        match self {
            Self::Own { .. } | Self::Foreign(_) => None,
            Self::Shared { replaced, .. } => replaced.map(|role| Action::KeepForNow {
                role: role.name.clone(),
                before: role.tags.get(KEEP_TAG).cloned(),
            }),
        }
    }

    /// What the caller should know about our role.
    pub(super) fn warning(&self, settings: &RoleSettings) -> Option<String> {
        let Self::Own { name, existing: Some(role), .. } = self else {
            return None;
        };
        let parts = foreign_parts(role, &settings.path);
        (!parts.is_empty()).then(|| {
            format!(
                "role `{name}` has what we do not make, which S3 can use, too: {}",
                parts.join(", ")
            )
        })
    }

    /// Actions that create our role, or repair its trust policy and permissions boundary; none for a foreign role.
    pub(super) fn repair(
        &self,
        spec: &Spec,
        settings: &RoleSettings,
        trust: RolePolicyDocument,
    ) -> Vec<Action> {
        let Self::Own { name, existing, .. } = self else {
            return Vec::new();
        };
        let Some(role) = existing else {
            let (path, boundary) = (settings.path.clone(), settings.boundary.clone());
            return vec![Action::CreateRole {
                name: name.clone(),
                path,
                trust,
                boundary,
                owner: RoleOwner::Bucket(spec.rule.source.clone()),
            }];
        };
        repair(role, settings, trust)
    }
}

/// What shows that others have made a role of our name, or changed it: the parts that our roles do not have.
pub(super) fn foreign_parts(role: &Role, path: &str) -> Vec<String> {
    let policies = role.policies.keys().filter(|name| InlinePolicyName::parse(name).is_none());
    let policies = policies.map(|name| format!("inline policy `{name}`"));
    let attached = role.attached.iter().map(|arn| format!("attached policy `{arn}`"));
    let is_in_path = role.arn.ends_with(&format!(":role{path}{}", role.name));
    let place = (!is_in_path).then(|| format!("path of `{}` instead of `{path}`", role.arn));
    policies.chain(attached).chain(place).collect()
}
