//! The actions that plans are made of: each holds all that it takes, and the state before it.

use std::fmt;

use super::{NewJob, rules};
use crate::iam_policy::{PolicyDocument, ResourcePolicy, Statement};
use crate::model::{
    Access, Alarm, BucketName, Encryption, Location, PolicyName, PolicyTarget,
    ReplicationConfiguration, RoleName, RuleId, Versioning,
};

/// One change, with all that it takes and the state before it.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Creates a destination bucket, tagged as ours.
    CreateBucket {
        /// The bucket to be.
        location: Location,
        /// The source bucket for which it is made.
        source: BucketName,
    },
    /// Enables versioning.
    EnableVersioning {
        /// The bucket.
        location: Location,
        /// Its versioning before.
        before: Versioning,
    },
    /// Sets SSE-KMS with a Bucket Key as the default encryption of a bucket that was created here.
    EncryptBucket {
        /// The bucket.
        location: Location,
        /// Its default encryption before.
        before: Encryption,
        /// ARN of the key.
        key: String,
    },
    /// Blocks all public access to a bucket that was created here.
    BlockPublicAccess {
        /// The bucket.
        location: Location,
    },
    /// Creates the replication role, tagged as ours.
    CreateRole {
        /// Its name.
        name: RoleName,
        /// Its path.
        path: String,
        /// Its trust policy.
        trust: PolicyDocument,
        /// ARN of its permissions boundary.
        boundary: Option<String>,
        /// The source bucket that it serves.
        source: BucketName,
    },
    /// Restores the trust policy of a role of ours.
    UpdateAssumeRolePolicy {
        /// The role.
        name: RoleName,
        /// The trust policy before, as JSON text.
        before: String,
        /// The trust policy.
        trust: PolicyDocument,
    },
    /// Sets the permissions boundary of a role of ours.
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
        policy: PolicyName,
        /// The policy before, as JSON text.
        before: Option<String>,
        /// The policy.
        document: PolicyDocument,
    },
    /// Removes an inline policy of ours.
    DeleteRolePolicy {
        /// The role.
        role: RoleName,
        /// The policy's name.
        policy: PolicyName,
        /// The policy before, as JSON text.
        before: String,
    },
    /// Removes a role of ours.
    DeleteRole {
        /// The role.
        name: RoleName,
    },
    /// Puts a statement of ours into a policy of the destination's account.
    PutStatement {
        /// The bucket or key whose policy it is.
        target: PolicyTarget,
        /// The statement of this `Sid` before, as JSON text.
        before: Option<String>,
        /// The statement.
        statement: Box<Statement>,
    },
    /// Takes a statement of ours out of a policy of the destination's account.
    RemoveStatement {
        /// The bucket or key whose policy it is.
        target: PolicyTarget,
        /// The statement's `Sid`.
        sid: String,
        /// The statement before, as JSON text.
        before: String,
    },
    /// Makes the alarm on what the rule fails to replicate.
    PutAlarm {
        /// The alarm before.
        before: Option<Box<Alarm>>,
        /// The alarm.
        alarm: Box<Alarm>,
    },
    /// Removes an alarm of ours.
    DeleteAlarm {
        /// The alarm before.
        alarm: Box<Alarm>,
    },
    /// Starts a job that replicates the objects that are there already, and notes it in a tag of the role.
    StartJob {
        /// The job.
        job: Box<NewJob>,
    },
    /// Cancels a job of ours.
    CancelJob {
        /// The source bucket.
        location: Location,
        /// The job's id.
        id: String,
        /// Its state before.
        before: String,
    },
    /// Takes the tag that notes a job away from a role of ours that stays.
    UntagRole {
        /// The role.
        role: RoleName,
        /// The tag's key.
        tag: PolicyName,
        /// Its value before.
        before: String,
    },
    /// Replaces the replication configuration.
    PutReplication {
        /// The source bucket.
        location: Location,
        /// The configuration before.
        before: Option<ReplicationConfiguration>,
        /// The configuration: the state before, but for our rule.
        configuration: ReplicationConfiguration,
        /// Our rule, which this adds, changes or takes out.
        rule: RuleId,
    },
    /// Removes a replication configuration that would have no rule left.
    DeleteReplication {
        /// The source bucket.
        location: Location,
        /// The configuration before.
        before: ReplicationConfiguration,
        /// Our rule, its last one.
        rule: RuleId,
    },
}

/// What an action replaces as a whole, so that a foreign write since the snapshot would be lost.
#[derive(Debug, Clone, Copy)]
pub enum Replaces<'a> {
    /// A bucket's replication configuration.
    Replication(ReplicationWrite<'a>),
    /// The policy of a bucket or a key.
    ResourcePolicy(PolicyWrite<'a>),
    /// Nothing that others write, too.
    Nothing,
}

/// A write of a replication configuration.
#[derive(Debug, Clone, Copy)]
pub struct ReplicationWrite<'a> {
    /// The source bucket.
    pub location: &'a Location,
    before: Option<&'a ReplicationConfiguration>,
    after: Option<&'a ReplicationConfiguration>,
    /// Our rule.
    pub rule: &'a RuleId,
}

impl ReplicationWrite<'_> {
    /// Whether `current` is what the plan was made for.
    pub fn precondition_holds(&self, current: Option<&ReplicationConfiguration>) -> bool {
        current == self.before
    }

    /// Whether `current` shows what was written about our rule: S3 may answer with the configuration before for a while.
    pub fn is_reflected_in(&self, current: Option<&ReplicationConfiguration>) -> bool {
        let shown = |configuration: Option<&ReplicationConfiguration>| {
            let rule = rules::find(configuration, self.rule)?;
            Some((configuration?.role().to_owned(), rule.clone()))
        };
        shown(self.after) == shown(current)
    }
}

/// A write of a resource policy.
#[derive(Debug, Clone, Copy)]
pub struct PolicyWrite<'a> {
    /// The bucket or key whose policy it is.
    pub target: &'a PolicyTarget,
    sid: &'a str,
    /// `None` when the statement is removed.
    statement: Option<&'a Statement>,
}

impl PolicyWrite<'_> {
    /// The policy with the change of our statement.
    pub fn apply_to(&self, policy: ResourcePolicy) -> ResourcePolicy {
        match self.statement {
            Some(statement) => policy.with(statement),
            None => policy.without(self.sid),
        }
    }

    /// Whether the policy shows what was written about our statement.
    pub fn is_reflected_in(&self, policy: Option<&str>) -> bool {
        let policy = ResourcePolicy::parse(policy);
        let shown = policy.as_ref().and_then(|policy| policy.statement(self.sid));
        match self.statement {
            Some(statement) => shown.is_some_and(|text| statement.is(text)),
            None => shown.is_none(),
        }
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
            Self::PutStatement { target, statement, .. } => Replaces::ResourcePolicy(PolicyWrite {
                target,
                sid: statement.sid(),
                statement: Some(statement),
            }),
            Self::RemoveStatement { target, sid, .. } => {
                Replaces::ResourcePolicy(PolicyWrite { target, sid, statement: None })
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
            | Self::UntagRole { .. } => Replaces::Nothing,
        }
    }

    /// The bucket or key whose policy the action changes.
    pub fn resource_policy(&self) -> Option<&PolicyTarget> {
        match self.replaces() {
            Replaces::ResourcePolicy(write) => Some(write.target),
            Replaces::Replication(_) | Replaces::Nothing => None,
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
            | Self::DeleteRole { name: role }
            | Self::UntagRole { role, .. } => role == name,
            Self::StartJob { job } => job.role == *name,
            Self::PutReplication { configuration, .. } => {
                RoleName::of_arn(configuration.role()).as_ref() == Some(name)
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
            | Self::PutStatement { target: PolicyTarget::Bucket(location), .. }
            | Self::RemoveStatement { target: PolicyTarget::Bucket(location), .. } => {
                location.bucket == *bucket
            }
            Self::PutStatement { target: PolicyTarget::Key { .. }, .. }
            | Self::RemoveStatement { target: PolicyTarget::Key { .. }, .. }
            | Self::CreateRole { .. }
            | Self::UpdateAssumeRolePolicy { .. }
            | Self::PutRolePermissionsBoundary { .. }
            | Self::PutRolePolicy { .. }
            | Self::DeleteRolePolicy { .. }
            | Self::DeleteRole { .. }
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

    /// The template's parameter that gives the function the right to do this, when the right is optional.
    pub fn parameter(&self) -> Option<&'static str> {
        let of_foreign = |role: &RoleName| (!role.has_our_form()).then_some("ExtendableRoleArns");
        match self {
            Self::CreateBucket { location, .. }
            | Self::EncryptBucket { location, .. }
            | Self::BlockPublicAccess { location } => {
                (location.access == Access::Own).then_some("AllowCreateDestinationBuckets")
            }
            Self::PutRolePolicy { role, .. } | Self::DeleteRolePolicy { role, .. } => {
                of_foreign(role)
            }
            Self::StartJob { .. } | Self::CancelJob { .. } | Self::UntagRole { .. } => {
                Some(super::JOB_PARAMETER)
            }
            // Writing a configuration passes its role to S3.
            Self::PutReplication { configuration, .. } => {
                RoleName::of_arn(configuration.role()).as_ref().and_then(of_foreign)
            }
            Self::EnableVersioning { .. }
            | Self::CreateRole { .. }
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
