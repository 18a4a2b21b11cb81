//! The options of the command line.
//!
//! It owns the commands and the options of each. Options have the names of the properties. It must not validate their values, since the
//! library does. Only the values that shells complete are listed here as well.

mod command_line;
mod convert;
mod deployment;
mod naming;
mod rule;
mod texts;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
pub use command_line::command_line;
pub use convert::{command, read_policy};
pub use deployment::{DeployedFunction, Deployment};
pub use naming::name_options;
use rule::Properties;
pub use rule::{Rule, RuleTarget};
use s3_kms_replication::model::Region;
use serde::Serialize;
use texts::{
    ABOUT, APPLY_EXAMPLES, COMPLETIONS_EXAMPLES, DELETE_EXAMPLES, EXAMPLES, MAN_EXAMPLES,
    PLAN_EXAMPLES, POLICIES_EXAMPLES, REPLAY_EXAMPLES, STYLES, VERIFY_EXAMPLES,
};

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

fn region_code(text: &str) -> Result<Region, &'static str> {
    Region::parse(text).map_err(|_| "a Region's code looks like us-east-1")
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
