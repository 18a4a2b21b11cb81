//! The proof that a rule replicates, by way of one object of ours: what that object is, and what it means that becomes of it. Pure.
//!
//! Follows <https://docs.aws.amazon.com/AmazonS3/latest/userguide/replication-status.html>.

use std::collections::BTreeSet;

use crate::iam_policy::{self, BucketInRegion, Grants, PolicyDocument};
use crate::model::{
    ApiError, BucketName, Canary, Identity, Key, KeyReference, Location, ObjectVersion, PolicyName,
    Replication, ReplicationRule, Retry, Role, RoleName, RuleAddress, RuleId, Versioning,
};
use crate::plan::{self, Refusal};
use crate::spec::Filter;

/// The template's parameter that gives the function the rights on canaries.
pub const PARAMETER: &str = "AllowVerify";

/// The canary of a rule, encrypted with `key` or else as the bucket encrypts.
///
/// # Errors
/// A [`Refusal`] when the rule's prefix leaves no room for the canary's key.
pub fn canary(
    rule_id: &RuleId,
    rule: &ReplicationRule,
    key: Option<&KeyReference>,
) -> Result<Canary, Refusal> {
    let Filter { prefix, tags } = filter(rule);
    let too_long = |problem| Refusal::CanaryKeyTooLong { rule: rule_id.clone(), problem };
    Ok(Canary {
        key: rule_id.canary_key(&prefix).map_err(too_long)?,
        tags,
        kms_key: key.map(ToString::to_string),
    })
}

/// Whether a rule may select the canary, so that there may be a replica at the rule's destination. A filter that is not fully
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

/// Why a rule is not known to replicate; follows the canary's name in a sentence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "each variant's message says what its fields are")]
pub enum Failure {
    #[error("{0}")]
    Call(ApiError),

    #[error("S3 gives it no replication status: no rule of the bucket selects it")]
    NotSelected,

    #[error("it was removed before it was replicated")]
    Gone,

    #[error("its replication status is COMPLETED, and there is no replica")]
    NoReplica,

    #[error("what is in its place at the destination is no replica")]
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
        Self::Call(failure.naming(Some(PARAMETER)))
    }
}

impl Failure {
    /// What helps against the failed call, when it was one.
    pub fn retry(&self) -> Option<Retry> {
        match self {
            Self::Call(failure) => Some(failure.retry),
            _ => None,
        }
    }
}

/// What a canary and its replica, as they were seen, mean for the rule.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It replicates.
    Replicates,
    /// It is not known yet.
    Pending,
    /// This canary will not tell; another may, since S3 may not have noticed the rule, or another invocation may have removed the canary.
    Another(Failure),
    /// It does not replicate as it should.
    Fails(Failure),
    /// S3 could not replicate it, and does not say why.
    Refused,
}

/// Judges a canary by its version at the source and the same one at the destination, where the rule encrypts with `replica_key`.
///
/// S3's status is about all destinations, so it is the replica that decides once it is neither absent nor pending.
pub fn judge(
    canary: Option<&ObjectVersion>,
    replica: Option<&ObjectVersion>,
    replica_key: Option<&str>,
) -> Verdict {
    let Some(canary) = canary else {
        return Verdict::Another(Failure::Gone);
    };
    match (canary.replication, replica) {
        (None | Some(Replication::Replica), _) => Verdict::Another(Failure::NotSelected),
        (Some(Replication::Pending), _) => Verdict::Pending,
        (Some(Replication::Completed), None) => Verdict::Another(Failure::NoReplica),
        (Some(Replication::Failed), None) => Verdict::Refused,
        (Some(_), Some(replica)) if replica.replication != Some(Replication::Replica) => {
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

/// All that S3 needs to replicate a canary, as it was found after S3 could not.
#[derive(Debug)]
pub struct Evidence<'a> {
    /// Whose credentials are in use.
    pub identity: &'a Identity,
    /// The rule's id, and its source bucket.
    pub address: &'a RuleAddress,
    /// The rule, as S3 has it.
    pub rule: &'a ReplicationRule,
    /// The source bucket and its versioning.
    pub source: (&'a Location, Versioning),
    /// The destination bucket and its versioning.
    pub destination: (&'a Location, Versioning),
    /// The key that encrypts the canary, by its ARN and as found.
    pub source_key: Option<(&'a str, Option<Key>)>,
    /// The key for replicas, by its ARN and as found.
    pub replica_key: Option<(&'a str, Option<Key>)>,
    /// ARN of the role that the configuration names.
    pub role_arn: &'a str,
    /// That role.
    pub role: Option<Role>,
}

impl Evidence<'_> {
    /// Says what is wrong, a part of a sentence each; or, when nothing is, where else to look.
    pub fn report(&self) -> String {
        let causes = [self.versioning(), self.keys(), self.role()].concat();
        if causes.is_empty() {
            return "versioning, the keys' states, the role's trust and the rule's policy in it are right; what is left are the policies of the keys \
                    and of the destination bucket, and the role's permissions boundary"
                .to_owned();
        }
        causes.join("; ")
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
        let unusable = keys.into_iter().filter_map(|(what, key)| {
            let (asked, key) = key.as_ref()?;
            plan::usable_key(what, asked, key.as_ref()).err()
        });
        unusable.map(|refusal| refusal.to_string()).collect()
    }

    fn role(&self) -> Vec<String> {
        let arn = self.role_arn;
        let Some(role) = &self.role else {
            return vec![format!("role `{arn}` does not exist")];
        };
        let mut causes = Vec::new();
        // A role of others may be trusted in other words.
        let is_ours = role.name == RoleName::of_source(&self.source.0.bucket);
        let trusts = PolicyDocument::parse(&role.trust);
        if is_ours
            && ![iam_policy::trust(), iam_policy::trust_with_job()].map(Some).contains(&trusts)
        {
            causes.push(format!("the trust policy of role `{arn}` was changed"));
        }
        let names =
            [PolicyName::of_rule(&self.address.id), PolicyName::in_foreign_role(self.address)];
        match names.iter().find_map(|name| role.policies.get(name.as_str())) {
            None => causes.push(format!("role `{arn}` has no inline policy of this rule")),
            Some(policy) if !self.suffices(policy) => causes.push(format!(
                "the rule's inline policy in role `{arn}` does not grant what it needs"
            )),
            Some(_) => {}
        }
        causes
    }

    /// Whether a policy grants what this rule needs for this canary.
    fn suffices(&self, policy: &str) -> bool {
        let Some(policy) = PolicyDocument::parse(policy) else {
            return false;
        };
        // A rule without KMS does not say which replica key its policy was made for.
        let Some((replica_key, _)) = self.replica_key else {
            return true;
        };
        let mut source_keys: BTreeSet<String> = policy.source_keys();
        source_keys.extend(self.source_key.as_ref().map(|(arn, _)| (*arn).to_owned()));
        let needed = Grants {
            partition: self.identity.partition,
            source: place(self.source.0),
            destination: place(self.destination.0),
            prefix: &filter(self.rule).prefix,
            source_keys: &source_keys,
            replica_key,
            object_lock: false,
            owner_override: self.rule.overrides_owner(),
        };
        policy.covers(&needed.document())
    }
}

fn place(location: &Location) -> BucketInRegion<'_> {
    BucketInRegion { bucket: &location.bucket, region: &location.region }
}

/// The bucket that a rule replicates to, and the key that it encrypts replicas with.
///
/// # Errors
/// A [`Refusal`] when the rule names no bucket.
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
    use super::*;

    #[test]
    fn s3s_status_and_the_replica_decide_together() {
        let version = |replication, key: Option<&str>| ObjectVersion {
            replication,
            kms_key: key.map(str::to_owned),
        };
        let canary = |replication| version(Some(replication), Some("source"));
        let replica = |key| version(Some(Replication::Replica), key);
        let wrong = |found: &str| {
            Verdict::Fails(Failure::WrongKey {
                expected: "replica".to_owned(),
                found: found.to_owned(),
            })
        };
        for (seen, at_destination, verdict) in [
            (None, None, Verdict::Another(Failure::Gone)),
            (Some(version(None, Some("source"))), None, Verdict::Another(Failure::NotSelected)),
            (Some(canary(Replication::Replica)), None, Verdict::Another(Failure::NotSelected)),
            (Some(canary(Replication::Pending)), None, Verdict::Pending),
            (Some(canary(Replication::Pending)), Some(replica(Some("replica"))), Verdict::Pending),
            (Some(canary(Replication::Completed)), None, Verdict::Another(Failure::NoReplica)),
            (
                Some(canary(Replication::Completed)),
                Some(canary(Replication::Completed)),
                Verdict::Fails(Failure::NotAReplica),
            ),
            (
                Some(canary(Replication::Completed)),
                Some(replica(Some("replica"))),
                Verdict::Replicates,
            ),
            (Some(canary(Replication::Completed)), Some(replica(Some("other"))), wrong("`other`")),
            (
                Some(canary(Replication::Completed)),
                Some(replica(Some("source"))),
                wrong("the source object's key `source`"),
            ),
            (Some(canary(Replication::Completed)), Some(replica(None)), wrong("no KMS key")),
            // An object without KMS stays one: the rule's key is not for it.
            (
                Some(version(Some(Replication::Completed), None)),
                Some(replica(None)),
                Verdict::Replicates,
            ),
            (Some(canary(Replication::Failed)), None, Verdict::Refused),
            // Failed at another destination.
            (
                Some(canary(Replication::Failed)),
                Some(replica(Some("replica"))),
                Verdict::Replicates,
            ),
        ] {
            assert_eq!(
                judge(seen.as_ref(), at_destination.as_ref(), Some("replica")),
                verdict,
                "{seen:?}, {at_destination:?}"
            );
        }
    }
}
