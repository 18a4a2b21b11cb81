//! Removes what a failed or unanswered request may have left.
//!
//! It must not know how such a request is recognised.
//!
//! # Guarantees
//! - Nothing is deleted unless the table remembers a request that may have left something, and no request that was answered as a
//!   success.

use super::generation::{End, Operation};
use super::{Engine, Error, Outcome};
use crate::model::{Access, Region, RequestOutcome, RoleName, RuleAddress};
use crate::ports::Cloud;

/// The result of a cleanup.
#[derive(Debug)]
pub enum Cleanup {
    /// What was left is removed.
    Removed(Box<Outcome>),
    /// Nothing was deleted, for this reason.
    Kept(String),
}

impl<C: Cloud> Engine<'_, C> {
    /// Deletes `rule` and what was made for it, if earlier requests may have left it.
    ///
    /// # Errors
    /// Any [`Error`] but [`Error::Superseded`].
    pub async fn cleanup(
        &self,
        rule: &RuleAddress,
        access: &Access,
        expected: &Region,
        dry_run: bool,
    ) -> Result<Cleanup, Error> {
        let Some(generation) = self.generation(rule, Operation::Cleanup, dry_run) else {
            return Ok(Cleanup::Kept(may_remain(rule)));
        };
        let before = match self.before_deadline(self.recorded_before(&generation)).await {
            Err(Error::Superseded(_)) => return Ok(Cleanup::Kept(belongs_to_later(rule))),
            before => before?,
        };
        match before.and_then(|before| before.outcome) {
            Some(RequestOutcome::Open) => {
                let outcome = self.delete(rule, access, expected, dry_run).await?;
                if !dry_run {
                    self.remember(rule, Operation::Delete, End::Removed).await;
                }
                Ok(Cleanup::Removed(Box::new(outcome)))
            }
            Some(RequestOutcome::Applied) => Ok(Cleanup::Kept(belongs_to_later(rule))),
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
