//! What the process remembers between invocations, for a time that the caller limits.
//!
//! It must not know what the texts mean.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use super::Aws;
use crate::ports::Memory;

impl Memory for Aws {
    fn remembered(&self, subject: &str, max_age: Duration) -> Option<String> {
        self.memory.get(subject, max_age)
    }

    fn remember(&self, subject: &str, text: String) {
        self.memory.put(subject, text);
    }
}

/// Texts by their subjects.
#[derive(Debug, Default)]
pub(super) struct ProcessMemory(Mutex<HashMap<String, Remembered>>);

#[derive(Debug)]
struct Remembered {
    /// On a clock that runs on while Lambda freezes the process.
    since: SystemTime,
    text: String,
}

impl ProcessMemory {
    pub(super) fn get(&self, subject: &str, max_age: Duration) -> Option<String> {
        let remembered = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Remembered { since, text } = remembered.get(subject)?;
        since.elapsed().is_ok_and(|age| age < max_age).then(|| text.clone())
    }

    pub(super) fn put(&self, subject: &str, text: String) {
        let mut remembered = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        remembered.insert(subject.to_owned(), Remembered { since: SystemTime::now(), text });
    }
}
