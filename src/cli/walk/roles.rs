//! How many roles the account has, may have, and needs in addition.
//!
//! It must not know which buckets need a role.

use s3_kms_replication::model::RoleQuota;
use s3_kms_replication::ports::Read;
use serde::Serialize;

use crate::screen;
use crate::session::Session;

/// The account's roles, and those that the policy needs in addition.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Roles {
    in_use: u32,
    quota: u32,
    needed: usize,
}

impl Roles {
    /// Reads the account's quota. The plan does not depend on it, so a failed read is only logged.
    pub async fn read(session: &Session, needed: usize) -> Option<Self> {
        match session.aws.role_quota().await {
            Ok(RoleQuota { in_use, quota }) => Some(Self { in_use, quota, needed }),
            Err(failure) => {
                tracing::warn!(%failure, "the quota of roles could not be read");
                None
            }
        }
    }

    pub fn text(self) -> String {
        let Self { in_use, quota, needed } = self;
        let is_too_many =
            usize::try_from(quota.saturating_sub(in_use)).is_ok_and(|left| needed > left);
        let warning = if is_too_many {
            format!(
                "{} that is more than the account may have: raise the quota, or set --role-scope Policy\n",
                screen::yellow("warning:")
            )
        } else {
            String::new()
        };
        format!("IAM roles: {in_use} of {quota} in use, {needed} more needed\n{warning}")
    }
}
