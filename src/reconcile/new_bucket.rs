//! Buckets of which an event has told a short time ago. After CreateBucket, S3 can deny for some seconds that the bucket exists.
//!
//! It must not know what is done with the bucket.
//!
//! # Guarantees
//! - An event about such a bucket is never skipped: it waits for the bucket, and else fails so that it comes again.

use std::time::Duration;

use super::bucket_reads::{BucketReads, FirstRule};
use super::retry::{Failed, RetryBudget, retry};
use super::{BucketOutcome, Engine, Error, ReconcileRequest, RuleOutcome};
use crate::model::Retry;
use crate::plan::Refusal;
use crate::ports::Cloud;

impl<C: Cloud> Engine<'_, C> {
    /// Reads the bucket as [`Engine::read_tags_and_prefetch`] does, again while it may be invisible.
    pub(super) async fn read_visible_bucket(
        &self,
        request: &ReconcileRequest<'_>,
        first: FirstRule<'_>,
    ) -> Result<Option<BucketReads>, Error> {
        let budget = RetryBudget::for_visibility(Duration::from_secs(1)).ending(self.deadline);
        retry(budget, async || {
            let reads = self.read_tags_and_prefetch(request, first).await;
            let is_denied = match &reads {
                Ok(Some(BucketReads { prefetched, .. })) => {
                    prefetched.as_ref().is_some_and(|prefetched| {
                        prefetched.first_reads.as_ref().is_err_and(denies_bucket)
                    })
                }
                Ok(None) => true,
                Err(error) => denies_bucket(error),
            };
            if is_denied && request.may_be_invisible {
                return Err(Failed::Retryable(Error::NotVisible(request.bucket.clone())));
            }
            reads.map_err(Failed::Final)
        })
        .await
    }
}

impl ReconcileRequest<'_> {
    /// The outcome in which a rule that failed since S3 denied that the bucket exists comes again, if the bucket may be invisible.
    pub(super) fn with_visibility(&self, outcome: BucketOutcome) -> BucketOutcome {
        match outcome {
            BucketOutcome::Rules(rules) if self.may_be_invisible => {
                let rules = rules.into_iter();
                let rules = rules.map(|RuleOutcome { source, rule_id, result }| RuleOutcome {
                    source,
                    rule_id,
                    result: result.map_err(|error| self.comes_again(error)),
                });
                BucketOutcome::Rules(rules.collect())
            }
            outcome @ (BucketOutcome::Rules(_)
            | BucketOutcome::Skipped(_)
            | BucketOutcome::Retired(_)) => outcome,
        }
    }

    fn comes_again(&self, mut error: Error) -> Error {
        if !denies_bucket(&error) {
            return error;
        }
        match error.failure_mut() {
            Some(failure) => failure.retry = Retry::NextInvocation,
            None => return Error::NotVisible(self.bucket.clone()),
        }
        error
    }
}

/// Whether the error is S3's answer that a bucket does not exist.
fn denies_bucket(error: &Error) -> bool {
    match error {
        Error::Refused(Refusal::SourceMissing { .. }) => true,
        Error::Read(failure) => failure.is_missing_bucket(),
        Error::Apply { failure, .. } => failure.is_missing_bucket(),
        Error::Interrupted { error, .. } => denies_bucket(error),
        Error::Invalid(_)
        | Error::Refused(_)
        | Error::ReadOutOfTime
        | Error::OutOfTime { .. }
        | Error::Busy(_)
        | Error::NotVisible(_)
        | Error::Superseded(_)
        | Error::Unverified { .. }
        | Error::VerifyPending { .. }
        | Error::NoPolicy => false,
    }
}
