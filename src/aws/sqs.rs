//! SQS: messages to the function's own queue.
//!
//! It must not know what a message says.

use std::time::Duration;

use aws_sdk_sqs::Client;
use futures_util::FutureExt;

use super::Aws;
use super::sdk_error::CallError;
use crate::model::ApiError;
use crate::ports::Queue;

impl Queue for Aws {
    async fn send(&self, queue_url: &str, body: String, delay: Duration) -> Result<(), ApiError> {
        let sqs = self.sqs.get_or_init(|| Client::new(&self.config));
        send(sqs, queue_url, body, delay).boxed_local().await
    }
}

async fn send(
    client: &Client,
    queue_url: &str,
    body: String,
    delay: Duration,
) -> Result<(), ApiError> {
    let delay = i32::try_from(delay.as_secs()).unwrap_or(i32::MAX);
    let request = client.send_message().queue_url(queue_url).message_body(body);
    let sent = request.delay_seconds(delay).send().await;
    let name = queue_url.rsplit('/').next().unwrap_or_default();
    sent.map(|_| ()).map_err(|error| {
        CallError::from(error).into_error("SendMessage", format!("queue `{name}`"))
    })
}
