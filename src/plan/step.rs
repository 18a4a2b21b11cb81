//! The changes that plans are made of.

use aws_sdk_s3::types::ReplicationConfiguration;

use super::{NewJob, rules, text};
use crate::cloud::{Alarm, Encryption, Guarded, Location, Versioning};
use crate::grants::{PolicyDocument, ResourcePolicy, Statement};
use crate::spec::{Access, BucketName, PolicyName, RoleName, RuleId};

/// One change, with all that it takes and what was there before.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
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
        was: Versioning,
    },
    /// Sets SSE-KMS with a Bucket Key as the default encryption of a bucket that was created here.
    EncryptBucket {
        /// The bucket.
        location: Location,
        /// Its default encryption before.
        was: Encryption,
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
        was: String,
        /// The trust policy.
        trust: PolicyDocument,
    },
    /// Sets the permissions boundary of a role of ours.
    PutRolePermissionsBoundary {
        /// The role.
        name: RoleName,
        /// ARN of the boundary before.
        was: Option<String>,
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
        was: Option<String>,
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
        was: String,
    },
    /// Removes a role of ours.
    DeleteRole {
        /// The role.
        name: RoleName,
    },
    /// Puts a statement of ours into a policy of the destination's account.
    PutStatement {
        /// What the policy guards.
        guarded: Guarded,
        /// The statement of this `Sid` before, as JSON text.
        was: Option<String>,
        /// The statement.
        statement: Box<Statement>,
    },
    /// Takes a statement of ours out of a policy of the destination's account.
    RemoveStatement {
        /// What the policy guards.
        guarded: Guarded,
        /// The statement's `Sid`.
        sid: String,
        /// The statement before, as JSON text.
        was: String,
    },
    /// Makes the alarm on what the rule fails to replicate.
    PutAlarm {
        /// The alarm before.
        was: Option<Box<Alarm>>,
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
        was: String,
    },
    /// Takes the tag that notes a job away from a role of ours that stays.
    UntagRole {
        /// The role.
        role: RoleName,
        /// The tag's key.
        tag: PolicyName,
        /// Its value before.
        was: String,
    },
    /// Replaces the replication configuration.
    PutReplication {
        /// The source bucket.
        location: Location,
        /// The configuration before.
        was: Option<ReplicationConfiguration>,
        /// The configuration: `was` but for our rule.
        configuration: ReplicationConfiguration,
        /// Our rule, which this adds, changes or takes out.
        rule: RuleId,
    },
    /// Removes a replication configuration that would have no rule left.
    DeleteReplication {
        /// The source bucket.
        location: Location,
        /// The configuration before.
        was: ReplicationConfiguration,
        /// Our rule, its last one.
        rule: RuleId,
    },
}

impl Step {
    /// The bucket whose replication configuration the step writes.
    pub fn writes_replication_of(&self) -> Option<&Location> {
        match self {
            Self::PutReplication { location, .. } | Self::DeleteReplication { location, .. } => Some(location),
            _ => None,
        }
    }

    /// Whether the step gives a role more trust or rights.
    pub fn extends_role(&self) -> bool {
        matches!(self, Self::CreateRole { .. } | Self::UpdateAssumeRolePolicy { .. } | Self::PutRolePolicy { .. })
    }

    /// Whether `current` is what the step was planned to replace.
    pub fn replaces(&self, current: Option<&ReplicationConfiguration>) -> bool {
        match self {
            Self::PutReplication { was, .. } => current == was.as_ref(),
            Self::DeleteReplication { was, .. } => current == Some(was),
            _ => true,
        }
    }

    /// Whether a policy shows what the step did to our statement.
    pub fn shows_in_policy(&self, policy: Option<&str>) -> bool {
        let policy = ResourcePolicy::parse(policy);
        let shown = |sid: &str| policy.as_ref().and_then(|policy| policy.statement(sid));
        match self {
            Self::PutStatement { statement, .. } => shown(statement.sid()).is_some_and(|text| statement.is(text)),
            Self::RemoveStatement { sid, .. } => shown(sid).is_none(),
            _ => true,
        }
    }

    /// What has the policy that the step changes.
    pub fn changes_policy_of(&self) -> Option<&Guarded> {
        match self {
            Self::PutStatement { guarded, .. } | Self::RemoveStatement { guarded, .. } => Some(guarded),
            _ => None,
        }
    }

    /// The template's parameter that gives the function the right to do this, when it is one that not everybody needs.
    pub fn parameter(&self) -> Option<&'static str> {
        let of_others = |role: &RoleName| (!role.has_our_form()).then_some("ExtendableRoleArns");
        match self {
            Self::CreateBucket { location, .. } | Self::EncryptBucket { location, .. } | Self::BlockPublicAccess { location } => {
                (location.access == Access::Own).then_some("AllowCreateDestinationBuckets")
            }
            Self::PutRolePolicy { role, .. } | Self::DeleteRolePolicy { role, .. } => of_others(role),
            Self::StartJob { .. } | Self::CancelJob { .. } | Self::UntagRole { .. } => Some(super::JOB_PARAMETER),
            // Writing a configuration passes its role to S3.
            Self::PutReplication { configuration, .. } => RoleName::of_arn(configuration.role()).as_ref().and_then(of_others),
            _ => None,
        }
    }

    /// Whether a replication configuration shows what the step did to our rule: S3 may answer with the earlier one for a while.
    pub fn shows_in(&self, current: Option<&ReplicationConfiguration>) -> bool {
        let (wanted, rule) = match self {
            Self::PutReplication { configuration, rule, .. } => (Some(configuration), rule),
            Self::DeleteReplication { rule, .. } => (None, rule),
            _ => return true,
        };
        let shown = |configuration: Option<&ReplicationConfiguration>| {
            let lines = text::rule_lines(rules::find(configuration, rule)?);
            Some((configuration?.role().to_owned(), lines))
        };
        shown(wanted) == shown(current)
    }
}
