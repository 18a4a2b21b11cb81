//! What is read of AWS before anything is planned: in two rounds of reads that do not need one another.
//!
//! The first round does not wait to hear where the source bucket is: it reads where the bucket is expected, and what it has read counts only
//! when the bucket turns out to be there.

use futures_util::future::try_join_all;
use tokio::{join, try_join};

use super::abroad::{of_destination, unless_denied};
use super::{Engine, Error};
use crate::cloud::{Alarm, Cloud, CloudError, Encryption, Identity, Location, Role};
use crate::plan::{self, Created, Destination, OWNER_TAG, Observed, Refusal, Remains, Roles, Source};
use crate::spec::{Access, BucketName, Region, RoleName, RuleId, SourceKeys, Spec};

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

    /// Observes all that a plan for `spec` depends on.
    pub(super) async fn observe(&self, spec: &Spec, expected: &Region) -> Result<Observed, Error> {
        let cloud = self.cloud;
        let identity = cloud.identity().await?;
        let role_name = RoleName::of_source(&spec.source);
        let key_access = spec.destination_access.to(spec.replica_key.account());
        let source = self
            .look(&spec.source, expected, async |location| try_join!(cloud.replication(location), self.default_encryption(spec, location)));
        let first = async {
            try_join!(
                async { source.await?.ok_or_else(|| Error::from(Refusal::SourceMissing { bucket: spec.source.clone() })) },
                async {
                    Ok(unless_denied(cloud.bucket_region(&spec.destination, &spec.destination_region, &spec.destination_access)).await?)
                },
                async { Ok(unless_denied(cloud.key(spec.replica_key.as_str(), spec.replica_key.region(), &key_access)).await?) },
            )
        };
        let both = async {
            let ((location, (replication, encryption)), destination_region, replica_key) = first.await?;
            let mut unseen = Vec::new();
            let replica_key = of_destination(replica_key, spec.replica_key.account(), spec, &identity, &mut unseen)?;
            let owner = spec.destination_account.clone().unwrap_or_else(|| identity.account.clone());
            let destination = of_destination(destination_region, &owner, spec, &identity, &mut unseen)?.map(|region| Location {
                bucket: spec.destination.clone(),
                region,
                owner: owner.clone(),
                access: spec.destination_access.clone(),
            });

            let serving = replication.as_ref().and_then(|configuration| other_role(configuration.role(), &role_name));
            let alarmed = spec.alarm_topic.is_some() || serving.is_some() || plan::has_rule(&spec.rule_id, replication.as_ref());
            let asked = source_keys(spec, encryption);
            let (versioning, object_lock, keys, destination, serving, alarm) = try_join!(
                cloud.versioning(&location),
                cloud.object_lock(&location),
                try_join_all(asked.iter().map(|key| cloud.key(key, &location.region, &Access::Own))),
                unless_denied(self.observe_destination(spec, destination, &identity)),
                self.serving_role(serving),
                self.alarm(&spec.source, &spec.rule_id, &location.region, alarmed),
            )?;
            let destination = of_destination(destination, &owner, spec, &identity, &mut unseen)?;
            let source = Source { location, versioning, object_lock, replication };
            Ok((source, replica_key, asked.into_iter().zip(keys).collect(), destination, serving, (alarmed, alarm), unseen))
        };
        let (named_ours, both) = try_join!(async { Ok::<_, Error>(cloud.role(&role_name).await?) }, both)?;
        let (source, replica_key, source_keys, destination, serving, (alarmed, alarm), unseen) = both;
        let traced = !alarmed && has_policy(named_ours.as_ref(), &spec.rule_id);
        let alarm = if traced { self.alarm(&spec.source, &spec.rule_id, &source.location.region, true).await? } else { alarm };
        let roles = Roles { named_ours, serving };
        let region = &source.location.region;
        let (policies, job, report_missing) = try_join!(
            self.policies_abroad(spec, &identity, destination.as_ref(), replica_key.as_ref(), &roles),
            self.job(&spec.source, &spec.rule_id, region, &identity, &roles),
            self.lacks_report_bucket(spec, region, &roles),
        )?;
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
            Ok(tags.contains_key(OWNER_TAG).then_some(Created { encryption, public_access_blocked }))
        };
        let (versioning, object_lock, created) = try_join!(self.cloud.versioning(&location), self.cloud.object_lock(&location), created)?;
        Ok(Some(Destination { location, versioning, object_lock, created }))
    }

    async fn serving_role(&self, name: Option<RoleName>) -> Result<Option<Role>, CloudError> {
        match name {
            Some(name) => self.cloud.role(&name).await,
            None => Ok(None),
        }
    }

    /// The rule's alarm, looked for only where there can be one: CloudWatch answers no more than a few of these calls a second. Its rule's policy
    /// is made before the alarm and goes after it.
    async fn alarm(&self, source: &BucketName, rule_id: &RuleId, region: &Region, possible: bool) -> Result<Option<Alarm>, CloudError> {
        if !possible {
            return Ok(None);
        }
        let name = rule_id.among_all(source);
        let found = self.cloud.alarms(std::slice::from_ref(&name), region).await?;
        Ok(found.into_iter().find(|alarm| alarm.name == name))
    }

    /// Observes all that a plan to remove a rule depends on; its alarm `always`, or only where the rule has left something.
    pub(super) async fn observe_remains(
        &self,
        source: &BucketName,
        rule_id: &RuleId,
        access: &Access,
        expected: &Region,
        always: bool,
    ) -> Result<Remains, Error> {
        let role_name = RoleName::of_source(source);
        let found = async {
            let found = self.look(source, expected, async |location| self.cloud.replication(location).await).await?;
            let replication = found.as_ref().and_then(|(_, replication)| replication.as_ref());
            let serving = replication.and_then(|configuration| other_role(configuration.role(), &role_name));
            let alarmed = always || serving.is_some() || plan::has_rule(rule_id, replication);
            let region = found.as_ref().map_or(expected, |(location, _)| &location.region);
            let (serving, alarm) = try_join!(self.serving_role(serving), self.alarm(source, rule_id, region, alarmed))?;
            Ok((found, serving, (alarmed, alarm)))
        };
        let (named_ours, (found, serving, (alarmed, alarm))) = try_join!(self.cloud.role(&role_name), found)?;
        let region = found.as_ref().map_or(expected, |(location, _)| &location.region);
        let traced = !alarmed && has_policy(named_ours.as_ref(), rule_id);
        let alarm = if traced { self.alarm(source, rule_id, region, true).await? } else { alarm };
        let roles = Roles { named_ours, serving };
        let job = async {
            match &found {
                Some(_) => self.job(source, rule_id, region, &self.cloud.identity().await?, &roles).await,
                None => Ok(None),
            }
        };
        let (policies, job) = try_join!(self.policies_left(source, rule_id, access, &roles, region), job)?;
        Ok(Remains { source: found, roles, alarm, policies, job })
    }
}

/// The role of a configuration, when it has not the name of ours: an account has one role of a name.
fn other_role(arn: &str, ours: &RoleName) -> Option<RoleName> {
    RoleName::of_arn(arn).filter(|name| name != ours)
}

fn has_policy(role: Option<&Role>, rule_id: &RuleId) -> bool {
    role.is_some_and(|role| role.policies.contains_key(rule_id.as_str()))
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
