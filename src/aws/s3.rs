//! S3: buckets and their configuration.

use std::collections::BTreeMap;

use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{
    BucketLocationConstraint, BucketVersioningStatus, CreateBucketConfiguration, ObjectLockEnabled,
    PublicAccessBlockConfiguration, ReplicationStatus, ServerSideEncryption,
    ServerSideEncryptionByDefault, ServerSideEncryptionConfiguration, ServerSideEncryptionRule,
    Tag, VersioningConfiguration,
};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::raw_replication;
use super::sdk_error::{Cause, malformed, none_if};
use crate::iam_policy::ResourcePolicy;
use crate::model::{
    ApiError, BucketName, Canary, Encryption, ListedBucket, Location, OWNER_TAG, ObjectVersion,
    Region, Replication, ReplicationConfiguration, Versioning, Versions,
};

/// How many buckets are asked for at once.
const PAGE: i32 = 1_000;

/// The one Region that is not named when a bucket is created in it.
const DEFAULT_REGION: &str = "us-east-1";

/// In pages, for S3 names the Regions of buckets in these alone.
pub(super) async fn list(client: &Client) -> Result<Vec<ListedBucket>, ApiError> {
    let resource = "the account's buckets";
    let mut pages = client.list_buckets().max_buckets(PAGE).into_paginator().send();
    let mut listed = Vec::new();
    while let Some(page) = pages.next().await {
        let page = page.map_err(|error| Cause::from(error).into_error("ListBuckets", resource))?;
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

/// Where a bucket is, asked in the Region where it is expected. Another Region answers with an error whose header names the right one.
pub(super) async fn region(
    client: &Client,
    bucket: &BucketName,
    expected: &Region,
) -> Result<Option<Region>, ApiError> {
    let operation = "HeadBucket";
    let resource = format!("bucket `{bucket}`");
    let (header, cause) = match client.head_bucket().bucket(bucket.as_str()).send().await {
        Ok(answer) => (answer.bucket_region, None),
        Err(error) => {
            let header = error
                .raw_response()
                .and_then(|response| response.headers().get("x-amz-bucket-region"))
                .map(str::to_owned);
            (header, Some(Cause::from(error)))
        }
    };
    let named = header
        .map(|region| Region::parse(&region))
        .transpose()
        .map_err(|problem| malformed(operation, &resource, &problem))?;
    match (named, cause) {
        (Some(region), None) => Ok(Some(region)),
        (None, None) => Ok(Some(expected.clone())),
        (_, Some(cause)) if cause.is_not_found() => Ok(None),
        (Some(region), Some(_)) if region != *expected => Ok(Some(region)),
        (_, Some(cause)) => Err(cause.into_error(operation, resource)),
    }
}

fn named(operation: &'static str, location: &Location) -> impl FnOnce(Cause) -> ApiError {
    let resource = format!("bucket `{}`", location.bucket);
    move |cause| cause.into_error(operation, resource)
}

pub(super) async fn versioning(
    client: &Client,
    location: &Location,
) -> Result<Versioning, ApiError> {
    let request = client
        .get_bucket_versioning()
        .bucket(location.bucket.as_str())
        .expected_bucket_owner(location.owner.as_str());
    let answer = request
        .send()
        .await
        .map_err(Cause::from)
        .map_err(named("GetBucketVersioning", location))?;
    Ok(match answer.status() {
        Some(BucketVersioningStatus::Enabled) => Versioning::Enabled,
        Some(_) => Versioning::Suspended,
        None => Versioning::Off,
    })
}

pub(super) async fn encryption(
    client: &Client,
    location: &Location,
) -> Result<Encryption, ApiError> {
    let request = client
        .get_bucket_encryption()
        .bucket(location.bucket.as_str())
        .expected_bucket_owner(location.owner.as_str());
    let answer = none_if("ServerSideEncryptionConfigurationNotFoundError", request.send().await);
    let answer = answer.map_err(named("GetBucketEncryption", location))?;
    let configuration = answer.and_then(|answer| answer.server_side_encryption_configuration);
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
            Encryption::Kms { key: default.kms_master_key_id, bucket_key }
        }
        _ => Encryption::S3,
    })
}

pub(super) async fn replication(
    client: &Client,
    location: &Location,
) -> Result<Option<ReplicationConfiguration>, ApiError> {
    let answer =
        raw_replication::get(client, location.bucket.as_str(), location.owner.as_str()).await;
    answer.map_err(Cause::from).map_err(named("GetBucketReplication", location))
}

pub(super) async fn object_lock(client: &Client, location: &Location) -> Result<bool, ApiError> {
    let request = client
        .get_object_lock_configuration()
        .bucket(location.bucket.as_str())
        .expected_bucket_owner(location.owner.as_str());
    let answer = none_if("ObjectLockConfigurationNotFoundError", request.send().await);
    let answer = answer.map_err(named("GetObjectLockConfiguration", location))?;
    let configuration = answer.and_then(|answer| answer.object_lock_configuration);
    Ok(configuration.is_some_and(|configuration| {
        configuration.object_lock_enabled() == Some(&ObjectLockEnabled::Enabled)
    }))
}

pub(super) async fn tags(
    client: &Client,
    location: &Location,
) -> Result<BTreeMap<String, String>, ApiError> {
    let request = client
        .get_bucket_tagging()
        .bucket(location.bucket.as_str())
        .expected_bucket_owner(location.owner.as_str());
    let answer = none_if("NoSuchTagSet", request.send().await);
    let tags = answer
        .map_err(named("GetBucketTagging", location))?
        .map(|answer| answer.tag_set)
        .unwrap_or_default();
    Ok(tags.into_iter().map(|tag| (tag.key, tag.value)).collect())
}

pub(super) async fn public_access_blocked(
    client: &Client,
    location: &Location,
) -> Result<bool, ApiError> {
    let request = client
        .get_public_access_block()
        .bucket(location.bucket.as_str())
        .expected_bucket_owner(location.owner.as_str());
    let answer = none_if("NoSuchPublicAccessBlockConfiguration", request.send().await);
    let answer = answer.map_err(named("GetPublicAccessBlock", location))?;
    Ok(answer
        .and_then(|answer| answer.public_access_block_configuration)
        .is_some_and(|configuration| configuration == all_blocked()))
}

pub(super) async fn policy(
    client: &Client,
    location: &Location,
) -> Result<Option<String>, ApiError> {
    let request = client
        .get_bucket_policy()
        .bucket(location.bucket.as_str())
        .expected_bucket_owner(location.owner.as_str());
    match request.send().await.map_err(Cause::from) {
        Ok(answer) => Ok(answer.policy),
        Err(cause) if cause.is_not_found() || cause.code() == "NoSuchBucketPolicy" => Ok(None),
        Err(cause) => Err(named("GetBucketPolicy", location)(cause)),
    }
}

pub(super) async fn put_policy(
    client: &Client,
    location: &Location,
    policy: &ResourcePolicy,
) -> Result<(), Cause> {
    let request = client
        .put_bucket_policy()
        .bucket(location.bucket.as_str())
        .expected_bucket_owner(location.owner.as_str());
    request.policy(policy.to_string()).send().await?;
    Ok(())
}

pub(super) async fn delete_policy(client: &Client, location: &Location) -> Result<(), Cause> {
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

/// Creates a bucket that carries the mark of its creator from the start: if nothing but this call succeeds, the next run knows it as ours.
pub(super) async fn create_bucket(
    client: &Client,
    location: &Location,
    source: &BucketName,
) -> Result<(), Cause> {
    let region = location.region.as_str();
    let constraint = (region != DEFAULT_REGION).then(|| BucketLocationConstraint::from(region));
    let tag =
        Tag::builder().key(OWNER_TAG).value(source.as_str()).build().map_err(Cause::unsendable)?;
    let configuration =
        CreateBucketConfiguration::builder().set_location_constraint(constraint).tags(tag).build();
    client
        .create_bucket()
        .bucket(location.bucket.as_str())
        .create_bucket_configuration(configuration)
        .send()
        .await?;
    Ok(())
}

pub(super) async fn enable_versioning(client: &Client, location: &Location) -> Result<(), Cause> {
    let enabled =
        VersioningConfiguration::builder().status(BucketVersioningStatus::Enabled).build();
    let request = client
        .put_bucket_versioning()
        .bucket(location.bucket.as_str())
        .expected_bucket_owner(location.owner.as_str());
    request.versioning_configuration(enabled).send().await?;
    Ok(())
}

pub(super) async fn encrypt_bucket(
    client: &Client,
    location: &Location,
    key: &str,
) -> Result<(), Cause> {
    let default = ServerSideEncryptionByDefault::builder()
        .sse_algorithm(ServerSideEncryption::AwsKms)
        .kms_master_key_id(key)
        .build();
    let default = default.map_err(Cause::unsendable)?;
    let rule = ServerSideEncryptionRule::builder()
        .apply_server_side_encryption_by_default(default)
        .bucket_key_enabled(true)
        .build();
    let configuration = ServerSideEncryptionConfiguration::builder()
        .rules(rule)
        .build()
        .map_err(Cause::unsendable)?;
    let request = client
        .put_bucket_encryption()
        .bucket(location.bucket.as_str())
        .expected_bucket_owner(location.owner.as_str());
    request.server_side_encryption_configuration(configuration).send().await?;
    Ok(())
}

pub(super) async fn block_public_access(client: &Client, location: &Location) -> Result<(), Cause> {
    let request = client
        .put_public_access_block()
        .bucket(location.bucket.as_str())
        .expected_bucket_owner(location.owner.as_str());
    request.public_access_block_configuration(all_blocked()).send().await?;
    Ok(())
}

pub(super) async fn put_replication(
    client: &Client,
    location: &Location,
    configuration: &ReplicationConfiguration,
) -> Result<(), Cause> {
    let (bucket, owner) = (location.bucket.as_str(), location.owner.as_str());
    Ok(raw_replication::put(client, bucket, owner, configuration).await?)
}

pub(super) async fn delete_replication(client: &Client, location: &Location) -> Result<(), Cause> {
    let request = client
        .delete_bucket_replication()
        .bucket(location.bucket.as_str())
        .expected_bucket_owner(location.owner.as_str());
    request.send().await?;
    Ok(())
}

/// What a person reads who comes across a canary.
const CANARY: &[u8] =
    b"Written by s3-kms-replication to see whether a replication rule works. It is removed again; if it stays, it can be deleted.\n";

fn object(location: &Location, key: &str) -> String {
    format!("object `{key}` of bucket `{}`", location.bucket)
}

/// Without a key of its own, the canary is encrypted by the bucket's default, as other objects are; with or without a Bucket Key, too.
pub(super) async fn put_canary(
    client: &Client,
    location: &Location,
    canary: &Canary,
) -> Result<String, ApiError> {
    let operation = "PutObject";
    let resource = object(location, &canary.key);
    let encoded = |text| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    let tags: Vec<String> = canary
        .tags
        .iter()
        .map(|(key, value)| format!("{}={}", encoded(key), encoded(value)))
        .collect();
    let request = client
        .put_object()
        .bucket(location.bucket.as_str())
        .expected_bucket_owner(location.owner.as_str())
        .key(&canary.key)
        .set_tagging((!tags.is_empty()).then(|| tags.join("&")))
        .set_server_side_encryption(canary.kms_key.as_ref().map(|_| ServerSideEncryption::AwsKms))
        .set_ssekms_key_id(canary.kms_key.clone())
        .content_type("text/plain")
        .body(ByteStream::from_static(CANARY));
    let answer = request
        .send()
        .await
        .map_err(|error| Cause::from(error).into_error(operation, &resource))?;
    answer.version_id.ok_or_else(|| {
        malformed(operation, &resource, "no version id: the bucket is not versioned")
    })
}

/// Without its checksum, for which S3 would decrypt it.
pub(super) async fn object_version(
    client: &Client,
    location: &Location,
    key: &str,
    version: &str,
) -> Result<Option<ObjectVersion>, ApiError> {
    let operation = "HeadObject";
    let request = client
        .head_object()
        .bucket(location.bucket.as_str())
        .expected_bucket_owner(location.owner.as_str());
    let answer = match request.key(key).version_id(version).send().await.map_err(Cause::from) {
        Ok(answer) => answer,
        Err(cause) if cause.is_not_found() => return Ok(None),
        Err(cause) => return Err(cause.into_error(operation, object(location, key))),
    };
    let replication = match answer.replication_status() {
        None => None,
        Some(ReplicationStatus::Pending) => Some(Replication::Pending),
        Some(ReplicationStatus::Complete | ReplicationStatus::Completed) => {
            Some(Replication::Completed)
        }
        Some(ReplicationStatus::Failed) => Some(Replication::Failed),
        Some(ReplicationStatus::Replica) => Some(Replication::Replica),
        Some(other) => {
            return Err(malformed(
                operation,
                object(location, key),
                &format!("replication status `{other}`"),
            ));
        }
    };
    Ok(Some(ObjectVersion { replication, kms_key: answer.ssekms_key_id }))
}

/// One page holds a thousand of them, and S3 lists those of this very key before those of keys that begin with it.
pub(super) async fn versions(
    client: &Client,
    location: &Location,
    key: &str,
) -> Result<Versions, ApiError> {
    let request = client
        .list_object_versions()
        .bucket(location.bucket.as_str())
        .expected_bucket_owner(location.owner.as_str());
    let answer = request.prefix(key).send().await;
    let answer = answer.map_err(|error| {
        Cause::from(error).into_error("ListObjectVersions", object(location, key))
    })?;
    let objects = answer
        .versions
        .unwrap_or_default()
        .into_iter()
        .filter(|version| version.key() == Some(key));
    let markers = answer
        .delete_markers
        .unwrap_or_default()
        .into_iter()
        .filter(|marker| marker.key() == Some(key));
    Ok(Versions {
        objects: objects.filter_map(|version| version.version_id).collect(),
        delete_markers: markers.filter_map(|marker| marker.version_id).collect(),
    })
}

pub(super) async fn delete_version(
    client: &Client,
    location: &Location,
    key: &str,
    version: &str,
) -> Result<(), ApiError> {
    let request = client
        .delete_object()
        .bucket(location.bucket.as_str())
        .expected_bucket_owner(location.owner.as_str());
    let deleted = request.key(key).version_id(version).send().await;
    deleted
        .map(|_| ())
        .map_err(|error| Cause::from(error).into_error("DeleteObject", object(location, key)))
}
