//! What keeps a [`KillSwitch`] up to date: a thread of its own, so that a blocked runtime holds up no stop.

mod beside;
mod health;
mod last_known;
mod options;
mod shared;
mod worker;

use std::future::Future;
use std::sync::Arc;
use std::thread::JoinHandle;

use tokio::sync::watch;

pub use self::health::SwitchHealth;
pub use self::options::RefreshOptions;
use self::shared::Shared;
use self::worker::Worker;
use super::KillSwitch;
use crate::error::{Error, ErrorKind, Result};
use crate::ports::SwitchLink;

/// Polls the shared store, listens for hints, writes staleness into the switch, and tells what this process has applied. It ends, and the
/// process is no longer listed, when this is dropped; dropping waits for that, a second or two at most.
///
/// A stop made elsewhere is in force here within the poll interval and one round trip; where hints arrive, within milliseconds. An outage of the
/// store is survived: what was in force stays in force, subject to [`OnStale`](crate::config::OnStale).
#[derive(Debug)]
pub struct SwitchRefresher {
    shared: Arc<Shared>,
    stop: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

impl SwitchRefresher {
    /// Begins. `connect` makes the store in the thread's own runtime, again and again until it succeeds. What the file of
    /// [`RefreshOptions::with_last_known`] says is in force when this returns, whether the store can be reached or not.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`] when the system gives no thread.
    pub fn start<F, W>(switch: Arc<KillSwitch>, options: RefreshOptions, connect: F) -> Result<Self>
    where
        F: Fn() -> W + Send + Sync + 'static,
        W: Future<Output = Result<SwitchLink>> + Send + 'static,
    {
        let failed = |source| Error::new(ErrorKind::Unavailable, "start switch refresher").source(source);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(failed)?;
        let (stop, stopping) = watch::channel(false);
        let shared = Arc::new(Shared::new(switch, options));
        shared.begin_with_last_known();
        let worker = Worker::new(Arc::clone(&shared), Arc::new(connect), stopping);
        let thread = std::thread::Builder::new()
            .name("ops-switch".to_owned())
            .spawn(move || {
                runtime.block_on(worker.run());
                runtime.shutdown_background();
            })
            .map_err(failed)?;
        Ok(Self {
            shared,
            stop,
            thread: Some(thread),
        })
    }

    /// How well this process knows what the others have decided.
    pub fn health(&self) -> SwitchHealth {
        self.shared.health()
    }
}

impl Drop for SwitchRefresher {
    fn drop(&mut self) {
        self.stop.send_replace(true);
        if let Some(thread) = self.thread.take() {
            // Its panics are its own; there is nothing left to do.
            let _ = thread.join();
        }
    }
}
