//! The actions on our statements in the policy of a bucket or a key.
//!
//! It owns the limits of these policies, and that a foreign statement under our `Sid` stays. It must not know which rule needs which
//! statement.

use crate::iam_policy::sid::EARLIER;
use crate::iam_policy::{ResourcePolicy, Statement};
use crate::model::{ResourcePolicyTarget, RuleAddress};
use crate::plan::{Action, Refusal, ResourcePolicySnapshot};

/// S3's limit for a bucket's policy, in bytes.
const BUCKET_POLICY_LIMIT: usize = 20 * 1_024;

/// KMS's limit for a key's policy, in bytes.
const KEY_POLICY_LIMIT: usize = 32 * 1_024;

/// Reads the policy of a bucket or a key. Every key has a policy, so a key without one was not read.
pub(super) fn parse(
    target: &ResourcePolicyTarget,
    current: Option<&str>,
) -> Result<ResourcePolicy, Refusal> {
    let unreadable = || Refusal::UnreadableResourcePolicy { target: target.to_string() };
    match (target, current) {
        (ResourcePolicyTarget::Key { .. }, None) => Err(unreadable()),
        (ResourcePolicyTarget::Key { .. } | ResourcePolicyTarget::Bucket(_), current) => {
            ResourcePolicy::parse(current).ok_or_else(unreadable)
        }
    }
}

/// Writes our statement; `None` if the policy has it. A foreign statement under our `Sid` is refused.
pub(super) fn put(
    target: &ResourcePolicyTarget,
    current: Option<&str>,
    statement: &Statement,
) -> Result<Option<Action>, Refusal> {
    let policy = parse(target, current)?;
    let before = policy.statement(statement.sid()).map(str::to_owned);
    if before.as_deref().is_some_and(|before| statement.equals_text(before)) {
        return Ok(None);
    }
    if before.as_deref().is_some_and(|before| !Statement::is_own_text(before)) {
        let sid = statement.sid().to_owned();
        return Err(Refusal::ForeignStatement { target: target.to_string(), sid });
    }
    check_size(target, policy.with(statement))?;
    Ok(Some(Action::PutStatement {
        target: target.clone(),
        before,
        statement: Box::new(statement.clone()),
        had_policy: current.is_some(),
    }))
}

/// Refuses a policy that AWS would not accept.
pub(super) fn check_size(
    target: &ResourcePolicyTarget,
    policy: ResourcePolicy,
) -> Result<(), Refusal> {
    let size = policy.to_string().len();
    let limit = match target {
        ResourcePolicyTarget::Bucket(_) => BUCKET_POLICY_LIMIT,
        ResourcePolicyTarget::Key { .. } => KEY_POLICY_LIMIT,
    };
    if size > limit {
        return Err(Refusal::ResourcePolicyTooLong { target: target.to_string(), size, limit });
    }
    Ok(())
}

/// Removes our statement; `None` if there is none. A foreign statement under our `Sid` stays.
pub(super) fn remove(policy: &ResourcePolicySnapshot, sid: &str) -> Option<Action> {
    let parsed = ResourcePolicy::parse(Some(policy.policy.as_deref()?))?;
    let before = parsed.statement(sid).filter(|before| Statement::is_own_text(before))?.to_owned();
    Some(Action::RemoveStatement { target: policy.target.clone(), sid: sid.to_owned(), before })
}

/// The foreign statements under the `Sid`s of a rule, which stay when the rule is deleted, as one sentence for each.
pub fn foreign_statements(rule: &RuleAddress, policies: &[ResourcePolicySnapshot]) -> Vec<String> {
    let sids = sids(&rule.sid());
    let of_policy = |policy: &ResourcePolicySnapshot| {
        let parsed = policy.policy.as_deref().and_then(|text| ResourcePolicy::parse(Some(text)));
        let has_foreign = |sid: &&String| {
            let statement = parsed.as_ref().and_then(|parsed| parsed.statement(sid));
            statement.is_some_and(|statement| !Statement::is_own_text(statement))
        };
        let foreign: Vec<String> = sids.iter().filter(has_foreign).cloned().collect();
        foreign
            .into_iter()
            .map(|sid| {
                format!("statement `{sid}` in the policy of {}: it is not ours", policy.target)
            })
            .collect::<Vec<_>>()
    };
    policies.iter().flat_map(of_policy).collect()
}

/// Actions that remove all statements of a rule from `policies`.
pub fn remove_statements(rule: &RuleAddress, policies: &[ResourcePolicySnapshot]) -> Vec<Action> {
    let sids = sids(&rule.sid());
    policies.iter().flat_map(|policy| sids.iter().filter_map(|sid| remove(policy, sid))).collect()
}

/// The ids of a rule's statements: the present ones, and the earlier ones that policies have while the rule changes.
pub(super) fn sids(sid: &str) -> [String; 2] {
    [sid.to_owned(), format!("{sid}{EARLIER}")]
}
