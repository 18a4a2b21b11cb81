//! KMS: the keys that encrypt.

use aws_sdk_kms::Client;
use aws_sdk_kms::types::{KeyManagerType, KeySpec, KeyUsageType};

use super::sdk_error::{Cause, malformed, none_if};
use crate::iam_policy::ResourcePolicy;
use crate::model::{ApiError, Key};

const ACTION: &str = "DescribeKey";

const NOT_FOUND: &str = "NotFoundException";

pub(super) async fn key(client: &Client, id: &str) -> Result<Option<Key>, ApiError> {
    let resource = format!("key `{id}`");
    let described = none_if(NOT_FOUND, client.describe_key().key_id(id).send().await);
    let Some(described) = described.map_err(|cause| cause.into_error(ACTION, &resource))? else {
        return Ok(None);
    };
    let metadata =
        described.key_metadata().ok_or_else(|| malformed(ACTION, &resource, "no metadata"))?;
    Ok(Some(Key {
        arn: metadata.arn().ok_or_else(|| malformed(ACTION, &resource, "no ARN"))?.to_owned(),
        state: metadata
            .key_state()
            .ok_or_else(|| malformed(ACTION, &resource, "no state"))?
            .clone(),
        symmetric: metadata.key_usage() == Some(&KeyUsageType::EncryptDecrypt)
            && metadata.key_spec() == Some(&KeySpec::SymmetricDefault),
        aws_managed: metadata.key_manager() == Some(&KeyManagerType::Aws),
    }))
}

/// The only policy that a key has.
const POLICY_NAME: &str = "default";

pub(super) async fn policy(client: &Client, arn: &str) -> Result<Option<String>, ApiError> {
    let answer = none_if(
        NOT_FOUND,
        client.get_key_policy().key_id(arn).policy_name(POLICY_NAME).send().await,
    );
    let answer =
        answer.map_err(|cause| cause.into_error("GetKeyPolicy", format!("key `{arn}`")))?;
    Ok(answer.and_then(|answer| answer.policy))
}

/// KMS refuses a policy that would leave the caller without the right to change it again.
pub(super) async fn put_policy(
    client: &Client,
    arn: &str,
    policy: &ResourcePolicy,
) -> Result<(), Cause> {
    client
        .put_key_policy()
        .key_id(arn)
        .policy_name(POLICY_NAME)
        .policy(policy.to_string())
        .send()
        .await?;
    Ok(())
}
