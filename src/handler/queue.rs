//! Batches of SQS.

use serde_json::Value;

use super::event::handle_event;
use super::json;
use crate::error::Error;
use crate::ports::Cloud;
use crate::reconcile::Engine;
use crate::request::Message;
use crate::respond;
use crate::respond::metrics::Counters;

/// Handles every message. The answer names those that were not carried out in full: they are delivered again until the queue moves
/// them to its dead-letter queue, where they can be seen and sent again.
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
                counters.bucket(&outcome.result);
                outcome.failures().next().is_none()
            }
            Err(error) => {
                tracing::error!(message_id = id, %error, "the message cannot be read");
                counters.failed_rule(&error.into());
                false
            }
        };
        if !succeeded {
            failed.push(id);
        }
    }
    json(&respond::batch(failed))
}
