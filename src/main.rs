//! The Lambda function: settings, clients, tracing, run.

use std::io::Write;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use lambda_runtime::{Diagnostic, LambdaEvent, service_fn};
use s3_kms_replication::aws::Aws;
use s3_kms_replication::config::Settings;
use s3_kms_replication::error::Error;
use s3_kms_replication::handler::{Handled, handle};
use serde_json::Value;
use tokio::time::Instant;
use tracing::Level;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let filter = log_filter(&std::env::var("RUST_LOG").unwrap_or_default())?;
    tracing_subscriber::registry()
        .with(
            tracing_subscriber::fmt::layer()
                .json()
                .with_span_list(false)
                .with_target(false)
                .without_time(),
        )
        .with(filter)
        .init();

    let settings = Settings::read(|name| std::env::var(name).ok())
        .inspect_err(|error| tracing::error!(%error, "the settings are wrong"))?;
    let aws = Aws::from_env(&settings).await;
    lambda_runtime::run(service_fn(async |event: LambdaEvent<Value>| {
        let started = Instant::now();
        let Handled { answer, counters } =
            Box::pin(handle(&event.payload, end_of(event.context.deadline), &aws, &settings)).await;
        let metrics = counters.line(
            &event.context.env_config.function_name,
            started.elapsed(),
            SystemTime::now(),
        );
        // On a line of its own, as CloudWatch wants it: not through the log, which would put it inside a line. Nobody reads a closed pipe.
        let _ = writeln!(std::io::stdout(), "{metrics}");
        answer.map_err(diagnostic)
    }))
    .await
}

/// What `RUST_LOG` asks for of our own code, and no more than `info` of everybody else's: below that, HTTP clients and the AWS SDK log
/// URLs, signatures and session tokens.
fn log_filter(asked: &str) -> Result<Targets, String> {
    let asked: Targets = match asked {
        "" => Targets::new().with_default(LevelFilter::INFO),
        asked => asked.parse().map_err(|error| format!("`RUST_LOG` is `{asked}`: {error}"))?,
    };
    let ours = "s3_kms_replication";
    let levels = [Level::TRACE, Level::DEBUG, Level::INFO, Level::WARN, Level::ERROR];
    let most = levels
        .into_iter()
        .find(|level| asked.would_enable(ours, level))
        .map_or(LevelFilter::OFF, LevelFilter::from);
    // The runtime logs every error that a handler returns as well, in Rust's own notation.
    let twice = "lambda_runtime::layers::panic";
    Ok(Targets::new()
        .with_target(ours, most)
        .with_target(twice, LevelFilter::OFF)
        .with_default(most.min(LevelFilter::INFO)))
}

/// Lambda's deadline, in milliseconds since the epoch, on the clock that timers use.
///
/// `cargo lambda watch` gives the milliseconds that are left: nothing ends within the epoch's first year.
fn end_of(deadline: u64) -> Instant {
    let deadline = Duration::from_millis(deadline);
    let year = Duration::from_secs(365 * 24 * 60 * 60);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Instant::now() + if deadline < year { deadline } else { deadline.saturating_sub(now) }
}

fn diagnostic(error: Error) -> Diagnostic {
    tracing::error!(%error, "the request failed");
    Diagnostic { error_type: error.kind().to_owned(), error_message: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_code_logs_more_than_info() {
        for (asked, ours, others) in [
            ("", Level::INFO, Level::INFO),
            ("trace", Level::TRACE, Level::INFO),
            ("hyper=trace,warn", Level::WARN, Level::WARN),
        ] {
            let filter = log_filter(asked).unwrap();
            for level in [Level::TRACE, Level::DEBUG, Level::INFO, Level::WARN, Level::ERROR] {
                assert_eq!(
                    filter.would_enable("s3_kms_replication::plan", &level),
                    level <= ours,
                    "{asked}: {level}"
                );
                assert_eq!(
                    filter.would_enable("hyper", &level),
                    level <= others,
                    "{asked}: {level}"
                );
            }
        }
        assert!(log_filter("a=b=c").is_err());
    }

    #[test]
    fn a_deadline_is_a_time_or_for_cargo_lambda_what_is_left() {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        for deadline in [Duration::from_secs(300), now + Duration::from_secs(300)] {
            let left = end_of(u64::try_from(deadline.as_millis()).unwrap()) - Instant::now();
            assert!((299..=300).contains(&left.as_secs()), "{left:?}");
        }
        assert!(
            end_of(u64::try_from((now - Duration::from_secs(1)).as_millis()).unwrap())
                <= Instant::now()
        );
    }
}
