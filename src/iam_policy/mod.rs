//! Policy documents: the trust and the grants of the replication role.
//!
//! It owns the building, reading and comparing of documents. It must not know where documents are written, which [`crate::plan`]
//! decides. The statements follow <https://docs.aws.amazon.com/AmazonS3/latest/userguide/setting-repl-config-perm-overview.html> and
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/replication-config-for-kms-objects.html>, and grant nothing wider.

pub mod evaluate;
mod resource;
mod shared_role;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

pub use resource::{ResourcePolicy, Statements};
pub use shared_role::SharedGrants;

use crate::model::{Account, BucketName, Partition, Region};
use crate::spec::{Report, grantable_prefix};

const VERSION: &str = "2012-10-17";
pub(crate) const SOURCE_BUCKET: &str = "SourceBucket";
pub(crate) const SOURCE_OBJECTS: &str = "SourceObjects";
pub(crate) const DECRYPT_SOURCE: &str = "DecryptSourceObjects";
pub(crate) const WRITE_REPLICAS: &str = "Replicas";
pub(crate) const ENCRYPT_REPLICAS: &str = "EncryptReplicas";
pub(crate) const JOB_OBJECTS: &str = "ExistingObjects";
pub(crate) const JOB_MANIFEST: &str = "Manifest";
pub(crate) const JOB_REPORT: &str = "Report";
pub(crate) const EARLIER: &str = "Earlier";

/// IAM's limit for the inline policies of one role, in characters without white space.
pub(crate) const INLINE_POLICY_LIMIT: usize = 10_240;

/// The size of an inline policy, as IAM counts it.
pub(crate) fn policy_size(text: &str) -> usize {
    text.chars().filter(|character| !character.is_whitespace()).count()
}

/// An IAM policy document. The order of actions and resources does not matter for equality.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct RolePolicyDocument {
    version: String,
    statement: Vec<Statement>,
}

/// A destination to which a document allows replicas to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrantedDestination {
    /// The bucket.
    pub bucket: BucketName,
    /// ARN of the key that encrypts the replicas; `None` if there is no such key, or if another statement of the document grants it.
    pub key: Option<String>,
}

/// One statement of a policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct Statement {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sid: Option<String>,
    effect: String,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    principal: BTreeMap<String, Values>,
    action: Values,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    resource: Option<Values>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    condition: BTreeMap<String, BTreeMap<String, Values>>,
}

/// One or more values. A single value is written without brackets, as in AWS's examples.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "OneOrMany", into = "OneOrMany")]
struct Values(BTreeSet<String>);

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(BTreeSet<String>),
}

impl From<OneOrMany> for Values {
    fn from(values: OneOrMany) -> Self {
        match values {
            OneOrMany::One(value) => Self(BTreeSet::from([value])),
            OneOrMany::Many(values) => Self(values),
        }
    }
}

impl From<Values> for OneOrMany {
    fn from(Values(values): Values) -> Self {
        match values.first() {
            Some(value) if values.len() == 1 => Self::One(value.clone()),
            _ => Self::Many(values),
        }
    }
}

impl<T: Into<String>, const N: usize> From<[T; N]> for Values {
    fn from(values: [T; N]) -> Self {
        values.into_iter().map(Into::into).collect()
    }
}

impl FromIterator<String> for Values {
    fn from_iter<I: IntoIterator<Item = String>>(values: I) -> Self {
        Self(values.into_iter().collect())
    }
}

impl RolePolicyDocument {
    fn new(statement: Vec<Statement>) -> Self {
        Self { version: VERSION.to_owned(), statement }
    }

    /// Reads a document that IAM returned; `None` if its form differs from the form of our documents.
    pub fn parse(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    /// The ARNs of the keys with which this document allows source objects to be decrypted.
    pub fn source_keys(&self) -> BTreeSet<String> {
        self.statement
            .iter()
            .filter(|statement| statement.sid.as_deref() == Some(DECRYPT_SOURCE))
            .filter_map(|statement| statement.resource.clone())
            .flat_map(|Values(keys)| keys)
            .collect()
    }

    /// The bucket whose objects this document allows to be replicated; `None` if it is not the document of one of our rules.
    pub fn source_bucket(&self) -> Option<BucketName> {
        let is_of_source = |statement: &&Statement| statement.sid.as_deref() == Some(SOURCE_BUCKET);
        let statement = self.statement.iter().find(is_of_source)?;
        BucketName::parse_name_or_arn(statement.first_resource()?).ok()
    }

    /// The destinations to which this document allows replicas to be written. While a rule changes, the document also has the destination of
    /// the rule's earlier form.
    pub fn destinations(&self) -> Vec<GrantedDestination> {
        self.statement.iter().filter_map(|statement| self.destination(statement)).collect()
    }

    /// The destination of a statement that allows replicas to be written; `None` for other statements.
    fn destination(&self, writes: &Statement) -> Option<GrantedDestination> {
        let prefix = writes.sid.as_deref()?.strip_suffix(WRITE_REPLICAS)?;
        if !prefix.trim_start_matches(EARLIER).is_empty() {
            return None;
        }
        let objects = writes.first_resource()?;
        let bucket = objects.split_once('/').map_or(objects, |(bucket, _)| bucket);
        let bucket = BucketName::parse_name_or_arn(bucket).ok()?;
        let encrypts = format!("{prefix}{ENCRYPT_REPLICAS}");
        let encrypts = self.statement.iter().find(|other| other.sid.as_deref() == Some(&*encrypts));
        let key = encrypts.and_then(Statement::first_resource).map(str::to_owned);
        Some(GrantedDestination { bucket, key })
    }

    /// Whether this document has every statement of `other`.
    pub fn covers(&self, other: &Self) -> bool {
        other.statement.iter().all(|statement| self.has(statement))
    }

    /// This document with the statements of `earlier` that it does not have, for the time in which both documents are needed.
    pub fn with_earlier(&self, earlier: &Self) -> Self {
        if earlier.covers(self) {
            return earlier.clone();
        }
        let additional = earlier.statement.iter().filter(|statement| !self.has(statement));
        let renamed = additional.map(|statement| Statement {
            sid: statement.sid.as_ref().map(|sid| format!("{EARLIER}{sid}")),
            ..statement.clone()
        });
        Self {
            version: self.version.clone(),
            statement: self.statement.iter().cloned().chain(renamed).collect(),
        }
    }

    /// This document with the statements of `earlier` that allow the same actions for the same purpose to other resources, or under other
    /// conditions. Everything else in `earlier` is not of our making, or no longer wanted.
    pub fn with_earlier_grants(&self, earlier: &Self) -> Self {
        let purpose = |statement: &Statement| {
            let sid = statement.sid.as_deref().unwrap_or_default();
            sid.trim_start_matches(EARLIER).to_owned()
        };
        let is_earlier_form = |statement: &&Statement| {
            let is_same = |own: &Statement| {
                purpose(own) == purpose(statement) && own.action == statement.action
            };
            statement.effect == "Allow" && self.statement.iter().any(is_same)
        };
        let mut both = self.clone();
        for statement in earlier.statement.iter().filter(is_earlier_form) {
            if both.has(statement) {
                continue;
            }
            let mut sid = format!("{EARLIER}{}", purpose(statement));
            while both.statement.iter().any(|other| other.sid.as_ref() == Some(&sid)) {
                sid.insert_str(0, EARLIER);
            }
            both.statement.push(Statement { sid: Some(sid), ..statement.clone() });
        }
        both
    }

    /// Whether this document has statements that [an earlier form](Self::with_earlier_grants) left.
    pub fn has_earlier_grants(&self) -> bool {
        self.statement.iter().any(Statement::is_earlier)
    }

    /// This document without the statements that [an earlier form](Self::with_earlier_grants) left.
    pub fn without_earlier_grants(&self) -> Self {
        let own = self.statement.iter().filter(|statement| !statement.is_earlier());
        Self { version: self.version.clone(), statement: own.cloned().collect() }
    }

    /// Whether this document has an equal statement, under any `Sid`.
    fn has(&self, statement: &Statement) -> bool {
        self.statement
            .iter()
            .any(|own| Statement { sid: statement.sid.clone(), ..own.clone() } == *statement)
    }

    /// The statement with this `Sid`.
    pub fn statement(&self, sid: &str) -> Option<&Statement> {
        self.statement.iter().find(|statement| statement.sid.as_deref() == Some(sid))
    }

    /// The document as pairs of path and values, for comparison and display.
    pub fn lines(&self) -> Vec<(String, BTreeSet<String>)> {
        let mut lines = Vec::new();
        for (index, statement) in self.statement.iter().enumerate() {
            let name = statement.sid.clone().unwrap_or_else(|| format!("Statement[{index}]"));
            lines.extend(statement.lines(&name));
        }
        lines
    }
}

impl Statement {
    fn is_earlier(&self) -> bool {
        self.sid.as_ref().is_some_and(|sid| sid.starts_with(EARLIER))
    }

    fn first_resource(&self) -> Option<&str> {
        self.resource.as_ref().and_then(|Values(arns)| arns.first()).map(String::as_str)
    }

    /// The statement as pairs of path and values. Each path begins with `name`.
    fn lines(&self, name: &str) -> Vec<(String, BTreeSet<String>)> {
        let mut lines = Vec::new();
        let mut line = |path: &str, Values(values): &Values| {
            lines.push((format!("{name}.{path}"), values.clone()));
        };
        line(&self.effect, &self.action);
        self.principal.iter().for_each(|(kind, values)| line(&format!("Principal.{kind}"), values));
        self.resource.iter().for_each(|values| line("Resource", values));
        for (operator, keys) in &self.condition {
            keys.iter().for_each(|(key, values)| line(&format!("{operator}.{key}"), values));
        }
        lines
    }
}

/// The document as JSON without white space, which is the form that is sent.
impl fmt::Display for RolePolicyDocument {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&serde_json::to_string(self).map_err(|_| fmt::Error)?)
    }
}

/// The trust policy of the replication role: only S3 may assume it.
pub fn trust() -> RolePolicyDocument {
    trust_in(["s3.amazonaws.com"].into())
}

/// The trust policy of the replication role while it has a job: S3 and S3 Batch Operations may assume it.
pub fn trust_with_job() -> RolePolicyDocument {
    trust_in(["batchoperations.s3.amazonaws.com", "s3.amazonaws.com"].into())
}

/// The trust policy has no `aws:SourceAccount` and no `aws:SourceArn`. S3 is not documented to send these keys when it replicates, and a service
/// that does not send them could not assume the role.
fn trust_in(services: Values) -> RolePolicyDocument {
    RolePolicyDocument::new(vec![trust_statement(services)])
}

/// The statement by which the trust policy of a foreign role lets S3 Batch Operations assume it.
pub fn job_trust_statement() -> Statement {
    trust_statement(["batchoperations.s3.amazonaws.com"].into())
}

fn trust_statement(services: Values) -> Statement {
    Statement {
        sid: None,
        effect: "Allow".to_owned(),
        principal: BTreeMap::from([("Service".to_owned(), services)]),
        action: Values::from(["sts:AssumeRole"]),
        resource: None,
        condition: BTreeMap::new(),
    }
}

/// A bucket and its Region.
#[derive(Debug, Clone, Copy)]
pub struct BucketInRegion<'a> {
    /// The bucket.
    pub bucket: &'a BucketName,
    /// Its Region, for `kms:ViaService`.
    pub region: &'a Region,
}

/// `kms:Decrypt` is needed for a destination with an S3 Bucket Key: S3 decrypts the bucket's data key.
const ENCRYPT_ACTIONS: [&str; 3] = ["kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey"];

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
            allow(
                SOURCE_BUCKET,
                ["s3:GetReplicationConfiguration", "s3:ListBucket"],
                [source.clone()],
            ),
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
    fn through_s3(
        &self,
        region: &Region,
        bucket: String,
        objects: String,
    ) -> BTreeMap<String, BTreeMap<String, Values>> {
        through_s3(self.partition, region, [bucket, objects].into())
    }
}

/// The encryption that S3 may write replicas with, and the account that must own the bucket they are written to.
fn write_conditions(
    replica_key: &str,
    destination_account: &Account,
) -> BTreeMap<String, BTreeMap<String, Values>> {
    let encryption = [
        ("s3:x-amz-server-side-encryption", Values::from(["AES256", "aws:kms", "aws:kms:dsse"])),
        ("s3:x-amz-server-side-encryption-aws-kms-key-id", Values::from([replica_key])),
    ];
    let owner = [("aws:ResourceAccount", Values::from([destination_account.as_str()]))];
    let mut conditions = condition("StringLikeIfExists", encryption);
    conditions.extend(condition("StringEqualsIfExists", owner));
    conditions
}

fn write_actions(owner_override: bool) -> Vec<&'static str> {
    let mut actions = vec!["s3:ReplicateDelete", "s3:ReplicateObject", "s3:ReplicateTags"];
    if owner_override {
        actions.push("s3:ObjectOwnerOverrideToBucketOwner");
    }
    actions
}

fn read_actions(object_lock: bool) -> Vec<&'static str> {
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
fn through_s3(
    partition: Partition,
    region: &Region,
    contexts: Values,
) -> BTreeMap<String, BTreeMap<String, Values>> {
    let service = format!("s3.{region}.{}", partition.dns_suffix());
    condition(
        "StringLike",
        [
            ("kms:EncryptionContext:aws:s3:arn", contexts),
            ("kms:ViaService", Values::from([service])),
        ],
    )
}

/// The inline policy that a job for existing objects needs in addition to the rule's inline policy.
///
/// Follows <https://docs.aws.amazon.com/AmazonS3/latest/userguide/s3-batch-replication-policies.html>, for a manifest that S3 generates and
/// does not store. No key is granted, since S3 encrypts reports with SSE-S3 whatever the bucket's default encryption is.
pub fn job_document(
    partition: Partition,
    source: &BucketName,
    prefix: &str,
    report: &Report,
) -> RolePolicyDocument {
    let (bucket, report_bucket) = (source.arn(partition), report.bucket.arn(partition));
    let report_directory = if report.prefix.is_empty() {
        "job-".to_owned()
    } else {
        format!("{}/job-", report.prefix)
    };
    RolePolicyDocument::new(vec![
        allow(
            JOB_OBJECTS,
            ["s3:InitiateReplication"],
            [format!("{bucket}/{}", key_pattern(prefix))],
        ),
        allow(
            JOB_MANIFEST,
            ["s3:GetReplicationConfiguration", "s3:PutInventoryConfiguration"],
            [bucket],
        ),
        allow(
            JOB_REPORT,
            ["s3:PutObject"],
            [format!("{report_bucket}/{}", key_pattern(&report_directory))],
        ),
    ])
}

fn allow(
    sid: &str,
    actions: impl IntoIterator<Item = &'static str>,
    resources: impl IntoIterator<Item = String>,
) -> Statement {
    Statement {
        sid: Some(sid.to_owned()),
        effect: "Allow".to_owned(),
        principal: BTreeMap::new(),
        action: actions.into_iter().map(str::to_owned).collect(),
        resource: Some(resources.into_iter().collect()),
        condition: BTreeMap::new(),
    }
}

fn condition<const N: usize>(
    operator: &str,
    keys: [(&str, Values); N],
) -> BTreeMap<String, BTreeMap<String, Values>> {
    let keys = keys.into_iter().map(|(key, values)| (key.to_owned(), values)).collect();
    BTreeMap::from([(operator.to_owned(), keys)])
}

/// The pattern for all object keys that begin with the [`grantable_prefix`] of `prefix`. The pattern is for documents of [`VERSION`], in which
/// policy variables stand for the characters `*`, `?` and `$`.
fn key_pattern(prefix: &str) -> String {
    let mut pattern = String::new();
    for character in grantable_prefix(prefix).chars() {
        match character {
            '*' | '?' | '$' => pattern.extend(["${", character.encode_utf8(&mut [0; 4]), "}"]),
            _ => pattern.push(character),
        }
    }
    pattern.push('*');
    pattern
}

/// The pattern of [`key_pattern`] for foreign documents, whose version may not support policy variables. The prefix is cut before the first
/// character that needs a variable.
fn plain_key_pattern(prefix: &str) -> String {
    format!("{}*", grantable_prefix(prefix).split(['*', '?', '$']).next().unwrap_or_default())
}

#[cfg(test)]
mod tests;
