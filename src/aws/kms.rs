//! KMS: keys and their policies.
//!
//! It must not know which keys a rule needs or whether a key is usable: [`crate::plan`] decides that.

use aws_sdk_kms::Client;
use aws_sdk_kms::types::{KeyManagerType, KeySpec, KeyUsageType};

use super::sdk_error::{CallError, malformed_response, none_if};
use crate::iam_policy::ResourcePolicy;
use crate::model::{ApiError, Key};

const NOT_FOUND: &str = "NotFoundException";

/// Reads a key by id, ARN or alias; `None` when there is no such key.
pub(super) async fn key(client: &Client, id: &str) -> Result<Option<Key>, ApiError> {
    let operation = "DescribeKey";
    let resource = format!("key `{id}`");
    let described = none_if(NOT_FOUND, client.describe_key().key_id(id).send().await);
    let Some(described) = described.map_err(|cause| cause.into_error(operation, &resource))? else {
        return Ok(None);
    };
    let metadata = described
        .key_metadata()
        .ok_or_else(|| malformed_response(operation, &resource, "no metadata"))?;
    Ok(Some(Key {
        arn: metadata
            .arn()
            .ok_or_else(|| malformed_response(operation, &resource, "no ARN"))?
            .to_owned(),
        state: metadata
            .key_state()
            .ok_or_else(|| malformed_response(operation, &resource, "no state"))?
            .clone(),
        symmetric: metadata.key_usage() == Some(&KeyUsageType::EncryptDecrypt)
            && metadata.key_spec() == Some(&KeySpec::SymmetricDefault),
        aws_managed: metadata.key_manager() == Some(&KeyManagerType::Aws),
    }))
}

/// The name of a key's only policy.
const POLICY_NAME: &str = "default";

/// Reads a key's policy; `None` when there is no such key. Every key has a policy with a statement.
pub(super) async fn policy(client: &Client, arn: &str) -> Result<Option<String>, ApiError> {
    let (operation, resource) = ("GetKeyPolicy", format!("key `{arn}`"));
    let response = none_if(
        NOT_FOUND,
        client.get_key_policy().key_id(arn).policy_name(POLICY_NAME).send().await,
    );
    let Some(response) = response.map_err(|cause| cause.into_error(operation, &resource))? else {
        return Ok(None);
    };
    let is_policy =
        |text: &String| ResourcePolicy::parse(Some(text)).is_some_and(|policy| !policy.is_empty());
    let policy = response.policy.filter(is_policy);
    let malformed = || malformed_response(operation, &resource, "the answer has no policy");
    policy.map(Some).ok_or_else(malformed)
}

/// Replaces a key's policy. KMS refuses a policy that would take from the caller the right to change it again.
pub(super) async fn put_policy(
    client: &Client,
    arn: &str,
    policy: &ResourcePolicy,
) -> Result<(), CallError> {
    client
        .put_key_policy()
        .key_id(arn)
        .policy_name(POLICY_NAME)
        .policy(policy.to_string())
        .send()
        .await?;
    Ok(())
}
