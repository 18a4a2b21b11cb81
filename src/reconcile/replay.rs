//! Replay: starts a job for the objects that S3 failed to replicate.
//!
//! A rule of ours gets the job. For a foreign rule, whose role is not ours to change, it says what the role lacks for one, and changes nothing.
//! It must not know how a job is planned, or what a role's policies mean.

use super::job_of_rule::{RequestedJob, RulesOfSource};
use super::{DiagnosisReads, DiagnosisRequest, Engine, Error};
use crate::diagnose::{self, ForeignJob, ForeignJobEvidence};
use crate::model::{
    Access, BucketName, OWNER_TAG, Region, ReplicationConfiguration, ReplicationRule, RuleAddress,
    RuleId,
};
use crate::plan::{JobRequest, ObjectSelection, Plan, Refusal};
use crate::ports::Cloud;
use crate::spec::{Invalid, Report};

/// The objects of a rule to replicate once more.
#[derive(Debug, Clone, Copy)]
pub struct ReplayRequest<'a> {
    /// The source bucket.
    pub source: &'a BucketName,
    /// The rule's name, or the `ID` of a foreign rule; `None` for the bucket's only rule of ours.
    pub name: Option<&'a str>,
    /// The objects that the job replicates.
    pub selection: ObjectSelection,
    /// The place of the job's report.
    pub report: &'a Report,
    /// The Region in which the source bucket is looked up first.
    pub expected: &'a Region,
    /// Whether to plan without changing anything.
    pub dry_run: bool,
}

/// The outcome of a Replay.
#[derive(Debug)]
pub enum Replay {
    /// A rule of ours.
    Own(Box<ReplayedRule>),
    /// A foreign rule, and what its role lacks for a job. Nothing was changed.
    Foreign(Box<ForeignJob>),
}

/// The outcome for a rule of ours.
#[derive(Debug)]
pub struct ReplayedRule {
    /// The rule.
    pub rule: RuleAddress,
    /// What happened.
    pub status: ReplayStatus,
    /// The job that was started, or the one that runs; `None` when it was only planned.
    pub job_id: Option<String>,
    /// The plan that was applied, or would be.
    pub plan: Plan,
}

/// What a Replay did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub enum ReplayStatus {
    /// The request asked for the plan only.
    Planned,
    /// A job was started.
    Started,
    /// A job of the rule runs, so no other was started.
    Running,
}

impl<C: Cloud> Engine<'_, C> {
    /// Starts a job for the objects of a rule of ours, unless one runs. For a foreign rule, says what its role lacks.
    ///
    /// # Errors
    /// Any [`Error`]. A rule that does not exist, a disabled one and a report bucket that does not exist are refused before any change.
    pub async fn replay(&self, request: &ReplayRequest<'_>) -> Result<Replay, Error> {
        let ReplayRequest { source, name, selection, report, expected, dry_run } = *request;
        let found = self.before_deadline(self.reader().rules_of_source(source, expected)).await?;
        let found = found.ok_or_else(|| Refusal::SourceMissing { bucket: source.clone() })?;
        let rule = named_rule(&found, name)?;
        let own = rule.id().and_then(RuleId::parse);
        if own.is_some() && self.settings.roles.is_shared_role(found.role_arn()) {
            return Err(Refusal::JobOfSharedRole { bucket: source.clone() }.into());
        }
        let Some(id) = own.filter(|_| found.has_own_role()) else {
            return Ok(Replay::Foreign(Box::new(self.foreign_job(request, &found, rule).await?)));
        };
        let rule = RuleAddress { source: source.clone(), id };
        let job = JobRequest { rule: &rule, selection, report, caught_up: None };
        let region = &found.location.region;
        let RequestedJob { plan, id } = self.start_job_of_rule(job, region, dry_run).await?;
        let status = match (plan.is_empty(), dry_run) {
            (true, _) => ReplayStatus::Running,
            (false, true) => ReplayStatus::Planned,
            (false, false) => ReplayStatus::Started,
        };
        Ok(Replay::Own(Box::new(ReplayedRule { rule, status, job_id: id, plan })))
    }

    /// Reads what decides whether the role of a foreign rule could run a job, and why the rule fails.
    async fn foreign_job(
        &self,
        request: &ReplayRequest<'_>,
        found: &RulesOfSource,
        rule: &ReplicationRule,
    ) -> Result<ForeignJob, Error> {
        let ReplayRequest { source, selection, report, .. } = *request;
        let (location, reads) = (&found.location, DiagnosisReads::default());
        let report_region = self.cloud.bucket_region(
            &report.bucket,
            &location.region,
            &location.owner,
            &location.access,
        );
        if self.before_deadline(report_region).await?.is_none() {
            return Err(Refusal::ReportBucketMissing { bucket: report.bucket.clone() }.into());
        }
        let identity = self.identity().await?;
        let role_arn = found.role_arn();
        let role = self.role_evidence(role_arn, &identity, &reads).await;
        let diagnosis = DiagnosisRequest {
            source,
            region: &location.region,
            region_is_known: true,
            rule: rule.id(),
            sample: 0,
            ask_iam: false,
            access: &Access::Own,
        };
        let diagnosis = Box::pin(self.diagnose(&diagnosis, &reads)).await?;
        Ok(diagnose::foreign_job(&ForeignJobEvidence {
            identity: &identity,
            location,
            rule,
            role_arn,
            role: &role,
            selection,
            report,
            diagnosis: &diagnosis,
        }))
    }
}

impl RulesOfSource {
    /// ARN of the role with which the bucket replicates; empty if it does not replicate.
    pub(super) fn role_arn(&self) -> &str {
        self.replication.as_ref().map_or("", ReplicationConfiguration::role)
    }

    /// Whether the bucket replicates with a role of ours.
    pub(super) fn has_own_role(&self) -> bool {
        self.own_role.as_ref().is_some_and(|outline| {
            let tag = outline.role.tags.get(OWNER_TAG);
            let is_ours = tag.is_some_and(|bucket| bucket == self.location.bucket.as_str());
            is_ours && outline.role.arn == self.role_arn()
        })
    }
}

/// Finds the rule of ours with this name, or the rule with this `ID`; without a name, the bucket's only rule of ours.
fn named_rule<'a>(
    found: &'a RulesOfSource,
    name: Option<&str>,
) -> Result<&'a ReplicationRule, Invalid> {
    let Some(name) = name else {
        let rules = found.replication.iter().flat_map(ReplicationConfiguration::rules);
        let own = rules.filter(|rule| rule.id().and_then(RuleId::parse).is_some());
        return match own.collect::<Vec<_>>().as_slice() {
            [only] => Ok(only),
            [] => Err(invalid_name(found, "is required where no rule is ours")),
            _ => Err(invalid_name(found, "is required where several rules are ours")),
        };
    };
    let own = RuleId::named(name).ok();
    let own = own.and_then(|id| found.rule(id.as_str()));
    own.or_else(|| found.rule(name)).ok_or_else(|| invalid_name(found, &format!("is `{name}`")))
}

/// The error that says which rules there are.
fn invalid_name(found: &RulesOfSource, problem: &str) -> Invalid {
    let rules = found.replication.iter().flat_map(ReplicationConfiguration::rules);
    let ids: Vec<String> =
        rules.filter_map(ReplicationRule::id).map(|id| format!("`{id}`")).collect();
    let bucket = &found.location.bucket;
    let known = match ids.as_slice() {
        [] => format!("bucket `{bucket}` has no rule"),
        ids => format!("the rules of bucket `{bucket}` are {}", ids.join(", ")),
    };
    Invalid::new("Name", format!("{problem}; {known}"))
}
