//! The fixed texts of the help, such as examples and exit codes, and its colors.

use clap::builder::styling::{AnsiColor, Styles};

pub(super) const ABOUT: &str =
    "Sets up, maintains and verifies S3 replication of KMS-encrypted buckets";

pub(super) const EXAMPLES: &str = "\
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

pub(super) const PLAN_EXAMPLES: &str = "\
Examples:
  s3-kms-replication plan --source-bucket orders --destination-bucket orders-replica \\
    --replica-kms-key-arn arn:aws:kms:us-west-2:111122223333:alias/dr
  s3-kms-replication plan --policy policy.json --all --detailed-exitcode";

pub(super) const APPLY_EXAMPLES: &str = "\
Examples:
  s3-kms-replication apply --source-bucket orders --destination-bucket orders-replica \\
    --replica-kms-key-arn arn:aws:kms:us-west-2:111122223333:alias/dr
  s3-kms-replication apply --policy policy.json --all";

pub(super) const DELETE_EXAMPLES: &str = "\
Examples:
  s3-kms-replication delete --source-bucket orders --destination-bucket orders-replica
  s3-kms-replication delete --source-bucket orders --name orders-replica --dry-run

The other options of `apply` are accepted and have no effect.";

pub(super) const VERIFY_EXAMPLES: &str = "\
Examples:
  s3-kms-replication verify --source-bucket orders --destination-bucket orders-replica
  s3-kms-replication verify --source-bucket orders --name orders-replica --destination-profile dr

The other options of `apply` are accepted and have no effect.";

pub(super) const REPLAY_EXAMPLES: &str = "\
Examples:
  s3-kms-replication replay --source-bucket orders --destination-bucket orders-replica --report-bucket reports
  s3-kms-replication replay --source-bucket orders --name their-rule --report-bucket reports --dry-run

For a rule that others have made, it prints the statements that their role lacks, and changes nothing.";

pub(super) const POLICIES_EXAMPLES: &str = "\
Example:
  s3-kms-replication policies --source-bucket orders --destination-bucket orders-replica \\
    --source-kms-key-arns arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab \\
    --replica-kms-key-arn arn:aws:kms:us-west-2:111122223333:key/0987dcba-09fe-87dc-65ba-ab0987654321";

pub(super) const COMPLETIONS_EXAMPLES: &str = "\
Example:
  s3-kms-replication completions bash > ~/.local/share/bash-completion/completions/s3-kms-replication";

pub(super) const MAN_EXAMPLES: &str = "\
Example:
  s3-kms-replication man apply | man -l -";

pub(super) const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default().bold())
    .placeholder(AnsiColor::Cyan.on_default());
