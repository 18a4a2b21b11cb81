//! The reads of AWS's state.
//!
//! It must not know what the state should be.

use std::collections::BTreeMap;

use futures_util::FutureExt;

use super::{Aws, cloudwatch, iam, kms, objects, s3, s3control, ssm, sts};
use crate::model::{
    Access, Account, Alarm, ApiError, BucketLocation, BucketName, Encryption, Identity, Job, Key,
    ListedBucket, Region, ReplicationConfiguration, ResourcePolicyTarget, Role, RoleName,
    RoleOutline, RoleQuota, VersionMarker, Versioning, VersionsPage,
};
use crate::ports::Read;

// Each call is boxed: its future has about 5 KB, and the futures that contain it would overflow the stack.
impl Read for Aws {
    async fn identity(&self) -> Result<Identity, ApiError> {
        if let Some(identity) = &self.configured_identity {
            return Ok(identity.clone());
        }
        let read =
            async || sts::identity(&sts::client(&self.config), self.partition).boxed_local().await;
        self.identity.get(sts::IDENTITY_MAX_AGE, read).await
    }

    async fn buckets(&self) -> Result<Vec<ListedBucket>, ApiError> {
        s3::list_buckets(&self.new_s3(&self.config)).boxed_local().await
    }

    async fn bucket_region(
        &self,
        bucket: &BucketName,
        expected: &Region,
        owner: &Account,
        access: &Access,
    ) -> Result<Option<Region>, ApiError> {
        self.in_session(access, async || {
            s3::bucket_region(&self.s3(expected, access).await?, bucket, expected, owner).await
        })
        .await
    }

    async fn versioning(&self, location: &BucketLocation) -> Result<Versioning, ApiError> {
        self.on_bucket(location, async |s3| s3::versioning(&s3, location).await).await
    }

    async fn encryption(&self, location: &BucketLocation) -> Result<Encryption, ApiError> {
        self.on_bucket(location, async |s3| s3::encryption(&s3, location).await).await
    }

    async fn replication(
        &self,
        location: &BucketLocation,
    ) -> Result<Option<ReplicationConfiguration>, ApiError> {
        self.on_bucket(location, async |s3| s3::replication(&s3, location).await).await
    }

    async fn object_lock(&self, location: &BucketLocation) -> Result<bool, ApiError> {
        self.on_bucket(location, async |s3| s3::object_lock(&s3, location).await).await
    }

    async fn bucket_tags(
        &self,
        location: &BucketLocation,
    ) -> Result<BTreeMap<String, String>, ApiError> {
        self.on_bucket(location, async |s3| s3::tags(&s3, location).await).await
    }

    async fn is_empty(&self, location: &BucketLocation) -> Result<bool, ApiError> {
        self.on_bucket(location, async |s3| objects::is_empty(&s3, location).await).await
    }

    async fn versions_page(
        &self,
        location: &BucketLocation,
        prefix: &str,
        after: Option<&VersionMarker>,
        limit: u16,
    ) -> Result<VersionsPage, ApiError> {
        self.on_bucket(location, async |s3| {
            objects::versions_page(&s3, location, prefix, after, limit).await
        })
        .await
    }

    async fn public_access_blocked(&self, location: &BucketLocation) -> Result<bool, ApiError> {
        self.on_bucket(location, async |s3| s3::public_access_blocked(&s3, location).await).await
    }

    async fn key(
        &self,
        id: &str,
        region: &Region,
        access: &Access,
    ) -> Result<Option<Key>, ApiError> {
        self.in_session(access, async || kms::key(&self.kms(region, access).await?, id).await).await
    }

    async fn resource_policy(
        &self,
        target: &ResourcePolicyTarget,
    ) -> Result<Option<String>, ApiError> {
        self.in_session(target.access(), async || match target {
            ResourcePolicyTarget::Bucket(location) => {
                s3::policy(&self.s3_at(location).await?, location).await
            }
            ResourcePolicyTarget::Key { arn, region, access } => {
                kms::policy(&self.kms(region, access).await?, arn).await
            }
        })
        .await
    }

    async fn role_exists(&self, name: &RoleName) -> Result<bool, ApiError> {
        iam::role_exists(&self.iam, name).boxed_local().await
    }

    async fn role_outline(&self, name: &RoleName) -> Result<Option<RoleOutline>, ApiError> {
        iam::role_outline(&self.iam, name).boxed_local().await
    }

    async fn with_policies(&self, outline: RoleOutline) -> Result<Role, ApiError> {
        iam::with_policies(&self.iam, outline).boxed_local().await
    }

    async fn role_quota(&self) -> Result<RoleQuota, ApiError> {
        iam::role_quota(&self.iam).boxed_local().await
    }

    async fn alarms(&self, names: &[String], region: &Region) -> Result<Vec<Alarm>, ApiError> {
        cloudwatch::alarms(&self.cloudwatch(region), names, region).boxed_local().await
    }

    async fn parameter(&self, name: &str) -> Result<String, ApiError> {
        let client = self.ssm.get_or_init(|| aws_sdk_ssm::Client::new(&self.config));
        self.policy
            .get(ssm::MAX_AGE, async || ssm::parameter(client, name).boxed_local().await)
            .await
    }

    async fn job(
        &self,
        id: &str,
        region: &Region,
        account: &Account,
    ) -> Result<Option<Job>, ApiError> {
        s3control::job(&self.s3control(region), id, account).boxed_local().await
    }
}
