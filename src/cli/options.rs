//! The options of the command line, and their conversion to the library's commands and settings.
//!
//! Options have the names of the properties. It must not validate their values, since [`request::read`] does. Only the values that
//! shells complete are listed here as well.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use clap::builder::styling::{AnsiColor, Styles};
use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};
use s3_kms_replication::config::{Policy, Settings};
use s3_kms_replication::error::Error;
use s3_kms_replication::model::Region;
use s3_kms_replication::request::{self, Command};
use s3_kms_replication::spec::{Invalid, STORAGE_CLASSES};
use serde::Serialize;
use serde_json::Value;

use crate::Failure;

const ABOUT: &str = "Sets up, maintains and verifies S3 replication of KMS-encrypted buckets";

const EXAMPLES: &str = "\
Examples:
  Replicate a bucket: shows the planned changes and asks before it makes them

    s3-kms-replication apply --source-bucket orders --destination-bucket orders-replica \\
      --replica-kms-key-arn arn:aws:kms:us-west-2:111122223333:alias/dr

  List the buckets of the account that are not replicated as a policy requires

    s3-kms-replication plan --policy policy.json --all --detailed-exitcode

Exit codes:
    0  done, or nothing to do
    1  refused or failed
    2  the command line or the policy file is invalid
    3  changes are pending (plan --detailed-exitcode)
    4  a rule fails (diagnose)
    5  no rule fails, but one may: something could not be read (diagnose)
  130  interrupted with Ctrl-C; the same command completes the rest
  143  ended with SIGTERM, as with Ctrl-C";

const PLAN_EXAMPLES: &str = "\
Examples:
  s3-kms-replication plan --source-bucket orders --destination-bucket orders-replica \\
    --replica-kms-key-arn arn:aws:kms:us-west-2:111122223333:alias/dr
  s3-kms-replication plan --policy policy.json --all --detailed-exitcode";

const APPLY_EXAMPLES: &str = "\
Examples:
  s3-kms-replication apply --source-bucket orders --destination-bucket orders-replica \\
    --replica-kms-key-arn arn:aws:kms:us-west-2:111122223333:alias/dr
  s3-kms-replication apply --policy policy.json --all";

const DELETE_EXAMPLES: &str = "\
Examples:
  s3-kms-replication delete --source-bucket orders --destination-bucket orders-replica
  s3-kms-replication delete --source-bucket orders --name orders-replica --dry-run

The other options of `apply` are accepted and have no effect.";

const VERIFY_EXAMPLES: &str = "\
Examples:
  s3-kms-replication verify --source-bucket orders --destination-bucket orders-replica
  s3-kms-replication verify --source-bucket orders --name orders-replica --destination-profile dr

The other options of `apply` are accepted and have no effect.";

const REPLAY_EXAMPLES: &str = "\
Examples:
  s3-kms-replication replay --source-bucket orders --destination-bucket orders-replica --report-bucket reports
  s3-kms-replication replay --source-bucket orders --name their-rule --report-bucket reports --dry-run

For a rule that others have made, it prints the statements that their role lacks, and changes nothing.";

const POLICIES_EXAMPLES: &str = "\
Example:
  s3-kms-replication policies --source-bucket orders --destination-bucket orders-replica \\
    --source-kms-key-arns arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab \\
    --replica-kms-key-arn arn:aws:kms:us-west-2:111122223333:key/0987dcba-09fe-87dc-65ba-ab0987654321";

const COMPLETIONS_EXAMPLES: &str = "\
Example:
  s3-kms-replication completions bash > ~/.local/share/bash-completion/completions/s3-kms-replication";

const MAN_EXAMPLES: &str = "\
Example:
  s3-kms-replication man apply | man -l -";

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default().bold())
    .placeholder(AnsiColor::Cyan.on_default());

#[derive(Debug, Parser)]
#[command(name = "s3-kms-replication", version, about = ABOUT, after_help = EXAMPLES, styles = STYLES, max_term_width = 120, disable_help_subcommand = true)]
pub struct CommandLine {
    #[command(subcommand)]
    pub command: Commands,

    #[command(flatten)]
    pub common: Common,
}

#[derive(Debug, Subcommand)]
pub enum Commands {
    /// Shows the planned changes, and changes nothing
    #[command(after_help = PLAN_EXAMPLES)]
    Plan(Plan),
    /// Shows the planned changes, asks for confirmation, and applies them
    #[command(after_help = APPLY_EXAMPLES)]
    Apply(Apply),
    /// Deletes a rule and what was made for it, after it asks for confirmation
    #[command(after_help = DELETE_EXAMPLES)]
    Delete(Delete),
    /// Writes an object, checks that S3 replicates it with the right key, and removes both copies
    #[command(after_help = VERIFY_EXAMPLES)]
    Verify(Verify),
    /// Says why the replication of a bucket fails, whoever set it up, and how to mend it; changes nothing
    Diagnose(Diagnose),
    /// Replicates once more what S3 failed to replicate: starts an S3 Batch Replication job, after it asks for confirmation
    #[command(after_help = REPLAY_EXAMPLES)]
    Replay(Replay),
    /// Prints the role's trust policy and inline policies without any call to AWS; requires --source-kms-key-arns
    #[command(after_help = POLICIES_EXAMPLES)]
    Policies(Policies),
    /// Prints the completion script for a shell
    #[command(after_help = COMPLETIONS_EXAMPLES)]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Prints the manual page of the program or of a command
    #[command(after_help = MAN_EXAMPLES)]
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
    /// Exits with code 3 when changes are pending
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
    pub confirmation: Confirmation,
    #[command(flatten)]
    pub walk: Walk,
    #[command(flatten)]
    pub deployment: Deployment,
}

#[derive(Debug, Args)]
pub struct Delete {
    #[command(flatten)]
    pub target: RuleTarget,
    /// Shows what would be deleted, and changes nothing
    #[arg(long)]
    pub dry_run: bool,
    /// File with the replication policy of a deployed function: refuses to delete a rule that the function would create again
    #[arg(long, value_name = "FILE")]
    pub policy: Option<PathBuf>,
    #[command(flatten)]
    pub confirmation: Confirmation,
    #[command(flatten)]
    pub deployment: Deployment,
    /// Accepted for a person who replaces `apply` with `delete`; the rule itself has these values.
    #[command(flatten)]
    _properties: Properties,
}

#[derive(Debug, Args)]
pub struct Verify {
    #[command(flatten)]
    rule: Rule,
    #[command(flatten)]
    pub deployment: Deployment,
    /// Accepted for a person who replaces `apply` with `verify`, which has nothing to confirm.
    #[command(flatten)]
    _confirmation: Confirmation,
}

impl Verify {
    /// Reads the command. Of the rule's properties, `Verify` takes only the keys: the rule itself has the rest.
    pub fn command(&self) -> Result<Command, Failure> {
        #[derive(Serialize)]
        #[serde(rename_all = "PascalCase")]
        struct Payload<'a> {
            #[serde(flatten)]
            target: &'a RuleTarget,
            source_kms_key_arns: Option<&'a [String]>,
        }
        let Rule { target, properties } = &self.rule;
        let keys = properties.source_kms_key_arns.as_deref();
        command("Verify", &Payload { target, source_kms_key_arns: keys })
    }

    pub fn destination_profile(&self) -> Option<&str> {
        self.rule.target.destination_profile.as_deref()
    }
}

#[derive(Debug, Clone, Args, Serialize)]
#[command(group(clap::ArgGroup::new("buckets").required(true).args(["source_bucket", "all"])))]
#[serde(rename_all = "PascalCase")]
pub struct Diagnose {
    /// Bucket whose rules are diagnosed
    #[arg(long, value_name = "NAME")]
    pub source_bucket: Option<String>,
    /// Diagnoses every bucket of the account, in all Regions
    #[arg(long, conflicts_with = "rule_id")]
    #[serde(skip)]
    pub all: bool,
    /// Id of the only rule to diagnose [default: all rules]
    #[arg(long, value_name = "ID")]
    rule_id: Option<String>,
    /// Number of objects to look at for each rule, from the first key that the rule selects; at most 1000, 0 for none
    #[arg(long, value_name = "NUMBER", default_value_t = 50, value_parser = clap::value_parser!(u16).range(..=1000))]
    #[serde(skip)]
    pub sample: u16,
    /// Asks IAM's simulator whether service control policies allow S3's calls; needs iam:SimulatePrincipalPolicy
    #[arg(long)]
    #[serde(skip)]
    pub ask_iam: bool,
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
    /// Number of buckets to diagnose concurrently
    #[arg(long, value_name = "NUMBER", default_value_t = 5, value_parser = clap::value_parser!(u8).range(1..=50))]
    #[serde(skip)]
    pub concurrency: u8,
}

#[derive(Debug, Args, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Replay {
    /// Bucket whose objects are replicated
    #[arg(long, value_name = "NAME")]
    source_bucket: String,
    /// Bucket that receives the replicas
    #[arg(long, value_name = "NAME|ARN")]
    destination_bucket: Option<String>,
    /// Name of the rule, or the ID of a rule that others have made [default: the destination bucket's name, or else the bucket's only rule]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Bucket that receives the job's report
    #[arg(long, value_name = "NAME|ARN")]
    report_bucket: String,
    /// Prefix of the job's report in that bucket
    #[arg(long, value_name = "PREFIX")]
    report_prefix: Option<String>,
    /// Also replicates objects that no rule has selected, since they are older than the rule [default: false]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    replicate_existing_objects: Option<bool>,
    /// Shows the job that would be started, and changes nothing
    #[arg(long)]
    #[serde(skip)]
    pub dry_run: bool,
    #[command(flatten)]
    #[serde(skip)]
    pub confirmation: Confirmation,
    #[command(flatten)]
    #[serde(skip)]
    pub function: DeployedFunction,
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
    properties: Properties,
}

#[derive(Debug, Args, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Properties {
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
    source_kms_key_arns: Option<Vec<String>>,
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

fn region_code(text: &str) -> Result<Region, &'static str> {
    Region::parse(text).map_err(|_| "a Region's code looks like us-east-1")
}

fn whole_number(text: &str) -> Result<i64, &'static str> {
    text.parse().map_err(|_| "it must be a whole number")
}

impl FromStr for Tag {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (key, value) = text.split_once('=').ok_or("a tag is written as key=value")?;
        Ok(Self { key: key.to_owned(), value: value.to_owned() })
    }
}

/// The walk over all buckets of the account.
#[derive(Debug, Args)]
#[command(next_help_heading = "All buckets of the account")]
pub struct Walk {
    /// File with a replication policy: which buckets are replicated, and how
    #[arg(long, value_name = "FILE", requires = "all")]
    pub policy: Option<PathBuf>,
    /// Applies the policy to every bucket of the account, in all Regions
    #[arg(long, requires = "policy", conflicts_with = "documents")]
    pub all: bool,
    /// Number of buckets to process concurrently
    #[arg(long, value_name = "NUMBER", default_value_t = 5, value_parser = clap::value_parser!(u8).range(1..=50))]
    pub concurrency: u8,
}

/// The heading of options that a deployed function has values for.
const WITH_FUNCTION: &str = "With a deployed function (use its values)";

/// Settings that must be the same as those of a deployed function.
#[derive(Debug, Default, Args)]
pub struct Deployment {
    #[command(flatten)]
    pub limits: Limits,
    #[command(flatten)]
    pub function: DeployedFunction,
}

/// Limits for what is made: its path and its boundary, and the destinations.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = WITH_FUNCTION)]
pub struct Limits {
    /// Path of the replication roles [default: /s3-kms-replication/]
    #[arg(long, value_name = "PATH")]
    pub role_path: Option<String>,
    /// Permissions boundary of the replication roles
    #[arg(long, value_name = "ARN")]
    pub role_permissions_boundary_arn: Option<String>,
    /// Patterns of bucket names, and accounts, that may be destinations [default: any]
    #[arg(long, value_name = "PATTERN|ACCOUNT", num_args = 1.., value_delimiter = ',')]
    pub allowed_destinations: Vec<String>,
}

/// The deployed function beside which the program runs.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = WITH_FUNCTION)]
pub struct DeployedFunction {
    /// Bucket: a role for each source bucket; Policy: one role for all buckets of the policy in the function's Region [default: Bucket]
    #[arg(long, value_name = "CHOICE", requires = "stack_id")]
    pub role_scope: Option<String>,
    /// Id of the function's stack, for which the role of all buckets is named
    #[arg(long, value_name = "ARN")]
    pub stack_id: Option<String>,
    /// DynamoDB table of the function's leases, so that concurrent changes do not overwrite each other
    #[arg(long, value_name = "NAME")]
    pub lock_table: Option<String>,
}

#[derive(Debug, Args)]
pub struct Confirmation {
    /// Applies changes without asking for confirmation
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
    /// Region in which buckets are looked up first [default: AWS_REGION, the profile's, or us-east-1]
    #[arg(long, global = true, value_parser = region_code)]
    pub region: Option<Region>,
    /// Format of the output
    #[arg(long, global = true, value_name = "FORMAT", default_value = "text")]
    pub output: Output,
    /// When to color the output
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub color: clap::ColorChoice,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Output {
    Text,
    Json,
}

/// The program's command line. `delete` and `verify` accept the options of `apply`, and their help leaves out those without effect.
pub fn command_line() -> clap::Command {
    let program = CommandLine::command();
    let of_existing_rule = |command: clap::Command| {
        let help = "Bucket that receives the replicas [required, or --name]";
        command.mut_arg("destination_bucket", |option| option.help(help))
    };
    let delete = |command| of_existing_rule(hide(command, &["Properties"], &[]));
    let verify = |command| {
        let help = "Key that encrypts the object [default: the bucket's default encryption]";
        let groups = ["Properties", "Confirmation", "Limits", "DeployedFunction"];
        of_existing_rule(hide(command, &groups, &["source_kms_key_arns"]))
            .mut_arg("source_kms_key_arns", |option| option.help(help))
    };
    program
        .mut_subcommand("plan", separate_walk)
        .mut_subcommand("apply", separate_walk)
        .mut_subcommand("delete", delete)
        .mut_subcommand("verify", verify)
}

/// Refuses the options of one rule beside those of the walk. The error names only the options that were given, which it would not if the
/// conflict were one with a whole group.
fn separate_walk(command: clap::Command) -> clap::Command {
    let of_rule = members(&command, &["RuleTarget", "Properties"]);
    ["policy", "all"].into_iter().fold(command, |command, name| {
        command.mut_arg(name, |option| option.conflicts_with_all(&of_rule))
    })
}

/// The options of the groups.
fn members(command: &clap::Command, groups: &[&str]) -> BTreeSet<clap::Id> {
    command
        .get_groups()
        .filter(|group| groups.contains(&group.get_id().as_str()))
        .flat_map(|group| group.get_args().cloned())
        .collect()
}

/// Hides the options of the groups, but for those in `shown`.
fn hide(command: clap::Command, groups: &[&str], shown: &[&str]) -> clap::Command {
    let members = members(&command, groups);
    command.mut_args(|option| {
        let id = option.get_id();
        let is_hidden = members.contains(id) && !shown.contains(&id.as_str());
        if is_hidden { option.hide(true) } else { option }
    })
}

/// Converts `options` to the command `action` with [`request::read_command`], as the function does for its payloads.
pub fn command(action: &str, options: &impl Serialize) -> Result<Command, Failure> {
    let mut payload =
        serde_json::to_value(options).map_err(|error| Error::Internal(error.to_string()))?;
    if let Value::Object(object) = &mut payload {
        object.insert("Action".to_owned(), action.into());
    }
    Ok(request::read_command(&payload).map_err(Error::from)?)
}

/// Reads a replication policy from the file of the option `--policy`.
pub fn read_policy(file: Option<&Path>) -> Result<Option<Policy>, Failure> {
    let Some(file) = file else {
        return Ok(None);
    };
    let text = std::fs::read_to_string(file)
        .map_err(|error| Failure::usage(format!("--policy {}: {error}", file.display())))?;
    let policy = Policy::parse(&text)
        .map_err(|invalid| Failure::usage(format!("--policy {}: {invalid}", file.display())))?;
    Ok(Some(policy))
}

impl Deployment {
    /// Returns the settings that a deployed function would read from its environment.
    pub fn settings(&self, region: Option<&Region>) -> Result<Settings, Invalid> {
        Settings::read(|name| match name {
            "ROLE_PATH" => self.limits.role_path.clone(),
            "ROLE_SCOPE" => self.function.role_scope.clone(),
            "STACK_ID" => self.function.stack_id.clone(),
            "ROLE_PERMISSIONS_BOUNDARY_ARN" => self.limits.role_permissions_boundary_arn.clone(),
            "ALLOWED_DESTINATIONS" => Some(self.limits.allowed_destinations.join(",")),
            "LOCK_TABLE" => self.function.lock_table.clone(),
            "AWS_REGION" => region.map(ToString::to_string),
            "AWS_ENDPOINT_URL" => std::env::var(name).ok(),
            _ => None,
        })
    }
}

/// Replaces properties and settings in backticks with the options of the same name.
pub fn name_options(message: &str) -> String {
    let command = command_line();
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
    let renamed: String = parts.iter().enumerate().map(part).collect();
    if quotes_are_paired { renamed } else { message.to_owned() }
}

/// Converts `SourceBucket` and `SOURCE_BUCKET` to `source-bucket`.
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
