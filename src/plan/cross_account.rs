//! The statements that the replication role needs in policies of the destination's account.
//!
//! # Guarantees
//! - A statement is written after the rule's inline policy and removed before the rule's inline policy. The inline policy therefore shows
//!   which resources may have statements.
//! - While a rule changes, the policies have its earlier statements and its new ones.
//! - Without access to the destination's account, the plan lists the statements that have to be added there. The parts of the destination that
//!   can be read must be right.

use super::refusal::{StatementToAdd, texts};
use super::role::ServingRole;
use super::shared_role::SidAndStatements;
use super::{Action, ApplySnapshot, Destination, Refusal, ResourcePolicySnapshot};
use crate::iam_policy::sid::EARLIER;
use crate::iam_policy::{Grants, ResourcePolicy, Statement, Statements};
use crate::model::{
    Access, BucketLocation, Identity, KeyReference, ResourcePolicyTarget, RuleAddress, Versioning,
};
use crate::spec::Spec;

/// S3's limit for a bucket's policy, in bytes.
const BUCKET_POLICY_LIMIT: usize = 20 * 1_024;

/// KMS's limit for a key's policy, in bytes.
const KEY_POLICY_LIMIT: usize = 32 * 1_024;

/// The changes in the destination's account.
#[derive(Default)]
pub(super) struct CrossAccount {
    /// Actions that write copies of the earlier statements, which the rule needs until it has changed.
    pub keep: Vec<Action>,
    /// Actions that write the statements.
    pub put: Vec<Action>,
    /// Actions that remove obsolete statements.
    pub withdraw: Vec<Action>,
    /// The statements that have to be added by hand.
    pub manual: Option<String>,
}

/// A statement that a rule needs, and the bucket or key whose policy needs the statement.
struct RequiredStatement {
    target: ResourcePolicyTarget,
    statement: Statement,
}

/// The statements that a rule needs in other accounts, which own the destination or the replica key.
pub(super) struct RequiredStatements {
    sid: String,
    required: Vec<RequiredStatement>,
    identity: Identity,
    read_access: Statements,
}

impl RequiredStatements {
    pub fn new(
        spec: &Spec,
        snapshot: &ApplySnapshot,
        grants: &Grants<'_>,
        destination: &BucketLocation,
        role: &ServingRole<'_>,
    ) -> Self {
        let own = &snapshot.identity.account;
        let of_all_buckets = match role {
            ServingRole::Shared { role, .. } => role.statements(&spec.rule.id, &spec.destination),
            ServingRole::Own { .. } | ServingRole::Foreign(_) => None,
        };
        let SidAndStatements { sid, statements: Statements { bucket, key } } = of_all_buckets
            .unwrap_or_else(|| {
                let sid = spec.rule.sid();
                let statements = grants.statements(&sid, role.arn());
                SidAndStatements { sid, statements }
            });
        let read_access = grants.read_access(&format!("{sid}ReadAccess"), own);
        let mut required = Vec::new();
        if destination.owner != *own {
            let target = ResourcePolicyTarget::Bucket(destination.clone());
            required.push(RequiredStatement { target, statement: bucket });
        }
        let replica_key =
            KeyReference::parse(grants.replica_key).unwrap_or_else(|_| spec.replica_key.clone());
        if replica_key.account() != own && !grants.source_keys.is_empty() {
            let access = spec.destination_access.for_account(replica_key.account());
            let (arn, region) = (replica_key.to_string(), replica_key.region().clone());
            required.push(RequiredStatement {
                target: ResourcePolicyTarget::Key { arn, region, access },
                statement: key,
            });
        }
        Self { sid, required, identity: snapshot.identity.clone(), read_access }
    }

    /// Plans the changes of the other accounts' policies.
    pub fn plan(self, snapshot: &ApplySnapshot) -> Result<CrossAccount, Refusal> {
        let mut plan = CrossAccount { manual: self.manual(), ..CrossAccount::default() };
        for RequiredStatement { target, statement } in &self.required {
            if target.access() == &Access::Own {
                continue;
            }
            let current = snapshot.resource_policies.iter().find(|policy| policy.target == *target);
            let current = current.and_then(|policy| policy.policy.as_deref());
            let Some(action) = put(target, current, statement)? else {
                continue;
            };
            if let Action::PutStatement { before: Some(before), .. } = &action
                && let Some(earlier) = Statement::parse_as_earlier(before)
                && let Some(keep) = put(target, current, &earlier)?
            {
                // Until the rule has changed, the policy has both statements.
                check_size(target, parse(target, current)?.with(&earlier).with(statement))?;
                let (sid, before) = (earlier.sid().to_owned(), earlier.to_string());
                plan.withdraw.push(Action::RemoveStatement { target: target.clone(), sid, before });
                plan.keep.push(keep);
            }
            plan.put.push(action);
        }
        for policy in &snapshot.resource_policies {
            let is_required = self.required.iter().any(|required| required.target == policy.target);
            let sids = sids(&self.sid);
            let obsolete =
                sids.iter().skip(usize::from(is_required)).filter_map(|sid| remove(policy, sid));
            let is_planned = |action: &Action| {
                plan.withdraw.iter().any(|other| other.resource() == action.resource())
            };
            let obsolete: Vec<Action> = obsolete.filter(|action| !is_planned(action)).collect();
            plan.withdraw.extend(obsolete);
        }
        Ok(plan)
    }

    /// The refusal of a destination that could not be read.
    pub fn not_readable(&self, snapshot: &ApplySnapshot) -> Refusal {
        let failures = snapshot.denied_reads.iter().map(ToString::to_string).collect();
        Refusal::DestinationNotReadable { failures, statements: self.manual_statements(true) }
    }

    fn manual(&self) -> Option<String> {
        let statements = self.manual_statements(false);
        let problem =
            "cannot be read from this account and need these statements, which `Verify` can check";
        (!statements.is_empty()).then(|| {
            format!("policies of the destination's account {problem}: {}", texts(&statements))
        })
    }

    /// The statements that the caller cannot write; `with_read_access` adds the statements that allow the caller to read the
    /// destination.
    fn manual_statements(&self, with_read_access: bool) -> Vec<StatementToAdd> {
        let Identity { partition, account } = &self.identity;
        let manual =
            self.required.iter().filter(|required| required.target.access() == &Access::Own);
        let statements = manual.flat_map(|RequiredStatement { target, statement }| {
            let read_access = match target {
                ResourcePolicyTarget::Bucket(_) => &self.read_access.bucket,
                ResourcePolicyTarget::Key { .. } => &self.read_access.key,
            };
            let read_access = with_read_access.then(|| read_access.clone());
            let statement = statement.clone().for_future_role(*partition, account);
            std::iter::once(statement)
                .chain(read_access)
                .map(|statement| StatementToAdd { target: target.to_string(), statement })
        });
        statements.collect()
    }
}

/// Reads the policy of a bucket or a key. Every key has a policy, so a key without one was not read.
fn parse(target: &ResourcePolicyTarget, current: Option<&str>) -> Result<ResourcePolicy, Refusal> {
    let unreadable = || Refusal::UnreadableResourcePolicy { target: target.to_string() };
    match (target, current) {
        (ResourcePolicyTarget::Key { .. }, None) => Err(unreadable()),
        (ResourcePolicyTarget::Key { .. } | ResourcePolicyTarget::Bucket(_), current) => {
            ResourcePolicy::parse(current).ok_or_else(unreadable)
        }
    }
}

fn put(
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

fn check_size(target: &ResourcePolicyTarget, policy: ResourcePolicy) -> Result<(), Refusal> {
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
fn remove(policy: &ResourcePolicySnapshot, sid: &str) -> Option<Action> {
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
fn sids(sid: &str) -> [String; 2] {
    [sid.to_owned(), format!("{sid}{EARLIER}")]
}

/// Refuses a destination without versioning if the caller has no access to enable it.
pub(super) fn check_versioning(
    destination: &Destination,
    snapshot: &ApplySnapshot,
) -> Result<(), Refusal> {
    let Destination { location: BucketLocation { bucket, owner, access, .. }, versioning, .. } =
        destination;
    let can_be_enabled = *owner == snapshot.identity.account || *access != Access::Own;
    if *versioning == Versioning::Enabled || can_be_enabled {
        return Ok(());
    }
    Err(Refusal::DestinationNotVersioned {
        bucket: bucket.clone(),
        account: owner.clone(),
        versioning: *versioning,
    })
}
