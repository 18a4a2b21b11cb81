//! Reads of the role that the program has made for a bucket, under its present name or the name that 0.1.0 gave it.
//!
//! It must not know what the role is read for.

use super::snapshot::SnapshotReader;
use crate::model::{ApiError, BucketName, OWNER_TAG, Role, RoleName, RoleOutline};
use crate::ports::Read;

impl<R: Read> SnapshotReader<'_, R> {
    /// Reads our role for `source`; else the role that has our present name for it and may be foreign. Only a bucket with a long name costs a
    /// second read, and only while it has no role under the present name.
    pub(super) async fn own_role_outline(
        &self,
        source: &BucketName,
    ) -> Result<Option<RoleOutline>, ApiError> {
        let found = self.cloud.role_outline(&RoleName::for_source(source)).await?;
        let Some(earlier) = RoleName::for_source_of_0_1_0(source).filter(|_| found.is_none())
        else {
            return Ok(found);
        };
        // A role of that name may be another bucket's.
        let is_ours = |outline: &RoleOutline| {
            outline.role.tags.get(OWNER_TAG).is_some_and(|owner| owner == source.as_str())
        };
        Ok(self.cloud.role_outline(&earlier).await?.filter(is_ours))
    }

    /// Whether there is a role under one of the names that the program gives to the role of `source`.
    pub(super) async fn may_have_own_role(&self, source: &BucketName) -> Result<bool, ApiError> {
        let names = [Some(RoleName::for_source(source)), RoleName::for_source_of_0_1_0(source)];
        for name in names.into_iter().flatten() {
            if self.cloud.role_exists(&name).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Reads [the same role](Self::own_role_outline) with its inline policies.
    pub(super) async fn own_role(&self, source: &BucketName) -> Result<Option<Role>, ApiError> {
        self.with_policies(self.own_role_outline(source).await?).await
    }

    /// The name of a configuration's role; `None` when it is the bucket's own role, or the role of all buckets. A role's name is unique in its
    /// account.
    pub(super) fn other_role(
        &self,
        arn: &str,
        own_role: Option<&RoleOutline>,
        source: &BucketName,
    ) -> Option<RoleName> {
        let own_name = own_role
            .map_or_else(|| RoleName::for_source(source), |outline| outline.role.name.clone());
        RoleName::from_arn(arn)
            .filter(|name| *name != own_name && Some(name) != self.roles.shared.as_ref())
    }
}
