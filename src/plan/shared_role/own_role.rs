//! The buckets of the policy that have a role of their own all the same, and why.
//!
//! It must not know how the own role is made.

use super::SharedRole;
use crate::iam_policy::RolePolicyDocument;
use crate::model::{
    Encryption, Identity, InlinePolicyName, KeyReference, Region, ReplicationConfiguration, Role,
    RuleId,
};
use crate::plan::{ApplySnapshot, Refusal};
use crate::spec::{SourceKeys, Spec};

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
pub(super) fn reason_for_own_role(
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
pub(in crate::plan) fn reason(
    spec: &Spec,
    shared: &SharedRole,
    snapshot: &ApplySnapshot,
) -> Option<String> {
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

/// Refuses to let the bucket's own role serve it in place of the shared role, before the own role has the grants of the bucket's other rules.
pub(in crate::plan) fn check_own_role(
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
