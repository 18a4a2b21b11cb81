//! Wire JSON to what is asked, and by whom. Only this module and its children read payloads.

pub mod cloudformation;
mod cloudtrail;
mod command;
mod properties;

use aws_lambda_events::event::sqs::SqsEvent;
use serde_json::Value;

pub use cloudtrail::{BucketEvent, JobEvent, Notice};
pub use command::Command;
pub(crate) use properties::{Object, read_properties};

use crate::error::Error;
use crate::settings::Settings;

/// Who asks, and for what.
#[derive(Debug)]
pub enum Ask {
    /// CloudFormation, for a custom resource.
    CloudFormation(Box<cloudformation::Request>),
    /// EventBridge, because of something that happened to a bucket.
    Event(Notice),
    /// SQS, with a batch of such events.
    Queue(Vec<Message>),
    /// A person, Step Functions or the CLI.
    Command(Command),
}

/// One message of an SQS batch.
#[derive(Debug)]
pub struct Message {
    /// The id by which SQS is told that the message failed.
    pub id: String,
    /// The event in the message's body.
    pub notice: Result<Notice, Error>,
}

/// Tells from its shape what a payload is, and reads it.
///
/// # Errors
/// A payload that is none of the four, or one that cannot be read and leaves no place to answer.
pub fn read(payload: &Value, settings: &Settings) -> Result<Ask, Error> {
    let Some(object) = payload.as_object() else { return Err(unknown("is not a JSON object")) };
    if object.contains_key("ResponseURL") || object.contains_key("RequestType") {
        return cloudformation::read(object, settings).map(|request| Ask::CloudFormation(Box::new(request)));
    }
    if object.contains_key("detail-type") {
        return cloudtrail::read(payload, settings.execution_role_arn.as_deref()).map(Ask::Event);
    }
    if object.contains_key("Records") {
        return queue(payload, settings).map(Ask::Queue);
    }
    if object.contains_key("Action") {
        return Ok(Ask::Command(command::read(object)?));
    }
    Err(unknown("has none of `RequestType` (CloudFormation), `detail-type` (EventBridge), `Records` (SQS) or `Action` (a command)"))
}

fn queue(payload: &Value, settings: &Settings) -> Result<Vec<Message>, Error> {
    let batch: SqsEvent =
        serde::Deserialize::deserialize(payload).map_err(|error| unknown(&format!("is no batch of SQS messages: {error}")))?;
    batch.records.into_iter().map(|record| message(record.message_id, record.body.as_deref(), settings)).collect()
}

fn message(id: Option<String>, body: Option<&str>, settings: &Settings) -> Result<Message, Error> {
    let id = id.ok_or_else(|| unknown("has a record without a `messageId`: only SQS batches are known"))?;
    let notice = serde_json::from_str::<Value>(body.unwrap_or_default())
        .map_err(|error| unknown(&format!("of SQS message `{id}` has a body that is not JSON: {error}")))
        .and_then(|body| cloudtrail::read(&body, settings.execution_role_arn.as_deref()));
    Ok(Message { id, notice })
}

fn unknown(problem: &str) -> Error {
    Error::UnknownPayload(problem.to_owned())
}

#[cfg(test)]
mod tests;
