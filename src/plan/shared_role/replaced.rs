//! The removal of a bucket's own role that another role has replaced.
//!
//! It must not know which role replaces it.

use super::has_passed;
use crate::model::{BucketName, KEEP_TAG, OWNER_TAG, ReplicationConfiguration, Role};
use crate::plan::{Action, Plan, Roles, StageName, clean_up_deleted_bucket};

/// Plans the removal of a bucket's own role which another role has replaced, once [`KEEP_TIME`](crate::plan::KEEP_TIME) has passed. `statements` are the
/// actions that remove the role's statements in other accounts. `now` is in seconds since the epoch.
pub fn remove_replaced_role(
    source: &BucketName,
    role: &Role,
    replication: Option<&ReplicationConfiguration>,
    statements: Vec<Action>,
    now: u64,
) -> Plan {
    let is_ours = role.tags.get(OWNER_TAG).is_some_and(|owner| owner == source.as_str());
    let is_replaced = replication.is_some_and(|replication| replication.role() != role.arn);
    if !is_ours || !is_replaced {
        return Plan::default();
    }
    match role.tags.get(KEEP_TAG) {
        Some(until) if has_passed(until, now) => {
            let roles = Roles { with_own_name: Some(role.clone()), serving: None };
            clean_up_deleted_bucket(source, &roles, Vec::new(), statements)
        }
        Some(until) if until.parse::<u64>().is_ok() => Plan::default(),
        // Nobody knows since when it is replaced.
        before => Plan::new([(
            StageName::Prepare,
            vec![Action::KeepForNow { role: role.name.clone(), before: before.cloned() }],
        )]),
    }
}
