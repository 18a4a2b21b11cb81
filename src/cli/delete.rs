//! The command that deletes a rule. It also says what would undo the deletion, what the deletion leaves in other accounts, and what
//! there is when there is nothing to delete.
//!
//! It must not know how a rule is deleted.

use s3_kms_replication::config::Policy;
use s3_kms_replication::error::Error;
use s3_kms_replication::model::{
    Access, Account, ApiError, BucketLocation, Identity, KeyReference, ReplicationConfiguration,
    ReplicationRule, RuleAddress, RuleId,
};
use s3_kms_replication::plan::{Plan, list_rules};
use s3_kms_replication::ports::Read;
use s3_kms_replication::reconcile::{self, Outcome};
use s3_kms_replication::request::Command;

use crate::options::{self, Common, Delete};
use crate::progress::Progress;
use crate::rule::{PLANNING, print_plan, print_result, wrong_command};
use crate::session::{CHANGE_TIME, Session};
use crate::{DONE, FAILED, Failure};

pub async fn delete(args: &Delete, common: &Common, progress: &Progress) -> Result<i32, Failure> {
    let settings = args.deployment.settings(common.region.as_ref())?;
    let Command::Delete { rule, access, .. } = options::command("Delete", &args.target)? else {
        return Err(wrong_command("Delete"));
    };
    let policy = options::read_policy(args.policy.as_deref())?;
    if !args.dry_run {
        args.confirmation.check(common, "--dry-run")?;
    }
    progress.print_log(true);
    let mut session = Session::new(common, settings).await?;
    let access =
        session.add_destination_profile(args.target.destination_profile.as_deref(), access).await?;
    let source = progress
        .show_during(PLANNING, SourceState::read(&session, &rule))
        .await
        .map_err(Error::from)?;
    let mut warnings = Vec::from_iter(source.remaining_statements(&rule, &access));
    match &policy {
        Some(policy) => source.refuse_if_requested(&rule, policy, &session).await?,
        None => warnings.extend(source.possible_owner(&rule)),
    }

    let remove = async |dry_run| -> Result<Outcome, reconcile::Error> {
        let engine = session.engine(CHANGE_TIME);
        let message = if dry_run { PLANNING } else { "Deleting" };
        let region = &session.settings.region;
        let outcome =
            progress.show_during(message, engine.delete(&rule, &access, region, dry_run)).await?;
        let Plan { stages, kept, warnings: of_plan } = outcome.plan;
        let warnings = of_plan.into_iter().chain(warnings.iter().cloned()).collect();
        Ok(Outcome { plan: Plan { stages, kept, warnings }, ..outcome })
    };
    let planned = if args.dry_run || !args.confirmation.is_unseen(common) {
        let planned = remove(true).await?;
        if planned.plan.is_empty() {
            return Err(source.nothing_to_delete(&rule));
        }
        Some(planned)
    } else {
        None
    };
    if let Some(planned) = planned {
        print_plan(&planned, args.confirmation.documents, common)?;
        if args.dry_run {
            return Ok(DONE);
        }
        if !args.confirmation.yes && !args.confirmation.confirm("Apply this plan?").await {
            return Ok(FAILED);
        }
    }
    let outcome = remove(false).await?;
    if outcome.plan.is_empty() {
        return Err(source.nothing_to_delete(&rule));
    }
    print_result(&outcome, common)
}

/// The source bucket before the deletion.
struct SourceState {
    identity: Identity,
    /// `None` when the bucket does not exist.
    bucket: Option<(BucketLocation, Option<ReplicationConfiguration>)>,
}

impl SourceState {
    async fn read(session: &Session, rule: &RuleAddress) -> Result<Self, ApiError> {
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
    fn nothing_to_delete(&self, rule: &RuleAddress) -> Failure {
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
    fn remaining_statements(&self, rule: &RuleAddress, access: &Access) -> Option<String> {
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
    async fn refuse_if_requested(
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
    fn possible_owner(&self, rule: &RuleAddress) -> Option<String> {
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
