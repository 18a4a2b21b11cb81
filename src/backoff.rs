//! Pauses between tries.

use std::time::Duration;

use tokio::time::sleep;

/// Pauses that grow, and are jittered, so that those who wait for one another do not try together.
#[derive(Debug)]
pub(crate) struct Backoff {
    pause: Duration,
    longest: Duration,
}

impl Backoff {
    /// The first pause, and the longest, on average.
    pub(crate) fn new(first: Duration, longest: Duration) -> Self {
        Self { pause: first, longest }
    }

    /// Pauses, for half to one and a half of the time.
    pub(crate) async fn pause(&mut self) {
        sleep(self.pause.mul_f64(0.5 + fastrand::f64())).await;
        self.pause = (self.pause * 2).min(self.longest);
    }
}
