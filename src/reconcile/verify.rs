//! A rule put to the test: an object of ours is written, watched until it is replicated, and removed again on all sides.
//!
//! # Guarantees
//! - Whatever fails, every version of the canary is removed before the answer, wherever a rule may have replicated it to. What could not be
//!   removed is in the log, and the next trial of the rule removes it; so it does with a canary whose writing was given up and took effect late.
//! - A canary that is still pending when the time is up stays only where whoever asks is to ask again, and then goes on with that canary.
//! - Two trials of one rule at a time both come to their end: the one whose canary the other removes writes another.
//!
//! # Assumptions
//! - S3 does not replicate a version any more after it was removed at the source.

use std::panic::{AssertUnwindSafe, resume_unwind};
use std::time::Duration;

use aws_sdk_s3::types::{ReplicationRule, ReplicationRuleStatus};
use futures_util::FutureExt;
use futures_util::future::{join_all, try_join_all};
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tokio::try_join;

use super::{Early, Engine, Outcome, Patience, SetUp, Status, located, progress};
use crate::cloud::{Cloud, CloudError, Identity, Key, Location, Replication};
use crate::error::Error;
use crate::plan::{Plan, Refusal};
use crate::spec::{Access, Account, BucketName, Invalid, KeyReference, Region, RoleName, RuleAddress, SourceKeys, Spec};
use crate::verify::{self, Canary, Evidence, Failure, PARAMETER, Verdict};

/// Time kept for the removal of a canary.
const REMOVAL_TIME: Duration = Duration::from_secs(10);

/// How often the removal from one bucket is tried.
const REMOVAL_TRIES: u32 = 3;

/// Time for one of these tries.
const REMOVAL_TRY: Duration = Duration::from_secs(3);

/// A rule to be put to the test.
#[derive(Debug, Clone, Copy)]
pub struct Trial<'a> {
    /// The rule.
    pub rule: &'a RuleAddress,
    /// The key that encrypts the canary; `None` for what the bucket encrypts with.
    pub key: Option<&'a KeyReference>,
    /// With whose credentials the destination's account is accessed.
    pub access: &'a Access,
    /// Whether the rule was changed a moment ago, so that a canary from before says nothing about it.
    pub anew: bool,
    /// Whether whoever asks is to ask again when the canary is still pending.
    pub resumable: bool,
}

impl Outcome {
    /// The outcome of a trial, which changes nothing that lasts.
    pub fn of_trial(trial: &Trial<'_>, status: Status) -> Self {
        Self { rule: trial.rule.clone(), status, plan: Plan::default(), target: None }
    }
}

/// Where a trial takes place.
struct Ground {
    identity: Identity,
    rule: ReplicationRule,
    role_arn: String,
    replica_key: Option<String>,
    canary: Canary,
    source: Location,
    /// Where the rule replicates to.
    destination: Location,
    /// Where other rules replicate the canary to.
    others: Vec<Location>,
}

/// How S3 dealt with a canary.
enum Watched {
    Replicated,
    /// Refused, with the canary encrypted with this key.
    Refused(Option<String>),
}

impl<C: Cloud> Engine<'_, C> {
    /// Puts a rule that has been applied to the test, when that was asked for.
    ///
    /// # Errors
    /// As [`Engine::verify`].
    pub async fn verify_applied(&self, spec: &Spec, outcome: Outcome, expected: &Region, resumable: bool) -> Result<Outcome, Error> {
        if !spec.verify || spec.dry_run {
            return Ok(outcome);
        }
        let key = match &spec.source_keys {
            SourceKeys::Given(keys) => keys.first(),
            SourceKeys::BucketDefault => None,
        };
        let trial = Trial { rule: &spec.rule, key, access: &spec.destination_access, anew: !outcome.plan.is_empty(), resumable };
        match self.verify(&trial, expected).await {
            Ok(()) => Ok(Outcome { status: Status::Verified, ..outcome }),
            // Not by the trial, but before it.
            Err(error) if error.changed_nothing() => {
                let (done, _) = progress(&outcome.plan.steps().collect::<Vec<_>>(), &outcome.plan);
                Err(Error::Interrupted { error: Box::new(error), done })
            }
            Err(error) => Err(error),
        }
    }

    /// Applies a rule of the policy, and puts it to the test when that is asked for: not on each of the bucket's events, but when the rule
    /// was changed, or a trial of it has yet to end.
    pub(super) async fn apply_policy_rule(&self, spec: &Spec, expected: &Region, early: Option<Early<SetUp>>) -> Result<Outcome, Error> {
        let outcome = self.apply_to(spec, expected, early).await?;
        if !spec.verify || spec.dry_run || (outcome.plan.is_empty() && !self.is_on_trial(spec, expected).await?) {
            return Ok(outcome);
        }
        // The other rules and messages of this invocation have the rest: what is pending then comes again.
        let left = self.deadline.saturating_duration_since(Instant::now());
        let engine = Engine { deadline: self.deadline - left / 2, ..*self };
        engine.verify_applied(spec, outcome, expected, true).await
    }

    async fn is_on_trial(&self, spec: &Spec, expected: &Region) -> Result<bool, Error> {
        let (key, source) = (canary_key(spec)?, self.in_time(self.locate(&spec.rule.source, expected, &Access::Own)).await?);
        let Some(source) = source else { return Ok(false) };
        let versions = self.in_time(async { self.cloud.versions(&source, &key).await.map_err(|failure| failure.naming(Some(PARAMETER))) });
        Ok(!versions.await?.objects.is_empty())
    }

    /// Removes what an earlier request has left of a canary to go on with, since this one cannot.
    pub(super) async fn sweep(&self, spec: &Spec, expected: &Region) {
        let swept = timeout_at(self.deadline, async {
            let places =
                [(&spec.rule.source, expected, &Access::Own), (&spec.destination, &spec.destination_region, &spec.destination_access)];
            for (bucket, region, access) in places {
                if let (Some(location), key) = (self.locate(bucket, region, access).await?, canary_key(spec)?) {
                    self.clear_bucket(&location, &key).await;
                }
            }
            Ok::<(), Error>(())
        });
        if let Ok(Err(error)) = swept.await {
            tracing::warn!(rule = spec.rule.id.as_str(), %error, "what an earlier request may have left of a canary was not looked for");
        }
    }

    async fn locate(&self, bucket: &BucketName, expected: &Region, access: &Access) -> Result<Option<Location>, CloudError> {
        let (identity, region) = try_join!(self.cloud.identity(), self.cloud.bucket_region(bucket, expected, access))?;
        let owner = access.account().unwrap_or(&identity.account).clone();
        Ok(region.map(|region| Location { bucket: bucket.clone(), region, owner, access: access.clone() }))
    }

    /// Shows that a rule replicates.
    ///
    /// # Errors
    /// [`Error::VerifyPending`] when it is not known yet and the trial can be resumed, [`Error::Unverified`] once a canary may have been
    /// written, and as [`Error`] says before that.
    pub async fn verify(&self, trial: &Trial<'_>, expected: &Region) -> Result<(), Error> {
        let ground = self.in_time(self.survey(trial, expected)).await?;
        let started = Instant::now();
        let until = self.deadline - REMOVAL_TIME.min(self.deadline.saturating_duration_since(started) / 4);
        let watched = AssertUnwindSafe(timeout_at(until, self.watch(&ground, trial.anew))).catch_unwind().await;
        let rule = trial.rule.to_string();
        if trial.resumable && matches!(watched, Ok(Err(_))) {
            return Err(Error::VerifyPending { rule, canary: ground.canary.key });
        }
        self.clear(&ground).await;
        let failure = match watched.unwrap_or_else(|panic| resume_unwind(panic)) {
            Ok(Ok(Watched::Replicated)) => return Ok(()),
            Ok(Ok(Watched::Refused(key))) => {
                let cause = self.in_time(self.diagnose(trial, &ground, key)).await;
                Failure::NotReplicated(cause.unwrap_or_else(|error| format!("the cause could not be looked for: {error}")))
            }
            Ok(Err(failure)) => failure,
            Err(_) => Failure::StillPending(started.elapsed().as_secs()),
        };
        Err(Error::Unverified { rule, canary: ground.canary.key, failure: Box::new(failure) })
    }

    /// Finds the rule, and every bucket that the canary will get to.
    async fn survey(&self, trial: &Trial<'_>, expected: &Region) -> Result<Ground, Error> {
        let (identity, region) = try_join!(self.cloud.identity(), self.cloud.bucket_region(&trial.rule.source, expected, &Access::Own))?;
        let region = region.ok_or_else(|| Refusal::SourceMissing { bucket: trial.rule.source.clone() })?;
        let source = located(&trial.rule.source, region, &identity);
        let configuration = self.cloud.replication(&source).await?.map(|configuration| (configuration.role, configuration.rules));
        let (role_arn, rules) = configuration.unwrap_or_default();
        let rule = rules.iter().find(|rule| rule.id() == Some(trial.rule.id.as_str())).cloned();
        let rule = rule.ok_or_else(|| Refusal::RuleMissing { bucket: trial.rule.source.clone(), rule: trial.rule.id.clone() })?;
        if *rule.status() != ReplicationRuleStatus::Enabled {
            return Err(Refusal::RuleDisabled { bucket: trial.rule.source.clone(), rule: trial.rule.id.clone() }.into());
        }
        let canary = Canary::of(&trial.rule.id, &rule, trial.key)?;
        let replica_key = verify::destination(&rule)?.1.map(str::to_owned);
        let others = rules.iter().filter(|other| other.id() != rule.id() && canary.is_selected_by(other));
        let others = others.map(|other| self.destination(other, &source, &identity, trial.access));
        let (destination, others) = try_join!(self.destination(&rule, &source, &identity, trial.access), try_join_all(others))?;
        let ground = Ground { identity, role_arn, replica_key, canary, source, destination, others, rule };
        self.refuse_locked(&ground).await.map(|()| ground)
    }

    async fn destination(
        &self,
        rule: &ReplicationRule,
        source: &Location,
        identity: &Identity,
        access: &Access,
    ) -> Result<Location, Error> {
        let (bucket, key) = verify::destination(rule)?;
        let key = key.and_then(|arn| KeyReference::parse(arn).ok());
        let expected = key.as_ref().map_or(&source.region, KeyReference::region);
        let account = rule.destination().and_then(|destination| destination.account());
        let owner = account.and_then(|account| Account::parse(account).ok()).unwrap_or_else(|| identity.account.clone());
        let access = access.to(&owner);
        let region = self.cloud.bucket_region(&bucket, expected, &access).await?;
        let region = region.ok_or_else(|| Refusal::DestinationMissing { bucket: bucket.clone() })?;
        Ok(Location { bucket, region, owner, access })
    }

    /// Refuses to write what a bucket might keep.
    async fn refuse_locked(&self, ground: &Ground) -> Result<(), Error> {
        let locations: Vec<&Location> = ground.locations().collect();
        let locked = try_join_all(locations.iter().map(|location| self.cloud.object_lock(location))).await?;
        match locations.into_iter().zip(locked).find(|(_, locked)| *locked) {
            Some((location, _)) => Err(Refusal::LockedCanary { bucket: location.bucket.clone() }.into()),
            None => Ok(()),
        }
    }

    /// Watches the canary until it is known what becomes of it.
    async fn watch(&self, ground: &Ground, anew: bool) -> Result<Watched, Failure> {
        let (source, canary) = (&ground.source, &ground.canary);
        // Looked for even where it will not be used: who may not see what is there may not clear it away afterwards.
        let earlier = self.cloud.versions(source, &canary.key).await?.objects.into_iter().next();
        let mut version = match earlier.filter(|_| !anew) {
            Some(version) => version,
            None => self.cloud.put_canary(source, canary).await?,
        };
        let mut another = Patience::new(Duration::from_secs(1));
        let mut pending = Patience::endless(Duration::from_millis(500));
        loop {
            let seen = self.cloud.object_version(source, &canary.key, &version).await?;
            let replica = match seen.as_ref().and_then(|seen| seen.replication) {
                Some(Replication::Completed | Replication::Failed) => {
                    self.cloud.object_version(&ground.destination, &canary.key, &version).await?
                }
                _ => None,
            };
            match verify::judge(seen.as_ref(), replica.as_ref(), ground.replica_key.as_deref()) {
                Verdict::Replicates => return Ok(Watched::Replicated),
                Verdict::Refused => return Ok(Watched::Refused(seen.and_then(|seen| seen.kms_key))),
                Verdict::Fails(failure) => return Err(failure),
                Verdict::Another(failure) => {
                    if !another.pause().await {
                        return Err(failure);
                    }
                    tracing::info!(bucket = source.bucket.as_str(), key = canary.key, %failure, "writing another canary");
                    version = self.cloud.put_canary(source, canary).await?;
                }
                Verdict::Pending => {
                    pending.pause().await;
                }
            }
        }
    }

    /// Looks for what kept S3 from replicating a canary that was encrypted with `key`.
    async fn diagnose(&self, trial: &Trial<'_>, ground: &Ground, key: Option<String>) -> Result<String, Error> {
        let Ground { source, destination, .. } = ground;
        let role = async {
            match RoleName::of_arn(&ground.role_arn) {
                Some(name) => self.cloud.role(&name).await,
                None => Ok(None),
            }
        };
        let (versioning, destination_versioning, source_key, replica_key, role) = try_join!(
            self.cloud.versioning(source),
            self.cloud.versioning(destination),
            self.find_key(key.as_deref(), &source.region, trial.access),
            self.find_key(ground.replica_key.as_deref(), &destination.region, trial.access),
            role,
        )?;
        let evidence = Evidence {
            identity: &ground.identity,
            address: trial.rule,
            rule: &ground.rule,
            source: (source, versioning),
            destination: (destination, destination_versioning),
            source_key,
            replica_key,
            role_arn: &ground.role_arn,
            role,
        };
        Ok(evidence.report())
    }

    async fn find_key<'a>(
        &self,
        key: Option<&'a str>,
        region: &Region,
        access: &Access,
    ) -> Result<Option<(&'a str, Option<Key>)>, CloudError> {
        let Some(arn) = key else { return Ok(None) };
        let access = KeyReference::parse(arn).map(|key| access.to(key.account())).unwrap_or_default();
        Ok(Some((arn, self.cloud.key(arn, region, &access).await?)))
    }

    /// Removes the canary everywhere: at the source first, so that nothing more arrives at the destinations.
    async fn clear(&self, ground: &Ground) {
        let (key, mut locations) = (&ground.canary.key, ground.locations());
        let cleared = timeout_at(self.deadline.min(Instant::now() + REMOVAL_TIME), async {
            if let Some(source) = locations.next() {
                self.clear_bucket(source, key).await;
            }
            join_all(locations.map(|location| self.clear_bucket(location, key))).await;
        });
        if cleared.await.is_err() {
            let bucket = ground.source.bucket.as_str();
            tracing::error!(bucket, key, "what is left of the canary, here and at the destinations, stays until the rule's next trial");
        }
    }

    /// Tries again whatever the failure is: nothing but the rule's next trial removes what is left then.
    async fn clear_bucket(&self, location: &Location, key: &str) {
        let bucket = location.bucket.as_str();
        for _ in 0..REMOVAL_TRIES {
            match timeout(REMOVAL_TRY, self.remove_versions(location, key)).await {
                Ok(Ok(())) => return,
                Ok(Err(failure)) => tracing::warn!(bucket, key, %failure, "the canary could not be removed"),
                Err(_) => tracing::warn!(bucket, key, "the canary could not be removed in time"),
            }
            sleep(Duration::from_millis(200)).await;
        }
        tracing::error!(bucket, key, "what is left of the canary stays until the rule's next trial");
    }

    async fn remove_versions(&self, location: &Location, key: &str) -> Result<(), CloudError> {
        let versions = self.cloud.versions(location, key).await?;
        let all = versions.objects.iter().chain(&versions.delete_markers);
        let removed = join_all(all.map(|version| self.cloud.delete_version(location, key, version))).await;
        removed.into_iter().collect()
    }
}

impl Ground {
    /// All buckets that the canary gets to; the source is the first.
    fn locations(&self) -> impl Iterator<Item = &Location> {
        [&self.source, &self.destination].into_iter().chain(&self.others)
    }
}

fn canary_key(spec: &Spec) -> Result<String, Error> {
    Ok(spec.rule.id.canary_key(&spec.filter.prefix).map_err(|problem| Invalid::new("Prefix", problem))?)
}
