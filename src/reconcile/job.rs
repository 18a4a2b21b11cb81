//! Jobs that replicate the objects that were there before their rules: as they are now, and when they have ended.

use super::{Coverage, Engine, Status, outcome};
use crate::cloud::{Cloud, CloudError, Identity, Job, Remedy};
use crate::error::Error;
use crate::event::JobEvent;
use crate::plan::{self, JOB_PARAMETER, Roles};
use crate::spec::{Access, Region, RoleName, RuleAddress, Spec};

impl<C: Cloud> Engine<'_, C> {
    /// The rule's job as it is now; `None` when there is none that has rights.
    pub(super) async fn job(
        &self,
        rule: &RuleAddress,
        region: &Region,
        identity: &Identity,
        roles: &Roles,
    ) -> Result<Option<Job>, CloudError> {
        let Some(id) = roles.job_with_rights(rule) else { return Ok(None) };
        self.describe_job(id, region, identity).await
    }

    async fn describe_job(&self, id: &str, region: &Region, identity: &Identity) -> Result<Option<Job>, CloudError> {
        self.cloud.job(id, region, &identity.account).await.map_err(|failure| failure.naming(Some(JOB_PARAMETER)))
    }

    /// Whether the bucket for the report on a job that is to be started is missing.
    pub(super) async fn lacks_report_bucket(&self, spec: &Spec, region: &Region, roles: &Roles) -> Result<bool, CloudError> {
        match spec.existing_objects.as_ref().filter(|_| roles.lacks_job(spec)) {
            Some(report) => Ok(self.cloud.bucket_region(&report.bucket, region, &Access::Own).await?.is_none()),
            None => Ok(false),
        }
    }

    /// Takes the rights of a job of ours away, which is said to have ended; names the bucket, too.
    ///
    /// # Errors
    /// As [`Error`] says.
    pub async fn follow_job(&self, event: &JobEvent) -> Result<(String, Coverage), Error> {
        let identity = self.identity().await?;
        let skipped = |reason: String| Ok((String::new(), Coverage::Skipped(reason)));
        if let Some(account) = event.account.as_ref().filter(|account| **account != identity.account) {
            return skipped(format!("the event is of account {account}, not of {}", identity.account));
        }
        let region = event.region.as_ref().unwrap_or(&self.settings.region);
        let job = self.in_time(self.describe_job(&event.id, region, &identity)).await?;
        let rule = job.as_ref().and_then(|job| RuleAddress::parse(&job.description));
        let Some(rule) = rule else { return skipped(format!("job `{}` is not one of ours", event.id)) };
        let plan = async |()| {
            let named_ours = self.cloud.role(&RoleName::of_source(&rule.source)).await?;
            let roles = Roles { named_ours, serving: None };
            let job = self.job(&rule, region, &identity, &roles).await?;
            let is_meant = roles.job_with_rights(&rule) == Some(&event.id);
            if let Some(job) = job.as_ref().filter(|job| is_meant && !job.has_ended()) {
                return Err(not_ended(&event.id, job).into());
            }
            Ok((plan::after_job(&rule, &roles, job.as_ref()), None))
        };
        let (plan, _) = self.converge(&rule.source, false, None, async || Ok(()), plan, None).await?;
        let ended = outcome(rule.clone(), Status::Configured, false, plan, None);
        Ok((rule.source.to_string(), Coverage::Rules(vec![(rule.id, Ok(ended))])))
    }
}

/// A job that has ended by its event, and by S3 itself has not: the event has to come again.
fn not_ended(id: &str, job: &Job) -> CloudError {
    CloudError {
        action: "DescribeJob",
        resource: format!("job `{id}`"),
        code: job.status.to_string(),
        message: "its event says that it has ended".to_owned(),
        parameter: None,
        remedy: Remedy::Later,
    }
}
