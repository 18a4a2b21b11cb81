//! Events of EventBridge, received directly or from the queue.
//!
//! It must not know the format of an event.

use std::time::{Duration, SystemTime};

use serde_json::Value;

use super::{json, log_outcome};
use crate::error::Error;
use crate::model::RuleAddress;
use crate::ports::Cloud;
use crate::reconcile::{
    self, BucketOutcome, CatchUpResult, CaughtUp, Engine, ReconcileRequest, RuleOutcome,
};
use crate::request::{BucketEvent, Event, JobEvent};
use crate::respond::metrics::Counters;
use crate::respond::{self, CatchUpAnswer};

/// How long after a call S3 may still deny that the bucket exists.
const VISIBILITY_TIME: Duration = Duration::from_secs(15 * 60);

/// The outcome of an event.
pub(super) struct EventOutcome {
    /// The bucket's name; empty when it is unknown.
    pub bucket: String,
    pub result: Result<BucketOutcome, reconcile::Error>,
}

/// What was done about an event.
pub(super) enum EventResult {
    Bucket(EventOutcome),
    CatchUp(RuleAddress, Result<CaughtUp, reconcile::Error>),
}

/// Handles the event and answers with a summary.
pub(super) async fn handle<C: Cloud>(
    event: &Event,
    engine: &Engine<'_, C>,
    counters: &mut Counters,
) -> Result<Value, Error> {
    let result = handle_event(event, engine).await;
    result.count(counters);
    result.answer()
}

/// Handles the event without logging or counting its outcome.
pub(super) async fn handle_event<C: Cloud>(event: &Event, engine: &Engine<'_, C>) -> EventResult {
    EventResult::Bucket(match event {
        Event::CatchUp(catch_up) => {
            let caught_up = engine.catch_up(catch_up).await;
            return EventResult::CatchUp(catch_up.rule.clone(), caught_up);
        }
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
    })
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

impl EventResult {
    /// Returns the answer, or a transient error so that Lambda retries the event.
    fn answer(self) -> Result<Value, Error> {
        match self {
            Self::Bucket(outcome) => outcome.answer(),
            Self::CatchUp(rule, caught_up) => {
                log_catch_up(&rule, &caught_up);
                json(&CatchUpAnswer::from(&caught_up?))
            }
        }
    }

    pub(super) fn count(&self, counters: &mut Counters) {
        match self {
            Self::Bucket(outcome) => counters.count_bucket(&outcome.result),
            Self::CatchUp(_, Ok(caught_up)) => counters.count_catch_up(caught_up),
            Self::CatchUp(_, Err(error)) => counters.count_failure(&error.clone().into()),
        }
    }

    pub(super) fn log(&self) {
        match self {
            Self::Bucket(outcome) => outcome.log(),
            Self::CatchUp(rule, caught_up) => log_catch_up(rule, caught_up),
        }
    }

    /// Whether all of it succeeded.
    pub(super) fn is_success(&self) -> bool {
        match self {
            Self::Bucket(outcome) => outcome.failures().next().is_none(),
            Self::CatchUp(_, caught_up) => caught_up.is_ok(),
        }
    }
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

/// Logs what a catch-up found. No object's key is logged.
fn log_catch_up(rule: &RuleAddress, caught_up: &Result<CaughtUp, reconcile::Error>) {
    let RuleAddress { source, id } = rule;
    let (bucket, id) = (source.as_str(), id.as_str());
    let result = match caught_up {
        Ok(CaughtUp { result, .. }) => result,
        Err(error) => return tracing::error!(bucket, rule = id, %error, "the catch-up failed"),
    };
    match result {
        CatchUpResult::Ended(reason) => {
            tracing::info!(bucket, rule = id, reason, "the catch-up has nothing to look for");
        }
        CatchUpResult::NothingMissed { unexamined } => {
            tracing::info!(bucket, rule = id, unexamined, "the catch-up found nothing missed");
        }
        CatchUpResult::ComesAgain => {
            tracing::info!(bucket, rule = id, "S3 is still at work: the catch-up comes again");
        }
        CatchUpResult::Job { id: job } => {
            tracing::info!(bucket, rule = id, job, "a job replicates what the rule has missed");
        }
        CatchUpResult::Unreplicated { count, unexamined, reason, command } => {
            let (command, reason) = (command.as_deref(), reason.as_deref());
            tracing::warn!(
                bucket,
                rule = id,
                count,
                unexamined,
                reason,
                command,
                "versions are not replicated"
            );
        }
    }
}
