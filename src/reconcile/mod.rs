//! The engine: takes a snapshot, plans, applies the plan and verifies the result, within a deadline and under a lease.
//!
//! It must not know how a request arrived or how it is answered.
//!
//! # Expected flow
//! Each kind of request is a `DesiredState`, which takes the snapshot and makes the plan. `Engine::converge` acquires the lease
//! before it writes, takes the snapshot again when it may be stale, and applies the plan stage by stage. When the state differs
//! from the snapshot, it starts over.
//!
//! # Guarantees
//! - A snapshot is read through [`crate::ports::Read`] alone, so taking it changes nothing.
//! - A failure names the actions that were done and those that were not. Repeating the request does the rest.

mod bucket;
mod bucket_reads;
mod canary;
mod canary_removal;
mod catch_up;
mod cleanup;
mod converge;
mod cross_account;
mod decision;
mod deleted_bucket;
mod destination;
mod diagnose;
mod error;
mod execute;
mod foreign_destinations;
mod generation;
mod interrupted;
mod job;
mod job_of_rule;
mod keys;
mod lease;
mod legacy;
mod new_bucket;
mod open_verification;
mod own_role;
mod replaced_role;
mod replay;
pub mod retry;
mod shared_role;
mod snapshot;
mod untagged_rule;
mod verify;
mod visibility;

use std::borrow::Cow;
use std::time::Duration;

use tokio::join;
use tokio::time::{Instant, timeout_at};

pub use bucket::{BucketOutcome, ReconcileRequest, RuleOutcome};
pub use catch_up::{CatchUpResult, CaughtUp};
pub use cleanup::{Cleanup, Leftover};
use converge::{AppliedRule, Planned, Prefetched, RequestScope};
pub use diagnose::{DiagnosisReads, DiagnosisRequest};
pub use error::Error;
pub use generation::{End, Operation, ResourceRequest};
pub use replay::{Replay, ReplayRequest, ReplayStatus, ReplayedRule};
use snapshot::{ApplyFirstReads, ApplyRule, DeleteRule, SnapshotReader};
pub use verify::Verification;

use crate::config::{Policy, PolicySource, Settings};
use crate::model::{Access, Identity, Region, RoleQuota, RuleAddress};
use crate::plan::{Plan, Refusal, RuleAttributes, SharedRole};
use crate::ports::Cloud;
use crate::spec::Spec;

/// The outcome of a request about one rule.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// The rule.
    pub rule: RuleAddress,
    /// What happened to the rule.
    pub status: Status,
    /// The plan that was applied, or with [`Status::Planned`] would be.
    pub plan: Plan,
    /// The attributes of the rule; `None` when it was deleted.
    pub attributes: Option<RuleAttributes>,
}

/// What happened to a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub enum Status {
    /// The request asked for the plan only.
    Planned,
    /// The plan was applied, and the rule exists.
    Configured,
    /// The plan was empty.
    Unchanged,
    /// The plan was applied, and the rule is deleted.
    Removed,
    /// The rule exists, and S3 has replicated its canary.
    Verified,
    /// The rule exists, and its canary is not replicated yet. Repeating the request continues with the canary.
    Pending,
}

/// What is known before a rule is applied.
#[derive(Default)]
struct Prerequisites<'a> {
    /// The role of all buckets, for a rule of the replication policy in `RoleScope` Policy.
    shared: Option<&'a SharedRole>,
    prefetched: Option<Prefetched<ApplyFirstReads>>,
}

/// The engine of one invocation.
#[derive(Debug)]
pub struct Engine<'a, C> {
    /// AWS.
    pub cloud: &'a C,
    /// The function's environment.
    pub settings: &'a Settings,
    /// When the work must end, so that time remains for the answer.
    pub deadline: Instant,
    /// When the invocation ends.
    pub end: Instant,
    /// The request of CloudFormation; `None` for any other request.
    pub request: Option<&'a ResourceRequest>,
}

impl<C: Cloud> Engine<'_, C> {
    /// Changes AWS so that its state matches `spec`. `expected` is the Region in which the source bucket is looked up first.
    ///
    /// # Errors
    /// Any [`Error`]. A failure after the first change names the actions that were done and those that were not.
    pub async fn apply(&self, spec: &Spec, expected: &Region) -> Result<Outcome, Error> {
        self.apply_prefetched(spec, expected, Prerequisites::default()).await
    }

    /// Does the same as [`Engine::apply`], with first reads that were already made.
    async fn apply_prefetched(
        &self,
        spec: &Spec,
        expected: &Region,
        Prerequisites { shared, prefetched }: Prerequisites<'_>,
    ) -> Result<Outcome, Error> {
        let account = match &spec.destination_account {
            Some(account) => account.clone(),
            None => self.identity().await?.account,
        };
        self.settings.allowed_destinations.check(&spec.destination, &account)?;
        let reader = SnapshotReader { remembers_keys: shared.is_some(), ..self.reader() };
        let desired = ApplyRule {
            reader,
            spec,
            expected,
            roles: &self.settings.roles,
            shared,
            grants_only: false,
        };
        let generation = self.generation(&spec.rule, Operation::Apply, spec.dry_run);
        let scope = RequestScope {
            generation,
            access: &spec.destination_access,
            applies: Some(AppliedRule::new(spec)),
            ..RequestScope::new(spec.rule.source.as_str(), spec.dry_run)
        };
        let (converged, left) = join!(
            Box::pin(self.converge_with_own_role(&scope, prefetched, &desired)),
            self.verification_left_open(spec)
        );
        if converged.is_err() && spec.verify && !spec.dry_run {
            self.remove_stale_canary(spec, expected).await;
        }
        let converged = converged?;
        if let Some(number) = left
            && self.remove_stale_canary(spec, expected).await
        {
            self.close_verification(&spec.rule, number).await;
        }
        Ok(converged.into_outcome(spec.rule.clone(), Status::Configured, spec.dry_run))
    }

    /// Plans and applies. A bucket that the role of all buckets serves, and that needs a role of its own, first gets the grants of all its rules
    /// in that role.
    async fn converge_with_own_role(
        &self,
        scope: &RequestScope<'_>,
        prefetched: Option<Prefetched<ApplyFirstReads>>,
        desired: &ApplyRule<'_, C>,
    ) -> Result<Planned, Error> {
        match self.converge(scope, prefetched, desired).await {
            Err(Error::Refused(Refusal::ServedBySharedRole { bucket, .. })) => {
                Box::pin(self.grant_own_role(&bucket, desired.expected)).await?;
                self.converge(scope, None, desired).await
            }
            converged => converged,
        }
    }

    /// Deletes `rule` and what was made for it, and nothing else. Accesses the destination's account with `access`. A rule or a
    /// bucket that does not exist is success.
    ///
    /// # Errors
    /// Any [`Error`].
    pub async fn delete(
        &self,
        rule: &RuleAddress,
        access: &Access,
        expected: &Region,
        dry_run: bool,
    ) -> Result<Outcome, Error> {
        let desired = DeleteRule { reader: self.reader(), rule, access, expected };
        let generation = self.generation(rule, Operation::Delete, dry_run);
        let scope =
            RequestScope { generation, access, ..RequestScope::new(rule.source.as_str(), dry_run) };
        let planned = self.converge(&scope, None, &desired).await?;
        Ok(planned.into_outcome(rule.clone(), Status::Removed, dry_run))
    }

    /// Reads the account and the partition of the credentials in use.
    ///
    /// # Errors
    /// When the call fails or the deadline passes.
    pub async fn identity(&self) -> Result<Identity, Error> {
        self.before_deadline(self.cloud.identity()).await
    }

    /// Reads how many roles the account has and may have.
    ///
    /// # Errors
    /// When the call fails or the deadline passes.
    pub async fn role_quota(&self) -> Result<RoleQuota, Error> {
        self.before_deadline(self.cloud.role_quota()).await
    }

    /// Returns the replication policy, from the environment or from its SSM parameter.
    async fn policy(&self) -> Result<Option<Cow<'_, Policy>>, Error> {
        Ok(match &self.settings.policy {
            None => None,
            Some(PolicySource::Inline(policy)) => Some(Cow::Borrowed(policy)),
            Some(PolicySource::Parameter(name)) => {
                let text = self.before_deadline(self.cloud.parameter(name)).await?;
                let policy = Policy::parse(&text)
                    .and_then(|policy| self.settings.check_policy(&policy).map(|()| policy))
                    .map_err(|invalid| invalid.within("REPLICATION_POLICY_PARAMETER"))?;
                Some(Cow::Owned(policy))
            }
        })
    }

    fn reader(&self) -> SnapshotReader<'_, C> {
        SnapshotReader {
            cloud: self.cloud,
            roles: &self.settings.roles,
            remembers_keys: false,
            catch_up_follows: self.settings.catch_up_queue.is_some(),
        }
    }

    /// Awaits reads until the deadline.
    async fn before_deadline<T, E: Into<Error>>(
        &self,
        read: impl Future<Output = Result<T, E>>,
    ) -> Result<T, Error> {
        match timeout_at(self.deadline, read).await {
            Ok(read) => read.map_err(Into::into),
            Err(_) => Err(Error::ReadOutOfTime),
        }
    }

    /// The time until the deadline.
    pub fn time_left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }
}
