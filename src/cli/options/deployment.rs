//! The options that must have the values of a deployed function.
//!
//! It owns which of the function's settings are options. It must not know how these become settings.

use clap::Args;

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
