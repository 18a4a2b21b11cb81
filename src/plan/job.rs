//! The job that replicates the objects that are there already, and the rights that the replication role has for its life.
//!
//! S3 Batch Operations assumes the role as [`iam_policy::trust_with_job`] lets it, with the rights of an inline policy that only the job has. A tag of
//! the role notes what was asked and the job's id: S3 does not say how long it heeds a token, and forgets a job 90 days after its end.
//!
//! # Guarantees
//! - The role trusts S3 Batch Operations and has the policy before the job is started, the job is started after the rule is written, and
//!   neither is taken away before the job has ended, or the rule is removed. The policy goes last: while it is there, there is something to do.
//! - What has been asked once, as the tag notes it, starts no second job.
//! - A role of others is never trusted with a job.
//!
//! # Assumptions
//! - A job whose start was not answered and is not asked for again is not known. When its role goes, it fails.

use aws_sdk_s3control::types::JobStatus;

use super::role::ServingRole;
use super::{Action, ApplySnapshot, Plan, Refusal, Roles, StageName};
use crate::iam_policy::{self, PolicyDocument};
use crate::model::{Job, Location, PolicyName, Role, RoleName, RuleAddress, RuleId, hash};
use crate::spec::{Report, Spec};

/// The template's parameter that gives the rights for jobs.
pub const JOB_PARAMETER: &str = "AllowReplicateExistingObjects";

/// Digits of the hash of what a job depends on.
const REQUEST_LENGTH: usize = 32;

/// S3's limit for a token, and all digits of a SHA-256.
const TOKEN_LENGTH: usize = 64;

/// A job to be started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewJob {
    /// The source bucket.
    pub location: Location,
    /// The rule that replicates the objects.
    pub rule: RuleAddress,
    /// The rule's prefix; empty for all objects.
    pub prefix: String,
    /// Where the report goes.
    pub report: Report,
    /// The role that the job works with, and that notes it.
    pub role: RoleName,
    /// ARN of that role.
    pub role_arn: String,
    /// What was asked, hashed.
    request: String,
    /// The id of the job that the role has a note of, which is another's request.
    previous: Option<String>,
}

impl NewJob {
    /// What the job is for: the rule among those of all buckets.
    pub fn description(&self) -> String {
        self.rule.to_string()
    }

    /// The token by which S3 knows the same request again: another one for a role that was made anew, with the id `role_id`, and for what is
    /// asked again after something else was.
    pub fn token(&self, role_id: &str) -> String {
        hash(
            &[&self.request, role_id, self.previous.as_deref().unwrap_or_default()].join("\n"),
            TOKEN_LENGTH,
        )
    }

    /// The tag that notes the job as the one with this id: its key and its value.
    pub fn note(&self, id: &str) -> (PolicyName, String) {
        (PolicyName::of_job(&self.rule.id), format!("{}/{id}", self.request))
    }
}

/// What is asked about the objects that are there already, hashed; `None` when nothing is.
fn request(spec: &Spec) -> Option<String> {
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
    // Lengths keep the parts apart.
    Some(hash(
        &parts.map(|part| format!("{} {part}", part.len())).collect::<String>(),
        REQUEST_LENGTH,
    ))
}

impl Roles {
    /// What the role of ours notes of the rule's job: what was asked, and the job's id.
    fn note(&self, rule: &RuleAddress) -> Option<(&str, &str)> {
        self.ours(&rule.source)?.tags.get(PolicyName::of_job(&rule.id).as_str())?.split_once('/')
    }

    /// The id of the rule's job, as long as it has rights.
    pub fn job_with_rights(&self, rule: &RuleAddress) -> Option<&str> {
        let has_rights =
            self.ours(&rule.source)?.policies.contains_key(PolicyName::of_job(&rule.id).as_str());
        self.note(rule).filter(|_| has_rights).map(|(_, id)| id)
    }

    /// Whether `spec` asks for a job that it has not asked for before.
    pub fn lacks_job(&self, spec: &Spec) -> bool {
        request(spec)
            .is_some_and(|request| self.note(&spec.rule).is_none_or(|(noted, _)| noted != request))
    }
}

/// Whether a job of another rule has rights of the role.
fn serves_other_job(role: &Role, rule_id: &RuleId) -> bool {
    let own = PolicyName::of_job(rule_id);
    role.policies.keys().any(|name| PolicyName::is_of_job(name) && name != own.as_str())
}

/// What becomes of a rule's job when the rule is applied.
#[derive(Debug, Default)]
pub(super) struct JobPlan {
    /// Before all else.
    pub cancel: Option<Action>,
    /// Whether the role has to trust S3 Batch Operations.
    pub needs_trust: bool,
    /// Once the role's trust is right.
    pub rights: Option<Action>,
    /// After all else.
    pub start: Option<Action>,
    /// The id of the job that is noted already.
    pub id: Option<String>,
    /// What is left as it is.
    pub kept: Option<String>,
    /// What the caller should know.
    pub warning: Option<String>,
}

impl JobPlan {
    pub(super) fn new(
        spec: &Spec,
        snapshot: &ApplySnapshot,
        role: &ServingRole<'_>,
    ) -> Result<Self, Refusal> {
        let existing = match role {
            ServingRole::Foreign(role) if spec.existing_objects.is_some() => {
                return Err(Refusal::JobOfForeignRole {
                    bucket: spec.rule.source.clone(),
                    role: role.name.clone(),
                });
            }
            ServingRole::Foreign(_) => return Ok(Self::default()),
            ServingRole::Ours { existing, .. } => *existing,
        };
        let roles = &snapshot.roles;
        let id = roles.note(&spec.rule).map(|(_, id)| id.to_owned());
        let needs_trust = existing.is_some_and(|role| serves_other_job(role, &spec.rule.id));
        let location = &snapshot.source.location;
        if let (Some(report), Some(request), true) =
            (&spec.existing_objects, request(spec), roles.lacks_job(spec))
        {
            if snapshot.report_missing {
                return Err(Refusal::ReportBucketMissing { bucket: report.bucket.clone() });
            }
            let partition = snapshot.identity.partition;
            let (policy, document) = (
                PolicyName::of_job(&spec.rule.id),
                iam_policy::of_job(partition, &spec.rule.source, &spec.filter.prefix, report),
            );
            let before = existing.and_then(|role| role.policies.get(policy.as_str())).cloned();
            let is_right =
                before.as_deref().and_then(PolicyDocument::parse).as_ref() == Some(&document);
            let job = NewJob {
                location: location.clone(),
                rule: spec.rule.clone(),
                prefix: spec.filter.prefix.clone(),
                report: report.clone(),
                role: role.name().clone(),
                role_arn: role.arn().to_owned(),
                request,
                previous: id.clone(),
            };
            return Ok(Self {
                cancel: cancel(location, id.as_deref(), snapshot.job.as_ref()),
                needs_trust: true,
                rights: (!is_right).then(|| Action::PutRolePolicy {
                    role: role.name().clone(),
                    policy,
                    before,
                    document,
                }),
                start: Some(Action::StartJob { job: Box::new(job) }),
                ..Self::default()
            });
        }
        match (&snapshot.job, &id) {
            (Some(job), Some(id)) if !job.has_ended() => {
                let kept = format!(
                    "the rights of job `{id}`, which is {}: they go when it has ended",
                    job.status
                );
                Ok(Self {
                    needs_trust: true,
                    kept: Some(kept),
                    id: Some(id.clone()),
                    ..Self::default()
                })
            }
            (job, _) => {
                let rights = existing.and_then(|role| remove_rights(role, &spec.rule.id));
                Ok(Self {
                    needs_trust,
                    rights,
                    warning: failure(id.as_deref(), job.as_ref()),
                    id,
                    ..Self::default()
                })
            }
        }
    }
}

/// Cancels the job, as far as that is still possible.
pub(super) fn cancel(location: &Location, id: Option<&str>, job: Option<&Job>) -> Option<Action> {
    let before = job.filter(|job| job.can_be_cancelled())?.status.to_string();
    Some(Action::CancelJob { location: location.clone(), id: id?.to_owned(), before })
}

fn failure(id: Option<&str>, job: Option<&Job>) -> Option<String> {
    job.filter(|job| job.status == JobStatus::Failed).map(|_| {
        format!(
            "job `{}` has failed; S3 says why, and its report what became of each object",
            id.unwrap_or_default()
        )
    })
}

/// Takes the rights of the rule's job away from a role of ours.
pub(super) fn remove_rights(role: &Role, rule_id: &RuleId) -> Option<Action> {
    let policy = PolicyName::of_job(rule_id);
    let before = role.policies.get(policy.as_str())?.clone();
    Some(Action::DeleteRolePolicy { role: role.name.clone(), policy, before })
}

/// Takes the trust that a job needs away from a role of ours, when no job of another rule needs it.
pub(super) fn remove_trust(role: &Role, rule_id: &RuleId) -> Option<Action> {
    let is_trusted = PolicyDocument::parse(&role.trust) == Some(iam_policy::trust_with_job());
    (is_trusted && !serves_other_job(role, rule_id)).then(|| Action::UpdateAssumeRolePolicy {
        name: role.name.clone(),
        before: role.trust.clone(),
        trust: iam_policy::trust(),
    })
}

/// Takes the note of the rule's job away from a role of ours.
pub(super) fn remove_note(role: &Role, rule_id: &RuleId) -> Option<Action> {
    let tag = PolicyName::of_job(rule_id);
    let before = role.tags.get(tag.as_str())?.clone();
    Some(Action::UntagRole { role: role.name.clone(), tag, before })
}

/// Plans what becomes of the role after the rule's job, which is as observed: nothing before that has ended.
pub fn end_job(rule: &RuleAddress, roles: &Roles, job: Option<&Job>) -> Plan {
    let id = roles.job_with_rights(rule).filter(|_| job.is_none_or(Job::has_ended));
    let (Some(role), Some(id)) = (roles.ours(&rule.source), id) else {
        return Plan::default();
    };
    let actions = [remove_trust(role, &rule.id), remove_rights(role, &rule.id)];
    let mut plan = Plan::new(actions.map(|action| (StageName::Tighten, Vec::from_iter(action))));
    plan.warnings.extend(failure(Some(id), job));
    plan
}
