//! The order of the requests about one custom resource: an older one, delivered late or once more, must not undo a newer one.
//!
//! Lambda delivers CloudFormation's requests asynchronously: again after a failure, twice now and then, and hours late when it is throttled. A
//! Create that comes after its Delete would leave a rule that no stack knows of; a Delete that comes after the next Create would take that
//! one's rule away.
//!
//! # Guarantees
//! - A request notes its turn before it asks for the lease, and looks under the lease whether a later one has been noted: of two requests,
//!   one sees the other.
//!
//! # Assumptions
//! - CloudFormation signs each request's `ResponseURL` when it makes the request. Within one second, a Delete comes after what it deletes.

use std::cell::Cell;
use std::time::Duration;

use super::Engine;
use super::lease::epoch_seconds;
use crate::cloud::Cloud;
use crate::error::Error;
use crate::spec::RuleAddress;

/// How long a turn is remembered: Lambda keeps an event for six hours at most.
const REMEMBERED: Duration = Duration::from_secs(24 * 60 * 60);

/// What a request does to its rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Does {
    /// Makes or changes it.
    Apply,
    /// Takes it back.
    Remove,
}

/// The place of a request among the others about its rule.
pub(super) struct Turn<'a> {
    table: &'a str,
    id: String,
    number: u64,
    /// Whether it has yet to be noted: a request that only plans does not note its own.
    unnoted: Cell<bool>,
}

impl<C: Cloud> Engine<'_, C> {
    /// The turn of this request; `None` when there are no others, or without `LOCK_TABLE` no place for turns.
    pub(super) fn turn(&self, rule: &RuleAddress, does: Does, dry_run: bool) -> Option<Turn<'_>> {
        let later = match does {
            Does::Apply => 0,
            Does::Remove => 1,
        };
        let number = self.signed_at?.checked_mul(2)? + later;
        let table = self.settings.lock_table.as_deref()?;
        Some(Turn { table, id: rule.to_string(), number, unnoted: Cell::new(!dry_run) })
    }

    /// Notes the turn, and later looks whether it is still this request's.
    ///
    /// # Errors
    /// [`Error::Overtaken`] when a later request has come already.
    pub(super) async fn has_turn(&self, turn: Option<&Turn<'_>>) -> Result<(), Error> {
        let Some(Turn { table, id, number, unnoted }) = turn else { return Ok(()) };
        let has_turn = if unnoted.take() {
            self.cloud.take_turn(table, id, *number, epoch_seconds(REMEMBERED)).await?
        } else {
            self.cloud.turn(table, id).await?.is_none_or(|latest| latest <= *number)
        };
        if has_turn { Ok(()) } else { Err(Error::Overtaken(id.clone())) }
    }
}
