//! One statement of a policy: how it is written, compared and shown.
//!
//! It must not know what a statement is for.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

/// One statement of a policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct Statement {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) sid: Option<String>,
    pub(super) effect: String,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) principal: BTreeMap<String, Values>,
    pub(super) action: Values,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) resource: Option<Values>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) condition: Conditions,
}

/// The conditions of a statement: by operator, the values of each key.
pub(super) type Conditions = BTreeMap<String, BTreeMap<String, Values>>;

/// One or more values. A single value is written without brackets, as in AWS's examples.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "OneOrMany", into = "OneOrMany")]
pub(super) struct Values(pub(super) BTreeSet<String>);

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(BTreeSet<String>),
}

impl From<OneOrMany> for Values {
    fn from(values: OneOrMany) -> Self {
        match values {
            OneOrMany::One(value) => Self(BTreeSet::from([value])),
            OneOrMany::Many(values) => Self(values),
        }
    }
}

impl From<Values> for OneOrMany {
    fn from(Values(values): Values) -> Self {
        match values.first() {
            Some(value) if values.len() == 1 => Self::One(value.clone()),
            _ => Self::Many(values),
        }
    }
}

impl<T: Into<String>, const N: usize> From<[T; N]> for Values {
    fn from(values: [T; N]) -> Self {
        values.into_iter().map(Into::into).collect()
    }
}

impl FromIterator<String> for Values {
    fn from_iter<I: IntoIterator<Item = String>>(values: I) -> Self {
        Self(values.into_iter().collect())
    }
}

impl Statement {
    /// The statement's `Sid`; empty if it has none.
    pub fn sid(&self) -> &str {
        self.sid.as_deref().unwrap_or_default()
    }

    pub(super) fn first_resource(&self) -> Option<&str> {
        self.resource.as_ref().and_then(|Values(arns)| arns.first()).map(String::as_str)
    }

    /// Whether two texts are equal statements of the form of ours.
    pub fn are_equal(one: &str, other: &str) -> bool {
        serde_json::from_str(one).is_ok_and(|one: Self| one.equals_text(other))
    }

    /// Whether `text` is an equal statement.
    pub fn equals_text(&self, text: &str) -> bool {
        serde_json::from_str(text).is_ok_and(|other: Self| other == *self)
    }

    /// The statement as pairs of path and values. Each path begins with `name`.
    pub(super) fn lines(&self, name: &str) -> Vec<(String, BTreeSet<String>)> {
        let mut lines = Vec::new();
        let mut line = |path: &str, Values(values): &Values| {
            lines.push((format!("{name}.{path}"), values.clone()));
        };
        line(&self.effect, &self.action);
        self.principal.iter().for_each(|(kind, values)| line(&format!("Principal.{kind}"), values));
        self.resource.iter().for_each(|values| line("Resource", values));
        for (operator, keys) in &self.condition {
            keys.iter().for_each(|(key, values)| line(&format!("{operator}.{key}"), values));
        }
        lines
    }

    /// A statement as pairs of path and values. A statement whose form differs from ours is one value.
    pub(crate) fn lines_of_text(text: &str) -> Vec<(String, BTreeSet<String>)> {
        let parsed: Result<Self, _> = serde_json::from_str(text);
        parsed.map_or_else(
            |_| vec![("Statement".to_owned(), BTreeSet::from([text.to_owned()]))],
            |statement| statement.lines(statement.sid()),
        )
    }
}

/// The statement as JSON without white space, which is the form that is sent.
impl fmt::Display for Statement {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&serde_json::to_string(self).map_err(|_| fmt::Error)?)
    }
}

/// A statement of an inline policy; with a principal, of a resource policy.
pub(super) fn allow(
    sid: &str,
    actions: impl IntoIterator<Item = &'static str>,
    resources: impl IntoIterator<Item = String>,
) -> Statement {
    Statement {
        sid: Some(sid.to_owned()),
        effect: "Allow".to_owned(),
        principal: BTreeMap::new(),
        action: actions.into_iter().map(str::to_owned).collect(),
        resource: Some(resources.into_iter().collect()),
        condition: BTreeMap::new(),
    }
}

pub(super) fn principal(kind: &str, names: Values) -> BTreeMap<String, Values> {
    BTreeMap::from([(kind.to_owned(), names)])
}

pub(super) fn condition<const N: usize>(operator: &str, keys: [(&str, Values); N]) -> Conditions {
    let keys = keys.into_iter().map(|(key, values)| (key.to_owned(), values)).collect();
    BTreeMap::from([(operator.to_owned(), keys)])
}
