//! What one invocation did, counted, as CloudWatch reads it from the log.
//!
//! Follows <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>: a line of JSON that
//! CloudWatch Logs turns into metrics, without a call. Pure; [`crate::handle`] counts and the binary writes the line.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::error::Error;
use crate::event::Ask;
use crate::reconcile::{Coverage, Outcome, Status};

const NAMESPACE: &str = "S3KmsReplication";

/// Who asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AskedBy {
    /// A custom resource.
    CloudFormation,
    /// A person, Step Functions or the CLI.
    #[default]
    Command,
    /// An event without a queue.
    EventBridge,
    /// A batch of events.
    Sqs,
}

impl From<&Ask> for AskedBy {
    fn from(ask: &Ask) -> Self {
        match ask {
            Ask::CloudFormation(_) => Self::CloudFormation,
            Ask::Event(_) => Self::EventBridge,
            Ask::Queue(_) => Self::Sqs,
            Ask::Command(_) => Self::Command,
        }
    }
}

/// Counts of rules, by what became of them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tally {
    /// Who asked.
    pub asked_by: AskedBy,
    counts: BTreeMap<&'static str, u32>,
}

impl Tally {
    /// Counts one rule.
    pub fn rule(&mut self, result: Result<&Outcome, &Error>) {
        self.count(match result {
            Ok(outcome) => match outcome.status {
                Status::Planned => "Planned",
                Status::Configured => "Configured",
                Status::Unchanged => "Unchanged",
                Status::Removed => "Removed",
                Status::Verified => "Verified",
                Status::Pending => "Pending",
            },
            Err(Error::VerifyPending { .. }) => "Pending",
            Err(error) if error.is_refusal() => "Refused",
            Err(_) => "Failed",
        });
    }

    /// Counts what the policy meant for one bucket.
    pub fn bucket(&mut self, followed: &Result<Coverage, Error>) {
        match followed {
            Ok(Coverage::Skipped(_)) => self.skipped(),
            Ok(Coverage::Retired(plan)) => self.count(if plan.is_empty() { "Unchanged" } else { "Removed" }),
            Ok(Coverage::Rules(rules)) => rules.iter().for_each(|(_, result)| self.rule(result.as_ref())),
            Err(error) => self.rule(Err(error)),
        }
    }

    /// Counts what asked for nothing.
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
        let metrics: Vec<Value> = counted.chain([json!({"Name": "Duration", "Unit": "Milliseconds"})]).collect();
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
