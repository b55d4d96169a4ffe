use std::future::Future;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use tracing::{Instrument as _, debug, debug_span};

use super::Deadline;
use crate::error::{Result, Retry};
use crate::ports::Clock;

/// How often and how fast to try again. The total time is bounded by a [`Deadline`], not by the attempts alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RetryPolicy {
    /// How many attempts in total, the first included; at least 1.
    pub attempts: u32,
    /// The first delay; it doubles from attempt to attempt, with jitter.
    pub first_delay: Duration,
    /// No delay is longer, unless the provider asks for it.
    pub longest_delay: Duration,
}

impl Default for RetryPolicy {
    /// Three attempts in total, as the first runbook allows for external calls; 0.2 s, then 0.4 s.
    fn default() -> Self {
        Self {
            attempts: 3,
            first_delay: Duration::from_millis(200),
            longest_delay: Duration::from_secs(2),
        }
    }
}

impl RetryPolicy {
    /// Calls `attempt` until it succeeds, an error says not to try again, or attempts or time are used up.
    ///
    /// # Errors
    /// The last attempt's; `Timeout` when the deadline cut an attempt off.
    pub async fn run<T, F, W>(
        &self,
        clock: &dyn Clock,
        deadline: Deadline,
        operation: &'static str,
        mut attempt: F,
    ) -> Result<T>
    where
        F: FnMut() -> W,
        W: Future<Output = Result<T>>,
    {
        let mut delays = ExponentialBuilder::default()
            .with_min_delay(self.first_delay)
            .with_max_delay(self.longest_delay)
            .with_max_times(usize::try_from(self.attempts.saturating_sub(1)).unwrap_or(0))
            .with_jitter()
            .build();
        let mut number = 0_u32;
        loop {
            number = number.saturating_add(1);
            let span = debug_span!("attempt", operation, attempt = number);
            let error = match deadline
                .bound(clock, operation, attempt())
                .instrument(span.clone())
                .await
            {
                Ok(value) => return Ok(value),
                Err(error) => error,
            };
            // The kind and no more: its text may have words of a vendor.
            span.in_scope(|| debug!(kind = %error.kind(), "an attempt failed"));
            let asked = match error.retry() {
                Retry::Never => return Err(error),
                Retry::Safe => Duration::ZERO,
                Retry::After(asked) => asked,
            };
            let Some(delay) = delays.next() else {
                return Err(error);
            };
            let delay = delay.max(asked);
            if delay >= deadline.remaining(clock) {
                return Err(error);
            }
            clock.sleep(delay).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;
    use crate::error::{Error, ErrorKind};
    use crate::testkit::ManualClock;

    async fn attempts_for(kind: ErrorKind, retry: Option<Retry>, budget: Duration) -> u32 {
        let clock = ManualClock::self_moving();
        let count = AtomicU32::new(0);
        let deadline = Deadline::after(&clock, budget);
        let result: Result<()> = RetryPolicy::default()
            .run(&clock, deadline, "call", || {
                count.fetch_add(1, Ordering::Relaxed);
                let error = Error::new(kind, "call");
                let error = match retry {
                    Some(retry) => error.with_retry(retry),
                    None => error,
                };
                std::future::ready(Err(error))
            })
            .await;
        assert_eq!(result.unwrap_err().kind(), kind);
        count.into_inner()
    }

    #[tokio::test]
    async fn tries_three_times_in_total_and_only_where_it_can_help() {
        let ample = Duration::from_secs(30);
        assert_eq!(attempts_for(ErrorKind::Unavailable, None, ample).await, 3);
        assert_eq!(attempts_for(ErrorKind::PermissionDenied, None, ample).await, 1);
    }

    #[tokio::test]
    async fn never_waits_longer_than_the_budget() {
        let asked = Some(Retry::After(Duration::from_secs(60)));
        assert_eq!(
            attempts_for(ErrorKind::RateLimited, asked, Duration::from_secs(30)).await,
            1
        );
    }
}
