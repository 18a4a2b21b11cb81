//! Jobs that replicate objects which existed before their rule.
//!
//! It reads the state of jobs, and removes a job's permissions after its end. It must not know when a job is started:
//! [`crate::plan`] decides that.

use super::converge::{DesiredState, Planned, RequestScope};
use super::snapshot::SnapshotReader;
use super::{BucketOutcome, Engine, Error, RuleOutcome, Status};
use crate::model::{
    Access, Account, ApiError, BucketLocation, Identity, Job, OptionalRight, Region, Retry,
    RuleAddress,
};
use crate::plan::{self, Plan, Roles};
use crate::ports::{Cloud, Read};
use crate::spec::Spec;

impl<R: Read> SnapshotReader<'_, R> {
    /// Reads the rule's job; `None` unless the rule's role grants a job permissions and that job exists. A job that was not started for
    /// the rule is none of its jobs, whatever the role's tag records.
    pub(super) async fn job(
        &self,
        rule: &RuleAddress,
        region: &Region,
        identity: &Identity,
        roles: &Roles,
    ) -> Result<Option<Job>, ApiError> {
        let Some(id) = roles.job_with_rights(rule) else {
            return Ok(None);
        };
        let job = self.describe_job(id, region, identity).await?;
        Ok(job.filter(|job| plan::is_job_of(rule, job)))
    }

    async fn describe_job(
        &self,
        id: &str,
        region: &Region,
        identity: &Identity,
    ) -> Result<Option<Job>, ApiError> {
        let job = self.cloud.job(id, region, &identity.account).await;
        job.map_err(|failure| {
            failure.with_needed_right(Some(OptionalRight::ReplicateExistingObjects))
        })
    }

    /// Reads whether the report bucket of a job to start is missing; `false` when no job is to be started.
    pub(super) async fn lacks_report_bucket(
        &self,
        spec: &Spec,
        source: &BucketLocation,
        roles: &Roles,
    ) -> Result<bool, ApiError> {
        match spec.existing_objects.as_ref().filter(|_| roles.needs_new_job(spec)) {
            Some(report) => {
                let BucketLocation { region, owner, access, .. } = source;
                let found = self.cloud.bucket_region(&report.bucket, region, owner, access).await?;
                Ok(found.is_none())
            }
            None => Ok(false),
        }
    }

    /// Reads whether a job to start has nothing to replicate; `false` when no job is to be started, and when AWS denies the list: then the
    /// job finds out.
    pub(super) async fn has_no_versions_for_job(
        &self,
        spec: &Spec,
        source: &BucketLocation,
        roles: &Roles,
    ) -> Result<bool, ApiError> {
        if !roles.needs_new_job(spec) {
            return Ok(false);
        }
        match self.cloud.versions_page(source, &spec.filter.prefix, None, 1).await {
            Ok(page) => Ok(page.is_empty()),
            Err(failure) if failure.is_denied() => Ok(false),
            Err(failure) => Err(failure),
        }
    }
}

impl<C: Cloud> Engine<'_, C> {
    /// Removes the permissions of the job with this id, if it is ours and has ended. `region` and `account` are the event's, if it
    /// names them. Also returns the name of the source bucket; it is empty when the event is skipped.
    ///
    /// # Errors
    /// Any [`Error`].
    pub async fn handle_job_end(
        &self,
        id: &str,
        region: Option<&Region>,
        account: Option<&Account>,
    ) -> Result<(String, BucketOutcome), Error> {
        let identity = self.identity().await?;
        let skip = |reason: String| Ok((String::new(), BucketOutcome::Skipped(reason)));
        if let Some(account) = account.filter(|account| **account != identity.account) {
            return skip(format!("the event is of account {account}, not of {}", identity.account));
        }
        let region = region.unwrap_or(&self.settings.region);
        let job = self.before_deadline(self.reader().describe_job(id, region, &identity)).await?;
        let rule = job.as_ref().and_then(|job| RuleAddress::parse(&job.description));
        let Some(rule) = rule else {
            return skip(format!("job `{id}` was not started by s3-kms-replication"));
        };
        // S3 starts the jobs of a rule in the Region of its bucket: another Region does not know them.
        let owner = &identity.account;
        let bucket_region = self.cloud.bucket_region(&rule.source, region, owner, &Access::Own);
        let bucket_region = self.before_deadline(bucket_region).await?;
        if let Some(found) = bucket_region.as_ref().filter(|found| *found != region) {
            let bucket = &rule.source;
            return skip(format!(
                "job `{id}` is in {region}, and bucket `{bucket}` of its description is in {found}"
            ));
        }
        let desired = EndedJob {
            reader: self.reader(),
            id,
            rule: &rule,
            region,
            identity: &identity,
            is_region_known: bucket_region.is_some(),
        };
        let scope = RequestScope::new(rule.source.as_str(), false);
        let planned = self.converge(&scope, None, &desired).await?;
        let outcome = planned.into_outcome(rule.clone(), Status::Configured, false);
        let source = rule.source.to_string();
        Ok((source, BucketOutcome::Rules(vec![RuleOutcome::new(rule, Ok(outcome))])))
    }
}

/// Removes the permissions of a job that has ended.
struct EndedJob<'a, R> {
    reader: SnapshotReader<'a, R>,
    id: &'a str,
    rule: &'a RuleAddress,
    region: &'a Region,
    identity: &'a Identity,
    /// Whether the Region is that of the rule's bucket. The Region of a bucket that is gone is unknown.
    is_region_known: bool,
}

impl<R: Read> DesiredState for EndedJob<'_, R> {
    type FirstReads = ();

    async fn first_reads(&self) -> Result<(), Error> {
        Ok(())
    }

    fn needs_lease(&self, (): &()) -> bool {
        false
    }

    async fn read_and_plan(&self, (): ()) -> Result<Planned, Error> {
        let Self { reader, id, rule, region, identity, is_region_known } = self;
        let with_own_name = reader.own_role(&rule.source).await?;
        let roles = Roles { with_own_name, serving: None };
        let is_job_of_event = roles.job_with_rights(rule) == Some(*id);
        if !is_region_known && !is_job_of_event {
            return Ok(Plan::default().into());
        }
        let job = reader.job(rule, region, identity, &roles).await?;
        if let Some(job) = job.as_ref().filter(|job| is_job_of_event && !job.has_ended()) {
            return Err(not_ended(id, job).into());
        }
        Ok(plan::revoke_job_rights(rule, &roles, job.as_ref()).into())
    }
}

/// The error for a job that S3 does not report as ended although its event does. The event must be delivered again.
fn not_ended(id: &str, job: &Job) -> ApiError {
    ApiError {
        operation: "DescribeJob",
        resource: format!("job `{id}`"),
        code: job.status.to_string(),
        message: "the event says that the job has ended, but S3 reports that it has not".to_owned(),
        missing_right: None,
        retry: Retry::NextInvocation,
    }
}
