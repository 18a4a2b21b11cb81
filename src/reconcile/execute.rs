//! Carries out a plan: stage by stage, the actions of a stage at once, each until its effect can be read back.

use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::{Instant, sleep, timeout_at};

use super::retry::{Failed, RetryBudget, retry};
use super::{Engine, Error};
use crate::model::{ApiError, Retry};
use crate::plan::{Action, Plan, Replaces, Stage};
use crate::ports::{Cloud, Executed};

/// How long IAM may take until a role's trust and rights are known everywhere: S3 accepts a job that comes earlier, and the job
/// fails.
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
    fn of(plan: &'a Plan) -> Self {
        Self { all: plan.actions().collect(), done: Vec::new() }
    }

    /// The done actions as text.
    fn done(&self) -> Vec<String> {
        self.done.iter().map(|action| action.to_string()).collect()
    }

    /// The other actions as text.
    fn left(&self) -> Vec<String> {
        let left = self.all.iter().filter(|action| !self.done.contains(*action));
        left.map(|action| action.to_string()).collect()
    }

    pub(super) fn out_of_time(&self) -> Error {
        Error::OutOfTime { done: self.done(), left: self.left() }
    }

    fn failed(&self, failure: ApiError) -> Error {
        Error::Apply { failure: Box::new(failure), done: self.done(), left: self.left() }
    }
}

impl<C: Cloud> Engine<'_, C> {
    /// Carries out a plan; gives the id of the job that it starts.
    pub(super) async fn execute(
        &self,
        plan: &Plan,
        snapshot_expires: Instant,
    ) -> Result<Option<String>, Error> {
        let mut progress = Progress::of(plan);
        let mut started = None;
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
                            started = Some(id);
                        }
                    }
                    Err(failure) => failures.push(failure),
                }
            }
            // A failure after which a write may still take effect is reported before all others.
            let worst =
                failures.into_iter().min_by_key(|failure| failure.retry != Retry::NextInvocation);
            if let Some(failure) = worst {
                return Err(progress.failed(failure));
            }
        }
        Ok(started)
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

    /// Carries out one action, again while AWS has yet to make an earlier action visible, and reads back what it wrote.
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

    /// Reads once more what the action replaces as a whole: others may have written since the snapshot.
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
                    message: "another has written it since it was looked at".to_owned(),
                    parameter: None,
                    retry: Retry::Replan,
                })
            }
            // The policy is read immediately before each write.
            Replaces::ResourcePolicy(_) | Replaces::Nothing => Ok(()),
        }
    }

    /// Reads back until the action's effect shows. The write has succeeded, so it is no failure when its effect does not show.
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
            Err(Some(failure)) => tracing::warn!(%failure, "the write could not be read back"),
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
