//! The answer to a batch of buckets, short enough for Step Functions, which takes 256 KiB for a page of the walk.

use serde::Serialize;

use crate::reconcile::{BucketOutcome, Error, RuleOutcome, Status};

/// The most characters of a failure.
const MAX_FAILURE: usize = 300;

/// The answer to a batch: every bucket once, by what happened to it.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct BatchAnswer {
    /// Buckets of which something was changed.
    changed: u32,
    /// Buckets that were as the replication policy says.
    unchanged: u32,
    /// Buckets for which the replication policy has nothing.
    skipped: u32,
    /// Buckets that failed since the account has no room for their roles.
    roles_needed: u32,
    /// Buckets that failed, and will fail again.
    failures: Vec<BucketFailure>,
    /// Buckets to try again: first those that were not begun.
    not_done: Vec<BucketFailure>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct BucketFailure {
    bucket: String,
    error: String,
}

impl BatchAnswer {
    /// Adds a bucket with its result.
    pub fn add(&mut self, bucket: &str, result: &Result<BucketOutcome, Error>) {
        let outcome = match result {
            Ok(outcome) => outcome,
            Err(error) => return self.add_failures(bucket, &[error]),
        };
        let failures: Vec<&Error> = outcome.failures().collect();
        if !failures.is_empty() {
            return self.add_failures(bucket, &failures);
        }
        *match outcome {
            BucketOutcome::Skipped(_) => &mut self.skipped,
            BucketOutcome::Retired(plan) if plan.is_empty() => &mut self.unchanged,
            BucketOutcome::Retired(_) => &mut self.changed,
            BucketOutcome::Rules(rules) if rules.iter().any(is_changed) => &mut self.changed,
            BucketOutcome::Rules(_) => &mut self.unchanged,
        } += 1;
    }

    fn add_failures(&mut self, bucket: &str, failures: &[&Error]) {
        let texts: Vec<String> = failures.iter().map(ToString::to_string).collect();
        let error = texts.join("; ").chars().take(MAX_FAILURE).collect();
        let failure = BucketFailure { bucket: bucket.to_owned(), error };
        if failures.iter().any(|failure| failure.is_transient()) {
            self.not_done.push(failure);
        } else {
            // Counted here alone, since what is not done comes again.
            self.roles_needed += u32::from(failures.iter().any(|failure| failure.lacks_role()));
            self.failures.push(failure);
        }
    }

    /// How many buckets were changed.
    pub fn changed(&self) -> u32 {
        self.changed
    }

    /// How many buckets failed since the account has no room for their roles.
    pub fn roles_needed(&self) -> u32 {
        self.roles_needed
    }

    /// Adds a bucket for which too little time was left.
    pub fn add_not_begun(&mut self, bucket: &str) {
        let error = "too little time was left to begin".to_owned();
        self.not_done.insert(0, BucketFailure { bucket: bucket.to_owned(), error });
    }
}

fn is_changed(RuleOutcome { result, .. }: &RuleOutcome) -> bool {
    result.as_ref().is_ok_and(|outcome| match outcome.status {
        Status::Configured | Status::Removed | Status::Verified => true,
        Status::Planned | Status::Unchanged | Status::Pending => false,
    })
}
