//! The Lambda function: reads the settings, starts tracing, creates the clients and runs the handler.
//!
//! It must not decide anything about a request.

use std::io::Write;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use lambda_runtime::{Diagnostic, LambdaEvent, service_fn};
use s3_kms_replication::aws::Aws;
use s3_kms_replication::config::{Policy, PolicySource, Settings};
use s3_kms_replication::error::Error;
use s3_kms_replication::handler::{Handled, handle};
use s3_kms_replication::ports::Read;
use serde_json::value::RawValue;
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

    tracing::info!(version = env!("CARGO_PKG_VERSION"), "the function starts");
    let settings = Settings::read(|name| std::env::var(name).ok())
        .inspect_err(|error| tracing::error!(%error, "the settings are invalid"))?;
    let aws = Aws::from_env(&settings).await;
    if let Some(source) = &settings.policy {
        log_policy_warnings(source, &aws, &settings).await;
    }
    // The runtime hands over only what it can deserialise, so the payload is read by the handler, which answers CloudFormation's
    // requests also when they cannot be read.
    lambda_runtime::run(service_fn(async |event: LambdaEvent<Box<RawValue>>| {
        let started = Instant::now();
        let Handled { answer, counters } = Box::pin(handle(
            event.payload.get(),
            deadline_instant(event.context.deadline),
            &aws,
            &settings,
        ))
        .await;
        let metrics = counters.line(
            &event.context.env_config.function_name,
            started.elapsed(),
            SystemTime::now(),
        );
        // CloudWatch needs the metrics as a line of their own, and tracing would wrap them in another JSON object. A closed pipe
        // is no error.
        let _ = writeln!(std::io::stdout(), "{metrics}");
        answer.map_err(diagnostic)
    }))
    .await
}

/// Logs what is doubtful in the replication policy. A policy that cannot be read is an error of each request that needs it.
async fn log_policy_warnings(source: &PolicySource, aws: &Aws, settings: &Settings) {
    let warnings = match source {
        PolicySource::Inline(policy) => settings.policy_warnings(policy),
        PolicySource::Parameter(name) => {
            let text = aws.parameter(name).await.unwrap_or_default();
            let policy = Policy::parse(&text);
            if let Some(invalid) =
                policy.iter().find_map(|policy| settings.check_policy(policy).err())
            {
                tracing::error!(%invalid, "the replication policy does not fit `RoleScope`");
            }
            policy.map(|policy| settings.policy_warnings(&policy)).unwrap_or_default()
        }
    };
    for warning in warnings {
        tracing::warn!(warning, "the replication policy");
    }
}

/// Applies `RUST_LOG` to this crate, and limits all other crates to `info`. Below `info`, HTTP clients and the AWS SDK log URLs,
/// signatures and session tokens.
fn log_filter(rust_log: &str) -> Result<Targets, String> {
    let requested: Targets = match rust_log {
        "" => Targets::new().with_default(LevelFilter::INFO),
        text => text.parse().map_err(|error| format!("`RUST_LOG` is `{text}`: {error}"))?,
    };
    let this_crate = "s3_kms_replication";
    let levels = [Level::TRACE, Level::DEBUG, Level::INFO, Level::WARN, Level::ERROR];
    let level = levels
        .into_iter()
        .find(|level| requested.would_enable(this_crate, level))
        .map_or(LevelFilter::OFF, LevelFilter::from);
    // The runtime logs each error that the handler returns a second time, in Rust's debug format.
    let duplicate_errors = "lambda_runtime::layers::panic";
    Ok(Targets::new()
        .with_target(this_crate, level)
        .with_target(duplicate_errors, LevelFilter::OFF)
        .with_default(level.min(LevelFilter::INFO)))
}

/// Converts Lambda's deadline, in milliseconds since the epoch, to the monotonic clock.
///
/// `cargo lambda watch` passes the remaining milliseconds instead. A value within the first year of the epoch is such a duration.
fn deadline_instant(deadline: u64) -> Instant {
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
    fn log_filter_limits_other_crates_to_info() {
        for (rust_log, this_crate, others) in [
            ("", Level::INFO, Level::INFO),
            ("trace", Level::TRACE, Level::INFO),
            ("hyper=trace,warn", Level::WARN, Level::WARN),
        ] {
            let filter = log_filter(rust_log).unwrap();
            for level in [Level::TRACE, Level::DEBUG, Level::INFO, Level::WARN, Level::ERROR] {
                assert_eq!(
                    filter.would_enable("s3_kms_replication::plan", &level),
                    level <= this_crate,
                    "{rust_log}: {level}"
                );
                assert_eq!(
                    filter.would_enable("hyper", &level),
                    level <= others,
                    "{rust_log}: {level}"
                );
            }
        }
        assert!(log_filter("a=b=c").is_err());
    }

    #[test]
    fn deadline_is_read_as_a_time_or_as_remaining_milliseconds() {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        for deadline in [Duration::from_secs(300), now + Duration::from_secs(300)] {
            let left =
                deadline_instant(u64::try_from(deadline.as_millis()).unwrap()) - Instant::now();
            assert!((299..=300).contains(&left.as_secs()), "{left:?}");
        }
        assert!(
            deadline_instant(u64::try_from((now - Duration::from_secs(1)).as_millis()).unwrap())
                <= Instant::now()
        );
    }
}
