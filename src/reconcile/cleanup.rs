//! Removes what a failed or unanswered request may have left.
//!
//! It must not know how such a request is recognised.
//!
//! # Guarantees
//! - Nothing is deleted unless the table remembers that a request may have left something, and that no later request has succeeded.

use super::generation::{End, Operation};
use super::{Engine, Error, Outcome};
use crate::model::{Access, RecordedRequest, Region, RequestOutcome, RoleName, RuleAddress};
use crate::ports::Cloud;

/// The result of a cleanup.
#[derive(Debug)]
pub enum Cleanup {
    /// What was left is removed.
    Removed(Box<Outcome>),
    /// Nothing was deleted, for this reason.
    Kept(String),
}

/// A rule that earlier requests may have left.
#[derive(Debug, Clone, Copy)]
pub struct Leftover<'a> {
    /// The rule.
    pub rule: &'a RuleAddress,
    /// The generation of the failed Create that may have left the rule; `None` if the caller does not know it.
    pub failed_create: Option<u64>,
    /// The credentials with which the destination's account is accessed.
    pub access: &'a Access,
}

impl Leftover<'_> {
    /// Whether a record says that the rule is what was left. A failed Create may have recorded its success before it failed.
    fn is_recorded_by(&self, record: RecordedRequest) -> Option<bool> {
        record.outcome.map(|outcome| match outcome {
            RequestOutcome::Open => true,
            RequestOutcome::Applied => self.failed_create == Some(record.generation),
        })
    }
}

impl<C: Cloud> Engine<'_, C> {
    /// Deletes a rule and what was made for it, if earlier requests may have left it.
    ///
    /// # Errors
    /// Any [`Error`] but [`Error::Superseded`].
    pub async fn cleanup(
        &self,
        leftover: &Leftover<'_>,
        expected: &Region,
        dry_run: bool,
    ) -> Result<Cleanup, Error> {
        let Leftover { rule, access, .. } = *leftover;
        let Some(generation) = self.generation(rule, Operation::Cleanup, dry_run) else {
            return Ok(Cleanup::Kept(may_remain(rule)));
        };
        let before = match self.before_deadline(self.recorded_before(&generation)).await {
            Err(Error::Superseded(_)) => return Ok(Cleanup::Kept(belongs_to_later(rule))),
            before => before?,
        };
        match before.and_then(|before| leftover.is_recorded_by(before)) {
            Some(true) => {
                let outcome = self.delete(rule, access, expected, dry_run).await?;
                if !dry_run {
                    self.remember(rule, Operation::Delete, End::Removed).await;
                }
                Ok(Cleanup::Removed(Box::new(outcome)))
            }
            Some(false) => Ok(Cleanup::Kept(belongs_to_later(rule))),
            None => Ok(Cleanup::Kept(may_remain(rule))),
        }
    }
}

fn may_remain(rule: &RuleAddress) -> String {
    format!(
        "nothing was deleted, since no failed or unanswered request is remembered; rule `{}` of bucket `{}` and its policy in role `{}` may remain",
        rule.id,
        rule.source,
        RoleName::for_source(&rule.source)
    )
}

fn belongs_to_later(rule: &RuleAddress) -> String {
    format!(
        "nothing was deleted: rule `{}` of bucket `{}` belongs to a request that succeeded",
        rule.id, rule.source
    )
}
