//! Writes that replace a whole resource which others may also write: replication configurations and resource policies.
//!
//! The SDK would retry such a write after some seconds and overwrite what others have written in the meantime. Here each write is
//! sent once, and the current state is read before each further attempt.
//!
//! It must not know how the new state is made: [`Action`] and [`ResourcePolicy`] decide that.

use std::time::Duration;

use aws_config::retry::RetryConfig;
use tokio::time::Instant;

use super::sdk_error::{CallError, malformed_response};
use super::{Aws, OPERATION_TIMEOUT, kms, s3};
use crate::iam_policy::ResourcePolicy;
use crate::model::{ApiError, PolicyTarget, Retry};
use crate::plan::{Action, PolicyWrite, Replaces, ReplicationWrite};
use crate::ports::Read;
use crate::reconcile::retry::RetryBudget;

/// The number of attempts, as in the SDK.
const ATTEMPTS: u32 = 3;

/// What a read after a failed attempt shows.
enum StateAfterFailure<T> {
    /// The state may be overwritten; the next attempt starts from this value.
    Writable(T),
    /// The attempt has taken effect; only its response was lost.
    AlreadyWritten,
    /// Another writer has changed the state.
    ChangedByOthers,
}

impl Aws {
    /// Carries out an action that replaces a whole resource.
    pub(super) async fn replace_whole(&self, action: &Action) -> Result<(), ApiError> {
        match action.replaces() {
            Replaces::Replication(write) => self.replace_replication(action, write).await,
            Replaces::ResourcePolicy(write) => self.edit_policy(action, write).await,
            Replaces::Nothing => Ok(()),
        }
    }

    /// Writes or removes a replication configuration.
    async fn replace_replication(
        &self,
        action: &Action,
        target: ReplicationWrite<'_>,
    ) -> Result<(), ApiError> {
        let location = target.location;
        let client = self.s3_at(location).await?;
        let client_without_retries = s3_without_retries(&client);
        let write = async |(): &()| match action.written_configuration() {
            Some(configuration) => {
                s3::put_replication(&client_without_retries, location, configuration.clone()).await
            }
            None => s3::delete_replication(&client_without_retries, location).await,
        };
        let read = async || {
            let current = s3::replication(&client, location).await?;
            Ok(match current.as_ref() {
                current if target.precondition_holds(current) => StateAfterFailure::Writable(()),
                current if target.is_reflected_in(current) => StateAfterFailure::AlreadyWritten,
                _ => StateAfterFailure::ChangedByOthers,
            })
        };
        write_with_retry(action, (), write, read).await
    }

    /// Reads a foreign policy, changes our statement in it, and writes it back immediately.
    async fn edit_policy(&self, action: &Action, edit: PolicyWrite<'_>) -> Result<(), ApiError> {
        let target = edit.target;
        let read_and_change = async || {
            let current = self.policy(target).await?;
            let operation = match target {
                PolicyTarget::Bucket(_) => "GetBucketPolicy",
                PolicyTarget::Key { .. } => "GetKeyPolicy",
            };
            let policy = ResourcePolicy::parse(current.as_deref());
            let policy = policy.ok_or_else(|| {
                malformed_response(
                    operation,
                    target.to_string(),
                    "the policy is not a policy document",
                )
            })?;
            Ok(EditedPolicy { exists: current.is_some(), policy: edit.apply_to(policy) })
        };
        let read = async || read_and_change().await.map(StateAfterFailure::Writable);
        match target {
            PolicyTarget::Bucket(location) => {
                let client_without_retries = s3_without_retries(&self.s3_at(location).await?);
                let write =
                    async |edited: &EditedPolicy| match (edited.exists, edited.policy.is_empty()) {
                        (false, true) => Ok(()),
                        (true, true) => s3::delete_policy(&client_without_retries, location).await,
                        (_, false) => {
                            s3::put_policy(&client_without_retries, location, &edited.policy).await
                        }
                    };
                write_with_retry(action, read_and_change().await?, write, read).await
            }
            PolicyTarget::Key { arn, region, access } => {
                let client_without_retries = kms_without_retries(&self.kms(region, access).await?);
                let write =
                    async |edited: &EditedPolicy| match (edited.exists, edited.policy.is_empty()) {
                        (false, true) => Ok(()),
                        _ => kms::put_policy(&client_without_retries, arn, &edited.policy).await,
                    };
                write_with_retry(action, read_and_change().await?, write, read).await
            }
        }
    }
}

/// A foreign policy with our change.
struct EditedPolicy {
    /// Whether there was a policy before the change.
    exists: bool,
    policy: ResourcePolicy,
}

/// Carries out `action` with `write`, which makes the new state from `basis`. After a failure that a retry can help, `read` shows
/// whether another attempt is safe.
async fn write_with_retry<T>(
    action: &Action,
    mut basis: T,
    write: impl AsyncFn(&T) -> Result<(), CallError>,
    read: impl AsyncFn() -> Result<StateAfterFailure<T>, ApiError>,
) -> Result<(), ApiError> {
    let mut budget =
        RetryBudget::until_deadline(Duration::from_millis(250), Duration::from_secs(1))
            .with_attempts(ATTEMPTS)
            .ending(Instant::now() + OPERATION_TIMEOUT);
    let mut is_first = true;
    loop {
        let Err(error) = write(&basis).await else {
            return Ok(());
        };
        let failure = error.into_error(action.operation(), action.resource());
        if failure.retry != Retry::NextInvocation {
            // An earlier attempt may still take effect, whatever this failure says. `Soon` stays: it carries out the action
            // again.
            let retry = if is_first || failure.retry == Retry::Soon {
                failure.retry
            } else {
                Retry::NextInvocation
            };
            return Err(ApiError { retry, ..failure });
        }
        if !budget.pause().await {
            return Err(failure);
        }
        tracing::debug!(%failure, "trying again");
        is_first = false;
        basis = match read().await {
            Ok(StateAfterFailure::Writable(basis)) => basis,
            Ok(StateAfterFailure::AlreadyWritten) => return Ok(()),
            Ok(StateAfterFailure::ChangedByOthers) => return Err(failure),
            Err(read_failure) => {
                tracing::warn!(unread = %read_failure, "the current state cannot be read, so the write is not tried again");
                return Err(failure);
            }
        };
    }
}

fn s3_without_retries(client: &aws_sdk_s3::Client) -> aws_sdk_s3::Client {
    aws_sdk_s3::Client::from_conf(
        client.config().to_builder().retry_config(RetryConfig::disabled()).build(),
    )
}

fn kms_without_retries(client: &aws_sdk_kms::Client) -> aws_sdk_kms::Client {
    aws_sdk_kms::Client::from_conf(
        client.config().to_builder().retry_config(RetryConfig::disabled()).build(),
    )
}
