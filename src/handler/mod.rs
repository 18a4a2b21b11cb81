//! Handles one invocation: one file for each way of asking.

mod cloudformation;
mod command;
mod event;
mod queue;

use std::time::Duration;

use serde::Serialize;
use serde_json::Value;
use tokio::time::Instant;

use crate::config::Settings;
use crate::error::Error;
use crate::ports::Cloud;
use crate::reconcile::{Engine, Outcome};
use crate::request::{self, Environment, Invocation};
use crate::respond::metrics::{AskedBy, Counters};

/// Time kept for the answer at the end of an invocation.
const ANSWER_TIME: Duration = Duration::from_secs(10);

/// How an invocation ended.
#[derive(Debug)]
pub struct Handled {
    /// The answer.
    ///
    /// # Errors
    /// For a command, whatever kept it from being carried out. For an event, only what may go away by itself, so that Lambda's retry
    /// can help. For CloudFormation, only that it could not be answered. For SQS, only a payload that is no batch: failed messages
    /// are part of the answer.
    pub answer: Result<Value, Error>,
    /// What was done, counted.
    pub counters: Counters,
}

/// Handles one invocation, which ends at `end`.
pub async fn handle<C: Cloud>(
    payload: &Value,
    end: Instant,
    cloud: &C,
    settings: &Settings,
) -> Handled {
    let mut counters = Counters::default();
    let answer = answer(payload, end, cloud, settings, &mut counters).await;
    Handled { answer, counters }
}

async fn answer<C: Cloud>(
    payload: &Value,
    end: Instant,
    cloud: &C,
    settings: &Settings,
    counters: &mut Counters,
) -> Result<Value, Error> {
    let environment = Environment {
        execution_role_arn: settings.execution_role_arn.as_deref(),
        allows_loopback: settings.loopback_endpoint,
    };
    let invocation = request::read(payload, environment).map_err(Error::from);
    let invocation = invocation.inspect_err(|error| counters.failed_rule(error))?;
    counters.asked_by = AskedBy::from(&invocation);
    let engine = engine(cloud, settings, end);
    match invocation {
        Invocation::CloudFormation(request) => {
            cloudformation::handle(&request, engine, counters).await
        }
        Invocation::Event(event) => event::handle(&event, &engine, counters).await,
        Invocation::Queue(messages) => queue::handle(messages, &engine, counters).await,
        Invocation::Command(command) => command::handle(&command, &engine, counters).await,
    }
}

/// The engine of an invocation that ends at `end`.
fn engine<'a, C>(cloud: &'a C, settings: &'a Settings, end: Instant) -> Engine<'a, C> {
    let left = end.saturating_duration_since(Instant::now());
    Engine { cloud, settings, deadline: end - ANSWER_TIME.min(left / 4), end, signed_at: None }
}

fn log_outcome(outcome: &Outcome) {
    let (bucket, rule) = (outcome.rule.source.as_str(), outcome.rule.id.as_str());
    let actions = outcome.plan.actions().count();
    tracing::info!(bucket, rule, status = ?outcome.status, steps = actions, "the rule was handled");
    for warning in &outcome.plan.warnings {
        tracing::warn!(bucket, rule, warning);
    }
}

fn json(answer: &impl Serialize) -> Result<Value, Error> {
    serde_json::to_value(answer).map_err(|error| Error::Internal(error.to_string()))
}
