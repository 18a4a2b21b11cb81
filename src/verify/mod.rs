//! The check that a rule replicates, with a canary.
//!
//! It owns the canary's form and the verdict about it. It must not know how objects are read and how long to wait.
//! Follows <https://docs.aws.amazon.com/AmazonS3/latest/userguide/replication-status.html>.

use std::collections::BTreeSet;

use crate::iam_policy::{self, BucketInRegion, Grants, RolePolicyDocument};
use crate::model::{
    ApiError, BucketLocation, BucketName, Canary, Identity, InlinePolicyName, Key, KeyReference,
    ObjectVersion, OptionalRight, Region, ReplicationRule, ReplicationStatus, Retry, Role,
    RoleName, RuleAddress, Versioning,
};
use crate::plan::{self, Refusal};
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

/// A source key in `region` that the inline policy of a rule grants.
pub fn granted_key(address: &RuleAddress, region: &Region, role: &Role) -> Option<KeyReference> {
    let keys = granted(address, role)?.source_keys().into_iter();
    keys.filter_map(|arn| KeyReference::parse(&arn).ok()).find(|key| key.region() == region)
}

fn granted(address: &RuleAddress, role: &Role) -> Option<RolePolicyDocument> {
    RolePolicyDocument::parse(rule_policy(address, role)?)
}

/// The inline policy of a rule, under the names that it has in a role of ours and in a foreign one.
fn rule_policy<'a>(address: &RuleAddress, role: &'a Role) -> Option<&'a String> {
    let names = [
        InlinePolicyName::for_rule(&address.id),
        InlinePolicyName::for_rule_in_foreign_role(address),
        InlinePolicyName::for_rule_in_foreign_role_of_0_1_0(address),
    ];
    names.iter().find_map(|name| role.policies.get(name.as_str()))
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
fn filter(rule: &ReplicationRule) -> Filter {
    let tags = rule.filter().tags().unwrap_or_default();
    Filter {
        prefix: rule.filter().prefix().unwrap_or_default().to_owned(),
        tags: tags.iter().map(|tag| (tag.key.clone(), tag.value.clone())).collect(),
    }
}

/// Why the replication of a rule is not confirmed, as the rest of a sentence that begins with the canary's name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "each variant's message explains its fields")]
pub enum Failure {
    #[error("{0}")]
    Call(ApiError),

    #[error("S3 gives it no replication status: no rule of the bucket selects it")]
    NotSelected,

    #[error("it was removed before it was replicated")]
    Gone,

    #[error("its replication status is COMPLETED, and there is no replica")]
    NoReplica,

    #[error("the destination's object with its key is no replica")]
    NotAReplica,

    #[error("its replica is encrypted with {found}, not with the replica key `{expected}`")]
    WrongKey { expected: String, found: String },

    #[error("its replication status is FAILED: {0}")]
    NotReplicated(String),

    #[error("its replication status is still PENDING after {0} seconds")]
    StillPending(u64),
}

impl From<ApiError> for Failure {
    fn from(failure: ApiError) -> Self {
        Self::Call(failure.with_needed_right(Some(OptionalRight::Verify)))
    }
}

impl Failure {
    /// When a retry of the failed call can help; `None` if no call failed.
    pub fn retry(&self) -> Option<Retry> {
        match self {
            Self::Call(failure) => Some(failure.retry),
            Self::NotSelected
            | Self::Gone
            | Self::NoReplica
            | Self::NotAReplica
            | Self::WrongKey { .. }
            | Self::NotReplicated(_)
            | Self::StillPending(_) => None,
        }
    }
}

/// The conclusion from a canary and its replica.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The rule replicates.
    Replicates,
    /// S3 has not replicated the canary yet.
    Pending,
    /// This canary shows nothing, and a new canary may: S3 may not have applied the rule yet, or another invocation may have removed the canary.
    NeedsNewCanary(Failure),
    /// The rule does not replicate as it should.
    Fails(Failure),
    /// S3 could not replicate the canary, for an unknown reason.
    FailedInS3,
}

/// Judges a canary by its version at the source and the same version at the destination, where the rule encrypts with `replica_key`.
///
/// S3's replication status covers all destinations. Once the status is no longer pending, a replica therefore counts more than the status.
pub fn judge(
    canary: Option<&ObjectVersion>,
    replica: Option<&ObjectVersion>,
    replica_key: Option<&str>,
) -> Verdict {
    let Some(canary) = canary else {
        return Verdict::NeedsNewCanary(Failure::Gone);
    };
    match (canary.replication, replica) {
        (None | Some(ReplicationStatus::Replica), _) => {
            Verdict::NeedsNewCanary(Failure::NotSelected)
        }
        (Some(ReplicationStatus::Pending), _) => Verdict::Pending,
        (Some(ReplicationStatus::Completed), None) => Verdict::NeedsNewCanary(Failure::NoReplica),
        (Some(ReplicationStatus::Failed), None) => Verdict::FailedInS3,
        (Some(_), Some(replica)) if replica.replication != Some(ReplicationStatus::Replica) => {
            Verdict::Fails(Failure::NotAReplica)
        }
        (Some(_), Some(replica)) => match replica_key.filter(|_| canary.kms_key.is_some()) {
            Some(expected) if replica.kms_key.as_deref() != Some(expected) => {
                Verdict::Fails(Failure::WrongKey {
                    expected: expected.to_owned(),
                    found: found(canary, replica),
                })
            }
            _ => Verdict::Replicates,
        },
    }
}

fn found(canary: &ObjectVersion, replica: &ObjectVersion) -> String {
    match &replica.kms_key {
        None => "no KMS key".to_owned(),
        Some(key) if canary.kms_key.as_ref() == Some(key) => {
            format!("the source object's key `{key}`")
        }
        Some(key) => format!("`{key}`"),
    }
}

/// The state of everything that S3 needs to replicate a canary, read after S3 could not replicate one.
#[derive(Debug)]
pub struct Evidence<'a> {
    /// The account and the partition of the caller.
    pub identity: &'a Identity,
    /// The source bucket and the rule's id.
    pub address: &'a RuleAddress,
    /// The rule in the bucket's replication configuration.
    pub rule: &'a ReplicationRule,
    /// The source bucket and its versioning.
    pub source: (&'a BucketLocation, Versioning),
    /// The destination bucket and its versioning.
    pub destination: (&'a BucketLocation, Versioning),
    /// ARN and state of the key that encrypts the canary; without state if the key does not exist.
    pub source_key: Option<(&'a str, Option<Key>)>,
    /// ARN and state of the key that encrypts replicas; without state if the key does not exist.
    pub replica_key: Option<(&'a str, Option<Key>)>,
    /// ARN of the role in the replication configuration.
    pub role_arn: &'a str,
    /// That role; `None` if it does not exist.
    pub role: Option<Role>,
}

/// What is left to check when no cause is seen.
pub const NO_CAUSE: &str = "versioning, the keys' states, the role's trust policy and the rule's inline policy are right; check the policies of the keys \
     and of the destination bucket, and the role's permissions boundary";

impl Evidence<'_> {
    /// The causes of the failure, as far as the rule and what this program made for it show them.
    pub fn causes(&self) -> Vec<String> {
        [self.versioning(), self.keys(), self.role()].concat()
    }

    fn versioning(&self) -> Vec<String> {
        let off = [&self.source, &self.destination]
            .into_iter()
            .filter(|(_, versioning)| *versioning != Versioning::Enabled);
        off.map(|(location, versioning)| {
            format!("versioning of bucket `{}` is {versioning:?}", location.bucket)
        })
        .collect()
    }

    fn keys(&self) -> Vec<String> {
        let keys = [("the canary's key", &self.source_key), ("the replica key", &self.replica_key)];
        let unusable = keys.into_iter().filter_map(|(name, key)| {
            let (arn, key) = key.as_ref()?;
            plan::check_usable(name, arn, key.as_ref()).err()
        });
        unusable.map(|refusal| refusal.to_string()).collect()
    }

    fn role(&self) -> Vec<String> {
        let arn = self.role_arn;
        let Some(role) = &self.role else {
            return vec![format!("role `{arn}` does not exist")];
        };
        let mut causes = Vec::new();
        // A foreign role may have a different trust policy that also works.
        let source = &self.source.0.bucket;
        let is_own = role.name == RoleName::for_source(source)
            || Some(&role.name) == RoleName::for_source_of_0_1_0(source).as_ref();
        if is_own && !iam_policy::is_own_trust(&role.trust) {
            causes.push(format!("the trust policy of role `{arn}` was changed"));
        }
        match rule_policy(self.address, role) {
            None => causes.push(format!("role `{arn}` has no inline policy of this rule")),
            Some(policy) if !self.is_granted_by(policy) => causes.push(format!(
                "the rule's inline policy in role `{arn}` does not grant what the rule needs"
            )),
            Some(_) => {}
        }
        causes
    }

    /// Whether an inline policy grants what the rule needs to replicate the canary.
    fn is_granted_by(&self, policy: &str) -> bool {
        let Some(policy) = RolePolicyDocument::parse(policy) else {
            return false;
        };
        // A rule without KMS does not have the replica key that its policy was made for, so the policy cannot be compared.
        let Some((replica_key, _)) = self.replica_key else {
            return true;
        };
        let mut source_keys: BTreeSet<String> = policy.source_keys();
        source_keys.extend(self.source_key.as_ref().map(|(arn, _)| (*arn).to_owned()));
        let needed = Grants {
            partition: self.identity.partition,
            source: bucket_in_region(self.source.0),
            destination: bucket_in_region(self.destination.0),
            destination_account: &self.destination.0.owner,
            prefix: &filter(self.rule).prefix,
            source_keys: &source_keys,
            replica_key,
            object_lock: false,
            owner_override: self.rule.overrides_owner(),
        };
        policy.covers(&needed.document())
    }
}

fn bucket_in_region(location: &BucketLocation) -> BucketInRegion<'_> {
    BucketInRegion { bucket: &location.bucket, region: &location.region }
}

/// The destination bucket of a rule, and the key that encrypts its replicas.
///
/// # Errors
/// A [`Refusal`] if the rule names no valid bucket.
pub fn destination(rule: &ReplicationRule) -> Result<(BucketName, Option<&str>), Refusal> {
    let bucket = rule
        .destination_bucket()
        .ok_or_else(|| Refusal::IncompleteRule("`Destination`".to_owned()))?;
    match BucketName::parse_name_or_arn(bucket) {
        Ok(bucket) => Ok((bucket, rule.replica_kms_key_id())),
        Err(problem) => {
            Err(Refusal::IncompleteRule(format!("a `Destination` whose `Bucket` {problem}")))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::model::RuleId;

    #[test]
    fn a_granted_key_is_found_under_every_name_of_the_inline_policy() {
        let source = BucketName::parse("demo-source").unwrap();
        let rule = RuleAddress { source, id: RuleId::named("dr").unwrap() };
        let key = "arn:aws:kms:us-east-1:111122223333:key/source";
        let policy = format!(
            r#"{{"Version":"2012-10-17","Statement":[{{"Sid":"DecryptSourceObjects","Effect":"Allow","Action":"kms:Decrypt","Resource":"{key}"}}]}}"#
        );
        for name in [
            InlinePolicyName::for_rule(&rule.id),
            InlinePolicyName::for_rule_in_foreign_role(&rule),
            InlinePolicyName::for_rule_in_foreign_role_of_0_1_0(&rule),
        ] {
            let role = Role {
                name: RoleName::for_source(&rule.source),
                arn: String::new(),
                trust: String::new(),
                boundary: None,
                tags: BTreeMap::new(),
                policies: BTreeMap::from([(name.to_string(), policy.clone())]),
                attached: Vec::new(),
            };
            let region = Region::parse("us-east-1").unwrap();
            let found = granted_key(&rule, &region, &role).map(|key| key.to_string());
            assert_eq!(found.as_deref(), Some(key), "{name}");
        }
    }

    #[test]
    fn a_verdict_depends_on_the_status_and_the_replica() {
        let version = |replication, key: Option<&str>| ObjectVersion {
            replication,
            kms_key: key.map(str::to_owned),
            last_modified: None,
        };
        let canary = |replication| version(Some(replication), Some("source"));
        let replica = |key| version(Some(ReplicationStatus::Replica), key);
        let wrong = |found: &str| {
            Verdict::Fails(Failure::WrongKey {
                expected: "replica".to_owned(),
                found: found.to_owned(),
            })
        };
        for (at_source, at_destination, verdict) in [
            (None, None, Verdict::NeedsNewCanary(Failure::Gone)),
            (
                Some(version(None, Some("source"))),
                None,
                Verdict::NeedsNewCanary(Failure::NotSelected),
            ),
            (
                Some(canary(ReplicationStatus::Replica)),
                None,
                Verdict::NeedsNewCanary(Failure::NotSelected),
            ),
            (Some(canary(ReplicationStatus::Pending)), None, Verdict::Pending),
            (
                Some(canary(ReplicationStatus::Pending)),
                Some(replica(Some("replica"))),
                Verdict::Pending,
            ),
            (
                Some(canary(ReplicationStatus::Completed)),
                None,
                Verdict::NeedsNewCanary(Failure::NoReplica),
            ),
            (
                Some(canary(ReplicationStatus::Completed)),
                Some(canary(ReplicationStatus::Completed)),
                Verdict::Fails(Failure::NotAReplica),
            ),
            (
                Some(canary(ReplicationStatus::Completed)),
                Some(replica(Some("replica"))),
                Verdict::Replicates,
            ),
            (
                Some(canary(ReplicationStatus::Completed)),
                Some(replica(Some("other"))),
                wrong("`other`"),
            ),
            (
                Some(canary(ReplicationStatus::Completed)),
                Some(replica(Some("source"))),
                wrong("the source object's key `source`"),
            ),
            (Some(canary(ReplicationStatus::Completed)), Some(replica(None)), wrong("no KMS key")),
            // The rule's key does not encrypt the replica of an object without KMS.
            (
                Some(version(Some(ReplicationStatus::Completed), None)),
                Some(replica(None)),
                Verdict::Replicates,
            ),
            (Some(canary(ReplicationStatus::Failed)), None, Verdict::FailedInS3),
            // Replication failed only at another destination.
            (
                Some(canary(ReplicationStatus::Failed)),
                Some(replica(Some("replica"))),
                Verdict::Replicates,
            ),
        ] {
            assert_eq!(
                judge(at_source.as_ref(), at_destination.as_ref(), Some("replica")),
                verdict,
                "{at_source:?}, {at_destination:?}"
            );
        }
    }
}
