use std::future::Future;
use std::time::Duration;

use crate::error::{Error, ErrorKind, Result};
use crate::ports::Clock;

/// A point in time that a piece of work, with all its retries, must not pass.
#[derive(Clone, Copy, Debug)]
pub struct Deadline {
    at: Duration,
}

impl Deadline {
    /// `budget` from now.
    pub fn after(clock: &dyn Clock, budget: Duration) -> Self {
        Self::since(clock.monotonic(), budget)
    }

    /// `budget` from `began`, by the clock that is asked later.
    pub fn since(began: Duration, budget: Duration) -> Self {
        Self {
            at: began.saturating_add(budget),
        }
    }

    /// What is left; zero when it has passed.
    pub fn remaining(self, clock: &dyn Clock) -> Duration {
        self.at.saturating_sub(clock.monotonic())
    }

    /// Whether it has passed.
    pub fn passed(self, clock: &dyn Clock) -> bool {
        self.remaining(clock).is_zero()
    }

    /// Runs `work`, dropping it when the deadline passes.
    ///
    /// # Errors
    /// `work`'s own, or [`ErrorKind::Timeout`] naming `operation`.
    pub async fn bound<T>(
        self,
        clock: &dyn Clock,
        operation: &'static str,
        work: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        tokio::select! {
            biased;
            result = work => result,
            () = clock.sleep(self.remaining(clock)) => Err(Error::new(ErrorKind::Timeout, operation)),
        }
    }
}
