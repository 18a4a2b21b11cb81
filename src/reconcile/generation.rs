//! The order of the requests about one custom resource. An earlier request that is delivered late or twice must not undo a later
//! one.
//!
//! It must not know what a request changes.
//!
//! Lambda delivers CloudFormation's requests asynchronously: again after a failure, sometimes twice, and hours late when it is
//! throttled. A Create that arrives after its Delete would leave a rule that no stack knows. A Delete that arrives after the next
//! Create would delete that request's rule.
//!
//! # Guarantees
//! - A request records its generation before it acquires the lease. Under the lease, it checks that no later generation is
//!   recorded. So of two concurrent requests, at least one sees the other.
//!
//! # Assumptions
//! - CloudFormation signs a request's `ResponseURL` when it makes the request.
//! - Of an Apply and a Delete in the same second, the Delete is the later one.

use std::cell::Cell;
use std::time::Duration;

use super::lease::epoch_seconds;
use super::{Engine, Error};
use crate::model::RuleAddress;
use crate::ports::Cloud;

/// How long a generation is kept. Lambda keeps an event for six hours at most.
const RETENTION: Duration = Duration::from_secs(24 * 60 * 60);

/// What a request does to its rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operation {
    Apply,
    Delete,
}

/// A request's position in the order of requests about its rule.
pub(super) struct Generation<'a> {
    table: &'a str,
    id: String,
    number: u64,
    /// Whether the generation must still be recorded. A request that only plans never records its own.
    is_unrecorded: Cell<bool>,
}

impl<C: Cloud> Engine<'_, C> {
    /// Returns the generation of this request; `None` when the request is not CloudFormation's, or without `LOCK_TABLE`.
    pub(super) fn generation(
        &self,
        rule: &RuleAddress,
        operation: Operation,
        dry_run: bool,
    ) -> Option<Generation<'_>> {
        let order_within_second = match operation {
            Operation::Apply => 0,
            Operation::Delete => 1,
        };
        let number = self.signed_at?.checked_mul(2)? + order_within_second;
        let table = self.settings.lock_table.as_deref()?;
        Some(Generation { table, id: rule.to_string(), number, is_unrecorded: Cell::new(!dry_run) })
    }

    /// Checks that no later generation is recorded. The first call also records this generation.
    ///
    /// # Errors
    /// [`Error::Superseded`] when a later generation is recorded.
    pub(super) async fn check_not_superseded(
        &self,
        generation: Option<&Generation<'_>>,
    ) -> Result<(), Error> {
        let Some(Generation { table, id, number, is_unrecorded }) = generation else {
            return Ok(());
        };
        let is_latest = if is_unrecorded.take() {
            self.cloud.record_generation(table, id, *number, epoch_seconds(RETENTION)).await?
        } else {
            self.cloud.latest_generation(table, id).await?.is_none_or(|latest| latest <= *number)
        };
        if is_latest { Ok(()) } else { Err(Error::Superseded(id.clone())) }
    }
}
