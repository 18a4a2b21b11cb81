//! The trust policies: which services of AWS may assume a replication role.
//!
//! It must not know what a role grants.

use std::collections::BTreeMap;

use super::statement::{Values, principal};
use super::{RolePolicyDocument, Statement};

/// The trust policy of the replication role: only S3 may assume it.
pub fn trust() -> RolePolicyDocument {
    trust_in(["s3.amazonaws.com"].into())
}

/// The trust policy of the replication role while it has a job: S3 and S3 Batch Operations may assume it.
pub fn trust_with_job() -> RolePolicyDocument {
    trust_in(["batchoperations.s3.amazonaws.com", "s3.amazonaws.com"].into())
}

/// Whether `text` is one of these trust policies, with either of which S3 can assume the role.
pub fn is_own_trust(text: &str) -> bool {
    let own = [trust(), trust_with_job()];
    RolePolicyDocument::parse(text).is_some_and(|document| own.contains(&document))
}

/// The trust policy has no `aws:SourceAccount` and no `aws:SourceArn`. S3 is not documented to send these keys when it replicates, and a service
/// that does not send them could not assume the role.
fn trust_in(services: Values) -> RolePolicyDocument {
    RolePolicyDocument::new(vec![trust_statement(services)])
}

/// The statement by which the trust policy of a foreign role lets S3 Batch Operations assume it.
pub fn job_trust_statement() -> Statement {
    trust_statement(["batchoperations.s3.amazonaws.com"].into())
}

fn trust_statement(services: Values) -> Statement {
    Statement {
        sid: None,
        effect: "Allow".to_owned(),
        principal: principal("Service", services),
        action: Values::from(["sts:AssumeRole"]),
        resource: None,
        condition: BTreeMap::new(),
    }
}
