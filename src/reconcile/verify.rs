//! Verify: writes a canary, polls it until S3 has replicated it, and removes it from all buckets.
//!
//! It must not know what the canary's state means: [`crate::verify`] judges that.
//!
//! # Guarantees
//! - After any failure, every version of the canary is removed from every bucket that a rule may have replicated it to. A version
//!   that cannot be removed is logged, and the rule's next request removes it. That also removes a canary whose write took effect
//!   late.
//! - Only a canary that is pending, or was written a short time ago, counts. For any older one, another is written.
//! - A canary that is still pending at the deadline stays only when the request will be repeated and continue with it.
//! - Two concurrent verifications of one rule both end. When one removes the canary of the other, the other writes a new canary.
//!
//! # Assumptions
//! - S3 does not replicate a version that was deleted from the source, so no replica arrives after the removal.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::try_join_all;
use tokio::time::{Instant, timeout_at};
use tokio::try_join;

use super::canary::{CanarySites, canary_key};
use super::diagnose::{DiagnosisReads, DiagnosisRequest};
use super::lease::epoch_seconds;
use super::open_verification::{VerificationNumber, VerificationState};
use super::retry::RetryBudget;
use super::{Engine, Error, Outcome, Prerequisites, Status};
use crate::model::{
    Access, ApiError, Key, KeyReference, OptionalRight, Region, ReplicationStatus, Retry, RoleName,
    RuleAddress,
};
use crate::plan::Plan;
use crate::ports::Cloud;
use crate::spec::{SourceKeys, Spec};
use crate::verify::{self, Evidence, Failure, Verdict};

/// Time kept for the removal of a canary.
const REMOVAL_TIME: Duration = Duration::from_secs(10);

/// The most objects that one request writes: S3 does not replicate a canary that it received before it applied the rule.
const MAX_CANARIES: u32 = 8;

/// The pauses before another canary is written: about two minutes in all.
const FIRST_REWRITE_PAUSE: Duration = Duration::from_secs(1);
const MAX_REWRITE_PAUSE: Duration = Duration::from_secs(64);

/// A rule to verify.
#[derive(Debug, Clone, Copy)]
pub struct Verification<'a> {
    /// The rule.
    pub rule: &'a RuleAddress,
    /// The key that encrypts the canary; `None` for the bucket's default encryption.
    pub key: Option<&'a KeyReference>,
    /// The credentials for the destination's account.
    pub access: &'a Access,
    /// Whether this request has changed the rule. Then a canary of an earlier request does not verify the rule.
    pub changed: bool,
    /// Whether the request will be repeated while the canary is pending.
    pub resumable: bool,
}

impl Outcome {
    /// The outcome of a request that only verifies.
    pub fn of_verification(
        verification: &Verification<'_>,
        status: Status,
        warnings: Vec<String>,
    ) -> Self {
        let plan = Plan { warnings, ..Plan::default() };
        Self { rule: verification.rule.clone(), status, plan, attributes: None }
    }
}

/// How S3 treated a canary.
enum CanaryResult {
    Replicated,
    /// S3 could not replicate the canary, which was encrypted with this key.
    Refused(Option<String>),
}

impl<C: Cloud> Engine<'_, C> {
    /// Verifies a rule that has been applied, when its spec requires that.
    ///
    /// # Errors
    /// The same as [`Engine::verify`].
    pub async fn verify_applied(
        &self,
        spec: &Spec,
        outcome: Outcome,
        expected: &Region,
        resumable: bool,
    ) -> Result<Outcome, Error> {
        if !spec.verify || spec.dry_run {
            return Ok(outcome);
        }
        let key = match &spec.source_keys {
            SourceKeys::Given(keys) => keys.first(),
            SourceKeys::BucketDefault => None,
        };
        let verification = Verification {
            rule: &spec.rule,
            key,
            access: &spec.destination_access,
            changed: !outcome.plan.is_empty(),
            resumable,
        };
        match self.verify(&verification, expected).await {
            Ok(warnings) => {
                let mut outcome = Outcome { status: Status::Verified, ..outcome };
                outcome.plan.warnings.extend(warnings);
                Ok(outcome)
            }
            // The verification failed before it wrote a canary, but the rule was applied before.
            Err(error) if error.changed_nothing() => {
                let done = outcome.plan.actions().map(ToString::to_string).collect();
                Err(Error::Interrupted { error: Box::new(error), done })
            }
            Err(error) => Err(error),
        }
    }

    /// Applies a rule of the replication policy. When the policy requires it, verifies the rule if the rule was changed or its
    /// earlier verification has not ended. So not every event of the bucket causes a verification.
    pub(super) async fn apply_policy_rule(
        &self,
        spec: &Spec,
        expected: &Region,
        prerequisites: Prerequisites<'_>,
    ) -> Result<Outcome, Error> {
        let outcome = self.apply_prefetched(spec, expected, prerequisites).await?;
        let is_required = spec.verify && !spec.dry_run;
        if !is_required
            || (outcome.plan.is_empty() && !self.is_verification_due(spec, expected).await?)
        {
            return Ok(outcome);
        }
        // Half of the time is kept for the other rules and messages of this invocation.
        let engine = Engine { deadline: self.deadline - self.time_left() / 2, ..*self };
        engine.verify_applied(spec, outcome, expected, true).await
    }

    /// Whether an earlier verification of the rule has not ended. Where no record shows that, its canary does.
    async fn is_verification_due(&self, spec: &Spec, expected: &Region) -> Result<bool, Error> {
        match self.read_verification_state(&spec.rule).await? {
            Some(VerificationState::Open(_)) => Ok(true),
            Some(VerificationState::Ended) => Ok(false),
            None => self.has_canary(spec, expected).await,
        }
    }

    /// Whether the source or the destination has a canary of the rule.
    async fn has_canary(&self, spec: &Spec, expected: &Region) -> Result<bool, Error> {
        let key = canary_key(spec)?;
        let locations = self.before_deadline(self.locate_ends(spec, expected)).await?;
        let versions = try_join_all(locations.iter().flatten().map(async |location| {
            let versions = self.cloud.versions(location, &key).await;
            versions.map_err(|failure| failure.with_needed_right(Some(OptionalRight::Verify)))
        }));
        let versions = self.before_deadline(versions).await?;
        Ok(versions.iter().any(|versions| !versions.objects.is_empty()))
    }

    /// Verifies that a rule replicates. Returns what the verification does not show, as one sentence for each thing.
    ///
    /// # Errors
    /// [`Error::VerifyPending`] when the canary is not replicated yet and the verification can be resumed. [`Error::Unverified`]
    /// for any other failure once a canary may have been written. Any other [`Error`] before that.
    pub async fn verify(
        &self,
        verification: &Verification<'_>,
        expected: &Region,
    ) -> Result<Vec<String>, Error> {
        let sites = self.before_deadline(self.canary_sites(verification, expected)).await?;
        let number = Cell::new(self.open_verification(verification.rule).await?);
        let started = Instant::now();
        let until = self.deadline - REMOVAL_TIME.min(self.time_left() / 4);
        let polling =
            AssertUnwindSafe(timeout_at(until, self.poll_canary(&sites, verification, &number)));
        let result = polling.catch_unwind().await;
        let rule = verification.rule.to_string();
        if verification.resumable && matches!(result, Ok(Err(_))) {
            return Err(Error::VerifyPending { rule, canary: sites.canary.key });
        }
        let removal_end = self.deadline.min(Instant::now() + REMOVAL_TIME);
        let is_removed = self.remove_traces(&sites.traces(), removal_end).await.is_ok();
        // A call that failed or a panic says nothing about the rule: the next delivery verifies it.
        let has_verdict = match &result {
            Ok(Ok(Ok(_)) | Err(_)) => true,
            Ok(Ok(Err(failure))) => failure.retry().is_none_or(|retry| retry == Retry::Never),
            Err(_) => false,
        };
        if is_removed && has_verdict {
            self.close_verification(verification.rule, number.get()).await;
        }
        let failure = match result.unwrap_or_else(|panic| resume_unwind(panic)) {
            Ok(Ok(CanaryResult::Replicated)) => return Ok(sites.warnings),
            Ok(Ok(CanaryResult::Refused(key))) => {
                let cause =
                    self.before_deadline(self.explain_refusal(verification, &sites, key)).await;
                let unknown_cause = |error| format!("the cause is unknown: {error}");
                Failure::NotReplicated(cause.unwrap_or_else(unknown_cause))
            }
            Ok(Err(failure)) => failure,
            Err(_) => Failure::StillPending(started.elapsed().as_secs()),
        };
        Err(Error::Unverified { rule, canary: sites.canary.key, failure: Box::new(failure) })
    }

    /// Polls the canary until its replication status is known.
    async fn poll_canary(
        &self,
        sites: &CanarySites,
        verification: &Verification<'_>,
        number: &Cell<VerificationNumber>,
    ) -> Result<CanaryResult, Failure> {
        let (source, canary) = (&sites.source, &sites.canary);
        // Removing the canary requires the right to list versions, so it is checked before the write, even if the result is not
        // used.
        let earlier = self.cloud.versions(source, &canary.key).await?.objects.into_iter().next();
        let earlier = earlier.filter(|_| !verification.changed);
        let mut version = match self.resumable_version(sites, earlier).await? {
            Some(version) => version,
            None => self.cloud.put_canary(source, canary).await?,
        };
        let mut rewrite_budget =
            RetryBudget::until_deadline(FIRST_REWRITE_PAUSE, MAX_REWRITE_PAUSE)
                .with_attempts(MAX_CANARIES);
        let mut poll_budget =
            RetryBudget::until_deadline(Duration::from_millis(500), Duration::from_secs(10));
        loop {
            let at_source = self.cloud.object_version(source, &canary.key, &version).await?;
            let replica = match at_source.as_ref().and_then(|canary| canary.replication) {
                Some(ReplicationStatus::Completed | ReplicationStatus::Failed) => {
                    self.cloud.object_version(&sites.destination, &canary.key, &version).await?
                }
                Some(ReplicationStatus::Pending | ReplicationStatus::Replica) | None => None,
            };
            match verify::judge(at_source.as_ref(), replica.as_ref(), sites.replica_key.as_deref())
            {
                Verdict::Replicates => return Ok(CanaryResult::Replicated),
                Verdict::FailedInS3 => {
                    return Ok(CanaryResult::Refused(at_source.and_then(|canary| canary.kms_key)));
                }
                Verdict::Fails(failure) => return Err(failure),
                Verdict::NeedsNewCanary(failure) => {
                    if !rewrite_budget.pause().await {
                        return Err(failure);
                    }
                    tracing::info!(bucket = source.bucket.as_str(), key = canary.key, %failure, "writing another canary");
                    // Another verification, which removed the canary, may have closed the record.
                    if failure == Failure::Gone {
                        number.set(self.take_verification_number(verification.rule).await?);
                    }
                    version = self.cloud.put_canary(source, canary).await?;
                }
                Verdict::Pending => {
                    poll_budget.pause().await;
                }
            }
        }
    }

    /// The version of an earlier request, if this request can continue with it.
    async fn resumable_version(
        &self,
        sites: &CanarySites,
        version: Option<String>,
    ) -> Result<Option<String>, Failure> {
        let Some(version) = version else { return Ok(None) };
        let found = self.cloud.object_version(&sites.source, &sites.canary.key, &version).await?;
        let now = epoch_seconds(Duration::ZERO);
        let is_resumable =
            found.is_some_and(|found| verify::is_resumable(&found, &sites.canary, now));
        Ok(is_resumable.then_some(version))
    }

    /// Reads the rule's resources to find out why S3 did not replicate a canary that was encrypted with `key`.
    async fn explain_refusal(
        &self,
        verification: &Verification<'_>,
        sites: &CanarySites,
        key: Option<String>,
    ) -> Result<String, Error> {
        let CanarySites { source, destination, .. } = sites;
        let role = async {
            match RoleName::from_arn(&sites.role_arn) {
                Some(name) => self.cloud.role(&name).await,
                None => Ok(None),
            }
        };
        let (versioning, destination_versioning, source_key, replica_key, role) = try_join!(
            self.cloud.versioning(source),
            self.cloud.versioning(destination),
            self.find_key(key.as_deref(), &source.region, verification.access),
            self.find_key(sites.replica_key.as_deref(), &destination.region, verification.access),
            role,
        )?;
        let evidence = Evidence {
            identity: &sites.identity,
            address: verification.rule,
            rule: &sites.rule,
            source: (source, versioning),
            destination: (destination, destination_versioning),
            source_key,
            replica_key,
            role_arn: &sites.role_arn,
            role,
        };
        let mut causes = evidence.causes();
        if causes.is_empty() {
            causes = self.diagnosed_causes(verification, &source.region).await;
        }
        Ok(if causes.is_empty() { verify::NO_CAUSE.to_owned() } else { causes.join("; ") })
    }

    /// The causes that a diagnosis finds: S3's calls held against all policies that this caller may read.
    async fn diagnosed_causes(
        &self,
        verification: &Verification<'_>,
        region: &Region,
    ) -> Vec<String> {
        let request = DiagnosisRequest {
            source: &verification.rule.source,
            region,
            region_is_known: true,
            rule: Some(verification.rule.id.as_str()),
            sample: 0,
            ask_iam: false,
            access: verification.access,
        };
        let diagnosis = Box::pin(self.diagnose(&request, &DiagnosisReads::default())).await;
        let rules = diagnosis.into_iter().flat_map(|diagnosis| diagnosis.rules);
        let findings = rules.flat_map(|rule| rule.findings);
        findings
            .filter(|finding| finding.severity.is_failure())
            .map(|finding| format!("{}: {}", finding.code, finding.message))
            .collect()
    }

    async fn find_key<'a>(
        &self,
        key: Option<&'a str>,
        region: &Region,
        access: &Access,
    ) -> Result<Option<(&'a str, Option<Key>)>, ApiError> {
        let Some(arn) = key else { return Ok(None) };
        let access = KeyReference::parse(arn)
            .map(|key| access.for_account(key.account()))
            .unwrap_or_default();
        Ok(Some((arn, self.cloud.key(arn, region, &access).await?)))
    }
}
