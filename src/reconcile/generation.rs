//! The order of the requests about one custom resource, and what they have left. An earlier request that is delivered late or twice
//! must not undo a later one.
//!
//! It must not know what a request changes.
//!
//! Lambda delivers CloudFormation's requests asynchronously: again after a failure, sometimes twice, and hours late when it is
//! throttled. A Create that arrives after its Delete would leave a rule that no stack knows. A Delete that arrives after the next
//! Create would delete that request's rule.
//!
//! # Guarantees
//! - A request records its generation before it works under the lease. Under the lease, it checks that no later generation is
//!   recorded. So of two concurrent requests, the one that has the lease later sees the other's record, or its writes.
//! - That check is at most a second old when the apply begins. A Delete without anything to delete is answered without the lease, and
//!   an earlier request that has still read since then writes nothing.
//! - With its generation, a request that makes a rule records that it may have left something, and before it is answered as a success
//!   that the rule is applied. So a request without the rule's id can tell what may be removed.
//!
//! # Assumptions
//! - CloudFormation signs a request's `ResponseURL` when it makes the request.
//! - Of an Apply and a Delete in the same second, the Delete is the later one.

use std::cell::{Cell, OnceCell};
use std::time::Duration;

use tokio::time::{Instant, timeout, timeout_at};

use super::lease::epoch_seconds;
use super::retry::{Failed, RetryBudget, retry};
use super::{Engine, Error, Outcome, Status};
use crate::model::{
    GenerationRecord, OutcomeChange, RecordedRequest, Recording, RequestOutcome, Retry, RuleAddress,
};
use crate::ports::Cloud;

/// How long a generation is kept. Lambda keeps an event for six hours at most, but a person may delete the resource of a failed Create
/// much later.
const RETENTION: Duration = Duration::from_secs(90 * 24 * 60 * 60);

/// The age from which a request may be a second delivery: Lambda waits a minute before it delivers one again.
const REDELIVERY_AGE: Duration = Duration::from_secs(60);

/// The longest time for remembering how a request ended.
const REMEMBER_TIME: Duration = Duration::from_secs(5);

/// The longest time for recording that a rule is applied.
const RECORD_TIME: Duration = Duration::from_secs(30);
const FIRST_RECORD_PAUSE: Duration = Duration::from_millis(200);
const MAX_RECORD_PAUSE: Duration = Duration::from_secs(5);

/// What a request does to its rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// Make or change the rule.
    Apply,
    /// Delete the rule that the request's id names.
    Delete,
    /// Delete what earlier requests may have left, if that is remembered.
    Cleanup,
}

/// A request of CloudFormation about a custom resource, and what was recorded before it.
#[derive(Debug, Default)]
pub struct ResourceRequest {
    /// When CloudFormation signed the request, as [`ResponseUrl::signed_at`](crate::model::ResponseUrl::signed_at) gives it.
    signed_at: Option<u64>,
    /// The request's age.
    age: Duration,
    /// Whether the resource's id names the rule that the request makes: an earlier request has made it.
    has_rule: bool,
    /// What was recorded before this request recorded its generation.
    before: OnceCell<Option<RecordedRequest>>,
}

impl ResourceRequest {
    /// A request that was signed at `signed_at`, `age` ago. `has_rule`: whether the resource's id names the rule that it makes.
    pub fn new(signed_at: Option<u64>, age: Duration, has_rule: bool) -> Self {
        Self { signed_at, age, has_rule, before: OnceCell::new() }
    }

    /// Whether the request may have been delivered before. Without a record, its age tells.
    pub fn may_be_redelivery(&self) -> bool {
        match (self.before.get(), self.number(Operation::Apply)) {
            (Some(before), Some(number)) => {
                before.is_some_and(|before| before.generation == number)
            }
            (Some(_), None) | (None, _) => self.age >= REDELIVERY_AGE,
        }
    }

    /// The generation of a Create or an Update; `None` when it is not known when the request was signed.
    pub fn apply_generation(&self) -> Option<u64> {
        self.number(Operation::Apply)
    }

    fn number(&self, operation: Operation) -> Option<u64> {
        let order_within_second = match operation {
            Operation::Apply => 0,
            Operation::Delete | Operation::Cleanup => 1,
        };
        Some(self.signed_at?.checked_mul(2)? + order_within_second)
    }

    /// How the outcome changes when the request begins.
    fn change_at_begin(&self, operation: Operation) -> OutcomeChange {
        match operation {
            Operation::Apply if self.has_rule => OutcomeChange::Set(RequestOutcome::Applied),
            Operation::Apply => OutcomeChange::OpenUnlessRemembered,
            Operation::Delete => OutcomeChange::Set(RequestOutcome::Open),
            Operation::Cleanup => OutcomeChange::Keep,
        }
    }
}

/// How a request about a rule ended, unless its rule is applied and CloudFormation can be told so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The rule is there, and CloudFormation could not be told so.
    Unanswered,
    /// The rule is gone.
    Removed,
    /// Certainly nothing was changed.
    ChangedNothing,
}

/// A request's position in the order of requests about its rule.
pub(super) struct Generation<'a> {
    request: &'a ResourceRequest,
    record: GenerationRecord,
    /// Whether the generation must still be recorded. A request that only plans never records its own.
    is_unrecorded: Cell<bool>,
}

impl<'a, C: Cloud> Engine<'a, C> {
    /// Returns the generation of this request; `None` when the request is not CloudFormation's, or without `LOCK_TABLE`.
    pub(super) fn generation(
        &self,
        rule: &RuleAddress,
        operation: Operation,
        dry_run: bool,
    ) -> Option<Generation<'a>> {
        let request = self.request?;
        let record = GenerationRecord {
            table: self.settings.lock_table.clone()?,
            id: rule.to_string(),
            number: request.number(operation)?,
            // A request may be delivered twice.
            is_unique: false,
            change: request.change_at_begin(operation),
            forget_at: epoch_seconds(RETENTION),
        };
        Some(Generation { request, record, is_unrecorded: Cell::new(!dry_run) })
    }

    /// Checks that no later generation is recorded. The first call also records this generation.
    ///
    /// # Errors
    /// [`Error::Superseded`] when a later generation is recorded.
    pub(super) async fn check_not_superseded(
        &self,
        generation: Option<&Generation<'_>>,
    ) -> Result<(), Error> {
        match generation {
            Some(generation) => self.recorded_before(generation).await.map(|_| ()),
            None => Ok(()),
        }
    }

    /// Returns what is recorded of earlier requests. The first call also records this generation.
    ///
    /// # Errors
    /// [`Error::Superseded`] when a later generation is recorded.
    pub(super) async fn recorded_before(
        &self,
        generation: &Generation<'_>,
    ) -> Result<Option<RecordedRequest>, Error> {
        let Generation { request, record, is_unrecorded } = generation;
        let superseded = || Error::Superseded(record.id.clone());
        if is_unrecorded.take() {
            return match self.cloud.record_generation(record).await? {
                Recording::Recorded(before) => {
                    // The first record tells whether this is a second delivery.
                    let _ = request.before.set(before);
                    Ok(before)
                }
                Recording::Superseded => Err(superseded()),
            };
        }
        let latest = self.cloud.latest_generation(&record.table, &record.id).await?;
        match latest {
            Some(latest) if latest.generation > record.number => Err(superseded()),
            latest => Ok(latest),
        }
    }

    /// Records that the rule is applied, before CloudFormation is told so: after that, CloudFormation may delete the resource of an earlier
    /// failed request, and the record alone then shows that the rule is not what that request has left.
    ///
    /// # Errors
    /// When the record cannot be made. The request must then not be answered as a success.
    pub async fn record_applied(&self, outcome: &Outcome) -> Result<(), Error> {
        let dry_run = outcome.status == Status::Planned;
        let generation = self.generation(&outcome.rule, Operation::Apply, dry_run);
        // The outcome of a request whose resource has a rule is `Applied` since the request began.
        let Some(Generation { record, .. }) =
            generation.filter(|generation| !dry_run && !generation.request.has_rule)
        else {
            return Ok(());
        };
        let change = OutcomeChange::Set(RequestOutcome::Applied);
        let recorded = self.record_with_retries(&GenerationRecord { change, ..record }).await;
        recorded.map_err(|error| Error::Interrupted {
            error: Box::new(error),
            done: outcome.plan.actions().map(ToString::to_string).collect(),
        })
    }

    async fn record_with_retries(&self, record: &GenerationRecord) -> Result<(), Error> {
        // The other half of the time is kept for the answer.
        let end = Instant::now() + RECORD_TIME.min(self.end.duration_since(Instant::now()) / 2);
        let budget = RetryBudget::until_deadline(FIRST_RECORD_PAUSE, MAX_RECORD_PAUSE).ending(end);
        let recording = retry(budget, async || {
            let recorded = self.cloud.record_generation(record).await;
            recorded.map_err(|failure| match failure.retry {
                Retry::Never => Failed::Final(failure),
                Retry::Soon | Retry::Replan | Retry::NextInvocation => Failed::Retryable(failure),
            })
        });
        match timeout_at(end, recording).await {
            Ok(Ok(Recording::Recorded(_))) => Ok(()),
            Ok(Ok(Recording::Superseded)) => Err(Error::Superseded(record.id.clone())),
            Ok(Err(failure)) => Err(failure.into()),
            Err(_) => Err(Error::OutOfTime {
                done: Vec::new(),
                not_done: vec![format!(
                    "the record of `{}` in table `{}`",
                    record.id, record.table
                )],
            }),
        }
    }

    /// Remembers how the request about `rule` ended. A failure is only logged.
    pub async fn remember(&self, rule: &RuleAddress, operation: Operation, end: End) {
        let Some(Generation { request, record, .. }) = self.generation(rule, operation, false)
        else {
            return;
        };
        // Only a request that has recorded its generation has something to change.
        let Some(before) = request.before.get() else {
            return;
        };
        // An earlier request, or an earlier delivery of this one, may have left something.
        let outcome_before = before.and_then(|before| before.outcome);
        let change = match end {
            // The outcome is `Applied` since the request began.
            End::Unanswered | End::ChangedNothing if request.has_rule => return,
            End::Unanswered => OutcomeChange::Set(outcome_before.unwrap_or(RequestOutcome::Open)),
            End::Removed => OutcomeChange::Forget,
            End::ChangedNothing if outcome_before.is_none() => OutcomeChange::Forget,
            End::ChangedNothing => return,
        };
        let record = GenerationRecord { change, ..record };
        match timeout(REMEMBER_TIME, self.cloud.record_generation(&record)).await {
            Ok(Ok(_)) => {}
            Ok(Err(failure)) => tracing::warn!(%failure, "the request's end was not recorded"),
            Err(_) => tracing::warn!("the request's end was not recorded in time"),
        }
    }

    /// Records that a Delete without anything to delete has come, so that an earlier request that is delivered later does nothing. A
    /// failure is only logged.
    pub async fn supersede(&self, rule: &RuleAddress) {
        if let Some(generation) = self.generation(rule, Operation::Cleanup, false)
            && let Err(error) = self.check_not_superseded(Some(&generation)).await
        {
            tracing::warn!(%error, "the Delete was not recorded");
        }
    }
}
