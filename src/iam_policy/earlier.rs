//! Documents that also have the statements of their earlier form, while both are needed.
//!
//! It owns which statements of an earlier form stay, and what their `Sid` becomes. It must not know how long they stay.

use super::sid::EARLIER;
use super::{RolePolicyDocument, Statement};

impl RolePolicyDocument {
    /// This document with the statements of `earlier` that it does not have, for the time in which both documents are needed.
    pub fn with_earlier(&self, earlier: &Self) -> Self {
        if earlier.covers(self) {
            return earlier.clone();
        }
        let additional = earlier.statement.iter().filter(|statement| !self.has(statement));
        let renamed = additional.map(|statement| Statement {
            sid: statement.sid.as_ref().map(|sid| format!("{EARLIER}{sid}")),
            ..statement.clone()
        });
        Self {
            version: self.version.clone(),
            statement: self.statement.iter().cloned().chain(renamed).collect(),
        }
    }

    /// This document with the statements of `earlier` that allow the same actions for the same purpose to other resources, or under other
    /// conditions. Everything else in `earlier` is not of our making, or no longer wanted.
    pub fn with_earlier_grants(&self, earlier: &Self) -> Self {
        let is_earlier_form = |statement: &&Statement| {
            let is_same = |own: &Statement| {
                own.purpose() == statement.purpose() && own.action == statement.action
            };
            statement.effect == "Allow" && self.statement.iter().any(is_same)
        };
        let mut both = self.clone();
        for statement in earlier.statement.iter().filter(is_earlier_form) {
            if both.has(statement) {
                continue;
            }
            let mut sid = format!("{EARLIER}{}", statement.purpose());
            while both.statement(&sid).is_some() {
                sid.insert_str(0, EARLIER);
            }
            both.statement.push(Statement { sid: Some(sid), ..statement.clone() });
        }
        both
    }

    /// Whether this document has statements that [an earlier form](Self::with_earlier_grants) left.
    pub fn has_earlier_grants(&self) -> bool {
        self.statement.iter().any(Statement::is_earlier)
    }

    /// This document without the statements that [an earlier form](Self::with_earlier_grants) left.
    pub fn without_earlier_grants(&self) -> Self {
        let own = self.statement.iter().filter(|statement| !statement.is_earlier());
        Self { version: self.version.clone(), statement: own.cloned().collect() }
    }
}

impl Statement {
    /// Reads our statement and changes its `Sid`, so that it can stay while its `Sid` gets a new statement; `None` if its form differs from the
    /// form of our statements.
    pub fn parse_as_earlier(text: &str) -> Option<Self> {
        let statement: Self = serde_json::from_str(text).ok()?;
        Some(Self { sid: Some(format!("{}{EARLIER}", statement.sid())), ..statement })
    }

    fn is_earlier(&self) -> bool {
        self.sid().starts_with(EARLIER)
    }

    /// The `Sid` that the statement has in the document that it comes from.
    fn purpose(&self) -> &str {
        self.sid().trim_start_matches(EARLIER)
    }
}
