//! The actions of plans.
//!
//! It owns the data of each action: what the action changes, and the state before it. It must not know how actions are executed.

use std::fmt;

use super::{NewJob, ResourcePolicyWrite, rules};
use crate::iam_policy::{self, RolePolicyDocument, Statement};
use crate::model::{
    Access, Alarm, BucketLocation, BucketName, Encryption, InlinePolicyName, OptionalRight,
    ReplicationConfiguration, ReplicationRule, ResourcePolicyTarget, RoleName, RoleOwner, RuleId,
    Versioning,
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

/// What an action replaces as a whole. A foreign write after the snapshot would be lost.
#[derive(Debug, Clone, Copy)]
pub enum Replaces<'a> {
    /// A bucket's replication configuration.
    Replication(ReplicationWrite<'a>),
    /// The policy of a bucket or a key.
    ResourcePolicy(ResourcePolicyWrite<'a>),
    /// Nothing that has foreign writers.
    Nothing,
}

/// A write of a replication configuration.
#[derive(Debug, Clone, Copy)]
pub struct ReplicationWrite<'a> {
    /// The source bucket.
    pub location: &'a BucketLocation,
    before: Option<&'a ReplicationConfiguration>,
    after: Option<&'a ReplicationConfiguration>,
    /// Our rule.
    pub rule: &'a RuleId,
}

impl ReplicationWrite<'_> {
    /// Our rule before the write.
    pub fn rule_before(&self) -> Option<&ReplicationRule> {
        rules::find(self.before, self.rule)
    }

    /// Our rule after the write.
    pub fn rule_after(&self) -> Option<&ReplicationRule> {
        rules::find(self.after, self.rule)
    }

    /// Whether `current` is the configuration that the plan was made for.
    pub fn precondition_holds(&self, current: Option<&ReplicationConfiguration>) -> bool {
        current == self.before
    }

    /// Whether `current` shows the write of our rule. S3 may return the configuration before for a while.
    pub fn is_reflected_in(&self, current: Option<&ReplicationConfiguration>) -> bool {
        let shown = |configuration: Option<&ReplicationConfiguration>| {
            let rule = rules::find(configuration, self.rule)?;
            Some((configuration?.role().to_owned(), rule.clone()))
        };
        shown(self.after) == shown(current)
    }
}

impl Action {
    /// What the action replaces as a whole.
    pub fn replaces(&self) -> Replaces<'_> {
        match self {
            Self::PutReplication { location, before, configuration, rule } => {
                let (before, after) = (before.as_ref(), Some(configuration));
                Replaces::Replication(ReplicationWrite { location, before, after, rule })
            }
            Self::DeleteReplication { location, before, rule } => {
                Replaces::Replication(ReplicationWrite {
                    location,
                    before: Some(before),
                    after: None,
                    rule,
                })
            }
            Self::PutStatement { target, before, statement, had_policy } => {
                Replaces::ResourcePolicy(ResourcePolicyWrite {
                    target,
                    sid: statement.sid(),
                    before: before.as_deref(),
                    statement: Some(statement),
                    had_policy: *had_policy,
                })
            }
            Self::RemoveStatement { target, sid, before } => {
                Replaces::ResourcePolicy(ResourcePolicyWrite {
                    target,
                    sid,
                    before: Some(before),
                    statement: None,
                    had_policy: true,
                })
            }
            Self::CreateBucket { .. }
            | Self::EnableVersioning { .. }
            | Self::EncryptBucket { .. }
            | Self::BlockPublicAccess { .. }
            | Self::CreateRole { .. }
            | Self::UpdateAssumeRolePolicy { .. }
            | Self::PutRolePermissionsBoundary { .. }
            | Self::PutRolePolicy { .. }
            | Self::DeleteRolePolicy { .. }
            | Self::DeleteRole { .. }
            | Self::PutAlarm { .. }
            | Self::DeleteAlarm { .. }
            | Self::StartJob { .. }
            | Self::CancelJob { .. }
            | Self::TagRole { .. }
            | Self::KeepForNow { .. }
            | Self::UntagRole { .. } => Replaces::Nothing,
        }
    }

    /// The bucket or key whose policy the action changes.
    pub fn resource_policy(&self) -> Option<&ResourcePolicyTarget> {
        match self.replaces() {
            Replaces::ResourcePolicy(write) => Some(write.target),
            Replaces::Replication(_) | Replaces::Nothing => None,
        }
    }

    /// The credentials with which the action is executed.
    pub fn access(&self) -> &Access {
        static OWN: Access = Access::Own;
        match self {
            Self::CreateBucket { location, .. }
            | Self::EnableVersioning { location, .. }
            | Self::EncryptBucket { location, .. }
            | Self::BlockPublicAccess { location }
            | Self::PutReplication { location, .. }
            | Self::DeleteReplication { location, .. } => &location.access,
            Self::PutStatement { target, .. } | Self::RemoveStatement { target, .. } => {
                target.access()
            }
            Self::CreateRole { .. }
            | Self::UpdateAssumeRolePolicy { .. }
            | Self::PutRolePermissionsBoundary { .. }
            | Self::PutRolePolicy { .. }
            | Self::DeleteRolePolicy { .. }
            | Self::DeleteRole { .. }
            | Self::TagRole { .. }
            | Self::KeepForNow { .. }
            | Self::UntagRole { .. }
            | Self::StartJob { .. }
            | Self::CancelJob { .. }
            | Self::PutAlarm { .. }
            | Self::DeleteAlarm { .. } => &OWN,
        }
    }

    /// The replication configuration that the action writes.
    pub fn written_configuration(&self) -> Option<&ReplicationConfiguration> {
        match self.replaces() {
            Replaces::Replication(write) => write.after,
            Replaces::ResourcePolicy(_) | Replaces::Nothing => None,
        }
    }

    /// Whether the action is one on the role, or passes it to S3.
    pub fn uses_role(&self, name: &RoleName) -> bool {
        match self {
            Self::CreateRole { name: role, .. }
            | Self::UpdateAssumeRolePolicy { name: role, .. }
            | Self::PutRolePermissionsBoundary { name: role, .. }
            | Self::PutRolePolicy { role, .. }
            | Self::DeleteRolePolicy { role, .. }
            | Self::DeleteRole { name: role, .. }
            | Self::TagRole { role, .. }
            | Self::KeepForNow { role, .. }
            | Self::UntagRole { role, .. } => role == name,
            Self::StartJob { job } => job.role == *name,
            Self::PutReplication { configuration, .. } => {
                RoleName::from_arn(configuration.role()).as_ref() == Some(name)
            }
            Self::CreateBucket { .. }
            | Self::EnableVersioning { .. }
            | Self::EncryptBucket { .. }
            | Self::BlockPublicAccess { .. }
            | Self::PutStatement { .. }
            | Self::RemoveStatement { .. }
            | Self::PutAlarm { .. }
            | Self::DeleteAlarm { .. }
            | Self::CancelJob { .. }
            | Self::DeleteReplication { .. } => false,
        }
    }

    /// Whether the action is one on the bucket.
    pub fn uses_bucket(&self, bucket: &BucketName) -> bool {
        match self {
            Self::CreateBucket { location, .. }
            | Self::EnableVersioning { location, .. }
            | Self::EncryptBucket { location, .. }
            | Self::BlockPublicAccess { location }
            | Self::PutReplication { location, .. }
            | Self::DeleteReplication { location, .. }
            | Self::PutStatement { target: ResourcePolicyTarget::Bucket(location), .. }
            | Self::RemoveStatement { target: ResourcePolicyTarget::Bucket(location), .. } => {
                location.bucket == *bucket
            }
            Self::PutStatement { target: ResourcePolicyTarget::Key { .. }, .. }
            | Self::RemoveStatement { target: ResourcePolicyTarget::Key { .. }, .. }
            | Self::CreateRole { .. }
            | Self::UpdateAssumeRolePolicy { .. }
            | Self::PutRolePermissionsBoundary { .. }
            | Self::PutRolePolicy { .. }
            | Self::DeleteRolePolicy { .. }
            | Self::DeleteRole { .. }
            | Self::TagRole { .. }
            | Self::KeepForNow { .. }
            | Self::UntagRole { .. }
            | Self::StartJob { .. }
            | Self::CancelJob { .. }
            | Self::PutAlarm { .. }
            | Self::DeleteAlarm { .. } => false,
        }
    }

    /// Whether the action gives a role more trust or rights.
    pub fn extends_role(&self) -> bool {
        matches!(
            self,
            Self::CreateRole { .. }
                | Self::UpdateAssumeRolePolicy { .. }
                | Self::PutRolePolicy { .. }
        )
    }

    /// Whether objects may be replicated after the action that were not before.
    pub fn mends_replication(&self) -> bool {
        match self {
            Self::CreateBucket { .. }
            | Self::EnableVersioning { .. }
            | Self::CreateRole { .. }
            | Self::PutStatement { .. }
            | Self::PutReplication { .. } => true,
            Self::PutRolePolicy { policy, .. } => !InlinePolicyName::is_for_job(policy.as_str()),
            // S3 could assume a role with either of our trust policies.
            Self::UpdateAssumeRolePolicy { before, .. } => !iam_policy::is_own_trust(before),
            Self::EncryptBucket { .. }
            | Self::BlockPublicAccess { .. }
            | Self::PutRolePermissionsBoundary { .. }
            | Self::DeleteRolePolicy { .. }
            | Self::DeleteRole { .. }
            | Self::KeepForNow { .. }
            | Self::TagRole { .. }
            | Self::UntagRole { .. }
            | Self::RemoveStatement { .. }
            | Self::PutAlarm { .. }
            | Self::DeleteAlarm { .. }
            | Self::StartJob { .. }
            | Self::CancelJob { .. }
            | Self::DeleteReplication { .. } => false,
        }
    }

    /// The right that the action needs, if a deployment may leave it out.
    pub fn needed_right(&self) -> Option<OptionalRight> {
        let for_foreign_role =
            |role: &RoleName| (!role.has_own_prefix()).then_some(OptionalRight::ExtendForeignRole);
        match self {
            Self::CreateBucket { location, .. }
            | Self::EncryptBucket { location, .. }
            | Self::BlockPublicAccess { location } => {
                (location.access == Access::Own).then_some(OptionalRight::CreateDestinationBucket)
            }
            Self::PutRolePolicy { role, .. } | Self::DeleteRolePolicy { role, .. } => {
                for_foreign_role(role)
            }
            Self::StartJob { .. }
            | Self::CancelJob { .. }
            | Self::TagRole { .. }
            | Self::UntagRole { .. } => Some(OptionalRight::ReplicateExistingObjects),
            // To write a configuration, the caller needs `iam:PassRole` on its role.
            Self::PutReplication { configuration, .. } => {
                RoleName::from_arn(configuration.role()).as_ref().and_then(for_foreign_role)
            }
            Self::EnableVersioning { .. }
            | Self::CreateRole { .. }
            | Self::KeepForNow { .. }
            | Self::UpdateAssumeRolePolicy { .. }
            | Self::PutRolePermissionsBoundary { .. }
            | Self::DeleteRole { .. }
            | Self::PutStatement { .. }
            | Self::RemoveStatement { .. }
            | Self::PutAlarm { .. }
            | Self::DeleteAlarm { .. }
            | Self::DeleteReplication { .. } => None,
        }
    }
}

/// The API's operation and the resource.
impl fmt::Display for Action {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} on {}", self.operation(), self.resource())
    }
}
