//! Tests of the whole pipeline: from a payload to what AWS holds afterwards, on a cloud that holds state; of the pure planner; and of the
//! requests that the AWS SDK sends.
//!
//! Builders, samples and the fake are in [`support`]. `invariant_N_…` shows invariant N of docs/architecture.md.

#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that panics has failed, as it should"
)]

mod alarms;
mod batches;
mod canaries;
mod catch_up;
mod cloudtrail;
mod commands;
mod concurrency;
mod convergence;
mod cross_account;
mod diagnose;
mod evaluator;
mod events;
mod foreign_destinations;
mod foreign_jobs;
mod foreign_policies;
mod generated;
mod growth;
mod invariants;
mod jobs;
mod legacy_names;
mod metrics;
mod new_buckets;
mod outages;
mod ownership;
mod partitions;
mod planner;
mod policy_parameter;
mod replay;
mod response_bucket;
mod retries;
mod role_scope;
mod rounds;
mod secrets;
mod support;
mod terraform;
mod unreachable_destination;
mod upgrade;
mod verify;
mod verify_on_apply;
mod wire;
