//! The answer about one rule, as JSON and as text.
//!
//! It must not know who asked.

use serde::Serialize;

use super::plan::PlanAnswer;
use crate::plan::RuleAttributes;
use crate::reconcile::{Outcome, Status};

/// The answer about one rule.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct RuleAnswer {
    status: Status,
    source_bucket: String,
    rule_id: String,
    #[serde(flatten)]
    attributes: Option<RuleAttributes>,
    #[serde(flatten)]
    plan: PlanAnswer,
}

impl From<&Outcome> for RuleAnswer {
    fn from(outcome: &Outcome) -> Self {
        let mut plan = PlanAnswer::from(&outcome.plan);
        plan.text = Some(text(outcome));
        Self {
            status: outcome.status,
            source_bucket: outcome.rule.source.to_string(),
            rule_id: outcome.rule.id.to_string(),
            attributes: outcome.attributes.clone(),
            plan,
        }
    }
}

impl RuleAnswer {
    /// The answer without the text for a person, which repeats the other elements.
    #[must_use]
    pub fn without_text(self) -> Self {
        Self { plan: self.plan.without_text(), ..self }
    }
}

/// The first line of the text about a rule.
pub fn heading(outcome: &Outcome) -> String {
    let Outcome { rule, status, plan, .. } = outcome;
    let result = match status {
        Status::Planned if plan.is_empty() => "nothing to do".to_owned(),
        Status::Configured | Status::Removed => format!("{status:?}, {}", plan.summary().applied()),
        Status::Planned | Status::Unchanged | Status::Verified | Status::Pending => {
            format!("{status:?}")
        }
    };
    format!("rule `{}` of bucket `{}`: {result}", rule.id, rule.source)
}

/// The last line of the text about a rule: what a plan would do. Nothing when nothing is left to do.
pub fn closing(outcome: &Outcome) -> Option<String> {
    (outcome.status == Status::Planned && !outcome.plan.is_empty())
        .then(|| outcome.plan.summary().to_string())
}

fn text(outcome: &Outcome) -> String {
    let closing = closing(outcome).map(|summary| summary + "\n").unwrap_or_default();
    format!("{}\n{}{closing}", heading(outcome), outcome.plan)
}
