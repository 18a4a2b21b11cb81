//! Handles one invocation: one file for each kind of invocation.
//!
//! It passes each request to the engine, and its result to [`crate::respond`]. It must not plan or call AWS itself.

mod batch;
mod cloudformation;
mod command;
mod event;
mod queue;
mod terraform;

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

/// The result of an invocation.
#[derive(Debug)]
pub struct Handled {
    /// The answer.
    ///
    /// # Errors
    /// - Command, Terraform: any error.
    /// - Event: only a transient error, so that Lambda retries the event.
    /// - CloudFormation: the answer could not be delivered, or the request must be delivered again to continue with a canary.
    /// - SQS: the payload is not a batch. The answer names the messages that failed.
    pub answer: Result<Value, Error>,
    /// The counts for the metrics.
    pub counters: Counters,
}

/// Handles one invocation, which ends at `end`. `payload` is the text of the JSON.
pub async fn handle<C: Cloud>(
    payload: &str,
    end: Instant,
    cloud: &C,
    settings: &Settings,
) -> Handled {
    let mut counters = Counters::default();
    let answer = answer(payload, engine(cloud, settings, end), &mut counters).await;
    Handled { answer, counters }
}

async fn answer<C: Cloud>(
    payload: &str,
    engine: Engine<'_, C>,
    counters: &mut Counters,
) -> Result<Value, Error> {
    let settings = engine.settings;
    let environment = Environment {
        region: &settings.region,
        partition: settings.partition,
        execution_role_arn: settings.execution_role_arn.as_deref(),
        allows_loopback: settings.loopback_endpoint,
    };
    let invocation = request::read_text(payload, environment).map_err(Error::from);
    let invocation = invocation.inspect_err(|error| counters.count_failure(error))?;
    counters.asked_by = AskedBy::from(&invocation);
    match invocation {
        Invocation::CloudFormation(request) => {
            cloudformation::handle(&request, engine, counters).await
        }
        Invocation::Event(event) => event::handle(&event, &engine, counters).await,
        Invocation::Queue(messages) => queue::handle(messages, &engine, counters).await,
        Invocation::Terraform(change) => terraform::handle(&change, &engine, counters).await,
        Invocation::Command(command) => command::handle(&command, &engine, counters).await,
    }
}

/// The engine of an invocation that ends at `end`.
fn engine<'a, C>(cloud: &'a C, settings: &'a Settings, end: Instant) -> Engine<'a, C> {
    let left = end.saturating_duration_since(Instant::now());
    Engine { cloud, settings, deadline: end - ANSWER_TIME.min(left / 4), end, request: None }
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
