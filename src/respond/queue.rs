//! The answer to a batch of messages from the queue.
//!
//! It must not know why a message failed.

use aws_lambda_events::event::sqs::{BatchItemFailure, SqsBatchResponse};

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
