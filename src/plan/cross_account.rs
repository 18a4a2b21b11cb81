//! A destination in another account: the statements that the replication role needs in policies there.
//!
//! # Guarantees
//! - A statement is put after the rule's inline policy, and taken away before it: so the inline policy tells where statements may be left.
//! - While a rule changes, its earlier statements stay beside the new ones.
//! - Without a role to assume nothing is guessed: the statements are said, and what of the destination can be seen must be right.

use super::{Destination, Guard, Observed, Refusal, Step};
use crate::cloud::{Guarded, Identity, Location, Versioning};
use crate::grants::{EARLIER, Grants, ResourcePolicy, Statement, Statements};
use crate::spec::{Access, KeyReference, RuleAddress, Spec};

/// S3's limit for a bucket's policy, in bytes.
const BUCKET_POLICY_LIMIT: usize = 20 * 1_024;

/// KMS's limit for a key's policy, in bytes.
const KEY_POLICY_LIMIT: usize = 32 * 1_024;

/// What a plan does about the destination's account.
#[derive(Default)]
pub(super) struct CrossAccount {
    /// Puts copies of the statements that the rule needs until it has changed.
    pub keep: Vec<Step>,
    /// Puts the statements that the rule needs.
    pub put: Vec<Step>,
    /// Takes away those that it no longer needs.
    pub withdraw: Vec<Step>,
    /// What has to be done there by hand, or to have been done.
    pub by_hand: Option<String>,
}

/// The statements that a rule needs, each with what has the policy for it.
pub(super) struct Needs {
    sid: String,
    needed: Vec<(Guarded, Statement)>,
    identity: Identity,
    sight: Statements,
}

impl Needs {
    /// What `spec` needs of the accounts that own the destination and the replica key, where they are not the caller's own.
    pub fn new(spec: &Spec, observed: &Observed, grants: &Grants<'_>, destination: &Location, role_arn: &str) -> Self {
        let sid = spec.rule.sid();
        let own = &observed.identity.account;
        let Statements { bucket, key } = grants.statements(&sid, role_arn);
        let sight = grants.sight(&format!("{sid}Sight"), own);
        let mut needed = Vec::new();
        if destination.owner != *own {
            needed.push((Guarded::Bucket(destination.clone()), bucket));
        }
        let replica_key = KeyReference::parse(grants.replica_key).unwrap_or_else(|_| spec.replica_key.clone());
        if replica_key.account() != own && !grants.source_keys.is_empty() {
            let access = spec.destination_access.to(replica_key.account());
            needed.push((Guarded::Key { arn: replica_key.to_string(), region: replica_key.region().clone(), access }, key));
        }
        Self { sid, needed, identity: observed.identity.clone(), sight }
    }

    /// The steps to it; and what is to be told, where they are not ours to do.
    pub fn steps(self, observed: &Observed) -> Result<CrossAccount, Refusal> {
        let mut statements = CrossAccount { by_hand: self.by_hand(), ..CrossAccount::default() };
        for (guarded, statement) in &self.needed {
            if guarded.access() == &Access::Own {
                continue;
            }
            let current = observed.policies.iter().find(|guard| guard.guarded == *guarded).and_then(|guard| guard.policy.as_deref());
            let Some(step) = put(guarded, current, statement)? else { continue };
            if let Step::PutStatement { was: Some(was), .. } = &step
                && let Some(earlier) = Statement::earlier(was)
                && let Some(keep) = put(guarded, current, &earlier)?
            {
                let (sid, was) = (earlier.sid().to_owned(), earlier.to_string());
                statements.withdraw.push(Step::RemoveStatement { guarded: guarded.clone(), sid, was });
                statements.keep.push(keep);
            }
            statements.put.push(step);
        }
        for guard in &observed.policies {
            let is_needed = self.needed.iter().any(|(needed, _)| *needed == guard.guarded);
            let sids = sids(&self.sid);
            let no_longer = sids.iter().skip(usize::from(is_needed)).filter_map(|sid| remove(guard, sid));
            let is_known = |step: &Step| statements.withdraw.iter().any(|other| other.resource() == step.resource());
            let no_longer: Vec<Step> = no_longer.filter(|step| !is_known(step)).collect();
            statements.withdraw.extend(no_longer);
        }
        Ok(statements)
    }

    /// The refusal where the destination could not be looked at.
    pub fn unseen(&self, observed: &Observed) -> Refusal {
        let failures: Vec<String> = observed.unseen.iter().map(ToString::to_string).collect();
        Refusal::DestinationUnseen { failures: failures.join("; "), statements: self.listed(true) }
    }

    fn by_hand(&self) -> Option<String> {
        let listed = self.listed(false);
        let what = "cannot be read from this account, and have to hold these statements, as `Verify` shows";
        (!listed.is_empty()).then(|| format!("policies of the destination's account {what}: {listed}"))
    }

    /// The statements that are not ours to put, ready to be pasted; with those that let us see, too.
    fn listed(&self, with_sight: bool) -> String {
        let by_hand = self.needed.iter().filter(|(guarded, _)| guarded.access() == &Access::Own);
        let listed = by_hand.map(|(guarded, statement)| {
            let sight = match guarded {
                Guarded::Bucket(_) => &self.sight.bucket,
                Guarded::Key { .. } => &self.sight.key,
            };
            let statement = statement.clone().for_role_to_be(self.identity.partition, &self.identity.account);
            let sight = if with_sight { format!(",{sight}") } else { String::new() };
            format!("in the policy of {guarded}: {statement}{sight}")
        });
        listed.collect::<Vec<_>>().join("; ")
    }
}

fn put(guarded: &Guarded, current: Option<&str>, statement: &Statement) -> Result<Option<Step>, Refusal> {
    let policy = ResourcePolicy::parse(current).ok_or_else(|| Refusal::UnreadablePolicy { guarded: guarded.to_string() })?;
    let was = policy.statement(statement.sid()).map(str::to_owned);
    if was.as_deref().is_some_and(|was| statement.is(was)) {
        return Ok(None);
    }
    let size = policy.with(statement).to_string().len();
    let limit = match guarded {
        Guarded::Bucket(_) => BUCKET_POLICY_LIMIT,
        Guarded::Key { .. } => KEY_POLICY_LIMIT,
    };
    if size > limit {
        return Err(Refusal::PolicyTooLong { guarded: guarded.to_string(), size, limit });
    }
    Ok(Some(Step::PutStatement { guarded: guarded.clone(), was, statement: Box::new(statement.clone()) }))
}

fn remove(guard: &Guard, sid: &str) -> Option<Step> {
    let was = ResourcePolicy::parse(Some(guard.policy.as_deref()?))?.statement(sid)?.to_owned();
    Some(Step::RemoveStatement { guarded: guard.guarded.clone(), sid: sid.to_owned(), was })
}

/// What takes away all that a rule has in these policies.
pub fn statements_left(rule: &RuleAddress, guards: &[Guard]) -> Vec<Step> {
    let sids = sids(&rule.sid());
    guards.iter().flat_map(|guard| sids.iter().filter_map(|sid| remove(guard, sid))).collect()
}

/// Under which a rule can have statements: as it is, and as it was while a change of it has yet to end.
fn sids(sid: &str) -> [String; 2] {
    [sid.to_owned(), format!("{sid}{EARLIER}")]
}

/// Refuses a destination whose versioning would have to be enabled and is not ours to enable.
pub(super) fn check_versioning(destination: &Destination, observed: &Observed) -> Result<(), Refusal> {
    let Destination { location: Location { bucket, owner, access, .. }, versioning, .. } = destination;
    let is_ours_to_enable = *owner == observed.identity.account || *access != Access::Own;
    if *versioning == Versioning::Enabled || is_ours_to_enable {
        return Ok(());
    }
    Err(Refusal::DestinationNotVersioned { bucket: bucket.clone(), account: owner.clone(), versioning: *versioning })
}
