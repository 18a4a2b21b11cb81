//! The record that a verification of a rule is open: a canary may have to be written, judged or removed.
//!
//! It must not know how a canary is judged or removed.
//!
//! The record is a number beside the generations in the lease table, which only grows: odd while a verification is open, even
//! afterwards. A verification that begins while another is open gets a number of its own, so the end of an earlier one does not
//! close it. The end of a later one does, and has removed the canary of the earlier one, which takes a new number before it writes
//! another.
//!
//! # Guarantees
//! - The record is made before the first change after which a verification is due. So a request that is delivered again after a
//!   crash at any point sees that its verification is still due.
//!
//! # Caveats
//! - Without `LOCK_TABLE` there is no record, and only a canary shows that a verification is open.

use std::time::Duration;

use super::lease::epoch_seconds;
use super::{Engine, Error};
use crate::model::{
    ApiError, GenerationRecord, OutcomeChange, RecordedRequest, Recording, RuleAddress,
};
use crate::ports::Cloud;

/// How long the record is kept.
const RETENTION: Duration = Duration::from_secs(90 * 24 * 60 * 60);

/// The number of an open verification; `None` without `LOCK_TABLE`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct VerificationNumber(Option<u64>);

/// The id of the record. No rule's id has a slash, so it is no id of a generation.
fn record_id(rule: &RuleAddress) -> String {
    format!("{rule}/verification")
}

impl<C: Cloud> Engine<'_, C> {
    /// Records that a verification of the rule is due.
    pub(super) async fn open_verification(
        &self,
        rule: &RuleAddress,
    ) -> Result<VerificationNumber, Error> {
        self.before_deadline(self.take_verification_number(rule)).await
    }

    /// Takes a number that no other verification has. One that begins at the same time may take the number that this one has chosen.
    pub(super) async fn take_verification_number(
        &self,
        rule: &RuleAddress,
    ) -> Result<VerificationNumber, ApiError> {
        let Some(table) = &self.settings.lock_table else {
            return Ok(VerificationNumber(None));
        };
        let (id, forget_at) = (record_id(rule), epoch_seconds(RETENTION));
        loop {
            let latest = self.cloud.latest_generation(table, &id).await?;
            let latest = latest.map_or(0, |record| record.generation);
            let number = latest + 1 + latest % 2;
            let record = GenerationRecord {
                table: table.clone(),
                id: id.clone(),
                number,
                is_unique: true,
                change: OutcomeChange::Keep,
                forget_at,
            };
            match self.cloud.record_generation(&record).await? {
                Recording::Recorded(_) => return Ok(VerificationNumber(Some(number))),
                // Every number that is refused is one that another has taken, so each round lets one more pass.
                Recording::Superseded => {}
            }
        }
    }

    /// Records that the verification has ended and nothing of its canary is left. A failure is logged: the rule's next request then
    /// looks for a canary, and finds none.
    pub(super) async fn close_verification(
        &self,
        rule: &RuleAddress,
        VerificationNumber(number): VerificationNumber,
    ) {
        let (Some(table), Some(number)) = (&self.settings.lock_table, number) else {
            return;
        };
        let ended = GenerationRecord {
            table: table.clone(),
            id: record_id(rule),
            number: number + 1,
            is_unique: false,
            change: OutcomeChange::Keep,
            forget_at: epoch_seconds(RETENTION),
        };
        let closed = self.cloud.record_generation(&ended);
        if let Err(error) = self.before_deadline(closed).await {
            tracing::warn!(rule = ended.id, %error, "cannot record that the verification has ended");
        }
    }

    /// Reads the open verification of the rule; `None` without a record.
    pub(super) async fn read_verification_state(
        &self,
        rule: &RuleAddress,
    ) -> Result<Option<VerificationState>, Error> {
        let Some(table) = &self.settings.lock_table else {
            return Ok(None);
        };
        let id = record_id(rule);
        let latest = self.before_deadline(self.cloud.latest_generation(table, &id)).await?;
        Ok(latest.map(|RecordedRequest { generation, .. }| match generation % 2 {
            0 => VerificationState::Ended,
            _ => VerificationState::Open(VerificationNumber(Some(generation))),
        }))
    }
}

/// What the record says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum VerificationState {
    /// A verification is open.
    Open(VerificationNumber),
    /// The last verification has ended.
    Ended,
}
