//! Snapshots: what is read of AWS before planning, in two rounds of reads whose calls do not depend on each other.
//!
//! The first round does not wait for the source bucket's Region: it reads where the bucket is expected, and the reads count only
//! when the bucket is there. Everything here is generic over [`Read`], so that it cannot write.

use futures_util::future::try_join_all;
use tokio::{join, try_join};

use super::Error;
use super::converge::{Planned, Planner};
use super::cross_account::{ReadResult, allow_access_denied, destination_read};
use crate::model::{
    Access, Alarm, ApiError, BucketName, Encryption, Identity, Key, Location, OWNER_TAG, Region,
    ReplicationConfiguration, Role, RoleName, RoleOutline, RuleAddress, RuleId,
};
use crate::plan::{
    self, ApplySnapshot, Created, DeleteSnapshot, Destination, Refusal, Roles, Source,
};
use crate::ports::Read;
use crate::spec::{RoleSettings, SourceKeys, Spec};

/// Reads snapshots.
#[derive(Debug)]
pub(super) struct SnapshotReader<'a, R> {
    pub cloud: &'a R,
}

impl<R> Clone for SnapshotReader<'_, R> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<R> Copy for SnapshotReader<'_, R> {}

/// Makes `spec` true.
pub(super) struct ApplyRule<'a, R> {
    pub reader: SnapshotReader<'a, R>,
    pub spec: &'a Spec,
    /// The Region in which the source bucket is looked up first.
    pub expected: &'a Region,
    pub roles: &'a RoleSettings,
}

/// Deletes a rule and what was made for it.
pub(super) struct DeleteRule<'a, R> {
    pub reader: SnapshotReader<'a, R>,
    pub rule: &'a RuleAddress,
    /// With whose credentials the destination's account is accessed.
    pub access: &'a Access,
    /// The Region in which the source bucket is looked up first.
    pub expected: &'a Region,
}

/// What the first round of reads shows of a rule to apply.
pub(super) struct ApplyFirstReads {
    identity: Identity,
    source: Location,
    replication: Option<ReplicationConfiguration>,
    has_rule: bool,
    encryption: Option<Encryption>,
    role_named_ours: Option<RoleOutline>,
    destination: ReadResult<Region>,
    replica_key: ReadResult<Key>,
}

/// What the first round of reads shows of a rule to delete.
pub(super) struct DeleteFirstReads {
    source: Option<(Location, Option<ReplicationConfiguration>)>,
    role_named_ours: Option<RoleOutline>,
    /// Whether the configuration or the role shows something of the rule.
    pub is_present: bool,
}

impl<R: Read> Planner for ApplyRule<'_, R> {
    type FirstReads = ApplyFirstReads;

    async fn first_reads(&self) -> Result<ApplyFirstReads, Error> {
        self.reader.prefetch_apply(self.spec, self.expected).await
    }

    fn needs_lease(&self, first_reads: &ApplyFirstReads) -> bool {
        !first_reads.has_rule
    }

    async fn plan(&self, first_reads: ApplyFirstReads) -> Result<Planned, Error> {
        let snapshot = self.reader.apply_snapshot(self.spec, first_reads).await?;
        let (plan, attributes) = plan::apply(self.spec, &snapshot, self.roles)?;
        Ok(Planned { plan, attributes: Some(attributes) })
    }
}

impl<R: Read> Planner for DeleteRule<'_, R> {
    type FirstReads = DeleteFirstReads;

    async fn first_reads(&self) -> Result<DeleteFirstReads, Error> {
        Ok(self.reader.prefetch_delete(self.rule, self.expected).await?)
    }

    fn needs_lease(&self, _: &DeleteFirstReads) -> bool {
        true
    }

    async fn plan(&self, first_reads: DeleteFirstReads) -> Result<Planned, Error> {
        let snapshot = self.reader.delete_snapshot(self, first_reads, true).await?;
        Ok(plan::delete(self.rule, &snapshot).into())
    }
}

impl<R: Read> SnapshotReader<'_, R> {
    /// Reads where a bucket of the caller's account is, and `read` of it; `None` when there is no such bucket.
    pub(super) async fn read_bucket<T>(
        &self,
        bucket: &BucketName,
        expected: &Region,
        read: impl AsyncFn(&Location) -> Result<T, ApiError>,
    ) -> Result<Option<(Location, T)>, ApiError> {
        let mut location = located(bucket, expected.clone(), &self.cloud.identity().await?);
        let (region, prefetched) =
            join!(self.cloud.bucket_region(bucket, expected, &Access::Own), read(&location));
        let Some(region) = region? else {
            return Ok(None);
        };
        let found = if region == *expected {
            prefetched?
        } else {
            location.region = region;
            read(&location).await?
        };
        Ok(Some((location, found)))
    }

    /// Makes the first round of reads for `spec`.
    pub(super) async fn prefetch_apply(
        &self,
        spec: &Spec,
        expected: &Region,
    ) -> Result<ApplyFirstReads, Error> {
        let cloud = self.cloud;
        let identity = cloud.identity().await?;
        let key_access = spec.destination_access.for_account(spec.replica_key.account());
        let role_name = RoleName::of_source(&spec.rule.source);
        let source = self.read_bucket(&spec.rule.source, expected, async |location| {
            try_join!(cloud.replication(location), self.default_encryption(spec, location))
        });
        let destination = cloud.bucket_region(
            &spec.destination,
            &spec.destination_region,
            &spec.destination_access,
        );
        let replica_key =
            cloud.key(spec.replica_key.as_str(), spec.replica_key.region(), &key_access);
        let (source, role_named_ours, destination, replica_key) = try_join!(
            async {
                let missing =
                    || Error::from(Refusal::SourceMissing { bucket: spec.rule.source.clone() });
                source.await?.ok_or_else(missing)
            },
            async { Ok(cloud.role_outline(&role_name).await?) },
            async { Ok(allow_access_denied(destination).await?) },
            async { Ok(allow_access_denied(replica_key).await?) },
        )?;
        let (source, (replication, encryption)) = source;
        let has_rule = plan::has_rule(&spec.rule.id, replication.as_ref());
        Ok(ApplyFirstReads {
            identity,
            source,
            replication,
            has_rule,
            encryption,
            role_named_ours,
            destination,
            replica_key,
        })
    }

    /// Reads all that a plan for `spec` depends on.
    async fn apply_snapshot(
        &self,
        spec: &Spec,
        first_reads: ApplyFirstReads,
    ) -> Result<ApplySnapshot, Error> {
        let ApplyFirstReads { identity, source: location, replication, has_rule, .. } = first_reads;
        let ApplyFirstReads { encryption, role_named_ours, destination, replica_key, .. } =
            first_reads;
        let cloud = self.cloud;
        let mut denied_reads = Vec::new();
        let key_owner = spec.replica_key.account();
        let replica_key =
            destination_read(replica_key, key_owner, spec, &identity, &mut denied_reads)?;
        let owner = spec.destination_account.clone().unwrap_or_else(|| identity.account.clone());
        let region = destination_read(destination, &owner, spec, &identity, &mut denied_reads)?;
        let destination = region.map(|region| Location {
            bucket: spec.destination.clone(),
            region,
            owner: owner.clone(),
            access: spec.destination_access.clone(),
        });

        let serving = replication
            .as_ref()
            .and_then(|replication| other_role(replication.role(), &spec.rule.source));
        let has_policy = has_policy(role_named_ours.as_ref(), &spec.rule.id);
        let may_have_alarm =
            spec.alarm_topic.is_some() || serving.is_some() || has_rule || has_policy;
        let key_ids = source_keys(spec, encryption);
        let region = &location.region;
        let (versioning, object_lock, keys, destination, named_ours, serving, alarm) = try_join!(
            cloud.versioning(&location),
            cloud.object_lock(&location),
            try_join_all(key_ids.iter().map(|key| cloud.key(key, region, &Access::Own))),
            allow_access_denied(self.destination(spec, destination, &identity)),
            self.with_policies(role_named_ours),
            self.serving_role(serving),
            self.alarm(&spec.rule, region, may_have_alarm),
        )?;
        let destination =
            destination_read(destination, &owner, spec, &identity, &mut denied_reads)?;
        let roles = Roles { named_ours, serving };
        let (policies, job, report_missing) = try_join!(
            self.cross_account_policies(
                spec,
                &identity,
                destination.as_ref(),
                replica_key.as_ref(),
                &roles
            ),
            self.job(&spec.rule, region, &identity, &roles),
            self.lacks_report_bucket(spec, region, &roles),
        )?;
        let source_keys = key_ids.into_iter().zip(keys).collect();
        let source = Source { location, versioning, object_lock, replication };
        Ok(ApplySnapshot {
            identity,
            source,
            destination,
            replica_key,
            source_keys,
            roles,
            alarm,
            denied_reads,
            policies,
            job,
            report_missing,
        })
    }

    async fn default_encryption(
        &self,
        spec: &Spec,
        location: &Location,
    ) -> Result<Option<Encryption>, ApiError> {
        match spec.source_keys {
            SourceKeys::BucketDefault => self.cloud.encryption(location).await.map(Some),
            SourceKeys::Given(_) => Ok(None),
        }
    }

    async fn destination(
        &self,
        spec: &Spec,
        location: Option<Location>,
        identity: &Identity,
    ) -> Result<Option<Destination>, ApiError> {
        let Some(location) = location else {
            return Ok(None);
        };
        let is_out_of_reach = location.owner != identity.account && location.access == Access::Own;
        let created = async {
            if !spec.create_destination_bucket || is_out_of_reach {
                return Ok(None);
            }
            let (tags, encryption, public_access_blocked) = try_join!(
                self.cloud.bucket_tags(&location),
                self.cloud.encryption(&location),
                self.cloud.public_access_blocked(&location),
            )?;
            let is_created =
                tags.get(OWNER_TAG).is_some_and(|source| source == spec.rule.source.as_str());
            Ok(is_created.then_some(Created { encryption, public_access_blocked }))
        };
        let (versioning, object_lock, created) = try_join!(
            self.cloud.versioning(&location),
            self.cloud.object_lock(&location),
            created
        )?;
        Ok(Some(Destination { location, versioning, object_lock, created }))
    }

    async fn with_policies(&self, outline: Option<RoleOutline>) -> Result<Option<Role>, ApiError> {
        match outline {
            Some(outline) => self.cloud.with_policies(outline).await.map(Some),
            None => Ok(None),
        }
    }

    async fn serving_role(&self, name: Option<RoleName>) -> Result<Option<Role>, ApiError> {
        match name {
            Some(name) => self.cloud.role(&name).await,
            None => Ok(None),
        }
    }

    /// Reads the rule's alarm, only where it may have one: CloudWatch answers a few of these calls a second. A rule's inline policy
    /// is written before its alarm and deleted after it, so the policy tells whether there may be an alarm.
    async fn alarm(
        &self,
        rule: &RuleAddress,
        region: &Region,
        may_exist: bool,
    ) -> Result<Option<Alarm>, ApiError> {
        if !may_exist {
            return Ok(None);
        }
        let name = rule.to_string();
        let found = self.cloud.alarms(std::slice::from_ref(&name), region).await?;
        Ok(found.into_iter().find(|alarm| alarm.name == name))
    }

    /// Makes the first round of reads before a rule is deleted.
    pub(super) async fn prefetch_delete(
        &self,
        rule: &RuleAddress,
        expected: &Region,
    ) -> Result<DeleteFirstReads, ApiError> {
        let role_name = RoleName::of_source(&rule.source);
        let found = self.read_bucket(&rule.source, expected, async |location| {
            self.cloud.replication(location).await
        });
        let (source, role_named_ours) = try_join!(found, self.cloud.role_outline(&role_name))?;
        let replication = source.as_ref().and_then(|(_, replication)| replication.as_ref());
        let is_present =
            plan::has_rule(&rule.id, replication) || has_policy(role_named_ours.as_ref(), &rule.id);
        Ok(DeleteFirstReads { source, role_named_ours, is_present })
    }

    /// Reads all that a plan to delete a rule depends on. `always_read_alarm`: also where nothing shows that the rule exists.
    pub(super) async fn delete_snapshot(
        &self,
        request: &DeleteRule<'_, R>,
        first_reads: DeleteFirstReads,
        always_read_alarm: bool,
    ) -> Result<DeleteSnapshot, Error> {
        let DeleteRule { rule, access, expected, .. } = request;
        let DeleteFirstReads { source, role_named_ours, is_present } = first_reads;
        let replication = source.as_ref().and_then(|(_, replication)| replication.as_ref());
        let serving =
            replication.and_then(|replication| other_role(replication.role(), &rule.source));
        let region = source.as_ref().map_or(*expected, |(location, _)| &location.region);
        let may_have_alarm = always_read_alarm || is_present || serving.is_some();
        let (named_ours, serving, alarm) = try_join!(
            self.with_policies(role_named_ours),
            self.serving_role(serving),
            self.alarm(rule, region, may_have_alarm)
        )?;
        let roles = Roles { named_ours, serving };
        let job = async {
            match &source {
                Some(_) => self.job(rule, region, &self.cloud.identity().await?, &roles).await,
                None => Ok(None),
            }
        };
        let (policies, job) =
            try_join!(self.policies_with_statements(rule, access, &roles, region), job)?;
        Ok(DeleteSnapshot { source, roles, alarm, policies, job })
    }
}

/// The name of a configuration's role, when it is not ours: an account has one role of a name.
fn other_role(arn: &str, source: &BucketName) -> Option<RoleName> {
    RoleName::of_arn(arn).filter(|name| *name != RoleName::of_source(source))
}

fn has_policy(role: Option<&RoleOutline>, rule_id: &RuleId) -> bool {
    role.is_some_and(|role| role.policies.iter().any(|policy| policy == rule_id.as_str()))
}

/// A bucket of the caller's account.
pub(super) fn located(bucket: &BucketName, region: Region, identity: &Identity) -> Location {
    Location {
        bucket: bucket.clone(),
        region,
        owner: identity.account.clone(),
        access: Access::Own,
    }
}

/// The ids of the keys to read: those that were given, or the one of the bucket's default encryption.
fn source_keys(spec: &Spec, default_encryption: Option<Encryption>) -> Vec<String> {
    match (&spec.source_keys, default_encryption) {
        (SourceKeys::Given(keys), _) => keys.iter().map(ToString::to_string).collect(),
        (SourceKeys::BucketDefault, Some(Encryption::Kms { key, .. })) => {
            vec![key.unwrap_or_else(|| "alias/aws/s3".to_owned())]
        }
        (SourceKeys::BucketDefault, Some(Encryption::S3) | None) => Vec::new(),
    }
}
