use std::future::Future;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;

use super::beside;
use super::shared::{READ_BUDGET, Shared};
use crate::error::Result;
use crate::ports::SwitchLink;
use crate::resilience::Deadline;

const CONNECT_BUDGET: Duration = Duration::from_secs(5);
const GOODBYE_BUDGET: Duration = Duration::from_secs(1);
/// So many failures in a row, and the store is connected anew.
const CONNECT_ANEW_AFTER: u32 = 5;
const FIRST_PAUSE: Duration = Duration::from_millis(50);

/// A store, and what goes on beside polling it; that ends when this is dropped.
struct Connected {
    link: SwitchLink,
    beside: JoinSet<()>,
}

/// The body of the thread.
pub(super) struct Worker<F> {
    shared: Arc<Shared>,
    connect: Arc<F>,
    stopping: watch::Receiver<bool>,
}

impl<F> Clone for Worker<F> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
            connect: Arc::clone(&self.connect),
            stopping: self.stopping.clone(),
        }
    }
}

impl<F, W> Worker<F>
where
    F: Fn() -> W + Send + Sync + 'static,
    W: Future<Output = Result<SwitchLink>> + Send + 'static,
{
    pub(super) fn new(shared: Arc<Shared>, connect: Arc<F>, stopping: watch::Receiver<bool>) -> Self {
        Self {
            shared,
            connect,
            stopping,
        }
    }

    /// Until it is told to end. A store that panics takes down one attempt.
    pub(super) async fn run(mut self) {
        loop {
            let attempt = tokio::spawn(self.clone().keep_up());
            match attempt.await {
                Ok(()) => return,
                Err(_) => {
                    self.shared.seen().fault = Some("the store panicked".to_owned());
                    tracing::error!("the switch store panicked; it is connected anew");
                }
            }
            tokio::select! {
                _ = self.stopping.wait_for(|stop| *stop) => return,
                () = self.shared.options.clock.sleep(self.shared.options.poll) => {}
            }
        }
    }

    async fn keep_up(mut self) {
        let shared = Arc::clone(&self.shared);
        let mut stopping = self.stopping.clone();
        let mut keeping = JoinSet::new();
        if let Some(path) = shared.options.last_known.clone() {
            beside::keep(&mut keeping, &shared, path);
        }
        let mut connected = None;
        tokio::select! {
            biased;
            _ = stopping.wait_for(|stop| *stop) => {}
            () = self.poll_for_ever(&mut connected) => {}
        }
        let Some(Connected { link, mut beside }) = connected else {
            return;
        };
        if let Some(processes) = link.processes {
            let clock = &*shared.options.clock;
            let goodbye = processes.remove(&shared.process.id);
            // If it fails, the row expires.
            beside.abort_all();
            let _ = Deadline::after(clock, GOODBYE_BUDGET)
                .bound(clock, "remove process", goodbye)
                .await;
        }
    }

    async fn poll_for_ever(&mut self, connected: &mut Option<Connected>) {
        let shared = Arc::clone(&self.shared);
        let clock = &*shared.options.clock;
        let mut failures = 0;
        loop {
            let polled = self.poll(connected).await;
            shared.judge_staleness();
            let pause = match polled {
                Ok(()) => {
                    failures = 0;
                    shared.options.poll.mul_f64(1.0 - 0.1 * chance())
                }
                Err(error) => {
                    if failures == 0 {
                        tracing::warn!(%error, "the switch store cannot be read; what is in force stays in force");
                    }
                    shared.seen().fault = Some(error.to_string());
                    failures += 1_u32;
                    if failures.is_multiple_of(CONNECT_ANEW_AFTER) {
                        // Its connections may be dead without knowing it, and the next ones are not.
                        *connected = None;
                    }
                    let longest = FIRST_PAUSE
                        .saturating_mul(1 << failures.min(10))
                        .min(shared.options.poll);
                    longest.mul_f64(0.5 + 0.5 * chance())
                }
            };
            tokio::select! {
                () = shared.poll_now.notified() => {}
                () = clock.sleep(pause) => {}
            }
        }
    }

    async fn poll(&mut self, connected: &mut Option<Connected>) -> Result<()> {
        let shared = &self.shared;
        let clock = &*shared.options.clock;
        if let Some(file) = &shared.options.file {
            let read = Deadline::after(clock, READ_BUDGET).bound(clock, "read switch file", file.read());
            // Unreadable: it keeps what it said last.
            if let Ok(state) = read.await {
                shared
                    .switch
                    .change(|layers, bit_of| layers.adopt_file(&state, bit_of));
            }
        }
        let Connected { link, .. } = match connected {
            Some(connected) => connected,
            None => {
                let connect = (self.connect)();
                let link =
                    Deadline::after(clock, CONNECT_BUDGET).bound(clock, "connect switch store", connect);
                let link = link.await?;
                let mut beside = JoinSet::new();
                if let Some(hints) = &link.hints {
                    beside::listen(&mut beside, shared, hints);
                }
                if let Some(processes) = &link.processes {
                    beside::report(&mut beside, shared, processes);
                }
                connected.insert(Connected { link, beside })
            }
        };
        let since = shared.switch.moment();
        let read = Deadline::after(clock, READ_BUDGET).bound(clock, "read switches", link.store.read());
        shared.adopt(read.await?, &since);
        Ok(())
    }
}

/// From 0 to 1, so that processes that began together do not stay together.
fn chance() -> f64 {
    let random = RandomState::new().hash_one(0_u8) >> 40;
    f64::from(u32::try_from(random).unwrap_or(0)) / f64::from(1_u32 << 24)
}
