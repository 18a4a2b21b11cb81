//! Why bytes are not a replication configuration.

use crate::model::xml::XmlError;

/// Why bytes are not a replication configuration. Rules are counted from 1.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "each variant's message says what its fields are")]
pub enum ParseError {
    #[error(transparent)]
    Xml(#[from] XmlError),

    #[error("there is text between the elements of `ReplicationConfiguration`")]
    Text,

    #[error("there is no `Role`")]
    NoRole,

    #[error("there is more than one `Role`")]
    Roles,

    #[error("`Role` has child elements")]
    RoleNotText,

    #[error("there is no `Rule`")]
    NoRule,

    #[error("more than one rule has the id `{id}`")]
    RuleIds { id: String },

    #[error("rule {rule} has more than one `{element}`")]
    Repeated { rule: usize, element: &'static str },

    #[error("`{element}` of rule {rule} has child elements")]
    NotText { rule: usize, element: &'static str },

    #[error("`Priority` of rule {rule} is `{value}`, which is not a number")]
    Priority { rule: usize, value: String },
}
