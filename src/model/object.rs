//! Versions of objects.

use std::collections::BTreeMap;

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

/// The object that shows whether a rule replicates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Canary {
    /// Its key: of the rule's own, so that whoever looks later finds it.
    pub key: String,
    /// The tags that the rule asks for.
    pub tags: BTreeMap<String, String>,
    /// ARN of the key that encrypts it; `None` for what the bucket encrypts with.
    pub kms_key: Option<String>,
}
