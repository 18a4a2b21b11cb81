//! Answers to each kind of invocation, and the metrics of an invocation.
//!
//! It owns the JSON of answers and its limits. It must not decide what happened: outcomes and errors come from
//! [`crate::reconcile`].

mod batch;
pub mod metrics;
mod replay;

use aws_lambda_events::event::sqs::{BatchItemFailure, SqsBatchResponse};
pub use batch::BatchAnswer;
use serde::Serialize;
use serde_json::{Map, Value, json};

pub use replay::{ReplayAnswer, replay_text};

use crate::error::Error;
use crate::iam_policy::RolePolicyDocument;
use crate::plan::{Action, Change, Detail, Plan, RuleAttributes};
use crate::reconcile::{
    self, BucketOutcome, CatchUpResult, CaughtUp, Outcome, RuleOutcome, Status,
};
use crate::request::cloudformation::{ReplyTo, Request};

/// The longest `Reason` in bytes, so that the whole answer stays within CloudFormation's limit.
const MAX_REASON: usize = 1_024;

/// CloudFormation's limit for an answer, in bytes.
const MAX_BODY: usize = 4_096;

/// The only attribute whose length has no limit.
const SOURCE_KEYS: &str = "SourceKmsKeyArns";

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

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct PlanAnswer {
    stages: Vec<Vec<ActionAnswer>>,
    kept: Vec<String>,
    warnings: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
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

impl RuleAnswer {
    /// The answer without the text for a person, which repeats the other elements.
    #[must_use]
    pub fn without_text(mut self) -> Self {
        self.plan.text = None;
        self
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

/// The answer to a batch. It names the messages that SQS must deliver again or, after several failures, move to the dead-letter
/// queue.
pub fn batch_answer(failed: Vec<String>) -> SqsBatchResponse {
    let failure = |id| {
        let mut failure = BatchItemFailure::default();
        failure.item_identifier = id;
        failure
    };
    let mut response = SqsBatchResponse::default();
    response.batch_item_failures = failed.into_iter().map(failure).collect();
    response
}

/// The answer to CloudFormation.
///
/// An answer has at most 4,096 bytes, a resource id of 1 to 1,024 bytes, a reason when the request failed, and no null values:
/// <https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/crpg-ref-responses.html>.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct CloudFormationAnswer<'a> {
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    physical_resource_id: String,
    stack_id: &'a str,
    request_id: &'a str,
    logical_resource_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<Map<String, Value>>,
}

/// How a custom resource's request succeeded.
#[derive(Debug)]
pub enum Completion {
    /// The rule was made, changed or deleted.
    Rule(Box<Outcome>),
    /// Nothing was done.
    Nothing {
        /// What the caller should know: what may remain.
        reason: Option<String>,
    },
}

/// Returns the body of the answer to a custom resource's request.
///
/// # Errors
/// When the answer cannot be written as JSON.
pub fn cloudformation_answer(
    request: &Request,
    physical_id: String,
    result: &Result<Completion, Error>,
) -> Result<String, serde_json::Error> {
    let ReplyTo { stack_id, request_id, logical_id, .. } = &request.reply;
    let (status, reason, data) = match result {
        Ok(Completion::Rule(outcome)) => ("SUCCESS", success_reason(outcome), data(outcome)?),
        Ok(Completion::Nothing { reason }) => ("SUCCESS", reason.clone(), None),
        Err(error) => ("FAILED", Some(error.to_string()), None),
    };
    let reason = reason.map(|reason| truncate_reason(&reason));
    let mut answer = CloudFormationAnswer {
        status,
        reason,
        physical_resource_id: physical_id,
        stack_id,
        request_id,
        logical_resource_id: logical_id,
        data,
    };
    let body = serde_json::to_string(&answer)?;
    if body.len() <= MAX_BODY {
        return Ok(body);
    }
    // This attribute is long only when the template lists many keys, so the template does not need it.
    if let Some(data) = &mut answer.data {
        data.remove(SOURCE_KEYS);
    }
    serde_json::to_string(&answer)
}

/// The reason of a success: with `DryRun` the plan, otherwise the warnings.
fn success_reason(outcome: &Outcome) -> Option<String> {
    let plan = (outcome.status == Status::Planned).then(|| dry_run_reason(outcome));
    plan.or_else(|| (!outcome.plan.warnings.is_empty()).then(|| outcome.plan.warnings.join("; ")))
}

/// The plan, or only its actions where the values would not fit.
fn dry_run_reason(outcome: &Outcome) -> String {
    let Outcome { plan, .. } = outcome;
    let summary =
        if plan.is_empty() { "nothing to do".to_owned() } else { plan.summary().to_string() };
    let reason = |detail| {
        let lines = plan.lines(detail).into_iter().map(|line| format!("\n{line}"));
        format!("DryRun, nothing was changed: {summary}{}", lines.collect::<String>())
    };
    let reason_with_values = reason(Detail::Changes);
    let fits = json_length(&reason_with_values) <= MAX_REASON;
    if fits { reason_with_values } else { reason(Detail::Actions) }
}

/// The attributes that `Fn::GetAtt` returns. CloudFormation's attributes are strings, so the source keys are joined with commas.
fn data(outcome: &Outcome) -> Result<Option<Map<String, Value>>, serde_json::Error> {
    let Some(attributes) = &outcome.attributes else {
        return Ok(None);
    };
    let mut data = Map::from_iter([("RuleId".to_owned(), json!(outcome.rule.id))]);
    if let Value::Object(attributes) = serde_json::to_value(attributes)? {
        data.extend(attributes);
    }
    let source_keys: Vec<&str> =
        attributes.source_kms_key_arns.iter().map(String::as_str).collect();
    data.insert(SOURCE_KEYS.to_owned(), json!(source_keys.join(",")));
    Ok(Some(data))
}

/// Truncates a reason to [`MAX_REASON`] bytes of JSON.
fn truncate_reason(reason: &str) -> String {
    let mut length = 0;
    let fits = |character: &char| {
        length += json_length_of(*character);
        length <= MAX_REASON
    };
    reason.chars().take_while(fits).collect()
}

/// The bytes that a text takes in JSON, without its quotes.
fn json_length(text: &str) -> usize {
    text.chars().map(json_length_of).sum()
}

fn json_length_of(character: char) -> usize {
    match character {
        '"' | '\\' | '\n' | '\t' | '\r' => 2,
        character if character.is_control() => 6,
        character => character.len_utf8(),
    }
}

#[cfg(test)]
mod tests;
