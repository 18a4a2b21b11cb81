//! Executes a plan.
//!
//! Stages run one after the other, and the actions of a stage concurrently. An action that replaces a whole resource is read back
//! before the next stage.
//!
//! It must not know why an action is in the plan.

use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::{Instant, sleep, timeout_at};

use super::retry::{Failed, RetryBudget, retry};
use super::{Engine, Error};
use crate::model::{ApiError, Retry};
use crate::plan::{Action, Plan, Replaces, Stage};
use crate::ports::{Cloud, Executed};

/// How long IAM may take to propagate a role's trust and permissions. A job that starts earlier fails, although S3 accepts it.
const IAM_PROPAGATION: Duration = Duration::from_secs(10);

/// The pause before the first retry of a write or a read-back.
const FIRST_PAUSE: Duration = Duration::from_millis(250);

/// Which actions of a plan were done.
#[derive(Default)]
pub(super) struct Progress<'a> {
    all: Vec<&'a Action>,
    done: Vec<&'a Action>,
}

impl<'a> Progress<'a> {
    fn new(plan: &'a Plan) -> Self {
        Self { all: plan.actions().collect(), done: Vec::new() }
    }

    fn done(&self) -> Vec<String> {
        self.done.iter().map(|action| action.to_string()).collect()
    }

    fn not_done(&self) -> Vec<String> {
        let not_done = self.all.iter().filter(|action| !self.done.contains(*action));
        not_done.map(|action| action.to_string()).collect()
    }

    pub(super) fn out_of_time(&self) -> Error {
        Error::OutOfTime { done: self.done(), not_done: self.not_done() }
    }

    fn failed(&self, failure: ApiError) -> Error {
        Error::Apply { failure: Box::new(failure), done: self.done(), not_done: self.not_done() }
    }
}

impl<C: Cloud> Engine<'_, C> {
    /// Executes a plan. Returns the id of the job that it starts; `None` when it starts no job.
    pub(super) async fn execute(
        &self,
        plan: &Plan,
        snapshot_expires: Instant,
    ) -> Result<Option<String>, Error> {
        let mut progress = Progress::new(plan);
        let mut started_job = None;
        for stage in &plan.stages {
            let results = timeout_at(
                self.deadline,
                Box::pin(self.execute_stage(stage, &progress, snapshot_expires)),
            )
            .await;
            let mut failures = Vec::new();
            for (action, result) in
                stage.actions.iter().zip(results.map_err(|_| progress.out_of_time())?)
            {
                match result {
                    Ok(executed) => {
                        progress.done.push(action);
                        if let Executed::JobStarted(id) = executed {
                            started_job = Some(id);
                        }
                    }
                    Err(failure) => failures.push(failure),
                }
            }
            // The lease must outlast a write that may still take effect, so such a failure takes precedence.
            let failure =
                failures.into_iter().min_by_key(|failure| failure.retry != Retry::NextInvocation);
            if let Some(failure) = failure {
                return Err(progress.failed(failure));
            }
        }
        Ok(started_job)
    }

    async fn execute_stage(
        &self,
        stage: &Stage,
        progress: &Progress<'_>,
        snapshot_expires: Instant,
    ) -> Vec<Result<Executed, ApiError>> {
        let starts_job =
            stage.actions.iter().any(|action| matches!(action, Action::StartJob { .. }));
        if starts_job && progress.done.iter().any(|action| action.extends_role()) {
            sleep(IAM_PROPAGATION).await;
        }
        join_all(stage.actions.iter().map(|action| self.apply_with_retry(action, snapshot_expires)))
            .await
    }

    /// Executes one action and reads it back. Retries while AWS has not made an earlier action visible.
    async fn apply_with_retry(
        &self,
        action: &Action,
        snapshot_expires: Instant,
    ) -> Result<Executed, ApiError> {
        let executed = retry(RetryBudget::for_visibility(FIRST_PAUSE), async || {
            if Instant::now() > snapshot_expires {
                self.check_precondition(action).await.map_err(Failed::Final)?;
            }
            Box::pin(self.cloud.execute(action)).await.map_err(|failure| match failure.retry {
                Retry::Soon => {
                    tracing::debug!(%failure, "trying again");
                    Failed::Retryable(failure)
                }
                Retry::Replan | Retry::NextInvocation | Retry::Never => Failed::Final(failure),
            })
        });
        let executed =
            executed.await.map_err(|failure| failure.with_parameter(action.parameter()))?;
        tracing::info!(action = action.operation(), resource = action.resource(), "changed");
        self.await_read_back(action).await;
        Ok(executed)
    }

    /// Checks that no other writer has changed what the action replaces since the snapshot.
    async fn check_precondition(&self, action: &Action) -> Result<(), ApiError> {
        match action.replaces() {
            Replaces::Replication(write) => {
                if write.precondition_holds(self.cloud.replication(write.location).await?.as_ref())
                {
                    return Ok(());
                }
                Err(ApiError {
                    operation: action.operation(),
                    resource: action.resource(),
                    code: "Changed".to_owned(),
                    message: "another writer has changed it since it was read".to_owned(),
                    parameter: None,
                    retry: Retry::Replan,
                })
            }
            // A resource policy is read immediately before each write.
            Replaces::ResourcePolicy(_) | Replaces::Nothing => Ok(()),
        }
    }

    /// Reads back until the action's effect is visible. The write has succeeded, so an effect that does not become visible in
    /// time is only logged.
    async fn await_read_back(&self, action: &Action) {
        let read_back = retry(RetryBudget::for_visibility(FIRST_PAUSE), async || {
            match self.is_visible(action).await {
                Ok(true) => Ok(()),
                Ok(false) => Err(Failed::Retryable(None)),
                Err(failure) => Err(Failed::Final(Some(failure))),
            }
        });
        match read_back.await {
            Ok(()) => {}
            Err(None) => {
                tracing::warn!(resource = action.resource(), "the write is not visible yet")
            }
            Err(Some(failure)) => tracing::warn!(%failure, "cannot read the write back"),
        }
    }

    async fn is_visible(&self, action: &Action) -> Result<bool, ApiError> {
        Ok(match action.replaces() {
            Replaces::Replication(write) => {
                write.is_reflected_in(self.cloud.replication(write.location).await?.as_ref())
            }
            Replaces::ResourcePolicy(write) => {
                write.is_reflected_in(self.cloud.policy(write.target).await?.as_deref())
            }
            Replaces::Nothing => true,
        })
    }
}
