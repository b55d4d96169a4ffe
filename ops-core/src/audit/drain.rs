use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tracing::{Instrument as _, info_span, warn};

use super::{Delivered, Spool};
use crate::error::{Error, ErrorKind, Result};
use crate::model::Timestamp;
use crate::ports::{AuditStore, Clock, PiiMasker};
use crate::resilience::Deadline;

/// How a [`Drain`] works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DrainOptions {
    /// How long records gather before they are brought. Default: 20 ms.
    pub gather: Duration,
    /// How often it looks for what other processes left behind, and gives records again whose tenant's chain took nothing. Default: 5 s.
    pub idle: Duration,
    /// How long it waits when the store cannot take records; it doubles each time. Default: 0.2 s.
    pub first_delay: Duration,
    /// It never waits longer. Default: 30 s.
    pub longest_delay: Duration,
}

impl Default for DrainOptions {
    fn default() -> Self {
        Self {
            gather: Duration::from_millis(20),
            idle: Duration::from_secs(5),
            first_delay: Duration::from_millis(200),
            longest_delay: Duration::from_secs(30),
        }
    }
}

/// What a drain has done, and what is left.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DrainStatus {
    /// Records that the store has taken.
    pub stored: u64,
    /// Records that it will never take, kept in `refused.jsonl`.
    pub refused: u64,
    /// Records that a process kept and that are no longer there.
    pub missing: u64,
    /// Places that held no record.
    pub damaged: u64,
    /// How often bringing records ended early, with an error.
    pub failures: u64,
    /// How often a record was given that its tenant's chain does not take until a person has looked at it; it waits apart from the others.
    pub stuck: u64,
    /// Records that wait, as of the last look.
    pub depth: u64,
    /// Bytes that the spool takes on the disk, as of the last look.
    pub bytes: u64,
    /// When the oldest record that waits was made.
    pub oldest: Option<Timestamp>,
    /// How old the newest record was when the store took it: how far the store is behind.
    pub lag: Duration,
    /// What the store said last, masked; `None`: it took all.
    pub error: Option<String>,
    /// Looks that were begun, and those that have ended.
    begun: u64,
    ended: u64,
    /// The last of them brought all that was there when it began.
    whole: bool,
}

/// A task that brings records from the spool to the store, with growing pauses while the store cannot take them.
///
/// Dropping it ends the task behind the batch that is on its way; what is left stays in the spool for the next process.
#[derive(Debug)]
pub struct Drain {
    shared: Arc<Shared>,
    status: watch::Receiver<DrainStatus>,
    clock: Arc<dyn Clock>,
    task: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    wake: Notify,
    stop: watch::Sender<bool>,
}

/// The drains of a recorder.
#[derive(Debug, Default)]
pub(super) struct Drains {
    running: AtomicUsize,
    newest: Mutex<Option<watch::Receiver<DrainStatus>>>,
}

impl Drains {
    /// Whether any runs.
    pub(super) fn any(&self) -> bool {
        self.running.load(Ordering::Acquire) > 0
    }

    /// What the newest of them has done, while any runs.
    pub(super) fn status(&self) -> Option<DrainStatus> {
        let newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        let status = newest.as_ref().map(|status| status.borrow().clone());
        status.filter(|_| self.any())
    }
}

/// Counts a drain for as long as it runs.
#[derive(Debug)]
struct Running(Arc<Drains>);

impl Drain {
    pub(super) fn start(
        spool: Spool,
        store: Arc<dyn AuditStore>,
        masker: Arc<dyn PiiMasker>,
        clock: Arc<dyn Clock>,
        drains: Arc<Drains>,
        options: DrainOptions,
    ) -> Self {
        let shared = Arc::new(Shared::default());
        let (told, status) = watch::channel(DrainStatus::default());
        drains.running.fetch_add(1, Ordering::AcqRel);
        *drains.newest.lock().unwrap_or_else(PoisonError::into_inner) = Some(status.clone());
        let running = Running(drains);
        let work = Work {
            spool,
            store,
            masker,
            clock: Arc::clone(&clock),
            shared: Arc::clone(&shared),
            told,
            options,
        };
        let task = tokio::spawn(
            async move {
                work.run().await;
                drop(running);
            }
            .instrument(info_span!("audit drain")),
        );
        Self {
            shared,
            status,
            clock,
            task: Some(task),
        }
    }

    /// What it has done so far.
    pub fn status(&self) -> DrainStatus {
        self.status.borrow().clone()
    }

    /// Returns when all that was recorded before this call is in the store.
    ///
    /// # Errors
    /// [`ErrorKind::Timeout`] when something is left after `budget`: it says how much, and what the store said last. Nothing is lost by that.
    pub async fn flush(&self, budget: Duration) -> Result<DrainStatus> {
        let deadline = Deadline::after(&*self.clock, budget);
        let mut status = self.status.clone();
        let mut after = status.borrow().begun;
        let empty = async {
            let mut hurry = true;
            loop {
                if hurry {
                    self.shared.wake.notify_one();
                }
                let seen = status.wait_for(|status| status.ended > after).await;
                let Ok(seen) = seen.map(|seen| seen.clone()) else {
                    return Err(
                        Error::new(ErrorKind::Unavailable, FLUSH).context("reason", "the drain has ended")
                    );
                };
                if seen.whole {
                    return Ok(seen);
                }
                after = seen.ended;
                // A store that cannot take records is asked again with growing pauses; another process that is at it will be done soon.
                hurry = seen.error.is_none();
                if hurry {
                    self.clock.sleep(TURN).await;
                }
            }
        };
        deadline.bound(&*self.clock, FLUSH, empty).await.map_err(|error| {
            let left = self.status();
            let error = error.context("left", left.depth.to_string());
            match left.error {
                Some(said) => error.context("store", said),
                None => error,
            }
        })
    }

    /// Flushes and ends the task: what an application does last. What is left after `budget` stays in the spool for the next process.
    ///
    /// # Errors
    /// As [`flush`](Self::flush); the task has ended all the same.
    pub async fn stop(mut self, budget: Duration) -> Result<DrainStatus> {
        let flushed = self.flush(budget).await;
        self.shared.stop.send_replace(true);
        if let Some(task) = self.task.take() {
            // A store that hangs is left: the batch is in the spool.
            let abort = task.abort_handle();
            let ended = async { task.await.map_err(|_| Error::new(ErrorKind::Unexpected, FLUSH)) };
            if Deadline::after(&*self.clock, LAST_BATCH)
                .bound(&*self.clock, FLUSH, ended)
                .await
                .is_err()
            {
                abort.abort();
            }
        }
        flushed
    }
}

impl Drop for Drain {
    fn drop(&mut self) {
        self.shared.stop.send_replace(true);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::AcqRel);
    }
}

/// How a look at the spool ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Look {
    Done,
    /// There is more than was brought.
    More,
    /// Another process is at it: nothing is known of the store.
    Elsewhere,
    Failed,
}

struct Work {
    spool: Spool,
    store: Arc<dyn AuditStore>,
    masker: Arc<dyn PiiMasker>,
    clock: Arc<dyn Clock>,
    shared: Arc<Shared>,
    told: watch::Sender<DrainStatus>,
    options: DrainOptions,
}

impl Work {
    async fn run(&self) {
        let mut stop = self.shared.stop.subscribe();
        let mut delay = self.options.first_delay;
        // What waits is counted by reading it: each look that found the end does so, any other at most every so often.
        let mut count = Deadline::after(&*self.clock, Duration::ZERO);
        // What waits apart is given at its own pace.
        let mut apart = Deadline::after(&*self.clock, Duration::ZERO);
        while !*stop.borrow_and_update() {
            let look = self.deliver(&mut count, &mut apart).await;
            if look == Look::More {
                continue;
            }
            let failed = look == Look::Failed;
            let pause = match failed {
                true => delay,
                false => self.options.idle,
            };
            delay = match look {
                Look::Failed => delay.saturating_mul(2).min(self.options.longest_delay),
                Look::Elsewhere => delay,
                Look::Done | Look::More => self.options.first_delay,
            };
            tokio::select! {
                _ = stop.changed() => {}
                () = self.shared.wake.notified() => {}
                () = self.clock.sleep(pause) => {}
                () = self.spool.came(), if !failed => {
                    tokio::select! {
                        _ = stop.changed() => {}
                        () = self.shared.wake.notified() => {}
                        () = self.clock.sleep(self.options.gather) => {}
                    }
                }
            }
        }
    }

    /// One look at the whole spool, at most some batches of each process.
    async fn deliver(&self, count: &mut Deadline, apart: &mut Deadline) -> Look {
        self.told.send_modify(|status| status.begun += 1);
        let due = apart.passed(&*self.clock);
        let delivered = self
            .spool
            .deliver_some(&*self.store, Some(&*self.masker), BATCHES, due)
            .await;
        if due
            && let Ok(delivered) = &delivered
            && !delivered.elsewhere
            && !delivered.cut
        {
            // Where giving them takes long, the others have most of the time.
            let pause = self.options.idle.max(delivered.apart_took * 4);
            *apart = Deadline::after(&*self.clock, pause);
        }
        let whole = delivered.as_ref().is_ok_and(|delivered| {
            let left = delivered.more || delivered.unsettled || delivered.apart;
            delivered.error.is_none() && !delivered.elsewhere && !left
        });
        let left = match whole || count.passed(&*self.clock) {
            true => {
                *count = Deadline::after(&*self.clock, self.options.idle);
                self.spool.status().await.map(Some)
            }
            false => Ok(None),
        };
        let now = self.clock.now();
        let mut look = Look::Done;
        self.told.send_modify(|status| {
            if let Ok(Some(left)) = &left {
                status.depth = left.records;
                status.bytes = left.bytes;
                status.oldest = left.oldest;
            }
            let error = match &delivered {
                Ok(delivered) => {
                    status.stuck += delivered.stuck;
                    status.stored += delivered.stored;
                    status.refused += delivered.refused;
                    status.missing += delivered.missing;
                    status.damaged += delivered.damaged;
                    if let Some(newest) = delivered.newest_stored {
                        status.lag = now.saturating_since(newest);
                    }
                    if delivered.more {
                        look = Look::More;
                    } else if delivered.elsewhere {
                        look = Look::Elsewhere;
                    }
                    delivered.error.as_ref().or(left.as_ref().err())
                }
                Err(error) => Some(error),
            };
            // A tenant whose chain takes nothing is no reason to wait for the others.
            let failed = delivered.as_ref().map_or(true, |delivered| delivered.cut) || left.is_err();
            if failed {
                look = Look::Failed;
                status.failures += 1;
            }
            status.whole = whole && error.is_none();
            // What was said of those apart holds until they are given again, and whatever was said while another process is at it.
            let unasked = |delivered: &Delivered| delivered.elsewhere || delivered.apart && !due;
            if error.is_some() || !delivered.as_ref().is_ok_and(unasked) {
                status.error = error.map(|error| self.masker.mask(&error.to_string()).into_owned());
            }
            status.ended = status.begun;
            if let Some(error) = &status.error
                && (failed || due)
            {
                warn!(
                    error,
                    depth = status.depth,
                    "audit records stay in the spool for now"
                );
            }
        });
        look
    }
}

/// Of each process, so that the status is never far behind and none waits for another.
const BATCHES: usize = 8;
const FLUSH: &str = "flush audit spool";
/// How long another process is given before it is asked whether it is done.
const TURN: Duration = Duration::from_millis(20);
/// How long the batch on its way may take when the task is told to end.
const LAST_BATCH: Duration = Duration::from_secs(2);
