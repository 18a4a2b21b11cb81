//! What is possible after an action that was not before.
//!
//! It must not know which actions come before it in a plan.

use super::Action;
use crate::iam_policy;
use crate::model::InlinePolicyName;

impl Action {
    /// Whether the action gives a role more trust or rights.
    pub fn extends_role(&self) -> bool {
        self.document().is_some()
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
}
