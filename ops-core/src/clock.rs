//! The clock of production.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use tokio::time::Instant;

use crate::model::Timestamp;
use crate::ports::Clock;

/// The clock of this machine. Under tokio's paused time, `monotonic` and `sleep` follow it.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock {
    origin: Instant,
}

impl SystemClock {
    /// A clock whose [`monotonic`](Clock::monotonic) counts from now.
    pub fn new() -> Self {
        Self {
            origin: Instant::now(),
        }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        #[expect(
            clippy::disallowed_methods,
            reason = "this is the one place that reads the wall clock"
        )]
        let now = SystemTime::now();
        match now.duration_since(UNIX_EPOCH) {
            Ok(since) => Timestamp::UNIX_EPOCH + since,
            Err(before) => Timestamp::UNIX_EPOCH - before.duration(),
        }
    }

    fn monotonic(&self) -> Duration {
        self.origin.elapsed()
    }

    /// Needs a tokio runtime with its timer.
    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}
