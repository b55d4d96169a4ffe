use std::time::Duration;

use async_trait::async_trait;
use ops_core::model::Timestamp;
use ops_core::ports::Clock;
use tokio::time::Instant;

/// Wall clock and monotonic clock on tokio's time, which a test pauses.
#[derive(Debug)]
pub(crate) struct VirtualClock {
    origin: Instant,
    /// By how many seconds the wall clock is wrong.
    off: i64,
}

impl VirtualClock {
    pub(crate) fn new() -> Self {
        Self {
            origin: Instant::now(),
            off: 0,
        }
    }

    /// The same time on a machine whose wall clock is wrong by so many seconds.
    pub(crate) fn off_by(&self, off: i64) -> Self {
        Self {
            origin: self.origin,
            off,
        }
    }

    pub(crate) fn time(&self) -> Timestamp {
        // 2026-01-30T00:00:00Z
        Timestamp::from_unix_micros(1_769_731_200_000_000 + self.off * 1_000_000) + self.origin.elapsed()
    }
}

#[async_trait]
impl Clock for VirtualClock {
    fn now(&self) -> Timestamp {
        self.time()
    }

    fn monotonic(&self) -> Duration {
        self.origin.elapsed()
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}
