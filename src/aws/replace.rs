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
use crate::cloud::{CloudError, Guarded, Location, Remedy};
use crate::grants::ResourcePolicy;
use crate::plan::Step;

/// As often as the SDK tries.
const TRIES: u32 = 3;

/// What is there after a try that failed.
enum Found {
    /// What was there before it.
    Unchanged,
    /// What it was to write: its answer was lost.
    Written,
    /// What others have written.
    Foreign,
}

impl Aws {
    /// Writes or removes a replication configuration.
    pub(super) async fn replace_replication(&self, step: &Step, location: &Location) -> Result<(), CloudError> {
        let client = s3_without_retries(&self.s3_at(location).await?);
        let write = async || {
            let written = match step {
                Step::PutReplication { configuration, .. } => s3::put_replication(&client, location, configuration.clone()).await,
                _ => s3::delete_replication(&client, location).await,
            };
            written.map_err(|cause| cause.into_error(step.action(), step.resource()))
        };
        let look = async || {
            let current = s3::replication(&client, location).await?;
            Ok(match current.as_ref() {
                current if step.replaces(current) => Found::Unchanged,
                current if step.shows_in(current) => Found::Written,
                _ => Found::Foreign,
            })
        };
        persist(write, look).await
    }

    /// Reads a policy of others, changes what is ours in it, and writes it back at once.
    pub(super) async fn edit_policy(
        &self,
        step: &Step,
        guarded: &Guarded,
        change: impl Fn(ResourcePolicy) -> ResourcePolicy,
    ) -> Result<(), CloudError> {
        let action = match guarded {
            Guarded::Bucket(_) => "GetBucketPolicy",
            Guarded::Key { .. } => "GetKeyPolicy",
        };
        let changed = |current: Option<&str>| {
            let policy = ResourcePolicy::parse(current);
            policy.map(&change).ok_or_else(|| malformed(action, guarded.to_string(), "the policy is not one"))
        };
        let failed = |cause: Cause| cause.into_error(step.action(), step.resource());
        let unchanged = async || Ok(Found::Unchanged);
        match guarded {
            Guarded::Bucket(location) => {
                let client = s3_without_retries(&self.s3_at(location).await?);
                let write = async || {
                    let current = s3::policy(&client, location).await?;
                    let policy = changed(current.as_deref())?;
                    match (policy.is_empty(), current) {
                        (true, None) => Ok(()),
                        (true, Some(_)) => s3::delete_policy(&client, location).await.map_err(failed),
                        (false, _) => s3::put_policy(&client, location, &policy).await.map_err(failed),
                    }
                };
                persist(write, unchanged).await
            }
            Guarded::Key { arn, region, access } => {
                let client = kms_without_retries(&self.kms(region, access).await?);
                let write = async || {
                    let current = kms::policy(&client, arn).await?;
                    let policy = changed(current.as_deref())?;
                    if current.is_none() && policy.is_empty() {
                        return Ok(());
                    }
                    kms::put_policy(&client, arn, &policy).await.map_err(failed)
                };
                persist(write, unchanged).await
            }
        }
    }
}

/// Writes, again while that can help and `look` finds nothing that speaks against it.
async fn persist(
    write: impl AsyncFn() -> Result<(), CloudError>,
    look: impl AsyncFn() -> Result<Found, CloudError>,
) -> Result<(), CloudError> {
    let (started, mut backoff) = (Instant::now(), Backoff::new(Duration::from_millis(250), Duration::from_secs(1)));
    let mut tries = 0;
    loop {
        let Err(failure) = write().await else { return Ok(()) };
        tries += 1;
        if failure.remedy != Remedy::Later || tries == TRIES || started.elapsed() >= OPERATION_TIMEOUT {
            return Err(failure);
        }
        backoff.pause().await;
        match look().await {
            Ok(Found::Unchanged) => tracing::debug!(%failure, "trying again"),
            Ok(Found::Written) => return Ok(()),
            Ok(Found::Foreign) | Err(_) => return Err(failure),
        }
    }
}

fn s3_without_retries(client: &aws_sdk_s3::Client) -> aws_sdk_s3::Client {
    aws_sdk_s3::Client::from_conf(client.config().to_builder().retry_config(RetryConfig::disabled()).build())
}

fn kms_without_retries(client: &aws_sdk_kms::Client) -> aws_sdk_kms::Client {
    aws_sdk_kms::Client::from_conf(client.config().to_builder().retry_config(RetryConfig::disabled()).build())
}
