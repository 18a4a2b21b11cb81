//! The removal of canaries from the buckets in which they may be.
//!
//! It must not know whether a canary was replicated: [`super::verify`] judges that.
//!
//! # Guarantees
//! - Before a rule is deleted, or gets another prefix or another destination, its canary is removed from the source and from its
//!   present destination. After a crash at any point, the rule still shows where to look.
//! - Of the canaries of version 0.1.0, whose keys several sources share, only versions of this source are removed.

use std::time::Duration;

use futures_util::future::{OptionFuture, join_all, try_join_all};
use tokio::join;
use tokio::time::{Instant, timeout, timeout_at};
use tokio::try_join;

use super::canary::{canary_key, expected_destination};
use super::open_verification::{VerificationNumber, VerificationState};
use super::retry::{Failed, RetryBudget, retry};
use super::snapshot::own_location;
use super::{Engine, Error};
use crate::model::{
    Access, ApiError, BucketLocation, Region, ReplicationRule, Retry, RuleAddress, RuleId,
};
use crate::plan::{Plan, Replaces, ReplicationWrite};
use crate::ports::Cloud;
use crate::spec::Spec;
use crate::verify;

/// The number of attempts to remove a page of versions from one bucket.
const REMOVAL_ATTEMPTS: u32 = 3;

/// Time for one attempt to remove a page of versions.
const REMOVAL_ATTEMPT: Duration = Duration::from_secs(3);

/// A rule as it is before it is deleted, or gets another prefix or another destination.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct FormerRule {
    pub location: BucketLocation,
    pub id: RuleId,
    pub rule: ReplicationRule,
}

impl FormerRule {
    /// The rules that a plan deletes or moves.
    pub(super) fn all_of(plan: &Plan) -> Vec<Self> {
        let writes = plan.actions().filter_map(|action| match action.replaces() {
            Replaces::Replication(write) => Some(write),
            Replaces::ResourcePolicy(_) | Replaces::Nothing => None,
        });
        writes.filter_map(|write| Self::replaced_by(&write)).collect()
    }

    /// The rule that a write deletes or moves; `None` if it does neither.
    fn replaced_by(write: &ReplicationWrite<'_>) -> Option<Self> {
        let before = write.rule_before()?;
        if write.rule_after().is_some_and(|after| verify::has_same_canary(before, after)) {
            return None;
        }
        let (location, id) = (write.location.clone(), write.rule.clone());
        Some(Self { location, id, rule: before.clone() })
    }
}

/// Where versions of a rule's canary may be.
#[derive(Debug, Clone)]
pub(super) struct CanaryTraces {
    /// Its object key.
    pub key: String,
    /// The object key that version 0.1.0 used.
    pub former_key: String,
    /// The source bucket; `None` if it does not exist.
    pub source: Option<BucketLocation>,
    /// The destinations of the rules that select the canary.
    pub destinations: Vec<BucketLocation>,
}

impl<C: Cloud> Engine<'_, C> {
    /// Finds a bucket that is expected at `location`; `None` when it does not exist.
    async fn locate(&self, location: BucketLocation) -> Result<Option<BucketLocation>, ApiError> {
        let BucketLocation { bucket, region, owner, access } = &location;
        let region = self.cloud.bucket_region(bucket, region, owner, access).await?;
        Ok(region.map(|region| BucketLocation { region, ..location }))
    }

    /// Finds the source and the destination of a rule.
    pub(super) async fn locate_ends(
        &self,
        spec: &Spec,
        expected: &Region,
    ) -> Result<[Option<BucketLocation>; 2], ApiError> {
        let identity = self.cloud.identity().await?;
        let destination = BucketLocation {
            bucket: spec.destination.clone(),
            region: spec.destination_region.clone(),
            owner: spec.destination_account.as_ref().unwrap_or(&identity.account).clone(),
            access: spec.destination_access.clone(),
        };
        let (source, destination) = try_join!(
            self.locate(own_location(&spec.rule.source, expected.clone(), &identity)),
            self.locate(destination)
        )?;
        Ok([source, destination])
    }

    /// Reads which verification an earlier request has left open, for a request that verifies nothing itself.
    pub(super) async fn verification_left_open(&self, spec: &Spec) -> Option<VerificationNumber> {
        if spec.verify || spec.dry_run {
            return None;
        }
        match self.read_verification_state(&spec.rule).await {
            Ok(Some(VerificationState::Open(number))) => Some(number),
            Ok(Some(VerificationState::Ended) | None) => None,
            Err(error) => {
                tracing::warn!(rule = spec.rule.id.as_str(), %error, "cannot read whether an earlier verification is open");
                None
            }
        }
    }

    /// Removes the canary that an earlier request has left. Returns whether nothing is left.
    pub(super) async fn remove_stale_canary(&self, spec: &Spec, expected: &Region) -> bool {
        let removal = timeout_at(self.deadline, async {
            let [source, destination] = self.locate_ends(spec, expected).await?;
            let traces = CanaryTraces {
                key: canary_key(spec)?,
                former_key: spec.rule.former_canary_key(&spec.filter.prefix),
                source,
                destinations: destination.into_iter().collect(),
            };
            Ok::<_, Error>(self.remove_traces(&traces, self.deadline).await.is_ok())
        });
        match removal.await {
            Ok(Ok(is_removed)) => is_removed,
            Ok(Err(error)) => {
                tracing::warn!(rule = spec.rule.id.as_str(), %error, "cannot look for a canary that an earlier request may have left");
                false
            }
            Err(_) => false,
        }
    }

    /// Looks for the canaries of rules that a plan is about to delete or move. Changes nothing.
    ///
    /// # Errors
    /// When a look fails and a retry can help: the rule is then left as it is, so that the retry knows where to look. Any other failure is
    /// logged.
    pub(super) async fn find_former_canaries(
        &self,
        rules: &[FormerRule],
        access: &Access,
    ) -> Result<Vec<CanaryTraces>, Error> {
        let looks = rules.iter().map(|rule| self.find_canary(rule, access));
        Ok(try_join_all(looks).await?.into_iter().flatten().collect())
    }

    /// Removes the canaries that [`Self::find_former_canaries`] has found.
    ///
    /// # Errors
    /// When the removal fails and a retry can help. Any other failure is logged.
    pub(super) async fn remove_former_canaries(&self, found: &[CanaryTraces]) -> Result<(), Error> {
        for traces in found {
            match self.remove_traces(traces, self.deadline).await {
                Err(failure) if failure.retry != Retry::Never => return Err(failure.into()),
                Err(_) | Ok(()) => {}
            }
        }
        Ok(())
    }

    /// Where the canary of a rule is, or may be; `None` if it cannot be read, or is nowhere.
    async fn find_canary(
        &self,
        former: &FormerRule,
        access: &Access,
    ) -> Result<Option<CanaryTraces>, Error> {
        let FormerRule { location: source, id, rule: before } = former;
        let rule = RuleAddress { source: source.bucket.clone(), id: id.clone() };
        let Ok(canary) = verify::canary(&rule, before, None) else { return Ok(None) };
        let (key, former_key) = (canary.key, verify::former_key(&rule, before));
        let identity = self.cloud.identity().await?;
        let versions = async |bucket: &BucketLocation| self.cloud.versions(bucket, &key).await;
        let expected = expected_destination(before, source, &identity, access).ok();
        let reader = self.reader();
        let at_destination = OptionFuture::from(
            expected.clone().map(|expected| reader.read_expected_at(expected, versions)),
        );
        // At once, since a canary that the source does not have sends no replica between the looks.
        let (at_source, former, at_destination) =
            join!(versions(source), self.cloud.versions(source, &former_key), at_destination);
        let at_source = match at_source {
            Ok(versions) => versions,
            // Without the right to read canaries, this deployment has not written any.
            Err(failure) if failure.is_denied() => return Ok(None),
            Err(failure) if failure.retry == Retry::Never => {
                let bucket = source.bucket.as_str();
                tracing::warn!(bucket, %failure, "cannot look for the canary of a rule that is removed or moved");
                return Ok(None);
            }
            Err(failure) => return Err(failure.into()),
        };
        let (destination, has_no_replica) = match at_destination.transpose().map_err(Error::from) {
            Ok(Some(Some((destination, versions)))) => (Some(destination), versions.is_empty()),
            Ok(Some(None) | None) => (None, true),
            Err(error) if error.is_transient() => return Err(error),
            // Replicas whose versions the source shows can be removed all the same.
            Err(error) => {
                let bucket = source.bucket.as_str();
                tracing::warn!(bucket, %error, "cannot look for replicas of the canary of a rule that is removed or moved");
                (expected, true)
            }
        };
        let has_no_former = former.is_ok_and(|versions| versions.is_empty());
        if at_source.is_empty() && has_no_former && has_no_replica {
            return Ok(None);
        }
        let (source, destinations) = (Some(source.clone()), destination.into_iter().collect());
        Ok(Some(CanaryTraces { key, former_key, source, destinations }))
    }

    /// Removes a canary from all buckets, from the source first so that no further replica arrives. What is left is logged.
    pub(super) async fn remove_traces(
        &self,
        traces: &CanaryTraces,
        deadline: Instant,
    ) -> Result<(), ApiError> {
        let CanaryTraces { key, former_key, source, destinations } = traces;
        let removal = timeout_at(deadline, async {
            let former = match source {
                Some(source) => {
                    let (present, former) =
                        join!(self.remove_key(source, key), self.remove_key(source, former_key));
                    present.and(former)
                }
                None => Ok(Vec::new()),
            };
            let versions = former.as_deref().unwrap_or_default();
            let removed = join_all(destinations.iter().map(async |destination| {
                let former = versions
                    .iter()
                    .map(|version| self.cloud.delete_version(destination, former_key, version));
                let (present, former) =
                    join!(self.remove_key(destination, key), try_join_all(former));
                present.and(former).map(|_| ())
            }));
            let removed: Result<(), ApiError> = removed.await.into_iter().collect();
            former.and(removed)
        });
        let removed = removal.await.unwrap_or_else(|_| Err(out_of_time(key)));
        if let Err(failure) = &removed {
            let bucket = source.as_ref().map(|source| source.bucket.as_str());
            let destinations: Vec<&str> =
                destinations.iter().map(|destination| destination.bucket.as_str()).collect();
            tracing::error!(bucket, ?destinations, key, %failure, "the canary could not be removed everywhere; the rule's next request removes it");
        }
        removed
    }

    /// Removes all versions and delete markers of a key from one bucket, page by page. Any failure is retried. Returns the ids of the
    /// versions.
    async fn remove_key(
        &self,
        location: &BucketLocation,
        key: &str,
    ) -> Result<Vec<String>, ApiError> {
        let mut removed = Vec::new();
        loop {
            let pause = Duration::from_millis(200);
            let budget = RetryBudget::until_deadline(pause, pause).with_attempts(REMOVAL_ATTEMPTS);
            let page = retry(budget, async || {
                let removal = timeout(REMOVAL_ATTEMPT, self.remove_page(location, key)).await;
                removal.unwrap_or_else(|_| Err(out_of_time(key))).map_err(|failure| {
                    let bucket = location.bucket.as_str();
                    tracing::warn!(bucket, key, %failure, "the canary could not be removed");
                    Failed::Retryable(failure)
                })
            });
            let Page { versions, more } = page.await?;
            removed.extend(versions);
            if !more {
                return Ok(removed);
            }
        }
    }

    async fn remove_page(&self, location: &BucketLocation, key: &str) -> Result<Page, ApiError> {
        let versions = self.cloud.versions(location, key).await?;
        let all = versions.objects.iter().chain(&versions.delete_markers);
        let removed =
            join_all(all.map(|version| self.cloud.delete_version(location, key, version))).await;
        removed.into_iter().collect::<Result<(), ApiError>>()?;
        Ok(Page { versions: versions.objects, more: versions.more })
    }
}

/// The versions that were removed from a bucket at once.
struct Page {
    versions: Vec<String>,
    /// Whether the bucket has more of them.
    more: bool,
}

/// The failure of a removal that has not ended in time.
fn out_of_time(key: &str) -> ApiError {
    ApiError {
        operation: "DeleteObject",
        resource: format!("object `{key}`"),
        code: "TimedOut".to_owned(),
        message: "no answer in time".to_owned(),
        missing_right: None,
        retry: Retry::NextInvocation,
    }
}
