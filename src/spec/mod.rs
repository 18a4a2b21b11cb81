//! From properties to a validated [`Spec`].
//!
//! [`Properties`] holds what the caller wrote; only the JSON types are checked. [`Spec::new`] is the only way to a [`Spec`]. It refuses
//! everything that can be recognised as wrong without a call of AWS. It must not know requests, snapshots and clients.

use std::collections::BTreeMap;

use aws_sdk_s3::types::StorageClass;

mod access;
mod catch_up;
mod check;
mod partition;
mod properties;
mod report;

pub use access::destination_access;
pub use catch_up::CatchUp;
pub use properties::{Object, read_properties};
pub use report::Report;

use crate::model::{
    Access, Account, BucketName, KeyReference, Partition, Region, RoleName, RuleAddress, RuleId,
    TopicArn,
};

/// A value that cannot be accepted: the property, what is wrong with the value, and what is allowed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{} {problem}", if property.is_empty() { "it".to_owned() } else { format!("`{property}`") })]
pub struct Invalid {
    /// Path of the property, such as `Prefix` or `Rules[0].Prefix`; empty for the whole document.
    pub property: String,
    /// The problem and what is allowed, as the rest of a sentence that begins with the property's name.
    pub problem: String,
}

impl Invalid {
    /// A `problem` of a `property`.
    pub fn new(property: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { property: property.into(), problem: problem.into() }
    }

    /// Puts `parent` before the property's path, as in `Rules[0].Prefix`.
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

/// The settings of our replication roles.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoleSettings {
    /// The path, which begins and ends with a slash.
    pub path: String,
    /// ARN of the permissions boundary.
    pub boundary: Option<String>,
    /// The name of the role that serves all buckets of this deployment's replication policy, whether or not it exists; `None` without a stack.
    pub shared: Option<RoleName>,
}

impl RoleSettings {
    /// Whether this is the ARN of the role that serves all buckets of this deployment's replication policy.
    pub fn is_shared_role(&self, arn: &str) -> bool {
        self.shared.is_some() && RoleName::from_arn(arn) == self.shared
    }
}

/// What to do if a bucket already replicates with a foreign role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ExistingRole {
    /// Refuse the request before anything is changed.
    #[default]
    Refuse,
    /// Add our inline policy to that role, and change nothing else of it.
    Extend,
}

/// What to do with a destination bucket that exists and that this program did not create for the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ExistingDestination {
    /// Replicate to it, and enable versioning on it.
    #[default]
    Use,
    /// Refuse the request before anything is changed, unless the rule already replicates to it.
    Refuse,
}

/// Who owns the replicas.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ReplicaOwner {
    /// The account that owns the source's objects, unless the destination bucket enforces ownership of all objects.
    #[default]
    Source,
    /// The account that owns the destination bucket.
    Destination,
}

/// The keys that encrypt the source's objects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SourceKeys {
    /// The key of the bucket's default encryption, which the snapshot shows.
    BucketDefault,
    /// These keys only.
    Given(Vec<KeyReference>),
}

/// Which objects a rule replicates. An empty filter selects all objects.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Filter {
    /// Prefix of the object keys, at most 1,024 characters.
    pub prefix: String,
    /// Object tags, all of which must match; at most ten.
    pub tags: BTreeMap<String, String>,
}

/// The properties as the caller wrote them; `None` for a property that was not given.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename_all = "PascalCase"))]
pub struct Properties {
    /// Name of the bucket whose objects are replicated.
    pub source_bucket: Option<String>,
    /// Name or ARN of the bucket that receives the replicas. In a policy, `{bucket}`, `{bucket_prefix}`, `{account}` and `{region}` stand for
    /// the source's, `{destination_account}` and `{destination_region}` for the destination's.
    pub destination_bucket: Option<String>,
    /// Region of the destination. The default is the replica key's Region. In a policy also a map from the source's Region to the destination's.
    pub destination_region: Option<String>,
    /// ARN, or alias ARN, of the customer managed key that encrypts the replicas, in the destination's Region. In a policy,
    /// `{account}`, `{region}`, `{destination_account}` and `{destination_region}` stand for the source's and the destination's.
    pub replica_kms_key_arn: Option<String>,
    /// ARNs, or alias ARNs, of the keys that encrypt the source's objects. The default is the key of the bucket's default encryption.
    pub source_kms_key_arns: Option<Vec<String>>,
    /// Replicates only objects whose keys begin with this prefix.
    pub prefix: Option<String>,
    /// Replicates only objects with all of these tags.
    pub tags: Option<BTreeMap<String, String>>,
    /// The rule's priority, 0 or more. The default is the highest priority of the bucket's rules plus one.
    pub priority: Option<i64>,
    /// Whether delete markers are replicated (false).
    pub delete_marker_replication: Option<bool>,
    /// Whether changes of metadata on replicas are replicated back (false).
    pub replica_modifications: Option<bool>,
    /// Whether S3 Replication Time Control is on (false).
    pub replication_time_control: Option<bool>,
    /// Whether S3 Replication metrics are on (true).
    pub metrics: Option<bool>,
    /// Storage class of the replicas. The default is the source object's storage class.
    #[cfg_attr(test, schemars(extend("enum" = STORAGE_CLASSES)))]
    pub storage_class: Option<String>,
    /// Account of the destination bucket, if it is not the source's. The default is the account of `DestinationRoleArn`.
    pub destination_account: Option<String>,
    /// ARN of a role in the destination's account. It is assumed for all calls to that account.
    pub destination_role_arn: Option<String>,
    /// External id with which `DestinationRoleArn` is assumed.
    pub destination_role_external_id: Option<String>,
    /// Which account owns replicas in another account's bucket (Source).
    #[cfg_attr(test, schemars(extend("enum" = ["Source", "Destination"])))]
    pub replica_owner: Option<String>,
    /// Whether a missing destination bucket is created (false).
    pub create_destination_bucket: Option<bool>,
    /// What to do with a destination that exists and was not created for this source. The default is Use, in a policy Refuse if
    /// `DestinationBucket` has the source bucket's name in it.
    #[cfg_attr(test, schemars(extend("enum" = ["Use", "Refuse"])))]
    pub existing_destination: Option<String>,
    /// What to do if the bucket already replicates with a foreign role (Refuse).
    #[cfg_attr(test, schemars(extend("enum" = ["Refuse", "Extend"])))]
    pub existing_role: Option<String>,
    /// ARN of an SNS topic in the source's Region. It is notified when S3 fails to replicate an object.
    pub alarm_topic_arn: Option<String>,
    /// Whether replication is checked with a canary: an object that is written, and removed once it is replicated (false).
    pub verify: Option<bool>,
    /// Whether an S3 Batch Replication job is started for existing objects (false).
    pub replicate_existing_objects: Option<bool>,
    /// Name or ARN of the bucket for the job's report. The bucket must be in the source's account.
    pub report_bucket: Option<String>,
    /// Prefix of the report's objects.
    pub report_prefix: Option<String>,
    /// Whether to plan without changing anything (false).
    pub dry_run: Option<bool>,
}

/// One replication rule that should exist, with everything that the rule needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spec {
    /// The source bucket and the rule's id.
    pub rule: RuleAddress,
    /// The bucket that receives the replicas; never the source.
    pub destination: BucketName,
    /// The account that owns the destination; `None` for the source's account.
    pub destination_account: Option<Account>,
    /// The credentials with which the destination's account is read and changed.
    pub destination_access: Access,
    /// The destination's Region, which is the replica key's Region: S3 encrypts with a key in the bucket's Region.
    pub destination_region: Region,
    /// The customer managed key that encrypts the replicas.
    pub replica_key: KeyReference,
    /// The keys that decrypt the source's objects.
    pub source_keys: SourceKeys,
    /// Which objects are replicated.
    pub filter: Filter,
    /// The requested priority; `None` to keep the rule's priority or to take the next free one.
    pub priority: Option<i32>,
    /// Whether delete markers are replicated. False if the filter has tags.
    pub delete_marker_replication: bool,
    /// Whether metadata changes on replicas are replicated back.
    pub replica_modifications: bool,
    /// Whether S3 Replication Time Control is on, which also turns metrics on.
    pub replication_time_control: bool,
    /// Whether S3 Replication metrics are on.
    pub metrics: bool,
    /// Storage class of the replicas; `None` for the source object's.
    pub storage_class: Option<StorageClass>,
    /// The owner of replicas in a bucket of another account.
    pub replica_owner: ReplicaOwner,
    /// Whether a missing destination is created.
    pub create_destination_bucket: bool,
    /// What to do with a destination that exists and was not created for this source.
    pub existing_destination: ExistingDestination,
    /// What to do if the bucket already replicates with a foreign role.
    pub existing_role: ExistingRole,
    /// The topic that is notified when S3 fails to replicate an object. Requires metrics.
    pub alarm_topic: Option<TopicArn>,
    /// Whether replication is checked with a canary.
    pub verify: bool,
    /// The report of the job that replicates existing objects; `None` if they are not replicated.
    pub existing_objects: Option<Report>,
    /// Whether to plan without changing anything.
    pub dry_run: bool,
}

/// The storage classes that replicas can have.
pub const STORAGE_CLASSES: [&str; 8] = [
    "STANDARD",
    "STANDARD_IA",
    "ONEZONE_IA",
    "INTELLIGENT_TIERING",
    "GLACIER_IR",
    "GLACIER",
    "DEEP_ARCHIVE",
    "REDUCED_REDUNDANCY",
];

impl Spec {
    /// Checks `properties` against the rules of S3 and KMS, as far as that is possible without a call of AWS.
    ///
    /// # Errors
    /// The first property that cannot be accepted, with what is allowed.
    pub fn new(rule_id: RuleId, properties: &Properties) -> Result<Self, Invalid> {
        Self::check_required(properties)?;
        let (source, destination) = check::buckets(properties)?;
        let replica_key = check::replica_key(properties)?;
        let destination_access = destination_access(properties, &source)?;
        let replication_time_control = properties.replication_time_control.unwrap_or(false);
        let spec = Self {
            rule: RuleAddress { source, id: rule_id },
            destination,
            destination_region: check::destination_region(properties, &replica_key)?,
            destination_account: check::destination_account(properties, &destination_access)?,
            destination_access,
            replica_key,
            source_keys: check::source_keys(properties)?,
            filter: Filter { prefix: check::prefix(properties)?, tags: check::tags(properties)? },
            priority: check::priority(properties)?,
            delete_marker_replication: properties.delete_marker_replication.unwrap_or(false),
            replica_modifications: properties.replica_modifications.unwrap_or(false),
            replication_time_control,
            metrics: replication_time_control || properties.metrics.unwrap_or(true),
            storage_class: check::storage_class(properties)?,
            replica_owner: check::replica_owner(properties)?,
            create_destination_bucket: properties.create_destination_bucket.unwrap_or(false),
            existing_destination: check::existing_destination(properties)?,
            existing_role: check::existing_role(properties)?,
            alarm_topic: check::alarm_topic(properties)?,
            verify: properties.verify.unwrap_or(false),
            existing_objects: Report::from_properties(properties)?,
            dry_run: properties.dry_run.unwrap_or(false),
        };
        partition::check(properties, &spec.replica_key)?;
        spec.check_combinations()?;
        Ok(spec)
    }

    /// Refuses properties without one that every rule needs.
    ///
    /// # Errors
    /// All that are missing.
    pub fn check_required(properties: &Properties) -> Result<(), Invalid> {
        let required = [
            ("SourceBucket", &properties.source_bucket),
            ("DestinationBucket", &properties.destination_bucket),
            ("ReplicaKmsKeyArn", &properties.replica_kms_key_arn),
        ];
        let missing = required.iter().filter(|(_, value)| value.is_none()).map(|(name, _)| *name);
        match missing.collect::<Vec<_>>().as_slice() {
            [] => Ok(()),
            [only] => Err(Invalid::new(*only, "is required")),
            [first, second] => {
                Err(Invalid::new(*first, format!("is required, and so is `{second}`")))
            }
            [first, others @ ..] => {
                let others = others.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>();
                Err(Invalid::new(
                    *first,
                    format!("is required, and so are {}", others.join(" and ")),
                ))
            }
        }
    }

    /// Refuses values that are valid alone and not together.
    fn check_combinations(&self) -> Result<(), Invalid> {
        if self.delete_marker_replication && !self.filter.tags.is_empty() {
            return Err(Invalid::new(
                "DeleteMarkerReplication",
                "cannot be true in a rule that filters by `Tags`: S3 does not replicate delete markers for such rules",
            ));
        }
        if self.alarm_topic.is_some() && !self.metrics {
            return Err(Invalid::new(
                "AlarmTopicArn",
                "needs `Metrics`: without metrics, S3 does not report failed replication",
            ));
        }
        if self.verify {
            let canary_key = self.rule.canary_key(&self.filter.prefix);
            canary_key.map_err(|problem| Invalid::new("Prefix", problem))?;
        }
        Ok(())
    }

    /// Checks that the ARNs of the properties are of the account's partition.
    ///
    /// # Errors
    /// `ReplicaKmsKeyArn`, since all others are of its partition.
    pub fn check_partition(&self, own: Partition) -> Result<(), Invalid> {
        let given = self.replica_key.partition();
        if given == own.as_str() {
            return Ok(());
        }
        let problem = format!(
            "is `{}` of the partition `{given}`; it must be of the account's, `{own}`",
            self.replica_key
        );
        Err(Invalid::new("ReplicaKmsKeyArn", problem))
    }

    /// The destination's account, if it is not `own`.
    pub fn other_account(&self, own: &Account) -> Option<&Account> {
        self.destination_account.as_ref().filter(|account| *account != own)
    }
}

/// The part of a prefix that grants can be confined to: up to the first character that is not printable ASCII. Policy documents have no
/// characters beyond U+00FF, and how IAM matches the characters below it to object keys is not documented.
pub fn grantable_prefix(prefix: &str) -> &str {
    prefix.split(|character| !(' '..='~').contains(&character)).next().unwrap_or_default()
}

#[cfg(test)]
mod tests;
