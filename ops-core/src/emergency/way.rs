use std::collections::BTreeMap;
use std::future::pending;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::AbortHandle;

use super::Engine;
use super::execute::Run;
use crate::model::{AbortCause, PlanKind, RunId, Snapshot, TargetId};
use crate::ports::{JournalEntry, JournalEvent};

/// Where a restore stands: whether it must go back, and what it has left behind so far.
#[derive(Debug)]
pub(super) struct Way {
    back: watch::Sender<Option<AbortCause>>,
    /// Whether the journal could not be read when it was looked into last: a newer stop would not be seen.
    pub(super) blind: AtomicBool,
    /// What the share before was seen to leave.
    left: Mutex<BTreeMap<TargetId, Snapshot>>,
}

impl Way {
    pub(super) fn new(left: BTreeMap<TargetId, Snapshot>) -> Self {
        Self {
            back: watch::Sender::new(None),
            blind: AtomicBool::new(false),
            left: Mutex::new(left),
        }
    }

    /// The first cause counts.
    pub(super) fn go_back(&self, cause: AbortCause) {
        self.back.send_if_modified(|back| {
            let first = back.is_none();
            back.get_or_insert(cause);
            first
        });
    }

    /// Ends when the restore must go back.
    pub(super) async fn must_go_back(&self) -> AbortCause {
        let mut back = self.back.subscribe();
        loop {
            if let Some(cause) = back.borrow_and_update().clone() {
                return cause;
            }
            if back.changed().await.is_err() {
                // The sender is in `self`: this cannot be.
                pending::<()>().await;
            }
        }
    }

    /// Whether it was told to go back already; asks nobody.
    pub(super) fn goes_back(&self) -> bool {
        self.back.borrow().is_some()
    }

    pub(super) fn left(&self, target: &TargetId) -> Option<Snapshot> {
        lock(&self.left).get(target).cloned()
    }

    pub(super) fn leave(&self, target: &TargetId, left: Snapshot) {
        lock(&self.left).insert(target.clone(), left);
    }
}

/// The restores that run in this process, so that an abort reaches them without a journal.
#[derive(Clone, Debug, Default)]
pub(super) struct Underway(Arc<Mutex<BTreeMap<RunId, Arc<Run>>>>);

impl Underway {
    /// Tells the restore to go back, if it is here.
    pub(super) fn go_back(&self, run: &RunId, cause: &AbortCause) {
        if let Some(run) = lock(&self.0).get(run) {
            run.way.go_back(cause.clone());
        }
    }

    fn enter(&self, run: &Arc<Run>) {
        lock(&self.0).insert(run.id.clone(), Arc::clone(run));
    }

    fn leave(&self, run: &RunId) {
        lock(&self.0).remove(run);
    }
}

/// As long as it lives, the restore can be aborted here and looks into the journal once a second.
#[derive(Debug)]
pub(super) struct Sentry {
    underway: Underway,
    run: RunId,
    task: AbortHandle,
}

impl Drop for Sentry {
    fn drop(&mut self) {
        self.task.abort();
        self.underway.leave(&self.run);
    }
}

/// How soon an abort or a stop by another process is noticed.
const LOOK: Duration = Duration::from_secs(1);

impl Engine {
    /// `None` for a stop: nothing turns it round.
    pub(super) fn sentry(&self, run: &Arc<Run>) -> Option<Sentry> {
        if !matches!(run.kind, PlanKind::Restore { .. }) {
            return None;
        }
        self.underway.enter(run);
        let (engine, watched) = (self.clone(), Arc::clone(run));
        let task = tokio::spawn(async move {
            loop {
                engine.clock.sleep(LOOK).await;
                if engine.turned_back(&watched).await.is_some() {
                    return;
                }
            }
        });
        Some(Sentry {
            underway: self.underway.clone(),
            run: run.id.clone(),
            task: task.abort_handle(),
        })
    }

    /// Looks now whether the restore must go back: by an abort, or because one of its targets was stopped anew.
    pub(super) async fn turned_back(&self, run: &Run) -> Option<AbortCause> {
        if let Some(cause) = self.told_to_go_back(run).await {
            return Some(cause);
        }
        let by = self.stopped_since(run, &run.targets).await?;
        let cause = AbortCause::Stopped { by };
        run.way.go_back(cause.clone());
        Some(cause)
    }

    /// Looks now whether the restore was told to go back.
    pub(super) async fn told_to_go_back(&self, run: &Run) -> Option<AbortCause> {
        let told = run.way.back.borrow().clone();
        if told.is_some() {
            return told;
        }
        let entries = match self.ledger.entries(&run.id).await {
            Ok(read) => {
                run.way.blind.store(read.missing.is_some(), Ordering::Relaxed);
                read.found
            }
            Err(_) => {
                run.way.blind.store(true, Ordering::Relaxed);
                return None;
            }
        };
        let cause = aborted(&entries)?;
        run.way.go_back(cause.clone());
        Some(cause)
    }
}

/// Why a run goes back, if it does.
pub(super) fn aborted(entries: &[JournalEntry]) -> Option<AbortCause> {
    entries.iter().find_map(|entry| match &entry.event {
        JournalEvent::Aborted { cause } => Some(cause.clone()),
        _ => None,
    })
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
