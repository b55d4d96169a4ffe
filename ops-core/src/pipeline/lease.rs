use std::any::Any;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

use uuid::Uuid;

use crate::error::{Error, ErrorKind, Result};
use crate::model::{Lease, LeaseRequest, LeaseState, Taken, Timestamp};
use crate::ports::{Clock, LeaseStore};
use crate::resilience::Deadline;

/// Runs a job while nobody else runs it: takes the lease, renews it at a third of its time, drops the job when the lease is lost, and gives it back at the end.
///
/// Its own time is reckoned from before each call was sent, less a hundredth for clocks that do not run equally fast. So it ends before that of
/// the store, unless the clock of the store is set forward; the token of the [`Fence`] is for that case.
#[derive(Clone, Debug)]
pub struct LeaseKeeper {
    store: Arc<dyn LeaseStore>,
    clock: Arc<dyn Clock>,
    holder: String,
    ttl: Duration,
}

/// What became of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kept<T> {
    /// It ran to its end.
    Done(T),
    /// Somebody else has the name: it was not begun.
    Held(LeaseState),
    /// The lease was lost under way, and the job was dropped. What it had sent may still have its effect.
    Lost {
        /// The token that it had.
        token: u64,
    },
}

/// What a job has of its lease.
#[derive(Clone, Debug)]
pub struct Fence {
    holder: String,
    token: u64,
    end: Arc<Mutex<End>>,
    clock: Arc<dyn Clock>,
}

/// A time by both clocks: a machine that sleeps stops the one and not the other.
#[derive(Clone, Copy, Debug)]
struct End {
    monotonic: Duration,
    wall: Timestamp,
}

enum Ended<T> {
    Done(T),
    Lost,
    Panicked(Box<dyn Any + Send>),
}

impl LeaseKeeper {
    /// For runs by `holder` (who and where, as others are told it); each run adds an id of its own. `ttl` is how long a run that was killed keeps the name.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] naming the field: a holder that is empty, longer than 160 characters or holds a control character; a `ttl` that
    /// is not 1 millisecond to 1 day.
    pub fn new(
        store: Arc<dyn LeaseStore>,
        clock: Arc<dyn Clock>,
        holder: impl Into<String>,
        ttl: Duration,
    ) -> Result<Self> {
        let holder = holder.into();
        if holder.is_empty() || holder.chars().count() > MAX_HOLDER {
            return Err(Error::new(ErrorKind::InvalidInput, "read lease")
                .context("holder", "must be 1 to 160 characters"));
        }
        LeaseRequest::new("any", holder.clone(), ttl)?;
        Ok(Self {
            store,
            clock,
            holder,
            ttl,
        })
    }

    /// Runs `job` if `name` is free. The job is polled beside the renewals: one that blocks its thread for two thirds of the time may lose the lease, and
    /// is dropped as soon as it gives way. The lease is given back after an error or a panic as well, and the panic goes on.
    ///
    /// # Errors
    /// Those of [`LeaseStore::take`], [`ErrorKind::Timeout`] when the answer came too late to be of use, [`ErrorKind::InvalidInput`] for the name. The job was not
    /// begun then; if the store has given the lease all the same, it is free again after its time.
    ///
    /// # Cancellation
    /// Dropping the future drops the job and does **not** give the lease back, as what the job had sent may still have its effect: the name
    /// is free after its time.
    pub async fn run<T, F>(&self, name: &str, job: impl FnOnce(Fence) -> F + Send) -> Result<Kept<T>>
    where
        T: Send,
        F: Future<Output = T> + Send,
    {
        let holder = format!("{} {}", self.holder, Uuid::new_v4().simple());
        let request = LeaseRequest::new(name, holder, self.ttl)?;
        let end = self.end();
        let taken = Deadline::after(&*self.clock, self.believed())
            .bound(&*self.clock, TAKE, self.store.take(&request))
            .await?;
        let lease = match taken {
            Taken::Taken(lease) => lease,
            Taken::Held(state) => return Ok(Kept::Held(state)),
        };
        let fence = Fence {
            holder: lease.holder.clone(),
            token: lease.token,
            end: Arc::new(Mutex::new(end)),
            clock: Arc::clone(&self.clock),
        };
        if !fence.holds() {
            return Err(
                Error::new(ErrorKind::Timeout, TAKE).context("reason", "the answer came after its time")
            );
        }
        let ended = self.beside(&lease, &fence, job).await;
        if !matches!(ended, Ended::Lost) {
            // What cannot be given back now is free after its time.
            let within = Deadline::after(&*self.clock, self.ttl.min(RELEASE_TIMEOUT));
            let _ = within
                .bound(&*self.clock, "release lease", self.store.release(&lease))
                .await;
        }
        match ended {
            Ended::Done(value) => Ok(Kept::Done(value)),
            Ended::Lost => Ok(Kept::Lost { token: lease.token }),
            Ended::Panicked(panic) => resume_unwind(panic),
        }
    }

    /// Polls the renewals first, so that a job which comes back from a freeze does nothing more.
    async fn beside<T, F>(
        &self,
        lease: &Lease,
        fence: &Fence,
        job: impl FnOnce(Fence) -> F + Send,
    ) -> Ended<T>
    where
        T: Send,
        F: Future<Output = T> + Send,
    {
        let mut keep = pin!(self.keep(lease, fence));
        let mut job = pin!(async { job(fence.clone()).await });
        poll_fn(|context| {
            if keep.as_mut().poll(context).is_ready() || !fence.holds() {
                return Poll::Ready(Ended::Lost);
            }
            match catch_unwind(AssertUnwindSafe(|| job.as_mut().poll(context))) {
                Ok(poll) => poll.map(Ended::Done),
                Err(panic) => Poll::Ready(Ended::Panicked(panic)),
            }
        })
        .await
    }

    /// Ends when the lease is lost. A store that does not answer is asked again until the time is over.
    async fn keep(&self, lease: &Lease, fence: &Fence) {
        let mut pause = self.ttl / 3;
        loop {
            self.clock.sleep(pause.min(fence.remaining())).await;
            if !fence.holds() {
                return;
            }
            let end = self.end();
            let patience = Deadline::after(&*self.clock, fence.remaining().min(self.ttl / 6));
            let renewed = patience.bound(&*self.clock, "renew lease", self.store.renew(lease));
            pause = match renewed.await {
                Ok(Some(_)) => {
                    *fence.end() = end;
                    self.ttl / 3
                }
                Ok(None) => return,
                Err(_) => self.ttl / 12,
            };
        }
    }

    fn believed(&self) -> Duration {
        self.ttl - self.ttl / DRIFT
    }

    /// Of a call that is sent now.
    fn end(&self) -> End {
        End {
            monotonic: self.clock.monotonic() + self.believed(),
            wall: self.clock.now() + self.believed(),
        }
    }
}

impl Fence {
    /// The run, as the store knows it. No other is called so, also where a store that has lost its last writes gives the same token again.
    pub fn holder(&self) -> &str {
        &self.holder
    }

    /// Grows with each holder of the name. What takes the job's writes can refuse a smaller one than it has seen.
    pub fn token(&self) -> u64 {
        self.token
    }

    /// Whether the lease is still this run's, by its own clocks. A job that does not give way for long looks here before it writes.
    pub fn holds(&self) -> bool {
        !self.remaining().is_zero()
    }

    /// What is left of it.
    pub fn remaining(&self) -> Duration {
        let end = *self.end();
        let monotonic = end.monotonic.saturating_sub(self.clock.monotonic());
        monotonic.min(end.wall.saturating_since(self.clock.now()))
    }

    fn end(&self) -> MutexGuard<'_, End> {
        self.end.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const TAKE: &str = "take lease";
const MAX_HOLDER: usize = 160;
/// The part of its time that a holder gives away for clocks that run differently: a hundredth. Crystals differ by a tenth of a thousandth.
const DRIFT: u32 = 100;
const RELEASE_TIMEOUT: Duration = Duration::from_secs(5);
