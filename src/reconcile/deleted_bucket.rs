//! Buckets that are gone: removes what was made for them.
//!
//! It must not know how the absence was noticed.

use std::time::Duration;

use tokio::time::sleep;
use tokio::try_join;

use super::converge::{DesiredState, Planned, RequestScope};
use super::snapshot::SnapshotReader;
use super::{BucketOutcome, Engine, Error, ReconcileRequest};
use crate::config::Policy;
use crate::model::{Access, Role, RuleAddress, RuleId};
use crate::plan::{self, Plan, Roles};
use crate::ports::{Cloud, Read};

/// How long after a first answer a second one must confirm that a bucket, or its tags, are gone before anything is removed for it.
pub(super) const ABSENCE_PAUSE: Duration = Duration::from_secs(5);

impl<C: Cloud> Engine<'_, C> {
    /// Skips the bucket. Removes the bucket's role instead when the bucket is deleted and the request asks for that.
    pub(super) async fn skip_unless_gone(
        &self,
        request: &ReconcileRequest<'_>,
        reason: &str,
    ) -> Result<BucketOutcome, Error> {
        if request.remove_if_gone {
            let ReconcileRequest { bucket, expected, .. } = request;
            let owner = self.identity().await?.account;
            let region = self.cloud.bucket_region(bucket, expected, &owner, &Access::Own);
            if self.before_deadline(region).await?.is_none() {
                return self.clean_up_deleted_bucket(request).await.map(BucketOutcome::Retired);
            }
        }
        Ok(BucketOutcome::Skipped(reason.to_owned()))
    }

    /// Removes the role of a deleted source bucket, unless the bucket exists again.
    async fn clean_up_deleted_bucket(&self, request: &ReconcileRequest<'_>) -> Result<Plan, Error> {
        let policy = self.policy().await?;
        let desired = DeletedBucket { reader: self.reader(), request, policy: policy.as_deref() };
        let scope = RequestScope::new(request.bucket.as_str(), request.dry_run);
        Ok(self.converge(&scope, None, &desired).await?.plan)
    }
}

/// Removes the role of a deleted source bucket.
struct DeletedBucket<'a, R> {
    reader: SnapshotReader<'a, R>,
    request: &'a ReconcileRequest<'a>,
    policy: Option<&'a Policy>,
}

impl<R: Read> DesiredState for DeletedBucket<'_, R> {
    type FirstReads = ();

    async fn first_reads(&self) -> Result<(), Error> {
        Ok(())
    }

    fn needs_lease(&self, (): &()) -> bool {
        false
    }

    async fn read_and_plan(&self, (): ()) -> Result<Planned, Error> {
        let Self { reader, request: ReconcileRequest { bucket, expected, .. }, .. } = self;
        let is_gone = async || {
            let owner = reader.cloud.identity().await?.account;
            let region = reader.cloud.bucket_region(bucket, expected, &owner, &Access::Own).await;
            region.map(|region| region.is_none())
        };
        let (gone, with_own_name) = try_join!(is_gone(), reader.own_role(bucket))?;
        if !gone {
            return Ok(Plan::default().into());
        }
        let plan = self.clean_up(with_own_name).await?;
        // One answer is no proof: S3 may deny for a moment that a bucket exists.
        if !plan.is_empty() {
            sleep(ABSENCE_PAUSE).await;
            if !is_gone().await? {
                return Ok(Plan::default().into());
            }
        }
        Ok(plan.into())
    }
}

impl<R: Read> DeletedBucket<'_, R> {
    async fn clean_up(&self, with_own_name: Option<Role>) -> Result<Plan, Error> {
        let Self { reader, request: ReconcileRequest { bucket, expected, .. }, policy } = self;
        let policies = with_own_name.iter().flat_map(|role| role.policies.keys());
        let rules = policies.filter_map(|policy| RuleId::parse(policy));
        let alarms: Vec<String> =
            rules.map(|id| RuleAddress { source: (*bucket).clone(), id }.to_string()).collect();
        let alarms = reader.cloud.alarms(&alarms, expected).await?;
        let roles = Roles { with_own_name, serving: None };
        let statements = match policy {
            Some(policy) => reader.statements_to_remove(policy, bucket, &roles, expected).await?,
            None => Vec::new(),
        };
        Ok(plan::clean_up_deleted_bucket(bucket, &roles, alarms, statements))
    }
}
