//! The role that serves all buckets of a replication policy (`RoleScope` Policy).
//!
//! # Guarantees
//! - The role is never deleted. An inline policy of a rule that the replication policy no longer has stays, since buckets may still have the rule.
//! - When a rule of the policy changes, the role has the grants of both forms until [`KEEP_TIME`](super::KEEP_TIME) has passed: buckets have the
//!   earlier form until an event or a walk changes them.
//! - A bucket that has anything beside the policy's rules is served by a role of its own.

mod ensure;
mod own_role;
mod replaced;

pub use self::ensure::ensure_shared_role;
pub use self::own_role::BucketToServe;
use self::own_role::reason_for_own_role;
pub(super) use self::own_role::{check_own_role, reason};
pub use self::replaced::remove_replaced_role;
use super::Refusal;
use crate::iam_policy::{SharedGrants, Statements};
use crate::model::{BucketName, Region, RoleName, RuleId, hash};
use crate::spec::Spec;

/// The role as the replication policy needs it.
#[derive(Debug, Clone, PartialEq)]
pub struct SharedRole {
    /// Its name.
    pub name: RoleName,
    /// Its ARN.
    pub arn: String,
    /// The id of the stack that it is for.
    pub stack_id: String,
    /// The Region of the buckets that it serves.
    pub region: Region,
    /// What it grants, for each rule of the policy.
    pub grants: Vec<SharedGrants>,
}

impl SharedRole {
    /// What the role grants for a rule.
    pub(super) fn grants_of(&self, rule: &RuleId) -> Option<&SharedGrants> {
        self.grants.iter().find(|grants| grants.rule == *rule)
    }

    /// Whether the bucket's own role serves the bucket, or may have to.
    pub fn may_need_own_role(&self, spec: &Spec, bucket: BucketToServe<'_>) -> bool {
        let is_served_by_other = bucket.replication.is_some_and(|it| it.role() != self.arn);
        is_served_by_other || reason_for_own_role(spec, self, bucket).is_some()
    }

    /// Refuses a replica key that the role does not grant: its alias has got another key since the role was read.
    pub(super) fn check_replica_key(&self, rule: &RuleId, key: &str) -> Result<(), Refusal> {
        if self.grants_of(rule).is_some_and(|grants| grants.replica_key == key) {
            return Ok(());
        }
        Err(Refusal::SharedRoleOutdated { role: self.name.clone(), key: key.to_owned() })
    }

    /// The statements that the role needs in the destination's account for a rule and one of its destinations. All buckets share them.
    pub(super) fn statements(
        &self,
        rule: &RuleId,
        destination: &BucketName,
    ) -> Option<SidAndStatements> {
        let sid = format!("S3KmsReplication{}", hash(&format!("{}/{rule}", self.name), 16));
        let statements = self.grants_of(rule)?.statements(&sid, &self.arn, destination);
        Some(SidAndStatements { sid, statements })
    }
}

/// The statements of a rule in policies of the destination's account, and their `Sid`.
pub(super) struct SidAndStatements {
    pub sid: String,
    pub statements: Statements,
}

/// Whether the time that a tag records has passed. A value that this program does not write never has.
fn has_passed(until: &str, now: u64) -> bool {
    until.parse::<u64>().is_ok_and(|until| until <= now)
}
