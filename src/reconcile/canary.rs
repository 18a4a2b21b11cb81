//! The buckets that a canary reaches, and its removal from them.
//!
//! It must not know whether the canary was replicated: [`super::verify`] judges that.

use std::time::Duration;

use futures_util::future::{join_all, try_join_all};
use tokio::time::{Instant, timeout, timeout_at};
use tokio::try_join;

use super::retry::{Failed, RetryBudget, retry};
use super::snapshot::own_location;
use super::verify::Verification;
use super::{Engine, Error};
use crate::model::{
    Access, Account, ApiError, BucketName, Canary, Identity, KeyReference, Location, Region,
    ReplicationRule, RuleAddress,
};
use crate::plan::Refusal;
use crate::ports::Cloud;
use crate::spec::{Invalid, Spec};
use crate::verify;

/// The number of attempts to remove a canary from one bucket.
const REMOVAL_ATTEMPTS: u32 = 3;

/// Time for one attempt to remove a canary.
const REMOVAL_ATTEMPT: Duration = Duration::from_secs(3);

/// The rule that a canary verifies, and every bucket that the canary reaches.
pub(super) struct CanarySites {
    pub identity: Identity,
    pub rule: ReplicationRule,
    pub role_arn: String,
    pub replica_key: Option<String>,
    pub canary: Canary,
    pub source: Location,
    /// The destination of the verified rule.
    pub destination: Location,
    /// The destinations of other rules that replicate the canary.
    pub other_destinations: Vec<Location>,
}

impl CanarySites {
    /// All buckets that the canary reaches; the source is the first.
    fn locations(&self) -> impl Iterator<Item = &Location> {
        [&self.source, &self.destination].into_iter().chain(&self.other_destinations)
    }
}

/// The object key of the canary that verifies a rule.
pub(super) fn canary_key(spec: &Spec) -> Result<String, Error> {
    let key = spec.rule.id.canary_key(&spec.filter.prefix);
    Ok(key.map_err(|problem| Invalid::new("Prefix", problem))?)
}

impl<C: Cloud> Engine<'_, C> {
    /// Finds the rule and every bucket that the canary will reach.
    pub(super) async fn canary_sites(
        &self,
        verification: &Verification<'_>,
        expected: &Region,
    ) -> Result<CanarySites, Error> {
        let RuleAddress { source: bucket, id } = verification.rule;
        let region = self.cloud.bucket_region(bucket, expected, &Access::Own);
        let (identity, region) = try_join!(self.cloud.identity(), region)?;
        let region = region.ok_or_else(|| Refusal::SourceMissing { bucket: bucket.clone() })?;
        let source = own_location(bucket, region, &identity);
        let configuration = self.cloud.replication(&source).await?;
        let rule = configuration.as_ref().and_then(|found| found.rule(id.as_str()));
        let (Some(configuration), Some(rule)) = (&configuration, rule) else {
            return Err(Refusal::RuleMissing { bucket: bucket.clone(), rule: id.clone() }.into());
        };
        if !rule.is_enabled() {
            return Err(Refusal::RuleDisabled { bucket: bucket.clone(), rule: id.clone() }.into());
        }
        let canary = verify::canary(id, rule, verification.key)?;
        let replica_key = verify::destination(rule)?.1.map(str::to_owned);
        let others = configuration
            .rules()
            .filter(|other| other.id() != rule.id() && verify::selects(other, &canary));
        let others = others
            .map(|other| self.destination_location(other, &source, &identity, verification.access));
        let destination = self.destination_location(rule, &source, &identity, verification.access);
        let (destination, other_destinations) = try_join!(destination, try_join_all(others))?;
        let (role_arn, rule) = (configuration.role().to_owned(), rule.clone());
        let sites = CanarySites {
            identity,
            rule,
            role_arn,
            replica_key,
            canary,
            source,
            destination,
            other_destinations,
        };
        self.refuse_object_lock(&sites).await.map(|()| sites)
    }

    /// Finds the destination bucket of a rule.
    async fn destination_location(
        &self,
        rule: &ReplicationRule,
        source: &Location,
        identity: &Identity,
        access: &Access,
    ) -> Result<Location, Error> {
        let (bucket, key) = verify::destination(rule)?;
        let key = key.and_then(|arn| KeyReference::parse(arn).ok());
        let expected = key.as_ref().map_or(&source.region, KeyReference::region);
        let owner = rule.destination_account().and_then(|account| Account::parse(account).ok());
        let owner = owner.unwrap_or_else(|| identity.account.clone());
        let access = access.for_account(&owner);
        let region = self.cloud.bucket_region(&bucket, expected, &access).await?;
        let region =
            region.ok_or_else(|| Refusal::DestinationMissing { bucket: bucket.clone() })?;
        Ok(Location { bucket, region, owner, access })
    }

    /// Refuses to write a canary that Object Lock could keep from being removed.
    async fn refuse_object_lock(&self, sites: &CanarySites) -> Result<(), Error> {
        let locations: Vec<&Location> = sites.locations().collect();
        let locked =
            try_join_all(locations.iter().map(|location| self.cloud.object_lock(location))).await?;
        match locations.into_iter().zip(locked).find(|(_, locked)| *locked) {
            Some((location, _)) => {
                Err(Refusal::LockedCanary { bucket: location.bucket.clone() }.into())
            }
            None => Ok(()),
        }
    }

    /// Finds a bucket; `None` when it does not exist.
    pub(super) async fn locate(
        &self,
        bucket: &BucketName,
        expected: &Region,
        access: &Access,
    ) -> Result<Option<Location>, ApiError> {
        let region = self.cloud.bucket_region(bucket, expected, access);
        let (identity, region) = try_join!(self.cloud.identity(), region)?;
        let owner = access.account().unwrap_or(&identity.account).clone();
        Ok(region.map(|region| Location {
            bucket: bucket.clone(),
            region,
            owner,
            access: access.clone(),
        }))
    }

    /// Removes the canary that an earlier request left for this one, which failed before it could resume the verification.
    pub(super) async fn remove_stale_canary(&self, spec: &Spec, expected: &Region) {
        let sites = [
            (&spec.rule.source, expected, &Access::Own),
            (&spec.destination, &spec.destination_region, &spec.destination_access),
        ];
        let removal = timeout_at(self.deadline, async {
            let key = canary_key(spec)?;
            for (bucket, region, access) in sites {
                if let Some(location) = self.locate(bucket, region, access).await? {
                    self.remove_from_bucket(&location, &key).await;
                }
            }
            Ok::<(), Error>(())
        });
        if let Ok(Err(error)) = removal.await {
            tracing::warn!(rule = spec.rule.id.as_str(), %error, "cannot look for a canary that an earlier request may have left");
        }
    }

    /// Removes the canary from all buckets, from the source first so that no further replica arrives.
    pub(super) async fn remove_canary(&self, sites: &CanarySites, deadline: Instant) {
        let (key, mut locations) = (&sites.canary.key, sites.locations());
        let removal = timeout_at(deadline, async {
            if let Some(source) = locations.next() {
                self.remove_from_bucket(source, key).await;
            }
            join_all(locations.map(|location| self.remove_from_bucket(location, key))).await;
        });
        if removal.await.is_err() {
            let bucket = sites.source.bucket.as_str();
            tracing::error!(
                bucket,
                key,
                "the canary could not be removed in time; the rule's next Verify removes it, also at the destinations"
            );
        }
    }

    /// Removes the canary from one bucket. Any failure is retried, since nothing else removes the canary until the rule's next
    /// Verify.
    async fn remove_from_bucket(&self, location: &Location, key: &str) {
        let bucket = location.bucket.as_str();
        let pause = Duration::from_millis(200);
        let budget = RetryBudget::until_deadline(pause, pause).with_attempts(REMOVAL_ATTEMPTS);
        let removed = retry(budget, async || {
            match timeout(REMOVAL_ATTEMPT, self.remove_versions(location, key)).await {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(failure)) => {
                    tracing::warn!(bucket, key, %failure, "the canary could not be removed")
                }
                Err(_) => tracing::warn!(bucket, key, "the canary could not be removed in time"),
            }
            Err(Failed::Retryable(()))
        });
        if removed.await.is_err() {
            tracing::error!(
                bucket,
                key,
                "the canary could not be removed; the rule's next Verify removes it"
            );
        }
    }

    async fn remove_versions(&self, location: &Location, key: &str) -> Result<(), ApiError> {
        let versions = self.cloud.versions(location, key).await?;
        let all = versions.objects.iter().chain(&versions.delete_markers);
        let removed =
            join_all(all.map(|version| self.cloud.delete_version(location, key, version))).await;
        removed.into_iter().collect()
    }
}
