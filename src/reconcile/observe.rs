//! What is read of AWS before anything is planned: in two rounds of reads that do not need one another.
//!
//! The first round does not wait to hear where the source bucket is: it reads where the bucket is expected, and what it has read counts only
//! when the bucket turns out to be there.

use aws_sdk_s3::types::ReplicationConfiguration;
use futures_util::future::try_join_all;
use tokio::{join, try_join};

use super::cross_account::{Sight, of_destination, unless_denied};
use super::{Engine, Error};
use crate::cloud::{Alarm, Cloud, CloudError, Encryption, Identity, Key, Location, Role, RoleOutline};
use crate::plan::{self, Created, Destination, OWNER_TAG, Observed, Refusal, Remains, Roles, Source};
use crate::spec::{Access, BucketName, Region, RoleName, RuleAddress, RuleId, SourceKeys, Spec};

/// What the first round of reads has shown.
pub(super) trait Glance {
    /// Whether something is to be written unless it is refused, or nobody else may be writing when there is nothing.
    fn calls_for_lease(&self) -> bool;
}

/// For what is read at once.
impl Glance for () {
    fn calls_for_lease(&self) -> bool {
        false
    }
}

/// What the first round shows of a rule that is to be made true.
pub(super) struct SetUp {
    identity: Identity,
    source: Location,
    replication: Option<ReplicationConfiguration>,
    has_rule: bool,
    encryption: Option<Encryption>,
    named_ours: Option<RoleOutline>,
    destination: Sight<Region>,
    replica_key: Sight<Key>,
}

impl Glance for SetUp {
    fn calls_for_lease(&self) -> bool {
        !self.has_rule
    }
}

/// What the first round shows of a rule that is to be removed.
pub(super) struct Removal {
    source: Option<(Location, Option<ReplicationConfiguration>)>,
    named_ours: Option<RoleOutline>,
    /// Whether the rule has left something that can be seen already.
    is_left: bool,
    for_good: bool,
}

impl Glance for Removal {
    fn calls_for_lease(&self) -> bool {
        self.is_left || self.for_good
    }
}

impl<C: Cloud> Engine<'_, C> {
    /// A bucket of the caller's account, and what `read` finds out about it; `None` when there is no such bucket.
    pub(super) async fn look<T>(
        &self,
        bucket: &BucketName,
        expected: &Region,
        read: impl AsyncFn(&Location) -> Result<T, CloudError>,
    ) -> Result<Option<(Location, T)>, CloudError> {
        let mut location = located(bucket, expected.clone(), &self.cloud.identity().await?);
        let (region, early) = join!(self.cloud.bucket_region(bucket, expected, &Access::Own), read(&location));
        let Some(region) = region? else { return Ok(None) };
        let found = if region == *expected {
            early?
        } else {
            location.region = region;
            read(&location).await?
        };
        Ok(Some((location, found)))
    }

    /// The first round of reads for `spec`.
    pub(super) async fn glance(&self, spec: &Spec, expected: &Region) -> Result<SetUp, Error> {
        let cloud = self.cloud;
        let identity = cloud.identity().await?;
        let key_access = spec.destination_access.to(spec.replica_key.account());
        let source = self.look(&spec.rule.source, expected, async |location| {
            try_join!(cloud.replication(location), self.default_encryption(spec, location))
        });
        let (source, named_ours, destination, replica_key) = try_join!(
            async { source.await?.ok_or_else(|| Error::from(Refusal::SourceMissing { bucket: spec.rule.source.clone() })) },
            async { Ok(cloud.role_outline(&RoleName::of_source(&spec.rule.source)).await?) },
            async { Ok(unless_denied(cloud.bucket_region(&spec.destination, &spec.destination_region, &spec.destination_access)).await?) },
            async { Ok(unless_denied(cloud.key(spec.replica_key.as_str(), spec.replica_key.region(), &key_access)).await?) },
        )?;
        let (source, (replication, encryption)) = source;
        let has_rule = plan::has_rule(&spec.rule.id, replication.as_ref());
        Ok(SetUp { identity, source, replication, has_rule, encryption, named_ours, destination, replica_key })
    }

    /// Observes all that a plan for `spec` depends on.
    pub(super) async fn observe(&self, spec: &Spec, glance: SetUp) -> Result<Observed, Error> {
        let SetUp { identity, source: location, replication, has_rule, encryption, named_ours, destination, replica_key } = glance;
        let cloud = self.cloud;
        let mut unseen = Vec::new();
        let replica_key = of_destination(replica_key, spec.replica_key.account(), spec, &identity, &mut unseen)?;
        let owner = spec.destination_account.clone().unwrap_or_else(|| identity.account.clone());
        let destination = of_destination(destination, &owner, spec, &identity, &mut unseen)?.map(|region| Location {
            bucket: spec.destination.clone(),
            region,
            owner: owner.clone(),
            access: spec.destination_access.clone(),
        });

        let serving = replication.as_ref().and_then(|configuration| other_role(configuration.role(), &spec.rule.source));
        let alarmed = spec.alarm_topic.is_some() || serving.is_some() || has_rule || has_policy(named_ours.as_ref(), &spec.rule.id);
        let asked = source_keys(spec, encryption);
        let region = &location.region;
        let (versioning, object_lock, keys, destination, named_ours, serving, alarm) = try_join!(
            cloud.versioning(&location),
            cloud.object_lock(&location),
            try_join_all(asked.iter().map(|key| cloud.key(key, region, &Access::Own))),
            unless_denied(self.observe_destination(spec, destination, &identity)),
            self.with_policies(named_ours),
            self.serving_role(serving),
            self.alarm(&spec.rule, region, alarmed),
        )?;
        let destination = of_destination(destination, &owner, spec, &identity, &mut unseen)?;
        let roles = Roles { named_ours, serving };
        let (policies, job, report_missing) = try_join!(
            self.cross_account_policies(spec, &identity, destination.as_ref(), replica_key.as_ref(), &roles),
            self.job(&spec.rule, region, &identity, &roles),
            self.lacks_report_bucket(spec, region, &roles),
        )?;
        let source_keys = asked.into_iter().zip(keys).collect();
        let source = Source { location, versioning, object_lock, replication };
        Ok(Observed { identity, source, destination, replica_key, source_keys, roles, alarm, unseen, policies, job, report_missing })
    }

    async fn default_encryption(&self, spec: &Spec, location: &Location) -> Result<Option<Encryption>, CloudError> {
        match spec.source_keys {
            SourceKeys::BucketDefault => self.cloud.encryption(location).await.map(Some),
            SourceKeys::Given(_) => Ok(None),
        }
    }

    async fn observe_destination(
        &self,
        spec: &Spec,
        location: Option<Location>,
        identity: &Identity,
    ) -> Result<Option<Destination>, CloudError> {
        let Some(location) = location else { return Ok(None) };
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
            let is_created = tags.get(OWNER_TAG).is_some_and(|source| source == spec.rule.source.as_str());
            Ok(is_created.then_some(Created { encryption, public_access_blocked }))
        };
        let (versioning, object_lock, created) = try_join!(self.cloud.versioning(&location), self.cloud.object_lock(&location), created)?;
        Ok(Some(Destination { location, versioning, object_lock, created }))
    }

    async fn with_policies(&self, outline: Option<RoleOutline>) -> Result<Option<Role>, CloudError> {
        match outline {
            Some(outline) => self.cloud.with_policies(outline).await.map(Some),
            None => Ok(None),
        }
    }

    async fn serving_role(&self, name: Option<RoleName>) -> Result<Option<Role>, CloudError> {
        match name {
            Some(name) => self.cloud.role(&name).await,
            None => Ok(None),
        }
    }

    /// The rule's alarm, looked for only where there can be one: CloudWatch answers no more than a few of these calls a second. Its rule's policy
    /// is made before the alarm and goes after it.
    async fn alarm(&self, rule: &RuleAddress, region: &Region, possible: bool) -> Result<Option<Alarm>, CloudError> {
        if !possible {
            return Ok(None);
        }
        let name = rule.to_string();
        let found = self.cloud.alarms(std::slice::from_ref(&name), region).await?;
        Ok(found.into_iter().find(|alarm| alarm.name == name))
    }

    /// The first round of reads before a rule is removed: `for_good`, or only where it has left something.
    pub(super) async fn glance_at_remains(&self, rule: &RuleAddress, expected: &Region, for_good: bool) -> Result<Removal, Error> {
        let role_name = RoleName::of_source(&rule.source);
        let found = self.look(&rule.source, expected, async |location| self.cloud.replication(location).await);
        let (found, named_ours) = try_join!(found, self.cloud.role_outline(&role_name))?;
        let replication = found.as_ref().and_then(|(_, replication)| replication.as_ref());
        let is_left = plan::has_rule(&rule.id, replication) || has_policy(named_ours.as_ref(), &rule.id);
        Ok(Removal { source: found, named_ours, is_left, for_good })
    }

    /// Observes all that a plan to remove a rule depends on.
    pub(super) async fn observe_remains(
        &self,
        rule: &RuleAddress,
        access: &Access,
        expected: &Region,
        glance: Removal,
    ) -> Result<Remains, Error> {
        let Removal { source: found, named_ours, is_left, for_good } = glance;
        let replication = found.as_ref().and_then(|(_, replication)| replication.as_ref());
        let serving = replication.and_then(|configuration| other_role(configuration.role(), &rule.source));
        let region = found.as_ref().map_or(expected, |(location, _)| &location.region);
        let alarmed = for_good || is_left || serving.is_some();
        let (named_ours, serving, alarm) =
            try_join!(self.with_policies(named_ours), self.serving_role(serving), self.alarm(rule, region, alarmed))?;
        let roles = Roles { named_ours, serving };
        let job = async {
            match &found {
                Some(_) => self.job(rule, region, &self.cloud.identity().await?, &roles).await,
                None => Ok(None),
            }
        };
        let (policies, job) = try_join!(self.policies_left(rule, access, &roles, region), job)?;
        Ok(Remains { source: found, roles, alarm, policies, job })
    }
}

/// The role of a configuration, when it has not the name of ours: an account has one role of a name.
fn other_role(arn: &str, source: &BucketName) -> Option<RoleName> {
    RoleName::of_arn(arn).filter(|name| *name != RoleName::of_source(source))
}

fn has_policy(role: Option<&RoleOutline>, rule_id: &RuleId) -> bool {
    role.is_some_and(|role| role.policies.iter().any(|policy| policy == rule_id.as_str()))
}

pub(super) fn located(bucket: &BucketName, region: Region, identity: &Identity) -> Location {
    Location { bucket: bucket.clone(), region, owner: identity.account.clone(), access: Access::Own }
}

/// The keys to look up: those that were given, or the one of the bucket's default encryption.
fn source_keys(spec: &Spec, default_encryption: Option<Encryption>) -> Vec<String> {
    match (&spec.source_keys, default_encryption) {
        (SourceKeys::Given(keys), _) => keys.iter().map(ToString::to_string).collect(),
        (SourceKeys::BucketDefault, Some(Encryption::Kms { key, .. })) => vec![key.unwrap_or_else(|| "alias/aws/s3".to_owned())],
        (SourceKeys::BucketDefault, Some(Encryption::S3) | None) => Vec::new(),
    }
}
