//! What is going on, on standard error: a spinner or a bar on a terminal, and the engine's log in words.

use std::fmt::{Debug, Write};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

use crate::screen;

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
    /// Lets the engine's log be heard: its warnings, and where `actions` are wanted, each change that was made.
    pub fn listen(&self, actions: bool) {
        let narrator = Narrator { bar: self.bar.clone(), actions };
        let ours = Targets::new().with_target("s3_kms_replication", Level::DEBUG);
        tracing_subscriber::registry().with(narrator.with_filter(ours)).init();
    }

    /// Shows a spinner and what is being done, while that is being done.
    pub async fn during<T>(&self, what: &str, work: impl Future<Output = T>) -> T {
        self.show("{spinner} {wide_msg}", None, what);
        let done = work.await;
        self.clear();
        done
    }

    /// Shows a bar of `length`.
    pub fn bar(&self, length: usize, what: &str) {
        self.show("{bar:30} {pos}/{len} {wide_msg}", Some(length as u64), what);
    }

    pub fn advance(&self) {
        self.bar.inc(1);
    }

    pub fn clear(&self) {
        self.bar.finish_and_clear();
    }

    fn show(&self, template: &str, length: Option<u64>, what: &str) {
        self.bar.reset();
        if let Ok(style) = ProgressStyle::with_template(template) {
            self.bar.set_style(style);
        }
        self.bar.set_length(length.unwrap_or_default());
        self.bar.set_message(what.to_owned());
        self.bar.enable_steady_tick(Duration::from_millis(100));
    }
}

/// Turns the engine's log into words for a person.
struct Narrator {
    bar: ProgressBar,
    actions: bool,
}

impl<S: Subscriber> Layer<S> for Narrator {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut said = Said::default();
        event.record(&mut said);
        let Said { message, action, resource, others } = said;
        // An event with an action is one that has been carried out.
        let line = if !action.is_empty() {
            if !self.actions {
                return;
            }
            format!("{} {action} on {resource}", screen::green("done:"))
        } else if *event.metadata().level() <= Level::WARN {
            format!("{} {message}{others}", screen::yellow("warning:"))
        } else {
            return self.bar.set_message(format!("{message}{others}"));
        };
        self.bar.suspend(|| screen::say(&line));
    }
}

/// An event of the log.
#[derive(Default)]
struct Said {
    message: String,
    action: String,
    resource: String,
    others: String,
}

impl Visit for Said {
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
