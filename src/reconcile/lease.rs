//! The lease on a bucket's replication configuration, or on the policies of other accounts. Only the holder writes them.
//!
//! AWS has no conditional write of either. So of two concurrent writers that each add something to what they read, one would lose
//! its addition.
//!
//! It must not know what the holder writes.
//!
//! # Expected flow
//! Acquire the lease, read the state again when the snapshot may be stale, write, read back, release the lease.
//!
//! # Guarantees
//! - The configuration and these policies are written only under the lease.
//! - Requests about custom resources, and requests that delete a rule, acquire the lease even when there is nothing to write. So
//!   no earlier request is still writing when they end.
//! - A lease expires [`WRITE_TIMEOUT`] after its holder's deadline, so a crashed holder blocks other writers no longer than that.
//!   A holder whose write was not answered leaves the lease to expire [`WRITE_TIMEOUT`] later.
//!
//! # Assumptions
//! - The clocks of two invocations differ by less than [`MARGIN`].
//! - A write that was not answered takes effect within [`WRITE_TIMEOUT`], or never.
//! - Once a write was visible to one reader, it is visible to all later readers.
//!
//! # Caveats
//! - Without `LOCK_TABLE` there are no leases, and concurrent writers can lose a rule.

use std::cell::Cell;
use std::hash::{BuildHasher, RandomState};
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_util::FutureExt;
use tokio::join;
use tokio::time::{Instant, timeout, timeout_at};

use super::retry::{Failed, RetryBudget, retry};
use super::{Engine, Error};
use crate::model::{Acquired, Lease, Retry};
use crate::ports::Cloud;

/// By how much the clocks of two invocations may differ.
const MARGIN: Duration = Duration::from_secs(5);

/// How long after its start a write that was not answered may still take effect.
const WRITE_TIMEOUT: Duration = Duration::from_secs(60);

/// The longest time for releasing a lease. It is also at most a quarter of the time kept for the answer.
const RELEASE_TIME: Duration = Duration::from_secs(2);

/// What the holder of a lease knows about it.
#[derive(Debug, Clone, Copy)]
pub(super) struct LeaseGuard {
    /// When the previous lease expires or expired, in seconds since the epoch; `None` when the table no longer has it.
    previous_expiry: Option<u64>,
}

impl LeaseGuard {
    /// Whether another holder may have written after `snapshot_time`, in seconds since the epoch.
    pub(super) fn may_be_stale(self, snapshot_time: u64) -> bool {
        self.previous_expiry
            .is_some_and(|expiry| expiry.saturating_add(MARGIN.as_secs()) >= snapshot_time)
    }
}

/// An acquisition of a lease, and what is done concurrently.
#[derive(Debug, Default)]
pub(super) struct Acquisition {
    /// Whether the lease is acquired, or will not be.
    has_ended: Cell<bool>,
    /// Whether what was done concurrently has failed, so that the lease is no longer needed.
    is_useless: Cell<bool>,
}

impl Acquisition {
    /// Whether the lease is not acquired yet.
    pub(super) fn is_under_way(&self) -> bool {
        !self.has_ended.get()
    }
}

/// Why a lease was not acquired.
struct NotAcquired {
    error: Error,
    /// Whether the lease may have been acquired all the same, since only AWS's answer was lost.
    may_hold: bool,
}

impl NotAcquired {
    /// Another holder had the lease until the end of the wait.
    fn busy(lease: &Lease, may_hold: bool) -> Self {
        Self { error: Error::Busy(lease.resource.clone()), may_hold }
    }
}

impl<C: Cloud> Engine<'_, C> {
    /// Acquires the lease of `resource` while `concurrent` runs, then runs `work` with the result of `concurrent` under the
    /// lease. Without `LOCK_TABLE`, runs `work` after `concurrent` without a lease.
    pub(super) async fn with_lease<B, T>(
        &self,
        resource: &str,
        concurrent: impl AsyncFnOnce(&Acquisition) -> Result<B, Error>,
        work: impl AsyncFnOnce(LeaseGuard, B) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let acquisition = Acquisition::default();
        let Some(table) = &self.settings.lock_table else {
            let prepared = concurrent(&acquisition).await?;
            return work(LeaseGuard { previous_expiry: None }, prepared).await;
        };
        let lease = Lease {
            table: table.clone(),
            resource: resource.to_owned(),
            holder: random_holder_id(),
            expires_at: epoch_seconds(self.time_left() + WRITE_TIMEOUT),
        };
        let concurrent = async {
            let result = AssertUnwindSafe(concurrent(&acquisition)).catch_unwind().await;
            acquisition.is_useless.set(!matches!(result, Ok(Ok(_))));
            result
        };
        // In this order, so that what is concurrent sees a lease that was acquired at the same moment.
        let (acquired, prepared) = join!(biased; self.acquire(&lease, &acquisition), concurrent);
        let may_hold_lease = acquired.as_ref().map_or_else(|failed| failed.may_hold, |_| true);
        let work_started = Cell::new(false);
        let result = AssertUnwindSafe(Box::pin(async {
            let prepared = prepared.unwrap_or_else(|panic| resume_unwind(panic))?;
            let guard = acquired.map_err(|failed| failed.error)?;
            work_started.set(true);
            work(guard, prepared).await
        }))
        .catch_unwind()
        .await;
        if may_hold_lease {
            let may_still_write = match &result {
                Ok(Ok(_)) => false,
                Ok(Err(error)) => error.is_uncertain(),
                // The work panicked.
                Err(_) => true,
            };
            self.release(&lease, work_started.get() && may_still_write).await;
        }
        result.unwrap_or_else(|panic| resume_unwind(panic))
    }

    /// Waits until the lease is acquired, no longer needed, or the deadline passes.
    async fn acquire(
        &self,
        lease: &Lease,
        acquisition: &Acquisition,
    ) -> Result<LeaseGuard, NotAcquired> {
        let budget = RetryBudget::until_deadline(Duration::from_millis(50), Duration::from_secs(2));
        let acquired = retry(budget, async || {
            if acquisition.is_useless.get() {
                return Err(Failed::Final(NotAcquired::busy(lease, false)));
            }
            match self.cloud.acquire(lease, epoch_seconds(Duration::ZERO)).await {
                Ok(Some(Acquired { previous_expiry })) => Ok(LeaseGuard { previous_expiry }),
                Ok(None) => {
                    tracing::debug!(
                        resource = lease.resource,
                        "waiting for another holder of the lease"
                    );
                    Err(Failed::Retryable(NotAcquired::busy(lease, false)))
                }
                Err(failure) => {
                    let may_hold = failure.retry != Retry::Never;
                    Err(Failed::Final(NotAcquired { error: failure.into(), may_hold }))
                }
            }
        });
        // The call that the deadline cuts off may have acquired the lease.
        let acquired = timeout_at(self.deadline, acquired)
            .await
            .unwrap_or_else(|_| Err(NotAcquired::busy(lease, true)));
        acquisition.has_ended.set(true);
        acquired
    }

    /// Releases the lease. When a write of the holder may still take effect, the lease stays for another [`WRITE_TIMEOUT`].
    async fn release(&self, lease: &Lease, is_uncertain: bool) {
        let delay = if is_uncertain { WRITE_TIMEOUT } else { Duration::ZERO };
        let expires_at = epoch_seconds(delay);
        let left = self.end.saturating_duration_since(Instant::now());
        match timeout(RELEASE_TIME.min(left / 4), self.cloud.release(lease, expires_at)).await {
            Ok(Ok(())) => {}
            Ok(Err(failure)) => {
                tracing::warn!(%failure, "the lease could not be released; it expires by itself")
            }
            Err(_) => {
                tracing::warn!("the lease could not be released in time; it expires by itself")
            }
        }
    }
}

/// The time `from_now` later than now, in seconds since the epoch, rounded up.
pub(super) fn epoch_seconds(from_now: Duration) -> u64 {
    let then = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default() + from_now;
    then.as_secs() + u64::from(!from_now.is_zero())
}

/// A random id. Every [`RandomState`] is seeded with the operating system's randomness.
fn random_holder_id() -> String {
    format!("{:016x}{:016x}", RandomState::new().hash_one(0), RandomState::new().hash_one(1))
}
