//! Progress on standard error: a spinner or a bar on a terminal, and the engine's log as plain lines.
//!
//! It must not know the commands.

use std::fmt::{Debug, Write};
use std::pin::pin;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use tokio::time::{Instant, interval_at};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

use crate::screen;

/// How often a line says without a terminal that work goes on.
const LINE_INTERVAL: Duration = Duration::from_secs(30);

/// The progress display.
#[derive(Debug, Clone)]
pub struct Progress {
    bar: ProgressBar,
}

impl Default for Progress {
    fn default() -> Self {
        let bar = ProgressBar::new_spinner();
        bar.finish_and_clear();
        Self { bar }
    }
}

impl Progress {
    /// Prints the engine's log: its warnings and, with `shows_actions`, each completed action.
    pub fn print_log(&self, shows_actions: bool) {
        let printer = LogPrinter { bar: self.bar.clone(), shows_actions };
        let this_crate = Targets::new().with_target("s3_kms_replication", Level::DEBUG);
        tracing_subscriber::registry().with(printer.with_filter(this_crate)).init();
    }

    /// Shows a spinner with `message` while `work` runs.
    pub async fn show_during<T>(&self, message: &str, work: impl Future<Output = T>) -> T {
        self.show("{spinner} {wide_msg}", None, message);
        let result = work.await;
        self.clear();
        result
    }

    /// Shows a spinner with `message` while `work` runs, which may take minutes. Without a terminal, prints lines instead.
    pub async fn show_during_wait<T>(&self, message: &str, work: impl Future<Output = T>) -> T {
        if !self.bar.is_hidden() {
            return self.show_during(message, work).await;
        }
        screen::print_to_stderr(message);
        let start = Instant::now();
        let mut lines = interval_at(start + LINE_INTERVAL, LINE_INTERVAL);
        let mut work = pin!(work);
        loop {
            tokio::select! {
                result = &mut work => return result,
                _ = lines.tick() => {
                    let seconds = start.elapsed().as_secs();
                    screen::print_to_stderr(&format!("{message}: {seconds} seconds so far"));
                }
            }
        }
    }

    /// Shows a bar of `length` steps with `message`.
    pub fn show_bar(&self, length: usize, message: &str) {
        self.show("{bar:30} {pos}/{len} {wide_msg}", Some(length as u64), message);
    }

    pub fn advance(&self) {
        self.bar.inc(1);
    }

    pub fn clear(&self) {
        self.bar.finish_and_clear();
    }

    fn show(&self, template: &str, length: Option<u64>, message: &str) {
        self.bar.reset();
        if let Ok(style) = ProgressStyle::with_template(template) {
            self.bar.set_style(style);
        }
        self.bar.set_length(length.unwrap_or_default());
        self.bar.set_message(message.to_owned());
        self.bar.enable_steady_tick(Duration::from_millis(100));
    }
}

/// Prints the engine's log for a person.
struct LogPrinter {
    bar: ProgressBar,
    shows_actions: bool,
}

impl<S: Subscriber> Layer<S> for LogPrinter {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut fields = EventFields::default();
        event.record(&mut fields);
        let EventFields { message, action, resource, others } = fields;
        // The engine logs the field `action` when the action is completed.
        let line = if !action.is_empty() {
            if !self.shows_actions {
                return;
            }
            format!("{} {action} on {resource}", screen::green("done:"))
        } else if *event.metadata().level() <= Level::WARN {
            format!("{} {message}{others}", screen::yellow("warning:"))
        } else {
            return self.bar.set_message(format!("{message}{others}"));
        };
        self.bar.suspend(|| screen::print_to_stderr(&line));
    }
}

/// The fields of a log event.
#[derive(Default)]
struct EventFields {
    message: String,
    action: String,
    resource: String,
    others: String,
}

impl Visit for EventFields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let part = match field.name() {
            "message" => &mut self.message,
            "action" => &mut self.action,
            "resource" => &mut self.resource,
            name => {
                let _ = write!(self.others, "; {name}: ");
                &mut self.others
            }
        };
        let _ = write!(part, "{value:?}");
    }
}
