//! Snapshots: everything that is read of AWS before planning.
//!
//! It must not know how a plan is made of a snapshot. Everything here is generic over [`Read`], so it cannot write.
//!
//! # Expected flow
//! There are two rounds of concurrent reads. The first round reads in the Regions where the buckets are expected. S3 refuses a read in another
//! Region than the bucket's: only then is the Region asked for, and the bucket read again.

mod apply;
mod delete;

use tokio::try_join;

pub(super) use self::apply::{ApplyFirstReads, ApplyRule};
pub(super) use self::delete::{DeleteFirstReads, DeleteRule};
use crate::model::{
    Access, Alarm, ApiError, BucketLocation, BucketName, Identity, Region,
    ReplicationConfiguration, Retry, Role, RoleName, RoleOutline, RuleAddress, RuleId,
};
use crate::plan::Roles;
use crate::ports::Read;
use crate::spec::RoleSettings;

/// Reads snapshots.
#[derive(Debug)]
pub(super) struct SnapshotReader<'a, R> {
    pub cloud: &'a R,
    pub roles: &'a RoleSettings,
    /// Whether a usable key is taken as it was read a short time ago.
    pub remembers_keys: bool,
    /// Whether a catch-up looks for what is written before S3 has noticed a rule.
    pub catch_up_follows: bool,
}

/// A bucket and its replication configuration.
type ReplicatedBucket = (BucketLocation, Option<ReplicationConfiguration>);

impl<R> Clone for SnapshotReader<'_, R> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<R> Copy for SnapshotReader<'_, R> {}

impl<R: Read> SnapshotReader<'_, R> {
    /// Runs `read` on a bucket of the caller's account; `None` when there is no such bucket.
    pub(super) async fn read_bucket<T>(
        &self,
        bucket: &BucketName,
        expected: &Region,
        read: impl AsyncFn(&BucketLocation) -> Result<T, ApiError>,
    ) -> Result<Option<(BucketLocation, T)>, ApiError> {
        let location = own_location(bucket, expected.clone(), &self.cloud.identity().await?);
        self.read_expected_at(location, read).await
    }

    /// Runs `read` on a bucket that is expected at `location`; `None` when there is no such bucket. S3 answers only in the bucket's Region and
    /// for its owner, so the location is asked for only when `read` fails.
    pub(super) async fn read_expected_at<T>(
        &self,
        location: BucketLocation,
        read: impl AsyncFn(&BucketLocation) -> Result<T, ApiError>,
    ) -> Result<Option<(BucketLocation, T)>, ApiError> {
        let failure = match read(&location).await {
            Ok(found) => return Ok(Some((location, found))),
            Err(failure) if failure.code == "NoSuchBucket" => return Ok(None),
            // Nothing was said about the bucket.
            Err(failure) if matches!(failure.retry, Retry::Soon | Retry::NextInvocation) => {
                return Err(failure);
            }
            Err(failure) => failure,
        };
        let BucketLocation { bucket, region: expected, owner, access } = &location;
        match self.cloud.bucket_region(bucket, expected, owner, access).await? {
            None => Ok(None),
            Some(region) if region == *expected => Err(failure),
            Some(region) => {
                let location = BucketLocation { region, ..location };
                let found = read(&location).await?;
                Ok(Some((location, found)))
            }
        }
    }

    /// Reads the replication configuration of a source bucket, if there is such a bucket, and our role for it.
    pub(super) async fn source_and_role(
        &self,
        source: &BucketName,
        expected: &Region,
    ) -> Result<(Option<ReplicatedBucket>, Option<RoleOutline>), ApiError> {
        let found = self
            .read_bucket(source, expected, async |location| self.cloud.replication(location).await);
        try_join!(found, self.own_role_outline(source))
    }

    async fn roles(
        &self,
        own_role: Option<RoleOutline>,
        serving: Option<RoleName>,
    ) -> Result<Roles, ApiError> {
        let (with_own_name, serving) =
            try_join!(self.with_policies(own_role), self.serving_role(serving))?;
        Ok(Roles { with_own_name, serving })
    }

    /// Reads the inline policies of a role, if there is one.
    pub(super) async fn with_policies(
        &self,
        outline: Option<RoleOutline>,
    ) -> Result<Option<Role>, ApiError> {
        match outline {
            Some(outline) => self.cloud.with_policies(outline).await.map(Some),
            None => Ok(None),
        }
    }

    async fn serving_role(&self, name: Option<RoleName>) -> Result<Option<Role>, ApiError> {
        match name {
            Some(name) => self.cloud.role(&name).await,
            None => Ok(None),
        }
    }

    /// Reads the rule's alarm, only where it may have one: CloudWatch answers a few of these calls a second. A rule's inline
    /// policy is written before its alarm and deleted after it, so the policy tells whether there may be an alarm.
    async fn alarm(
        &self,
        rule: &RuleAddress,
        region: &Region,
        may_exist: bool,
    ) -> Result<Option<Alarm>, ApiError> {
        if !may_exist {
            return Ok(None);
        }
        let name = rule.to_string();
        let found = self.cloud.alarms(std::slice::from_ref(&name), region).await?;
        Ok(found.into_iter().find(|alarm| alarm.name == name))
    }
}

fn has_policy(role: Option<&RoleOutline>, rule_id: &RuleId) -> bool {
    role.is_some_and(|role| role.policies.iter().any(|policy| policy == rule_id.as_str()))
}

/// The location of a bucket of the caller's account.
pub(super) fn own_location(
    bucket: &BucketName,
    region: Region,
    identity: &Identity,
) -> BucketLocation {
    BucketLocation {
        bucket: bucket.clone(),
        region,
        owner: identity.account.clone(),
        access: Access::Own,
    }
}
