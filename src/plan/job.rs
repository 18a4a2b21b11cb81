//! The job that replicates existing objects, and the rights of the replication role while the job runs.
//!
//! S3 Batch Operations assumes the role through [`trust_with_job`](crate::iam_policy::trust_with_job), with the rights of an inline policy for
//! the job. A tag of the role records a hash of the request and the job's id. S3's own records are not enough: how long S3 recognises a token
//! is not documented, and S3 deletes a job 90 days after its end. A request about a bucket without any version starts no job, and if a catch-up
//! follows, the tag records [`NO_JOB`].
//!
//! Later jobs of the same rule keep the request that the tag records: those of `Replay`, and those of catch-ups, whose time is recorded, too.
//!
//! # Guarantees
//! - The role has the trust and the policy before the job starts. The job starts after the rule is written. Trust and policy are removed after
//!   the job has ended, or when the rule is deleted. The policy is removed last: while it exists, something is left to do.
//! - A request that the tag records starts no second job.
//! - A foreign role never gets a job.
//!
//! # Caveats
//! - If the call that starts a job fails without an answer, and the request is not repeated, the job may run and is not recorded. The job fails
//!   when its role is deleted.

mod record;
mod requested;
mod rights;

use aws_sdk_s3control::types::JobStatus;

use self::record::{NO_JOB, request_hash};
pub use self::record::{NewJob, ObjectSelection, is_job_of};
pub use self::requested::{JobRequest, start_job};
use self::rights::{grant_rights, kept_rights, serves_other_job};
pub(super) use self::rights::{remove_rights, remove_tag, remove_trust};
use super::role::ServingRole;
use super::{Action, ApplySnapshot, Plan, Refusal, Roles, StageName};
use crate::model::{BucketLocation, InlinePolicyName, Job, Role, RuleAddress};
use crate::spec::{Report, Spec};

/// The part of an apply plan that concerns the rule's job.
#[derive(Debug, Default)]
pub(super) struct JobPlan {
    /// Cancels the previous job, before all other actions.
    pub cancel: Option<Action>,
    /// Whether the role has to trust S3 Batch Operations.
    pub needs_trust: bool,
    /// Grants or revokes the job's rights, once the role's trust is right.
    pub rights: Option<Action>,
    /// Starts the new job, or records that there is nothing for it, after all other actions.
    pub start: Option<Action>,
    /// The id of the recorded job.
    pub id: Option<String>,
    /// What the plan deliberately leaves as it is.
    pub kept: Option<String>,
    /// What the caller should know.
    pub warnings: Vec<String>,
}

impl JobPlan {
    pub(super) fn new(
        spec: &Spec,
        snapshot: &ApplySnapshot,
        role: &ServingRole<'_>,
    ) -> Result<Self, Refusal> {
        let existing = match role {
            ServingRole::Own { existing, .. } => *existing,
            ServingRole::Foreign(role) => match spec.existing_objects {
                Some(_) => {
                    let (bucket, role) = (spec.rule.source.clone(), role.name.clone());
                    return Err(Refusal::JobOfForeignRole { bucket, role });
                }
                None => return Ok(Self::default()),
            },
            // A bucket with a job has a role of its own.
            ServingRole::Shared { .. } => return Ok(Self::default()),
        };
        match (&spec.existing_objects, request_hash(spec)) {
            (Some(report), Some(request)) if snapshot.roles.needs_new_job(spec) => {
                if snapshot.report_missing {
                    return Err(Refusal::ReportBucketMissing { bucket: report.bucket.clone() });
                }
                let runs = snapshot.job.as_ref().is_some_and(|job| !job.has_ended());
                if snapshot.has_no_versions && !runs {
                    return Ok(Self::start_no_job(spec, snapshot, role, &request));
                }
                Ok(Self::start_new_job(spec, snapshot, role, NewRequest { report, request }))
            }
            _ => Ok(Self::keep_or_end_job(spec, snapshot, existing)),
        }
    }

    /// Replaces the previous job with a new one.
    fn start_new_job(
        spec: &Spec,
        snapshot: &ApplySnapshot,
        role: &ServingRole<'_>,
        NewRequest { report, request }: NewRequest<'_>,
    ) -> Self {
        let location = &snapshot.source.location;
        let recorded = snapshot.roles.recorded_job(&spec.rule);
        let id = recorded.and_then(|recorded| recorded.id);
        let job = NewJob {
            location: location.clone(),
            rule: spec.rule.clone(),
            prefix: spec.filter.prefix.clone(),
            selection: ObjectSelection::Unreplicated,
            report: report.clone(),
            role: role.name().clone(),
            role_arn: role.arn().to_owned(),
            request,
            previous: id.map(str::to_owned),
            caught_up: recorded.and_then(|recorded| recorded.caught_up),
        };
        Self {
            cancel: cancel(&spec.rule, location, id, snapshot.job.as_ref()),
            needs_trust: true,
            rights: grant_rights(&job, role.existing(), &snapshot.identity),
            start: Some(Action::StartJob { job: Box::new(job) }),
            ..Self::default()
        }
    }

    /// Starts no job for a request that has nothing to replicate: S3 charges for every job. What is written until S3 has noticed the rule is left to
    /// the rule's catch-up. Where none follows, the request is not recorded, so that the next one looks again.
    fn start_no_job(
        spec: &Spec,
        snapshot: &ApplySnapshot,
        role: &ServingRole<'_>,
        request: &str,
    ) -> Self {
        let bucket = &spec.rule.source;
        let nothing = format!(
            "`ReplicateExistingObjects`: bucket `{bucket}` has no objects for the rule, so no job is started"
        );
        let mut plan = Self::keep_or_end_job(spec, snapshot, role.existing());
        plan.id = None;
        if !snapshot.catch_up_follows {
            let command = spec.rule.replay_command(true);
            plan.warnings.push(format!(
                "{nothing}, and no catch-up follows: repeat the request in 15 minutes, or run `{command}`, for what is written before S3 has noticed the rule"
            ));
            return plan;
        }
        let tag = InlinePolicyName::for_job(&spec.rule.id);
        let before = role.existing().and_then(|role| role.tags.get(tag.as_str())).cloned();
        let value = format!("{request}/{NO_JOB}");
        plan.start = Some(Action::TagRole { role: role.name().clone(), tag, before, value });
        plan.kept = Some(format!(
            "{nothing}; the catch-up looks for what is written before S3 has noticed the rule"
        ));
        plan
    }

    /// Keeps the rights of a job that runs, and removes the rights of a job that has ended.
    fn keep_or_end_job(spec: &Spec, snapshot: &ApplySnapshot, existing: Option<&Role>) -> Self {
        let recorded = snapshot.roles.recorded_job(&spec.rule);
        let id = recorded.and_then(|recorded| recorded.id).map(str::to_owned);
        if let (Some(job), Some(id)) = (&snapshot.job, &id)
            && !job.has_ended()
        {
            return Self {
                needs_trust: true,
                kept: Some(kept_rights(id, job)),
                id: Some(id.clone()),
                ..Self::default()
            };
        }
        Self {
            needs_trust: existing.is_some_and(|role| serves_other_job(role, &spec.rule.id)),
            rights: existing.and_then(|role| remove_rights(role, &spec.rule.id)),
            warnings: failure_warning(id.as_deref(), snapshot.job.as_ref()).into_iter().collect(),
            id,
            ..Self::default()
        }
    }
}

/// A request for a job that is not recorded.
struct NewRequest<'a> {
    report: &'a Report,
    request: String,
}

/// Cancels the job of the rule, if it can still be cancelled. Others can write the tag that records the job, so only S3's own description shows
/// whose job it is.
pub(super) fn cancel(
    rule: &RuleAddress,
    location: &BucketLocation,
    id: Option<&str>,
    job: Option<&Job>,
) -> Option<Action> {
    let is_cancellable = |job: &&Job| is_job_of(rule, job) && job.can_be_cancelled();
    let before = job.filter(is_cancellable)?.status.to_string();
    Some(Action::CancelJob { location: location.clone(), id: id?.to_owned(), before })
}

fn failure_warning(id: Option<&str>, job: Option<&Job>) -> Option<String> {
    job.filter(|job| job.status == JobStatus::Failed).map(|_| {
        format!(
            "job `{}` has failed; S3 shows the reason, and the job's report the result for each object",
            id.unwrap_or_default()
        )
    })
}

/// Plans the removal of the job's trust and rights. The plan is empty unless `job`, the rule's job, has ended or no longer exists.
pub fn revoke_job_rights(rule: &RuleAddress, roles: &Roles, job: Option<&Job>) -> Plan {
    let id = roles.job_with_rights(rule).filter(|_| job.is_none_or(Job::has_ended));
    let (Some(role), Some(id)) = (roles.own(&rule.source), id) else {
        return Plan::default();
    };
    let actions = [remove_trust(role, &rule.id), remove_rights(role, &rule.id)];
    let mut plan = Plan::new(actions.map(|action| (StageName::Tighten, Vec::from_iter(action))));
    plan.warnings.extend(failure_warning(Some(id), job));
    plan
}
