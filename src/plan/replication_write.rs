//! Writes of replication configurations, and what must hold before one.
//!
//! It owns the comparison of a write with a configuration that was just read. It must not know how configurations are read and written.

use super::rules;
use crate::model::{BucketLocation, ReplicationConfiguration, ReplicationRule, RoleName, RuleId};

/// A write of a replication configuration.
#[derive(Debug, Clone, Copy)]
pub struct ReplicationWrite<'a> {
    /// The source bucket.
    pub location: &'a BucketLocation,
    pub(super) before: Option<&'a ReplicationConfiguration>,
    pub(super) after: Option<&'a ReplicationConfiguration>,
    /// Our rule.
    pub rule: &'a RuleId,
}

impl ReplicationWrite<'_> {
    /// Our rule before the write.
    pub fn rule_before(&self) -> Option<&ReplicationRule> {
        rules::find(self.before, self.rule)
    }

    /// Our rule after the write.
    pub fn rule_after(&self) -> Option<&ReplicationRule> {
        rules::find(self.after, self.rule)
    }

    /// The role of the configuration after the write, which the caller passes to S3.
    pub(super) fn role_after(&self) -> Option<RoleName> {
        RoleName::from_arn(self.after?.role())
    }

    /// Whether `current` is the configuration that the plan was made for.
    pub fn precondition_holds(&self, current: Option<&ReplicationConfiguration>) -> bool {
        current == self.before
    }

    /// Whether `current` shows the write of our rule. S3 may return the configuration before for a while.
    pub fn is_reflected_in(&self, current: Option<&ReplicationConfiguration>) -> bool {
        let shown = |configuration: Option<&ReplicationConfiguration>| {
            let rule = rules::find(configuration, self.rule)?;
            Some((configuration?.role().to_owned(), rule.clone()))
        };
        shown(self.after) == shown(current)
    }
}
