//! The operation of AWS's API that an action is.
//!
//! It owns the names of operations. It must not know how they are called.

use std::fmt;

use super::Action;
use crate::model::ResourcePolicyTarget;

impl Action {
    /// The API's operation, such as `PutBucketReplication`.
    pub fn operation(&self) -> &'static str {
        match self {
            Self::CreateBucket { .. } => "CreateBucket",
            Self::EnableVersioning { .. } => "PutBucketVersioning",
            Self::EncryptBucket { .. } => "PutBucketEncryption",
            Self::BlockPublicAccess { .. } => "PutPublicAccessBlock",
            Self::CreateRole { .. } => "CreateRole",
            Self::KeepForNow { .. } => "TagRole",
            Self::UpdateAssumeRolePolicy { .. } => "UpdateAssumeRolePolicy",
            Self::PutRolePermissionsBoundary { .. } => "PutRolePermissionsBoundary",
            Self::PutRolePolicy { .. } => "PutRolePolicy",
            Self::DeleteRolePolicy { .. } => "DeleteRolePolicy",
            Self::DeleteRole { .. } => "DeleteRole",
            Self::PutStatement { target, .. } | Self::RemoveStatement { target, .. } => {
                match target {
                    ResourcePolicyTarget::Bucket(_) => "PutBucketPolicy",
                    ResourcePolicyTarget::Key { .. } => "PutKeyPolicy",
                }
            }
            Self::PutAlarm { .. } => "PutMetricAlarm",
            Self::DeleteAlarm { .. } => "DeleteAlarms",
            Self::StartJob { .. } => "CreateJob",
            Self::CancelJob { .. } => "UpdateJobStatus",
            Self::TagRole { .. } => "TagRole",
            Self::UntagRole { .. } => "UntagRole",
            Self::PutReplication { .. } => "PutBucketReplication",
            Self::DeleteReplication { .. } => "DeleteBucketReplication",
        }
    }
}

/// The API's operation and the resource.
impl fmt::Display for Action {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} on {}", self.operation(), self.resource())
    }
}
