//! Retries with exponential back-off and jitter.
//!
//! It must not know what is retried.
//!
//! # Expected flow
//! [`retry`] runs an attempt. After a [`Failed::Retryable`], it pauses and runs the next attempt. It ends at success, at a
//! [`Failed::Final`], or when the [`RetryBudget`] is used up. The result is that of the last attempt.

use std::time::Duration;

use tokio::time::{Instant, sleep};

/// How long to wait until a change is visible. Terraform's AWS provider waits as long.
const VISIBILITY_TIMEOUT: Duration = Duration::from_secs(120);

/// The longest pause before jitter.
const MAX_PAUSE: Duration = Duration::from_secs(10);

/// The failure of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failed<E> {
    /// Another attempt may succeed.
    Retryable(E),
    /// No other attempt can succeed.
    Final(E),
}

/// Runs `attempt` until it succeeds, its failure is final, or `budget` is used up.
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

/// Limits the attempts and sets the pauses between them. Each pause is twice the previous one, times a random factor of 0.5 to
/// 1.5, so that waiting writers do not retry at the same time.
#[derive(Debug)]
pub struct RetryBudget {
    next_pause: Duration,
    max_pause: Duration,
    /// No pause begins after this time.
    gives_up_at: Option<Instant>,
    /// No attempt begins at or after this time.
    deadline: Option<Instant>,
    attempts_left: u32,
}

impl RetryBudget {
    /// A budget for waiting until AWS makes a write visible.
    pub fn for_visibility(first_pause: Duration) -> Self {
        Self {
            gives_up_at: Some(Instant::now() + VISIBILITY_TIMEOUT),
            ..Self::until_deadline(first_pause, MAX_PAUSE)
        }
    }

    /// A budget without a limit of its own; the caller stops at its deadline.
    pub fn until_deadline(first_pause: Duration, max_pause: Duration) -> Self {
        Self {
            next_pause: first_pause,
            max_pause,
            gives_up_at: None,
            deadline: None,
            attempts_left: u32::MAX,
        }
    }

    /// Limits the number of attempts.
    #[must_use]
    pub fn with_attempts(self, attempts: u32) -> Self {
        Self { attempts_left: attempts.saturating_sub(1), ..self }
    }

    /// Allows no attempt at or after `deadline`.
    #[must_use]
    pub fn ending(self, deadline: Instant) -> Self {
        Self { deadline: Some(deadline), ..self }
    }

    /// Pauses before the next attempt. Returns `false` without a pause when the budget is used up.
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

    async fn count_attempts(budget: RetryBudget) -> usize {
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
    async fn retry_ends_when_the_budget_is_used_up() {
        let budget = || RetryBudget::until_deadline(Duration::from_secs(1), Duration::from_secs(1));
        assert_eq!(count_attempts(budget().with_attempts(3)).await, 3);
        let ten_seconds = budget().ending(Instant::now() + Duration::from_secs(10));
        assert!((8..=22).contains(&count_attempts(ten_seconds).await));
    }

    #[tokio::test(start_paused = true)]
    async fn retry_ends_at_a_final_failure() {
        let budget = RetryBudget::for_visibility(Duration::from_secs(1));
        let failed: Result<(), u8> = retry(budget, async || Err(Failed::Final(7))).await;
        assert_eq!(failed, Err(7));
    }
}
