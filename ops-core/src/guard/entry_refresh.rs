use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::Mutex;

use super::KillSwitch;
use crate::error::Result;
use crate::ports::{Clock, SwitchStore};
use crate::resilience::Deadline;

/// Keeps a switch up to date where nothing runs between requests (serverless, scale to zero): no thread, a read at request entry.
///
/// The bound is the age allowed plus the length of a request: one that has entered goes on with what was in force, unless it asks again.
#[derive(Debug)]
pub struct EntryRefresh {
    switch: Arc<KillSwitch>,
    store: Arc<dyn SwitchStore>,
    clock: Arc<dyn Clock>,
    one_at_a_time: Mutex<()>,
    /// In microseconds of the monotonic clock, plus 1; 0: never.
    tried: AtomicU64,
    contact: AtomicU64,
    began: Duration,
}

/// A request waits no longer for the store.
const BUDGET: Duration = Duration::from_secs(1);

impl EntryRefresh {
    /// Nothing was read yet.
    pub fn new(switch: Arc<KillSwitch>, store: Arc<dyn SwitchStore>, clock: Arc<dyn Clock>) -> Self {
        Self {
            began: clock.monotonic(),
            switch,
            store,
            clock,
            one_at_a_time: Mutex::new(()),
            tried: AtomicU64::new(0),
            contact: AtomicU64::new(0),
        }
    }

    /// Reads the store unless that was tried within `max_age`. Of requests that come together one reads and the others wait for it, at most a
    /// second. Costs a look at the clock when there is nothing to do.
    ///
    /// # Errors
    /// The store's, to the one that read. What was in force stays in force, subject to [`OnStale`](crate::config::OnStale); the next
    /// attempt is made after `max_age`.
    ///
    /// # Cancellation
    /// Dropping it leaves the read to the next request.
    pub async fn refresh_if_older(&self, max_age: Duration) -> Result<()> {
        if self.tried_within(max_age) {
            return Ok(());
        }
        let _one = self.one_at_a_time.lock().await;
        if self.tried_within(max_age) {
            return Ok(());
        }
        self.refresh().await
    }

    /// Reads the store.
    ///
    /// # Errors
    /// As [`refresh_if_older`](Self::refresh_if_older).
    pub async fn refresh(&self) -> Result<()> {
        let clock = &*self.clock;
        // Before the store is asked: what has been without contact for too long does not go on while it hangs.
        self.judge_staleness(clock.monotonic());
        let since = self.switch.moment();
        let read = Deadline::after(clock, BUDGET)
            .bound(clock, "read switches", self.store.read())
            .await;
        let now = clock.monotonic();
        self.tried.store(stamp(now), Ordering::Release);
        match read {
            Ok(state) => {
                self.contact.store(stamp(now), Ordering::Release);
                self.switch.adopt_shared(&state, Some(&since));
                Ok(())
            }
            Err(error) => {
                self.judge_staleness(now);
                Err(error)
            }
        }
    }

    fn judge_staleness(&self, now: Duration) {
        let contact = match self.contact.load(Ordering::Acquire) {
            0 => self.began,
            stamp => Duration::from_micros(stamp - 1),
        };
        let age = now.saturating_sub(contact);
        self.switch.change(|layers, _| layers.judge_staleness(age));
    }

    fn tried_within(&self, max_age: Duration) -> bool {
        let tried = self.tried.load(Ordering::Acquire);
        let age = self
            .clock
            .monotonic()
            .saturating_sub(Duration::from_micros(tried.saturating_sub(1)));
        tried != 0 && age < max_age
    }
}

/// One more than the time, because 0 stands for never.
fn stamp(at: Duration) -> u64 {
    u64::try_from(at.as_micros())
        .unwrap_or(u64::MAX)
        .saturating_add(1)
}
