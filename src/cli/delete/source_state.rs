//! The source bucket before a deletion: what is there, what stays, and who would create the rule again.
//!
//! It must not know how a rule is deleted.

use s3_kms_replication::config::Policy;
use s3_kms_replication::error::Error;
use s3_kms_replication::model::{
    Access, Account, ApiError, BucketLocation, Identity, KeyReference, ReplicationConfiguration,
    ReplicationRule, RuleAddress, RuleId,
};
use s3_kms_replication::plan::list_rules;
use s3_kms_replication::ports::Read;

use crate::session::Session;
use crate::{FAILED, Failure};

/// The source bucket before the deletion.
pub(super) struct SourceState {
    identity: Identity,
    /// `None` when the bucket does not exist.
    bucket: Option<(BucketLocation, Option<ReplicationConfiguration>)>,
}

impl SourceState {
    pub(super) async fn read(session: &Session, rule: &RuleAddress) -> Result<Self, ApiError> {
        let Session { aws, settings } = session;
        let identity = aws.identity().await?;
        let (source, owner) = (&rule.source, &identity.account);
        let region = aws.bucket_region(source, &settings.region, owner, &Access::Own).await?;
        let Some(region) = region else {
            return Ok(Self { identity, bucket: None });
        };
        let (bucket, owner) = (rule.source.clone(), identity.account.clone());
        let location = BucketLocation { bucket, region, owner, access: Access::Own };
        let replication = aws.replication(&location).await?;
        Ok(Self { identity, bucket: Some((location, replication)) })
    }

    fn replication(&self) -> Option<&ReplicationConfiguration> {
        self.bucket.as_ref().and_then(|(_, replication)| replication.as_ref())
    }

    /// Says what there is, when there is nothing to delete.
    pub(super) fn nothing_to_delete(&self, rule: &RuleAddress) -> Failure {
        let RuleAddress { source, id } = rule;
        let message = match (&self.bucket, self.replication()) {
            (None, _) => format!("bucket `{source}` does not exist"),
            (Some(_), None) => format!("bucket `{source}` has no replication rules"),
            // The rule went away between the first read and the deletion.
            (Some(_), Some(replication)) if replication.rule(id.as_str()).is_some() => {
                format!("rule `{id}` of bucket `{source}` was deleted by someone else meanwhile")
            }
            (Some(_), Some(replication)) => {
                format!("bucket `{source}` has no rule `{id}`; it has {}", list_rules(replication))
            }
        };
        Failure {
            code: FAILED,
            error: "NotFound",
            message: format!("nothing was deleted: {message}"),
        }
    }

    /// Names the statements of the rule in other accounts that the given access does not reach.
    pub(super) fn remaining_statements(
        &self,
        rule: &RuleAddress,
        access: &Access,
    ) -> Option<String> {
        let existing = self.replication()?.rule(rule.id.as_str())?;
        let is_unreachable = |account: &Account| {
            *account != self.identity.account && access.for_account(account) == Access::Own
        };
        let bucket_owner = existing
            .destination_account()
            .and_then(|account| Account::parse(account).ok())
            .filter(is_unreachable);
        let bucket = bucket_owner.zip(destination_name(existing)).map(|(account, bucket)| {
            format!("the policy of bucket `{bucket}` in account {account}")
        });
        let key = existing
            .replica_kms_key_id()
            .and_then(|key| KeyReference::parse(key).ok())
            .filter(|key| is_unreachable(key.account()))
            .map(|key| format!("the policy of key `{key}` in account {}", key.account()));
        let places: Vec<String> = bucket.into_iter().chain(key).collect();
        (!places.is_empty()).then(|| {
            format!(
                "statement `{}` stays in {}, if it is there; only a deletion with --destination-profile or --destination-role-arn \
                 removes it, and only now: the statement can no longer be found once the rule is deleted",
                rule.sid(),
                places.join(" and in ")
            )
        })
    }

    /// Refuses to delete a rule that `policy` requests for the bucket.
    pub(super) async fn refuse_if_requested(
        &self,
        rule: &RuleAddress,
        policy: &Policy,
        session: &Session,
    ) -> Result<(), Failure> {
        let Some((location, _)) = &self.bucket else {
            return Ok(());
        };
        let (bucket, account) = (&rule.source, &self.identity.account);
        let Some(requesting) =
            policy.rules_for_name(bucket).find(|requesting| *requesting.rule_id() == rule.id)
        else {
            return Ok(());
        };
        let is_source = !policy.has_destination(bucket, account)
            || policy.replicates_back(requesting, bucket, &location.region, account);
        let has_tags = !requesting.needs_tags() || {
            let tags = session.aws.bucket_tags(location).await.map_err(Error::from)?;
            requesting.matches_tags(&tags)
        };
        if !is_source || !has_tags {
            return Ok(());
        }
        Err(Failure {
            code: FAILED,
            error: "Refused",
            message: format!(
                "--policy requests rule `{}` for bucket `{bucket}`: a function that is deployed with this policy creates the rule \
                 again at the bucket's next event or in the next walk; first take the bucket out of the rule's `Match` and deploy that",
                rule.id
            ),
        })
    }

    /// Warns of an owner that may create the rule again, by the form of the rule's name.
    pub(super) fn possible_owner(&self, rule: &RuleAddress) -> Option<String> {
        let existing = self.replication()?.rule(rule.id.as_str())?;
        if is_of_resource(&rule.id) {
            return Some(format!(
                "rule `{}` has the name of a CloudFormation resource's rule: if its stack still has the resource, delete the resource \
                 instead, since the stack believes that the rule is there",
                rule.id
            ));
        }
        let default = destination_name(existing).and_then(|bucket| RuleId::named(bucket).ok());
        (default.as_ref() != Some(&rule.id)).then(|| {
            format!(
                "if the replication policy of a deployed function has a rule of this name, the function creates `{}` again at the \
                 bucket's next event; --policy FILE checks that",
                rule.id
            )
        })
    }
}

/// The name of a rule's destination bucket.
fn destination_name(rule: &ReplicationRule) -> Option<&str> {
    rule.destination_bucket().and_then(|arn| arn.rsplit(':').next())
}

/// Whether the rule has the name that a CloudFormation resource's rule gets: `<stack>-<logical id>-<hash>`.
fn is_of_resource(id: &RuleId) -> bool {
    let name = id.as_str().split_once('.').map_or("", |(_, name)| name);
    let parts: Vec<&str> = name.rsplitn(3, '-').collect();
    let [hash, logical_id, stack] = parts.as_slice() else {
        return false;
    };
    let is_hash = hash.len() == 8
        && hash.chars().all(|digit| digit.is_ascii_digit() || ('a'..='f').contains(&digit));
    is_hash && !logical_id.is_empty() && !stack.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_resources_rules_are_recognized_and_other_names_are_not() {
        let resource = RuleId::for_resource(
            "arn:aws:cloudformation:us-east-1:111122223333:stack/my-app/6f3c",
            "Replication",
        );
        assert!(is_of_resource(&resource), "{resource}");
        for name in ["dr", "orders-replica", "orders-20261125", "a-b-1234567G", "orders-us-west-2"]
        {
            let id = RuleId::named(name).unwrap();
            assert!(!is_of_resource(&id), "{id}");
        }
    }
}
