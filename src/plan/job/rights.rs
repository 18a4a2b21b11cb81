//! The trust and the rights that a job's role has while the job runs.
//!
//! It must not know when a job starts or ends.

use super::super::Action;
use super::NewJob;
use crate::iam_policy::{self, RolePolicyDocument};
use crate::model::{Identity, InlinePolicyName, Job, Role, RuleId};

/// Whether the role has the rights of another rule's job.
pub(super) fn serves_other_job(role: &Role, rule_id: &RuleId) -> bool {
    let own = InlinePolicyName::for_job(rule_id);
    role.policies.keys().any(|name| InlinePolicyName::is_for_job(name) && name != own.as_str())
}

/// The note on the rights of a job that runs.
pub(super) fn kept_rights(id: &str, job: &Job) -> String {
    format!(
        "the rights of job `{id}`, which is {}: they are removed when the job has ended",
        job.status
    )
}

/// Grants the job's rights to its role, unless the role has them.
pub(super) fn grant_rights(
    job: &NewJob,
    role: Option<&Role>,
    identity: &Identity,
) -> Option<Action> {
    let policy = InlinePolicyName::for_job(&job.rule.id);
    let NewJob { rule, prefix, report, .. } = job;
    let document = iam_policy::job_document(identity.partition, &rule.source, prefix, report);
    let before = role.and_then(|role| role.policies.get(policy.as_str())).cloned();
    let is_right =
        before.as_deref().and_then(RolePolicyDocument::parse).as_ref() == Some(&document);
    (!is_right).then(|| Action::PutRolePolicy { role: job.role.clone(), policy, before, document })
}

/// Removes the rights of the rule's job from our role.
pub(in crate::plan) fn remove_rights(role: &Role, rule_id: &RuleId) -> Option<Action> {
    let policy = InlinePolicyName::for_job(rule_id);
    let before = role.policies.get(policy.as_str())?.clone();
    Some(Action::DeleteRolePolicy { role: role.name.clone(), policy, before })
}

/// Removes the trust in S3 Batch Operations from our role, unless the job of another rule needs the trust.
pub(in crate::plan) fn remove_trust(role: &Role, rule_id: &RuleId) -> Option<Action> {
    let is_trusted = RolePolicyDocument::parse(&role.trust) == Some(iam_policy::trust_with_job());
    (is_trusted && !serves_other_job(role, rule_id)).then(|| Action::UpdateAssumeRolePolicy {
        name: role.name.clone(),
        before: role.trust.clone(),
        trust: iam_policy::trust(),
    })
}

/// Removes the tag that records the rule's job from our role.
pub(in crate::plan) fn remove_tag(role: &Role, rule_id: &RuleId) -> Option<Action> {
    let tag = InlinePolicyName::for_job(rule_id);
    let before = role.tags.get(tag.as_str())?.clone();
    Some(Action::UntagRole { role: role.name.clone(), tag, before })
}
