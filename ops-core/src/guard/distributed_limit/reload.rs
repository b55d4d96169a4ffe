//! How an instance comes to work with the table that the store holds.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use tokio::sync::watch;

use super::force::{Force, timestamp};
use super::{Inner, PUBLISH, READ};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{LimitTable, LimitTime};
use crate::ports::{Clock, Published};
use crate::resilience::Deadline;

/// A look-up of the table that holds, in a task of its own. All who need it wait for the same, each as long as it can.
#[derive(Clone, Debug, Default)]
pub(super) struct Reloading {
    result: Option<watch::Receiver<Option<bool>>>,
}

impl Reloading {
    fn is_running(&self) -> bool {
        let running = |result: &watch::Receiver<Option<bool>>| {
            result.borrow().is_none() && result.has_changed().is_ok()
        };
        self.result.as_ref().is_some_and(running)
    }

    /// Waits for its end: whether the limits of this instance are those that hold now.
    pub(super) async fn ended(self) -> bool {
        let Some(mut result) = self.result else {
            return false;
        };
        // An error is a runtime that ends.
        match result.wait_for(Option::is_some).await {
            Ok(ended) => *ended == Some(true),
            Err(_) => false,
        }
    }

    /// The same, until `deadline` at most; it goes on meanwhile.
    pub(super) async fn within(self, deadline: Deadline, clock: &dyn Clock) -> bool {
        let ended = async { Ok(self.ended().await) };
        deadline.bound(clock, READ, ended).await.unwrap_or(false)
    }
}

impl Inner {
    /// Begins to make the limits of this instance those that hold at `at`, where `version` was said to hold, unless that is under way. A store
    /// that answers, but gives and takes no limits, is of no use (a replica that was never written to): the breaker hears of it, once.
    pub(super) fn reload(self: &Arc<Self>, version: u64, at: LimitTime) -> Reloading {
        let mut reloading = self.reloading.lock().unwrap_or_else(PoisonError::into_inner);
        if reloading.is_running() {
            return reloading.clone();
        }
        let (tell, result) = watch::channel(None);
        *reloading = Reloading { result: Some(result) };
        let inner = Arc::clone(self);
        tokio::spawn(async move {
            let reloaded = inner.reload_alone(version, at).await;
            match &reloaded {
                Ok(()) => inner.breaker.succeeded(),
                Err(error) => {
                    tracing::debug!(kind = %error.kind(), "the limits that hold could not be read");
                    inner.breaker.failed(inner.clock.monotonic());
                }
            }
            let _ = tell.send(Some(reloaded.is_ok()));
        });
        reloading.clone()
    }

    async fn reload_alone(&self, version: u64, at: LimitTime) -> Result<()> {
        let force = self.force();
        if force.is_agreed() && force.stamp().version == version {
            // It holds, at another time.
            return match force.stamp().holds(version, at) {
                true => Ok(()),
                false => self.refresh(at),
            };
        }
        self.agree_with_store(at).await
    }

    /// Shows the store the table of this instance, and takes over what holds then: a store that has none, or an old one, lost what held.
    pub(super) async fn agree_with_store(&self, at: LimitTime) -> Result<()> {
        let force = self.force();
        let own = force.table();
        let kept = match self.patiently(PUBLISH, self.store.publish(own)).await? {
            Published::Taken => return self.agree(own.clone(), at),
            Published::Kept { version } => version,
        };
        let stored = self.patiently(READ, self.store.table()).await?;
        let stored = stored.ok_or_else(|| Error::new(ErrorKind::Unexpected, READ))?;
        if kept == own.version && !self.differs.swap(true, Ordering::Relaxed) {
            tracing::error!(
                version = kept,
                "the store has other limits of the version that this instance was given, and they hold: raise the version of the new ones"
            );
        }
        self.agree(stored, at)
    }

    /// Works with `table`, which the store holds, unless a newer one came meanwhile.
    pub(super) fn agree(&self, table: LimitTable, at: LimitTime) -> Result<()> {
        let mut force = self.force.write().unwrap_or_else(PoisonError::into_inner);
        if force.is_agreed() && table.version < force.stamp().version {
            return Ok(());
        }
        if table.version > force.stamp().version {
            self.differs.store(false, Ordering::Relaxed);
        }
        let next = Force::at(table, at, force.generation() + 1)?.agreed();
        tracing::info!(version = next.stamp().version, at = %timestamp(at), "other limits hold");
        *force = Arc::new(next);
        Ok(())
    }

    /// The same table as it holds at `at`: a change of it may have ended.
    pub(super) fn refresh(&self, at: LimitTime) -> Result<()> {
        let mut force = self.force.write().unwrap_or_else(PoisonError::into_inner);
        let mut next = Force::at(force.table().clone(), at, force.generation() + 1)?;
        if force.is_agreed() {
            next = next.agreed();
        }
        *force = Arc::new(next);
        Ok(())
    }
}
