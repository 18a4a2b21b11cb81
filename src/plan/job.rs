//! The job that replicates existing objects, and the rights of the replication role while the job runs.
//!
//! S3 Batch Operations assumes the role through [`iam_policy::trust_with_job`], with the rights of an inline policy for the job. A tag of the role
//! records a hash of the request and the job's id. S3's own records are not enough: how long S3 recognises a token is not documented, and S3
//! deletes a job 90 days after its end. A request about a bucket without any version starts no job, and if a catch-up follows, the tag records
//! [`NO_JOB`].
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

use aws_sdk_s3control::types::JobStatus;

use super::role::{ServingRole, check_size};
use super::{Action, ApplySnapshot, JobSnapshot, Plan, Refusal, Roles, StageName};
use crate::iam_policy::{self, RolePolicyDocument};
use crate::model::{
    BucketLocation, Identity, InlinePolicyName, Job, Role, RoleName, RuleAddress, RuleId, hash,
};
use crate::spec::{Report, Spec};

/// Digits of the hash of a request.
const REQUEST_LENGTH: usize = 32;

/// S3's limits for the length of a job's id.
const JOB_ID_LENGTHS: std::ops::RangeInclusive<usize> = 5..=36;

/// S3's limit for a token, and the number of digits of a SHA-256.
const TOKEN_LENGTH: usize = 64;

/// What the tag has instead of a job's id, when there was nothing to replicate. It is too short for an id.
const NO_JOB: &str = "none";

/// The objects that a job replicates, by S3's replication status of their versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ObjectSelection {
    /// Those that no rule has selected, which are older than the rule or came before S3 noticed it; and those that S3 failed to replicate.
    Unreplicated,
    /// Those that S3 failed to replicate.
    Failed,
}

/// A job to be started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewJob {
    /// The source bucket.
    pub location: BucketLocation,
    /// The rule that replicates the objects.
    pub rule: RuleAddress,
    /// The rule's prefix; empty for all objects.
    pub prefix: String,
    /// The objects that it replicates.
    pub selection: ObjectSelection,
    /// The place of the report.
    pub report: Report,
    /// Our role, which S3 Batch Operations assumes and whose tag records the job.
    pub role: RoleName,
    /// ARN of that role.
    pub role_arn: String,
    /// The hash of the request.
    request: String,
    /// The id of the recorded job, which a different request started.
    previous: Option<String>,
    /// The time of the latest catch-up that has started a job.
    caught_up: Option<u64>,
}

impl NewJob {
    /// The job's description: the address of the rule.
    pub fn description(&self) -> String {
        self.rule.to_string()
    }

    /// The token by which S3 recognises a repeated request: a token with another job is an error, or no new job. So it differs if anything of the
    /// job does, if the role, which has the id `role_id`, was created again, or if another request came between two equal ones.
    pub fn token(&self, role_id: &str) -> String {
        let previous = self.previous.as_deref().unwrap_or_default();
        let selection = match self.selection {
            ObjectSelection::Unreplicated => "unreplicated",
            ObjectSelection::Failed => "failed",
        };
        let Report { bucket, prefix } = &self.report;
        let job = [selection, &self.prefix, bucket.as_str(), prefix];
        let parts = [self.request.as_str(), role_id, previous].into_iter().chain(job);
        hash(&unambiguous(parts), TOKEN_LENGTH)
    }

    /// Key and value of the tag that records the job with this id.
    pub fn tag(&self, id: &str) -> (InlinePolicyName, String) {
        let caught_up = self.caught_up.map(|time| format!("/{time}")).unwrap_or_default();
        (InlinePolicyName::for_job(&self.rule.id), format!("{}/{id}{caught_up}", self.request))
    }
}

/// What the tag of our role records of a rule's jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct RecordedJob<'a> {
    /// The hash of the request.
    request: &'a str,
    /// The id of the latest job; `None` if there was nothing to replicate.
    id: Option<&'a str>,
    /// The time of the latest catch-up that has started a job, in seconds since the epoch.
    caught_up: Option<u64>,
}

impl<'a> RecordedJob<'a> {
    /// Reads the tag's value. Others can write the tag, too: a value that this program does not write records no job.
    fn parse(tag: &'a str) -> Option<Self> {
        let mut parts = tag.splitn(3, '/');
        let (request, id) = (parts.next()?, parts.next()?);
        let caught_up = parts.next().map(str::parse).transpose().ok()?;
        let is_hash = request.len() == REQUEST_LENGTH
            && request.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
        let id = Some(id).filter(|id| *id != NO_JOB);
        (is_hash && id.is_none_or(is_job_id)).then_some(Self { request, id, caught_up })
    }
}

/// The hash of the request to replicate existing objects; `None` if there is no such request.
fn request_hash(spec: &Spec) -> Option<String> {
    let Report { bucket, prefix } = spec.existing_objects.as_ref()?;
    let tags = spec.filter.tags.iter().flat_map(|(key, value)| [key.as_str(), value]);
    let parts = [
        spec.rule.source.as_str(),
        spec.rule.id.as_str(),
        spec.destination.as_str(),
        spec.replica_key.as_str(),
        bucket.as_str(),
        prefix,
    ]
    .into_iter()
    .chain([spec.filter.prefix.as_str()])
    .chain(tags);
    Some(hash_of(parts))
}

/// The hash that the tag records for a rule whose existing objects no request has asked for. It differs from every [`request_hash`].
fn hash_without_request(rule: &RuleAddress) -> String {
    hash_of([rule.source.as_str(), rule.id.as_str()].into_iter())
}

/// A hash of texts.
fn hash_of<'a>(parts: impl Iterator<Item = &'a str>) -> String {
    hash(&unambiguous(parts), REQUEST_LENGTH)
}

/// Texts one after the other. Their lengths make the concatenation unambiguous.
fn unambiguous<'a>(parts: impl Iterator<Item = &'a str>) -> String {
    parts.map(|part| format!("{} {part}", part.len())).collect()
}

impl Roles {
    /// What the tag of our role records of the rule's jobs.
    fn recorded_job(&self, rule: &RuleAddress) -> Option<RecordedJob<'_>> {
        let tag = self.own(&rule.source)?.tags.get(InlinePolicyName::for_job(&rule.id).as_str())?;
        RecordedJob::parse(tag)
    }

    /// Whether a job was started by the catch-up of this time, or by a later one.
    pub fn has_caught_up(&self, rule: &RuleAddress, time: u64) -> bool {
        let caught_up = self.recorded_job(rule).and_then(|recorded| recorded.caught_up);
        caught_up.is_some_and(|latest| latest >= time)
    }

    /// Whether a request has asked to replicate the rule's existing objects.
    pub fn asks_for_job(&self, rule: &RuleAddress) -> bool {
        let recorded = self.recorded_job(rule);
        recorded.is_some_and(|recorded| recorded.request != hash_without_request(rule))
    }

    /// Whether a job was started for the rule's existing objects.
    pub fn has_had_job(&self, rule: &RuleAddress) -> bool {
        let has_id = self.recorded_job(rule).is_some_and(|recorded| recorded.id.is_some());
        has_id && self.asks_for_job(rule)
    }

    /// The id of the rule's job, while the job has rights.
    pub fn job_with_rights(&self, rule: &RuleAddress) -> Option<&str> {
        let has_rights = self
            .own(&rule.source)?
            .policies
            .contains_key(InlinePolicyName::for_job(&rule.id).as_str());
        self.recorded_job(rule).filter(|_| has_rights).and_then(|recorded| recorded.id)
    }

    /// Whether `spec` requests a job that the tag does not record.
    pub fn needs_new_job(&self, spec: &Spec) -> bool {
        request_hash(spec).is_some_and(|request| {
            self.recorded_job(&spec.rule).is_none_or(|recorded| recorded.request != request)
        })
    }
}

/// Whether a text has the form of a job's id. Follows <https://docs.aws.amazon.com/AmazonS3/latest/API/API_control_DescribeJob.html>.
fn is_job_id(text: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    JOB_ID_LENGTHS.contains(&text.len()) && text.bytes().all(is_allowed)
}

/// Whether a job was started for the rule.
pub fn is_job_of(rule: &RuleAddress, job: &Job) -> bool {
    job.description == rule.to_string()
}

/// Whether the role has the rights of another rule's job.
fn serves_other_job(role: &Role, rule_id: &RuleId) -> bool {
    let own = InlinePolicyName::for_job(rule_id);
    role.policies.keys().any(|name| InlinePolicyName::is_for_job(name) && name != own.as_str())
}

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

/// The note on the rights of a job that runs.
fn kept_rights(id: &str, job: &Job) -> String {
    format!(
        "the rights of job `{id}`, which is {}: they are removed when the job has ended",
        job.status
    )
}

/// Grants the job's rights to its role, unless the role has them.
fn grant_rights(job: &NewJob, role: Option<&Role>, identity: &Identity) -> Option<Action> {
    let policy = InlinePolicyName::for_job(&job.rule.id);
    let NewJob { rule, prefix, report, .. } = job;
    let document = iam_policy::job_document(identity.partition, &rule.source, prefix, report);
    let before = role.and_then(|role| role.policies.get(policy.as_str())).cloned();
    let is_right =
        before.as_deref().and_then(RolePolicyDocument::parse).as_ref() == Some(&document);
    (!is_right).then(|| Action::PutRolePolicy { role: job.role.clone(), policy, before, document })
}

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
    let trust = iam_policy::trust_with_job();
    let is_trusted = RolePolicyDocument::parse(&role.trust).as_ref() == Some(&trust);
    let trust = (!is_trusted).then(|| Action::UpdateAssumeRolePolicy {
        name: role.name.clone(),
        before: role.trust.clone(),
        trust,
    });
    let plan = Plan::new([
        (StageName::Prepare, Vec::from_iter(trust)),
        (StageName::Grant, Vec::from_iter(rights)),
        (StageName::StartJob, vec![Action::StartJob { job: Box::new(job) }]),
    ]);
    Ok((plan, None))
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

/// Removes the rights of the rule's job from our role.
pub(super) fn remove_rights(role: &Role, rule_id: &RuleId) -> Option<Action> {
    let policy = InlinePolicyName::for_job(rule_id);
    let before = role.policies.get(policy.as_str())?.clone();
    Some(Action::DeleteRolePolicy { role: role.name.clone(), policy, before })
}

/// Removes the trust in S3 Batch Operations from our role, unless the job of another rule needs the trust.
pub(super) fn remove_trust(role: &Role, rule_id: &RuleId) -> Option<Action> {
    let is_trusted = RolePolicyDocument::parse(&role.trust) == Some(iam_policy::trust_with_job());
    (is_trusted && !serves_other_job(role, rule_id)).then(|| Action::UpdateAssumeRolePolicy {
        name: role.name.clone(),
        before: role.trust.clone(),
        trust: iam_policy::trust(),
    })
}

/// Removes the tag that records the rule's job from our role.
pub(super) fn remove_tag(role: &Role, rule_id: &RuleId) -> Option<Action> {
    let tag = InlinePolicyName::for_job(rule_id);
    let before = role.tags.get(tag.as_str())?.clone();
    Some(Action::UntagRole { role: role.name.clone(), tag, before })
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
