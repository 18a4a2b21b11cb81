//! Notes of custom resources that were deleted: a request that is older, and delivered late or once more, must not bring them back.
//!
//! Lambda delivers CloudFormation's requests asynchronously: again after a failure, twice now and then, and hours late when it is throttled. A
//! Create that comes after its Delete would leave a rule that no stack knows of.
//!
//! # Guarantees
//! - A Delete notes itself before it looks for writers, and Create and Update look for the note under the lease: of the two, one sees the other.

use std::time::Duration;

use super::Engine;
use super::lease::epoch_seconds;
use crate::cloud::Cloud;
use crate::error::Error;
use crate::spec::{BucketName, RuleId, Spec};

/// How long a deletion is remembered: Lambda keeps an event for six hours at most.
const REMEMBERED: Duration = Duration::from_secs(24 * 60 * 60);

impl<C: Cloud> Engine<'_, C> {
    /// Notes that the rule's custom resource is deleted; without `LOCK_TABLE` there is no place for that.
    ///
    /// # Errors
    /// As [`Error`] says.
    pub async fn note_deletion(&self, source: &BucketName, rule_id: &RuleId) -> Result<(), Error> {
        let (Some(table), Some(signed_at)) = (&self.settings.lock_table, self.signed_at) else { return Ok(()) };
        let id = rule_id.among_all(source);
        self.in_time(self.cloud.note_deletion(table, &id, signed_at, epoch_seconds(REMEMBERED))).await
    }

    pub(super) async fn refuse_if_deleted(&self, spec: &Spec) -> Result<(), Error> {
        let (Some(table), Some(signed_at)) = (&self.settings.lock_table, self.signed_at) else { return Ok(()) };
        let id = spec.rule_id.among_all(&spec.source);
        match self.cloud.deletion(table, &id).await? {
            Some(deleted_at) if signed_at <= deleted_at => Err(Error::DeletedSince(id)),
            _ => Ok(()),
        }
    }
}
