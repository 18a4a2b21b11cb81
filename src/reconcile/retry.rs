//! Retries with growing, jittered pauses.
//!
//! # Expected flow
//! [`retry`] runs an attempt. A [`Failed::Final`] ends it; a [`Failed::Retryable`] pauses and runs the next attempt, until the
//! [`RetryBudget`] is used up. Then the last failure is the result.

use std::time::Duration;

use tokio::time::{Instant, sleep};

/// How long a change may take to be visible: as long as Terraform's AWS provider waits.
const VISIBILITY_TIMEOUT: Duration = Duration::from_secs(120);

/// The longest pause, on average.
const MAX_PAUSE: Duration = Duration::from_secs(10);

/// How a failed attempt ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failed<E> {
    /// Another attempt may succeed.
    Retryable(E),
    /// No other attempt can succeed.
    Final(E),
}

/// Runs `attempt` until it succeeds, fails for good, or `budget` is used up.
///
/// # Errors
/// The failure of the last attempt.
pub async fn retry<T, E>(
    mut budget: RetryBudget,
    mut attempt: impl AsyncFnMut() -> Result<T, Failed<E>>,
) -> Result<T, E> {
    loop {
        match attempt().await {
            Ok(done) => return Ok(done),
            Err(Failed::Final(failure)) => return Err(failure),
            Err(Failed::Retryable(failure)) => {
                if !budget.pause().await {
                    return Err(failure);
                }
            }
        }
    }
}

/// Pauses between attempts: each about twice as long as the one before, half to one and a half times that at random, so that
/// writers that wait for one another do not try together.
#[derive(Debug)]
pub struct RetryBudget {
    next_pause: Duration,
    max_pause: Duration,
    /// After this no further attempt is made.
    gives_up_at: Option<Instant>,
    /// Before this the last attempt begins.
    deadline: Option<Instant>,
    attempts_left: u32,
}

impl RetryBudget {
    /// A budget for what AWS makes visible some time after a write.
    pub fn for_visibility(first_pause: Duration) -> Self {
        Self {
            gives_up_at: Some(Instant::now() + VISIBILITY_TIMEOUT),
            ..Self::until_deadline(first_pause, MAX_PAUSE)
        }
    }

    /// A budget that only the caller's deadline ends.
    pub fn until_deadline(first_pause: Duration, max_pause: Duration) -> Self {
        Self {
            next_pause: first_pause,
            max_pause,
            gives_up_at: None,
            deadline: None,
            attempts_left: u32::MAX,
        }
    }

    /// This budget with at most so many attempts.
    #[must_use]
    pub fn with_attempts(self, attempts: u32) -> Self {
        Self { attempts_left: attempts.saturating_sub(1), ..self }
    }

    /// This budget with no attempt at or after `deadline`.
    #[must_use]
    pub fn ending(self, deadline: Instant) -> Self {
        Self { deadline: Some(deadline), ..self }
    }

    /// Pauses before the next attempt; `false`, at once, when the budget is used up.
    pub async fn pause(&mut self) -> bool {
        let pause = self.next_pause.mul_f64(0.5 + fastrand::f64());
        let now = Instant::now();
        let is_late = self.gives_up_at.is_some_and(|end| now >= end)
            || self.deadline.is_some_and(|deadline| now + pause >= deadline);
        if self.attempts_left == 0 || is_late {
            return false;
        }
        self.attempts_left -= 1;
        self.next_pause = (self.next_pause * 2).min(self.max_pause);
        sleep(pause).await;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn attempts_of(budget: RetryBudget) -> usize {
        let mut attempts = 0;
        let failed: Result<(), ()> = retry(budget, async || {
            attempts += 1;
            Err(Failed::Retryable(()))
        })
        .await;
        assert_eq!(failed, Err(()));
        attempts
    }

    #[tokio::test(start_paused = true)]
    async fn retry_stops_when_its_budget_is_used_up() {
        let budget = || RetryBudget::until_deadline(Duration::from_secs(1), Duration::from_secs(1));
        assert_eq!(attempts_of(budget().with_attempts(3)).await, 3);
        let ten_seconds = budget().ending(Instant::now() + Duration::from_secs(10));
        assert!((8..=22).contains(&attempts_of(ten_seconds).await));
    }

    #[tokio::test(start_paused = true)]
    async fn retry_stops_at_a_final_failure() {
        let budget = RetryBudget::for_visibility(Duration::from_secs(1));
        let failed: Result<(), u8> = retry(budget, async || Err(Failed::Final(7))).await;
        assert_eq!(failed, Err(7));
    }
}
