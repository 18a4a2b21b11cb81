//! The verdict about a canary and its replica.
//!
//! It must not know why S3 does not replicate.

use super::Failure;
use crate::model::{ObjectVersion, ReplicationStatus};

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

#[cfg(test)]
mod tests {
    use super::*;

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
