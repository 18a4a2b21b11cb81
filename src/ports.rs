//! The traits through which the engine reads AWS and changes AWS.
//!
//! Each trait is one kind of access. Code that only plans is generic over [`Read`] alone, so it cannot write.
//! [`crate::aws`] implements all traits on the AWS SDK. The tests implement them on a fake that holds state. It must not know the
//! SDK's clients and errors.
//!
//! # Errors
//! Every method fails with an [`ApiError`] if AWS's state could not be read or changed. A resource that does not exist is `None`, never an
//! error.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::model::{
    Access, Account, Acquired, Alarm, ApiError, BucketLocation, BucketName, Canary, Encryption,
    GenerationRecord, Identity, Job, Key, KeyGrant, Lease, ListedBucket, ListedObject,
    ObjectOwnership, ObjectVersion, RecordedRequest, Recording, Region, ReplicationConfiguration,
    ReplicationMetrics, ResourcePolicyTarget, ResponseUrl, Role, RoleName, RoleOutline, RoleQuota,
    SampledObject, SimulatedCall, Simulation, VersionMarker, Versioning, Versions, VersionsPage,
};
use crate::plan::Action;

/// Reads the state of AWS and changes nothing.
pub trait Read: Memory {
    /// Reads the account and the partition of the caller.
    fn identity(&self) -> impl Future<Output = Result<Identity, ApiError>>;

    /// Lists all general purpose buckets of the account in every Region.
    fn buckets(&self) -> impl Future<Output = Result<Vec<ListedBucket>, ApiError>>;

    /// Reads a bucket's Region with a call to the `expected` Region; `None` if there is no such bucket. A bucket of another account than
    /// `owner` is an error.
    fn bucket_region(
        &self,
        bucket: &BucketName,
        expected: &Region,
        owner: &Account,
        access: &Access,
    ) -> impl Future<Output = Result<Option<Region>, ApiError>>;

    /// Reads a bucket's versioning.
    fn versioning(
        &self,
        location: &BucketLocation,
    ) -> impl Future<Output = Result<Versioning, ApiError>>;

    /// Reads a bucket's default encryption.
    fn encryption(
        &self,
        location: &BucketLocation,
    ) -> impl Future<Output = Result<Encryption, ApiError>>;

    /// Reads a bucket's replication configuration; `None` if it has none.
    fn replication(
        &self,
        location: &BucketLocation,
    ) -> impl Future<Output = Result<Option<ReplicationConfiguration>, ApiError>>;

    /// Reads whether a bucket has S3 Object Lock.
    fn object_lock(
        &self,
        location: &BucketLocation,
    ) -> impl Future<Output = Result<bool, ApiError>>;

    /// Reads a bucket's tags.
    fn bucket_tags(
        &self,
        location: &BucketLocation,
    ) -> impl Future<Output = Result<BTreeMap<String, String>, ApiError>>;

    /// Reads whether a bucket has no object. Delete markers and noncurrent versions do not count.
    fn is_empty(&self, location: &BucketLocation) -> impl Future<Output = Result<bool, ApiError>>;

    /// Lists at most `limit` versions and delete markers whose keys begin with `prefix`, from the place `after`, or else from the first.
    fn versions_page(
        &self,
        location: &BucketLocation,
        prefix: &str,
        after: Option<&VersionMarker>,
        limit: u16,
    ) -> impl Future<Output = Result<VersionsPage, ApiError>>;

    /// Reads whether all four settings of a bucket's public access block are on.
    fn public_access_blocked(
        &self,
        location: &BucketLocation,
    ) -> impl Future<Output = Result<bool, ApiError>>;

    /// Reads a key by id, ARN or alias; `None` if there is no such key.
    fn key(
        &self,
        id: &str,
        region: &Region,
        access: &Access,
    ) -> impl Future<Output = Result<Option<Key>, ApiError>>;

    /// Reads the policy of a bucket or of a key, as JSON text; `None` if the resource or its policy does not exist.
    fn resource_policy(
        &self,
        target: &ResourcePolicyTarget,
    ) -> impl Future<Output = Result<Option<String>, ApiError>>;

    /// Whether there is a role with this name. One request, where the [outline](Self::role_outline) takes three.
    fn role_exists(&self, name: &RoleName) -> impl Future<Output = Result<bool, ApiError>>;

    /// Reads a role and the names of its inline policies; `None` if there is no such role.
    fn role_outline(
        &self,
        name: &RoleName,
    ) -> impl Future<Output = Result<Option<RoleOutline>, ApiError>>;

    /// Reads the documents of the role's inline policies. A policy that no longer exists is left out.
    fn with_policies(&self, outline: RoleOutline) -> impl Future<Output = Result<Role, ApiError>>;

    /// Reads a role with its inline policies; `None` if there is no such role.
    fn role(&self, name: &RoleName) -> impl Future<Output = Result<Option<Role>, ApiError>> {
        async {
            match self.role_outline(name).await? {
                Some(outline) => self.with_policies(outline).await.map(Some),
                None => Ok(None),
            }
        }
    }

    /// Reads how many roles the account has and may have.
    fn role_quota(&self) -> impl Future<Output = Result<RoleQuota, ApiError>>;

    /// Reads the alarms with these names. A name without an alarm is left out.
    fn alarms(
        &self,
        names: &[String],
        region: &Region,
    ) -> impl Future<Output = Result<Vec<Alarm>, ApiError>>;

    /// Reads the value of an SSM parameter. The value may be a minute old.
    fn parameter(&self, name: &str) -> impl Future<Output = Result<String, ApiError>>;

    /// Reads a job of this account by its id; `None` if there is no such job. S3 deletes jobs 90 days after their end.
    fn job(
        &self,
        id: &str,
        region: &Region,
        account: &Account,
    ) -> impl Future<Output = Result<Option<Job>, ApiError>>;
}

/// Reads what only a diagnosis needs, and changes nothing. A diagnosis is generic over this trait alone, so it cannot write.
pub trait Inspect: Read {
    /// Reads who owns the objects of a bucket.
    fn object_ownership(
        &self,
        location: &BucketLocation,
    ) -> impl Future<Output = Result<ObjectOwnership, ApiError>>;

    /// Reads whether who requests a bucket's objects pays for it.
    fn requester_pays(
        &self,
        location: &BucketLocation,
    ) -> impl Future<Output = Result<bool, ApiError>>;

    /// Reads the canonical id of a bucket's owner.
    fn owner_id(&self, location: &BucketLocation)
    -> impl Future<Output = Result<String, ApiError>>;

    /// Lists the first `count` current objects whose keys begin with `prefix`, at most 1,000.
    fn first_objects(
        &self,
        location: &BucketLocation,
        prefix: &str,
        count: u16,
    ) -> impl Future<Output = Result<Vec<ListedObject>, ApiError>>;

    /// Reads the current version of an object; `None` if there is none.
    fn object(
        &self,
        location: &BucketLocation,
        key: &str,
    ) -> impl Future<Output = Result<Option<SampledObject>, ApiError>>;

    /// Reads the document of a managed policy's default version; `None` if there is no such policy.
    fn managed_policy(&self, arn: &str) -> impl Future<Output = Result<Option<String>, ApiError>>;

    /// Asks IAM's simulator about a call of a role.
    fn simulate(
        &self,
        role_arn: &str,
        call: &SimulatedCall,
    ) -> impl Future<Output = Result<Simulation, ApiError>>;

    /// Lists the grants on a key.
    fn grants(
        &self,
        arn: &str,
        region: &Region,
        access: &Access,
    ) -> impl Future<Output = Result<Vec<KeyGrant>, ApiError>>;

    /// Reads the metrics of a rule for the day that ends at `now`, in seconds since the epoch.
    fn replication_metrics(
        &self,
        rule: &MeteredRule,
        now: u64,
    ) -> impl Future<Output = Result<ReplicationMetrics, ApiError>>;
}

/// A rule, by the dimensions of its replication metrics.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct MeteredRule {
    /// The source bucket.
    pub source: BucketName,
    /// The destination bucket.
    pub destination: BucketName,
    /// The rule's `ID`.
    pub rule: String,
    /// The source bucket's Region, where S3 publishes the metrics.
    pub region: Region,
}

/// The result of an action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Executed {
    /// The action has no result beyond its effect.
    Done,
    /// The action started the job with this id.
    JobStarted(String),
}

/// Remembers texts while the process runs.
pub trait Memory {
    /// What was remembered of `subject`, if that was at most `max_age` ago.
    fn remembered(&self, subject: &str, max_age: Duration) -> Option<String>;

    /// Remembers `text` of `subject` in place of anything else.
    fn remember(&self, subject: &str, text: String);
}

/// Executes the actions of plans.
pub trait Execute {
    /// Executes one action.
    fn execute(&self, action: &Action) -> impl Future<Output = Result<Executed, ApiError>>;
}

/// Stores leases, and the generations of requests about custom resources. Times are in seconds since the epoch.
pub trait Leases {
    /// Acquires a lease, or renews a lease of the same holder; `None` if another holder has the lease.
    fn acquire(
        &self,
        lease: &Lease,
        now: u64,
    ) -> impl Future<Output = Result<Option<Acquired>, ApiError>>;

    /// Releases a lease, which then expires at `expires_at`. A lease that another holder has acquired does not change.
    fn release(&self, lease: &Lease, expires_at: u64)
    -> impl Future<Output = Result<(), ApiError>>;

    /// Records the generation of a request about a custom resource, unless a later one is recorded.
    fn record_generation(
        &self,
        record: &GenerationRecord,
    ) -> impl Future<Output = Result<Recording, ApiError>>;

    /// Reads what is recorded of the requests about the custom resource `id`; `None` if nothing is.
    fn latest_generation(
        &self,
        table: &str,
        id: &str,
    ) -> impl Future<Output = Result<Option<RecordedRequest>, ApiError>>;
}

/// Reads versions of objects, and writes and removes canaries.
pub trait Objects {
    /// Writes a canary and returns the id of its version.
    fn put_canary(
        &self,
        location: &BucketLocation,
        canary: &Canary,
    ) -> impl Future<Output = Result<String, ApiError>>;

    /// Reads a version of an object; `None` if there is no such version.
    fn object_version(
        &self,
        location: &BucketLocation,
        key: &str,
        version: &str,
    ) -> impl Future<Output = Result<Option<ObjectVersion>, ApiError>>;

    /// Lists all versions and delete markers of an object.
    fn versions(
        &self,
        location: &BucketLocation,
        key: &str,
    ) -> impl Future<Output = Result<Versions, ApiError>>;

    /// Deletes a version or a delete marker of an object permanently. Succeeds if the version does not exist.
    fn delete_version(
        &self,
        location: &BucketLocation,
        key: &str,
        version: &str,
    ) -> impl Future<Output = Result<(), ApiError>>;
}

/// Sends messages to the function's own queue.
pub trait Queue {
    /// Sends a message that is delivered after `delay`, at most 15 minutes.
    fn send(
        &self,
        queue_url: &str,
        body: String,
        delay: Duration,
    ) -> impl Future<Output = Result<(), ApiError>>;
}

/// Answers CloudFormation.
pub trait Callback {
    /// Sends the answer to a custom resource's request to its `ResponseURL`.
    fn answer(&self, url: &ResponseUrl, body: String)
    -> impl Future<Output = Result<(), ApiError>>;
}

/// All access to AWS and to CloudFormation.
pub trait Cloud: Inspect + Execute + Leases + Objects + Queue + Callback {}

impl<T: Inspect + Execute + Leases + Objects + Queue + Callback> Cloud for T {}
