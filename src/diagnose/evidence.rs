//! What a diagnosis is made from: everything that was read, and everything that could not be read.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use crate::model::{
    Account, ApiError, BucketLocation, BucketName, Encryption, Identity, Key, KeyGrant,
    ListedObject, ObjectOwnership, ReplicationConfiguration, ReplicationMetrics, ReplicationRule,
    Role, SampledObject, SimulatedCall, Simulation, Versioning,
};

/// A reading, or why there is none.
pub type Seen<T> = Result<T, Unread>;

/// Something that decides and could not be read, or could be read and does not decide.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Unread {
    /// The right that shows it, such as `s3:GetBucketPolicy`; `None` if no right does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub right: Option<&'static str>,
    /// What it is about, such as ``bucket `orders` ``.
    pub resource: String,
    /// Why it is not known, as AWS or this program says it.
    pub reason: String,
    /// Whether it decides about the verdict. Samples and metrics do not: they show what happened to objects, not what will.
    pub decides: bool,
}

impl Unread {
    /// What a failed call could not read.
    pub fn of(failure: &ApiError) -> Self {
        let right = right(failure.operation).filter(|_| failure.is_denied());
        let reason = format!("{}: {}: {}", failure.operation, failure.code, failure.message);
        Self { right, resource: failure.resource.clone(), reason, decides: true }
    }

    /// The same for a reading that does not decide about the verdict.
    #[must_use]
    pub fn of_objects(self) -> Self {
        Self { decides: false, ..self }
    }

    /// Something that is not known for this reason, which no right would change.
    pub fn undecided(resource: impl Into<String>, reason: impl Into<String>) -> Self {
        let (resource, reason) = (resource.into(), reason.into());
        Self { right: None, resource, reason, decides: true }
    }
}

impl fmt::Display for Unread {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.resource, self.reason)?;
        match self.right {
            Some(right) => write!(formatter, "; the right {right} shows it"),
            None => Ok(()),
        }
    }
}

/// The right that an operation needs; `None` for an operation that needs none.
fn right(operation: &str) -> Option<&'static str> {
    Some(match operation {
        "AssumeRole" => "sts:AssumeRole",
        "DescribeKey" => "kms:DescribeKey",
        "GetBucketAcl" => "s3:GetBucketAcl",
        "GetBucketEncryption" => "s3:GetEncryptionConfiguration",
        "GetBucketOwnershipControls" => "s3:GetBucketOwnershipControls",
        "GetBucketPolicy" => "s3:GetBucketPolicy",
        "GetBucketReplication" => "s3:GetReplicationConfiguration",
        "GetBucketRequestPayment" => "s3:GetBucketRequestPayment",
        "GetBucketVersioning" => "s3:GetBucketVersioning",
        "GetKeyPolicy" => "kms:GetKeyPolicy",
        "GetMetricData" => "cloudwatch:GetMetricData",
        "GetObjectLockConfiguration" => "s3:GetBucketObjectLockConfiguration",
        "GetPolicy" => "iam:GetPolicy",
        "GetPolicyVersion" => "iam:GetPolicyVersion",
        "GetRole" => "iam:GetRole",
        "GetRolePolicy" => "iam:GetRolePolicy",
        "HeadBucket" | "ListObjectsV2" => "s3:ListBucket",
        "HeadObject" => "s3:GetObject",
        "ListAttachedRolePolicies" => "iam:ListAttachedRolePolicies",
        "ListBuckets" => "s3:ListAllMyBuckets",
        "ListGrants" => "kms:ListGrants",
        "ListRolePolicies" => "iam:ListRolePolicies",
        "SimulatePrincipalPolicy" => "iam:SimulatePrincipalPolicy",
        _ => return None,
    })
}

/// Everything that was read about one source bucket.
#[derive(Debug, Clone)]
pub struct Evidence {
    /// The account and the partition of the caller, who owns the source bucket and the role.
    pub identity: Identity,
    /// The source bucket.
    pub source: SourceEvidence,
    /// ARN of the role in the replication configuration.
    pub role_arn: String,
    /// That role; `None` if it does not exist.
    pub role: Seen<Option<RoleEvidence>>,
    /// The key of the source's default encryption, if that is a KMS key.
    pub default_key: Option<KeyEvidence>,
    /// The rules to diagnose, in order.
    pub rules: Vec<RuleEvidence>,
    /// The time, in seconds since the epoch.
    pub now: u64,
}

/// The source bucket.
#[derive(Debug, Clone)]
pub struct SourceEvidence {
    /// Its location.
    pub location: BucketLocation,
    /// Its replication configuration.
    pub replication: ReplicationConfiguration,
    /// Its versioning.
    pub versioning: Seen<Versioning>,
    /// Its default encryption.
    pub encryption: Seen<Encryption>,
    /// Whether it has S3 Object Lock.
    pub object_lock: Seen<bool>,
    /// Its policy; `None` if it has none.
    pub policy: Seen<Option<String>>,
    /// Who owns its objects.
    pub ownership: Seen<ObjectOwnership>,
}

impl SourceEvidence {
    /// Whether objects that are written now are certainly not KMS-encrypted by the bucket's default encryption.
    pub fn writes_without_kms(&self) -> bool {
        self.encryption == Ok(Encryption::S3)
    }
}

/// The replication role.
#[derive(Debug, Clone)]
pub struct RoleEvidence {
    /// The role, without its inline policies.
    pub role: Role,
    /// The documents of its inline policies by name.
    pub inline: Seen<BTreeMap<String, String>>,
    /// The documents of its managed policies by ARN; `None` for a policy that does not exist.
    pub managed: BTreeMap<String, Seen<Option<String>>>,
    /// The document of its permissions boundary, if it has one; `None` inside for a policy that does not exist.
    pub boundary: Option<Seen<Option<String>>>,
}

/// A KMS key.
#[derive(Debug, Clone)]
pub struct KeyEvidence {
    /// The id, ARN or alias by which the key is named where it is used.
    pub id: String,
    /// The key; `None` if it does not exist.
    pub key: Seen<Option<Key>>,
    /// Its policy; `None` if the key does not exist.
    pub policy: Seen<Option<String>>,
    /// Its grants; `None` if the key's policy decides without them, so that they were not read.
    pub grants: Option<Seen<Vec<KeyGrant>>>,
}

/// One rule, and what only this rule needs.
#[derive(Debug, Clone)]
pub struct RuleEvidence {
    /// The rule.
    pub rule: ReplicationRule,
    /// Its destination bucket.
    pub destination: DestinationEvidence,
    /// The key that encrypts its replicas; `None` if the rule names none.
    pub replica_key: Option<KeyEvidence>,
    /// Whether its prefix selects objects; `None` if that was not read.
    pub prefix_use: Option<Seen<PrefixUse>>,
    /// A sample of the objects that its prefix selects; `None` if none was taken.
    pub sample: Option<Seen<Sample>>,
    /// Its replication metrics of the last day; `None` if it has none.
    pub metrics: Option<Seen<ReplicationMetrics>>,
    /// What IAM's simulator says of S3's calls for every object; `None` if it was not asked.
    pub simulations: Option<Seen<Vec<(SimulatedCall, Simulation)>>>,
}

/// Whether a rule's prefix selects objects of the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PrefixUse {
    /// An object's key begins with it.
    Used,
    /// No object's key begins with it.
    Unused,
    /// The bucket has no object yet.
    EmptyBucket,
}

/// The destination bucket of a rule.
#[derive(Debug, Clone)]
pub struct DestinationEvidence {
    /// The bucket, as the rule names it.
    pub name: String,
    /// Its location; `None` if it does not exist.
    pub location: Seen<Option<BucketLocation>>,
    /// Whether the caller's account owns it.
    pub is_own: Seen<bool>,
    /// Its settings; `None` if it does not exist.
    pub settings: Option<DestinationSettings>,
}

/// The settings of a destination bucket that exists.
#[derive(Debug, Clone)]
pub struct DestinationSettings {
    /// Its versioning.
    pub versioning: Seen<Versioning>,
    /// Its default encryption.
    pub encryption: Seen<Encryption>,
    /// Whether it has S3 Object Lock; `None` if the source has none, so that it was not read.
    pub object_lock: Option<Seen<bool>>,
    /// Its policy; `None` if it has none.
    pub policy: Seen<Option<String>>,
    /// Whether it replicates by rules of its own.
    pub replicates: Seen<bool>,
    /// What matters in another account only; `None` in the caller's account.
    pub abroad: Option<AbroadSettings>,
}

/// The settings of a destination bucket that matter in another account only.
#[derive(Debug, Clone)]
pub struct AbroadSettings {
    /// Who owns its objects.
    pub ownership: Seen<ObjectOwnership>,
    /// Whether who requests its objects pays for it.
    pub requester_pays: Seen<bool>,
}

/// Current versions of the first objects that a rule's prefix selects.
#[derive(Debug, Clone, Default)]
pub struct Sample {
    /// The objects that were listed.
    pub listed: Vec<ListedObject>,
    /// Those of them that were read.
    pub objects: Vec<SampledObject>,
    /// Why others could not be read.
    pub unread: Vec<Unread>,
    /// The canonical id of the bucket's owner; `None` if the bucket's owner owns all objects by its settings.
    pub owner: Option<Seen<String>>,
    /// The keys that encrypt the objects, by ARN, except the key of the default encryption.
    pub keys: BTreeMap<String, KeyEvidence>,
}

impl RuleEvidence {
    /// The rule's name in messages.
    pub fn name(&self) -> &str {
        self.rule.id().unwrap_or("without an id")
    }

    /// The destination bucket, if the rule names a valid one.
    pub fn destination_bucket(&self) -> Option<BucketName> {
        BucketName::parse_name_or_arn(&self.destination.name).ok()
    }
}

/// Who owns a bucket, as far as it is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BucketOwner {
    /// This account.
    Account(Account),
    /// Another account than the caller's; which one is not known.
    OtherAccount,
    /// It is not known.
    Unknown,
}

impl RuleEvidence {
    /// Who owns the destination: who was seen to own it, or else whom the rule says. `own` is the caller's account.
    pub fn destination_owner(&self, own: &Account) -> BucketOwner {
        let named = self.rule.destination_account().and_then(|name| Account::parse(name).ok());
        match (&self.destination.location, &self.destination.is_own, named) {
            (Ok(Some(location)), _, _) => BucketOwner::Account(location.owner.clone()),
            (Ok(None), _, named) => BucketOwner::Account(named.unwrap_or_else(|| own.clone())),
            (Err(_), Ok(true), _) => BucketOwner::Account(own.clone()),
            (Err(_), Ok(false), Some(named)) if named != *own => BucketOwner::Account(named),
            (Err(_), Ok(false), _) => BucketOwner::OtherAccount,
            (Err(_), Err(_), Some(named)) => BucketOwner::Account(named),
            (Err(_), Err(_), None) => BucketOwner::Unknown,
        }
    }

    /// The sample, if one was taken.
    pub fn sample(&self) -> Option<&Sample> {
        match &self.sample {
            Some(Ok(sample)) => Some(sample),
            Some(Err(_)) | None => None,
        }
    }

    /// The objects of the sample.
    pub fn sampled_objects(&self) -> &[SampledObject] {
        self.sample().map(|sample| sample.objects.as_slice()).unwrap_or_default()
    }

    /// The keys of the sample, except the key of the default encryption.
    pub fn sampled_keys(&self) -> impl Iterator<Item = &KeyEvidence> {
        self.sample().into_iter().flat_map(|sample| sample.keys.values())
    }
}

impl KeyEvidence {
    /// The key's ARN; `None` if the key is named by its id or alias, and could not be read by that.
    pub fn arn(&self) -> Option<&str> {
        match &self.key {
            Ok(Some(key)) => Some(&key.arn),
            Ok(None) | Err(_) => Some(self.id.as_str()).filter(|id| id.contains(":key/")),
        }
    }
}
