//! What only a diagnosis reads: settings of buckets, samples of objects, grants on keys, and replication metrics.

use std::collections::BTreeMap;

use super::ReplicationStatus;

/// Who owns the objects of a bucket.
///
/// See <https://docs.aws.amazon.com/AmazonS3/latest/userguide/about-object-ownership.html>.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ObjectOwnership {
    /// The bucket's owner owns every object.
    BucketOwnerEnforced,
    /// Writers own their objects, unless they say that the bucket's owner does.
    BucketOwnerPreferred,
    /// Writers own their objects. Buckets without the setting are so.
    ObjectWriter,
}

/// An object in the list of a bucket's current objects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedObject {
    /// Its key.
    pub key: String,
    /// The canonical id of its owner, if the list contains it.
    pub owner: Option<String>,
}

/// The current version of an object, as HeadObject shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SampledObject {
    /// Its key.
    pub key: String,
    /// Its replication status; `None` if no rule has selected the version.
    pub replication: Option<ReplicationStatus>,
    /// ARN of the KMS key that encrypts it; `None` if it is not KMS-encrypted.
    pub kms_key: Option<String>,
    /// Whether it was written with an S3 Bucket Key.
    pub bucket_key: bool,
    /// Whether it is encrypted with DSSE-KMS.
    pub dual_layer: bool,
    /// Its storage class.
    pub storage_class: String,
    /// When it was written, in seconds since the epoch.
    pub last_modified: u64,
}

/// A grant on a KMS key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyGrant {
    /// Its id.
    pub id: String,
    /// ARN of the principal that it gives rights to.
    pub grantee: String,
    /// KMS's names of the operations, such as `Decrypt`.
    pub operations: Vec<String>,
    /// Pairs that the encryption context must have.
    pub context_subset: BTreeMap<String, String>,
    /// The whole encryption context that a request must have; empty if the grant demands none.
    pub context_equals: BTreeMap<String, String>,
}

/// A rule's replication metrics of the last day.
///
/// See <https://docs.aws.amazon.com/AmazonS3/latest/userguide/repl-metrics.html>.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct ReplicationMetrics {
    /// The operations that failed.
    pub failed: f64,
    /// The most operations that were pending at once in the last period.
    pub pending: f64,
    /// The longest time by which the destination is behind, in seconds, in the last period.
    pub latency: f64,
}

/// One call that IAM's simulator is asked about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SimulatedCall {
    /// The action, such as `s3:ReplicateObject`.
    pub action: String,
    /// ARN of the resource.
    pub resource: String,
    /// The condition keys of the request, with their values.
    pub context: Vec<(String, String)>,
}

/// What IAM's simulator says of a call of a role, by its identity policies, its permissions boundary and the SCPs of its account. It knows no
/// policies of resources. Follows <https://docs.aws.amazon.com/IAM/latest/APIReference/API_EvaluationResult.html>.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Simulation {
    /// Whether a statement denies the call.
    pub is_explicitly_denied: bool,
    /// Whether the SCPs allow the call; `None` if the account has none that IAM knows of.
    pub is_allowed_by_organization: Option<bool>,
}
