//! Events of EventBridge, received directly or from the queue.
//!
//! It must not know the format of an event.

use std::time::{Duration, SystemTime};

use serde_json::Value;

use super::{json, log_outcome};
use crate::error::Error;
use crate::ports::Cloud;
use crate::reconcile::{self, BucketOutcome, Engine, ReconcileRequest, RuleOutcome};
use crate::request::{BucketEvent, Event, JobEvent};
use crate::respond;
use crate::respond::metrics::Counters;

/// How long after a call S3 may still deny that the bucket exists.
const VISIBILITY_TIME: Duration = Duration::from_secs(15 * 60);

/// The outcome of an event.
pub(super) struct EventOutcome {
    /// The bucket's name; empty when it is unknown.
    pub bucket: String,
    pub result: Result<BucketOutcome, reconcile::Error>,
}

/// Handles the event and answers with a summary.
pub(super) async fn handle<C: Cloud>(
    event: &Event,
    engine: &Engine<'_, C>,
    counters: &mut Counters,
) -> Result<Value, Error> {
    let outcome = handle_event(event, engine).await;
    counters.count_bucket(&outcome.result);
    outcome.answer()
}

/// Handles the event without logging or counting its outcome.
pub(super) async fn handle_event<C: Cloud>(event: &Event, engine: &Engine<'_, C>) -> EventOutcome {
    match event {
        Event::Ignored { bucket, reason } => EventOutcome {
            bucket: bucket.clone(),
            result: Ok(BucketOutcome::Skipped(reason.clone())),
        },
        Event::Bucket(event) => EventOutcome {
            bucket: event.bucket.to_string(),
            result: handle_bucket_event(event, engine).await,
        },
        Event::Job(JobEvent { id, region, account }) => {
            match engine.handle_job_end(id, region.as_ref(), account.as_ref()).await {
                Ok((bucket, outcome)) => EventOutcome { bucket, result: Ok(outcome) },
                Err(error) => EventOutcome { bucket: String::new(), result: Err(error) },
            }
        }
    }
}

async fn handle_bucket_event<C: Cloud>(
    event: &BucketEvent,
    engine: &Engine<'_, C>,
) -> Result<BucketOutcome, reconcile::Error> {
    let own = engine.identity().await?.account;
    if let Some(account) = event.account.as_ref().filter(|account| **account != own) {
        return Ok(BucketOutcome::Skipped(format!(
            "the event is of account {account}, not of {own}"
        )));
    }
    let request = ReconcileRequest {
        bucket: &event.bucket,
        expected: event.region.as_ref().unwrap_or(&engine.settings.region),
        remove_if_gone: event.deleted,
        remove_replaced_role: false,
        may_be_invisible: !event.deleted
            && event.is_younger_than(VISIBILITY_TIME, SystemTime::now()),
        dry_run: false,
    };
    engine.reconcile_bucket(&request).await
}

impl EventOutcome {
    /// Returns the answer, or a transient error so that Lambda retries the event.
    pub(super) fn answer(self) -> Result<Value, Error> {
        self.log();
        match self.failures().find(|error| error.is_transient()) {
            Some(error) => Err(error.clone().into()),
            None => json(&respond::bucket_answer(&self.bucket, &self.result)),
        }
    }

    /// The failure of the event, or the failures of its rules.
    pub(super) fn failures(&self) -> impl Iterator<Item = &reconcile::Error> {
        let rules = self.result.iter().flat_map(BucketOutcome::failures);
        self.result.as_ref().err().into_iter().chain(rules)
    }

    pub(super) fn log(&self) {
        let bucket = self.bucket.as_str();
        match &self.result {
            Ok(BucketOutcome::Skipped(reason)) => tracing::info!(bucket, reason, "skipped"),
            Ok(BucketOutcome::Retired(plan)) => {
                tracing::info!(bucket, steps = plan.actions().count(), "the bucket is deleted");
            }
            Ok(BucketOutcome::Rules(rules)) => {
                for RuleOutcome { source: bucket, rule_id, result } in rules {
                    match result {
                        Ok(outcome) => log_outcome(outcome),
                        Err(error) => {
                            tracing::error!(bucket, rule = rule_id.as_str(), %error, "the rule failed")
                        }
                    }
                }
            }
            Err(error) => tracing::error!(bucket, %error, "the bucket could not be reconciled"),
        }
    }
}
