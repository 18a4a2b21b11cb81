//! What the tests are written with. `use crate::support::*;` brings all of it.
//!
//! - **States**: [`two_buckets`], [`with_foreign_rules`], [`with_foreign_role`], [`two_accounts`] and [`with_report_bucket`] return a
//!   [`State`], which is all that AWS holds. Builders change it: `two_buckets().with_bucket("new", Bucket::new("us-west-2").versioned())`.
//! - **Samples**: [`sample`] reads a file of `events/`; [`custom_resource`] is CloudFormation's request with changed properties, [`signed`]
//!   gives it a date, [`merged`] adds JSON to JSON.
//! - **Requests**: [`invoke`] hands a payload to the program as Lambda does; [`create`], [`update`] and [`delete`] send the custom
//!   resource's requests and return the one answer. [`settings`] and [`environment`] are the program's environment.
//! - **Plans**: [`plan_apply`] plans for a state and a [`spec`] without any call, [`plan_text`] shows it, [`applied`] executes it.
//! - **The fake**: [`Fake::new`] holds a state and fails where a test says so: `fake.fail_call(3, Fault::Panic)`, `fake.refuse("CreateRole", 1, …)`.
//!   [`fault_points`] are all places in which a request can fail.
//! - **Calls**: the fake records each [`Call`] with its kind; `fake.writes()`, `fake.reads()`, `fake.count("CreateRole")`,
//!   `fake.position("CreateRole")`; `lines(&fake.writes())` is for snapshots, `fake.clear()` begins anew.
//! - **The log**: a [`Log`] collects what a subscriber writes, as [`Log::text`].

mod calls;
mod fake;
mod log;
mod requests;
mod samples;
mod snapshots;
mod statements;
mod states;

pub use calls::{Call, Kind, lines};
pub use fake::{Fake, Fault, Replicator, StartedJob, fault_points};
pub use log::Log;
pub use requests::{
    configured, create, delete, delete_with, environment, invoke, invoke_text, invoke_with, now,
    only_answer, print_count, request_environment, settings, settings_with_queue, update, verify,
    within_five_minutes,
};
pub use samples::{
    create_verified, custom_resource, deleted_demo_source, job_properties, job_status_changed,
    merged, other_account_properties, sample, signed,
};
pub use snapshots::{
    Table, applied, apply_snapshot, changes_text, delete_snapshot, executed, plan_apply, plan_text,
    role_settings, spec,
};
pub use statements::{admits_role, foreign_statements, our_statements};
pub use states::{
    Bucket, Object, Rule, State, foreign_role, foreign_rule, key, kms, parse_configuration,
    replicating, two_accounts, two_buckets, with_foreign_role, with_foreign_rules,
    with_report_bucket,
};

/// The account of the program.
pub const ACCOUNT: &str = "111122223333";
/// Another account, which owns destinations.
pub const OTHER_ACCOUNT: &str = "444455556666";
/// The default key of the source buckets.
pub const SOURCE_KEY: &str = "arn:aws:kms:us-east-1:111122223333:key/source";
/// The key that encrypts replicas.
pub const REPLICA_KEY: &str =
    "arn:aws:kms:us-west-2:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";
/// A key of the other account.
pub const OTHER_ACCOUNT_KEY: &str = "arn:aws:kms:us-west-2:444455556666:key/theirs";
/// The topic of alarms.
pub const TOPIC: &str = "arn:aws:sns:us-east-1:111122223333:alarms";
/// The role that the function runs as.
pub const EXECUTION_ROLE: &str = "arn:aws:iam::111122223333:role/s3-kms-replication-function";
/// The role that the program makes for bucket `demo-source`: its name, and its ARN.
pub const OWN_ROLE_NAME: &str = "s3-crr-demo-source";
pub const OWN_ROLE: &str = "arn:aws:iam::111122223333:role/s3-kms-replication/s3-crr-demo-source";
/// A role that the program has not made.
pub const FOREIGN_ROLE: &str = "arn:aws:iam::111122223333:role/service-role/their-replication";
/// The id of the custom resource's rule.
pub const CUSTOM_RULE: &str = "s3-kms-replication.demo-Replication-a6e2a683";
/// The policies of the destination and of its key in the other account.
pub const BUCKET_POLICY: &str = r#"{"Version":"2012-10-17","Statement":[{"Sid":"TlsOnly", "Effect":"Deny","Principal":"*","Action":"s3:*","Resource":"arn:aws:s3:::abroad","Condition":{"Bool":{"aws:SecureTransport":"false"}}}]}"#;
pub const KEY_POLICY: &str = r#"{"Id":"key-default-1","Version":"2012-10-17","Statement":[{"Sid":"Enable IAM User Permissions","Effect":"Allow","Principal":{"AWS":"arn:aws:iam::444455556666:root"},"Action":"kms:*","Resource":"*"}]}"#;
/// The replication policy of [`settings`].
pub const POLICY: &str = r#"{"Rules": [{
    "Name": "dr",
    "Match": {"BucketNames": ["prod-*"], "ExcludeBucketNames": ["prod-scratch-*"]},
    "DestinationBucket": "{bucket}-replica",
    "DestinationRegion": "us-west-2",
    "ReplicaKmsKeyArn": "arn:aws:kms:us-west-2:111122223333:alias/dr",
    "CreateDestinationBucket": true
}, {
    "Name": "audit",
    "Match": {"BucketNames": ["prod-o*"], "BucketTags": {"audit": "true"}},
    "DestinationBucket": "audit-{account}",
    "ExistingDestination": "Use",
    "ReplicaKmsKeyArn": "arn:aws:kms:us-west-2:111122223333:alias/dr"
}]}"#;
