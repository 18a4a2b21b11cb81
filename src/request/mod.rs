//! Reads payloads: from wire JSON to the typed invocation. Only this module and its children read payloads.

pub mod cloudformation;
mod cloudtrail;
mod command;
mod error;

use aws_lambda_events::event::sqs::SqsEvent;
use serde_json::Value;

pub use cloudtrail::{BucketEvent, Event, JobEvent};
pub use command::Command;
pub use error::Error;

/// What of the function's environment decides how a payload is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Environment<'a> {
    /// ARN of the role whose calls are the function's own; events of its calls are ignored.
    pub execution_role_arn: Option<&'a str>,
    /// Whether a `ResponseURL` on this machine is accepted: where AWS itself is emulated on it.
    pub allows_loopback: bool,
}

/// Who asks, and for what.
#[derive(Debug)]
pub enum Invocation {
    /// CloudFormation, for a custom resource.
    CloudFormation(Box<cloudformation::Request>),
    /// EventBridge, because of something that happened to a bucket.
    Event(Event),
    /// SQS, with a batch of such events.
    Queue(Vec<Message>),
    /// A person, Action Functions or the CLI.
    Command(Command),
}

/// One message of an SQS batch.
#[derive(Debug)]
pub struct Message {
    /// The id by which SQS is told that the message failed.
    pub id: String,
    /// The event in the message's body.
    pub event: Result<Event, Error>,
}

/// Tells from its shape what a payload is, and reads it.
///
/// # Errors
/// A payload that is none of the four, or one that cannot be read and leaves no place to answer.
pub fn read(payload: &Value, environment: Environment<'_>) -> Result<Invocation, Error> {
    let Some(object) = payload.as_object() else {
        return Err(unknown("is not a JSON object"));
    };
    if object.contains_key("ResponseURL") || object.contains_key("RequestType") {
        return cloudformation::read(object, environment)
            .map(|request| Invocation::CloudFormation(Box::new(request)));
    }
    if object.contains_key("detail-type") {
        return cloudtrail::read(payload, environment.execution_role_arn).map(Invocation::Event);
    }
    if object.contains_key("Records") {
        return queue(payload, environment).map(Invocation::Queue);
    }
    if object.contains_key("Action") {
        return Ok(Invocation::Command(command::read(object)?));
    }
    Err(unknown(
        "has none of `RequestType` (CloudFormation), `detail-type` (EventBridge), `Records` (SQS) or `Action` (a command)",
    ))
}

fn queue(payload: &Value, environment: Environment<'_>) -> Result<Vec<Message>, Error> {
    let batch: SqsEvent = serde::Deserialize::deserialize(payload)
        .map_err(|error| unknown(&format!("is no batch of SQS messages: {error}")))?;
    batch
        .records
        .into_iter()
        .map(|record| message(record.message_id, record.body.as_deref(), environment))
        .collect()
}

fn message(
    id: Option<String>,
    body: Option<&str>,
    environment: Environment<'_>,
) -> Result<Message, Error> {
    let id = id
        .ok_or_else(|| unknown("has a record without a `messageId`: only SQS batches are known"))?;
    let event = serde_json::from_str::<Value>(body.unwrap_or_default())
        .map_err(|error| {
            unknown(&format!("of SQS message `{id}` has a body that is not JSON: {error}"))
        })
        .and_then(|body| cloudtrail::read(&body, environment.execution_role_arn));
    Ok(Message { id, event })
}

fn unknown(problem: &str) -> Error {
    Error::UnknownPayload(problem.to_owned())
}

#[cfg(test)]
mod tests;
