//! Answers to each kind of invocation, and the metrics of an invocation.
//!
//! It owns the JSON of answers and its limits. It must not decide what happened: outcomes and errors come from
//! [`crate::reconcile`].

mod batch;
mod bucket;
mod catch_up;
mod cloudformation;
pub mod metrics;
mod plan;
mod queue;
mod replay;
mod rule;
mod terraform;

pub use batch::BatchAnswer;
pub use bucket::{BucketAnswer, bucket_answer};
pub use catch_up::CatchUpAnswer;
pub use cloudformation::{Completion, cloudformation_answer};
pub use queue::batch_answer;
pub use replay::{ReplayAnswer, replay_text};
pub use rule::{RuleAnswer, closing, heading};
pub use terraform::ResourceAnswer;
