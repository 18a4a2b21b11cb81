//! Names and values of a request, of which only the beginning may be known: a policy is held against every object of a bucket at once.

use std::fmt;

/// A name or a value of a request.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Text {
    /// The whole text.
    Exact(String),
    /// The beginning of a text. At least one more character follows, and none of what follows is known.
    Open(String),
}

impl Text {
    /// This text after another one.
    #[must_use]
    pub fn after(&self, start: &str) -> Self {
        match self {
            Self::Exact(text) => Self::Exact(format!("{start}{text}")),
            Self::Open(text) => Self::Open(format!("{start}{text}")),
        }
    }

    /// What is known of the text, from its beginning.
    pub fn known(&self) -> &str {
        match self {
            Self::Exact(text) | Self::Open(text) => text,
        }
    }

    /// The whole text, if it is known.
    pub fn exact(&self) -> Option<&str> {
        match self {
            Self::Exact(text) => Some(text),
            Self::Open(_) => None,
        }
    }

    pub(super) fn to_lowercase(&self) -> Self {
        match self {
            Self::Exact(text) => Self::Exact(text.to_lowercase()),
            Self::Open(text) => Self::Open(text.to_lowercase()),
        }
    }

    /// The parts between the first separators, at most `count`. The last part of an open text is open, and may have further separators.
    pub(super) fn split(&self, separator: char, count: usize) -> Vec<Self> {
        let parts: Vec<&str> = self.known().splitn(count, separator).collect();
        let last = parts.len() - 1;
        let part = |(index, part): (usize, &str)| match self {
            Self::Open(_) if index == last => Self::Open(part.to_owned()),
            Self::Open(_) | Self::Exact(_) => Self::from(part),
        };
        parts.into_iter().enumerate().map(part).collect()
    }
}

/// The text as a person reads it: `…` stands for what is not known.
impl fmt::Display for Text {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(text) => formatter.write_str(text),
            Self::Open(text) => write!(formatter, "{text}…"),
        }
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self::Exact(text.to_owned())
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self::Exact(text)
    }
}
