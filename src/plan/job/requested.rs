//! The plan of a job for a rule that exists: for a Replay, and for a catch-up.
//!
//! It must not know why the job is wanted.

use super::super::inline_policy::check_size;
use super::super::role::repair_trust;
use super::super::{JobSnapshot, Plan, Refusal, StageName};
use super::record::{NO_JOB, hash_without_request};
use super::rights::{grant_rights, kept_rights};
use super::{Action, NewJob, ObjectSelection};
use crate::iam_policy;
use crate::model::RuleAddress;
use crate::spec::Report;

/// A job for the objects of one of our rules that exists.
#[derive(Debug, Clone, Copy)]
pub struct JobRequest<'a> {
    /// The rule.
    pub rule: &'a RuleAddress,
    /// The objects that the job replicates.
    pub selection: ObjectSelection,
    /// The place of the report.
    pub report: &'a Report,
    /// The time of the catch-up that asks for the job; `None` for a person.
    pub caught_up: Option<u64>,
}

/// Plans a job, and the trust and the rights that it needs. Also returns the id of the rule's job that runs: then the plan is empty.
///
/// # Errors
/// A [`Refusal`] if the rule is disabled, its role is not ours or the report's bucket does not exist.
pub fn start_job(
    request: &JobRequest<'_>,
    snapshot: &JobSnapshot,
) -> Result<(Plan, Option<String>), Refusal> {
    let JobRequest { rule, report, .. } = request;
    let JobSnapshot { identity, location, roles, .. } = snapshot;
    let bucket = rule.source.clone();
    if !snapshot.rule.is_enabled() {
        return Err(Refusal::RuleDisabled { bucket, rule: rule.id.clone() });
    }
    let role = roles.own(&rule.source).filter(|role| role.arn == snapshot.serving);
    let role = role.ok_or(Refusal::NoRoleForJob { bucket })?;
    let recorded = roles.recorded_job(rule);
    let recorded_id = recorded.and_then(|recorded| recorded.id).map(str::to_owned);
    if let (Some(id), Some(job)) =
        (&recorded_id, snapshot.job.as_ref().filter(|job| !job.has_ended()))
    {
        let plan = Plan { kept: vec![kept_rights(id, job)], ..Plan::default() };
        return Ok((plan, recorded_id));
    }
    if snapshot.report_missing {
        return Err(Refusal::ReportBucketMissing { bucket: report.bucket.clone() });
    }
    let request_hash = recorded.map(|recorded| recorded.request.to_owned());
    let job = NewJob {
        location: location.clone(),
        rule: (*rule).clone(),
        prefix: snapshot.rule.filter().prefix().unwrap_or_default().to_owned(),
        selection: request.selection,
        report: (*report).clone(),
        role: role.name.clone(),
        role_arn: role.arn.clone(),
        request: request_hash.unwrap_or_else(|| hash_without_request(rule)),
        // A request that found nothing to replicate is another one than this.
        previous: Some(recorded_id.unwrap_or_else(|| NO_JOB.to_owned())),
        caught_up: request.caught_up.max(recorded.and_then(|recorded| recorded.caught_up)),
    };
    let rights = grant_rights(&job, Some(role), identity);
    if let Some(Action::PutRolePolicy { policy, document, .. }) = &rights {
        check_size(&role.name, Some(&role.policies), &[(policy, document)])?;
    }
    let trust = repair_trust(role, iam_policy::trust_with_job());
    let plan = Plan::new([
        (StageName::Prepare, Vec::from_iter(trust)),
        (StageName::Grant, Vec::from_iter(rights)),
        (StageName::StartJob, vec![Action::StartJob { job: Box::new(job) }]),
    ]);
    Ok((plan, None))
}
