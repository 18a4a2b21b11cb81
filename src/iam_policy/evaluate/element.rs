//! `Action` or `NotAction`, `Resource` or `NotResource`.

/// A list of values one of which, or none of which, must match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Element {
    Is(Vec<String>),
    IsNot(Vec<String>),
}

impl Element {
    pub fn values(&self) -> &[String] {
        match self {
            Self::Is(values) | Self::IsNot(values) => values,
        }
    }

    pub fn is_negated(&self) -> bool {
        matches!(self, Self::IsNot(_))
    }
}
