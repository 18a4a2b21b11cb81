//! The role that serves all buckets of the replication policy (`RoleScope` Policy): keeps it right, and moves buckets from it to roles of their own.
//!
//! It must not know what the role grants: [`crate::config`] and [`crate::plan`] decide that.
//!
//! # Expected flow
//! The role is compared with the policy once in [`MAX_AGE`] for each process and form of the policy, while a bucket is read, and changed under a
//! lease of its own. So a new bucket's event makes no call to IAM as long as the role is right.
//!
//! # Guarantees
//! - A bucket is served by another role only after that role has the grants of all rules of the bucket.

use std::time::Duration;

use futures_util::future::try_join_all;
use tokio::try_join;

use super::converge::{DesiredState, Planned, RequestScope};
use super::lease::epoch_seconds;
use super::snapshot::ApplyRule;
use super::{Engine, Error};
use crate::config::{Policy, RoleScope};
use crate::model::{Access, BucketName, Identity, KeyReference, Region, Role, RuleId, hash};
use crate::plan::{self, Plan, Refusal, SharedRole};
use crate::ports::{Cloud, Read};
use crate::spec::RoleSettings;

/// How long a role that was found right, and the key of an alias, are taken as they were read.
pub(super) const MAX_AGE: Duration = Duration::from_secs(300);

/// The role of all buckets, and the plan that makes it right, when the request only plans.
pub(super) struct EnsuredRole {
    pub role: SharedRole,
    pub plan: Plan,
}

impl<C: Cloud> Engine<'_, C> {
    /// The role that serves all buckets of the policy, with keys as the policy names them; `None` in `RoleScope` Bucket.
    pub(super) fn shared_role(&self, policy: &Policy, identity: &Identity) -> Option<SharedRole> {
        let RoleScope::Policy(stack_id) = &self.settings.role_scope else {
            return None;
        };
        let name = self.settings.roles.shared.clone()?;
        let Identity { account, partition } = identity;
        let path = &self.settings.roles.path;
        let region = &self.settings.region;
        Some(SharedRole {
            arn: format!("arn:{partition}:iam::{account}:role{path}{name}"),
            name,
            stack_id: stack_id.clone(),
            region: region.clone(),
            grants: policy.shared_grants(region, identity),
        })
    }

    /// Makes the role right, unless it was right a short time ago. Only plans with `dry_run`.
    pub(super) async fn ensure_shared_role(
        &self,
        role: SharedRole,
        policy: &Policy,
        dry_run: bool,
    ) -> Result<EnsuredRole, Error> {
        let role = self.before_deadline(self.with_key_arns(role, policy)).await?;
        let documents: Vec<String> =
            role.grants.iter().map(|grants| grants.document().to_string()).collect();
        let form = hash(&format!("{documents:?} {:?}", self.settings.roles), 64);
        if self.cloud.remembered(role.name.as_str(), MAX_AGE).as_deref() == Some(form.as_str()) {
            return Ok(EnsuredRole { role, plan: Plan::default() });
        }
        let desired =
            EnsureSharedRole { cloud: self.cloud, role: &role, roles: &self.settings.roles };
        let lease = format!("roles/{}", role.name);
        let scope = RequestScope::new(&lease, dry_run);
        let plan = self.converge(&scope, None, &desired).await?.plan;
        if !dry_run {
            self.cloud.remember(role.name.as_str(), form);
        }
        Ok(EnsuredRole { role, plan })
    }

    /// The role with the ARN of a key in place of each alias, which no grant can name.
    async fn with_key_arns(
        &self,
        mut role: SharedRole,
        policy: &Policy,
    ) -> Result<SharedRole, Error> {
        for grants in &mut role.grants {
            let access = policy.key_access(&grants.rule);
            let replica_key = self.key_arn(&grants.replica_key, &access);
            let own = Access::Own;
            let source_keys = grants.source_keys.iter().map(|key| self.key_arn(key, &own));
            let (replica_key, source_keys) = try_join!(replica_key, try_join_all(source_keys))?;
            grants.replica_key = replica_key;
            grants.source_keys = source_keys.into_iter().collect();
        }
        Ok(role)
    }

    async fn key_arn(&self, key: &str, access: &Access) -> Result<String, Error> {
        let Some(alias) = KeyReference::parse(key).ok().filter(KeyReference::is_alias) else {
            return Ok(key.to_owned());
        };
        if let Some(arn) = self.cloud.remembered(key, MAX_AGE) {
            return Ok(arn);
        }
        let access = access.for_account(alias.account());
        let found = self.cloud.key(key, alias.region(), &access).await?.ok_or_else(|| {
            let property = "the replication policy".to_owned();
            Refusal::KeyMissing { property, key: key.to_owned() }
        })?;
        self.cloud.remember(key, found.arn.clone());
        Ok(found.arn)
    }

    /// Grants the bucket's own role what all rules of the replication policy need that the bucket has, so that the role can serve the bucket in
    /// place of the role of all buckets.
    pub(super) async fn grant_own_role(
        &self,
        bucket: &BucketName,
        expected: &Region,
    ) -> Result<(), Error> {
        let reader = self.reader();
        let found = self
            .before_deadline(reader.read_bucket(bucket, expected, async |location| {
                self.cloud.replication(location).await
            }))
            .await?;
        let Some((location, Some(replication))) = found else {
            return Ok(());
        };
        let policy = self.policy().await?;
        for id in replication.rules().filter_map(|rule| rule.id().and_then(RuleId::parse)) {
            let rule = policy.iter().find_map(|policy| policy.rule(&id));
            let Some(rule) = rule else {
                let bucket = bucket.clone();
                return Err(Refusal::RuleNotOfPolicy { bucket, rule: id }.into());
            };
            let spec = rule.spec(bucket, &location.region, &location.owner)?;
            let desired = ApplyRule {
                reader,
                spec: &spec,
                expected: &location.region,
                roles: &self.settings.roles,
                shared: None,
                grants_only: true,
            };
            let scope = RequestScope {
                access: &spec.destination_access,
                ..RequestScope::new(bucket.as_str(), false)
            };
            self.converge(&scope, None, &desired).await?;
        }
        Ok(())
    }
}

/// Makes the role of all buckets right.
struct EnsureSharedRole<'a, R> {
    cloud: &'a R,
    role: &'a SharedRole,
    roles: &'a RoleSettings,
}

impl<R: Read> DesiredState for EnsureSharedRole<'_, R> {
    type FirstReads = Option<Role>;

    async fn first_reads(&self) -> Result<Option<Role>, Error> {
        Ok(self.cloud.role(&self.role.name).await?)
    }

    fn needs_lease(&self, _: &Option<Role>) -> bool {
        false
    }

    async fn read_and_plan(&self, existing: Option<Role>) -> Result<Planned, Error> {
        let now = epoch_seconds(Duration::ZERO);
        Ok(plan::ensure_shared_role(self.role, existing.as_ref(), self.roles, now)?.into())
    }
}
