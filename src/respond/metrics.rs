//! What one invocation did, counted, as CloudWatch reads it from the log.
//!
//! Follows <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>: a line of JSON that
//! CloudWatch Logs turns into metrics, without a call. Pure; [`crate::handler`] counts and the binary writes the line.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::error::Error;
use crate::reconcile::{self, BucketOutcome, Outcome, Status};
use crate::request::Invocation;

const NAMESPACE: &str = "S3KmsReplication";

/// Who asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AskedBy {
    /// A custom resource.
    CloudFormation,
    /// A person, Action Functions or the CLI.
    #[default]
    Command,
    /// An event without a queue.
    EventBridge,
    /// A batch of events.
    Sqs,
}

impl From<&Invocation> for AskedBy {
    fn from(ask: &Invocation) -> Self {
        match ask {
            Invocation::CloudFormation(_) => Self::CloudFormation,
            Invocation::Event(_) => Self::EventBridge,
            Invocation::Queue(_) => Self::Sqs,
            Invocation::Command(_) => Self::Command,
        }
    }
}

/// Counts of rules, by what happened to them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Counters {
    /// Who asked.
    pub asked_by: AskedBy,
    counts: BTreeMap<&'static str, u32>,
}

impl Counters {
    /// Counts a rule that was carried out.
    pub fn rule(&mut self, outcome: &Outcome) {
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
    pub fn failed_rule(&mut self, error: &Error) {
        self.count(match error {
            pending if pending.is_verify_pending() => "Pending",
            refusal if refusal.is_refusal() => "Refused",
            _ => "Failed",
        });
    }

    /// Counts what reconciling one bucket came to.
    pub fn bucket(&mut self, result: &Result<BucketOutcome, reconcile::Error>) {
        match result {
            Ok(BucketOutcome::Skipped(_)) => self.skipped(),
            Ok(BucketOutcome::Retired(plan)) => {
                self.count(if plan.is_empty() { "Unchanged" } else { "Removed" })
            }
            Ok(BucketOutcome::Rules(rules)) => {
                for (_, result) in rules {
                    match result {
                        Ok(outcome) => self.rule(outcome),
                        Err(error) => self.failed_rule(&error.clone().into()),
                    }
                }
            }
            Err(error) => self.failed_rule(&error.clone().into()),
        }
    }

    /// Counts a request for nothing.
    pub fn skipped(&mut self) {
        self.count("Skipped");
    }

    fn count(&mut self, name: &'static str) {
        *self.counts.entry(name).or_default() += 1;
    }

    /// The line of JSON for CloudWatch, of an invocation of the function `name` that took `duration` and ends `now`.
    pub fn line(&self, name: &str, duration: Duration, now: SystemTime) -> String {
        let asked_by = match self.asked_by {
            AskedBy::CloudFormation => "CloudFormation",
            AskedBy::Command => "Command",
            AskedBy::EventBridge => "EventBridge",
            AskedBy::Sqs => "SQS",
        };
        let counted = self.counts.keys().map(|name| json!({"Name": name, "Unit": "Count"}));
        let metrics: Vec<Value> =
            counted.chain([json!({"Name": "Duration", "Unit": "Milliseconds"})]).collect();
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
