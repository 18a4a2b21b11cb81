//! The role that serves all buckets of a replication policy (`RoleScope` Policy): the plan that makes it right, and which buckets it serves.
//!
//! # Guarantees
//! - The role is never deleted. An inline policy of a rule that the replication policy no longer has stays, since buckets may still have the rule.
//! - When a rule of the policy changes, the role has the grants of both forms until [`KEEP_TIME`](super::KEEP_TIME) has passed: buckets have the
//!   earlier form until an event or a walk changes them.
//! - A bucket that has anything beside the policy's rules is served by a role of its own.

use std::collections::BTreeMap;

use super::role::size_together;
use super::{Action, ApplySnapshot, Plan, Refusal, StageName};
use crate::iam_policy::{self, INLINE_POLICY_LIMIT, RolePolicyDocument, SharedGrants, Statements};
use crate::model::{
    BucketName, Encryption, Identity, InlinePolicyName, KEEP_TAG, KeyReference, OWNER_TAG, Region,
    ReplicationConfiguration, Role, RoleName, RoleOwner, RuleId, hash,
};
use crate::spec::{RoleSettings, SourceKeys, Spec};

/// The role as the replication policy needs it.
#[derive(Debug, Clone, PartialEq)]
pub struct SharedRole {
    /// Its name.
    pub name: RoleName,
    /// Its ARN.
    pub arn: String,
    /// The id of the stack that it is for.
    pub stack_id: String,
    /// The Region of the buckets that it serves.
    pub region: Region,
    /// What it grants, for each rule of the policy.
    pub grants: Vec<SharedGrants>,
}

impl SharedRole {
    /// What the role grants for a rule.
    pub(super) fn grants_of(&self, rule: &RuleId) -> Option<&SharedGrants> {
        self.grants.iter().find(|grants| grants.rule == *rule)
    }

    /// Whether the bucket's own role serves the bucket, or may have to.
    pub fn may_need_own_role(&self, spec: &Spec, bucket: BucketToServe<'_>) -> bool {
        let is_served_by_other = bucket.replication.is_some_and(|it| it.role() != self.arn);
        is_served_by_other || reason_for_own_role(spec, self, bucket).is_some()
    }

    /// Refuses a replica key that the role does not grant: its alias has got another key since the role was read.
    pub(super) fn check_replica_key(&self, rule: &RuleId, key: &str) -> Result<(), Refusal> {
        if self.grants_of(rule).is_some_and(|grants| grants.replica_key == key) {
            return Ok(());
        }
        Err(Refusal::SharedRoleOutdated { role: self.name.clone(), key: key.to_owned() })
    }

    /// The statements that the role needs in the destination's account for a rule and one of its destinations. All buckets share them.
    pub(super) fn statements(
        &self,
        rule: &RuleId,
        destination: &BucketName,
    ) -> Option<SidAndStatements> {
        let sid = format!("S3KmsReplication{}", hash(&format!("{}/{rule}", self.name), 16));
        let statements = self.grants_of(rule)?.statements(&sid, &self.arn, destination);
        Some(SidAndStatements { sid, statements })
    }
}

/// The statements of a rule in policies of the destination's account, and their `Sid`.
pub(super) struct SidAndStatements {
    pub sid: String,
    pub statements: Statements,
}

/// What is known of a bucket before its own role is read.
#[derive(Debug, Clone, Copy)]
pub struct BucketToServe<'a> {
    /// The bucket's Region.
    pub region: &'a Region,
    /// Its replication configuration.
    pub replication: Option<&'a ReplicationConfiguration>,
    /// Its default encryption, if the source keys are not given.
    pub encryption: Option<&'a Encryption>,
    /// The caller, who owns the bucket.
    pub identity: &'a Identity,
}

/// Why the bucket of a rule of the policy has a role of its own all the same; `None` if the shared role serves it, unless its own role shows
/// another reason.
fn reason_for_own_role(
    spec: &Spec,
    shared: &SharedRole,
    bucket: BucketToServe<'_>,
) -> Option<String> {
    if shared.grants_of(&spec.rule.id).is_none() || shared.region != *bucket.region {
        return Some(format!("the role of all buckets serves {}", shared.region));
    }
    if spec.existing_objects.is_some() {
        return Some("its job for existing objects gets no role that other buckets use".to_owned());
    }
    if let Some(rule) = rule_beside_policy(shared, bucket.replication) {
        return Some(format!("its rule `{rule}` is not of the replication policy"));
    }
    let default_key = match (&spec.source_keys, bucket.encryption) {
        (SourceKeys::BucketDefault, Some(Encryption::Kms { key, .. })) => key.as_deref(),
        (SourceKeys::BucketDefault, Some(Encryption::S3) | None) | (SourceKeys::Given(_), _) => {
            None
        }
    };
    default_key
        .filter(|key| is_of_other_account(key, bucket.identity))
        .map(|key| format!("its default key `{key}` is of another account"))
}

/// A rule in the configuration that is not of the policy.
fn rule_beside_policy(
    shared: &SharedRole,
    replication: Option<&ReplicationConfiguration>,
) -> Option<String> {
    let rules = replication.into_iter().flat_map(ReplicationConfiguration::rules);
    let is_of_policy = |id: Option<&str>| {
        id.and_then(RuleId::parse).is_some_and(|id| shared.grants_of(&id).is_some())
    };
    let mut others = rules.filter(|rule| !is_of_policy(rule.id()));
    others.next().map(|rule| rule.id().unwrap_or("without an id").to_owned())
}

fn is_of_other_account(key: &str, identity: &Identity) -> bool {
    KeyReference::parse(key).is_ok_and(|key| *key.account() != identity.account)
}

/// Why the bucket has a role of its own, as [`reason_for_own_role`] says or its own role shows.
pub(super) fn reason(spec: &Spec, shared: &SharedRole, snapshot: &ApplySnapshot) -> Option<String> {
    let encryption = snapshot.source_keys.first().map(|(id, key)| Encryption::Kms {
        key: Some(key.as_ref().map_or_else(|| id.clone(), |key| key.arn.clone())),
        bucket_key: false,
        dual_layer: false,
    });
    let bucket = BucketToServe {
        region: &snapshot.source.location.region,
        replication: snapshot.source.replication.as_ref(),
        encryption: encryption.as_ref(),
        identity: &snapshot.identity,
    };
    reason_for_own_role(spec, shared, bucket).or_else(|| reason_of_own_role(spec, snapshot))
}

/// What the bucket's own role has that the shared role does not grant.
fn reason_of_own_role(spec: &Spec, snapshot: &ApplySnapshot) -> Option<String> {
    let own = snapshot.roles.own(&spec.rule.source)?;
    if own.policies.keys().any(|name| InlinePolicyName::is_for_job(name)) {
        return Some("a job for existing objects uses its role".to_owned());
    }
    let keys = own
        .policies
        .values()
        .filter_map(|text| RolePolicyDocument::parse(text))
        .flat_map(|document| document.source_keys());
    let mut others = keys.filter(|key| is_of_other_account(key, &snapshot.identity));
    others.next().map(|key| format!("existing objects need key `{key}` of another account"))
}

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

/// Whether the time that a tag records has passed. A value that this program does not write never has.
fn has_passed(until: &str, now: u64) -> bool {
    until.parse::<u64>().is_ok_and(|until| until <= now)
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
    super::role::repair(role, settings, trust)
}

/// Plans the removal of a bucket's own role which another role has replaced, once [`KEEP_TIME`](super::KEEP_TIME) has passed. `statements` are the
/// actions that remove the role's statements in other accounts. `now` is in seconds since the epoch.
pub fn remove_replaced_role(
    source: &BucketName,
    role: &Role,
    replication: Option<&ReplicationConfiguration>,
    statements: Vec<Action>,
    now: u64,
) -> Plan {
    let is_ours = role.tags.get(OWNER_TAG).is_some_and(|owner| owner == source.as_str());
    let is_replaced = replication.is_some_and(|replication| replication.role() != role.arn);
    if !is_ours || !is_replaced {
        return Plan::default();
    }
    match role.tags.get(KEEP_TAG) {
        Some(until) if has_passed(until, now) => {
            let roles = super::Roles { with_own_name: Some(role.clone()), serving: None };
            super::clean_up_deleted_bucket(source, &roles, Vec::new(), statements)
        }
        Some(until) if until.parse::<u64>().is_ok() => Plan::default(),
        // Nobody knows since when it is replaced.
        before => Plan::new([(
            StageName::Prepare,
            vec![Action::KeepForNow { role: role.name.clone(), before: before.cloned() }],
        )]),
    }
}

/// Refuses to let the bucket's own role serve it in place of the shared role, before the own role has the grants of the bucket's other rules.
pub(super) fn check_own_role(
    spec: &Spec,
    snapshot: &ApplySnapshot,
    own: Option<&Role>,
) -> Result<(), Refusal> {
    let has_grants = |id: &RuleId| {
        let policy = InlinePolicyName::for_rule(id);
        own.is_some_and(|role| role.policies.contains_key(policy.as_str()))
    };
    let current = snapshot.source.replication.iter();
    let ours = current
        .flat_map(ReplicationConfiguration::rules)
        .filter_map(|other| other.id().and_then(RuleId::parse));
    let lacking: Vec<String> = ours
        .filter(|id| *id != spec.rule.id && !has_grants(id))
        .map(|id| format!("`{id}`"))
        .collect();
    if lacking.is_empty() {
        return Ok(());
    }
    let (bucket, rules) = (spec.rule.source.clone(), lacking.join(", "));
    Err(Refusal::ServedBySharedRole { bucket, rules })
}
