//! The order of the requests about one custom resource: an older one, delivered late or once more, must not undo a newer one.
//!
//! Lambda delivers CloudFormation's requests asynchronously: again after a failure, twice now and then, and hours late when it is throttled. A
//! Create that comes after its Delete would leave a rule that no stack knows of; a Delete that comes after the next Create would take that
//! one's rule away.
//!
//! # Guarantees
//! - A request notes its turn before it does anything, and looks under the lease whether a later one has been noted: of two requests, one
//!   sees the other.
//!
//! # Assumptions
//! - CloudFormation signs each request's `ResponseURL` when it makes the request. Within one second, a Delete comes after what it deletes.

use std::time::Duration;

use super::Engine;
use super::lease::epoch_seconds;
use crate::cloud::Cloud;
use crate::error::Error;
use crate::spec::{BucketName, RuleId};

/// How long a turn is remembered: Lambda keeps an event for six hours at most.
const REMEMBERED: Duration = Duration::from_secs(24 * 60 * 60);

/// What a request does to its rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Does {
    /// Makes or changes it.
    Apply,
    /// Takes it back.
    Remove,
}

impl<C: Cloud> Engine<'_, C> {
    /// Notes that this request's turn about the rule has come; without `LOCK_TABLE` there is no place for that.
    ///
    /// # Errors
    /// [`Error::Overtaken`] when a later request has come already.
    pub async fn take_turn(&self, source: &BucketName, rule_id: &RuleId, does: Does) -> Result<(), Error> {
        let Some((table, turn)) = self.turn(does) else { return Ok(()) };
        let id = rule_id.among_all(source);
        let taken = self.in_time(self.cloud.take_turn(table, &id, turn, epoch_seconds(REMEMBERED))).await?;
        if taken { Ok(()) } else { Err(Error::Overtaken(id)) }
    }

    /// Fails when a later request about the rule has come since.
    pub(super) async fn still_has_turn(&self, source: &BucketName, rule_id: &RuleId, does: Does) -> Result<(), Error> {
        let Some((table, turn)) = self.turn(does) else { return Ok(()) };
        let id = rule_id.among_all(source);
        match self.cloud.turn(table, &id).await? {
            Some(latest) if latest > turn => Err(Error::Overtaken(id)),
            _ => Ok(()),
        }
    }

    /// The number that puts this request among the others about its rule, and the table that keeps it.
    fn turn(&self, does: Does) -> Option<(&str, u64)> {
        let later = match does {
            Does::Apply => 0,
            Does::Remove => 1,
        };
        Some((self.settings.lock_table.as_deref()?, self.signed_at?.checked_mul(2)? + later))
    }
}
