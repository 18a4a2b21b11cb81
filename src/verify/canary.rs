//! The canary of a rule: its key, its tags and its encryption, and what an earlier canary can still show.
//!
//! It must not know how a canary is judged.

use crate::model::{
    Canary, KeyReference, ObjectVersion, ReplicationRule, ReplicationStatus, RuleAddress,
};
use crate::plan::Refusal;
use crate::spec::Filter;

/// How long after it was written a canary shows that the rule replicates now. S3 replicates most objects within this time.
const MAX_AGE: u64 = 15 * 60;

/// The canary of a rule, which is encrypted with `key`, or with the bucket's default encryption if there is no `key`.
///
/// # Errors
/// A [`Refusal`] if the canary's object key is too long for S3 because of the rule's prefix.
pub fn canary(
    address: &RuleAddress,
    rule: &ReplicationRule,
    key: Option<&KeyReference>,
) -> Result<Canary, Refusal> {
    let Filter { prefix, tags } = filter(rule);
    let too_long = |problem| Refusal::CanaryKeyTooLong { rule: address.id.clone(), problem };
    Ok(Canary {
        key: address.canary_key(&prefix).map_err(too_long)?,
        tags,
        kms_key: key.map(ToString::to_string),
    })
}

/// The object key under which version 0.1.0 wrote the canary of a rule.
pub fn former_key(address: &RuleAddress, rule: &ReplicationRule) -> String {
    address.former_canary_key(&filter(rule).prefix)
}

/// Whether two forms of a rule have the same canary, which has replicas at the same destination.
pub fn has_same_canary(one: &ReplicationRule, other: &ReplicationRule) -> bool {
    filter(one).prefix == filter(other).prefix
        && one.destination_bucket() == other.destination_bucket()
}

/// Whether a rule encrypts replicas with a KMS key, so that a canary must be KMS-encrypted to show anything about the keys.
pub fn needs_kms(rule: &ReplicationRule) -> bool {
    rule.replica_kms_key_id().is_some()
}

/// Whether a canary that an earlier request has written can still show, at the time `now`, that the rule replicates. A canary that is still
/// pending can at any age, since S3 has yet to replicate it.
pub fn is_resumable(version: &ObjectVersion, canary: &Canary, now: u64) -> bool {
    let is_encrypted = canary.kms_key.is_none() || version.kms_key.is_some();
    let is_young = version.last_modified.is_some_and(|written| now <= written + MAX_AGE);
    is_encrypted
        && match version.replication {
            Some(ReplicationStatus::Pending) => true,
            Some(ReplicationStatus::Completed | ReplicationStatus::Failed) => is_young,
            Some(ReplicationStatus::Replica) | None => false,
        }
}

/// Whether a rule may select the canary. The canary may then have a replica at the rule's destination. A filter that is not fully
/// understood may select it.
pub fn selects(rule: &ReplicationRule, canary: &Canary) -> bool {
    let prefix = rule.filter().prefix().unwrap_or_default();
    let tags = rule.filter().tags().unwrap_or_default();
    rule.is_enabled()
        && canary.key.starts_with(prefix)
        && tags.iter().all(|tag| canary.tags.get(&tag.key) == Some(&tag.value))
}

/// What a rule's filter says, as far as it is understood.
pub(super) fn filter(rule: &ReplicationRule) -> Filter {
    let tags = rule.filter().tags().unwrap_or_default();
    Filter {
        prefix: rule.filter().prefix().unwrap_or_default().to_owned(),
        tags: tags.iter().map(|tag| (tag.key.clone(), tag.value.clone())).collect(),
    }
}
