//! The options that describe one rule.
//!
//! It owns which rule is meant, and the rule's properties. It must not know which commands have these options.

use std::str::FromStr;

use clap::Args;
use s3_kms_replication::spec::STORAGE_CLASSES;
use serde::Serialize;

/// Identifies a rule, and says how to access its destination's account.
#[derive(Debug, Args, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct RuleTarget {
    /// Bucket whose objects are replicated [required]
    #[arg(long, value_name = "NAME")]
    source_bucket: Option<String>,
    /// Bucket that receives the replicas [required]
    #[arg(long, value_name = "NAME|ARN")]
    destination_bucket: Option<String>,
    /// Name of the rule, or its id [default: the destination bucket's name]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Profile with credentials of the destination's account, if that is another account
    #[arg(long, value_name = "NAME", conflicts_with = "destination_role_arn")]
    #[serde(skip)]
    pub destination_profile: Option<String>,
    /// Role to assume in the destination's account
    #[arg(long, value_name = "ARN")]
    destination_role_arn: Option<String>,
    /// External id for assuming that role
    #[arg(long, value_name = "ID")]
    destination_role_external_id: Option<String>,
}

/// A rule, as the properties describe it.
#[derive(Debug, Args, Serialize)]
pub struct Rule {
    #[command(flatten)]
    #[serde(flatten)]
    pub target: RuleTarget,
    #[command(flatten)]
    #[serde(flatten)]
    pub(super) properties: Properties,
}

#[derive(Debug, Args, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Properties {
    /// Account of the destination bucket [default: the account of the profile or role for it, else the source's]
    #[arg(long, value_name = "ID")]
    destination_account: Option<String>,
    /// Who owns replicas in another account's bucket [default: Source]
    #[arg(long, value_name = "OWNER", value_parser = ["Source", "Destination"])]
    replica_owner: Option<String>,
    /// Key or alias of a customer managed key in the destination's Region [required]
    #[arg(long, value_name = "ARN")]
    replica_kms_key_arn: Option<String>,
    /// Region of the destination bucket [default: the replica key's]
    #[arg(long, value_name = "REGION")]
    destination_region: Option<String>,
    /// Keys or aliases that encrypt the source's objects [default: the key of the bucket's default encryption]
    #[arg(long, value_name = "ARN", num_args = 1.., value_delimiter = ',')]
    pub(super) source_kms_key_arns: Option<Vec<String>>,
    /// Replicates only objects whose keys begin with this
    #[arg(long)]
    prefix: Option<String>,
    /// Replicates only objects with all of these tags
    #[arg(long, value_name = "KEY=VALUE", num_args = 1.., value_delimiter = ',')]
    tags: Option<Vec<Tag>>,
    /// Priority of the rule [default: kept, or the highest existing plus one]
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true, value_parser = whole_number)]
    priority: Option<i64>,
    /// Replicates delete markers [default: false]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    delete_marker_replication: Option<bool>,
    /// Replicates changes of replicas' metadata back to the source [default: false]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    replica_modifications: Option<bool>,
    /// Turns S3 Replication Time Control on [default: false]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    replication_time_control: Option<bool>,
    /// Turns S3's replication metrics on [default: true]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    metrics: Option<bool>,
    /// Storage class of the replicas [default: the source object's]
    #[arg(long, value_name = "CLASS", value_parser = STORAGE_CLASSES)]
    storage_class: Option<String>,
    /// Creates a missing destination bucket [default: false]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    create_destination_bucket: Option<bool>,
    /// What to do with a destination that exists and was not created for this source [default: Use]
    #[arg(long, value_name = "CHOICE", value_parser = ["Use", "Refuse"])]
    existing_destination: Option<String>,
    /// What to do when the bucket already replicates with a foreign role [default: Refuse]
    #[arg(long, value_name = "CHOICE", value_parser = ["Refuse", "Extend"])]
    existing_role: Option<String>,
    /// SNS topic that is notified when S3 fails to replicate an object
    #[arg(long, value_name = "ARN")]
    alarm_topic_arn: Option<String>,
    /// Starts an S3 Batch Replication job for existing objects [default: false]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    replicate_existing_objects: Option<bool>,
    /// Bucket that receives the job's report
    #[arg(long, value_name = "NAME|ARN")]
    report_bucket: Option<String>,
    /// Prefix of the job's report in that bucket
    #[arg(long, value_name = "PREFIX")]
    report_prefix: Option<String>,
    /// Verifies the rule with an object that is written, replicated and removed again [default: false]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    verify: Option<bool>,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Tag {
    key: String,
    value: String,
}

impl FromStr for Tag {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (key, value) = text.split_once('=').ok_or("a tag is written as key=value")?;
        Ok(Self { key: key.to_owned(), value: value.to_owned() })
    }
}

fn whole_number(text: &str) -> Result<i64, &'static str> {
    text.parse().map_err(|_| "it must be a whole number")
}
