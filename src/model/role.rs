//! IAM roles.

use std::collections::BTreeMap;

use super::RoleName;

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
