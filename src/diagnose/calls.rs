//! The calls that S3 makes with the replication role, as a table: for each call, on what it is made, for which objects, and with what.
//!
//! This module owns the table. It must not know policies. Diagnose holds the calls against everybody's policies, and the tests hold
//! them against the documents that this program writes.
//!
//! Follows <https://docs.aws.amazon.com/AmazonS3/latest/userguide/setting-repl-config-perm-overview.html>,
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/replication-config-for-kms-objects.html> and, for the failure codes,
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/replication-failure-codes.html>.

use crate::iam_policy::evaluate::Text;
use crate::model::{Partition, Region};

/// What a call is made on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    /// The source bucket or an object in it.
    Source,
    /// The key that encrypts the source's objects.
    SourceKey,
    /// The destination bucket or a replica in it.
    Destination,
    /// The key that encrypts replicas.
    ReplicaKey,
}

/// For which objects a call is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Objects {
    /// For every object.
    All,
    /// AWS's pages disagree whether the call is made for every object.
    PerhapsAll,
    /// For objects with tags.
    Tagged,
    /// For objects with a retention or a legal hold.
    Locked,
    /// For delete markers.
    DeleteMarkers,
    /// For objects that use an S3 Bucket Key differently than the bucket's default encryption does.
    OtherBucketKey,
    /// For objects with annotations.
    Annotated,
    /// For every object, and its denial does no harm where the destination's owner owns all objects by the bucket's settings, as here.
    OwnerEnforced,
}

/// One call of S3.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// The action that the role must be allowed, such as `s3:ReplicateObject`.
    pub action: &'static str,
    /// What it is made on.
    pub target: Target,
    /// ARN of the resource; open if the call is made for any object.
    pub resource: Text,
    /// For which objects it is made.
    pub objects: Objects,
    /// The condition keys that S3 sends; a key without value is not sent.
    pub context: Vec<(&'static str, Option<Text>)>,
    /// The failure code that S3 gives when the call is denied, if it gives one.
    pub failure_code: Option<&'static str>,
}

/// A bucket in a call.
#[derive(Debug, Clone, Copy)]
pub struct Side<'a> {
    /// ARN of the bucket.
    pub arn: &'a str,
    /// The bucket's Region; `None` if it is not known, so that calls on keys cannot be decided by `kms:ViaService`.
    pub region: Option<&'a Region>,
    /// Whether objects there are KMS-encrypted, if that is known.
    pub kms: Option<bool>,
    /// ARN of the key that encrypts them; `None` if it is not known.
    pub key: Option<&'a str>,
    /// Whether objects there use an S3 Bucket Key.
    pub bucket_key: bool,
    /// Whether objects there are encrypted with DSSE-KMS.
    pub dual_layer: bool,
}

/// What decides which calls S3 makes by a rule.
#[derive(Debug, Clone, Copy)]
pub struct Replicated<'a> {
    /// The partition of both buckets.
    pub partition: Partition,
    /// The source.
    pub source: Side<'a>,
    /// The destination.
    pub destination: Side<'a>,
    /// The key of the object; open for any object that the rule selects.
    pub object: &'a Text,
    /// Whether the rule selects by tags, so that every object has tags.
    pub selects_tags: bool,
    /// Whether the rule replicates delete markers.
    pub delete_markers: bool,
    /// Whether the source has S3 Object Lock.
    pub object_lock: bool,
    /// Whether the rule gives replicas to the destination's owner.
    pub owner_override: bool,
    /// Whether the destination's owner owns all objects there by the bucket's settings, or may own them.
    pub owner_may_be_enforced: bool,
}

impl Replicated<'_> {
    /// The calls, those for every object first.
    pub fn calls(&self) -> Vec<Call> {
        let mut calls = [self.reads(), self.decrypts(), self.writes(), self.encrypts()].concat();
        calls.sort_by_key(|call| call.objects);
        calls
    }

    fn tagged(&self) -> Objects {
        if self.selects_tags { Objects::All } else { Objects::Tagged }
    }

    fn reads(&self) -> Vec<Call> {
        let bucket = |action| self.call(action, Target::Source, self.source.arn.into());
        let in_source = self.object_in(&self.source);
        let object =
            |action, code| self.call(action, Target::Source, in_source.clone()).failing(code);
        let annotations = "s3:GetObjectVersionAnnotationForReplication";
        let mut calls = vec![
            bucket("s3:GetReplicationConfiguration"),
            bucket("s3:ListBucket"),
            object("s3:GetObjectVersionForReplication", "SrcGetObjectNotPermitted"),
            object("s3:GetObjectVersionAcl", "SrcGetAclNotPermitted"),
            object("s3:GetObjectVersionTagging", "SrcGetTaggingNotPermitted").of(self.tagged()),
            self.call(annotations, Target::Source, in_source.clone()).of(Objects::Annotated),
        ];
        if self.object_lock {
            calls.extend([
                object("s3:GetObjectRetention", "SrcGetRetentionNotPermitted").of(Objects::Locked),
                object("s3:GetObjectLegalHold", "SrcGetLegalHoldNotPermitted").of(Objects::Locked),
            ]);
        }
        calls.into_iter().map(Call::unencrypted).collect()
    }

    fn writes(&self) -> Vec<Call> {
        let replica = self.object_in(&self.destination);
        let call =
            |action, code| self.call(action, Target::Destination, replica.clone()).failing(code);
        let object = call("s3:ReplicateObject", "DstPutObjectNotPermitted");
        // A replica has its source object's kind of encryption.
        let kms = if self.source.dual_layer { "aws:kms:dsse" } else { "aws:kms" };
        let object = match (self.destination.kms, self.destination.key) {
            (None, _) => object,
            (Some(false), _) => object.with(ALGORITHM, Some("AES256".into())).with(KEY_ID, None),
            (Some(true), None) => object.with(ALGORITHM, Some(kms.into())),
            (Some(true), Some(key)) => {
                object.with(ALGORITHM, Some(kms.into())).with(KEY_ID, Some(key.into()))
            }
        };
        let mut calls = vec![
            object,
            call("s3:ReplicateTags", "DstPutTaggingNotPermitted").of(self.tagged()).unencrypted(),
        ];
        if self.delete_markers {
            let deletes = call("s3:ReplicateDelete", "DstDelObjNotPermitted");
            calls.push(deletes.of(Objects::DeleteMarkers).unencrypted());
        }
        if self.owner_override {
            let code = "DstPutAclNotPermitted";
            let objects =
                if self.owner_may_be_enforced { Objects::OwnerEnforced } else { Objects::All };
            let override_owner = call("s3:ObjectOwnerOverrideToBucketOwner", code);
            calls.push(override_owner.of(objects).unencrypted());
        }
        calls
    }

    fn decrypts(&self) -> Vec<Call> {
        let Some(key) = self.source.key.filter(|_| self.source.kms == Some(true)) else {
            return Vec::new();
        };
        let call = |bucket_key: bool| {
            let call = self.call("kms:Decrypt", Target::SourceKey, key.into());
            let call = call.failing("SrcGetObjectNotPermitted");
            self.through_s3(call, &self.source, bucket_key)
        };
        let default = self.source.bucket_key;
        vec![call(default), call(!default).of(Objects::OtherBucketKey)]
    }

    fn encrypts(&self) -> Vec<Call> {
        let Some(key) = self.destination.key.filter(|_| self.destination.kms == Some(true)) else {
            return Vec::new();
        };
        let call = |action, bucket_key: bool| {
            let call = self.call(action, Target::ReplicaKey, key.into());
            let call = call.failing("DstPutObjectNotPermitted");
            self.through_s3(call, &self.destination, bucket_key)
        };
        // With a Bucket Key, S3 makes a data key for the bucket, and decrypts it for each object.
        let (default, other) = (self.destination.bucket_key, !self.destination.bucket_key);
        let data_key = if default { Objects::All } else { Objects::PerhapsAll };
        let decrypt = if default { Objects::All } else { Objects::OtherBucketKey };
        vec![
            call("kms:Encrypt", default),
            call("kms:GenerateDataKey", default).of(data_key),
            call("kms:Decrypt", true).of(decrypt),
            call("kms:Encrypt", other).of(Objects::OtherBucketKey),
            call("kms:GenerateDataKey", other).of(Objects::OtherBucketKey),
        ]
    }

    fn object_in(&self, side: &Side<'_>) -> Text {
        self.object.after(&format!("{}/", side.arn))
    }

    fn call(&self, action: &'static str, target: Target, resource: Text) -> Call {
        Call {
            action,
            target,
            resource,
            objects: Objects::All,
            context: Vec::new(),
            failure_code: None,
        }
    }

    /// A call on a key: S3 calls KMS of the bucket's Region, with the ARN of the object as encryption context, or with the ARN of the bucket
    /// if the object uses a Bucket Key.
    fn through_s3(&self, call: Call, side: &Side<'_>, bucket_key: bool) -> Call {
        let suffix = self.partition.dns_suffix();
        let context = if bucket_key { side.arn.into() } else { self.object_in(side) };
        let call = match side.region {
            Some(region) => {
                call.with("kms:ViaService", Some(format!("s3.{region}.{suffix}").into()))
            }
            None => call,
        };
        call.with(CONTEXT_KEY, Some(context))
            .with("kms:EncryptionContextKeys", Some("aws:s3:arn".into()))
    }
}

/// The condition keys of the headers that say how an object is encrypted.
const ALGORITHM: &str = "s3:x-amz-server-side-encryption";
const KEY_ID: &str = "s3:x-amz-server-side-encryption-aws-kms-key-id";

/// The condition key of the encryption context.
pub(super) const CONTEXT_KEY: &str = "kms:EncryptionContext:aws:s3:arn";

impl Call {
    fn of(self, objects: Objects) -> Self {
        Self { objects, ..self }
    }

    fn failing(self, code: &'static str) -> Self {
        Self { failure_code: Some(code), ..self }
    }

    fn with(mut self, key: &'static str, value: Option<Text>) -> Self {
        self.context.push((key, value));
        self
    }

    /// A request without headers for encryption.
    fn unencrypted(self) -> Self {
        self.with(ALGORITHM, None).with(KEY_ID, None)
    }

    /// The beginning of the open name that the call has; `None` if it is the same call for every object.
    pub fn open_name(&self) -> Option<&str> {
        let values = self.context.iter().filter_map(|(_, value)| value.as_ref());
        std::iter::once(&self.resource).chain(values).find_map(|text| match text {
            Text::Open(start) => Some(start.as_str()),
            Text::Exact(_) => None,
        })
    }

    /// This call for one object: `name` is in the place of the open name.
    #[must_use]
    pub fn for_name(&self, name: &str) -> Self {
        let exact = |text: &Text| match text {
            Text::Open(_) => Text::from(name),
            Text::Exact(_) => text.clone(),
        };
        let context = self.context.iter().map(|(key, value)| (*key, value.as_ref().map(exact)));
        Self { resource: exact(&self.resource), context: context.collect(), ..self.clone() }
    }

    /// Whether the call is made on a key with the ARN of the bucket as encryption context.
    pub fn has_bucket_context(&self) -> bool {
        self.context.iter().any(|(key, value)| {
            *key == CONTEXT_KEY && value.as_ref().is_some_and(|arn| !arn.known().contains('/'))
        })
    }
}
