//! The answer about one bucket that was reconciled.
//!
//! It must not know whether an event, a command or a walk asked.

use serde::Serialize;

use super::RuleAnswer;
use super::plan::PlanAnswer;
use crate::reconcile::{self, BucketOutcome, RuleOutcome};

/// The answer about one bucket that was reconciled.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct BucketAnswer {
    source_bucket: String,
    #[serde(flatten)]
    outcome: OutcomeAnswer,
}

#[derive(Debug, Serialize)]
enum OutcomeAnswer {
    Skipped(String),
    Failed(String),
    Rules(Vec<RuleResult>),
    Retired(PlanAnswer),
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum RuleResult {
    Succeeded(Box<RuleAnswer>),
    #[serde(rename_all = "PascalCase")]
    Failed {
        rule_id: String,
        status: &'static str,
        error: String,
    },
}

/// The answer to an event or to `Reconcile`.
pub fn bucket_answer(
    bucket: &str,
    result: &Result<BucketOutcome, reconcile::Error>,
) -> BucketAnswer {
    let outcome = match result {
        Ok(BucketOutcome::Skipped(reason)) => OutcomeAnswer::Skipped(reason.clone()),
        Ok(BucketOutcome::Retired(plan)) => OutcomeAnswer::Retired(PlanAnswer::from(plan)),
        Ok(BucketOutcome::Rules(rules)) => {
            OutcomeAnswer::Rules(rules.iter().map(rule_result).collect())
        }
        Err(error) => OutcomeAnswer::Failed(error.to_string()),
    };
    BucketAnswer { source_bucket: bucket.to_owned(), outcome }
}

fn rule_result(RuleOutcome { rule_id, result, .. }: &RuleOutcome) -> RuleResult {
    match result {
        Ok(outcome) => RuleResult::Succeeded(Box::new(RuleAnswer::from(outcome))),
        Err(error) => RuleResult::Failed {
            rule_id: rule_id.to_string(),
            status: "Failed",
            error: error.to_string(),
        },
    }
}
