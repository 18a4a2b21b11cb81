//! Batches of SQS.
//!
//! It must not know what a message is about.
//!
//! # Guarantees
//! - A slow message does not use up the time of others: messages are handled concurrently, and each has a share of the time.

use futures_util::stream::{self, StreamExt};
use serde_json::Value;
use tokio::time::Instant;

use super::event::{EventResult, handle_event};
use super::json;
use crate::error::Error;
use crate::ports::Cloud;
use crate::reconcile::Engine;
use crate::request::{self, Event, Message};
use crate::respond;
use crate::respond::metrics::Counters;

/// How many messages are handled at the same time.
const CONCURRENCY: usize = 5;

/// Handles every message. The answer names those that did not succeed in full: they are delivered again until the queue moves
/// them to its dead-letter queue, where they can be seen and sent again.
pub(super) async fn handle<C: Cloud>(
    messages: Vec<Message>,
    engine: &Engine<'_, C>,
    counters: &mut Counters,
) -> Result<Value, Error> {
    let count = messages.len();
    let handled = messages.into_iter().enumerate().map(async |(index, Message { id, event })| {
        let deadline = share_of_time(engine.deadline, count - index);
        (id, handle_message(event, &Engine { deadline, ..*engine }).await)
    });
    let handled: Vec<_> = stream::iter(handled).buffer_unordered(CONCURRENCY).collect().await;
    let mut failed = Vec::new();
    for (id, result) in handled {
        let succeeded = match result {
            Ok(outcome) => {
                outcome.log();
                outcome.count(counters);
                outcome.is_success()
            }
            Err(error) => {
                tracing::error!(message_id = id, %error, "the message cannot be read");
                counters.count_failure(&error.into());
                false
            }
        };
        if !succeeded {
            failed.push(id);
        }
    }
    json(&respond::batch_answer(failed))
}

async fn handle_message<C: Cloud>(
    event: Result<Event, request::Error>,
    engine: &Engine<'_, C>,
) -> Result<EventResult, request::Error> {
    Ok(Box::pin(handle_event(&event?, engine)).await)
}

/// The deadline of the next message, when `left` messages including it share the time until `deadline`.
fn share_of_time(deadline: Instant, left: usize) -> Instant {
    let now = Instant::now();
    let rounds = u32::try_from(left.div_ceil(CONCURRENCY)).unwrap_or(u32::MAX).max(1);
    now + deadline.saturating_duration_since(now) / rounds
}
