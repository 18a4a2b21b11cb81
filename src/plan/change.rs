//! What changes: whether something is added, changed or removed, and the values before and after.
//!
//! It owns the comparison of values, and how a change is written. It must not know which actions there are.

use std::collections::BTreeSet;
use std::fmt;

/// Whether something is added, changed or removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Nothing is there before.
    Add,
    /// Something is there before and after.
    Change,
    /// Nothing is there after.
    Remove,
}

impl Effect {
    /// The sign that stands before a line.
    pub fn sign(self) -> char {
        match self {
            Self::Add => '+',
            Self::Change => '~',
            Self::Remove => '-',
        }
    }

    /// The effect on something that may be there before and after.
    pub(super) fn between(is_before: bool, is_after: bool) -> Self {
        match (is_before, is_after) {
            (_, false) => Self::Remove,
            (false, true) => Self::Add,
            (true, true) => Self::Change,
        }
    }
}

/// One value that an action changes. Of a list in a policy document, only the members that are added or removed are in it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Change {
    /// The path of the value, such as `Rules[x].Priority`.
    pub path: String,
    /// The value before; `None` if there is none.
    #[serde(rename = "Was")]
    pub before: Option<String>,
    /// The value after; `None` if there is none.
    #[serde(rename = "Will")]
    pub after: Option<String>,
}

/// The sign, the path, and the values: `+ path: after`, `~ path: before => after`, `- path: before`.
impl fmt::Display for Change {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}", self.effect().sign(), self.text(&self.path))
    }
}

impl Change {
    /// Whether the value is added, changed or removed.
    pub fn effect(&self) -> Effect {
        Effect::between(self.before.is_some(), self.after.is_some())
    }

    /// The change of the value at `path`, without its sign.
    pub(super) fn text(&self, path: &str) -> String {
        let shown = |value: &str| if value.is_empty() { "\"\"" } else { value }.to_owned();
        let values: Vec<String> =
            self.before.iter().chain(&self.after).map(|value| shown(value)).collect();
        format!("{path}: {}", values.join(" => "))
    }
}

/// Paths, each with its values. Only a list in a policy document has several values.
pub(super) type Lines = Vec<(String, BTreeSet<String>)>;

/// A path with one value.
pub(super) fn line(path: &str, value: String) -> (String, BTreeSet<String>) {
    (path.to_owned(), BTreeSet::from([value]))
}

/// The values that differ: those after in their order, then those that are removed.
pub(super) fn changes(before: &Lines, after: &Lines) -> Vec<Change> {
    let find = |lines: &Lines, path: &str| {
        lines.iter().find(|(other, _)| other == path).map(|(_, values)| values.clone())
    };
    let removed = before.iter().filter(|(path, _)| find(after, path).is_none());
    let change = |(path, _): &(String, BTreeSet<String>)| {
        let (before, after) =
            (find(before, path).unwrap_or_default(), find(after, path).unwrap_or_default());
        let members = |values: &BTreeSet<String>, others: &BTreeSet<String>| {
            let only: Vec<&str> = values.difference(others).map(String::as_str).collect();
            (!only.is_empty()).then(|| only.join(", "))
        };
        let (before, after) = (members(&before, &after), members(&after, &before));
        (before.is_some() || after.is_some()).then(|| Change { path: path.clone(), before, after })
    };
    after.iter().chain(removed).filter_map(change).collect()
}
