//! An IAM policy document: how it is written, read back, compared and shown.
//!
//! It must not know what a document grants.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::Statement;

pub(super) const VERSION: &str = "2012-10-17";

/// IAM's limit for the inline policies of one role, in characters without white space.
pub(crate) const INLINE_POLICY_LIMIT: usize = 10_240;

/// The size of an inline policy, as IAM counts it.
pub(crate) fn policy_size(text: &str) -> usize {
    text.chars().filter(|character| !character.is_whitespace()).count()
}

/// An IAM policy document. The order of actions and resources does not matter for equality.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct RolePolicyDocument {
    pub(super) version: String,
    pub(super) statement: Vec<Statement>,
}

impl RolePolicyDocument {
    pub(super) fn new(statement: Vec<Statement>) -> Self {
        Self { version: VERSION.to_owned(), statement }
    }

    /// Reads a document that IAM returned; `None` if its form differs from the form of our documents.
    pub fn parse(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    /// The statement with this `Sid`.
    pub fn statement(&self, sid: &str) -> Option<&Statement> {
        self.statement.iter().find(|statement| statement.sid.as_deref() == Some(sid))
    }

    /// Whether this document has every statement of `other`.
    pub fn covers(&self, other: &Self) -> bool {
        other.statement.iter().all(|statement| self.has(statement))
    }

    /// Whether this document has an equal statement, under any `Sid`.
    pub(super) fn has(&self, statement: &Statement) -> bool {
        self.statement
            .iter()
            .any(|own| Statement { sid: statement.sid.clone(), ..own.clone() } == *statement)
    }

    /// The document as pairs of path and values, for comparison and display.
    pub fn lines(&self) -> Vec<(String, BTreeSet<String>)> {
        let mut lines = Vec::new();
        for (index, statement) in self.statement.iter().enumerate() {
            let name = statement.sid.clone().unwrap_or_else(|| format!("Statement[{index}]"));
            lines.extend(statement.lines(&name));
        }
        lines
    }
}

/// The document as JSON without white space, which is the form that is sent.
impl fmt::Display for RolePolicyDocument {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&serde_json::to_string(self).map_err(|_| fmt::Error)?)
    }
}
