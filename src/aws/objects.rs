//! S3: versions of objects, canaries and their replicas.
//!
//! It must not know what a replication status means for a rule: [`crate::verify`] decides that.

use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{self as sdk, ServerSideEncryption};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::Aws;
use super::sdk_error::{CallError, malformed_response};
use crate::model::{
    ApiError, BucketLocation, Canary, ListedVersion, ObjectVersion, ReplicationStatus,
    VersionMarker, Versions, VersionsPage,
};
use crate::ports::Objects;

/// A canary's content, for a person who finds one.
const CANARY_CONTENT: &[u8] =
    b"Written by s3-kms-replication to verify a replication rule. It is normally removed at once; you can delete it.\n";

pub(super) fn object_resource(location: &BucketLocation, key: &str) -> String {
    format!("object `{key}` of bucket `{}`", location.bucket)
}

/// Writes a canary and returns the id of its version. Without `kms_key`, the bucket's default encryption applies. Whether a
/// Bucket Key is used is always left to the bucket's default.
pub(super) async fn put_canary(
    client: &Client,
    location: &BucketLocation,
    canary: &Canary,
) -> Result<String, ApiError> {
    let operation = "PutObject";
    let resource = object_resource(location, &canary.key);
    let encode = |text| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    let tags: Vec<String> = canary
        .tags
        .iter()
        .map(|(key, value)| format!("{}={}", encode(key), encode(value)))
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
        .body(ByteStream::from_static(CANARY_CONTENT));
    let response = request
        .send()
        .await
        .map_err(|error| CallError::from(error).into_error(operation, &resource))?;
    response.version_id.ok_or_else(|| {
        malformed_response(operation, &resource, "no version id: the bucket is not versioned")
    })
}

/// Reads whether a bucket has no object, by a list of at most one.
pub(super) async fn is_empty(client: &Client, location: &BucketLocation) -> Result<bool, ApiError> {
    let request = client
        .list_objects_v2()
        .bucket(location.bucket.as_str())
        .expected_bucket_owner(location.owner.as_str());
    let response = request.max_keys(1).send().await.map_err(|error| {
        CallError::from(error).into_error("ListObjectsV2", format!("bucket `{}`", location.bucket))
    })?;
    Ok(response.contents().is_empty())
}

/// Reads a version of an object; `None` when there is no such version. It does not ask for the checksum, for which S3 would need
/// to decrypt the object.
pub(super) async fn object_version(
    client: &Client,
    location: &BucketLocation,
    key: &str,
    version: &str,
) -> Result<Option<ObjectVersion>, ApiError> {
    let operation = "HeadObject";
    let request = client
        .head_object()
        .bucket(location.bucket.as_str())
        .expected_bucket_owner(location.owner.as_str());
    let response = match request.key(key).version_id(version).send().await.map_err(CallError::from)
    {
        Ok(response) => response,
        Err(error) if error.is_not_found() => return Ok(None),
        Err(error) => return Err(error.into_error(operation, object_resource(location, key))),
    };
    let replication =
        replication(response.replication_status(), || object_resource(location, key))?;
    let last_modified =
        response.last_modified.and_then(|written| u64::try_from(written.secs()).ok());
    Ok(Some(ObjectVersion { replication, kms_key: response.ssekms_key_id, last_modified }))
}

/// Reads the replication status in HeadObject's answer.
pub(super) fn replication(
    status: Option<&sdk::ReplicationStatus>,
    resource: impl FnOnce() -> String,
) -> Result<Option<ReplicationStatus>, ApiError> {
    Ok(match status {
        None => None,
        Some(sdk::ReplicationStatus::Pending) => Some(ReplicationStatus::Pending),
        Some(sdk::ReplicationStatus::Complete | sdk::ReplicationStatus::Completed) => {
            Some(ReplicationStatus::Completed)
        }
        Some(sdk::ReplicationStatus::Failed) => Some(ReplicationStatus::Failed),
        Some(sdk::ReplicationStatus::Replica) => Some(ReplicationStatus::Replica),
        Some(other) => {
            let problem = format!("replication status `{other}`");
            return Err(malformed_response("HeadObject", resource(), &problem));
        }
    })
}

/// Lists the first 1,000 versions and delete markers of an object. S3 lists the versions of this key before those of longer keys
/// that begin with it.
pub(super) async fn versions(
    client: &Client,
    location: &BucketLocation,
    key: &str,
) -> Result<Versions, ApiError> {
    let request = client
        .list_object_versions()
        .bucket(location.bucket.as_str())
        .expected_bucket_owner(location.owner.as_str());
    let response = request.prefix(key).send().await;
    let response = response.map_err(|error| {
        CallError::from(error).into_error("ListObjectVersions", object_resource(location, key))
    })?;
    let more =
        response.is_truncated == Some(true) && response.next_key_marker.as_deref() == Some(key);
    let objects = response
        .versions
        .unwrap_or_default()
        .into_iter()
        .filter(|version| version.key() == Some(key));
    let markers = response
        .delete_markers
        .unwrap_or_default()
        .into_iter()
        .filter(|marker| marker.key() == Some(key));
    Ok(Versions {
        objects: objects.filter_map(|version| version.version_id).collect(),
        delete_markers: markers.filter_map(|marker| marker.version_id).collect(),
        more,
    })
}

/// Lists a page of versions under a prefix. Their keys are in no error.
pub(super) async fn versions_page(
    client: &Client,
    location: &BucketLocation,
    prefix: &str,
    after: Option<&VersionMarker>,
    limit: u16,
) -> Result<VersionsPage, ApiError> {
    let (operation, resource) = ("ListObjectVersions", format!("bucket `{}`", location.bucket));
    let request = client
        .list_object_versions()
        .bucket(location.bucket.as_str())
        .expected_bucket_owner(location.owner.as_str())
        .set_prefix(Some(prefix.to_owned()).filter(|prefix| !prefix.is_empty()))
        .set_key_marker(after.map(|after| after.key.clone()))
        .set_version_id_marker(after.and_then(|after| after.version.clone()))
        .max_keys(limit.into());
    let response = request
        .send()
        .await
        .map_err(|error| CallError::from(error).into_error(operation, &resource))?;
    let is_truncated = response.is_truncated == Some(true);
    let next = match (is_truncated, response.next_key_marker) {
        (false, _) => None,
        (true, Some(key)) => Some(VersionMarker { key, version: response.next_version_id_marker }),
        (true, None) => {
            let problem = "a list that is truncated and does not say where";
            return Err(malformed_response(operation, &resource, problem));
        }
    };
    let listed = |version: sdk::ObjectVersion| {
        let last_modified = version.last_modified?.secs().try_into().ok()?;
        Some(ListedVersion { key: version.key?, version: version.version_id?, last_modified })
    };
    let versions: Option<Vec<ListedVersion>> =
        response.versions.unwrap_or_default().into_iter().map(listed).collect();
    let versions = versions.ok_or_else(|| {
        malformed_response(operation, &resource, "a version without a key, an id or a time")
    })?;
    let delete_markers = response.delete_markers.unwrap_or_default().len();
    Ok(VersionsPage { versions, delete_markers, next })
}

/// Deletes a version or a delete marker for good.
pub(super) async fn delete_version(
    client: &Client,
    location: &BucketLocation,
    key: &str,
    version: &str,
) -> Result<(), ApiError> {
    let request = client
        .delete_object()
        .bucket(location.bucket.as_str())
        .expected_bucket_owner(location.owner.as_str());
    let deleted = request.key(key).version_id(version).send().await;
    deleted.map(|_| ()).map_err(|error| {
        CallError::from(error).into_error("DeleteObject", object_resource(location, key))
    })
}

impl Objects for Aws {
    async fn put_canary(
        &self,
        location: &BucketLocation,
        canary: &Canary,
    ) -> Result<String, ApiError> {
        self.on_bucket(location, async |s3| put_canary(&s3, location, canary).await).await
    }

    async fn object_version(
        &self,
        location: &BucketLocation,
        key: &str,
        version: &str,
    ) -> Result<Option<ObjectVersion>, ApiError> {
        self.on_bucket(location, async |s3| object_version(&s3, location, key, version).await).await
    }

    async fn versions(&self, location: &BucketLocation, key: &str) -> Result<Versions, ApiError> {
        self.on_bucket(location, async |s3| versions(&s3, location, key).await).await
    }

    async fn delete_version(
        &self,
        location: &BucketLocation,
        key: &str,
        version: &str,
    ) -> Result<(), ApiError> {
        self.on_bucket(location, async |s3| delete_version(&s3, location, key, version).await).await
    }
}
