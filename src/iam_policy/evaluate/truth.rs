//! Kleene's logic of three values, in which the third says what is unknown.

use super::decision::{Cause, Undecided};
use super::document::StatementRef;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Truth {
    No,
    Yes,
    Unknown(Undecided),
}

impl Truth {
    pub fn unknown(cause: Cause) -> Self {
        Self::Unknown(Undecided { causes: [cause].into(), ..Undecided::default() })
    }

    pub fn unknown_key(key: &str) -> Self {
        Self::unknown(Cause::ConditionKey(key.to_owned()))
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

    /// The value that holds in one of two cases, if `cause` decides which one.
    pub fn either(cause: Cause, one: Self, other: Self) -> Self {
        if one == other { one } else { Self::unknown(cause).with(one).with(other) }
    }

    /// This value, and what else is unknown.
    fn with(self, other: Self) -> Self {
        match (self, other) {
            (Self::Unknown(one), Self::Unknown(other)) => Self::Unknown(one.merged(other)),
            (value, _) => value,
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

impl Undecided {
    fn merged(mut self, other: Self) -> Self {
        self.causes.extend(other.causes);
        self.statements.extend(other.statements);
        self
    }
}
