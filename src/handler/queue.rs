//! Batches of events from SQS.
//!
//! It must not know how an event is handled.

use serde_json::Value;

use super::event::handle_event;
use super::json;
use crate::error::Error;
use crate::ports::Cloud;
use crate::reconcile::Engine;
use crate::request::Message;
use crate::respond;
use crate::respond::metrics::Counters;

/// Handles every message. The answer names each message that failed, in whole or in part. SQS delivers it again and finally moves
/// it to the dead-letter queue, where a person can inspect it and send it again.
pub(super) async fn handle<C: Cloud>(
    messages: Vec<Message>,
    engine: &Engine<'_, C>,
    counters: &mut Counters,
) -> Result<Value, Error> {
    let mut failed = Vec::new();
    for Message { id, event } in messages {
        let succeeded = match event {
            Ok(event) => {
                let outcome = handle_event(&event, engine).await;
                outcome.log();
                counters.count_bucket(&outcome.result);
                outcome.failures().next().is_none()
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
