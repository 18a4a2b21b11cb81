//! GetBucketReplication and PutBucketReplication with the configuration's own text.
//!
//! Owns the way around the SDK's types, which drop elements that they do not know: the answer is read, and the request is sent, as XML. Must
//! not know which configuration is wanted, nor when a failed call is repeated.

use std::sync::{Arc, Mutex, PoisonError};

use aws_sdk_s3::Client;
use aws_sdk_s3::operation::get_bucket_replication::GetBucketReplicationError;
use aws_sdk_s3::operation::put_bucket_replication::PutBucketReplicationError;
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::{
    AfterDeserializationInterceptorContextRef, BeforeTransmitInterceptorContextMut,
};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::config_bag::ConfigBag;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use super::whole_answer::{UnparsedAnswer, successful_body};
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
    let parsed = ParsedAnswer::default();
    let request = client.get_bucket_replication().bucket(bucket).expected_bucket_owner(owner);
    match request.customize().interceptor(parsed.clone()).send().await {
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

/// Parses the answer of GetBucketReplication and keeps the result.
#[derive(Debug, Clone, Default)]
struct ParsedAnswer(Arc<Mutex<Option<ReplicationConfiguration>>>);

impl ParsedAnswer {
    fn take(&self) -> Option<ReplicationConfiguration> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Intercept for ParsedAnswer {
    fn name(&self) -> &'static str {
        "ParsedAnswer"
    }

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let Some(body) = successful_body(context.response()) {
            let parsed = ReplicationConfiguration::parse(body).map_err(UnparsedAnswer)?;
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(parsed);
        }
        Ok(())
    }
}

/// Replaces a request's body. This hook runs before the SDK computes the checksum and the signature, and before it keeps the request for
/// further attempts.
#[derive(Debug)]
pub(super) struct Body(pub(super) String);

impl Intercept for Body {
    fn name(&self) -> &'static str {
        "Body"
    }

    fn modify_before_retry_loop(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let request = context.request_mut();
        request.headers_mut().try_insert("content-length", self.0.len().to_string())?;
        *request.body_mut() = SdkBody::from(self.0.as_str());
        Ok(())
    }
}
