//! What the process remembers between invocations, for a time that the caller limits.
//!
//! It must not know what the values mean.

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

#[derive(Debug)]
struct Remembered<T> {
    /// On a clock that runs on while Lambda freezes the process.
    since: SystemTime,
    value: T,
}

impl<T> Remembered<T> {
    fn new(value: T) -> Self {
        Self { since: SystemTime::now(), value }
    }

    /// The value, if it is younger than `max_age`.
    fn fresh(&self, max_age: Duration) -> Option<&T> {
        self.since.elapsed().is_ok_and(|age| age < max_age).then_some(&self.value)
    }
}

/// Texts by their subjects.
#[derive(Debug, Default)]
pub(super) struct ProcessMemory(Mutex<HashMap<String, Remembered<String>>>);

impl ProcessMemory {
    pub(super) fn get(&self, subject: &str, max_age: Duration) -> Option<String> {
        let remembered = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        remembered.get(subject)?.fresh(max_age).cloned()
    }

    pub(super) fn put(&self, subject: &str, text: String) {
        let mut remembered = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        remembered.insert(subject.to_owned(), Remembered::new(text));
    }
}

/// A value that a call returns, and that concurrent callers read with one call.
#[derive(Debug)]
pub(super) struct Cached<T>(tokio::sync::Mutex<Option<Remembered<T>>>);

impl<T> Default for Cached<T> {
    fn default() -> Self {
        Self(tokio::sync::Mutex::new(None))
    }
}

impl<T: Clone> Cached<T> {
    /// Returns the value that was read less than `max_age` ago, or else reads it. A failure is not remembered.
    pub(super) async fn get<E>(
        &self,
        max_age: Duration,
        read: impl AsyncFnOnce() -> Result<T, E>,
    ) -> Result<T, E> {
        // The lock is held during the read, so that concurrent callers make one call.
        let mut cached = self.0.lock().await;
        if let Some(value) = cached.as_ref().and_then(|cached| cached.fresh(max_age)) {
            return Ok(value.clone());
        }
        let value = read().await?;
        *cached = Some(Remembered::new(value.clone()));
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use tokio::join;

    use super::*;

    const LONG: Duration = Duration::from_secs(3_600);

    #[tokio::test]
    async fn cached_value_is_read_once_by_concurrent_callers_and_again_when_it_is_too_old() {
        let (cached, calls) = (Cached::default(), Cell::new(0));
        let read = async || {
            calls.set(calls.get() + 1);
            tokio::task::yield_now().await;
            Ok::<u32, ()>(calls.get())
        };
        assert_eq!(join!(cached.get(LONG, read), cached.get(LONG, read)), (Ok(1), Ok(1)));
        assert_eq!(cached.get(Duration::ZERO, read).await, Ok(2));
        assert_eq!(cached.get(LONG, read).await, Ok(2));
    }

    #[tokio::test]
    async fn failure_is_not_remembered() {
        let cached = Cached::default();
        assert_eq!(cached.get(LONG, async || Err::<u32, _>("denied")).await, Err("denied"));
        assert_eq!(cached.get(LONG, async || Ok::<_, &str>(1)).await, Ok(1));
    }

    #[test]
    fn text_is_remembered_until_it_is_too_old_and_while_the_clock_does_not_go_back() {
        let memory = ProcessMemory::default();
        memory.put("key", "arn".to_owned());
        assert_eq!(memory.get("key", LONG), Some("arn".to_owned()));
        assert_eq!(memory.get("key", Duration::ZERO), None);
        let later = SystemTime::now() + LONG;
        assert_eq!(Remembered { since: later, value: 1 }.fresh(LONG), None);
    }
}
