//! The answer to a catch-up.
//!
//! It must not know how objects are looked for.

use serde::Serialize;

use crate::reconcile::{CatchUpResult, CaughtUp};

/// The answer to a catch-up.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct CatchUpAnswer {
    source_bucket: String,
    rule_id: String,
    result: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    job_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unreplicated: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unexamined: Option<usize>,
}

impl From<&CaughtUp> for CatchUpAnswer {
    fn from(CaughtUp { rule, result }: &CaughtUp) -> Self {
        let answer = |result| Self {
            source_bucket: rule.source.to_string(),
            rule_id: rule.id.to_string(),
            result,
            reason: None,
            job_id: None,
            unreplicated: None,
            unexamined: None,
        };
        match result {
            CatchUpResult::Ended(reason) => {
                Self { reason: Some(reason.clone()), ..answer("Ended") }
            }
            CatchUpResult::NothingMissed { unexamined } => {
                Self { unexamined: Some(*unexamined), ..answer("NothingMissed") }
            }
            CatchUpResult::ComesAgain => answer("ComesAgain"),
            CatchUpResult::Job { id } => Self { job_id: Some(id.clone()), ..answer("Job") },
            CatchUpResult::Unreplicated { count, unexamined, reason, .. } => Self {
                reason: reason.clone(),
                unreplicated: Some(*count),
                unexamined: Some(*unexamined),
                ..answer("Unreplicated")
            },
        }
    }
}
