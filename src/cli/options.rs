//! The command line: its options, named as the properties, and the command that they amount to.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::str::FromStr;

use clap::builder::styling::{AnsiColor, Styles};
use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};
use s3_kms_replication::config::{Policy, PolicySource, Settings};
use s3_kms_replication::error::Error;
use s3_kms_replication::model::Region;
use s3_kms_replication::request::{self, Command, Environment, Invocation};
use s3_kms_replication::spec::Invalid;
use serde::Serialize;
use serde_json::Value;

use crate::Failure;

const ABOUT: &str =
    "Sets up S3 replication of KMS-encrypted buckets, keeps it right, and says so when it cannot";

const EXAMPLES: &str = "\
Examples:
  Replicate a bucket: shows what is there and what will be, and asks before it changes anything

    s3-kms-replication apply --source-bucket orders --destination-bucket orders-replica \\
      --replica-kms-key-arn arn:aws:kms:us-west-2:111122223333:alias/dr

  See which buckets of the account are not replicated as a policy says

    s3-kms-replication plan --policy policy.json --all --detailed-exitcode

Exit codes:
    0  done, or nothing to do
    1  refused or failed
    2  the command line, or the policy file, is wrong
    3  changes are pending (plan --detailed-exitcode)
  130  interrupted: the same command finishes what is left";

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default().bold())
    .placeholder(AnsiColor::Cyan.on_default());

#[derive(Debug, Parser)]
#[command(name = "s3-kms-replication", version, about = ABOUT, after_help = EXAMPLES, styles = STYLES, max_term_width = 120, disable_help_subcommand = true)]
pub struct CommandLine {
    #[command(subcommand)]
    pub action: Action,

    #[command(flatten)]
    pub common: Common,
}

#[derive(Debug, Subcommand)]
pub enum Action {
    /// Shows what is there and what will be, and changes nothing
    Plan(Plan),
    /// Shows the plan, asks, and makes it true
    Apply(Apply),
    /// Takes a rule back, and what was made for it; asks before
    Delete(Delete),
    /// Writes an object, sees it replicated with the right key, and removes both
    Verify(Verify),
    /// Prints the role's trust and permission documents, without any call to AWS: needs --source-kms-key-arns
    Policies(Policies),
    /// Prints the completion of a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Prints the manual page, or that of a command
    Man {
        /// The command
        command: Option<String>,
    },
}

#[derive(Debug, Args)]
pub struct Plan {
    #[command(flatten)]
    pub rule: Rule,
    /// Shows policy documents in full
    #[arg(long)]
    pub documents: bool,
    /// Exits with 3 when changes are pending
    #[arg(long)]
    pub detailed_exitcode: bool,
    #[command(flatten)]
    pub walk: Walk,
    #[command(flatten)]
    pub deployment: Deployment,
}

#[derive(Debug, Args)]
pub struct Apply {
    #[command(flatten)]
    pub rule: Rule,
    #[command(flatten)]
    pub consent: Consent,
    #[command(flatten)]
    pub walk: Walk,
    #[command(flatten)]
    pub deployment: Deployment,
}

#[derive(Debug, Args)]
pub struct Delete {
    #[command(flatten)]
    pub name: Name,
    /// Shows what would go, and changes nothing
    #[arg(long)]
    pub dry_run: bool,
    #[command(flatten)]
    pub consent: Consent,
    #[command(flatten)]
    pub deployment: Deployment,
}

#[derive(Debug, Args, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Verify {
    #[command(flatten)]
    #[serde(flatten)]
    pub name: Name,
    /// Key that encrypts the object [default: as the bucket encrypts]
    #[arg(long, value_name = "ARN")]
    pub source_kms_key_arns: Option<String>,
}

#[derive(Debug, Args)]
pub struct Policies {
    #[command(flatten)]
    pub rule: Rule,
    /// The source bucket has S3 Object Lock
    #[arg(long)]
    pub object_lock: bool,
    #[command(flatten)]
    pub deployment: Deployment,
}

/// Which rule is meant, and how its destination is accessed.
#[derive(Debug, Args, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Name {
    /// Bucket whose objects are replicated
    #[arg(long, value_name = "NAME")]
    source_bucket: Option<String>,
    /// Bucket that receives the replicas
    #[arg(long, value_name = "NAME|ARN")]
    destination_bucket: Option<String>,
    /// Name of the rule [default: the destination bucket's]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Profile with credentials of the destination's account, when that is another
    #[arg(long, value_name = "NAME", conflicts_with = "destination_role_arn")]
    #[serde(skip)]
    pub destination_profile: Option<String>,
    /// Role of the destination's account that is assumed for what is done there
    #[arg(long, value_name = "ARN")]
    destination_role_arn: Option<String>,
    /// External id with which that role is assumed
    #[arg(long, value_name = "ID")]
    destination_role_external_id: Option<String>,
}

/// A rule, in the words of the properties.
#[derive(Debug, Args, Serialize)]
pub struct Rule {
    #[command(flatten)]
    #[serde(flatten)]
    pub name: Name,
    #[command(flatten)]
    #[serde(flatten)]
    properties: Properties,
}

#[derive(Debug, Args, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Properties {
    /// Account of the destination bucket [default: the source's, or that of the profile or role for it]
    #[arg(long, value_name = "ID")]
    destination_account: Option<String>,
    /// Who owns replicas in another account's bucket: Source or Destination [default: Source]
    #[arg(long, value_name = "OWNER")]
    replica_owner: Option<String>,
    /// Key or alias of a customer managed key in the destination's Region
    #[arg(long, value_name = "ARN")]
    replica_kms_key_arn: Option<String>,
    /// Region of the destination bucket [default: the replica key's]
    #[arg(long, value_name = "REGION")]
    destination_region: Option<String>,
    /// Keys or aliases of the source's objects [default: the key of the bucket's default encryption]
    #[arg(long, value_name = "ARN", num_args = 1.., value_delimiter = ',')]
    source_kms_key_arns: Option<Vec<String>>,
    /// Replicates only objects whose keys begin with this
    #[arg(long)]
    prefix: Option<String>,
    /// Replicates only objects with all of these tags
    #[arg(long, value_name = "KEY=VALUE", num_args = 1..)]
    tags: Option<Vec<Tag>>,
    /// Priority of the rule [default: kept, or the highest existing plus one]
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true)]
    priority: Option<i64>,
    /// Replicates delete markers [default: false]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    delete_marker_replication: Option<bool>,
    /// Replicates changes of replicas' metadata back [default: false]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    replica_modifications: Option<bool>,
    /// Turns S3 Replication Time Control on [default: false]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    replication_time_control: Option<bool>,
    /// Turns S3's replication metrics on [default: true]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    metrics: Option<bool>,
    /// Storage class of the replicas [default: the source object's]
    #[arg(long, value_name = "CLASS")]
    storage_class: Option<String>,
    /// Creates a missing destination bucket [default: false]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    create_destination_bucket: Option<bool>,
    /// What to do when the bucket already replicates with a role that is not ours: Refuse or Extend [default: Refuse]
    #[arg(long, value_name = "CHOICE")]
    existing_role: Option<String>,
    /// SNS topic that is told when S3 fails to replicate an object
    #[arg(long, value_name = "ARN")]
    alarm_topic_arn: Option<String>,
    /// Starts an S3 Batch Replication job for the objects that are there already [default: false]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    replicate_existing_objects: Option<bool>,
    /// Bucket that takes the job's report
    #[arg(long, value_name = "NAME|ARN")]
    report_bucket: Option<String>,
    /// Where in that bucket
    #[arg(long, value_name = "PREFIX")]
    report_prefix: Option<String>,
    /// Writes an object to see it replicated, and removes it again [default: false]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
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

/// All buckets of the account.
#[derive(Debug, Args)]
#[command(next_help_heading = "All buckets of the account")]
pub struct Walk {
    /// Replication policy: which buckets are replicated, and how
    #[arg(long, value_name = "FILE", requires = "all", conflicts_with_all = ["Name", "Properties"])]
    pub policy: Option<PathBuf>,
    /// Holds the policy against every bucket of the account, in all Regions
    #[arg(long, requires = "policy", conflicts_with_all = ["Name", "Properties", "documents"])]
    pub all: bool,
    /// How many buckets are worked on at once
    #[arg(long, value_name = "NUMBER", default_value_t = 5, value_parser = clap::value_parser!(u8).range(1..=50))]
    pub concurrency: u8,
}

/// What a deployed function may have been given, and must be the same here.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Beside a deployed function")]
pub struct Deployment {
    /// Path of the replication roles [default: /s3-kms-replication/]
    #[arg(long, value_name = "PATH")]
    pub role_path: Option<String>,
    /// Permissions boundary of the replication roles
    #[arg(long, value_name = "ARN")]
    pub role_permissions_boundary_arn: Option<String>,
    /// The function's DynamoDB table of leases, so that neither of the two loses a rule that the other writes
    #[arg(long, value_name = "NAME")]
    pub lock_table: Option<String>,
}

#[derive(Debug, Args)]
pub struct Consent {
    /// Changes things without asking
    #[arg(long, short)]
    pub yes: bool,
    /// Shows policy documents in full
    #[arg(long)]
    pub documents: bool,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "AWS and output")]
pub struct Common {
    /// Profile whose credentials and Region are used [default: AWS_PROFILE, or `default`]
    #[arg(long, global = true, value_name = "NAME")]
    pub profile: Option<String>,
    /// Region in which buckets are looked for first [default: AWS_REGION, the profile's, or us-east-1]
    #[arg(long, global = true, value_parser = Region::parse)]
    pub region: Option<Region>,
    /// Format of what is printed
    #[arg(long, global = true, value_name = "FORMAT", default_value = "text")]
    pub output: Output,
    /// When to colour what is printed
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub color: clap::ColorChoice,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Output {
    Text,
    Json,
}

/// Reads `options` as the command `action`, by the one reader of commands that there is.
pub fn command(action: &str, options: &impl Serialize) -> Result<Command, Failure> {
    let mut payload =
        serde_json::to_value(options).map_err(|error| Error::Internal(error.to_string()))?;
    if let Value::Object(object) = &mut payload {
        object.insert("Action".to_owned(), action.into());
    }
    match request::read(&payload, Environment::default()).map_err(Error::from)? {
        Invocation::Command(command) => Ok(command),
        other => Err(Error::Internal(format!("{other:?} is no command")).into()),
    }
}

impl Walk {
    /// The policy in the file.
    pub fn policy(&self) -> Result<Option<PolicySource>, Failure> {
        let Some(file) = &self.policy else {
            return Ok(None);
        };
        let text = std::fs::read_to_string(file)
            .map_err(|error| Failure::usage(format!("--policy {}: {error}", file.display())))?;
        let policy = Policy::parse(&text)
            .map_err(|invalid| Failure::usage(format!("--policy {}: {invalid}", file.display())))?;
        Ok(Some(PolicySource::Inline(policy)))
    }
}

impl Deployment {
    /// The settings that a deployed function would have from its environment.
    pub fn settings(&self, region: Option<&Region>) -> Result<Settings, Invalid> {
        Settings::read(|name| match name {
            "ROLE_PATH" => self.role_path.clone(),
            "ROLE_PERMISSIONS_BOUNDARY_ARN" => self.role_permissions_boundary_arn.clone(),
            "LOCK_TABLE" => self.lock_table.clone(),
            "AWS_REGION" => region.map(ToString::to_string),
            "AWS_ENDPOINT_URL" => std::env::var(name).ok(),
            _ => None,
        })
    }
}

/// The message with options in place of the properties and settings that it names in backticks.
pub fn in_options(message: &str) -> String {
    let command = CommandLine::command();
    let options = |command: &clap::Command| {
        command
            .get_arguments()
            .filter_map(|arg| arg.get_long().map(str::to_owned))
            .collect::<Vec<_>>()
    };
    let known: BTreeSet<String> = command.get_subcommands().flat_map(options).collect();
    let parts: Vec<&str> = message.split('`').collect();
    let quotes_are_paired = parts.len() % 2 == 1;
    let part = |(index, part): (usize, &&str)| match kebab_case(part) {
        _ if index % 2 == 0 => (*part).to_owned(),
        option if quotes_are_paired && known.contains(&option) && **part != option => {
            format!("--{option}")
        }
        _ => format!("`{part}`"),
    };
    let said: String = parts.iter().enumerate().map(part).collect();
    if quotes_are_paired { said } else { message.to_owned() }
}

/// `SourceBucket` and `SOURCE_BUCKET` as `source-bucket`.
fn kebab_case(name: &str) -> String {
    if name.chars().all(|c| c.is_ascii_uppercase() || c == '_') {
        return name.to_ascii_lowercase().replace('_', "-");
    }
    let mut kebab = String::new();
    for (index, character) in name.chars().enumerate() {
        if character.is_ascii_uppercase() && index > 0 {
            kebab.push('-');
        }
        kebab.push(character.to_ascii_lowercase());
    }
    kebab
}
