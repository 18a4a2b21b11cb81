//! What a walk finds of buckets that changed their role: own roles that the role of all buckets has replaced, and rules that it grants no longer.
//!
//! It must not know what a role grants.
//!
//! # Guarantees
//! - A role that was replaced stays for [`plan::KEEP_TIME`], and is removed by a later walk.

use std::time::Duration;

use tokio::join;

use super::bucket::{BucketOutcome, ReconcileRequest, RuleOutcome};
use super::converge::{DesiredState, Planned, RequestScope};
use super::cross_account::allow_access_denied;
use super::lease::epoch_seconds;
use super::snapshot::SnapshotReader;
use super::{Engine, Error, Status};
use crate::config::{Policy, RoleScope};
use crate::model::{BucketLocation, ReplicationConfiguration, Role, RuleAddress, RuleId};
use crate::plan::{self, Plan, Refusal, Roles};
use crate::ports::{Cloud, Read};

impl<C: Cloud> Engine<'_, C> {
    /// Skips a bucket whose name no rule matches. In a walk, a rule fails that the bucket got when the name matched, if the role of all buckets
    /// serves it: that role has no grants for such a name, and S3 does not tell.
    pub(super) async fn skip_name(
        &self,
        request: &ReconcileRequest<'_>,
        policy: &Policy,
        reason: &str,
    ) -> Result<BucketOutcome, Error> {
        if !request.remove_replaced_role || self.settings.role_scope == RoleScope::Bucket {
            return self.skip_unless_gone(request, reason).await;
        }
        let ReconcileRequest { bucket, expected, .. } = request;
        let reader = self.reader();
        let read = reader.read_bucket(bucket, expected, async |location| {
            allow_access_denied(self.cloud.replication(location)).await
        });
        let Some((_, replication)) = self.before_deadline(read).await? else {
            return self.skip_unless_gone(request, reason).await;
        };
        let replication = replication.ok().flatten();
        let roles = &self.settings.roles;
        let failures: Vec<RuleOutcome> = replication
            .iter()
            .filter(|replication| roles.is_shared_role(replication.role()))
            .flat_map(ReplicationConfiguration::rules)
            .filter_map(|rule| rule.id().and_then(RuleId::parse))
            .filter(|id| policy.rule(id).is_some())
            .map(|id| {
                let rule = RuleAddress { source: (*bucket).clone(), id };
                let refusal = Refusal::NameLeftRule { rule: rule.clone() };
                RuleOutcome::new(rule, Err(refusal.into()))
            })
            .collect();
        Ok(if failures.is_empty() {
            BucketOutcome::Skipped(reason.to_owned())
        } else {
            BucketOutcome::Rules(failures)
        })
    }

    /// Adds to the outcome of a walk's bucket that its own role was removed, since the role of all buckets has replaced it.
    pub(super) async fn add_removal_of_replaced_role(
        &self,
        location: &BucketLocation,
        policy: &Policy,
        request: &ReconcileRequest<'_>,
        outcome: &mut BucketOutcome,
    ) {
        let BucketOutcome::Rules(rules) = outcome else {
            return;
        };
        // A rule that failed may be served by the own role.
        let Some(RuleOutcome { result, .. }) = rules.last_mut().filter(|rule| rule.result.is_ok())
        else {
            return;
        };
        match self.remove_replaced_role(location, policy, request.dry_run).await {
            Ok(None) => {}
            Ok(Some(plan)) => {
                if let Ok(applied) = result {
                    applied.plan.put_after(plan);
                    if applied.status == Status::Unchanged {
                        applied.status = Status::Configured;
                    }
                }
            }
            Err(error) => *result = Err(error),
        }
    }

    /// Removes the bucket's own role, if the role of all buckets has replaced it long enough ago; `None` if there is nothing to remove.
    async fn remove_replaced_role(
        &self,
        location: &BucketLocation,
        policy: &Policy,
        dry_run: bool,
    ) -> Result<Option<Plan>, Error> {
        let reader = self.reader();
        if !self.before_deadline(reader.may_have_own_role(&location.bucket)).await? {
            return Ok(None);
        }
        let desired = ReplacedRole { reader, location, policy };
        let scope = RequestScope::new(location.bucket.as_str(), dry_run);
        let plan = self.converge(&scope, None, &desired).await?.plan;
        Ok((!plan.is_empty()).then_some(plan))
    }
}

/// Removes a bucket's own role that another role has replaced.
struct ReplacedRole<'a, R> {
    reader: SnapshotReader<'a, R>,
    location: &'a BucketLocation,
    policy: &'a Policy,
}

impl<R: Read> DesiredState for ReplacedRole<'_, R> {
    type FirstReads = (Option<Role>, Option<ReplicationConfiguration>);

    async fn first_reads(&self) -> Result<Self::FirstReads, Error> {
        let Self { reader, location, .. } = self;
        let (role, replication) =
            join!(reader.own_role(&location.bucket), reader.cloud.replication(location));
        Ok((role?, replication?))
    }

    fn needs_lease(&self, _: &Self::FirstReads) -> bool {
        false
    }

    async fn read_and_plan(&self, (role, replication): Self::FirstReads) -> Result<Planned, Error> {
        let Some(role) = role else {
            return Ok(Plan::default().into());
        };
        let BucketLocation { bucket, region, .. } = self.location;
        let roles = Roles { with_own_name: Some(role.clone()), serving: None };
        let statements =
            self.reader.statements_to_remove(self.policy, bucket, &roles, region).await?;
        let now = epoch_seconds(Duration::ZERO);
        Ok(plan::remove_replaced_role(bucket, &role, replication.as_ref(), statements, now).into())
    }
}
