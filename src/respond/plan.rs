//! A plan in an answer.
//!
//! It must not know whether the plan was applied.

use serde::Serialize;

use crate::iam_policy::RolePolicyDocument;
use crate::plan::{Action, Change, Plan};

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct PlanAnswer {
    stages: Vec<Vec<ActionAnswer>>,
    kept: Vec<String>,
    warnings: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct ActionAnswer {
    action: &'static str,
    resource: String,
    changes: Vec<Change>,
    #[serde(skip_serializing_if = "Option::is_none")]
    document: Option<RolePolicyDocument>,
}

impl PlanAnswer {
    /// The answer without the text for a person, which repeats the other elements.
    pub fn without_text(self) -> Self {
        Self { text: None, ..self }
    }
}

impl From<&Plan> for PlanAnswer {
    fn from(plan: &Plan) -> Self {
        let action = |action: &Action| ActionAnswer {
            action: action.operation(),
            resource: action.resource(),
            changes: action.changes(),
            document: action.document().cloned(),
        };
        Self {
            stages: plan
                .stages
                .iter()
                .map(|stage| stage.actions.iter().map(action).collect())
                .collect(),
            kept: plan.kept.clone(),
            warnings: plan.warnings.clone(),
            text: Some(plan.to_string()),
        }
    }
}
