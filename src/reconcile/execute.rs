//! Executes a plan: stage by stage, the actions of a stage concurrently, each until its effect can be read back.
//!
//! It must not know how the plan was made, or how a request arrived.
//!
//! # Guarantees
//! - Immediately before each write of a replication configuration, the configuration is read once more and compared with the
//!   snapshot: a foreign write in between makes the request plan again. The read runs while the previous stage does, so it
//!   costs no round trip.
//! - An action counts as done when its effect was read back. When a foreign write has replaced it, the request plans again.
//!
//! # Caveats
//! - S3 has no conditional write of a replication configuration. A foreign writer that takes no lease and writes between the last
//!   read and the write loses its change: the window is the time of one call.

use std::time::Duration;

use futures_util::future::{FutureExt, join_all};
use tokio::join;
use tokio::time::{Instant, sleep, timeout_at};

use super::foreign_destinations::{is_refused_destination, refused_destinations};
use super::retry::{Failed, RetryBudget, retry};
use super::visibility::is_awaited;
use super::{Engine, Error};
use crate::model::{ApiError, BucketLocation, ReplicationConfiguration, Retry, RoleOwner};
use crate::plan::{Action, Plan, Replaces, ReplicationWrite, Stage};
use crate::ports::{Cloud, Executed};

/// How long IAM may take until a role's trust and rights are known everywhere: S3 accepts a job that comes earlier, and the job
/// fails.
const IAM_PROPAGATION: Duration = Duration::from_secs(10);

/// The pause before the first retry of a write or a read-back.
const FIRST_PAUSE: Duration = Duration::from_millis(250);

/// Which actions of a plan were done.
pub(super) struct Progress<'a> {
    all: Vec<&'a Action>,
    done: Vec<&'a Action>,
}

impl<'a> Progress<'a> {
    pub(super) fn of(plan: &'a Plan) -> Self {
        Self { all: plan.actions().collect(), done: Vec::new() }
    }

    /// The done actions as text.
    fn done(&self) -> Vec<String> {
        self.done.iter().map(|action| action.to_string()).collect()
    }

    /// The other actions as text.
    fn not_done(&self) -> Vec<String> {
        let left = self.all.iter().filter(|action| !self.done.contains(*action));
        left.map(|action| action.to_string()).collect()
    }

    pub(super) fn out_of_time(&self) -> Error {
        Error::OutOfTime { done: self.done(), not_done: self.not_done() }
    }

    fn failed(&self, failure: ApiError) -> Error {
        Error::Apply { failure: Box::new(failure), done: self.done(), not_done: self.not_done() }
    }
}

/// How long a read counts as the one immediately before a write.
pub(super) const LAST_READ_MAX_AGE: Duration = Duration::from_secs(1);

/// A read of a replication configuration immediately before a write.
pub(super) struct LastRead {
    location: BucketLocation,
    ended: Instant,
    result: Result<Option<ReplicationConfiguration>, ApiError>,
}

impl LastRead {
    /// Whether it is of a bucket, and recent enough for a write now.
    fn is_of(&self, location: &BucketLocation) -> bool {
        self.location == *location && self.ended.elapsed() < LAST_READ_MAX_AGE
    }
}

impl<C: Cloud> Engine<'_, C> {
    /// Applies a plan, and returns the id of the job that it starts. `last_read` is what was read for the first stage.
    pub(super) async fn execute(
        &self,
        plan: &Plan,
        mut last_read: Option<LastRead>,
    ) -> Result<Option<String>, Error> {
        let mut progress = Progress::of(plan);
        let mut started = None;
        let next_stages = plan.stages.iter().skip(1).map(Some).chain([None]);
        for (stage, next) in plan.stages.iter().zip(next_stages) {
            let stage_and_read = async {
                let read_for_next = async {
                    match next {
                        Some(next) => self.read_before_write(next).await,
                        None => None,
                    }
                };
                join!(self.execute_stage(stage, &progress, last_read.take()), read_for_next)
            };
            let results = timeout_at(self.deadline, Box::pin(stage_and_read)).await;
            let (results, read_for_next) = results.map_err(|_| progress.out_of_time())?;
            last_read = read_for_next;
            let mut failures = Vec::new();
            for (action, result) in stage.actions.iter().zip(results) {
                match result {
                    Ok(executed) => {
                        progress.done.push(action);
                        if let Executed::JobStarted(id) = executed {
                            started = Some(id);
                        }
                    }
                    Err(failure) => failures.push(failure),
                }
            }
            // A failure after which a write may still take effect is reported before all others.
            let worst = failures.into_iter().min_by_key(|failure| !failure.is_unanswered());
            if let Some(failure) = worst {
                return Err(progress.failed(failure));
            }
        }
        let makes_shared_role = |action: &Action| {
            matches!(action, Action::CreateRole { owner: RoleOwner::Stack(_), .. })
        };
        // Under the lease, since concurrent requests would let S3 replicate with a role that it does not know yet.
        if plan.actions().any(makes_shared_role) {
            let known = timeout_at(self.deadline, sleep(IAM_PROPAGATION)).await;
            known.map_err(|_| progress.out_of_time())?;
        }
        Ok(started)
    }

    /// Reads the replication configuration that a stage is to write; `None` when it writes none.
    pub(super) async fn read_before_write(&self, stage: &Stage) -> Option<LastRead> {
        let write = stage.actions.iter().find_map(|action| match action.replaces() {
            Replaces::Replication(write) => Some(write),
            Replaces::ResourcePolicy(_) | Replaces::Nothing => None,
        })?;
        Some(self.read_replication(write.location).await)
    }

    pub(super) async fn read_replication(&self, location: &BucketLocation) -> LastRead {
        let result = self.cloud.replication(location).await;
        LastRead { location: location.clone(), ended: Instant::now(), result }
    }

    async fn execute_stage(
        &self,
        stage: &Stage,
        progress: &Progress<'_>,
        mut last_read: Option<LastRead>,
    ) -> Vec<Result<Executed, ApiError>> {
        let starts_job =
            stage.actions.iter().any(|action| matches!(action, Action::StartJob { .. }));
        if starts_job && progress.done.iter().any(|action| action.extends_role()) {
            sleep(IAM_PROPAGATION).await;
        }
        let actions = stage.actions.iter().map(|action| match action.replaces() {
            Replaces::Replication(write) => {
                let attempts = Attempts { action, done: &progress.done };
                self.write_replication(attempts, write, last_read.take()).left_future()
            }
            Replaces::ResourcePolicy(_) | Replaces::Nothing => {
                self.execute_with_retry(Attempts { action, done: &progress.done }).right_future()
            }
        });
        join_all(actions).await
    }

    /// Executes an action that replaces no replication configuration, again while AWS has yet to make an earlier action visible.
    async fn execute_with_retry(&self, attempts: Attempts<'_>) -> Result<Executed, ApiError> {
        let action = attempts.action;
        let executed = retry(RetryBudget::for_visibility(FIRST_PAUSE), async || {
            Box::pin(self.cloud.execute(action)).await.map_err(|failure| attempts.classify(failure))
        });
        let executed = executed.await.map_err(|failure| {
            explain_role_quota(action, failure.with_needed_right(action.needed_right()))
        })?;
        log_change(action);
        match action.replaces() {
            Replaces::ResourcePolicy(write) => {
                self.await_read_back(action, async || {
                    let policy = self.cloud.resource_policy(write.target).await?;
                    Ok(match write.is_reflected_in(policy.as_deref()) {
                        true => ReadBack::Effect,
                        false => ReadBack::Before,
                    })
                })
                .await?;
            }
            Replaces::Replication(_) | Replaces::Nothing => {}
        }
        Ok(executed)
    }

    /// Writes a replication configuration, each time after a read that shows it as the snapshot does.
    async fn write_replication(
        &self,
        attempts: Attempts<'_>,
        write: ReplicationWrite<'_>,
        mut last_read: Option<LastRead>,
    ) -> Result<Executed, ApiError> {
        let action = attempts.action;
        let executed = retry(RetryBudget::for_visibility(FIRST_PAUSE), async || {
            let current = match last_read.take() {
                Some(last) if last.is_of(write.location) => last.result,
                Some(_) | None => self.cloud.replication(write.location).await,
            };
            if !write.precondition_holds(current.map_err(Failed::Final)?.as_ref()) {
                return Err(Failed::Final(changed(
                    action,
                    "Changed",
                    "another has written it since it was read",
                )));
            }
            match Box::pin(self.cloud.execute(action)).await {
                Err(failure) if is_refused_destination(&failure) => {
                    Err(self.explain_refused_write(&attempts, write, failure).await)
                }
                executed => executed.map_err(|failure| attempts.classify(failure)),
            }
        });
        let executed =
            executed.await.map_err(|failure| failure.with_needed_right(action.needed_right()))?;
        log_change(action);
        self.await_read_back(action, async || {
            let current = self.cloud.replication(write.location).await?;
            Ok(match current.as_ref() {
                current if write.is_reflected_in(current) => ReadBack::Effect,
                current if write.precondition_holds(current) => ReadBack::Before,
                _ => ReadBack::Foreign,
            })
        })
        .await?;
        Ok(executed)
    }

    /// Names the foreign rules for which S3 has refused the configuration. When there are none, our own destination is not visible yet.
    async fn explain_refused_write(
        &self,
        attempts: &Attempts<'_>,
        write: ReplicationWrite<'_>,
        failure: ApiError,
    ) -> Failed<ApiError> {
        let Some(configuration) = attempts.action.written_configuration() else {
            return attempts.classify(failure);
        };
        let region = &write.location.region;
        let causes = refused_destinations(self.cloud, configuration, write.rule, region).await;
        if causes.is_empty() {
            return attempts.classify(failure);
        }
        let message = format!(
            "{}, so S3 refuses every change of the configuration: {}",
            causes.join("; "),
            failure.message
        );
        Failed::Final(ApiError { message, retry: Retry::Never, ..failure })
    }

    /// Reads back until the action's effect shows. A failed read says nothing, so it is repeated, too.
    async fn await_read_back(
        &self,
        action: &Action,
        read: impl AsyncFn() -> Result<ReadBack, ApiError>,
    ) -> Result<(), ApiError> {
        let read_back =
            retry(RetryBudget::for_visibility(FIRST_PAUSE), async || match read().await {
                Ok(ReadBack::Effect) => Ok(()),
                Ok(ReadBack::Before) => {
                    Err(Failed::Retryable(not_visible(action, "the write does not show")))
                }
                Ok(ReadBack::Foreign) => Err(Failed::Final(changed(
                    action,
                    "Overwritten",
                    "another has overwritten it a moment later",
                ))),
                Err(failure) => Err(Failed::Retryable(not_visible(action, &failure.to_string()))),
            });
        read_back.await
    }
}

/// What a read-back shows.
enum ReadBack {
    /// The action's effect.
    Effect,
    /// The state before: the write is not visible yet.
    Before,
    /// A foreign write.
    Foreign,
}

/// The attempts to execute one action.
struct Attempts<'a> {
    action: &'a Action,
    /// What the request has done before.
    done: &'a [&'a Action],
}

impl Attempts<'_> {
    /// Whether another attempt may succeed: soon, or when what the request has made is visible.
    fn classify(&self, failure: ApiError) -> Failed<ApiError> {
        if failure.retry == Retry::Soon || is_awaited(self.action, &failure, self.done) {
            tracing::debug!(%failure, "trying again");
            return Failed::Retryable(failure);
        }
        Failed::Final(failure)
    }
}

/// Says what to do when the account has no room for another bucket's role.
fn explain_role_quota(action: &Action, failure: ApiError) -> ApiError {
    let is_for_bucket = matches!(action, Action::CreateRole { owner: RoleOwner::Bucket(_), .. });
    if !is_for_bucket || failure.code != "LimitExceeded" {
        return failure;
    }
    let message = format!(
        "{}; raise IAM's quota of roles, or set `RoleScope` to Policy, which needs one role for all buckets of the replication policy",
        failure.message
    );
    ApiError { message, operation: action.operation(), ..failure }
}

fn log_change(action: &Action) {
    tracing::info!(action = action.operation(), resource = action.resource(), "changed");
}

/// The state is not the one that the plan was made for: the request plans again.
fn changed(action: &Action, code: &str, message: &str) -> ApiError {
    let (code, message) = (code.to_owned(), message.to_owned());
    let (operation, resource) = (action.operation(), action.resource());
    ApiError { operation, resource, code, message, missing_right: None, retry: Retry::Replan }
}

/// A write that succeeded and could not be read back.
fn not_visible(action: &Action, message: &str) -> ApiError {
    ApiError { retry: Retry::NextInvocation, ..changed(action, "NotVisible", message) }
}
