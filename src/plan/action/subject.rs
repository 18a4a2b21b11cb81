//! What an action is on: one thing of AWS, which has a name, an owner and a place.
//!
//! It owns which thing that is for each action, and its name in texts. It must not know what happens to the thing.

use std::fmt;

use super::Action;
use crate::model::{
    Alarm, BucketLocation, BucketName, InlinePolicyName, KEEP_TAG, ResourcePolicyTarget, RoleName,
};
use crate::plan::{NewJob, ReplicationWrite, ResourcePolicyWrite};

/// What an action is on.
#[derive(Debug, Clone, Copy)]
pub(super) enum Subject<'a> {
    /// The versioning of a bucket.
    Versioning(&'a BucketLocation),
    /// A destination bucket that this program creates, or a setting of it.
    CreatedDestination(&'a BucketLocation),
    /// A bucket's replication configuration.
    Replication(ReplicationWrite<'a>),
    /// Our statement in the policy of a bucket or a key.
    ResourcePolicy(ResourcePolicyWrite<'a>),
    /// A role, its trust policy or its permissions boundary.
    Role(&'a RoleName),
    /// An inline policy of a role.
    InlinePolicy { role: &'a RoleName, policy: &'a InlinePolicyName },
    /// The tag that says how long a role must stay.
    KeepTag(&'a RoleName),
    /// The tag of a role that records a job.
    JobTag { role: &'a RoleName, tag: &'a InlinePolicyName },
    /// A job that does not exist yet.
    NewJob(&'a NewJob),
    /// The job with this id.
    RunningJob(&'a str),
    /// An alarm.
    Alarm(&'a Alarm),
}

impl fmt::Display for Subject<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Versioning(location)
            | Self::CreatedDestination(location)
            | Self::Replication(ReplicationWrite { location, .. }) => {
                write!(formatter, "bucket `{}`", location.bucket)
            }
            Self::ResourcePolicy(ResourcePolicyWrite { sid, target, .. }) => {
                write!(formatter, "statement `{sid}` of the policy of {target}")
            }
            Self::Role(name) => write!(formatter, "role `{name}`"),
            Self::InlinePolicy { role, policy } => {
                write!(formatter, "inline policy `{policy}` of role `{role}`")
            }
            Self::KeepTag(role) => write!(formatter, "tag `{KEEP_TAG}` of role `{role}`"),
            Self::JobTag { role, tag } => write!(formatter, "tag `{tag}` of role `{role}`"),
            Self::NewJob(job) => {
                write!(formatter, "the existing objects of bucket `{}`", job.location.bucket)
            }
            Self::RunningJob(id) => write!(formatter, "job `{id}`"),
            Self::Alarm(alarm) => write!(formatter, "alarm `{}`", alarm.name),
        }
    }
}

impl Action {
    /// What the action is on.
    pub(super) fn subject(&self) -> Subject<'_> {
        match self {
            Self::EnableVersioning { location, .. } => Subject::Versioning(location),
            Self::CreateBucket { location, .. }
            | Self::EncryptBucket { location, .. }
            | Self::BlockPublicAccess { location } => Subject::CreatedDestination(location),
            Self::PutReplication { location, before, configuration, rule } => {
                let (before, after) = (before.as_ref(), Some(configuration));
                Subject::Replication(ReplicationWrite { location, before, after, rule })
            }
            Self::DeleteReplication { location, before, rule } => {
                let (before, after) = (Some(before), None);
                Subject::Replication(ReplicationWrite { location, before, after, rule })
            }
            Self::PutStatement { target, before, statement, had_policy } => {
                Subject::ResourcePolicy(ResourcePolicyWrite {
                    target,
                    sid: statement.sid(),
                    before: before.as_deref(),
                    statement: Some(statement),
                    had_policy: *had_policy,
                })
            }
            Self::RemoveStatement { target, sid, before } => {
                Subject::ResourcePolicy(ResourcePolicyWrite {
                    target,
                    sid,
                    before: Some(before),
                    statement: None,
                    had_policy: true,
                })
            }
            Self::CreateRole { name, .. }
            | Self::UpdateAssumeRolePolicy { name, .. }
            | Self::PutRolePermissionsBoundary { name, .. }
            | Self::DeleteRole { name, .. } => Subject::Role(name),
            Self::PutRolePolicy { role, policy, .. }
            | Self::DeleteRolePolicy { role, policy, .. } => Subject::InlinePolicy { role, policy },
            Self::KeepForNow { role, .. } => Subject::KeepTag(role),
            Self::TagRole { role, tag, .. } | Self::UntagRole { role, tag, .. } => {
                Subject::JobTag { role, tag }
            }
            Self::StartJob { job } => Subject::NewJob(job),
            Self::CancelJob { id, .. } => Subject::RunningJob(id),
            Self::PutAlarm { alarm, .. } | Self::DeleteAlarm { alarm } => Subject::Alarm(alarm),
        }
    }

    /// The resource that the action changes.
    pub fn resource(&self) -> String {
        self.subject().to_string()
    }

    /// Whether the action is one on the role, or passes it to S3.
    pub fn uses_role(&self, name: &RoleName) -> bool {
        match self.subject() {
            Subject::Role(role)
            | Subject::InlinePolicy { role, .. }
            | Subject::KeepTag(role)
            | Subject::JobTag { role, .. }
            | Subject::NewJob(NewJob { role, .. }) => role == name,
            Subject::Replication(write) => write.role_after().as_ref() == Some(name),
            Subject::Versioning(_)
            | Subject::CreatedDestination(_)
            | Subject::ResourcePolicy(_)
            | Subject::RunningJob(_)
            | Subject::Alarm(_) => false,
        }
    }

    /// Whether the action is one on the bucket.
    pub fn uses_bucket(&self, bucket: &BucketName) -> bool {
        let location = match self.subject() {
            Subject::Versioning(location)
            | Subject::CreatedDestination(location)
            | Subject::Replication(ReplicationWrite { location, .. }) => Some(location),
            Subject::ResourcePolicy(write) => match write.target {
                ResourcePolicyTarget::Bucket(location) => Some(location),
                ResourcePolicyTarget::Key { .. } => None,
            },
            Subject::Role(_)
            | Subject::InlinePolicy { .. }
            | Subject::KeepTag(_)
            | Subject::JobTag { .. }
            | Subject::NewJob(_)
            | Subject::RunningJob(_)
            | Subject::Alarm(_) => None,
        };
        location.is_some_and(|location| location.bucket == *bucket)
    }
}
