//! Versions of objects, and the canary.

use std::collections::BTreeMap;

/// S3's replication status of an object's version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplicationStatus {
    /// S3 has not replicated the version to every destination yet.
    Pending,
    /// S3 has replicated the version to every destination.
    Completed,
    /// S3 could not replicate the version, and does not retry.
    Failed,
    /// The version is a replica.
    Replica,
}

/// A version of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectVersion {
    /// Its replication status; `None` if no rule has selected the version.
    pub replication: Option<ReplicationStatus>,
    /// ARN of the KMS key that encrypts the version; `None` if the version is not KMS-encrypted.
    pub kms_key: Option<String>,
    /// When the version was written, in seconds since the epoch; `None` if S3 did not say.
    pub last_modified: Option<u64>,
}

/// The ids of versions and delete markers of one object.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Versions {
    /// The versions, the newest first.
    pub objects: Vec<String>,
    /// The delete markers.
    pub delete_markers: Vec<String>,
    /// Whether S3 has more of them than fit in one answer.
    pub more: bool,
}

impl Versions {
    /// Whether there are neither versions nor delete markers.
    pub fn is_empty(&self) -> bool {
        self.objects.is_empty() && self.delete_markers.is_empty() && !self.more
    }
}

/// A version of an object in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedVersion {
    /// The object's key.
    pub key: String,
    /// The version's id.
    pub version: String,
    /// When the version was written, in seconds since the epoch.
    pub last_modified: u64,
}

/// A part of the list of a bucket's versions.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct VersionsPage {
    /// The versions.
    pub versions: Vec<ListedVersion>,
    /// The number of delete markers among them.
    pub delete_markers: usize,
    /// Where the next page begins; `None` if this is the last one.
    pub next: Option<VersionMarker>,
}

impl VersionsPage {
    /// Whether the page has neither versions nor delete markers.
    pub fn is_empty(&self) -> bool {
        self.versions.is_empty() && self.delete_markers == 0
    }
}

/// A place in the list of a bucket's versions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionMarker {
    /// The key of the last version before it.
    pub key: String,
    /// The id of that version.
    pub version: Option<String>,
}

/// The object that Verify writes to check whether a rule replicates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Canary {
    /// Its object key, which is derived from the source bucket and the rule's id: a later invocation finds the same canary.
    pub key: String,
    /// The tags that the rule's filter requires.
    pub tags: BTreeMap<String, String>,
    /// ARN of the KMS key that encrypts the canary; `None` for the bucket's default encryption.
    pub kms_key: Option<String>,
}
