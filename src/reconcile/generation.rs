//! The order of the requests about one custom resource: an earlier request, delivered late or twice, must not undo a later one.
//!
//! Lambda delivers CloudFormation's requests asynchronously: again after a failure, sometimes twice, and hours late when it is
//! throttled. A Create that arrives after its Delete would leave a rule that no stack knows. A Delete that arrives after the next
//! Create would delete that request's rule.
//!
//! # Guarantees
//! - A request records its generation before it acquires the lease, and checks under the lease that no later one is recorded: of
//!   two requests, one sees the other.
//!
//! # Assumptions
//! - CloudFormation signs each request's `ResponseURL` when it makes the request. Within one second, a Delete is later than the
//!   request whose rule it deletes.

use std::cell::Cell;
use std::time::Duration;

use super::lease::epoch_seconds;
use super::{Engine, Error};
use crate::model::RuleAddress;
use crate::ports::Cloud;

/// How long a generation is remembered: Lambda keeps an event for six hours at most.
const REMEMBERED: Duration = Duration::from_secs(24 * 60 * 60);

/// What a request does to its rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operation {
    Apply,
    Delete,
}

/// The place of a request in the order of those about its rule.
pub(super) struct Generation<'a> {
    table: &'a str,
    id: String,
    number: u64,
    /// Whether the generation is still to be recorded: a request that only plans does not record its own.
    is_unrecorded: Cell<bool>,
}

impl<C: Cloud> Engine<'_, C> {
    /// The generation of this request; `None` for a request that is not CloudFormation's, and without `LOCK_TABLE`.
    pub(super) fn generation(
        &self,
        rule: &RuleAddress,
        operation: Operation,
        dry_run: bool,
    ) -> Option<Generation<'_>> {
        let later = match operation {
            Operation::Apply => 0,
            Operation::Delete => 1,
        };
        let number = self.signed_at?.checked_mul(2)? + later;
        let table = self.settings.lock_table.as_deref()?;
        Some(Generation { table, id: rule.to_string(), number, is_unrecorded: Cell::new(!dry_run) })
    }

    /// Records the generation when it is called first, and checks that no later one is recorded.
    ///
    /// # Errors
    /// [`Error::Superseded`] when a later request has been recorded.
    pub(super) async fn check_not_superseded(
        &self,
        generation: Option<&Generation<'_>>,
    ) -> Result<(), Error> {
        let Some(Generation { table, id, number, is_unrecorded }) = generation else {
            return Ok(());
        };
        let is_latest = if is_unrecorded.take() {
            self.cloud.record_generation(table, id, *number, epoch_seconds(REMEMBERED)).await?
        } else {
            self.cloud.latest_generation(table, id).await?.is_none_or(|latest| latest <= *number)
        };
        if is_latest { Ok(()) } else { Err(Error::Superseded(id.clone())) }
    }
}
