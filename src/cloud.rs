//! The one seam to the outside: what can be observed of AWS, and what can be done to it.
//!
//! Reads say "absent" with `None`, never with an error; an error is always a failure to find out. [`crate::aws`] is the real side, the
//! tests have one that holds state.

use std::collections::BTreeMap;
use std::fmt;

use aws_sdk_kms::types::KeyState;
use aws_sdk_s3::types::ReplicationConfiguration;
use aws_sdk_s3control::types::JobStatus;

use crate::event::cloudformation::ResponseUrl;
use crate::plan::Step;
use crate::spec::{Access, Account, BucketName, Partition, Region, RoleName};
use crate::verify::Canary;

/// Whose credentials are in use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The account that owns everything that is made.
    pub account: Account,
    /// The partition of that account.
    pub partition: Partition,
}

/// An existing bucket of a known account, and where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    /// The bucket.
    pub bucket: BucketName,
    /// The bucket's Region.
    pub region: Region,
    /// The account that must own the bucket: sent along, so that a bucket of somebody else with this name is refused.
    pub owner: Account,
    /// With whose credentials the bucket is accessed.
    pub access: Access,
}

/// What has a policy that says who else may use it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Guarded {
    /// A bucket.
    Bucket(Location),
    /// A KMS key.
    Key {
        /// Its ARN.
        arn: String,
        /// Its Region.
        region: Region,
        /// With whose credentials it is accessed.
        access: Access,
    },
}

impl Guarded {
    /// With whose credentials it is accessed.
    pub fn access(&self) -> &Access {
        match self {
            Self::Bucket(location) => &location.access,
            Self::Key { access, .. } => access,
        }
    }
}

impl fmt::Display for Guarded {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bucket(location) => write!(formatter, "bucket `{}`", location.bucket),
            Self::Key { arn, .. } => write!(formatter, "key `{arn}`"),
        }
    }
}

/// A bucket in the list of an account's buckets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedBucket {
    /// Its name, which may be of a form that S3 no longer allows.
    pub name: String,
    /// Its Region, when the list has it.
    pub region: Option<Region>,
}

/// A bucket's versioning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Versioning {
    /// Never enabled.
    Off,
    /// Enabled.
    Enabled,
    /// Enabled once, and suspended since.
    Suspended,
}

/// A bucket's default encryption.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Encryption {
    /// SSE-S3, which is also what S3 does when nothing is set.
    S3,
    /// SSE-KMS or DSSE-KMS.
    Kms {
        /// The key's id, ARN or alias as it was set; `None` is the account's `alias/aws/s3`.
        key: Option<String>,
        /// Whether the bucket uses an S3 Bucket Key.
        bucket_key: bool,
    },
}

/// A KMS key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// The key's ARN, never an alias.
    pub arn: String,
    /// Its state; `Enabled` is the one in which it can be used.
    pub state: KeyState,
    /// Whether it is a symmetric key for encryption and decryption.
    pub symmetric: bool,
    /// Whether AWS manages it, so that its policy cannot be changed.
    pub aws_managed: bool,
}

/// An IAM role with its policies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Role {
    /// The role's name.
    pub name: RoleName,
    /// The role's ARN, path included.
    pub arn: String,
    /// The trust policy, as JSON text.
    pub trust: String,
    /// ARN of the permissions boundary.
    pub boundary: Option<String>,
    /// The role's tags.
    pub tags: BTreeMap<String, String>,
    /// The inline policies by name, as JSON text.
    pub policies: BTreeMap<String, String>,
    /// ARNs of the attached managed policies.
    pub attached: Vec<String>,
}

/// An IAM role whose inline policies are known by name only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoleOutline {
    /// The role, without its inline policies.
    pub role: Role,
    /// Their names.
    pub policies: Vec<String>,
}

/// A CloudWatch alarm on one metric.
#[derive(Debug, Clone, PartialEq)]
pub struct Alarm {
    /// Its name, of which a Region of an account has one.
    pub name: String,
    /// Its Region.
    pub region: Region,
    /// The metric's namespace.
    pub namespace: String,
    /// The metric.
    pub metric: String,
    /// The metric's dimensions.
    pub dimensions: BTreeMap<String, String>,
    /// CloudWatch's word for what is made of a period's values.
    pub statistic: String,
    /// Length of a period, in seconds.
    pub period: i32,
    /// How many periods in a row it takes.
    pub periods: i32,
    /// CloudWatch's word for how the statistic is compared to the threshold.
    pub comparison: String,
    /// The threshold.
    pub threshold: f64,
    /// CloudWatch's word for what a period without values means.
    pub missing_data: String,
    /// ARNs of the SNS topics, or of whatever else, that are told.
    pub actions: Vec<String>,
    /// Whether they are told at all.
    pub actions_enabled: bool,
}

/// An S3 Batch Operations job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// What it is for: of ours, a rule among those of all buckets.
    pub description: String,
    /// Its state.
    pub status: JobStatus,
}

impl Job {
    /// Whether it has come to its end, whichever.
    pub fn has_ended(&self) -> bool {
        is_end(&self.status)
    }

    /// Whether it can be cancelled: it is not on its way to its end, either.
    pub fn can_be_cancelled(&self) -> bool {
        !self.has_ended() && !matches!(self.status, JobStatus::Cancelling | JobStatus::Completing | JobStatus::Failing)
    }
}

/// Whether a job does not come back from this state.
pub fn is_end(status: &JobStatus) -> bool {
    matches!(status, JobStatus::Cancelled | JobStatus::Complete | JobStatus::Failed)
}

/// S3's word for the replication of an object's version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replication {
    /// It is to be replicated.
    Pending,
    /// It was replicated, to every destination.
    Completed,
    /// It was not replicated, and S3 does not try again.
    Failed,
    /// It is a replica itself.
    Replica,
}

/// A version of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectVersion {
    /// Its replication; `None` when no rule has selected it.
    pub replication: Option<Replication>,
    /// ARN of the KMS key that encrypts it; `None` when none does.
    pub kms_key: Option<String>,
}

/// The ids of all that a bucket holds under one key.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Versions {
    /// The versions of the object, the newest first.
    pub objects: Vec<String>,
    /// The delete markers.
    pub delete_markers: Vec<String>,
}

/// The right to write something that has no conditional write, for a while.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// The DynamoDB table that keeps leases.
    pub table: String,
    /// What is written while it is held: a bucket's replication configuration, or an account's policies.
    pub of: String,
    /// Who holds it: unlike any other invocation.
    pub holder: String,
    /// When it ends by itself, in seconds since the epoch.
    pub expires_at: u64,
}

/// Whether a lease was to be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acquired {
    /// Another holds it.
    No,
    /// It was taken; the one before it ended then, in seconds since the epoch, if there was one that is remembered.
    Yes(Option<u64>),
}

/// What helps against a failed call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remedy {
    /// What was done a moment ago is not visible everywhere yet, or another writer is at it: the same call works soon.
    Wait,
    /// The state is not what was observed: observe and plan again.
    Observe,
    /// AWS is throttling or unwell, and its SDK has tried again already: another invocation may fare better.
    Later,
    /// Nothing but a change of the request or of the rights.
    None,
}

/// A call that failed: what was tried on what, and AWS's own code and message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{action} on {resource}: {code}: {message}{}", .parameter.map(|name| format!("; the template's parameter `{name}` gives this right")).unwrap_or_default())]
pub struct CloudError {
    /// The API's action, such as `PutBucketReplication`.
    pub action: &'static str,
    /// What it was tried on, such as ``bucket `demo` ``.
    pub resource: String,
    /// AWS's error code, or what failed before AWS could answer.
    pub code: String,
    /// AWS's message.
    pub message: String,
    /// The template's parameter that gives the right that was missing, when it is one of those.
    pub parameter: Option<&'static str>,
    /// What helps against it.
    pub remedy: Remedy,
}

impl CloudError {
    /// Says which of the template's parameters gives the right that was missing, if one was.
    #[must_use]
    pub fn naming(self, parameter: Option<&'static str>) -> Self {
        Self { parameter: self.parameter.or(parameter.filter(|_| self.is_denied())), ..self }
    }

    /// Whether AWS refused it for want of a right, or does not say whether the thing is there.
    pub fn is_denied(&self) -> bool {
        // The answer to a HEAD has no code.
        matches!(self.code.as_str(), "AccessDenied" | "AccessDeniedException" | "HTTP 403")
    }
}

/// What can be observed of AWS, and what can be done to it.
///
/// # Errors
/// Every method fails with a [`CloudError`] when the state could not be found out or changed; "not there" is `None`.
pub trait Cloud {
    /// Whose credentials are in use.
    fn identity(&self) -> impl Future<Output = Result<Identity, CloudError>>;

    /// All general purpose buckets of the account, of every Region.
    fn buckets(&self) -> impl Future<Output = Result<Vec<ListedBucket>, CloudError>>;

    /// The Region of a bucket, asked in the Region where it is expected; `None` when there is no such bucket.
    fn bucket_region(
        &self,
        bucket: &BucketName,
        expected: &Region,
        access: &Access,
    ) -> impl Future<Output = Result<Option<Region>, CloudError>>;

    /// A bucket's versioning.
    fn versioning(&self, location: &Location) -> impl Future<Output = Result<Versioning, CloudError>>;

    /// A bucket's default encryption.
    fn encryption(&self, location: &Location) -> impl Future<Output = Result<Encryption, CloudError>>;

    /// A bucket's replication configuration; `None` when it has none.
    fn replication(&self, location: &Location) -> impl Future<Output = Result<Option<ReplicationConfiguration>, CloudError>>;

    /// Whether a bucket has S3 Object Lock.
    fn object_lock(&self, location: &Location) -> impl Future<Output = Result<bool, CloudError>>;

    /// A bucket's tags.
    fn bucket_tags(&self, location: &Location) -> impl Future<Output = Result<BTreeMap<String, String>, CloudError>>;

    /// Whether all four public access settings of a bucket block.
    fn public_access_blocked(&self, location: &Location) -> impl Future<Output = Result<bool, CloudError>>;

    /// A key by id, ARN or alias; `None` when there is no such key.
    fn key(&self, id: &str, region: &Region, access: &Access) -> impl Future<Output = Result<Option<Key>, CloudError>>;

    /// The policy of a bucket or of a key, as JSON text; `None` when it has none, or is not there.
    fn policy(&self, guarded: &Guarded) -> impl Future<Output = Result<Option<String>, CloudError>>;

    /// A role, and the names of its inline policies; `None` when there is no such role.
    fn role_outline(&self, name: &RoleName) -> impl Future<Output = Result<Option<RoleOutline>, CloudError>>;

    /// The role with those of the inline policies that are still there.
    fn with_policies(&self, outline: RoleOutline) -> impl Future<Output = Result<Role, CloudError>>;

    /// A role with its policies; `None` when there is no such role.
    fn role(&self, name: &RoleName) -> impl Future<Output = Result<Option<Role>, CloudError>> {
        async {
            match self.role_outline(name).await? {
                Some(outline) => self.with_policies(outline).await.map(Some),
                None => Ok(None),
            }
        }
    }

    /// Those of the alarms with these names that exist.
    fn alarms(&self, names: &[String], region: &Region) -> impl Future<Output = Result<Vec<Alarm>, CloudError>>;

    /// The value of an SSM parameter; it may be some minutes old.
    fn parameter(&self, name: &str) -> impl Future<Output = Result<String, CloudError>>;

    /// Writes a canary; the id of its version.
    fn put_canary(&self, location: &Location, canary: &Canary) -> impl Future<Output = Result<String, CloudError>>;

    /// A version of an object; `None` when there is no such version.
    fn object_version(
        &self,
        location: &Location,
        key: &str,
        version: &str,
    ) -> impl Future<Output = Result<Option<ObjectVersion>, CloudError>>;

    /// All versions and delete markers of an object.
    fn versions(&self, location: &Location, key: &str) -> impl Future<Output = Result<Versions, CloudError>>;

    /// Removes a version or a delete marker of an object for good; one that is gone is success.
    fn delete_version(&self, location: &Location, key: &str, version: &str) -> impl Future<Output = Result<(), CloudError>>;

    /// A job of this account by its id; `None` when there is no such job, or S3 has forgotten it, 90 days after its end.
    fn job(&self, id: &str, region: &Region, account: &Account) -> impl Future<Output = Result<Option<Job>, CloudError>>;

    /// Does one step of a plan; gives the id of the job that it starts.
    fn apply(&self, step: &Step) -> impl Future<Output = Result<Option<String>, CloudError>>;

    /// Takes a lease, unless another holds it, or changes when the holder's own ends; `now` is in seconds since the epoch.
    fn acquire(&self, lease: &Lease, now: u64) -> impl Future<Output = Result<Acquired, CloudError>>;

    /// Notes the turn of a request about the custom resource `id`, unless a later one is noted; kept until `expires_at`, in seconds since the
    /// epoch.
    fn take_turn(&self, table: &str, id: &str, turn: u64, expires_at: u64) -> impl Future<Output = Result<bool, CloudError>>;

    /// The latest turn about the custom resource `id`; `None` when there has been none lately.
    fn turn(&self, table: &str, id: &str) -> impl Future<Output = Result<Option<u64>, CloudError>>;

    /// Puts the answer to a custom resource's request where CloudFormation waits for it.
    fn answer(&self, url: &ResponseUrl, body: String) -> impl Future<Output = Result<(), CloudError>>;
}
