//! What an inline policy of a rule grants, read back from its document.
//!
//! It owns which statement says what, by the `Sid` that [`Grants`](super::Grants) gives it. It must not know how the document is built.

use std::collections::BTreeSet;

use super::sid::{DECRYPT_SOURCE, EARLIER, ENCRYPT_REPLICAS, SOURCE_BUCKET, WRITE_REPLICAS};
use super::statement::Values;
use super::{RolePolicyDocument, Statement};
use crate::model::BucketName;

/// A destination to which a document allows replicas to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrantedDestination {
    /// The bucket.
    pub bucket: BucketName,
    /// ARN of the key that encrypts the replicas; `None` if there is no such key, or if another statement of the document grants it.
    pub key: Option<String>,
}

impl RolePolicyDocument {
    /// The ARNs of the keys with which this document allows source objects to be decrypted.
    pub fn source_keys(&self) -> BTreeSet<String> {
        self.statement
            .iter()
            .filter(|statement| statement.sid.as_deref() == Some(DECRYPT_SOURCE))
            .filter_map(|statement| statement.resource.clone())
            .flat_map(|Values(keys)| keys)
            .collect()
    }

    /// The bucket whose objects this document allows to be replicated; `None` if it is not the document of one of our rules.
    pub fn source_bucket(&self) -> Option<BucketName> {
        let statement = self.statement(SOURCE_BUCKET)?;
        BucketName::parse_name_or_arn(statement.first_resource()?).ok()
    }

    /// The destinations to which this document allows replicas to be written. While a rule changes, the document also has the destination of
    /// the rule's earlier form.
    pub fn destinations(&self) -> Vec<GrantedDestination> {
        self.statement.iter().filter_map(|statement| self.destination(statement)).collect()
    }

    /// The destination of a statement that allows replicas to be written; `None` for other statements.
    fn destination(&self, writes: &Statement) -> Option<GrantedDestination> {
        let prefix = writes.sid.as_deref()?.strip_suffix(WRITE_REPLICAS)?;
        if !prefix.trim_start_matches(EARLIER).is_empty() {
            return None;
        }
        let objects = writes.first_resource()?;
        let bucket = objects.split_once('/').map_or(objects, |(bucket, _)| bucket);
        let bucket = BucketName::parse_name_or_arn(bucket).ok()?;
        let encrypts = self.statement(&format!("{prefix}{ENCRYPT_REPLICAS}"));
        let key = encrypts.and_then(Statement::first_resource).map(str::to_owned);
        Some(GrantedDestination { bucket, key })
    }
}
