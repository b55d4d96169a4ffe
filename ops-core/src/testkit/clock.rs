use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::watch;

use crate::model::Timestamp;
use crate::ports::Clock;

/// A clock that stands still until it is moved.
///
/// With [`self_moving`](Self::self_moving), a `sleep` moves the clock by itself, so that polling code runs without waiting.
#[derive(Debug)]
pub struct ManualClock {
    start: Timestamp,
    elapsed: watch::Sender<Duration>,
    moving: bool,
    order: Mutex<()>,
}

impl ManualClock {
    /// A clock that shows `start`.
    pub fn new(start: Timestamp) -> Self {
        Self {
            start,
            elapsed: watch::Sender::new(Duration::ZERO),
            moving: false,
            order: Mutex::new(()),
        }
    }

    /// A clock that shows 2026-01-30T00:00:00Z and moves when somebody sleeps.
    pub fn self_moving() -> Self {
        Self {
            moving: true,
            ..Self::new(Timestamp::from_unix_micros(1_769_731_200_000_000))
        }
    }

    /// Moves the clock forward and wakes sleepers whose time has come.
    pub fn advance(&self, by: Duration) {
        let _order = self
            .order
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        self.elapsed.send_modify(|elapsed| *elapsed += by);
    }
}

#[async_trait]
impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        self.start + self.monotonic()
    }

    fn monotonic(&self) -> Duration {
        *self.elapsed.borrow()
    }

    async fn sleep(&self, duration: Duration) {
        if self.moving {
            self.advance(duration);
            tokio::task::yield_now().await;
            return;
        }
        let until = self.monotonic() + duration;
        let mut elapsed = self.elapsed.subscribe();
        // The sender lives in `self`, so waiting can only end by reaching the time.
        let _ = elapsed.wait_for(|now| *now >= until).await;
    }
}
