//! What an action needs: the credentials, and the right that a deployment may leave out.
//!
//! It must not know how credentials are obtained, and what a deployment is told about a right that it lacks.

use super::{Action, Subject};
use crate::model::{Access, OptionalRight, RoleName};

impl Action {
    /// The credentials with which the action is executed.
    pub fn access(&self) -> &Access {
        static OWN: Access = Access::Own;
        match self.subject() {
            Subject::Versioning(location) | Subject::CreatedDestination(location) => {
                &location.access
            }
            Subject::Replication(write) => &write.location.access,
            Subject::ResourcePolicy(write) => write.target.access(),
            Subject::Role(_)
            | Subject::InlinePolicy { .. }
            | Subject::KeepTag(_)
            | Subject::JobTag { .. }
            | Subject::NewJob(_)
            | Subject::RunningJob(_)
            | Subject::Alarm(_) => &OWN,
        }
    }

    /// The right that the action needs, if a deployment may leave it out.
    pub fn needed_right(&self) -> Option<OptionalRight> {
        let for_foreign_role =
            |role: &RoleName| (!role.has_own_prefix()).then_some(OptionalRight::ExtendForeignRole);
        match self.subject() {
            Subject::CreatedDestination(location) => {
                (location.access == Access::Own).then_some(OptionalRight::CreateDestinationBucket)
            }
            Subject::InlinePolicy { role, .. } => for_foreign_role(role),
            // To write a configuration, the caller needs `iam:PassRole` on its role.
            Subject::Replication(write) => write.role_after().as_ref().and_then(for_foreign_role),
            Subject::JobTag { .. } | Subject::NewJob(_) | Subject::RunningJob(_) => {
                Some(OptionalRight::ReplicateExistingObjects)
            }
            Subject::Versioning(_)
            | Subject::ResourcePolicy(_)
            | Subject::Role(_)
            | Subject::KeepTag(_)
            | Subject::Alarm(_) => None,
        }
    }
}
