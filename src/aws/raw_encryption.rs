//! PutBucketEncryption that keeps what the SDK's types do not know, such as newer settings of the same configuration.
//!
//! Owns the read before the write, and the way around the SDK's types. Must not know which key is wanted, nor when a failed call is repeated.

use std::sync::{Arc, Mutex, PoisonError};

use aws_sdk_s3::Client;
use aws_sdk_s3::types::ServerSideEncryptionConfiguration;
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::AfterDeserializationInterceptorContextRef;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;

use super::raw_replication::Body;
use super::sdk_error::{CallError, none_if};
use super::whole_answer::{UnparsedAnswer, successful_body};
use crate::model::{BucketLocation, default_key_only, with_default_key};

/// Sets SSE-KMS with this key and an S3 Bucket Key as a bucket's default encryption, and keeps everything else of the configuration.
pub(super) async fn set_default_key(
    client: &Client,
    location: &BucketLocation,
    key: &str,
) -> Result<(), CallError> {
    let (bucket, owner) = (location.bucket.as_str(), location.owner.as_str());
    let changed = ChangedConfiguration { key: key.to_owned(), text: Arc::default() };
    let read = client.get_bucket_encryption().bucket(bucket).expected_bucket_owner(owner);
    let read = read.customize().interceptor(changed.clone()).send().await;
    let text = match none_if("ServerSideEncryptionConfigurationNotFoundError", read)? {
        Some(_) => changed.take().ok_or_else(CallError::empty_response)?,
        None => default_key_only(key),
    };
    // What the SDK is given has no rule: S3 would refuse it, were it ever sent.
    let placeholder = ServerSideEncryptionConfiguration::builder()
        .set_rules(Some(Vec::new()))
        .build()
        .map_err(CallError::unsendable)?;
    let write = client
        .put_bucket_encryption()
        .bucket(bucket)
        .expected_bucket_owner(owner)
        .server_side_encryption_configuration(placeholder);
    write.customize().interceptor(Body(text)).send().await?;
    Ok(())
}

/// Puts the key into the answer of GetBucketEncryption and keeps the result.
#[derive(Debug, Clone)]
struct ChangedConfiguration {
    key: String,
    text: Arc<Mutex<Option<String>>>,
}

impl ChangedConfiguration {
    fn take(&self) -> Option<String> {
        self.text.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Intercept for ChangedConfiguration {
    fn name(&self) -> &'static str {
        "ChangedConfiguration"
    }

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let Some(body) = successful_body(context.response()) {
            let text = with_default_key(body, &self.key).map_err(UnparsedAnswer::from)?;
            *self.text.lock().unwrap_or_else(PoisonError::into_inner) = Some(text);
        }
        Ok(())
    }
}
