//! The lease on a bucket's replication configuration: while it is held, no other invocation of this function writes it.
//!
//! S3 has no conditional write of the configuration, so two writers that each add a rule to what they read would lose one of them.
//!
//! # Guarantees
//! - A lease is taken only when there is something to write, and the state is observed anew under it.
//! - A lease ends by itself at the latest when its holder's time to work does, so a holder that died keeps nobody out for longer.
//!
//! # Assumptions
//! The clocks of two invocations differ by less than [`MARGIN`].

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::{Instant, sleep, timeout};

use super::Engine;
use crate::cloud::{Cloud, CloudError, Lease};
use crate::error::Error;
use crate::spec::BucketName;

/// Time between the end of a holder's work and the end of its lease: for clocks that differ, and for a call that was given up but is
/// still on its way.
const MARGIN: Duration = Duration::from_secs(5);

/// Time for giving a lease back, taken from that for the answer.
const RELEASE_TIME: Duration = Duration::from_secs(2);

impl<C: Cloud> Engine<'_, C> {
    /// Runs `work` while holding the lease on `bucket`; without `LOCK_TABLE`, simply runs it.
    pub(super) async fn with_lease<T>(&self, bucket: &BucketName, work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        let Some(table) = &self.settings.lock_table else { return work.await };
        let lease = Lease {
            table: table.clone(),
            bucket: bucket.clone(),
            holder: format!("{:032x}", fastrand::u128(..)),
            expires_at: epoch_seconds() + (self.deadline.saturating_duration_since(Instant::now()) + MARGIN).as_secs(),
        };
        self.in_time(self.until(bucket, async || self.cloud.acquire(&lease, epoch_seconds()).await)).await?;
        let result = work.await;
        match timeout(RELEASE_TIME, self.cloud.release(&lease)).await {
            Ok(Ok(())) => {}
            Ok(Err(failure)) => tracing::warn!(%failure, "the lease could not be released; it ends by itself"),
            Err(_) => tracing::warn!("the lease could not be released in time; it ends by itself"),
        }
        result
    }

    /// Waits until nobody writes `bucket`'s configuration.
    pub(super) async fn wait_for_writers(&self, bucket: &BucketName) -> Result<(), Error> {
        let Some(table) = &self.settings.lock_table else { return Ok(()) };
        self.in_time(self.until(bucket, async || Ok(!self.cloud.is_leased(table, bucket, epoch_seconds()).await?))).await
    }

    async fn until(&self, bucket: &BucketName, free: impl AsyncFn() -> Result<bool, CloudError>) -> Result<(), CloudError> {
        let mut pause = Duration::from_millis(50);
        while !free().await? {
            tracing::debug!(bucket = bucket.as_str(), "waiting for another writer");
            sleep(pause.mul_f64(0.5 + fastrand::f64())).await;
            pause = (pause * 2).min(Duration::from_secs(2));
        }
        Ok(())
    }
}

fn epoch_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}
