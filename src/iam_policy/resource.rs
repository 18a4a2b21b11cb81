//! The policy of a bucket or a key, in which our statements stand among foreign ones.
//!
//! It owns the change of our statements, by their `Sid`. It must not know what a statement allows, nor which resources need one.

mod grantee;
mod statements;

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::Statement;
use super::document::VERSION;
use grantee::Grant;
pub use statements::Statements;

/// The policy of a foreign bucket or key, which may contain our statements. Everything else keeps every byte.
#[derive(Debug, Clone)]
pub struct ResourcePolicy {
    /// The elements other than `Statement`, as they were written.
    other_elements: BTreeMap<String, Box<RawValue>>,
    statements: Vec<Box<RawValue>>,
}

#[derive(Deserialize)]
struct StatementId {
    #[serde(rename = "Sid")]
    sid: Option<String>,
}

impl ResourcePolicy {
    /// Reads a policy; `None` if the text is no policy. Without a text, the policy has no statements.
    pub fn parse(text: Option<&str>) -> Option<Self> {
        let empty = format!(r#"{{"Version":"{VERSION}","Statement":[]}}"#);
        let mut other_elements: BTreeMap<String, Box<RawValue>> =
            serde_json::from_str(text.unwrap_or(&empty)).ok()?;
        let statement = other_elements.remove("Statement")?;
        // A single statement may be written without brackets.
        let statements = if statement.get().starts_with('[') {
            serde_json::from_str(statement.get()).ok()?
        } else {
            vec![statement]
        };
        Some(Self { other_elements, statements })
    }

    /// The statement with this `Sid`, as it was written.
    pub fn statement(&self, sid: &str) -> Option<&str> {
        self.statements
            .iter()
            .find(|statement| has_sid(statement, sid))
            .map(|statement| statement.get())
    }

    /// This policy with `statement`, which replaces the statement with the same `Sid` or is added at the end.
    #[must_use]
    pub fn with(mut self, statement: &Statement) -> Self {
        let Ok(written) = serde_json::value::to_raw_value(statement) else {
            return self;
        };
        let sid = statement.sid.as_deref().unwrap_or_default();
        match self.statements.iter_mut().find(|other| has_sid(other, sid)) {
            Some(place) => *place = written,
            None => self.statements.push(written),
        }
        self
    }

    /// This policy without the statement that has this `Sid`.
    #[must_use]
    pub fn without(mut self, sid: &str) -> Self {
        self.statements.retain(|statement| !has_sid(statement, sid));
        self
    }

    /// Whether the policy has a statement under another `Sid`.
    pub fn has_other_than(&self, sid: &str) -> bool {
        self.statements.iter().any(|statement| !has_sid(statement, sid))
    }

    /// Whether a statement allows something to a whole account. In a key's policy, such a statement lets the account's own policies give rights on
    /// the key; without it, nobody may be able to change the key's policy again.
    pub fn allows_account_root(&self) -> bool {
        self.statements.iter().any(|statement| {
            serde_json::from_str(statement.get()).is_ok_and(|grant: Grant| grant.is_to_account())
        })
    }

    /// Whether the policy has no statement.
    pub fn is_empty(&self) -> bool {
        self.statements.is_empty()
    }
}

/// The policy as JSON, which is the form that is sent.
impl fmt::Display for ResourcePolicy {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("{")?;
        self.other_elements
            .iter()
            .try_for_each(|(name, value)| write!(formatter, "\"{name}\":{value},"))?;
        let statements: Vec<&str> =
            self.statements.iter().map(|statement| statement.get()).collect();
        write!(formatter, "\"Statement\":[{}]}}", statements.join(","))
    }
}

fn has_sid(statement: &RawValue, sid: &str) -> bool {
    serde_json::from_str(statement.get())
        .is_ok_and(|StatementId { sid: own }| own.as_deref() == Some(sid))
}

#[cfg(test)]
mod tests;
