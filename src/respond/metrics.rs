//! Metrics of one invocation, in CloudWatch's embedded metric format.
//!
//! The format is one line of JSON in the log, from which CloudWatch Logs makes metrics without a call:
//! <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>.
//! [`crate::handler`] counts, and the binary writes the line. It must not do any I/O.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::diagnose::{Diagnosis, Verdict};
use crate::error::Error;
use crate::reconcile::{
    self, BucketOutcome, CatchUpResult, CaughtUp, Outcome, Replay, ReplayStatus, Status,
};
use crate::request::Invocation;

const NAMESPACE: &str = "S3KmsReplication";

/// The number of jobs that a Replay or a catch-up has started.
const JOBS_STARTED: &str = "JobsStarted";

/// What invoked the function: the dimension `AskedBy`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AskedBy {
    /// A request for a custom resource.
    CloudFormation,
    /// A command of a person, of Step Functions or of another program.
    #[default]
    Command,
    /// An event that did not come through the queue.
    EventBridge,
    /// A batch of events from the queue.
    Sqs,
    /// A request of Terraform or Pulumi about a resource.
    Terraform,
}

impl From<&Invocation> for AskedBy {
    fn from(invocation: &Invocation) -> Self {
        match invocation {
            Invocation::CloudFormation(_) => Self::CloudFormation,
            Invocation::Event(_) => Self::EventBridge,
            Invocation::Queue(_) => Self::Sqs,
            Invocation::Terraform(_) => Self::Terraform,
            Invocation::Command(_) => Self::Command,
        }
    }
}

/// The number of rules by what happened to them, and of versions that catch-ups found unreplicated.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Counters {
    /// What invoked the function.
    pub asked_by: AskedBy,
    counts: BTreeMap<&'static str, u32>,
}

impl Counters {
    /// Counts a rule that succeeded.
    pub fn count_rule(&mut self, outcome: &Outcome) {
        self.count(match outcome.status {
            Status::Planned => "Planned",
            Status::Configured => "Configured",
            Status::Unchanged => "Unchanged",
            Status::Removed => "Removed",
            Status::Verified => "Verified",
            Status::Pending => "Pending",
        });
    }

    /// Counts a request or a rule that failed.
    pub fn count_failure(&mut self, error: &Error) {
        self.count(match error {
            pending if pending.is_verify_pending() => "Pending",
            refusal if refusal.is_refusal() => "Refused",
            _ => "Failed",
        });
    }

    /// Counts the rules of a bucket that was reconciled.
    pub fn count_bucket(&mut self, result: &Result<BucketOutcome, reconcile::Error>) {
        match result {
            Ok(BucketOutcome::Skipped(_)) => self.count_skipped(),
            Ok(BucketOutcome::Retired(plan)) => {
                self.count(if plan.is_empty() { "Unchanged" } else { "Removed" })
            }
            Ok(BucketOutcome::Rules(rules)) => {
                for rule in rules {
                    match &rule.result {
                        Ok(outcome) => self.count_rule(outcome),
                        Err(error) => self.count_failure(&error.clone().into()),
                    }
                }
            }
            Err(error) => self.count_failure(&error.clone().into()),
        }
    }

    /// Counts a catch-up by what it found.
    pub fn count_catch_up(&mut self, caught_up: &CaughtUp) {
        match caught_up.result {
            CatchUpResult::Ended(_) => self.count_skipped(),
            CatchUpResult::NothingMissed { unexamined: 0 } => self.count("CaughtUp"),
            CatchUpResult::NothingMissed { .. } => self.count("Unexamined"),
            CatchUpResult::ComesAgain => self.count("Pending"),
            CatchUpResult::Job { .. } => self.count(JOBS_STARTED),
            CatchUpResult::Unreplicated { count, .. } => {
                let count = u32::try_from(count).unwrap_or(u32::MAX);
                *self.counts.entry("Unreplicated").or_default() += count;
            }
        }
    }

    /// Counts a rule whose objects are replicated once more.
    pub fn count_replay(&mut self, replay: &Replay) {
        self.count(match replay {
            Replay::Own(replayed) => match replayed.status {
                ReplayStatus::Started => JOBS_STARTED,
                ReplayStatus::Running => "Unchanged",
                ReplayStatus::Planned => "Planned",
            },
            Replay::Foreign(_) => "Planned",
        });
    }

    /// Counts the rules of a diagnosis by their verdicts, or a bucket whose rules could not be read.
    pub fn count_diagnosis(&mut self, diagnosis: &Diagnosis) {
        let rules = diagnosis.rules.iter().map(|rule| rule.verdict);
        let unread = diagnosis.verdict.filter(|_| diagnosis.rules.is_empty());
        for verdict in rules.chain(unread) {
            self.count(match verdict {
                Verdict::Works => "DiagnosedWorks",
                Verdict::Fails => "DiagnosedFails",
                Verdict::Unknown => "DiagnosedUnknown",
            });
        }
    }

    /// Counts a request or a bucket without anything to do.
    pub fn count_skipped(&mut self) {
        self.count("Skipped");
    }

    fn count(&mut self, name: &'static str) {
        *self.counts.entry(name).or_default() += 1;
    }

    /// Returns the line of JSON for an invocation of the function `name` that took `duration` and ends `now`. The function's version is a
    /// property of the line, and no dimension: each version would have metrics of its own, which no alarm follows.
    pub fn line(&self, name: &str, duration: Duration, now: SystemTime) -> String {
        let asked_by = match self.asked_by {
            AskedBy::CloudFormation => "CloudFormation",
            AskedBy::Command => "Command",
            AskedBy::EventBridge => "EventBridge",
            AskedBy::Sqs => "SQS",
            AskedBy::Terraform => "Terraform",
        };
        let counts = self.counts.keys().map(|name| json!({"Name": name, "Unit": "Count"}));
        let metrics: Vec<Value> =
            counts.chain([json!({"Name": "Duration", "Unit": "Milliseconds"})]).collect();
        let mut line = json!({
            "_aws": {
                "Timestamp": milliseconds(now.duration_since(UNIX_EPOCH).unwrap_or_default()),
                "CloudWatchMetrics": [{
                    "Namespace": NAMESPACE,
                    "Dimensions": [["FunctionName"], ["FunctionName", "AskedBy"]],
                    "Metrics": metrics,
                }],
            },
            "FunctionName": name,
            "AskedBy": asked_by,
            "Version": env!("CARGO_PKG_VERSION"),
            "Duration": milliseconds(duration),
        });
        if let Some(line) = line.as_object_mut() {
            line.extend(self.counts.iter().map(|(name, count)| ((*name).to_owned(), json!(count))));
        }
        line.to_string()
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
