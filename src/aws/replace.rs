//! Writes of what AWS replaces as a whole, and others may be writing, too: replication configurations and resource policies.
//!
//! The SDK would send such a write again after some seconds, over what others have written meanwhile. Here each is sent once, and what is
//! there is looked at before every further try.

use std::time::Duration;

use aws_config::retry::RetryConfig;
use tokio::time::Instant;

use super::failure::{Cause, malformed};
use super::{Aws, OPERATION_TIMEOUT, kms, s3};
use crate::backoff::Backoff;
use crate::cloud::{Cloud, CloudError, Guarded, Location, Remedy};
use crate::grants::ResourcePolicy;
use crate::plan::Step;

/// As often as the SDK tries.
const TRIES: u32 = 3;

/// What is there after a try that failed.
enum Found<T> {
    /// What can be written over, or what is to be written is made of.
    Basis(T),
    /// What the try was to write: its answer was lost.
    Written,
    /// What others have written.
    Foreign,
}

impl Aws {
    /// Writes or removes a replication configuration.
    pub(super) async fn replace_replication(&self, step: &Step, location: &Location) -> Result<(), CloudError> {
        let client = self.s3_at(location).await?;
        let once = s3_once(&client);
        let write = async |(): &()| match step {
            Step::PutReplication { configuration, .. } => s3::put_replication(&once, location, configuration.clone()).await,
            _ => s3::delete_replication(&once, location).await,
        };
        let look = async || {
            let current = s3::replication(&client, location).await?;
            Ok(match current.as_ref() {
                current if step.replaces(current) => Found::Basis(()),
                current if step.shows_in(current) => Found::Written,
                _ => Found::Foreign,
            })
        };
        persist(step, (), write, look).await
    }

    /// Reads a policy of others, changes what is ours in it, and writes it back at once.
    pub(super) async fn edit_policy(
        &self,
        step: &Step,
        guarded: &Guarded,
        change: impl Fn(ResourcePolicy) -> ResourcePolicy,
    ) -> Result<(), CloudError> {
        // Whether there is a policy, and what it is to be.
        let read = async || {
            let current = self.policy(guarded).await?;
            let action = match guarded {
                Guarded::Bucket(_) => "GetBucketPolicy",
                Guarded::Key { .. } => "GetKeyPolicy",
            };
            let policy = ResourcePolicy::parse(current.as_deref());
            let policy = policy.ok_or_else(|| malformed(action, guarded.to_string(), "the policy is not one"))?;
            Ok((current.is_some(), change(policy)))
        };
        let look = async || read().await.map(Found::Basis);
        match guarded {
            Guarded::Bucket(location) => {
                let once = s3_once(&self.s3_at(location).await?);
                let write = async |(is_there, policy): &(bool, ResourcePolicy)| match (is_there, policy.is_empty()) {
                    (false, true) => Ok(()),
                    (true, true) => s3::delete_policy(&once, location).await,
                    (_, false) => s3::put_policy(&once, location, policy).await,
                };
                persist(step, read().await?, write, look).await
            }
            Guarded::Key { arn, region, access } => {
                let once = kms_once(&self.kms(region, access).await?);
                let write = async |(is_there, policy): &(bool, ResourcePolicy)| match (is_there, policy.is_empty()) {
                    (false, true) => Ok(()),
                    _ => kms::put_policy(&once, arn, policy).await,
                };
                persist(step, read().await?, write, look).await
            }
        }
    }
}

/// Does `step`: writes what is made of `basis`, again while that can help and `look` finds nothing that speaks against it.
async fn persist<T>(
    step: &Step,
    mut basis: T,
    write: impl AsyncFn(&T) -> Result<(), Cause>,
    look: impl AsyncFn() -> Result<Found<T>, CloudError>,
) -> Result<(), CloudError> {
    let (started, mut backoff) = (Instant::now(), Backoff::new(Duration::from_millis(250), Duration::from_secs(1)));
    for tries in 1.. {
        let Err(cause) = write(&basis).await else { break };
        let failure = cause.into_error(step.action(), step.resource());
        if failure.remedy != Remedy::Later {
            // An earlier try may still be on its way, whatever has become of this one: unless the step is done again.
            let remedy = if tries > 1 && failure.remedy != Remedy::Wait { Remedy::Later } else { failure.remedy };
            return Err(CloudError { remedy, ..failure });
        }
        if tries == TRIES || started.elapsed() >= OPERATION_TIMEOUT {
            return Err(failure);
        }
        tracing::debug!(%failure, "trying again");
        backoff.pause().await;
        basis = match look().await {
            Ok(Found::Basis(basis)) => basis,
            Ok(Found::Written) => break,
            Ok(Found::Foreign) => return Err(failure),
            Err(unread) => {
                tracing::warn!(%unread, "what is there cannot be looked at, so nothing is tried again");
                return Err(failure);
            }
        };
    }
    Ok(())
}

/// The client without the SDK's retries.
fn s3_once(client: &aws_sdk_s3::Client) -> aws_sdk_s3::Client {
    aws_sdk_s3::Client::from_conf(client.config().to_builder().retry_config(RetryConfig::disabled()).build())
}

/// The client without the SDK's retries.
fn kms_once(client: &aws_sdk_kms::Client) -> aws_sdk_kms::Client {
    aws_sdk_kms::Client::from_conf(client.config().to_builder().retry_config(RetryConfig::disabled()).build())
}
