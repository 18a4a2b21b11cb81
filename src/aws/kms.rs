//! KMS: the keys that encrypt.

use aws_sdk_kms::Client;
use aws_sdk_kms::types::{KeyManagerType, KeySpec, KeyUsageType};

use super::failure::{Cause, malformed};
use crate::cloud::{CloudError, Key};
use crate::grants::ResourcePolicy;

const ACTION: &str = "DescribeKey";

pub(super) async fn key(client: &Client, id: &str) -> Result<Option<Key>, CloudError> {
    let resource = format!("key `{id}`");
    let described = match client.describe_key().key_id(id).send().await.map_err(Cause::from) {
        Ok(described) => described,
        Err(cause) if cause.code() == "NotFoundException" => return Ok(None),
        Err(cause) => return Err(cause.into_error(ACTION, resource)),
    };
    let metadata = described.key_metadata().ok_or_else(|| malformed(ACTION, &resource, "no metadata"))?;
    Ok(Some(Key {
        arn: metadata.arn().ok_or_else(|| malformed(ACTION, &resource, "no ARN"))?.to_owned(),
        state: metadata.key_state().map(ToString::to_string).unwrap_or_default(),
        symmetric: metadata.key_usage() == Some(&KeyUsageType::EncryptDecrypt) && metadata.key_spec() == Some(&KeySpec::SymmetricDefault),
        aws_managed: metadata.key_manager() == Some(&KeyManagerType::Aws),
    }))
}

/// The only policy that a key has.
const POLICY_NAME: &str = "default";

pub(super) async fn policy(client: &Client, arn: &str) -> Result<Option<String>, CloudError> {
    match client.get_key_policy().key_id(arn).policy_name(POLICY_NAME).send().await.map_err(Cause::from) {
        Ok(answer) => Ok(answer.policy),
        Err(cause) if cause.code() == "NotFoundException" => Ok(None),
        Err(cause) => Err(cause.into_error("GetKeyPolicy", format!("key `{arn}`"))),
    }
}

/// KMS refuses a policy that would leave the caller without the right to change it again.
pub(super) async fn put_policy(client: &Client, arn: &str, policy: &ResourcePolicy) -> Result<(), Cause> {
    client.put_key_policy().key_id(arn).policy_name(POLICY_NAME).policy(policy.to_string()).send().await?;
    Ok(())
}
