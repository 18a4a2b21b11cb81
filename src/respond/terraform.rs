//! The answer about a resource of Terraform.
//!
//! It must not know how Terraform's requests differ from each other.

use serde::Serialize;

use crate::reconcile::{Outcome, Status};

/// The answer about a resource of Terraform, which keeps it as the resource's `result`. It has nothing that differs between two requests with
/// the same input.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ResourceAnswer {
    id: String,
    rule_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    role_arn: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    destination_bucket_arn: Option<String>,
    status: Status,
}

impl ResourceAnswer {
    /// The answer about the rule of `outcome`. `status` is the resource's.
    pub fn new(outcome: &Outcome, status: Status) -> Self {
        let attributes = outcome.attributes.as_ref();
        Self {
            id: outcome.rule.to_string(),
            rule_id: outcome.rule.id.to_string(),
            role_arn: attributes.map(|attributes| attributes.role_arn.clone()),
            destination_bucket_arn: attributes
                .map(|attributes| attributes.destination_bucket_arn.clone()),
            status,
        }
    }
}
