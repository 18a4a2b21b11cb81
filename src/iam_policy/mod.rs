//! Policy documents as types: what S3 may do as the replication role, and nothing wider.
//!
//! The statements follow <https://docs.aws.amazon.com/AmazonS3/latest/userguide/setting-repl-config-perm-overview.html> and
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/replication-config-for-kms-objects.html>. Pure: documents are built, compared
//! and read back here; who puts them where is [`crate::plan`]'s business.

mod resource;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

pub use resource::{ResourcePolicy, Statements};

use crate::model::{BucketName, Partition, Region};
use crate::spec::{Report, grantable_prefix};

const VERSION: &str = "2012-10-17";
const DECRYPT_SOURCE: &str = "DecryptSourceObjects";
const WRITE_REPLICAS: &str = "Replicas";
const ENCRYPT_REPLICAS: &str = "EncryptReplicas";
pub(crate) const EARLIER: &str = "Earlier";

/// An IAM policy document. Two documents are equal when they say the same, whatever the order of their actions and resources.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct PolicyDocument {
    version: String,
    statement: Vec<Statement>,
}

/// A destination to which a document lets replicas be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrantedDestination {
    /// The bucket.
    pub bucket: BucketName,
    /// ARN of the key for its replicas; `None` when it is that of another destination, or there is none.
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

/// One value or several, written as AWS's own examples write them: a lone value without brackets.
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

impl PolicyDocument {
    fn new(statement: Vec<Statement>) -> Self {
        Self { version: VERSION.to_owned(), statement }
    }

    /// Reads a document as IAM returns it; `None` when it has a form that none of ours has.
    pub fn parse(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    /// The keys whose use to decrypt source objects this document grants.
    pub fn source_keys(&self) -> BTreeSet<String> {
        let of_source = |statement: &&Statement| statement.sid.as_deref() == Some(DECRYPT_SOURCE);
        self.statement
            .iter()
            .filter(of_source)
            .filter_map(|statement| statement.resource.clone())
            .flat_map(|Values(keys)| keys)
            .collect()
    }

    /// Where this document lets replicas be written: of the rule as it is, and as it was while a change of it has yet to end.
    pub fn destinations(&self) -> Vec<GrantedDestination> {
        let of_sid = |sid: &str| {
            self.statement.iter().find(|statement| statement.sid.as_deref() == Some(sid))
        };
        let first = |statement: &Statement| {
            statement.resource.as_ref().and_then(|Values(arns)| arns.first().cloned())
        };
        let destinations = self.statement.iter().filter_map(|statement| {
            let earlier = statement.sid.as_deref()?.strip_suffix(WRITE_REPLICAS)?;
            let objects =
                first(statement).filter(|_| earlier.trim_start_matches(EARLIER).is_empty())?;
            let bucket = BucketName::parse_name_or_arn(
                objects.split_once('/').map_or(objects.as_str(), |(bucket, _)| bucket),
            )
            .ok()?;
            Some(GrantedDestination {
                bucket,
                key: of_sid(&format!("{earlier}{ENCRYPT_REPLICAS}")).and_then(first),
            })
        });
        destinations.collect()
    }

    /// Whether every statement of `other` is in this document, too.
    pub fn covers(&self, other: &Self) -> bool {
        other.statement.iter().all(|statement| self.has(statement))
    }

    /// This document and what `earlier` grants beyond it, for the time in which both are needed.
    pub fn with_earlier(&self, earlier: &Self) -> Self {
        if earlier.covers(self) {
            return earlier.clone();
        }
        let beyond = earlier.statement.iter().filter(|statement| !self.has(statement));
        let renamed = beyond.map(|statement| Statement {
            sid: statement.sid.as_ref().map(|sid| format!("{EARLIER}{sid}")),
            ..statement.clone()
        });
        Self {
            version: self.version.clone(),
            statement: self.statement.iter().cloned().chain(renamed).collect(),
        }
    }

    /// Whether there is a statement that says the same, whatever its name.
    fn has(&self, statement: &Statement) -> bool {
        self.statement
            .iter()
            .any(|own| Statement { sid: statement.sid.clone(), ..own.clone() } == *statement)
    }

    /// The document as lines of path and value, for comparing and for reading.
    pub fn lines(&self) -> Vec<(String, String)> {
        let mut lines = Vec::new();
        for (index, statement) in self.statement.iter().enumerate() {
            let name = statement.sid.clone().unwrap_or_else(|| format!("Statement[{index}]"));
            lines.extend(statement.lines(&name));
        }
        lines
    }
}

impl Statement {
    /// The statement as lines of path, below `name`, and value.
    fn lines(&self, name: &str) -> Vec<(String, String)> {
        let mut lines = Vec::new();
        let mut line = |path: &str, Values(values): &Values| {
            lines.push((
                format!("{name}.{path}"),
                values.iter().cloned().collect::<Vec<_>>().join(", "),
            ));
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

/// The document as it is sent: JSON without white space.
impl fmt::Display for PolicyDocument {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&serde_json::to_string(self).map_err(|_| fmt::Error)?)
    }
}

/// Who may assume the replication role: S3, and nobody else.
pub fn trust() -> PolicyDocument {
    trust_in(["s3.amazonaws.com"].into())
}

/// Who may assume the replication role while it has a job: S3 Batch Operations, too.
pub fn trust_with_job() -> PolicyDocument {
    trust_in(["batchoperations.s3.amazonaws.com", "s3.amazonaws.com"].into())
}

/// No `aws:SourceAccount` or `aws:SourceArn`: S3 is not known to send them when it replicates, and a role that demands them cannot be
/// assumed by a service that does not.
fn trust_in(services: Values) -> PolicyDocument {
    PolicyDocument::new(vec![Statement {
        sid: None,
        effect: "Allow".to_owned(),
        principal: BTreeMap::from([("Service".to_owned(), services)]),
        action: Values::from(["sts:AssumeRole"]),
        resource: None,
        condition: BTreeMap::new(),
    }])
}

/// A bucket and the Region in which it is.
#[derive(Debug, Clone, Copy)]
pub struct BucketInRegion<'a> {
    /// The bucket.
    pub bucket: &'a BucketName,
    /// Its Region, for `kms:ViaService`.
    pub region: &'a Region,
}

/// Decrypt, too: with a Bucket Key on the destination, S3 decrypts the bucket's data key.
const ENCRYPT_ACTIONS: [&str; 3] = ["kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey"];

/// What one rule needs the replication role to be allowed.
#[derive(Debug, Clone)]
pub struct Grants<'a> {
    /// The partition of both buckets.
    pub partition: Partition,
    /// Where the objects are read.
    pub source: BucketInRegion<'a>,
    /// Where the replicas are written.
    pub destination: BucketInRegion<'a>,
    /// The rule's prefix: objects outside it are not granted.
    pub prefix: &'a str,
    /// ARNs of the keys that encrypt source objects; without any, the document has no KMS statement.
    pub source_keys: &'a BTreeSet<String>,
    /// ARN of the key that encrypts replicas.
    pub replica_key: &'a str,
    /// Whether the source has S3 Object Lock.
    pub object_lock: bool,
    /// Whether replicas become the property of the destination's owner.
    pub owner_override: bool,
}

impl Grants<'_> {
    /// The rule's inline policy.
    pub fn document(&self) -> PolicyDocument {
        let source = self.source.bucket.arn(self.partition);
        let destination = self.destination.bucket.arn(self.partition);
        let source_objects = format!("{source}/{}", key_pattern(self.prefix));
        let replicas = format!("{destination}/{}", key_pattern(self.prefix));

        let mut statements = vec![
            allow(
                "SourceBucket",
                ["s3:GetReplicationConfiguration", "s3:ListBucket"],
                [source.clone()],
            ),
            allow("SourceObjects", self.read_actions(), [source_objects.clone()]),
            Statement {
                condition: condition(
                    "StringLikeIfExists",
                    [
                        (
                            "s3:x-amz-server-side-encryption",
                            Values::from(["AES256", "aws:kms", "aws:kms:dsse"]),
                        ),
                        (
                            "s3:x-amz-server-side-encryption-aws-kms-key-id",
                            Values::from([self.replica_key]),
                        ),
                    ],
                ),
                ..allow(WRITE_REPLICAS, self.write_actions(), [replicas.clone()])
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
        PolicyDocument::new(statements)
    }

    fn write_actions(&self) -> Vec<&'static str> {
        let mut actions = vec!["s3:ReplicateDelete", "s3:ReplicateObject", "s3:ReplicateTags"];
        if self.owner_override {
            actions.push("s3:ObjectOwnerOverrideToBucketOwner");
        }
        actions
    }

    fn read_actions(&self) -> Vec<&'static str> {
        let mut actions = vec![
            "s3:GetObjectVersionAcl",
            "s3:GetObjectVersionForReplication",
            "s3:GetObjectVersionTagging",
        ];
        if self.object_lock {
            actions.extend(["s3:GetObjectLegalHold", "s3:GetObjectRetention"]);
        }
        actions
    }

    /// Only through S3 in `region`, and only for this bucket's objects. An S3 Bucket Key makes the encryption context the bucket's
    /// ARN in place of the object's, and objects keep the form they were written with: both forms are needed.
    fn through_s3(
        &self,
        region: &Region,
        bucket: String,
        objects: String,
    ) -> BTreeMap<String, BTreeMap<String, Values>> {
        condition(
            "StringLike",
            [
                ("kms:EncryptionContext:aws:s3:arn", Values::from([bucket, objects])),
                (
                    "kms:ViaService",
                    Values::from([format!("s3.{region}.{}", self.partition.dns_suffix())]),
                ),
            ],
        )
    }
}

/// What a job that replicates the objects that are there already needs beside the rule's own grants.
///
/// Follows <https://docs.aws.amazon.com/AmazonS3/latest/userguide/s3-batch-replication-policies.html>, for a manifest that S3 generates and
/// does not store. S3 encrypts reports with SSE-S3, whatever their bucket's default encryption, so no key is granted.
pub fn of_job(
    partition: Partition,
    source: &BucketName,
    prefix: &str,
    report: &Report,
) -> PolicyDocument {
    let (bucket, reports) = (source.arn(partition), report.bucket.arn(partition));
    let directory = if report.prefix.is_empty() {
        "job-".to_owned()
    } else {
        format!("{}/job-", report.prefix)
    };
    PolicyDocument::new(vec![
        allow(
            "ExistingObjects",
            ["s3:InitiateReplication"],
            [format!("{bucket}/{}", key_pattern(prefix))],
        ),
        allow(
            "Manifest",
            ["s3:GetReplicationConfiguration", "s3:PutInventoryConfiguration"],
            [bucket],
        ),
        allow("Report", ["s3:PutObject"], [format!("{reports}/{}", key_pattern(&directory))]),
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

/// The pattern that matches the object keys that begin with `prefix`, as far as it is [`grantable_prefix`]; in documents of [`VERSION`], where `*`, `?`
/// and `$` stand for themselves when written as policy variables.
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

/// The same for documents of any version, where there may be no policy variables: it ends before the first character that would need one.
fn plain_key_pattern(prefix: &str) -> String {
    format!("{}*", grantable_prefix(prefix).split(['*', '?', '$']).next().unwrap_or_default())
}

#[cfg(test)]
mod tests;
