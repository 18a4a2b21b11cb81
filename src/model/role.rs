//! IAM roles.

use std::collections::BTreeMap;
use std::fmt;

use super::{BucketName, RoleName};

/// What a role of ours is for: the value of its owner tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RoleOwner {
    /// One source bucket.
    Bucket(BucketName),
    /// The buckets of the replication policy of the stack with this id.
    Stack(String),
}

impl fmt::Display for RoleOwner {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bucket(bucket) => formatter.write_str(bucket.as_str()),
            Self::Stack(id) => formatter.write_str(id),
        }
    }
}

/// The account's roles, and how many it may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RoleQuota {
    /// The roles that exist.
    pub in_use: u32,
    /// The most roles that may exist.
    pub quota: u32,
}

impl RoleQuota {
    /// Whether nine tenths of the quota or more are in use.
    pub fn is_nearly_exhausted(&self) -> bool {
        self.in_use >= self.quota - self.quota / 10
    }
}

/// An IAM role with its policies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Role {
    /// The role's name.
    pub name: RoleName,
    /// The role's ARN, path included.
    pub arn: String,
    /// The trust policy, as JSON text.
    pub trust: String,
    /// ARN of the permissions boundary.
    pub boundary: Option<String>,
    /// The role's tags.
    pub tags: BTreeMap<String, String>,
    /// The inline policies by name, as JSON text.
    pub policies: BTreeMap<String, String>,
    /// ARNs of the attached managed policies.
    pub attached: Vec<String>,
}

/// An IAM role whose inline policies are known by name only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoleOutline {
    /// The role, without its inline policies.
    pub role: Role,
    /// The names of the inline policies.
    pub policies: Vec<String>,
}
