use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tracing::{Instrument as _, error, info_span, warn};

use super::trouble::Trouble;
use super::{CheckpointKeeper, SIGN};
use crate::audit::{Checkpoint, Growth, Tree};
use crate::durable::{Directory, Lock, short_name};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{TenantId, Timestamp};
use crate::ports::{ArchiveName, Clock};
use crate::resilience::Deadline;

/// What a [`CheckpointTask`] has done, and what it has found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CheckpointStatus {
    /// How often it has looked at all trails.
    pub looks: u64,
    /// Checkpoints that it has signed.
    pub signed: u64,
    /// Those that are in the archive.
    pub archived: u64,
    /// How often a trail could not be looked at, was at fault, or its checkpoint could not be kept.
    pub failures: u64,
    /// Trails that had records and no checkpoint to be compared with: the first time of a tenant, or somebody took its file away.
    pub begun: u64,
    /// What is wrong with a trail or with its checkpoint, masked, as of the last look that came to an end. Somebody must look: nothing is signed for this tenant until it
    /// is mended.
    pub faults: BTreeMap<TenantId, String>,
    /// What failed last, masked; `None`: the last look kept a checkpoint of every trail, in the archive too.
    pub error: Option<String>,
    /// When the last look ended that kept one of every trail, in the archive too.
    pub whole: Option<Timestamp>,
}

impl CheckpointStatus {
    /// The same in the text format of Prometheus. No tenant is named.
    pub fn metrics(&self) -> String {
        let mut text = String::new();
        let whole = self.whole.map_or(0.0, |at| at.as_unix_micros() as f64 / 1e6);
        for (name, kind, help, value) in [
            (
                "ops_audit_trails_faulty",
                "gauge",
                "Trails that do not fit what was signed.",
                self.faults.len() as f64,
            ),
            (
                "ops_audit_checkpoints_signed_total",
                "counter",
                "Checkpoints that were signed.",
                self.signed as f64,
            ),
            (
                "ops_audit_checkpoint_failures_total",
                "counter",
                "How often a trail could not be looked at, or a checkpoint not be kept.",
                self.failures as f64,
            ),
            (
                "ops_audit_checkpoints_kept_timestamp_seconds",
                "gauge",
                "When a checkpoint of every trail was kept last; 0: not yet.",
                whole,
            ),
        ] {
            let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}");
        }
        text
    }
}

/// A task that keeps checkpoints of trails, at once and then again and again. Dropping it ends it where it is: each file holds the old checkpoint or the new one.
#[derive(Debug)]
#[must_use = "dropping it ends it"]
pub struct CheckpointTask {
    status: watch::Receiver<CheckpointStatus>,
    stop: watch::Sender<bool>,
    clock: Arc<dyn Clock>,
    task: Option<JoinHandle<()>>,
}

impl CheckpointKeeper {
    /// Starts a task that looks at the trails of `tenants` every `every`, and keeps a file for each in `directory`. A trail that does not fit is logged as an
    /// error, once for each thing that is found, and stands in [`CheckpointStatus::faults`].
    ///
    /// An archive that does not answer is left in peace until the next look.
    ///
    /// # Errors
    /// [`ErrorKind::Conflict`] when another process keeps checkpoints in this directory; [`ErrorKind::InvalidConfig`] for an interval of zero;
    /// [`ErrorKind::InvalidInput`] for a log or a tenant that cannot be named in a checkpoint or in the archive; those of the disk.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn start(
        self,
        directory: impl Into<PathBuf>,
        tenants: impl IntoIterator<Item = TenantId>,
        every: Duration,
    ) -> Result<CheckpointTask> {
        if every.is_zero() {
            return Err(Error::new(ErrorKind::InvalidConfig, SIGN).context("every", "must be more than 0 s"));
        }
        let tenants: Vec<_> = tenants.into_iter().collect();
        // A name that cannot be is said now.
        for tenant in &tenants {
            let Checkpoint { origin, .. } = Checkpoint::of(self.log(), tenant, &Tree::new())?;
            if let Some(shelf) = &self.shelf {
                ArchiveName::new(format!("{}/{origin}/0", shelf.folder))?;
            }
        }
        let directory = Directory::open(directory)?;
        let place = directory.file(LOCK);
        let Some(lock) = Lock::try_take(&place)? else {
            return Err(Error::new(ErrorKind::Conflict, SIGN)
                .context("file", place.display().to_string())
                .context("reason", "another process keeps checkpoints in this directory"));
        };
        let (stop, stopping) = watch::channel(false);
        let (told, status) = watch::channel(CheckpointStatus::default());
        let clock = Arc::clone(&self.clock);
        let work = Work {
            tenants,
            keeper: self,
            directory,
            every,
            told,
        };
        let task = tokio::spawn(
            async move {
                work.run(stopping).await;
                drop(lock);
            }
            .instrument(info_span!("audit checkpoints")),
        );
        Ok(CheckpointTask {
            status,
            stop,
            clock,
            task: Some(task),
        })
    }
}

impl CheckpointTask {
    /// What it has done so far.
    pub fn status(&self) -> CheckpointStatus {
        self.status.borrow().clone()
    }

    /// Whether it is at work; `false` after a panic of the store.
    pub fn is_running(&self) -> bool {
        self.task.as_ref().is_some_and(|task| !task.is_finished())
    }

    /// Ends the task once all trails have been looked at once more, and says what was found; after `budget` it ends where it is, and the status says so. Call it behind the end of
    /// the drain, so that what came last is signed too.
    pub async fn stop(mut self, budget: Duration) -> CheckpointStatus {
        self.stop.send_replace(true);
        let ended = match self.task.take() {
            None => Ok(()),
            Some(task) => {
                let abort = task.abort_handle();
                let ended = async { task.await.map_err(|_| Error::new(ErrorKind::Unexpected, SIGN)) };
                let deadline = Deadline::after(&*self.clock, budget);
                let ended = deadline.bound(&*self.clock, SIGN, ended).await;
                abort.abort();
                ended
            }
        };
        let mut status = self.status();
        if let Err(error) = ended {
            status.error = Some(
                error
                    .context("reason", "the last look did not come to its end")
                    .to_string(),
            );
        }
        status
    }
}

impl Drop for CheckpointTask {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

struct Work {
    keeper: CheckpointKeeper,
    directory: Directory,
    tenants: Vec<TenantId>,
    every: Duration,
    told: watch::Sender<CheckpointStatus>,
}

impl Work {
    async fn run(&self, mut stopping: watch::Receiver<bool>) {
        loop {
            // Told to end, it looks once more: what came last is signed, too.
            let last = *stopping.borrow_and_update();
            let (mut answers, mut failed) = (true, None);
            for tenant in &self.tenants {
                if let Err(error) = self.look(tenant, &mut answers).await {
                    failed = Some(error);
                }
            }
            let now = self.keeper.clock.now();
            self.told.send_modify(|status| {
                status.looks += 1;
                if failed.is_none() {
                    status.whole = Some(now);
                }
                status.error = failed;
            });
            if last {
                return;
            }
            tokio::select! {
                _ = stopping.changed() => {}
                () = self.keeper.clock.sleep(self.every) => {}
            }
        }
    }

    /// One trail. `answers`: whether the archive does. What failed, masked.
    async fn look(&self, tenant: &TenantId, answers: &mut bool) -> std::result::Result<(), String> {
        let file = self.directory.file(&short_name(tenant.as_str()));
        let (bring, masker) = (*answers, &self.keeper.masker);
        let masked = |error: &Error| masker.mask(&error.to_string()).into_owned();
        let looked = self.keeper.look(tenant, &file, bring).await;
        let mut fault = None;
        let failed = match looked {
            Ok(kept) => {
                let records = kept.checkpoint.size;
                let begun = kept.growth == Growth::First && records > 0;
                if begun {
                    warn!(%tenant, records, "no checkpoint to compare the audit trail with: this is the first one");
                }
                self.told.send_modify(|status| {
                    status.faults.remove(tenant);
                    status.signed += u64::from(kept.signed);
                    status.begun += u64::from(begun);
                    status.archived += u64::from(matches!(kept.archived, Some(Ok(_))));
                });
                match kept.archived {
                    Some(Err(error)) => {
                        *answers = false;
                        let error = masked(&error);
                        warn!(%tenant, error, "the checkpoint of the audit trail is not in the archive for now");
                        Some(error)
                    }
                    _ => None,
                }
            }
            Err(Trouble::Fault(error)) => {
                fault = Some(masked(&error));
                fault.clone()
            }
            // Nothing is known about the trail: what was found before holds.
            Err(Trouble::Passing(error)) => {
                let error = masked(&error);
                warn!(%tenant, error, "no checkpoint of the audit trail for now");
                Some(error)
            }
        };
        if let Some(fault) = fault {
            let known = self.told.borrow().faults.get(tenant) == Some(&fault);
            if !known {
                error!(%tenant, fault, "the audit trail is not what was signed; preserve it, and find out who may write it");
            }
            self.told
                .send_modify(|status| drop(status.faults.insert(tenant.clone(), fault)));
        }
        match failed {
            None => Ok(()),
            Some(failed) => {
                self.told.send_modify(|status| status.failures += 1);
                Err(failed)
            }
        }
    }
}

const LOCK: &str = ".lock";
