//! A job for the objects of a rule that exists: for a Replay, and for a catch-up.
//!
//! It must not know why the job is wanted.

use tokio::try_join;

use super::converge::{DesiredState, Planned, RequestScope};
use super::snapshot::SnapshotReader;
use super::{Engine, Error};
use crate::model::{
    ApiError, BucketLocation, BucketName, Region, ReplicationConfiguration, ReplicationRule,
    RoleOutline,
};
use crate::plan::{self, JobRequest, JobSnapshot, Plan, Refusal, Roles};
use crate::ports::{Cloud, Read};

/// Starts a job for a rule of ours, unless one runs.
struct JobOfRule<'a, R> {
    reader: SnapshotReader<'a, R>,
    request: JobRequest<'a>,
    /// The Region in which the source bucket is looked up first.
    expected: &'a Region,
}

/// A source bucket that exists, with its rules and our role for it.
pub(super) struct RulesOfSource {
    pub location: BucketLocation,
    pub replication: Option<ReplicationConfiguration>,
    pub own_role: Option<RoleOutline>,
}

impl RulesOfSource {
    /// The bucket's rule with this id.
    pub fn rule(&self, id: &str) -> Option<&ReplicationRule> {
        self.replication.as_ref()?.rule(id)
    }
}

impl<R: Read> SnapshotReader<'_, R> {
    /// Reads the rules of a bucket; `None` if there is no such bucket.
    pub(super) async fn rules_of_source(
        &self,
        source: &BucketName,
        expected: &Region,
    ) -> Result<Option<RulesOfSource>, ApiError> {
        let (found, own_role) = self.source_and_role(source, expected).await?;
        Ok(found.map(|(location, replication)| RulesOfSource { location, replication, own_role }))
    }
}

impl<R: Read> DesiredState for JobOfRule<'_, R> {
    type FirstReads = Option<RulesOfSource>;

    async fn first_reads(&self) -> Result<Option<RulesOfSource>, Error> {
        Ok(self.reader.rules_of_source(&self.request.rule.source, self.expected).await?)
    }

    fn needs_lease(&self, _: &Option<RulesOfSource>) -> bool {
        false
    }

    async fn read_and_plan(&self, source: Option<RulesOfSource>) -> Result<Planned, Error> {
        let Self { reader, request, .. } = self;
        let rule = request.rule;
        let source =
            source.ok_or_else(|| Refusal::SourceMissing { bucket: rule.source.clone() })?;
        let missing = || Refusal::rule_missing(rule, source.replication.as_ref());
        let found = source.rule(rule.id.as_str()).ok_or_else(missing)?.clone();
        let serving = source.replication.map(|replication| replication.role().to_owned());
        let RulesOfSource { location, own_role, .. } = source;
        let identity = reader.cloud.identity().await?;
        let with_own_name = reader.with_policies(own_role).await?;
        let roles = Roles { with_own_name, serving: None };
        let report = reader.cloud.bucket_region(
            &request.report.bucket,
            &location.region,
            &location.owner,
            &location.access,
        );
        let job = reader.job(rule, &location.region, &identity, &roles);
        let (job, report) = try_join!(job, report)?;
        let snapshot = JobSnapshot {
            identity,
            location,
            rule: found,
            serving: serving.unwrap_or_default(),
            roles,
            job,
            report_missing: report.is_none(),
        };
        let (plan, job_id) = plan::start_job(request, &snapshot)?;
        Ok(Planned { job_id, ..Planned::from(plan) })
    }
}

/// A job that was requested for a rule.
pub(super) struct RequestedJob {
    /// The plan that was applied; empty when a job runs.
    pub plan: Plan,
    /// The job that was started, or the one that runs; `None` when only planned.
    pub id: Option<String>,
}

impl<C: Cloud> Engine<'_, C> {
    /// Starts a job for the objects of a rule of ours, unless one runs.
    pub(super) async fn start_job_of_rule(
        &self,
        request: JobRequest<'_>,
        expected: &Region,
        dry_run: bool,
    ) -> Result<RequestedJob, Error> {
        let desired = JobOfRule { reader: self.reader(), request, expected };
        let scope = RequestScope::new(request.rule.source.as_str(), dry_run);
        let Planned { plan, job_id, .. } = self.converge(&scope, None, &desired).await?;
        Ok(RequestedJob { plan, id: job_id })
    }
}
