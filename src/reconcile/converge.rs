//! Snapshot, plan, apply; again while the state turns out to differ from the snapshot.
//!
//! It must not know what is read and planned: each [`DesiredState`] knows.

use std::future::ready;
use std::time::Duration;

use futures_util::future::OptionFuture;
use tokio::join;
use tokio::time::{Instant, timeout_at};

use super::canary_removal::{CanaryTraces, FormerRule};
use super::catch_up::RequestedCatchUp;
use super::execute::{LAST_READ_MAX_AGE, LastRead, Progress};
use super::generation::Generation;
use super::lease::{Acquisition, epoch_seconds};
use super::retry::{Failed, RetryBudget, retry};
use super::{Engine, Error, Outcome, Status};
use crate::model::{Access, Retry, RuleAddress};
use crate::plan::{Plan, RuleAttributes};
use crate::ports::Cloud;
use crate::spec::Spec;

/// The resource of the lease on the policies of other accounts. With its slash it is no bucket's name.
const CROSS_ACCOUNT_POLICIES: &str = "policies/cross-account";

/// The state that a request is to bring about: what is read to compare AWS with it, and the plan that leads to it.
pub(super) trait DesiredState {
    /// What the first round of reads shows.
    type FirstReads;

    /// Makes the first round of reads.
    async fn first_reads(&self) -> Result<Self::FirstReads, Error>;

    /// Whether the lease is acquired while the rest is read: something is to be written unless the plan is refused, or nobody else
    /// may be writing when there is nothing to write.
    fn needs_lease(&self, first_reads: &Self::FirstReads) -> bool;

    /// The rule that the plan deletes, whatever the rest of the reads shows.
    fn deletes(&self, _first_reads: &Self::FirstReads) -> Option<FormerRule> {
        None
    }

    /// Reads the rest of the snapshot, and plans from the snapshot alone.
    async fn read_and_plan(&self, first_reads: Self::FirstReads) -> Result<Planned, Error>;
}

/// A plan, the attributes of the rule that it makes, and the job that it starts.
pub(super) struct Planned {
    pub plan: Plan,
    pub attributes: Option<RuleAttributes>,
    /// The id of the job that was started, or else of the one that runs; `None` if the attributes have it.
    pub job_id: Option<String>,
}

impl From<Plan> for Planned {
    fn from(plan: Plan) -> Self {
        Self { plan, attributes: None, job_id: None }
    }
}

impl Planned {
    /// The outcome for `rule` when the plan was applied, with the status `changed` when it was not empty.
    pub(super) fn into_outcome(self, rule: RuleAddress, changed: Status, dry_run: bool) -> Outcome {
        let status = match (dry_run, self.plan.is_empty()) {
            (true, _) => Status::Planned,
            (false, true) => Status::Unchanged,
            (false, false) => changed,
        };
        Outcome { rule, status, plan: self.plan, attributes: self.attributes }
    }
}

/// What a request is about.
pub(super) struct RequestScope<'a> {
    /// The resource whose lease the request takes: its bucket, or the role of all buckets.
    pub lease: &'a str,
    /// Plan only.
    pub dry_run: bool,
    /// The request's generation, when it is about a custom resource.
    pub generation: Option<Generation<'a>>,
    /// The credentials for the destination's account.
    pub access: &'a Access,
    /// The rule that is applied.
    pub applies: Option<AppliedRule<'a>>,
}

impl<'a> RequestScope<'a> {
    /// A request that is about no custom resource, applies no rule, and reaches no other account.
    pub fn new(lease: &'a str, dry_run: bool) -> Self {
        Self { lease, dry_run, generation: None, access: &Access::Own, applies: None }
    }
}

/// The rule that a request applies.
pub(super) struct AppliedRule<'a> {
    pub spec: &'a Spec,
    /// Its catch-up.
    pub catch_up: RequestedCatchUp,
}

impl<'a> AppliedRule<'a> {
    pub(super) fn new(spec: &'a Spec) -> Self {
        Self { spec, catch_up: RequestedCatchUp::default() }
    }
}

/// First reads that were made before they were known to be needed.
pub(super) struct Prefetched<F> {
    /// When the reads began, in seconds since the epoch, as leases expire.
    pub time: u64,
    pub first_reads: Result<F, Error>,
}

/// What was read before the lease was acquired.
enum BeforeLease<F> {
    FirstReads(F),
    Planned(Box<Planned>),
}

/// What was read immediately before a plan is applied.
struct Prepared {
    /// What was read for the first stage.
    last_read: Option<LastRead>,
    /// The canaries of the rules that the plan deletes or moves.
    canaries: Vec<CanaryTraces>,
}

impl<C: Cloud> Engine<'_, C> {
    /// Plans and applies, unless a later request has superseded this one, and starts over while the state differs from the snapshot.
    /// The first plan is made of the `prefetched` reads, when there are any.
    pub(super) async fn converge<D: DesiredState>(
        &self,
        scope: &RequestScope<'_>,
        mut prefetched: Option<Prefetched<D::FirstReads>>,
        desired: &D,
    ) -> Result<Planned, Error> {
        let (mut done_before, mut done_last) = (Vec::new(), Vec::new());
        let budget = RetryBudget::for_visibility(Duration::from_secs(1)).ending(self.deadline);
        let converged = retry(budget, async || {
            done_before.append(&mut done_last);
            // Boxed, like everything that holds many calls: futures are moved on the stack, which is small.
            let attempt = Box::pin(self.attempt(scope, prefetched.take(), desired)).await;
            attempt.map_err(|error| match &error {
                _ if error.retry() != Some(Retry::Replan) => Failed::Final(error),
                Error::Apply { done, .. } => {
                    done_last.clone_from(done);
                    Failed::Retryable(error)
                }
                _ => Failed::Retryable(error),
            })
        })
        .await;
        converged.map_err(|error| match done_before.is_empty() {
            true => error,
            false => Error::Interrupted { error: Box::new(error), done: done_before },
        })
    }

    /// Plans, and applies the plan under the lease. The lease is acquired while the rest of the snapshot is read, when the first
    /// reads show that it will be needed; otherwise when the plan has something to write.
    async fn attempt<D: DesiredState>(
        &self,
        scope: &RequestScope<'_>,
        prefetched: Option<Prefetched<D::FirstReads>>,
        desired: &D,
    ) -> Result<Planned, Error> {
        if scope.generation.is_some() && !scope.dry_run {
            return Box::pin(self.attempt_about_resource(scope, desired)).await;
        }
        let Prefetched { time, first_reads } = match prefetched {
            Some(prefetched) => prefetched,
            None => {
                let time = epoch_seconds(Duration::ZERO);
                let first_reads = self.first_reads_unless_superseded(scope, desired);
                Prefetched { time, first_reads: self.before_deadline(first_reads).await }
            }
        };
        let first_reads = first_reads?;
        let needs_lease = desired.needs_lease(&first_reads);
        let planning = self.before_deadline(Box::pin(desired.read_and_plan(first_reads)));
        if needs_lease && !scope.dry_run {
            return Box::pin(self.apply_under_lease(scope, time, planning, desired)).await;
        }
        let planned = planning.await?;
        if scope.dry_run || planned.plan.is_empty() {
            return Ok(planned);
        }
        Box::pin(self.apply_under_lease(scope, time, ready(Ok(planned)), desired)).await
    }

    /// The attempt of a request about a custom resource. It acquires the lease while the first reads run: an earlier request may still be
    /// writing, also when this one has nothing to write. While it waits for another holder, it plans, so that a refusal is said at once.
    async fn attempt_about_resource<D: DesiredState>(
        &self,
        scope: &RequestScope<'_>,
        desired: &D,
    ) -> Result<Planned, Error> {
        let time = epoch_seconds(Duration::ZERO);
        let reads = async |acquisition: &Acquisition| {
            let first_reads = Box::pin(self.first_reads_unless_superseded(scope, desired));
            let first_reads = self.before_deadline(first_reads).await?;
            if !acquisition.is_under_way() {
                return Ok(BeforeLease::FirstReads(first_reads));
            }
            let planning = Box::pin(desired.read_and_plan(first_reads));
            let planned = self.before_deadline(planning).await?;
            Ok(BeforeLease::Planned(Box::new(planned)))
        };
        self.with_lease(scope.lease, reads, async |guard, before| match before {
            _ if guard.may_be_stale(time) => {
                Box::pin(self.plan_and_apply(scope, None, desired)).await
            }
            BeforeLease::FirstReads(first_reads) => {
                Box::pin(self.plan_and_apply(scope, Some(first_reads), desired)).await
            }
            BeforeLease::Planned(planned) => {
                Box::pin(self.prepare_and_apply(scope, *planned)).await
            }
        })
        .await
    }

    /// Acquires the lease while `planning` runs, plans again when another holder may have written since the snapshot, and applies.
    async fn apply_under_lease<D: DesiredState>(
        &self,
        scope: &RequestScope<'_>,
        snapshot_time: u64,
        planning: impl Future<Output = Result<Planned, Error>>,
        desired: &D,
    ) -> Result<Planned, Error> {
        self.with_lease(
            scope.lease,
            async |_| planning.await,
            async |guard, planned| {
                if guard.may_be_stale(snapshot_time) {
                    return Box::pin(self.plan_and_apply(scope, None, desired)).await;
                }
                self.prepare_and_apply(scope, planned).await
            },
        )
        .await
    }

    /// Applies what was planned before the lease was acquired.
    async fn prepare_and_apply(
        &self,
        scope: &RequestScope<'_>,
        planned: Planned,
    ) -> Result<Planned, Error> {
        let preparing = async {
            let started = Instant::now();
            let (is_latest, prepared) = join!(
                self.check_not_superseded(scope.generation.as_ref()),
                self.prepare(&planned.plan, scope.access)
            );
            is_latest?;
            self.check_again(scope, started).await?;
            prepared
        };
        let prepared = self.before_deadline(Box::pin(preparing)).await?;
        self.apply_planned(scope, planned, prepared).await
    }

    /// Plans under the lease, and applies. The first reads are made again without fresh ones.
    async fn plan_and_apply<D: DesiredState>(
        &self,
        scope: &RequestScope<'_>,
        first_reads: Option<D::FirstReads>,
        desired: &D,
    ) -> Result<Planned, Error> {
        let planning = async {
            let first_reads = match first_reads {
                Some(first_reads) => first_reads,
                None => self.first_reads_unless_superseded(scope, desired).await?,
            };
            self.plan_and_prepare(scope, first_reads, desired).await
        };
        let (planned, prepared) = self.before_deadline(Box::pin(planning)).await?;
        self.apply_planned(scope, planned, prepared).await
    }

    /// Plans under the lease. What precedes the deletion of a rule is read at the same time.
    async fn plan_and_prepare<D: DesiredState>(
        &self,
        scope: &RequestScope<'_>,
        first_reads: D::FirstReads,
        desired: &D,
    ) -> Result<(Planned, Prepared), Error> {
        let started = Instant::now();
        let deleted: Vec<FormerRule> = desired.deletes(&first_reads).into_iter().collect();
        let location = deleted.first().map(|former| &former.location);
        let (is_latest, planned, last_read, canaries) = join!(
            // A later request that had nothing to write has held no lease.
            self.check_not_superseded(scope.generation.as_ref()),
            Box::pin(desired.read_and_plan(first_reads)),
            OptionFuture::from(location.map(|location| self.read_replication(location))),
            Box::pin(self.find_former_canaries(&deleted, scope.access))
        );
        is_latest?;
        let planned = planned?;
        let prepared = match FormerRule::all_of(&planned.plan) == deleted && last_read.is_some() {
            true => Prepared { last_read, canaries: canaries? },
            false => self.prepare(&planned.plan, scope.access).await?,
        };
        self.check_again(scope, started).await?;
        Ok((planned, prepared))
    }

    /// Looks for a later request again, if the look that began at `started` is old: a Delete without anything to delete holds no lease, and
    /// may have been answered since.
    async fn check_again(&self, scope: &RequestScope<'_>, started: Instant) -> Result<(), Error> {
        if started.elapsed() < LAST_READ_MAX_AGE {
            return Ok(());
        }
        self.check_not_superseded(scope.generation.as_ref()).await
    }

    /// Reads what must be known immediately before the plan is applied, all at once.
    async fn prepare(&self, plan: &Plan, access: &Access) -> Result<Prepared, Error> {
        let last_read =
            OptionFuture::from(plan.stages.first().map(|stage| self.read_before_write(stage)));
        let former = FormerRule::all_of(plan);
        let (last_read, canaries) = join!(last_read, self.find_former_canaries(&former, access));
        Ok(Prepared { last_read: last_read.flatten(), canaries: canaries? })
    }

    /// The first reads of a request that no later one has superseded.
    async fn first_reads_unless_superseded<D: DesiredState>(
        &self,
        scope: &RequestScope<'_>,
        desired: &D,
    ) -> Result<D::FirstReads, Error> {
        let first_reads = Box::pin(desired.first_reads());
        let (first_reads, is_latest) =
            join!(first_reads, self.check_not_superseded(scope.generation.as_ref()));
        is_latest.and(first_reads)
    }

    /// Applies the plan, under the lease on other accounts' policies too when it changes any.
    async fn apply_planned(
        &self,
        scope: &RequestScope<'_>,
        planned: Planned,
        Prepared { last_read, canaries }: Prepared,
    ) -> Result<Planned, Error> {
        let Planned { mut plan, attributes, job_id } = planned;
        if let Some(AppliedRule { spec, catch_up }) = &scope.applies {
            if spec.verify && !plan.is_empty() {
                self.open_verification(&spec.rule).await?;
            }
            plan.warnings.extend(Box::pin(self.request_catch_up(spec, &plan, catch_up)).await);
        }
        let removal = Box::pin(self.remove_former_canaries(&canaries));
        let removed = timeout_at(self.deadline, removal).await;
        removed.map_err(|_| Progress::of(&plan).out_of_time())??;
        let started = if plan.actions().any(|action| action.resource_policy().is_some()) {
            self.with_lease(
                CROSS_ACCOUNT_POLICIES,
                async |_| Ok(()),
                async |_, ()| Box::pin(self.execute(&plan, last_read)).await,
            )
            .await?
        } else {
            Box::pin(self.execute(&plan, last_read)).await?
        };
        let attributes = attributes.map(|attributes| RuleAttributes {
            job_id: started.clone().or(attributes.job_id),
            ..attributes
        });
        Ok(Planned { plan, attributes, job_id: started.or(job_id) })
    }
}
