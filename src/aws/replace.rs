//! Writes that replace what others may be writing, too: replication configurations and resource policies.
//!
//! It must not know why something is replaced.
//!
//! The SDK would retry such a write after some seconds, over what others have written meanwhile. Here each write is sent once; the
//! engine reads the current state before it tries again. A write of a replication configuration has no time-out but the engine's
//! deadline: one that was given up could still take effect, over a later write.

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;

use super::sdk_error::CallError;
use super::{Aws, kms, s3};
use crate::model::{ApiError, ResourcePolicyTarget, Retry};
use crate::plan::{
    Action, Replaces, ReplicationWrite, ResourcePolicyConflict, ResourcePolicyWrite,
};
use crate::ports::Read;

impl Aws {
    /// Executes an action that replaces a configuration or a policy as a whole.
    pub(super) async fn replace_whole(&self, action: &Action) -> Result<(), ApiError> {
        let written = match action.replaces() {
            Replaces::Replication(write) => self.replace_replication(action, write).await?,
            Replaces::ResourcePolicy(write) => self.edit_policy(action.operation(), write).await?,
            Replaces::Nothing => Ok(()),
        };
        written.map_err(|cause| {
            let failure = cause.into_error(action.operation(), action.resource());
            // AWS has answered that it did not write: the engine may try again, after a read.
            let was_refused = failure.retry == Retry::NextInvocation && !failure.is_unanswered();
            ApiError { retry: if was_refused { Retry::Soon } else { failure.retry }, ..failure }
        })
    }

    async fn replace_replication(
        &self,
        action: &Action,
        write: ReplicationWrite<'_>,
    ) -> Result<Result<(), CallError>, ApiError> {
        let client = s3_once(&self.s3_at(write.location).await?);
        Ok(match action.written_configuration() {
            Some(configuration) => {
                s3::put_replication(&client, write.location, configuration).await
            }
            None => s3::delete_replication(&client, write.location).await,
        })
    }

    /// Reads a foreign policy, changes our statement in it, and writes it back at once.
    async fn edit_policy(
        &self,
        operation: &'static str,
        edit: ResourcePolicyWrite<'_>,
    ) -> Result<Result<(), CallError>, ApiError> {
        let current = self.resource_policy(edit.target).await?;
        if edit.is_reflected_in(current.as_deref()) {
            return Ok(Ok(()));
        }
        let policy = edit.replace(current.as_deref());
        let policy = policy.map_err(|conflict| conflict_error(operation, edit.target, conflict))?;
        Ok(match (edit.target, current.is_some()) {
            (_, false) if policy.is_empty() => Ok(()),
            (ResourcePolicyTarget::Bucket(location), _) => {
                let client = s3_once(&self.s3_at(location).await?);
                if policy.is_empty() {
                    s3::delete_policy(&client, location).await
                } else {
                    s3::put_policy(&client, location, &policy).await
                }
            }
            (ResourcePolicyTarget::Key { arn, region, access }, _) => {
                let client = kms_once(&self.kms(region, access).await?);
                kms::put_policy(&client, arn, &policy).await
            }
        })
    }
}

/// What was read is not what the plan was made for, so nothing was written.
fn conflict_error(
    operation: &'static str,
    target: &ResourcePolicyTarget,
    conflict: ResourcePolicyConflict,
) -> ApiError {
    let (code, retry) = match conflict {
        ResourcePolicyConflict::PolicyGone | ResourcePolicyConflict::StatementChanged => {
            ("Changed", Retry::Replan)
        }
        ResourcePolicyConflict::AccountLosesKey => ("NotWritten", Retry::Never),
        ResourcePolicyConflict::NotAPolicy => ("MalformedAnswer", Retry::Never),
    };
    let (resource, message) = (format!("the policy of {target}"), conflict.to_string());
    ApiError { operation, resource, code: code.to_owned(), message, missing_right: None, retry }
}

/// The client without the SDK's retries, and without a time-out.
fn s3_once(client: &aws_sdk_s3::Client) -> aws_sdk_s3::Client {
    let config = client.config().to_builder().retry_config(RetryConfig::disabled());
    aws_sdk_s3::Client::from_conf(config.timeout_config(TimeoutConfig::disabled()).build())
}

/// The client without the SDK's retries, and without a time-out.
fn kms_once(client: &aws_sdk_kms::Client) -> aws_sdk_kms::Client {
    let config = client.config().to_builder().retry_config(RetryConfig::disabled());
    aws_sdk_kms::Client::from_conf(config.timeout_config(TimeoutConfig::disabled()).build())
}
