//! Writes of what AWS replaces as a whole, and others may be writing, too: replication configurations and resource policies.
//!
//! The SDK would retry such a write after some seconds, over what others have written meanwhile. Here each write is sent once, and
//! the current state is read before every further attempt.

use std::time::Duration;

use aws_config::retry::RetryConfig;
use tokio::time::Instant;

use super::sdk_error::{Cause, malformed};
use super::{Aws, OPERATION_TIMEOUT, kms, s3};
use crate::iam_policy::ResourcePolicy;
use crate::model::{ApiError, PolicyTarget, Retry};
use crate::plan::{Action, PolicyWrite, Replaces, ReplicationWrite};
use crate::ports::Read;
use crate::reconcile::retry::RetryBudget;

/// As many as the SDK makes.
const ATTEMPTS: u32 = 3;

/// The state after an attempt that failed.
enum Current<T> {
    /// It can be written over; the next attempt starts from this.
    Basis(T),
    /// It is what the attempt was to write: its answer was lost.
    Written,
    /// Others have written it.
    Foreign,
}

impl Aws {
    /// Carries out an action that replaces a whole.
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
        let once = s3_once(&client);
        let write = async |(): &()| match action.written_configuration() {
            Some(configuration) => {
                s3::put_replication(&once, location, configuration.clone()).await
            }
            None => s3::delete_replication(&once, location).await,
        };
        let read = async || {
            let current = s3::replication(&client, location).await?;
            Ok(match current.as_ref() {
                current if target.precondition_holds(current) => Current::Basis(()),
                current if target.is_reflected_in(current) => Current::Written,
                _ => Current::Foreign,
            })
        };
        write_whole(action, (), write, read).await
    }

    /// Reads a foreign policy, changes our statement in it, and writes it back at once.
    async fn edit_policy(&self, action: &Action, edit: PolicyWrite<'_>) -> Result<(), ApiError> {
        let target = edit.target;
        let read_and_change = async || {
            let current = self.policy(target).await?;
            let operation = match target {
                PolicyTarget::Bucket(_) => "GetBucketPolicy",
                PolicyTarget::Key { .. } => "GetKeyPolicy",
            };
            let policy = ResourcePolicy::parse(current.as_deref());
            let policy = policy
                .ok_or_else(|| malformed(operation, target.to_string(), "the policy is not one"))?;
            Ok(EditedPolicy { exists: current.is_some(), policy: edit.apply_to(policy) })
        };
        let read = async || read_and_change().await.map(Current::Basis);
        match target {
            PolicyTarget::Bucket(location) => {
                let once = s3_once(&self.s3_at(location).await?);
                let write =
                    async |edited: &EditedPolicy| match (edited.exists, edited.policy.is_empty()) {
                        (false, true) => Ok(()),
                        (true, true) => s3::delete_policy(&once, location).await,
                        (_, false) => s3::put_policy(&once, location, &edited.policy).await,
                    };
                write_whole(action, read_and_change().await?, write, read).await
            }
            PolicyTarget::Key { arn, region, access } => {
                let once = kms_once(&self.kms(region, access).await?);
                let write =
                    async |edited: &EditedPolicy| match (edited.exists, edited.policy.is_empty()) {
                        (false, true) => Ok(()),
                        _ => kms::put_policy(&once, arn, &edited.policy).await,
                    };
                write_whole(action, read_and_change().await?, write, read).await
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

/// Carries out `action`: writes what is made of `basis`, again while that can help and `read` shows that nothing speaks against it.
async fn write_whole<T>(
    action: &Action,
    mut basis: T,
    write: impl AsyncFn(&T) -> Result<(), Cause>,
    read: impl AsyncFn() -> Result<Current<T>, ApiError>,
) -> Result<(), ApiError> {
    let mut budget =
        RetryBudget::until_deadline(Duration::from_millis(250), Duration::from_secs(1))
            .with_attempts(ATTEMPTS)
            .ending(Instant::now() + OPERATION_TIMEOUT);
    let mut is_first = true;
    loop {
        let Err(cause) = write(&basis).await else {
            return Ok(());
        };
        let failure = cause.into_error(action.operation(), action.resource());
        if failure.retry != Retry::NextInvocation {
            // An earlier attempt may still take effect, whatever this one says; unless the action is carried out again.
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
            Ok(Current::Basis(basis)) => basis,
            Ok(Current::Written) => return Ok(()),
            Ok(Current::Foreign) => return Err(failure),
            Err(unread) => {
                tracing::warn!(%unread, "the current state cannot be read, so the write is not tried again");
                return Err(failure);
            }
        };
    }
}

/// The client without the SDK's retries.
fn s3_once(client: &aws_sdk_s3::Client) -> aws_sdk_s3::Client {
    aws_sdk_s3::Client::from_conf(
        client.config().to_builder().retry_config(RetryConfig::disabled()).build(),
    )
}

/// The client without the SDK's retries.
fn kms_once(client: &aws_sdk_kms::Client) -> aws_sdk_kms::Client {
    aws_sdk_kms::Client::from_conf(
        client.config().to_builder().retry_config(RetryConfig::disabled()).build(),
    )
}
