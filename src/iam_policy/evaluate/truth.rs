//! Kleene's logic of three values, in which the third says what is unknown.

use std::collections::BTreeSet;

use super::decision::Layer;
use super::document::StatementRef;

/// What decides, and is not known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Unknown {
    pub keys: BTreeSet<String>,
    pub statements: BTreeSet<StatementRef>,
    pub layers: BTreeSet<Layer>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Truth {
    No,
    Yes,
    Unknown(Unknown),
}

impl Truth {
    pub fn unknown_key(key: &str) -> Self {
        Self::Unknown(Unknown { keys: BTreeSet::from([key.to_owned()]), ..Unknown::default() })
    }

    pub fn unread(layer: Layer) -> Self {
        Self::Unknown(Unknown { layers: BTreeSet::from([layer]), ..Unknown::default() })
    }

    /// This value, and if it is unknown, that `statement` is the one in question.
    pub fn of(self, statement: &StatementRef) -> Self {
        match self {
            Self::Unknown(mut unknown) => {
                unknown.statements.insert(statement.clone());
                Self::Unknown(unknown)
            }
            Self::No => Self::No,
            Self::Yes => Self::Yes,
        }
    }

    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::No, _) | (_, Self::No) => Self::No,
            (Self::Yes, value) | (value, Self::Yes) => value,
            (Self::Unknown(one), Self::Unknown(other)) => Self::Unknown(one.merged(other)),
        }
    }

    pub fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::Yes, _) | (_, Self::Yes) => Self::Yes,
            (Self::No, value) | (value, Self::No) => value,
            (Self::Unknown(one), Self::Unknown(other)) => Self::Unknown(one.merged(other)),
        }
    }

    pub fn all(values: impl IntoIterator<Item = Self>) -> Self {
        values.into_iter().fold(Self::Yes, Self::and)
    }

    pub fn any(values: impl IntoIterator<Item = Self>) -> Self {
        values.into_iter().fold(Self::No, Self::or)
    }
}

impl From<bool> for Truth {
    fn from(value: bool) -> Self {
        if value { Self::Yes } else { Self::No }
    }
}

impl std::ops::Not for Truth {
    type Output = Self;

    fn not(self) -> Self {
        match self {
            Self::No => Self::Yes,
            Self::Yes => Self::No,
            Self::Unknown(unknown) => Self::Unknown(unknown),
        }
    }
}

impl Unknown {
    fn merged(mut self, other: Self) -> Self {
        self.keys.extend(other.keys);
        self.statements.extend(other.statements);
        self.layers.extend(other.layers);
        self
    }
}
