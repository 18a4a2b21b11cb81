//! S3: buckets and their configuration.
//!
//! It must not know what a configuration should be: [`crate::plan`] decides that.

use std::collections::BTreeMap;

use aws_sdk_s3::Client;
use aws_sdk_s3::types::{
    self, BucketLocationConstraint, BucketVersioningStatus, CreateBucketConfiguration,
    ObjectLockEnabled, PublicAccessBlockConfiguration, ServerSideEncryption, Tag,
    VersioningConfiguration,
};

use super::raw_replication;
use super::sdk_error::{CallError, malformed_response, none_if};
use crate::iam_policy::ResourcePolicy;
use crate::model::{
    Account, ApiError, BucketLocation, BucketName, BucketNamespace, Encryption, ListedBucket,
    OWNER_TAG, Region, ReplicationConfiguration, Versioning,
};

/// The page size of ListBuckets.
const PAGE_SIZE: i32 = 1_000;

/// The Region that CreateBucket uses without a location constraint, and that it refuses as one.
const DEFAULT_REGION: &str = "us-east-1";

/// Lists the account's buckets. The request asks for pages, since S3 returns the buckets' Regions only in pages.
pub(super) async fn list_buckets(client: &Client) -> Result<Vec<ListedBucket>, ApiError> {
    let resource = "the account's buckets";
    let mut pages = client.list_buckets().max_buckets(PAGE_SIZE).into_paginator().send();
    let mut listed = Vec::new();
    while let Some(page) = pages.next().await {
        let page =
            page.map_err(|error| CallError::from(error).into_error("ListBuckets", resource))?;
        let buckets = page.buckets.unwrap_or_default().into_iter();
        listed.extend(buckets.filter_map(|bucket| {
            Some(ListedBucket {
                name: bucket.name?,
                region: bucket.bucket_region.and_then(|region| Region::parse(&region).ok()),
            })
        }));
    }
    Ok(listed)
}

/// Reads a bucket's Region with a call in the Region where it is expected; `None` when there is no such bucket. When the bucket
/// is in another Region, S3 answers with an error and names that Region in a header.
pub(super) async fn bucket_region(
    client: &Client,
    bucket: &BucketName,
    expected: &Region,
    owner: &Account,
) -> Result<Option<Region>, ApiError> {
    let operation = "HeadBucket";
    let resource = format!("bucket `{bucket}`");
    let request = client.head_bucket().bucket(bucket.as_str());
    let (header, error) = match request.expected_bucket_owner(owner.as_str()).send().await {
        Ok(response) => (response.bucket_region, None),
        Err(error) => {
            let header = error
                .raw_response()
                .and_then(|response| response.headers().get("x-amz-bucket-region"))
                .map(str::to_owned);
            (header, Some(CallError::from(error)))
        }
    };
    let region = header
        .map(|region| Region::parse(&region))
        .transpose()
        .map_err(|problem| malformed_response(operation, &resource, &problem))?;
    match (region, error) {
        (Some(region), None) => Ok(Some(region)),
        (None, None) => Ok(Some(expected.clone())),
        (_, Some(error)) if error.is_not_found() => Ok(None),
        (Some(region), Some(_)) if region != *expected => Ok(Some(region)),
        (_, Some(error)) => Err(error.into_error(operation, resource)),
    }
}

/// Adds the operation and the bucket to an error.
pub(super) fn on_bucket(
    operation: &'static str,
    location: &BucketLocation,
) -> impl FnOnce(CallError) -> ApiError {
    let resource = on(location);
    move |error| error.into_error(operation, resource)
}

fn on(location: &BucketLocation) -> String {
    format!("bucket `{}`", location.bucket)
}

pub(super) async fn versioning(
    client: &Client,
    location: &BucketLocation,
) -> Result<Versioning, ApiError> {
    let request = client
        .get_bucket_versioning()
        .bucket(location.bucket.as_str())
        .expected_bucket_owner(location.owner.as_str());
    let response = request
        .send()
        .await
        .map_err(CallError::from)
        .map_err(on_bucket("GetBucketVersioning", location))?;
    Ok(match response.status() {
        Some(BucketVersioningStatus::Enabled) => Versioning::Enabled,
        Some(_) => Versioning::Suspended,
        None => Versioning::Off,
    })
}

pub(super) async fn encryption(
    client: &Client,
    location: &BucketLocation,
) -> Result<Encryption, ApiError> {
    let request = client
        .get_bucket_encryption()
        .bucket(location.bucket.as_str())
        .expected_bucket_owner(location.owner.as_str());
    let response = none_if("ServerSideEncryptionConfigurationNotFoundError", request.send().await);
    let response = response.map_err(on_bucket("GetBucketEncryption", location))?;
    let configuration = response.and_then(|response| response.server_side_encryption_configuration);
    let rule = configuration.and_then(|configuration| configuration.rules.into_iter().next());
    let bucket_key = rule.as_ref().and_then(|rule| rule.bucket_key_enabled()).unwrap_or(false);
    let default = rule.and_then(|rule| rule.apply_server_side_encryption_by_default);
    Ok(match default {
        Some(default)
            if matches!(
                default.sse_algorithm(),
                ServerSideEncryption::AwsKms | ServerSideEncryption::AwsKmsDsse
            ) =>
        {
            let dual_layer = default.sse_algorithm == ServerSideEncryption::AwsKmsDsse;
            Encryption::Kms { key: default.kms_master_key_id, bucket_key, dual_layer }
        }
        _ => Encryption::S3,
    })
}

pub(super) async fn replication(
    client: &Client,
    location: &BucketLocation,
) -> Result<Option<ReplicationConfiguration>, ApiError> {
    let (bucket, owner) = (location.bucket.as_str(), location.owner.as_str());
    let response = raw_replication::get(client, bucket, owner).await;
    response.map_err(CallError::from).map_err(on_bucket("GetBucketReplication", location))
}

pub(super) async fn object_lock(
    client: &Client,
    location: &BucketLocation,
) -> Result<bool, ApiError> {
    let request = client
        .get_object_lock_configuration()
        .bucket(location.bucket.as_str())
        .expected_bucket_owner(location.owner.as_str());
    let response = none_if("ObjectLockConfigurationNotFoundError", request.send().await);
    let response = response.map_err(on_bucket("GetObjectLockConfiguration", location))?;
    let configuration = response.and_then(|response| response.object_lock_configuration);
    Ok(configuration.is_some_and(|configuration| {
        configuration.object_lock_enabled() == Some(&ObjectLockEnabled::Enabled)
    }))
}

pub(super) async fn tags(
    client: &Client,
    location: &BucketLocation,
) -> Result<BTreeMap<String, String>, ApiError> {
    let request = client
        .get_bucket_tagging()
        .bucket(location.bucket.as_str())
        .expected_bucket_owner(location.owner.as_str());
    let response = none_if("NoSuchTagSet", request.send().await);
    let tags = response
        .map_err(on_bucket("GetBucketTagging", location))?
        .map(|response| response.tag_set)
        .unwrap_or_default();
    Ok(tags.into_iter().map(|tag| (tag.key, tag.value)).collect())
}

pub(super) async fn public_access_blocked(
    client: &Client,
    location: &BucketLocation,
) -> Result<bool, ApiError> {
    let request = client
        .get_public_access_block()
        .bucket(location.bucket.as_str())
        .expected_bucket_owner(location.owner.as_str());
    let response = none_if("NoSuchPublicAccessBlockConfiguration", request.send().await);
    let response = response.map_err(on_bucket("GetPublicAccessBlock", location))?;
    Ok(response
        .and_then(|response| response.public_access_block_configuration)
        .is_some_and(|configuration| configuration == all_blocked()))
}

pub(super) async fn policy(
    client: &Client,
    location: &BucketLocation,
) -> Result<Option<String>, ApiError> {
    let request = client
        .get_bucket_policy()
        .bucket(location.bucket.as_str())
        .expected_bucket_owner(location.owner.as_str());
    let operation = "GetBucketPolicy";
    let malformed = |problem| malformed_response(operation, on(location), problem);
    match request.send().await.map_err(CallError::from) {
        Ok(response) => match response.policy {
            Some(text) if ResourcePolicy::parse(Some(&text)).is_some() => Ok(Some(text)),
            Some(_) | None => Err(malformed("the answer has no policy")),
        },
        Err(error) if matches!(error.code(), "NoSuchBucketPolicy" | "NoSuchBucket") => Ok(None),
        // Something between here and S3 may answer so: that is not S3's answer that there is no policy.
        Err(error) if error.is_not_found() => Err(malformed("an answer 404 without S3's code")),
        Err(error) => Err(on_bucket(operation, location)(error)),
    }
}

pub(super) async fn put_policy(
    client: &Client,
    location: &BucketLocation,
    policy: &ResourcePolicy,
) -> Result<(), CallError> {
    let request = client
        .put_bucket_policy()
        .bucket(location.bucket.as_str())
        .expected_bucket_owner(location.owner.as_str());
    request.policy(policy.to_string()).send().await?;
    Ok(())
}

pub(super) async fn delete_policy(
    client: &Client,
    location: &BucketLocation,
) -> Result<(), CallError> {
    let request = client
        .delete_bucket_policy()
        .bucket(location.bucket.as_str())
        .expected_bucket_owner(location.owner.as_str());
    request.send().await?;
    Ok(())
}

fn all_blocked() -> PublicAccessBlockConfiguration {
    PublicAccessBlockConfiguration::builder()
        .block_public_acls(true)
        .ignore_public_acls(true)
        .block_public_policy(true)
        .restrict_public_buckets(true)
        .build()
}

/// Creates a bucket with its owner tag in the same call. When a later call fails, the next request still recognizes the bucket as
/// ours.
pub(super) async fn create_bucket(
    client: &Client,
    location: &BucketLocation,
    source: &BucketName,
) -> Result<(), CallError> {
    let region = location.region.as_str();
    let constraint = (region != DEFAULT_REGION).then(|| BucketLocationConstraint::from(region));
    let tag = Tag::builder()
        .key(OWNER_TAG)
        .value(source.as_str())
        .build()
        .map_err(CallError::unsendable)?;
    let configuration =
        CreateBucketConfiguration::builder().set_location_constraint(constraint).tags(tag).build();
    let namespace = location.bucket.namespace_for_creation(&location.owner, &location.region);
    let namespace = (namespace == Ok(BucketNamespace::AccountRegional))
        .then_some(types::BucketNamespace::AccountRegional);
    client
        .create_bucket()
        .bucket(location.bucket.as_str())
        .set_bucket_namespace(namespace)
        .create_bucket_configuration(configuration)
        .send()
        .await?;
    Ok(())
}

pub(super) async fn enable_versioning(
    client: &Client,
    location: &BucketLocation,
) -> Result<(), CallError> {
    let enabled =
        VersioningConfiguration::builder().status(BucketVersioningStatus::Enabled).build();
    let request = client
        .put_bucket_versioning()
        .bucket(location.bucket.as_str())
        .expected_bucket_owner(location.owner.as_str());
    request.versioning_configuration(enabled).send().await?;
    Ok(())
}

pub(super) async fn block_public_access(
    client: &Client,
    location: &BucketLocation,
) -> Result<(), CallError> {
    let request = client
        .put_public_access_block()
        .bucket(location.bucket.as_str())
        .expected_bucket_owner(location.owner.as_str());
    request.public_access_block_configuration(all_blocked()).send().await?;
    Ok(())
}

pub(super) async fn put_replication(
    client: &Client,
    location: &BucketLocation,
    configuration: &ReplicationConfiguration,
) -> Result<(), CallError> {
    let (bucket, owner) = (location.bucket.as_str(), location.owner.as_str());
    Ok(raw_replication::put(client, bucket, owner, configuration).await?)
}

pub(super) async fn delete_replication(
    client: &Client,
    location: &BucketLocation,
) -> Result<(), CallError> {
    let request = client
        .delete_bucket_replication()
        .bucket(location.bucket.as_str())
        .expected_bucket_owner(location.owner.as_str());
    request.send().await?;
    Ok(())
}
