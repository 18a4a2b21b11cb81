//! The validated request: what a caller wants to be true, in the newtypes of AWS's own names.
//!
//! [`Properties`] is the vocabulary as it was written, with only its types checked; [`Spec::new`] is the one way from there
//! to a [`Spec`], and everything that can be known wrong without asking AWS is refused there. Pure: no JSON, no clock, no client.

use std::collections::BTreeMap;

use aws_sdk_s3::types::StorageClass;

mod access;
mod properties;
mod report;

pub use access::destination_access;
pub use properties::{Object, read_properties};
pub use report::Report;

use crate::model::{
    Access, Account, BucketName, KeyReference, Region, RuleAddress, RuleId, TopicArn,
};

/// A value that cannot be accepted: the property that holds it, and what is wrong and what is allowed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{} {problem}", if property.is_empty() { "it".to_owned() } else { format!("`{property}`") })]
pub struct Invalid {
    /// Path of the property, such as `Prefix` or `Rules[0].Prefix`; empty for the whole of what is read.
    pub property: String,
    /// What is wrong with the value and what is allowed; follows the property's name in a sentence.
    pub problem: String,
}

impl Invalid {
    /// Names `property` as the place of `problem`.
    pub fn new(property: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { property: property.into(), problem: problem.into() }
    }

    /// Places the property inside `parent`, as in `Rules[0].Prefix`.
    #[must_use]
    pub fn within(self, parent: &str) -> Self {
        let property = if self.property.is_empty() {
            parent.to_owned()
        } else {
            format!("{parent}.{}", self.property)
        };
        Self { property, ..self }
    }
}

/// What the replication roles are made with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoleSettings {
    /// The path, which begins and ends with a slash.
    pub path: String,
    /// ARN of the permissions boundary.
    pub boundary: Option<String>,
}

/// What is allowed when a bucket already replicates with a foreign role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ExistingRole {
    /// Fail before anything is changed.
    #[default]
    Refuse,
    /// Add our inline policy, and nothing else, to that role.
    Extend,
}

/// Who owns the replicas.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ReplicaOwner {
    /// The account that owns the source's objects, unless the destination bucket enforces its owner.
    #[default]
    Source,
    /// The account that owns the destination bucket.
    Destination,
}

/// The keys that encrypt the source's objects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SourceKeys {
    /// The key of the bucket's default encryption, found when the bucket is observed.
    BucketDefault,
    /// Exactly these.
    Given(Vec<KeyReference>),
}

/// Which objects a rule replicates; all of them when both are empty.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Filter {
    /// Prefix of the object keys, at most 1,024 characters.
    pub prefix: String,
    /// Object tags, all of which must match; at most ten.
    pub tags: BTreeMap<String, String>,
}

/// The vocabulary as a caller wrote it. `None` is "not given".
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename_all = "PascalCase"))]
pub struct Properties {
    /// Name of the bucket whose objects are replicated.
    pub source_bucket: Option<String>,
    /// Name or ARN of the bucket that receives the replicas; in a policy, `{bucket}`, `{account}` and `{region}` are the source's.
    pub destination_bucket: Option<String>,
    /// Region of the destination: the replica key's, when it is not given.
    pub destination_region: Option<String>,
    /// ARN, or alias ARN, of the customer managed key that encrypts the replicas, in the destination's Region.
    pub replica_kms_key_arn: Option<String>,
    /// ARNs, or alias ARNs, of the keys that encrypt the source's objects: the bucket's default key, when they are not given.
    pub source_kms_key_arns: Option<Vec<String>>,
    /// Replicates only objects whose keys begin with this.
    pub prefix: Option<String>,
    /// Replicates only objects with all of these tags.
    pub tags: Option<BTreeMap<String, String>>,
    /// The rule's priority, 0 and up: the highest of the bucket's rules plus one, when it is not given.
    pub priority: Option<i64>,
    /// Whether delete markers are replicated (false).
    pub delete_marker_replication: Option<bool>,
    /// Whether changes of metadata on replicas are replicated back (false).
    pub replica_modifications: Option<bool>,
    /// Whether S3 Replication Time Control is on (false).
    pub replication_time_control: Option<bool>,
    /// Whether S3 Replication metrics are on (true).
    pub metrics: Option<bool>,
    /// Storage class of the replicas: the source object's, when it is not given.
    #[cfg_attr(test, schemars(extend("enum" = STORAGE_CLASSES.map(|class| class.as_str().to_owned()))))]
    pub storage_class: Option<String>,
    /// Account of the destination bucket, when it is not the source's: that of `DestinationRoleArn`, when it is not given.
    pub destination_account: Option<String>,
    /// ARN of a role, in the destination's account, that is assumed for what is done there.
    pub destination_role_arn: Option<String>,
    /// External id with which that role is assumed.
    pub destination_role_external_id: Option<String>,
    /// Which account owns replicas in another account's bucket (Source).
    #[cfg_attr(test, schemars(extend("enum" = ["Source", "Destination"])))]
    pub replica_owner: Option<String>,
    /// Whether a missing destination bucket is created (false).
    pub create_destination_bucket: Option<bool>,
    /// What to do when the bucket already replicates with a role that is not ours (Refuse).
    #[cfg_attr(test, schemars(extend("enum" = ["Refuse", "Extend"])))]
    pub existing_role: Option<String>,
    /// ARN of the SNS topic, in the source's Region, that is told when S3 fails to replicate an object.
    pub alarm_topic_arn: Option<String>,
    /// Whether an object is written to see it replicated, and removed again (false).
    pub verify: Option<bool>,
    /// Whether an S3 Batch Replication job is started for the objects that are there already (false).
    pub replicate_existing_objects: Option<bool>,
    /// Name or ARN of the bucket, of the source's account, that takes the job's report.
    pub report_bucket: Option<String>,
    /// Prefix of the report's objects.
    pub report_prefix: Option<String>,
    /// Whether to plan only (false).
    pub dry_run: Option<bool>,
}

/// One replication rule that should exist, with everything that it needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spec {
    /// The bucket whose objects are replicated, and the rule's id, which names its inline policy, too.
    pub rule: RuleAddress,
    /// The bucket that receives the replicas; never the source.
    pub destination: BucketName,
    /// The account that owns the destination; `None` is the source's.
    pub destination_account: Option<Account>,
    /// With whose credentials the destination's account is looked at and changed.
    pub destination_access: Access,
    /// The destination's Region: the replica key's, since S3 encrypts with a key of the bucket's own Region.
    pub destination_region: Region,
    /// The customer managed key that encrypts the replicas.
    pub replica_key: KeyReference,
    /// The keys that decrypt the source's objects.
    pub source_keys: SourceKeys,
    /// Which objects are replicated.
    pub filter: Filter,
    /// Priority asked for; `None` keeps the present one or takes the next free one.
    pub priority: Option<i32>,
    /// Whether delete markers are replicated; never with a tag filter.
    pub delete_marker_replication: bool,
    /// Whether metadata changes on replicas are replicated back.
    pub replica_modifications: bool,
    /// S3 Replication Time Control: 15 minutes, with metrics.
    pub replication_time_control: bool,
    /// S3 Replication metrics.
    pub metrics: bool,
    /// Storage class of the replicas; `None` keeps the source object's.
    pub storage_class: Option<StorageClass>,
    /// Who owns the replicas in a bucket of another account.
    pub replica_owner: ReplicaOwner,
    /// Whether a missing destination is created.
    pub create_destination_bucket: bool,
    /// What to do about a replication role that is not ours.
    pub existing_role: ExistingRole,
    /// The topic that is told of objects that S3 fails to replicate; only with metrics.
    pub alarm_topic: Option<TopicArn>,
    /// Whether an object is written to see it replicated, and removed again.
    pub verify: bool,
    /// Where the report on the objects goes that are there already; `None` when nothing is to become of them.
    pub existing_objects: Option<Report>,
    /// Plan only.
    pub dry_run: bool,
}

const STORAGE_CLASSES: [StorageClass; 8] = [
    StorageClass::Standard,
    StorageClass::StandardIa,
    StorageClass::OnezoneIa,
    StorageClass::IntelligentTiering,
    StorageClass::GlacierIr,
    StorageClass::Glacier,
    StorageClass::DeepArchive,
    StorageClass::ReducedRedundancy,
];

impl Spec {
    /// Validates `properties` against S3's and KMS's rules, as far as they can be judged without a call.
    ///
    /// # Errors
    /// The first property that cannot be accepted, with what is allowed.
    pub fn new(rule_id: RuleId, properties: &Properties) -> Result<Self, Invalid> {
        let source = BucketName::parse(required("SourceBucket", &properties.source_bucket)?)
            .map_err(|problem| Invalid::new("SourceBucket", problem))?;
        let destination = BucketName::parse_name_or_arn(required(
            "DestinationBucket",
            &properties.destination_bucket,
        )?)
        .map_err(|problem| Invalid::new("DestinationBucket", problem))?;
        if source == destination {
            return Err(Invalid::new(
                "DestinationBucket",
                format!("is the source bucket `{source}`; a bucket cannot replicate to itself"),
            ));
        }
        let replica_key =
            replica_key(required("ReplicaKmsKeyArn", &properties.replica_kms_key_arn)?)?;
        let destination_region =
            destination_region(properties.destination_region.as_deref(), &replica_key)?;
        let destination_access = access::destination_access(properties, &source)?;
        let destination_account =
            destination_account(properties.destination_account.as_deref(), &destination_access)?;
        let filter = Filter {
            prefix: prefix(properties.prefix.clone())?,
            tags: tags(properties.tags.clone())?,
        };
        let delete_marker_replication = properties.delete_marker_replication.unwrap_or(false);
        if delete_marker_replication && !filter.tags.is_empty() {
            return Err(Invalid::new(
                "DeleteMarkerReplication",
                "cannot be true in a rule that filters by `Tags`: S3 does not replicate delete markers for such rules",
            ));
        }
        let alarm_topic = properties.alarm_topic_arn.as_deref().map(TopicArn::parse).transpose();
        let alarm_topic = alarm_topic.map_err(|problem| Invalid::new("AlarmTopicArn", problem))?;
        let replication_time_control = properties.replication_time_control.unwrap_or(false);
        let metrics = replication_time_control || properties.metrics.unwrap_or(true);
        if alarm_topic.is_some() && !metrics {
            return Err(Invalid::new(
                "AlarmTopicArn",
                "needs `Metrics`: without them S3 does not say that it failed",
            ));
        }
        let verify = properties.verify.unwrap_or(false);
        if verify {
            rule_id
                .canary_key(&filter.prefix)
                .map_err(|problem| Invalid::new("Prefix", problem))?;
        }
        Ok(Self {
            rule: RuleAddress { source, id: rule_id },
            destination,
            destination_account,
            destination_access,
            destination_region,
            replica_key,
            source_keys: source_keys(properties.source_kms_key_arns.as_deref())?,
            filter,
            priority: properties.priority.map(priority).transpose()?,
            delete_marker_replication,
            replica_modifications: properties.replica_modifications.unwrap_or(false),
            replication_time_control,
            metrics,
            storage_class: properties.storage_class.as_deref().map(storage_class).transpose()?,
            replica_owner: replica_owner(properties.replica_owner.as_deref())?,
            create_destination_bucket: properties.create_destination_bucket.unwrap_or(false),
            existing_role: existing_role(properties.existing_role.as_deref())?,
            alarm_topic,
            verify,
            existing_objects: Report::of(properties)?,
            dry_run: properties.dry_run.unwrap_or(false),
        })
    }
}

impl Spec {
    /// The destination's account, when it is not `own`.
    pub fn other_account(&self, own: &Account) -> Option<&Account> {
        self.destination_account.as_ref().filter(|account| *account != own)
    }
}

fn required<'a>(property: &str, value: &'a Option<String>) -> Result<&'a str, Invalid> {
    value.as_deref().ok_or_else(|| Invalid::new(property, "is required"))
}

fn replica_key(value: &str) -> Result<KeyReference, Invalid> {
    let key =
        KeyReference::parse(value).map_err(|problem| Invalid::new("ReplicaKmsKeyArn", problem))?;
    if key.is_aws_managed_alias() {
        return Err(Invalid::new(
            "ReplicaKmsKeyArn",
            format!(
                "is `{value}`, an alias of an AWS managed key, whose policy cannot be given grants; use a customer managed key"
            ),
        ));
    }
    Ok(key)
}

fn destination_region(given: Option<&str>, replica_key: &KeyReference) -> Result<Region, Invalid> {
    let Some(given) = given else {
        return Ok(replica_key.region().clone());
    };
    let region =
        Region::parse(given).map_err(|problem| Invalid::new("DestinationRegion", problem))?;
    if &region != replica_key.region() {
        return Err(Invalid::new(
            "ReplicaKmsKeyArn",
            format!(
                "is a key of {}, but `DestinationRegion` is {region}; S3 needs a key of the destination's Region",
                replica_key.region()
            ),
        ));
    }
    Ok(region)
}

fn destination_account(given: Option<&str>, access: &Access) -> Result<Option<Account>, Invalid> {
    let given = given
        .map(Account::parse)
        .transpose()
        .map_err(|problem| Invalid::new("DestinationAccount", problem))?;
    match (given, access.account()) {
        (Some(given), Some(of_role)) if given != *of_role => Err(Invalid::new(
            "DestinationRoleArn",
            format!(
                "is a role of account {of_role}, but `DestinationAccount` is {given}; it must be a role of the destination's account"
            ),
        )),
        (given, of_role) => Ok(given.or_else(|| of_role.cloned())),
    }
}

fn replica_owner(given: Option<&str>) -> Result<ReplicaOwner, Invalid> {
    match given {
        None | Some("Source") => Ok(ReplicaOwner::Source),
        Some("Destination") => Ok(ReplicaOwner::Destination),
        Some(other) => Err(Invalid::new(
            "ReplicaOwner",
            format!("is `{other}`; allowed are Source, Destination"),
        )),
    }
}

fn source_keys(given: Option<&[String]>) -> Result<SourceKeys, Invalid> {
    let Some(given) = given else {
        return Ok(SourceKeys::BucketDefault);
    };
    if given.is_empty() {
        return Err(Invalid::new(
            "SourceKmsKeyArns",
            "is empty; leave it out to use the bucket's default encryption key",
        ));
    }
    let keys = given.iter().map(|arn| KeyReference::parse(arn)).collect::<Result<Vec<_>, _>>();
    keys.map(SourceKeys::Given).map_err(|problem| Invalid::new("SourceKmsKeyArns", problem))
}

/// As much of a prefix as rights can be confined to: up to its first character that is not printable ASCII. Policy documents have none beyond
/// U+00FF, and how those between are matched to keys is not known.
pub fn grantable_prefix(prefix: &str) -> &str {
    prefix.split(|character| !(' '..='~').contains(&character)).next().unwrap_or_default()
}

fn prefix(given: Option<String>) -> Result<String, Invalid> {
    let prefix = given.unwrap_or_default();
    match prefix.chars().count() {
        0..=1024 => Ok(prefix),
        length => {
            Err(Invalid::new("Prefix", format!("has {length} characters; S3 allows at most 1,024")))
        }
    }
}

fn tags(given: Option<BTreeMap<String, String>>) -> Result<BTreeMap<String, String>, Invalid> {
    let tags = given.unwrap_or_default();
    if tags.len() > 10 {
        return Err(Invalid::new(
            "Tags",
            format!("has {} tags; an S3 object has at most 10", tags.len()),
        ));
    }
    for (key, value) in &tags {
        if key.is_empty() || key.chars().count() > 128 {
            return Err(Invalid::new(
                "Tags",
                format!("has the key `{key}`; a tag's key has 1 to 128 characters"),
            ));
        }
        if value.chars().count() > 256 {
            return Err(Invalid::new(
                "Tags",
                format!("has a value of over 256 characters for the key `{key}`"),
            ));
        }
    }
    Ok(tags)
}

fn priority(given: i64) -> Result<i32, Invalid> {
    i32::try_from(given).ok().filter(|priority| *priority >= 0).ok_or_else(|| {
        Invalid::new("Priority", format!("is {given}; allowed are 0 to {}", i32::MAX))
    })
}

fn storage_class(given: &str) -> Result<StorageClass, Invalid> {
    STORAGE_CLASSES.iter().find(|class| class.as_str() == given).cloned().ok_or_else(|| {
        let allowed = STORAGE_CLASSES.map(|class| class.as_str().to_owned()).join(", ");
        Invalid::new("StorageClass", format!("is `{given}`; allowed are {allowed}"))
    })
}

fn existing_role(given: Option<&str>) -> Result<ExistingRole, Invalid> {
    match given {
        None | Some("Refuse") => Ok(ExistingRole::Refuse),
        Some("Extend") => Ok(ExistingRole::Extend),
        Some(other) => {
            Err(Invalid::new("ExistingRole", format!("is `{other}`; allowed are Refuse, Extend")))
        }
    }
}

#[cfg(test)]
mod tests;
