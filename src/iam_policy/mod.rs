//! Policy documents: the trust and the grants of the replication role.
//!
//! It owns the building, reading and comparing of documents. It must not know where documents are written, which [`crate::plan`]
//! decides. The statements follow <https://docs.aws.amazon.com/AmazonS3/latest/userguide/setting-repl-config-perm-overview.html> and
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/replication-config-for-kms-objects.html>, and grant nothing wider.

mod document;
mod earlier;
pub mod evaluate;
mod granted;
mod grants;
mod job;
mod key_pattern;
mod resource;
mod shared_role;
pub(crate) mod sid;
mod statement;
mod trust;

pub use document::RolePolicyDocument;
pub(crate) use document::{INLINE_POLICY_LIMIT, policy_size};
pub use granted::GrantedDestination;
pub use grants::{BucketInRegion, Grants};
pub use job::job_document;
pub use resource::{ResourcePolicy, Statements};
pub use shared_role::SharedGrants;
pub use statement::Statement;
pub use trust::{is_own_trust, job_trust_statement, trust, trust_with_job};

#[cfg(test)]
mod tests;
