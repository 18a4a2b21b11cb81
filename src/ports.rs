//! The traits to the outside: what the engine reads of AWS and what it changes there.
//!
//! Each trait is one kind of access. Code that only plans or diagnoses is generic over [`Read`] alone, so it cannot write.
//! [`crate::aws`] implements all of them on the AWS SDK; the tests have a fake that holds state.
//!
//! # Errors
//! Every method fails with an [`ApiError`] when the state could not be found out or changed. Absence is `None`, never an error.

use std::collections::BTreeMap;

use crate::model::{
    Access, Account, Acquired, Alarm, ApiError, BucketName, Canary, Encryption, Identity, Job, Key,
    Lease, ListedBucket, Location, ObjectVersion, PolicyTarget, Region, ReplicationConfiguration,
    ResponseUrl, Role, RoleName, RoleOutline, Versioning, Versions,
};
use crate::plan::Action;

/// Reads AWS's state; changes nothing.
pub trait Read {
    /// Reads whose credentials are in use.
    fn identity(&self) -> impl Future<Output = Result<Identity, ApiError>>;

    /// Lists all general purpose buckets of the account, of every Region.
    fn buckets(&self) -> impl Future<Output = Result<Vec<ListedBucket>, ApiError>>;

    /// Reads a bucket's Region, asking in the Region where it is expected; `None` when there is no such bucket.
    fn bucket_region(
        &self,
        bucket: &BucketName,
        expected: &Region,
        access: &Access,
    ) -> impl Future<Output = Result<Option<Region>, ApiError>>;

    /// Reads a bucket's versioning.
    fn versioning(&self, location: &Location)
    -> impl Future<Output = Result<Versioning, ApiError>>;

    /// Reads a bucket's default encryption.
    fn encryption(&self, location: &Location)
    -> impl Future<Output = Result<Encryption, ApiError>>;

    /// Reads a bucket's replication configuration; `None` when it has none.
    fn replication(
        &self,
        location: &Location,
    ) -> impl Future<Output = Result<Option<ReplicationConfiguration>, ApiError>>;

    /// Reads whether a bucket has S3 Object Lock.
    fn object_lock(&self, location: &Location) -> impl Future<Output = Result<bool, ApiError>>;

    /// Reads a bucket's tags.
    fn bucket_tags(
        &self,
        location: &Location,
    ) -> impl Future<Output = Result<BTreeMap<String, String>, ApiError>>;

    /// Reads whether all four public access settings of a bucket block.
    fn public_access_blocked(
        &self,
        location: &Location,
    ) -> impl Future<Output = Result<bool, ApiError>>;

    /// Reads a key by id, ARN or alias; `None` when there is no such key.
    fn key(
        &self,
        id: &str,
        region: &Region,
        access: &Access,
    ) -> impl Future<Output = Result<Option<Key>, ApiError>>;

    /// Reads the policy of a bucket or of a key, as JSON text; `None` when it has none, or does not exist.
    fn policy(
        &self,
        target: &PolicyTarget,
    ) -> impl Future<Output = Result<Option<String>, ApiError>>;

    /// Reads a role and the names of its inline policies; `None` when there is no such role.
    fn role_outline(
        &self,
        name: &RoleName,
    ) -> impl Future<Output = Result<Option<RoleOutline>, ApiError>>;

    /// Reads those of the role's inline policies that still exist.
    fn with_policies(&self, outline: RoleOutline) -> impl Future<Output = Result<Role, ApiError>>;

    /// Reads a role with its policies; `None` when there is no such role.
    fn role(&self, name: &RoleName) -> impl Future<Output = Result<Option<Role>, ApiError>> {
        async {
            match self.role_outline(name).await? {
                Some(outline) => self.with_policies(outline).await.map(Some),
                None => Ok(None),
            }
        }
    }

    /// Reads those of the alarms with these names that exist.
    fn alarms(
        &self,
        names: &[String],
        region: &Region,
    ) -> impl Future<Output = Result<Vec<Alarm>, ApiError>>;

    /// Reads the value of an SSM parameter, which may be some minutes old.
    fn parameter(&self, name: &str) -> impl Future<Output = Result<String, ApiError>>;

    /// Reads a job of this account by its id; `None` when there is no such job, or S3 has forgotten it, 90 days after its end.
    fn job(
        &self,
        id: &str,
        region: &Region,
        account: &Account,
    ) -> impl Future<Output = Result<Option<Job>, ApiError>>;
}

/// What an action that was carried out gives back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Executed {
    /// Nothing beyond its effect.
    Done,
    /// The id of the job that it started.
    JobStarted(String),
}

/// Carries out the actions of plans.
pub trait Execute {
    /// Carries out one action.
    fn execute(&self, action: &Action) -> impl Future<Output = Result<Executed, ApiError>>;
}

/// Keeps leases, and the order of requests about one custom resource. Times are in seconds since the epoch.
pub trait Leases {
    /// Acquires a lease, or renews it for its holder; `None` when another holds it.
    fn acquire(
        &self,
        lease: &Lease,
        now: u64,
    ) -> impl Future<Output = Result<Option<Acquired>, ApiError>>;

    /// Lets a lease end at `expires_at`. A lease that another has acquired since stays as it is.
    fn release(&self, lease: &Lease, expires_at: u64)
    -> impl Future<Output = Result<(), ApiError>>;

    /// Records the generation of a request about the custom resource `id`; `false` when a later one is recorded.
    fn record_generation(
        &self,
        table: &str,
        id: &str,
        generation: u64,
        forget_at: u64,
    ) -> impl Future<Output = Result<bool, ApiError>>;

    /// Reads the latest generation of the custom resource `id`; `None` when none is recorded.
    fn latest_generation(
        &self,
        table: &str,
        id: &str,
    ) -> impl Future<Output = Result<Option<u64>, ApiError>>;
}

/// Writes, reads and removes canaries.
pub trait Objects {
    /// Writes a canary; gives the id of its version.
    fn put_canary(
        &self,
        location: &Location,
        canary: &Canary,
    ) -> impl Future<Output = Result<String, ApiError>>;

    /// Reads a version of an object; `None` when there is no such version.
    fn object_version(
        &self,
        location: &Location,
        key: &str,
        version: &str,
    ) -> impl Future<Output = Result<Option<ObjectVersion>, ApiError>>;

    /// Lists all versions and delete markers of an object.
    fn versions(
        &self,
        location: &Location,
        key: &str,
    ) -> impl Future<Output = Result<Versions, ApiError>>;

    /// Removes a version or a delete marker of an object for good; one that does not exist is success.
    fn delete_version(
        &self,
        location: &Location,
        key: &str,
        version: &str,
    ) -> impl Future<Output = Result<(), ApiError>>;
}

/// Answers CloudFormation.
pub trait Callback {
    /// Puts the answer to a custom resource's request where CloudFormation waits for it.
    fn answer(&self, url: &ResponseUrl, body: String)
    -> impl Future<Output = Result<(), ApiError>>;
}

/// All of the outside.
pub trait Cloud: Read + Execute + Leases + Objects + Callback {}

impl<T: Read + Execute + Leases + Objects + Callback> Cloud for T {}
