//! GetBucketReplication and PutBucketReplication with the configuration's own text.
//!
//! It must not know which configuration is wanted, nor when a failed call is repeated.

use aws_sdk_s3::Client;
use aws_sdk_s3::operation::get_bucket_replication::GetBucketReplicationError;
use aws_sdk_s3::operation::put_bucket_replication::PutBucketReplicationError;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use super::raw_body::{Body, ParsedBody};
use super::whole_answer::UnparsedAnswer;
use crate::model::ReplicationConfiguration;

/// S3's code for a bucket without a replication configuration.
const NOT_FOUND: &str = "ReplicationConfigurationNotFoundError";

/// Reads a bucket's replication configuration; `None` when S3 says that it has none.
///
/// # Errors
/// The SDK's error. When a successful answer is not a whole configuration, [`unparsed_answer`](super::whole_answer::unparsed_answer) finds
/// the reason in it.
pub async fn get(
    client: &Client,
    bucket: &str,
    owner: &str,
) -> Result<Option<ReplicationConfiguration>, SdkError<GetBucketReplicationError, HttpResponse>> {
    let parsed = ParsedBody::new(|body: &[u8]| {
        ReplicationConfiguration::parse(body).map_err(UnparsedAnswer)
    });
    let request = client.get_bucket_replication().bucket(bucket).expected_bucket_owner(owner);
    match request.customize().interceptor(parsed.interceptor()).send().await {
        // "There is none" is only what S3 says itself.
        Ok(_) => parsed
            .take()
            .map(Some)
            .ok_or_else(|| SdkError::construction_failure("the answer was not parsed")),
        Err(SdkError::ServiceError(error)) if error.err().code() == Some(NOT_FOUND) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Replaces a bucket's replication configuration.
///
/// # Errors
/// The SDK's error.
pub async fn put(
    client: &Client,
    bucket: &str,
    owner: &str,
    configuration: &ReplicationConfiguration,
) -> Result<(), SdkError<PutBucketReplicationError, HttpResponse>> {
    // The SDK gets a placeholder without rules. If it were sent by mistake, S3 would refuse it.
    let placeholder = aws_sdk_s3::types::ReplicationConfiguration::builder()
        .role(configuration.role())
        .set_rules(Some(Vec::new()))
        .build();
    let placeholder = placeholder.map_err(SdkError::construction_failure)?;
    let request = client
        .put_bucket_replication()
        .bucket(bucket)
        .expected_bucket_owner(owner)
        .replication_configuration(placeholder);
    request.customize().interceptor(Body(configuration.to_xml())).send().await?;
    Ok(())
}
