//! The lease on a bucket's replication configuration, or on the policies of another account: while it is held, no other invocation of this
//! function writes them.
//!
//! AWS has no conditional write of either, so two writers that each add a part to what they read would lose one of them.
//!
//! # Guarantees
//! - A lease is taken when there is something to write, or will be unless it is refused; and when there is nothing, by requests that must
//!   know that nobody else is writing: those about custom resources, and those to remove a rule.
//! - The state is observed anew under it, unless nobody has held it since it was observed: when the one before it ended is remembered in
//!   the table.
//! - A lease ends by itself [`MARGIN`] after its holder's time to work, so a holder that died keeps nobody out for longer.
//!
//! # Assumptions
//! - The clocks of two invocations differ by less than [`MARGIN`].
//! - What one reader of the configuration has seen after a write, the next one sees, too.

use std::cell::Cell;
use std::hash::{BuildHasher, RandomState};
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_util::FutureExt;
use tokio::join;
use tokio::time::{Instant, timeout, timeout_at};

use super::Engine;
use crate::backoff::Backoff;
use crate::cloud::{Acquired, Cloud, CloudError, Lease, Remedy};
use crate::error::Error;

/// Time between the end of a holder's work and the end of its lease: for clocks that differ, and for a call that was given up but is
/// still on its way.
const MARGIN: Duration = Duration::from_secs(5);

/// Time for giving a lease back, taken from that for the answer, of which it is a quarter at most.
const RELEASE_TIME: Duration = Duration::from_secs(2);

/// What is known of a lease when its holder begins.
#[derive(Debug, Clone, Copy)]
pub(super) struct Held {
    /// When the one before it ended, in seconds since the epoch; `None` when that is long ago.
    before: Option<u64>,
}

impl Held {
    /// Whether another holder may have written after `observed`, in seconds since the epoch.
    pub(super) fn may_be_written_since(self, observed: u64) -> bool {
        self.before.is_some_and(|ended| ended.saturating_add(MARGIN.as_secs()) >= observed)
    }
}

impl<C: Cloud> Engine<'_, C> {
    /// Runs `work` with what comes of `beside` while holding the lease of `of`, which is asked for while `beside` runs; without `LOCK_TABLE`,
    /// simply runs one after the other.
    pub(super) async fn with_lease<B, T>(
        &self,
        of: &str,
        beside: impl Future<Output = Result<B, Error>>,
        work: impl AsyncFnOnce(Held, B) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let Some(table) = &self.settings.lock_table else { return work(Held { before: None }, beside.await?).await };
        let left = self.deadline.saturating_duration_since(Instant::now());
        let lease = Lease { table: table.clone(), of: of.to_owned(), holder: unlike_any_other(), expires_at: epoch_seconds(left + MARGIN) };
        // Until `beside` has failed: then it is neither asked for again nor waited for.
        let wanted = Cell::new(true);
        let taken = self.until(of, async || match wanted.get() {
            false => Ok(Some(None)),
            true => match self.cloud.acquire(&lease, epoch_seconds(Duration::ZERO)).await? {
                Acquired::Yes(before) => Ok(Some(Some(Held { before }))),
                Acquired::No => Ok(None),
            },
        });
        let beside = async {
            let ended = AssertUnwindSafe(beside).catch_unwind().await;
            wanted.set(matches!(ended, Ok(Ok(_))));
            ended
        };
        let (beside, taken) = join!(beside, taken);
        // Also when it could not be taken: it may be ours all the same, when it was the answer that was lost.
        let may_be_ours = match &taken {
            Ok(held) => held.is_some(),
            Err(error) => error.remedy() != Some(Remedy::None),
        };
        let at_work = Cell::new(false);
        let result = AssertUnwindSafe(Box::pin(async {
            let beside = beside.unwrap_or_else(|panic| resume_unwind(panic))?;
            let held = taken?.ok_or_else(|| Error::Busy(of.to_owned()))?;
            at_work.set(true);
            work(held, beside).await
        }));
        let result = result.catch_unwind().await;
        if may_be_ours {
            let is_uncertain = result.as_ref().map_or(true, |result| result.as_ref().is_err_and(Error::is_uncertain));
            self.give_back(&lease, at_work.get() && is_uncertain).await;
        }
        result.unwrap_or_else(|panic| resume_unwind(panic))
    }

    /// Gives the lease back: now, or when a call of its holder may still be on its way, after [`MARGIN`]. When it ended stays known.
    async fn give_back(&self, lease: &Lease, on_its_way: bool) {
        let now = epoch_seconds(Duration::ZERO);
        let end = if on_its_way { epoch_seconds(MARGIN) } else { now };
        let shorter = Lease { expires_at: lease.expires_at.min(end), ..lease.clone() };
        let left = self.end.saturating_duration_since(Instant::now());
        match timeout(RELEASE_TIME.min(left / 4), self.cloud.acquire(&shorter, now)).await {
            Ok(Ok(_)) => {}
            Ok(Err(failure)) => tracing::warn!(%failure, "the lease could not be given back; it ends by itself"),
            Err(_) => tracing::warn!("the lease could not be given back in time; it ends by itself"),
        }
    }

    /// Asks until there is an answer.
    async fn until<T>(&self, of: &str, free: impl AsyncFn() -> Result<Option<T>, CloudError>) -> Result<T, Error> {
        let waiting = async {
            let mut backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(2));
            loop {
                if let Some(answer) = free().await? {
                    return Ok(answer);
                }
                tracing::debug!(of, "waiting for another writer");
                backoff.pause().await;
            }
        };
        timeout_at(self.deadline, waiting).await.map_err(|_| Error::Busy(of.to_owned()))?
    }
}

/// Seconds since the epoch, this much from now, and not a part of a second earlier.
pub(super) fn epoch_seconds(from_now: Duration) -> u64 {
    let then = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default() + from_now;
    then.as_secs() + u64::from(!from_now.is_zero())
}

/// From the operating system's randomness, which the keys of every [`RandomState`] are.
fn unlike_any_other() -> String {
    format!("{:016x}{:016x}", RandomState::new().hash_one(0), RandomState::new().hash_one(1))
}
