//! The actions of plans.
//!
//! It owns the data of each action: what the action changes, and the state before it. It must not know how actions are executed. What else is
//! true of an action is in a module for each question.

mod document;
mod operation;
mod outcome;
mod replaces;
mod requirements;
mod subject;
mod values;

pub use self::replaces::Replaces;
use self::subject::Subject;
use super::NewJob;
use crate::iam_policy::{RolePolicyDocument, Statement};
use crate::model::{
    Alarm, BucketLocation, BucketName, Encryption, InlinePolicyName, ReplicationConfiguration,
    ResourcePolicyTarget, RoleName, RoleOwner, RuleId, Versioning,
};

/// One change, with everything that its execution needs and the state before it.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Creates a destination bucket with our tag.
    CreateBucket {
        /// The bucket.
        location: BucketLocation,
        /// The source bucket, which the tag names.
        source: BucketName,
    },
    /// Enables versioning.
    EnableVersioning {
        /// The bucket.
        location: BucketLocation,
        /// Its versioning before.
        before: Versioning,
    },
    /// Sets SSE-KMS with a Bucket Key as the default encryption of a bucket that this program created.
    EncryptBucket {
        /// The bucket.
        location: BucketLocation,
        /// Its default encryption before.
        before: Encryption,
        /// ARN of the key.
        key: String,
    },
    /// Blocks all public access to a bucket that this program created.
    BlockPublicAccess {
        /// The bucket.
        location: BucketLocation,
    },
    /// Creates the replication role with our tag.
    CreateRole {
        /// Its name.
        name: RoleName,
        /// Its path.
        path: String,
        /// Its trust policy.
        trust: RolePolicyDocument,
        /// ARN of its permissions boundary.
        boundary: Option<String>,
        /// What the role is for, which the tag names.
        owner: RoleOwner,
    },
    /// Records in a tag of our role that the role, or its earlier grants, must stay for [`KEEP_TIME`](super::KEEP_TIME) from now on.
    KeepForNow {
        /// The role.
        role: RoleName,
        /// The tag's value before.
        before: Option<String>,
    },
    /// Restores the trust policy of our role.
    UpdateAssumeRolePolicy {
        /// The role.
        name: RoleName,
        /// The trust policy before, as JSON text.
        before: String,
        /// The trust policy.
        trust: RolePolicyDocument,
    },
    /// Sets the permissions boundary of our role.
    PutRolePermissionsBoundary {
        /// The role.
        name: RoleName,
        /// ARN of the boundary before.
        before: Option<String>,
        /// ARN of the boundary.
        boundary: String,
    },
    /// Writes a rule's inline policy.
    PutRolePolicy {
        /// The role.
        role: RoleName,
        /// The policy's name.
        policy: InlinePolicyName,
        /// The policy before, as JSON text.
        before: Option<String>,
        /// The policy.
        document: RolePolicyDocument,
    },
    /// Deletes our inline policy.
    DeleteRolePolicy {
        /// The role.
        role: RoleName,
        /// The policy's name.
        policy: InlinePolicyName,
        /// The policy before, as JSON text.
        before: String,
    },
    /// Deletes our role.
    DeleteRole {
        /// The role.
        name: RoleName,
        /// The trust policy before, as JSON text.
        before: String,
    },
    /// Writes our statement into a policy in the destination's account.
    PutStatement {
        /// The bucket or key that has the policy.
        target: ResourcePolicyTarget,
        /// The statement with this `Sid` before, as JSON text.
        before: Option<String>,
        /// The statement.
        statement: Box<Statement>,
        /// Whether the bucket or key had a policy before.
        had_policy: bool,
    },
    /// Removes our statement from a policy in the destination's account.
    RemoveStatement {
        /// The bucket or key that has the policy.
        target: ResourcePolicyTarget,
        /// The statement's `Sid`.
        sid: String,
        /// The statement before, as JSON text.
        before: String,
    },
    /// Creates or updates the alarm on failed replication.
    PutAlarm {
        /// The alarm before.
        before: Option<Box<Alarm>>,
        /// The alarm.
        alarm: Box<Alarm>,
    },
    /// Deletes our alarm.
    DeleteAlarm {
        /// The alarm before.
        alarm: Box<Alarm>,
    },
    /// Starts a job that replicates existing objects, and records the job in a tag of our role.
    StartJob {
        /// The job.
        job: Box<NewJob>,
    },
    /// Cancels our job.
    CancelJob {
        /// The source bucket.
        location: BucketLocation,
        /// The job's id.
        id: String,
        /// Its state before.
        before: String,
    },
    /// Records in a tag of our role that a job was requested, and that there was nothing to replicate.
    TagRole {
        /// The role.
        role: RoleName,
        /// The tag's key.
        tag: InlinePolicyName,
        /// Its value before.
        before: Option<String>,
        /// Its value.
        value: String,
    },
    /// Removes the tag that records a job from our role.
    UntagRole {
        /// The role.
        role: RoleName,
        /// The tag's key.
        tag: InlinePolicyName,
        /// Its value before.
        before: String,
    },
    /// Replaces the replication configuration.
    PutReplication {
        /// The source bucket.
        location: BucketLocation,
        /// The configuration before.
        before: Option<ReplicationConfiguration>,
        /// The configuration after. It differs from the one before only in our rule.
        configuration: ReplicationConfiguration,
        /// Our rule, which is added, changed or removed.
        rule: RuleId,
    },
    /// Deletes a replication configuration whose last rule is ours.
    DeleteReplication {
        /// The source bucket.
        location: BucketLocation,
        /// The configuration before.
        before: ReplicationConfiguration,
        /// Our rule.
        rule: RuleId,
    },
}
