//! The Lambda function: settings, clients, tracing, run.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use lambda_runtime::{Diagnostic, LambdaEvent, service_fn};
use s3_kms_replication::aws::Aws;
use s3_kms_replication::error::Error;
use s3_kms_replication::settings::Settings;
use serde_json::Value;
use tokio::time::Instant;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let level = match std::env::var("RUST_LOG") {
        Ok(level) if !level.is_empty() => level.parse().map_err(|error| format!("`RUST_LOG` is `{level}`: {error}"))?,
        _ => Targets::new().with_default(LevelFilter::INFO),
    };
    tracing_subscriber::registry().with(tracing_subscriber::fmt::layer().json().with_target(false).without_time()).with(level).init();

    let settings =
        Settings::read(|name| std::env::var(name).ok()).inspect_err(|error| tracing::error!(%error, "the settings are wrong"))?;
    let aws = Aws::from_env().await;
    lambda_runtime::run(service_fn(async |event: LambdaEvent<Value>| {
        let end = end_of(event.context.deadline);
        Box::pin(s3_kms_replication::handle(&event.payload, end, &aws, &settings)).await.map_err(diagnostic)
    }))
    .await
}

/// Lambda's deadline, in milliseconds since the epoch, on the clock that timers use.
fn end_of(deadline: u64) -> Instant {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Instant::now() + Duration::from_millis(deadline).saturating_sub(now)
}

fn diagnostic(error: Error) -> Diagnostic {
    tracing::error!(%error, "the request failed");
    Diagnostic { error_type: error.kind().to_owned(), error_message: error.to_string() }
}
