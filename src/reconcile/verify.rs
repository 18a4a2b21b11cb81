//! Verify: a canary is written, polled until it is replicated, and removed everywhere.
//!
//! # Guarantees
//! - Whatever fails, every version of the canary is removed before the answer, wherever a rule may have replicated it. What could
//!   not be removed is logged, and the rule's next Verify removes it; it also removes a canary whose write took effect late.
//! - A canary that is still pending at the deadline stays only where the same request will be made again, and goes on with it.
//! - Two verifications of one rule at a time both end: the one whose canary the other removes writes another.
//!
//! # Assumptions
//! - S3 does not replicate a version that was removed at the source.

use std::panic::{AssertUnwindSafe, resume_unwind};
use std::time::Duration;

use futures_util::FutureExt;
use tokio::time::{Instant, timeout_at};
use tokio::try_join;

use super::canary::{CanarySites, canary_key};
use super::converge::Prefetched;
use super::retry::RetryBudget;
use super::snapshot::ApplyFirstReads;
use super::{Engine, Error, Outcome, Status};
use crate::model::{
    Access, ApiError, Key, KeyReference, Region, Replication, RoleName, RuleAddress,
};
use crate::plan::Plan;
use crate::ports::Cloud;
use crate::spec::{SourceKeys, Spec};
use crate::verify::{self, Evidence, Failure, PARAMETER, Verdict};

/// Time kept for the removal of a canary.
const REMOVAL_TIME: Duration = Duration::from_secs(10);

/// A rule to verify.
#[derive(Debug, Clone, Copy)]
pub struct Verification<'a> {
    /// The rule.
    pub rule: &'a RuleAddress,
    /// The key that encrypts the canary; `None` for the bucket's default encryption.
    pub key: Option<&'a KeyReference>,
    /// With whose credentials the destination's account is accessed.
    pub access: &'a Access,
    /// Whether the rule was changed a moment ago, so that an earlier canary says nothing about it.
    pub changed: bool,
    /// Whether the same request will be made again when the canary is still pending.
    pub resumable: bool,
}

impl Outcome {
    /// The outcome of a verification, which changes nothing that lasts.
    pub fn of_verification(verification: &Verification<'_>, status: Status) -> Self {
        Self { rule: verification.rule.clone(), status, plan: Plan::default(), attributes: None }
    }
}

/// How S3 treated a canary.
enum CanaryResult {
    Replicated,
    /// S3 could not replicate it; the canary was encrypted with this key.
    Refused(Option<String>),
}

impl<C: Cloud> Engine<'_, C> {
    /// Verifies a rule that has been applied, when the request asks for that.
    ///
    /// # Errors
    /// As [`Engine::verify`].
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
            Ok(()) => Ok(Outcome { status: Status::Verified, ..outcome }),
            // The verification did not begin, but the rule was applied before it.
            Err(error) if error.changed_nothing() => {
                let done = outcome.plan.actions().map(ToString::to_string).collect();
                Err(Error::Interrupted { error: Box::new(error), done })
            }
            Err(error) => Err(error),
        }
    }

    /// Applies a rule of the policy. Verifies it, when the policy asks for that, only if the rule was changed or an earlier
    /// verification of it has not ended: not on each event of the bucket.
    pub(super) async fn apply_policy_rule(
        &self,
        spec: &Spec,
        expected: &Region,
        prefetched: Option<Prefetched<ApplyFirstReads>>,
    ) -> Result<Outcome, Error> {
        let outcome = self.apply_prefetched(spec, expected, prefetched).await?;
        let is_asked = spec.verify && !spec.dry_run;
        if !is_asked || (outcome.plan.is_empty() && !self.is_being_verified(spec, expected).await?)
        {
            return Ok(outcome);
        }
        // The other half of the time is left for the other rules and messages of this invocation.
        let engine = Engine { deadline: self.deadline - self.time_left() / 2, ..*self };
        engine.verify_applied(spec, outcome, expected, true).await
    }

    async fn is_being_verified(&self, spec: &Spec, expected: &Region) -> Result<bool, Error> {
        let key = canary_key(spec)?;
        let source =
            self.before_deadline(self.locate(&spec.rule.source, expected, &Access::Own)).await?;
        let Some(source) = source else {
            return Ok(false);
        };
        let versions = async {
            self.cloud
                .versions(&source, &key)
                .await
                .map_err(|failure| failure.with_parameter(Some(PARAMETER)))
        };
        Ok(!self.before_deadline(versions).await?.objects.is_empty())
    }

    /// Verifies that a rule replicates.
    ///
    /// # Errors
    /// [`Error::VerifyPending`] when the canary is not replicated yet and the verification can be resumed, [`Error::Unverified`]
    /// once a canary may have been written, and as [`Error`] says before that.
    pub async fn verify(
        &self,
        verification: &Verification<'_>,
        expected: &Region,
    ) -> Result<(), Error> {
        let sites = self.before_deadline(self.canary_sites(verification, expected)).await?;
        let started = Instant::now();
        let until = self.deadline - REMOVAL_TIME.min(self.time_left() / 4);
        let polling =
            AssertUnwindSafe(timeout_at(until, self.poll_canary(&sites, verification.changed)));
        let result = polling.catch_unwind().await;
        let rule = verification.rule.to_string();
        if verification.resumable && matches!(result, Ok(Err(_))) {
            return Err(Error::VerifyPending { rule, canary: sites.canary.key });
        }
        self.remove_canary(&sites, self.deadline.min(Instant::now() + REMOVAL_TIME)).await;
        let failure = match result.unwrap_or_else(|panic| resume_unwind(panic)) {
            Ok(Ok(CanaryResult::Replicated)) => return Ok(()),
            Ok(Ok(CanaryResult::Refused(key))) => {
                let cause =
                    self.before_deadline(self.explain_refusal(verification, &sites, key)).await;
                let unknown = |error| format!("the cause could not be looked for: {error}");
                Failure::NotReplicated(cause.unwrap_or_else(unknown))
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
        changed: bool,
    ) -> Result<CanaryResult, Failure> {
        let (source, canary) = (&sites.source, &sites.canary);
        // Listed even when the earlier version will not be used: who may not list may not remove it afterwards.
        let earlier = self.cloud.versions(source, &canary.key).await?.objects.into_iter().next();
        let mut version = match earlier.filter(|_| !changed) {
            Some(version) => version,
            None => self.cloud.put_canary(source, canary).await?,
        };
        let mut another_canary = RetryBudget::for_visibility(Duration::from_secs(1));
        let mut pending =
            RetryBudget::until_deadline(Duration::from_millis(500), Duration::from_secs(10));
        loop {
            let at_source = self.cloud.object_version(source, &canary.key, &version).await?;
            let replica = match at_source.as_ref().and_then(|canary| canary.replication) {
                Some(Replication::Completed | Replication::Failed) => {
                    self.cloud.object_version(&sites.destination, &canary.key, &version).await?
                }
                Some(Replication::Pending | Replication::Replica) | None => None,
            };
            match verify::judge(at_source.as_ref(), replica.as_ref(), sites.replica_key.as_deref())
            {
                Verdict::Replicates => return Ok(CanaryResult::Replicated),
                Verdict::FailedInS3 => {
                    return Ok(CanaryResult::Refused(at_source.and_then(|canary| canary.kms_key)));
                }
                Verdict::Fails(failure) => return Err(failure),
                Verdict::NeedsNewCanary(failure) => {
                    if !another_canary.pause().await {
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
        Ok(evidence.report())
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
