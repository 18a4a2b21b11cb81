//! The grants of one rule in the role of its source bucket.
//!
//! It owns the statements of the rule's inline policy, their actions and their conditions, which the shared role and the policies of other
//! accounts take from here. It must not know which rules share a role.

use std::collections::BTreeSet;

use super::key_pattern::key_pattern;
use super::sid::{DECRYPT_SOURCE, ENCRYPT_REPLICAS, SOURCE_BUCKET, SOURCE_OBJECTS, WRITE_REPLICAS};
use super::statement::{Conditions, Values, allow, condition};
use super::{RolePolicyDocument, Statement};
use crate::model::{Account, BucketName, Partition, Region};

/// The actions without which S3 replicates nothing of a bucket.
pub(super) const BUCKET_ACTIONS: [&str; 2] = ["s3:GetReplicationConfiguration", "s3:ListBucket"];

/// `kms:Decrypt` is needed for a destination with an S3 Bucket Key: S3 decrypts the bucket's data key.
pub(super) const ENCRYPT_ACTIONS: [&str; 3] = ["kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey"];

/// A bucket and its Region.
#[derive(Debug, Clone, Copy)]
pub struct BucketInRegion<'a> {
    /// The bucket.
    pub bucket: &'a BucketName,
    /// Its Region, for `kms:ViaService`.
    pub region: &'a Region,
}

/// What the grants of one rule depend on.
#[derive(Debug, Clone)]
pub struct Grants<'a> {
    /// The partition of both buckets.
    pub partition: Partition,
    /// The bucket whose objects are read.
    pub source: BucketInRegion<'a>,
    /// The bucket to which replicas are written.
    pub destination: BucketInRegion<'a>,
    /// The rule's prefix. Only objects with this prefix are granted.
    pub prefix: &'a str,
    /// ARNs of the keys that encrypt source objects. Without keys, the document has no KMS statement.
    pub source_keys: &'a BTreeSet<String>,
    /// ARN of the key that encrypts replicas.
    pub replica_key: &'a str,
    /// The account that owns the destination: a bucket of the same name in another account gets no replicas.
    pub destination_account: &'a Account,
    /// Whether the source has S3 Object Lock.
    pub object_lock: bool,
    /// Whether the destination's owner becomes the owner of replicas.
    pub owner_override: bool,
}

impl Grants<'_> {
    /// The rule's inline policy.
    pub fn document(&self) -> RolePolicyDocument {
        let source = self.source.bucket.arn(self.partition);
        let destination = self.destination.bucket.arn(self.partition);
        let source_objects = format!("{source}/{}", key_pattern(self.prefix));
        let replicas = format!("{destination}/{}", key_pattern(self.prefix));

        let mut statements = vec![
            allow(SOURCE_BUCKET, BUCKET_ACTIONS, [source.clone()]),
            allow(SOURCE_OBJECTS, read_actions(self.object_lock), [source_objects.clone()]),
            Statement {
                condition: write_conditions(self.replica_key, self.destination_account),
                ..allow(WRITE_REPLICAS, write_actions(self.owner_override), [replicas.clone()])
            },
        ];
        if !self.source_keys.is_empty() {
            statements.push(Statement {
                condition: self.through_s3(self.source.region, source, source_objects),
                ..allow(DECRYPT_SOURCE, ["kms:Decrypt"], self.source_keys.iter().cloned())
            });
            statements.push(Statement {
                condition: self.through_s3(self.destination.region, destination, replicas),
                ..allow(ENCRYPT_REPLICAS, ENCRYPT_ACTIONS, [self.replica_key.to_owned()])
            });
        }
        RolePolicyDocument::new(statements)
    }

    /// A condition that allows the use of a key only through S3 in `region`, and only for this bucket's objects. The encryption context is the
    /// object's ARN, or the bucket's ARN for an object that was written with an S3 Bucket Key. One bucket can have objects of both kinds.
    pub(super) fn through_s3(
        &self,
        region: &Region,
        bucket: String,
        objects: String,
    ) -> Conditions {
        through_s3(self.partition, region, [bucket, objects].into())
    }
}

/// The encryption that S3 may write replicas with, and the account that must own the bucket they are written to.
pub(super) fn write_conditions(replica_key: &str, destination_account: &Account) -> Conditions {
    let encryption = [
        ("s3:x-amz-server-side-encryption", Values::from(["AES256", "aws:kms", "aws:kms:dsse"])),
        ("s3:x-amz-server-side-encryption-aws-kms-key-id", Values::from([replica_key])),
    ];
    let owner = [("aws:ResourceAccount", Values::from([destination_account.as_str()]))];
    let mut conditions = condition("StringLikeIfExists", encryption);
    conditions.extend(condition("StringEqualsIfExists", owner));
    conditions
}

pub(super) fn write_actions(owner_override: bool) -> Vec<&'static str> {
    let mut actions = vec!["s3:ReplicateDelete", "s3:ReplicateObject", "s3:ReplicateTags"];
    if owner_override {
        actions.push("s3:ObjectOwnerOverrideToBucketOwner");
    }
    actions
}

/// What the policy of a destination bucket in another account must allow the role.
pub(super) fn destination_actions(owner_override: bool) -> Vec<&'static str> {
    let mut actions = write_actions(owner_override);
    actions.extend(["s3:GetBucketVersioning", "s3:List*", "s3:PutBucketVersioning"]);
    actions
}

pub(super) fn read_actions(object_lock: bool) -> Vec<&'static str> {
    let mut actions = vec![
        "s3:GetObjectVersionAcl",
        "s3:GetObjectVersionAnnotationForReplication",
        "s3:GetObjectVersionForReplication",
        "s3:GetObjectVersionTagging",
    ];
    if object_lock {
        actions.extend(["s3:GetObjectLegalHold", "s3:GetObjectRetention"]);
    }
    actions
}

/// A condition that allows the use of a key only through S3 in `region`, and only in these encryption contexts.
pub(super) fn through_s3(partition: Partition, region: &Region, contexts: Values) -> Conditions {
    let service = format!("s3.{region}.{}", partition.dns_suffix());
    condition(
        "StringLike",
        [
            ("kms:EncryptionContext:aws:s3:arn", contexts),
            ("kms:ViaService", Values::from([service])),
        ],
    )
}
