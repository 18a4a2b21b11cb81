//! PutBucketEncryption that keeps what the SDK's types do not know, such as newer settings of the same configuration.
//!
//! It owns the read before the write. It must not know which key is wanted, nor when a failed call is repeated.

use aws_sdk_s3::Client;
use aws_sdk_s3::types::ServerSideEncryptionConfiguration;

use super::raw_body::{Body, ParsedBody};
use super::sdk_error::{CallError, none_if};
use super::whole_answer::UnparsedAnswer;
use crate::model::{BucketLocation, default_key_only, with_default_key};

/// Sets SSE-KMS with this key and an S3 Bucket Key as a bucket's default encryption, and keeps everything else of the configuration.
pub(super) async fn set_default_key(
    client: &Client,
    location: &BucketLocation,
    key: &str,
) -> Result<(), CallError> {
    let (bucket, owner) = (location.bucket.as_str(), location.owner.as_str());
    let wanted_key = key.to_owned();
    let changed = ParsedBody::new(move |body: &[u8]| {
        with_default_key(body, &wanted_key).map_err(UnparsedAnswer::from)
    });
    let read = client.get_bucket_encryption().bucket(bucket).expected_bucket_owner(owner);
    let read = read.customize().interceptor(changed.interceptor()).send().await;
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
