//! What is known of a request's condition keys.

use std::collections::BTreeMap;

use super::text::Text;

/// The condition keys of a request: known with their values, or known to be absent. **Every other key is unknown.** The names of keys are not
/// case-sensitive.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Context {
    keys: BTreeMap<String, Vec<Text>>,
}

/// What a request says of one key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Known<'a> {
    Values(&'a [Text]),
    Absent,
    Unknown,
}

impl Context {
    /// A context in which every key is unknown.
    pub fn new() -> Self {
        Self::default()
    }

    /// This context with a key that has one value.
    #[must_use]
    pub fn with(self, key: &str, value: impl Into<Text>) -> Self {
        self.with_values(key, [value])
    }

    /// This context with a key that has several values. Without values, the key is absent.
    #[must_use]
    pub fn with_values<T: Into<Text>>(
        mut self,
        key: &str,
        values: impl IntoIterator<Item = T>,
    ) -> Self {
        self.keys.insert(key.to_ascii_lowercase(), values.into_iter().map(T::into).collect());
        self
    }

    /// This context with a key that the request does not have.
    #[must_use]
    pub fn without(self, key: &str) -> Self {
        self.with_values::<Text>(key, [])
    }

    /// This context with the keys of `other`, which win.
    pub(super) fn overlaid(mut self, other: &Self) -> Self {
        self.keys.extend(other.keys.clone());
        self
    }

    /// The names of the keys that begin with `prefix` and have values, in lower case.
    pub(super) fn present_keys<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = &'a str> {
        let present = self.keys.iter().filter(|(_, values)| !values.is_empty());
        present.map(|(key, _)| key.as_str()).filter(move |key| key.starts_with(prefix))
    }

    pub(super) fn get(&self, key: &str) -> Known<'_> {
        match self.keys.get(&key.to_ascii_lowercase()) {
            None => Known::Unknown,
            Some(values) if values.is_empty() => Known::Absent,
            Some(values) => Known::Values(values),
        }
    }
}
