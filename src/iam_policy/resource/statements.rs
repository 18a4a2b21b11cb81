//! The statements that a rule needs in the policies of buckets and keys.
//!
//! It must not know which resources have the statements already. The statements follow
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/setting-repl-config-perm-overview.html>, "when the source and destination buckets
//! are owned by different accounts", and the page on KMS objects that [`iam_policy`](crate::iam_policy) names.

use super::grantee::root;
use crate::iam_policy::grants::{ENCRYPT_ACTIONS, destination_actions};
use crate::iam_policy::key_pattern::plain_key_pattern;
use crate::iam_policy::statement::{Values, allow, principal};
use crate::iam_policy::{Grants, Statement};
use crate::model::Account;

/// The statements of a rule in policies of the destination's account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statements {
    /// The statement in the policy of the destination bucket.
    pub bucket: Statement,
    /// The statement in the policy of the replica key.
    pub key: Statement,
}

impl Grants<'_> {
    /// The statements that the replication role `role_arn` needs in the destination's account. Where they cannot contain the whole prefix, the
    /// role's inline policy confines the role to the prefix, since both accounts must allow a call.
    pub fn statements(&self, sid: &str, role_arn: &str) -> Statements {
        let bucket = self.destination.bucket.arn(self.partition);
        let replicas = format!("{bucket}/{}", plain_key_pattern(self.prefix));
        let role = principal("AWS", Values::from([role_arn]));
        let actions = destination_actions(self.owner_override);
        Statements {
            bucket: Statement {
                principal: role.clone(),
                ..allow(sid, actions, [bucket.clone(), replicas.clone()])
            },
            key: Statement {
                principal: role,
                condition: self.through_s3(self.destination.region, bucket, replicas),
                ..allow(sid, ENCRYPT_ACTIONS, ["*".to_owned()])
            },
        }
    }

    /// The statement that the replication role `role_arn` needs in the policy of a source key that does not let the account's own policies decide.
    pub fn source_key_statement(&self, sid: &str, role_arn: &str) -> Statement {
        let bucket = self.source.bucket.arn(self.partition);
        let objects = format!("{bucket}/{}", plain_key_pattern(self.prefix));
        Statement {
            principal: principal("AWS", Values::from([role_arn])),
            condition: self.through_s3(self.source.region, bucket, objects),
            ..allow(sid, ["kms:Decrypt"], ["*".to_owned()])
        }
    }

    /// The statements that `account` needs to read whether the destination bucket and the replica key are ready.
    pub fn read_access(&self, sid: &str, account: &Account) -> Statements {
        let bucket = self.destination.bucket.arn(self.partition);
        let reader = principal("AWS", root(self.partition, account));
        let read =
            ["s3:GetBucketObjectLockConfiguration", "s3:GetBucketVersioning", "s3:ListBucket"];
        Statements {
            bucket: Statement { principal: reader.clone(), ..allow(sid, read, [bucket]) },
            key: Statement {
                principal: reader,
                ..allow(sid, ["kms:DescribeKey"], ["*".to_owned()])
            },
        }
    }
}
