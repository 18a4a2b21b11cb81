//! Snapshot, plan, apply; starts over when the state differs from the snapshot.
//!
//! It owns the order of reading, leasing and writing. It must not know what a request reads or plans: its [`Planner`] knows.

use std::future::ready;
use std::time::Duration;

use tokio::join;
use tokio::time::Instant;

use super::generation::Generation;
use super::lease::epoch_seconds;
use super::retry::{Failed, RetryBudget, retry};
use super::{Engine, Error, Outcome, Status};
use crate::model::{BucketName, Retry, RuleAddress};
use crate::plan::{Plan, RuleAttributes};
use crate::ports::Cloud;

/// How long after its first read a snapshot counts as current. Writers outside this deployment take no lease, so an older
/// snapshot needs a precondition check.
const SNAPSHOT_MAX_AGE: Duration = Duration::from_secs(2);

/// The resource of the lease on the policies of other accounts. No bucket's name contains a slash.
const CROSS_ACCOUNT_POLICIES: &str = "policies/cross-account";

/// One kind of request: what it reads, and how it plans.
pub(super) trait Planner {
    /// The results of the first round of reads.
    type FirstReads;

    /// Makes the first round of reads.
    async fn first_reads(&self) -> Result<Self::FirstReads, Error>;

    /// Whether to acquire the lease while the rest is read. That is so when the plan will probably have something to write, and
    /// when a concurrent request must have ended even if there is nothing to write.
    fn needs_lease(&self, first_reads: &Self::FirstReads) -> bool;

    /// Reads the rest of the snapshot and plans.
    async fn plan(&self, first_reads: Self::FirstReads) -> Result<Planned, Error>;
}

/// A plan, and the attributes of the rule that it applies.
pub(super) struct Planned {
    pub plan: Plan,
    pub attributes: Option<RuleAttributes>,
}

impl From<Plan> for Planned {
    fn from(plan: Plan) -> Self {
        Self { plan, attributes: None }
    }
}

impl Planned {
    /// The outcome for `rule` after the plan was applied. Its status is `status_if_changed` unless the plan was empty.
    pub(super) fn into_outcome(
        self,
        rule: RuleAddress,
        status_if_changed: Status,
        dry_run: bool,
    ) -> Outcome {
        let status = match (dry_run, self.plan.is_empty()) {
            (true, _) => Status::Planned,
            (false, true) => Status::Unchanged,
            (false, false) => status_if_changed,
        };
        Outcome { rule, status, plan: self.plan, attributes: self.attributes }
    }
}

/// The bucket and the mode of a request.
pub(super) struct RequestScope<'a> {
    /// The bucket whose lease the request takes.
    pub source: &'a BucketName,
    /// Whether to plan only.
    pub dry_run: bool,
    /// The request's generation; `None` unless the request is about a custom resource.
    pub generation: Option<Generation<'a>>,
}

/// First reads that were made before the request was known to need them.
pub(super) struct Prefetched<F> {
    pub time: SnapshotTime,
    pub first_reads: Result<F, Error>,
}

/// When the first reads of a snapshot began, on the monotonic clock and on the wall clock.
#[derive(Debug, Clone, Copy)]
pub(super) struct SnapshotTime {
    at: Instant,
    /// In seconds since the epoch, to compare with the expiry of leases.
    epoch: u64,
}

impl SnapshotTime {
    pub(super) fn now() -> Self {
        Self { at: Instant::now(), epoch: epoch_seconds(Duration::ZERO) }
    }
}

impl<C: Cloud> Engine<'_, C> {
    /// Plans and applies, and starts over when the state differs from the snapshot. Fails when a later request has superseded
    /// this one. The first attempt uses the `prefetched` reads, if any.
    pub(super) async fn converge<P: Planner>(
        &self,
        scope: &RequestScope<'_>,
        mut prefetched: Option<Prefetched<P::FirstReads>>,
        planner: &P,
    ) -> Result<Planned, Error> {
        let (mut done_earlier, mut done_in_last_attempt) = (Vec::new(), Vec::new());
        let budget = RetryBudget::for_visibility(Duration::from_secs(1)).ending(self.deadline);
        let converged = retry(budget, async || {
            done_earlier.append(&mut done_in_last_attempt);
            // Boxed, since large futures would overflow the stack.
            let attempt = Box::pin(self.attempt(scope, prefetched.take(), planner)).await;
            attempt.map_err(|error| match &error {
                _ if error.retry() != Some(Retry::Replan) => Failed::Final(error),
                Error::Apply { done, .. } => {
                    done_in_last_attempt.clone_from(done);
                    Failed::Retryable(error)
                }
                _ => Failed::Retryable(error),
            })
        })
        .await;
        converged.map_err(|error| match done_earlier.is_empty() {
            true => error,
            false => Error::Interrupted { error: Box::new(error), done: done_earlier },
        })
    }

    /// Plans, and applies the plan under the lease. The lease is acquired while the rest of the snapshot is read when the first
    /// reads show that it will be needed, and otherwise only when the plan is not empty.
    async fn attempt<P: Planner>(
        &self,
        scope: &RequestScope<'_>,
        prefetched: Option<Prefetched<P::FirstReads>>,
        planner: &P,
    ) -> Result<Planned, Error> {
        let Prefetched { time, first_reads } = match prefetched {
            Some(prefetched) => prefetched,
            None => {
                let time = SnapshotTime::now();
                let first_reads = self.first_reads_unless_superseded(scope, planner);
                Prefetched { time, first_reads: self.before_deadline(first_reads).await }
            }
        };
        let first_reads = first_reads?;
        // An earlier request about the custom resource may still be writing, even when this one has nothing to write.
        let lease_while_reading = scope.generation.is_some() || planner.needs_lease(&first_reads);
        let planning = self.before_deadline(Box::pin(planner.plan(first_reads)));
        if lease_while_reading && !scope.dry_run {
            return Box::pin(self.apply_under_lease(scope, time, planning, planner)).await;
        }
        let planned = planning.await?;
        if scope.dry_run || planned.plan.is_empty() {
            return Ok(planned);
        }
        Box::pin(self.apply_under_lease(scope, time, ready(Ok(planned)), planner)).await
    }

    /// Acquires the lease while `planning` runs, then applies the plan. Plans again first when another holder may have written
    /// since the snapshot.
    async fn apply_under_lease<P: Planner>(
        &self,
        scope: &RequestScope<'_>,
        time: SnapshotTime,
        planning: impl Future<Output = Result<Planned, Error>>,
        planner: &P,
    ) -> Result<Planned, Error> {
        self.with_lease(scope.source.as_str(), planning, async |guard, planned| {
            let (time, planned) = if guard.may_be_stale(time.epoch) {
                (
                    SnapshotTime::now(),
                    self.before_deadline(Box::pin(self.plan_again(scope, planner))).await?,
                )
            } else {
                // A later request that had nothing to write took no lease, so the lease does not show it.
                self.before_deadline(self.check_not_superseded(scope.generation.as_ref())).await?;
                (time, planned)
            };
            self.apply_planned(planned, time.at + SNAPSHOT_MAX_AGE).await
        })
        .await
    }

    async fn plan_again<P: Planner>(
        &self,
        scope: &RequestScope<'_>,
        planner: &P,
    ) -> Result<Planned, Error> {
        planner.plan(self.first_reads_unless_superseded(scope, planner).await?).await
    }

    /// Makes the first reads, and checks concurrently that no later request has superseded this one.
    async fn first_reads_unless_superseded<P: Planner>(
        &self,
        scope: &RequestScope<'_>,
        planner: &P,
    ) -> Result<P::FirstReads, Error> {
        let first_reads = Box::pin(planner.first_reads());
        let (first_reads, is_latest) =
            join!(first_reads, self.check_not_superseded(scope.generation.as_ref()));
        is_latest.and(first_reads)
    }

    /// Applies the plan. Also acquires the lease on other accounts' policies when the plan changes any.
    async fn apply_planned(
        &self,
        planned: Planned,
        snapshot_expires: Instant,
    ) -> Result<Planned, Error> {
        let Planned { plan, attributes } = planned;
        let started_job = if plan.actions().any(|action| action.resource_policy().is_some()) {
            self.with_lease(CROSS_ACCOUNT_POLICIES, ready(Ok(())), async |_, ()| {
                Box::pin(self.execute(&plan, snapshot_expires)).await
            })
            .await?
        } else {
            Box::pin(self.execute(&plan, snapshot_expires)).await?
        };
        let attributes = attributes.map(|attributes| RuleAttributes {
            job_id: started_job.or(attributes.job_id),
            ..attributes
        });
        Ok(Planned { plan, attributes })
    }
}
