//! The check that a rule replicates, with a canary.
//!
//! It owns the canary's form and the verdict about it. It must not know how objects are read and how long to wait.
//! Follows <https://docs.aws.amazon.com/AmazonS3/latest/userguide/replication-status.html>.

mod canary;
mod causes;
mod destination;
mod failure;
mod inline_policy;
mod verdict;

pub use canary::{canary, former_key, has_same_canary, is_resumable, needs_kms, selects};
pub use causes::{Evidence, NO_CAUSE};
pub use destination::destination;
pub use failure::Failure;
pub use inline_policy::granted_key;
pub use verdict::{Verdict, judge};
