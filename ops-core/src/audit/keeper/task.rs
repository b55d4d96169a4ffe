use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tracing::{Instrument as _, error, info_span, warn};

use super::{CheckpointKeeper, SIGN};
use crate::audit::{Checkpoint, Growth, Tree};
use crate::durable::{Directory, Lock, file_name};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{TenantId, Timestamp};

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
    /// How often a trail could not be looked at, or a checkpoint not be kept.
    pub failures: u64,
    /// What is wrong with a trail, masked, as of the last look that came to an end. Somebody must look: nothing is signed for this tenant until it is mended.
    pub faults: BTreeMap<TenantId, String>,
    /// What failed last, masked; `None`: the last look kept a checkpoint of every trail.
    pub error: Option<String>,
    /// When the last look ended that kept one of every trail.
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

/// A task that keeps checkpoints of trails, at once and then again and again. Dropping it ends it behind the trail that it looks at.
#[derive(Debug)]
pub struct CheckpointTask {
    status: watch::Receiver<CheckpointStatus>,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl CheckpointKeeper {
    /// Starts a task that looks at the trails of `tenants` every `every`, and keeps a file for each in `directory`. A trail that does not fit is logged as an
    /// error, once for each thing that is found, and stands in [`CheckpointStatus::faults`].
    ///
    /// # Errors
    /// [`ErrorKind::Conflict`] when another process keeps checkpoints in this directory; [`ErrorKind::InvalidConfig`] for an interval of zero;
    /// [`ErrorKind::InvalidInput`] for a log whose name cannot be one; those of the disk.
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
            Checkpoint::of(self.log(), tenant, &Tree::new())?;
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
        Ok(CheckpointTask { status, stop, task })
    }
}

impl CheckpointTask {
    /// What it has done so far.
    pub fn status(&self) -> CheckpointStatus {
        self.status.borrow().clone()
    }

    /// Ends the task once all trails have been looked at, and says what was found.
    pub async fn stop(self) -> CheckpointStatus {
        let Self { status, stop, task } = self;
        stop.send_replace(true);
        // Its panics are its own.
        let _ = task.await;
        status.borrow().clone()
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
            let (mut whole, mut failed) = (true, None);
            for tenant in &self.tenants {
                // Dropped: nobody waits for the rest.
                if stopping.has_changed().is_err() {
                    return;
                }
                if let Err(error) = self.look(tenant).await {
                    whole = false;
                    failed = Some(self.masked(&error));
                }
            }
            let now = self.keeper.clock.now();
            self.told.send_modify(|status| {
                status.looks += 1;
                status.error = failed;
                if whole {
                    status.whole = Some(now);
                }
            });
            if last {
                return;
            }
            tokio::select! {
                changed = stopping.changed() => {
                    if changed.is_err() {
                        return;
                    }
                }
                () = self.keeper.clock.sleep(self.every) => {}
            }
        }
    }

    async fn look(&self, tenant: &TenantId) -> Result<()> {
        let file = self.directory.file(&file_name(tenant.as_str()));
        let kept = self.keeper.keep(tenant, file).await;
        let kept = match kept {
            Ok(kept) => {
                let (signed, archived) = (kept.growth != Growth::Same, matches!(kept.archived, Some(Ok(_))));
                self.told.send_modify(|status| {
                    status.signed += u64::from(signed);
                    status.archived += u64::from(archived);
                });
                kept.archived.transpose().map(|_| ())
            }
            Err(error) => Err(error),
        };
        self.told
            .send_modify(|status| status.failures += u64::from(kept.is_err()));
        let fault = match &kept {
            Ok(()) => None,
            Err(error) if error.kind() == ErrorKind::Conflict => Some(self.masked(error)),
            // Nothing is known about the trail: what was found before holds.
            Err(error) => {
                warn!(%tenant, error = self.masked(error), "no checkpoint of the audit trail for now");
                return kept;
            }
        };
        let known = self.told.borrow().faults.get(tenant).cloned();
        if let Some(fault) = fault.as_ref().filter(|fault| known.as_ref() != Some(fault)) {
            error!(%tenant, fault, "the audit trail is not what was signed; preserve it, and find out who may write it");
        }
        self.told.send_if_modified(|status| match fault {
            Some(fault) => {
                status.faults.insert(tenant.clone(), fault);
                true
            }
            None => status.faults.remove(tenant).is_some(),
        });
        kept
    }

    fn masked(&self, error: &Error) -> String {
        self.keeper.masker.mask(&error.to_string()).into_owned()
    }
}

const LOCK: &str = ".lock";
