//! The snapshot for a rule to delete.
//!
//! It must not know what is planned from the snapshot.

use tokio::time::sleep;
use tokio::try_join;

use super::super::Error;
use super::super::canary_removal::FormerRule;
use super::super::converge::{DesiredState, Planned};
use super::super::deleted_bucket::ABSENCE_PAUSE;
use super::{ReplicatedBucket, SnapshotReader, has_policy};
use crate::model::{Access, ApiError, Region, RoleOutline, RuleAddress};
use crate::plan::{self, DeleteSnapshot};
use crate::ports::Read;

/// Plans the deletion of a rule and of what was made for it.
pub(in crate::reconcile) struct DeleteRule<'a, R> {
    pub reader: SnapshotReader<'a, R>,
    pub rule: &'a RuleAddress,
    /// The credentials for the destination's account.
    pub access: &'a Access,
    /// The Region in which the source bucket is looked up first.
    pub expected: &'a Region,
}

/// The first reads for a rule to delete.
pub(in crate::reconcile) struct DeleteFirstReads {
    source: Option<ReplicatedBucket>,
    own_role: Option<RoleOutline>,
    /// Whether the rule is in the configuration or has an inline policy.
    pub is_present: bool,
}

impl<R: Read> DesiredState for DeleteRule<'_, R> {
    type FirstReads = DeleteFirstReads;

    async fn first_reads(&self) -> Result<DeleteFirstReads, Error> {
        Ok(self.reader.prefetch_delete(self.rule, self.expected).await?)
    }

    fn needs_lease(&self, _: &DeleteFirstReads) -> bool {
        true
    }

    fn deletes(&self, first_reads: &DeleteFirstReads) -> Option<FormerRule> {
        let (location, replication) = first_reads.source.as_ref()?;
        let rule = replication.as_ref()?.rule(self.rule.id.as_str())?.clone();
        Some(FormerRule { location: location.clone(), id: self.rule.id.clone(), rule })
    }

    async fn read_and_plan(&self, first_reads: DeleteFirstReads) -> Result<Planned, Error> {
        let is_gone = first_reads.source.is_none();
        let snapshot = self.reader.delete_snapshot(self, first_reads, true).await?;
        let plan = plan::delete(self.rule, &snapshot);
        // One answer is no proof: S3 may deny for a moment that a bucket exists, and its rule still needs the role.
        if is_gone && !plan.is_empty() {
            sleep(ABSENCE_PAUSE).await;
            let (cloud, source) = (self.reader.cloud, &self.rule.source);
            let owner = cloud.identity().await?.account;
            let region = cloud.bucket_region(source, self.expected, &owner, &Access::Own).await?;
            if region.is_some() {
                return Err(Error::NotVisible(source.clone()));
            }
        }
        Ok(plan.into())
    }
}

impl<R: Read> SnapshotReader<'_, R> {
    /// Makes the first round of reads before a rule is deleted.
    pub(in crate::reconcile) async fn prefetch_delete(
        &self,
        rule: &RuleAddress,
        expected: &Region,
    ) -> Result<DeleteFirstReads, ApiError> {
        let (source, own_role) = self.source_and_role(&rule.source, expected).await?;
        let replication = source.as_ref().and_then(|(_, replication)| replication.as_ref());
        let is_present =
            plan::has_rule(&rule.id, replication) || has_policy(own_role.as_ref(), &rule.id);
        Ok(DeleteFirstReads { source, own_role, is_present })
    }

    /// Reads the rest of the snapshot for deleting a rule. With `always_read_alarm`, the alarm is read even when nothing else
    /// shows that the rule exists.
    pub(in crate::reconcile) async fn delete_snapshot(
        &self,
        request: &DeleteRule<'_, R>,
        first_reads: DeleteFirstReads,
        always_read_alarm: bool,
    ) -> Result<DeleteSnapshot, Error> {
        let DeleteRule { rule, access, expected, .. } = request;
        let DeleteFirstReads { source, own_role, is_present } = first_reads;
        let replication = source.as_ref().and_then(|(_, replication)| replication.as_ref());
        let serving = replication.and_then(|replication| {
            self.other_role(replication.role(), own_role.as_ref(), &rule.source)
        });
        let region = source.as_ref().map_or(*expected, |(location, _)| &location.region);
        let may_have_alarm = always_read_alarm || is_present || serving.is_some();
        let (roles, alarm) =
            try_join!(self.roles(own_role, serving), self.alarm(rule, region, may_have_alarm))?;
        let job = async {
            match &source {
                Some(_) => self.job(rule, region, &self.cloud.identity().await?, &roles).await,
                None => Ok(None),
            }
        };
        let (resource_policies, job) =
            try_join!(self.policies_with_statements(rule, access, &roles, region), job)?;
        Ok(DeleteSnapshot { source, roles, alarm, resource_policies, job })
    }
}
