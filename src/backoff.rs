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

    /// The next pause: half to one and a half of the time.
    pub(crate) fn next(&mut self) -> Duration {
        let jittered = self.pause.mul_f64(0.5 + fastrand::f64());
        self.pause = (self.pause * 2).min(self.longest);
        jittered
    }

    /// Pauses.
    pub(crate) async fn pause(&mut self) {
        sleep(self.next()).await;
    }
}
