//! Jobs that replicate the objects that were there before their rules, as they are now.

use super::Engine;
use crate::cloud::{Cloud, CloudError, Identity, Job};
use crate::plan::{JOB_PARAMETER, Roles};
use crate::spec::{Access, BucketName, Region, RuleId, Spec};

impl<C: Cloud> Engine<'_, C> {
    /// The rule's job as it is now; `None` when there is none that has rights.
    pub(super) async fn job(
        &self,
        source: &BucketName,
        rule_id: &RuleId,
        region: &Region,
        identity: &Identity,
        roles: &Roles,
    ) -> Result<Option<Job>, CloudError> {
        let Some(id) = roles.job_with_rights(source, rule_id) else { return Ok(None) };
        self.cloud.job(id, region, &identity.account).await.map_err(|failure| failure.naming(Some(JOB_PARAMETER)))
    }

    /// Whether the bucket for the report on a job that is to be started is missing.
    pub(super) async fn lacks_report_bucket(&self, spec: &Spec, region: &Region, roles: &Roles) -> Result<bool, CloudError> {
        match spec.existing_objects.as_ref().filter(|_| roles.lacks_job(spec)) {
            Some(report) => Ok(self.cloud.bucket_region(&report.bucket, region, &Access::Own).await?.is_none()),
            None => Ok(false),
        }
    }
}
