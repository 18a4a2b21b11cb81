//! The grants of the role that serves all buckets of a replication policy (`RoleScope` Policy): one document for each rule of the policy.
//!
//! This module owns the form of these documents. It must not know how a policy is written.
//!
//! # What is wider than in the role of one bucket
//! - All buckets whose names match are granted, also those that do not exist yet or lack the rule's tags.
//! - With a pattern, all keys of a bucket are granted, whatever the rule's prefix is: IAM's `*` crosses `/`.
//! - Without given source keys, every key of the account can decrypt, through S3 and for the matching buckets only.
//! - Locks of objects can be read, and keys used, whether or not a bucket has Object Lock or KMS.
//! - With a pattern and a name that depends on it, replicas of one bucket can be written to the destination of another.

use std::collections::BTreeSet;

use super::grants::{
    BUCKET_ACTIONS, ENCRYPT_ACTIONS, destination_actions, read_actions, through_s3, write_actions,
    write_conditions,
};
use super::key_pattern::key_pattern;
use super::sid::{DECRYPT_SOURCE, ENCRYPT_REPLICAS, SOURCE_BUCKET, SOURCE_OBJECTS, WRITE_REPLICAS};
use super::statement::{Conditions, Values, allow, condition, principal};
use super::{RolePolicyDocument, Statement, Statements};
use crate::model::{Account, BucketName, BucketPattern, Partition, Region, RuleId};

/// What the grants of one rule of the policy depend on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SharedGrants {
    /// The rule.
    pub rule: RuleId,
    /// The partition of all buckets.
    pub partition: Partition,
    /// The account that owns the sources.
    pub account: Account,
    /// The Region of the sources.
    pub region: Region,
    /// The sources; none is covered by another.
    pub sources: Vec<BucketPattern>,
    /// Patterns of bucket names that are no sources, in which `*` stands for any characters and `?` for one.
    pub excluded: BTreeSet<String>,
    /// The destinations; none is covered by another.
    pub destinations: Vec<BucketPattern>,
    /// The destinations' Region.
    pub destination_region: Region,
    /// The account that owns the destinations.
    pub destination_account: Account,
    /// The rule's prefix.
    pub prefix: String,
    /// ARNs of the keys that encrypt source objects; empty for every key of the account.
    pub source_keys: BTreeSet<String>,
    /// ARN of the key that encrypts replicas.
    pub replica_key: String,
    /// Whether the destinations' owner becomes the owner of replicas.
    pub owner_override: bool,
}

impl SharedGrants {
    /// The rule's inline policy in the role.
    pub fn document(&self) -> RolePolicyDocument {
        let owner = [("aws:ResourceAccount", Values::from([self.account.as_str()]))];
        let of_account = condition("StringEqualsIfExists", owner);
        let keys = key_pattern(&self.prefix);
        let mut statements = vec![
            Statement {
                condition: of_account.clone(),
                ..allow(SOURCE_BUCKET, BUCKET_ACTIONS, self.arns(&self.sources))
            },
            Statement {
                condition: of_account,
                ..allow(SOURCE_OBJECTS, read_actions(true), self.objects(&self.sources))
            },
            Statement {
                condition: write_conditions(&self.replica_key, &self.destination_account),
                ..allow(
                    WRITE_REPLICAS,
                    write_actions(self.owner_override),
                    self.objects(&self.destinations),
                )
            },
            Statement {
                condition: self.contexts(&self.region, &self.sources, &keys),
                ..allow(DECRYPT_SOURCE, ["kms:Decrypt"], self.decrypting_keys())
            },
            Statement {
                condition: self.contexts(&self.destination_region, &self.destinations, &keys),
                ..allow(ENCRYPT_REPLICAS, ENCRYPT_ACTIONS, [self.replica_key.clone()])
            },
        ];
        if !self.excluded.is_empty() {
            let arn = |pattern| format!("arn:{}:s3:::{pattern}", self.partition);
            // No object actions: in a pattern of objects, `*` would also match keys of other buckets.
            statements.push(Statement {
                effect: "Deny".to_owned(),
                ..allow("ExcludedBuckets", BUCKET_ACTIONS, self.excluded.iter().map(arn))
            });
        }
        RolePolicyDocument::new(statements)
    }

    /// The statements that the role `role_arn` needs in the destination's account for `destination`: one for the rule, not for each source. Foreign
    /// policies may not support policy variables, so the role's inline policy confines the role to the prefix.
    pub fn statements(&self, sid: &str, role_arn: &str, destination: &BucketName) -> Statements {
        let bucket = destination.arn(self.partition);
        let role = principal("AWS", Values::from([role_arn]));
        let actions = destination_actions(self.owner_override);
        let resources = [bucket.clone(), format!("{bucket}/*")];
        Statements {
            bucket: Statement { principal: role.clone(), ..allow(sid, actions, resources) },
            key: Statement {
                principal: role,
                condition: self.contexts(&self.destination_region, &self.destinations, "*"),
                ..allow(sid, ENCRYPT_ACTIONS, ["*".to_owned()])
            },
        }
    }

    fn arns(&self, patterns: &[BucketPattern]) -> Vec<String> {
        patterns.iter().map(|pattern| pattern.arn(self.partition)).collect()
    }

    /// The patterns of the buckets' objects, with the rule's prefix where a bucket is named as a whole.
    fn objects(&self, patterns: &[BucketPattern]) -> Vec<String> {
        patterns.iter().map(|pattern| self.objects_of(pattern)).collect()
    }

    fn objects_of(&self, pattern: &BucketPattern) -> String {
        let keys = match pattern {
            BucketPattern::Name(_) => key_pattern(&self.prefix),
            BucketPattern::Beginning(_) => "*".to_owned(),
        };
        format!("{}/{keys}", pattern.arn(self.partition))
    }

    /// The keys that may decrypt source objects.
    fn decrypting_keys(&self) -> BTreeSet<String> {
        if self.source_keys.is_empty() {
            let Self { partition, region, account, .. } = self;
            return BTreeSet::from([format!("arn:{partition}:kms:{region}:{account}:key/*")]);
        }
        self.source_keys.clone()
    }

    /// A condition that allows the use of keys only through S3 in `region`, and only for these buckets. `keys` is the pattern of the objects' keys
    /// in a bucket that is named as a whole; the pattern of a beginning also matches the objects' ARNs.
    fn contexts(&self, region: &Region, patterns: &[BucketPattern], keys: &str) -> Conditions {
        let contexts = patterns.iter().flat_map(|pattern| {
            let arn = pattern.arn(self.partition);
            let objects = match pattern {
                BucketPattern::Name(_) => Some(format!("{arn}/{keys}")),
                BucketPattern::Beginning(_) => None,
            };
            [Some(arn), objects].into_iter().flatten()
        });
        through_s3(self.partition, region, contexts.collect())
    }
}

#[cfg(test)]
mod tests;
