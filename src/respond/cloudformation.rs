//! The answer to a custom resource's request.
//!
//! It owns CloudFormation's limits of an answer, and what is left out to keep them. It must not know how the answer is sent.

use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::error::Error;
use crate::plan::Detail;
use crate::reconcile::{Outcome, Status};
use crate::request::cloudformation::{ReplyTo, Request};

/// The longest `Reason` in bytes, so that the whole answer stays within CloudFormation's limit.
const MAX_REASON: usize = 1_024;

/// CloudFormation's limit for an answer, in bytes.
const MAX_BODY: usize = 4_096;

/// The only attribute whose length has no limit.
const SOURCE_KEYS: &str = "SourceKmsKeyArns";

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
