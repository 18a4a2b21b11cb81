//! Buckets and their settings.

use std::fmt;

use super::{Access, Account, BucketName, Region};

/// A bucket, its Region and owner, and the credentials for it. It exists, or a plan creates it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BucketLocation {
    /// The bucket.
    pub bucket: BucketName,
    /// The bucket's Region.
    pub region: Region,
    /// The account that must own the bucket. Requests contain it, so S3 refuses a bucket of this name in another account.
    pub owner: Account,
    /// The credentials with which the bucket is accessed.
    pub access: Access,
}

/// A bucket in the list of an account's buckets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedBucket {
    /// Its name, which may have a form that S3 no longer allows.
    pub name: String,
    /// Its Region, if the list contains it.
    pub region: Option<Region>,
}

/// A bucket's versioning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Versioning {
    /// Never enabled.
    Off,
    /// Enabled.
    Enabled,
    /// Enabled earlier, and now suspended.
    Suspended,
}

/// A bucket's default encryption.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Encryption {
    /// SSE-S3, which is also S3's default.
    S3,
    /// SSE-KMS or DSSE-KMS.
    Kms {
        /// The key's id, ARN or alias as it was set; `None` for the account's `alias/aws/s3`.
        key: Option<String>,
        /// Whether the bucket uses an S3 Bucket Key.
        bucket_key: bool,
        /// Whether objects are encrypted in two layers: DSSE-KMS.
        dual_layer: bool,
    },
}

impl Encryption {
    /// SSE-KMS with this key and an S3 Bucket Key.
    pub fn with_bucket_key(key: impl Into<String>) -> Self {
        Self::Kms { key: Some(key.into()), bucket_key: true, dual_layer: false }
    }
}

impl fmt::Display for Encryption {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::S3 => formatter.write_str("SSE-S3"),
            Self::Kms { key, bucket_key, .. } => {
                let key = key.as_deref().unwrap_or("alias/aws/s3");
                write!(formatter, "KMS {key}{}", if *bucket_key { " with Bucket Key" } else { "" })
            }
        }
    }
}

/// A resource that has a resource policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ResourcePolicyTarget {
    /// A bucket.
    Bucket(BucketLocation),
    /// A KMS key.
    Key {
        /// Its ARN.
        arn: String,
        /// Its Region.
        region: Region,
        /// The credentials with which the key is accessed.
        access: Access,
    },
}

impl ResourcePolicyTarget {
    /// The credentials with which the resource is accessed.
    pub fn access(&self) -> &Access {
        match self {
            Self::Bucket(location) => &location.access,
            Self::Key { access, .. } => access,
        }
    }
}

impl fmt::Display for ResourcePolicyTarget {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bucket(location) => write!(formatter, "bucket `{}`", location.bucket),
            Self::Key { arn, .. } => write!(formatter, "key `{arn}`"),
        }
    }
}
