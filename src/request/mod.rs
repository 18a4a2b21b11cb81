//! Reads payloads: from JSON to a typed invocation.
//!
//! It owns the forms of all payloads. It must not know how an invocation is executed and answered.

pub mod cloudformation;
mod cloudtrail;
mod command;
mod error;
pub mod terraform;
mod unreadable;

use aws_lambda_events::event::sqs::SqsEvent;
use serde_json::{Map, Value};

pub use cloudtrail::{BucketEvent, Event, JobEvent};
pub use command::{BatchItem, Command, SourceName};
pub use error::Error;
pub use unreadable::read_text;

use crate::model::{Partition, Region};
use crate::spec::CatchUp;

/// The settings that payloads are read with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Environment<'a> {
    /// The function's Region. CloudFormation takes answers in the Region of the stack, which invokes only functions of its own Region.
    pub region: &'a Region,
    /// The partition of the Region.
    pub partition: Partition,
    /// ARN of the function's role. Events of this role's calls are ignored.
    pub execution_role_arn: Option<&'a str>,
    /// Whether a `ResponseURL` on this machine is accepted, because AWS is emulated on this machine.
    pub allows_loopback: bool,
}

/// A typed payload.
#[derive(Debug)]
pub enum Invocation {
    /// A request of CloudFormation for a custom resource.
    CloudFormation(Box<cloudformation::Request>),
    /// An event of EventBridge about a bucket or a job.
    Event(Event),
    /// A batch of SQS messages with such events.
    Queue(Vec<Message>),
    /// A request of Terraform or Pulumi about a resource.
    Terraform(terraform::ResourceChange),
    /// A command of a person, Step Functions or the CLI.
    Command(Command),
}

/// One message of an SQS batch.
#[derive(Debug)]
pub struct Message {
    /// The message's id, which the answer names if the message failed.
    pub id: String,
    /// The event in the message's body.
    pub event: Result<Event, Error>,
}

/// Recognises the kind of a payload by its names, and reads it.
///
/// # Errors
/// A payload of an unknown kind, or one that cannot be read. A request of CloudFormation with a valid `ResponseURL` is never an error: its
/// errors are part of the request, so that it is answered.
pub fn read(payload: &Value, environment: Environment<'_>) -> Result<Invocation, Error> {
    let Some(object) = payload.as_object() else {
        return Err(unknown("is not a JSON object"));
    };
    if object.contains_key("ResponseURL") || object.contains_key("RequestType") {
        return cloudformation::read(object, environment)
            .map(|request| Invocation::CloudFormation(Box::new(request)));
    }
    if object.contains_key("detail-type") || is_catch_up(object) {
        return event(payload, environment).map(Invocation::Event);
    }
    if object.contains_key("Records") {
        return queue(payload, environment).map(Invocation::Queue);
    }
    if let Some(change) = terraform::read(object)? {
        return Ok(Invocation::Terraform(change));
    }
    if object.contains_key("Action") {
        return Ok(Invocation::Command(command::read(object)?));
    }
    Err(unknown(
        "has none of `RequestType` (CloudFormation), `detail-type` (EventBridge), `Records` (SQS), `Action` (a command) or an object with exactly `action` and `prev_input` (Terraform)",
    ))
}

/// Reads a command.
///
/// # Errors
/// A payload that is no command, or a value that cannot be accepted.
pub fn read_command(payload: &Value) -> Result<Command, Error> {
    let object = payload.as_object().ok_or_else(|| unknown("is not a JSON object"))?;
    Ok(command::read(object)?)
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
        .and_then(|body| event(&body, environment));
    Ok(Message { id, event })
}

/// Reads the body of a message: an event of EventBridge, or what this function has sent to itself.
fn event(body: &Value, environment: Environment<'_>) -> Result<Event, Error> {
    match body.as_object().filter(|body| is_catch_up(body)) {
        Some(message) => Ok(Event::CatchUp(CatchUp::parse(message)?)),
        None => cloudtrail::read(body, environment.execution_role_arn),
    }
}

fn is_catch_up(object: &Map<String, Value>) -> bool {
    object.get("Action").is_some_and(|action| action == CatchUp::ACTION)
}

fn unknown(problem: &str) -> Error {
    Error::UnknownPayload(problem.to_owned())
}

#[cfg(test)]
mod tests;
