//! Audit records that wait on this machine until the store takes them.

mod ahead;
mod apart;
mod delivery;
mod producer;
mod quota;
mod size;
mod writer;

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use serde::Serialize;
use tokio::sync::Notify;

use self::apart::Apart;
use self::delivery::Delivery;
use self::producer::{Leftover, Most, Producer, held};
pub use self::quota::SpoolQuota;
use self::size::Size;
use self::writer::FULL;
use crate::clock::SystemClock;
use crate::durable::{Directory, Lock, Log, blocking};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{AuditRecord, TenantId, Timestamp};
use crate::ports::{AuditStore, Clock, PiiMasker};
use crate::resilience::Deadline;

/// Keeps audit records on this machine while the audit store cannot take them.
///
/// - [`append`](Self::append) returns when the record survives a power cut. Callers at the same time share one disk write.
/// - A record leaves the spool only after the store's `Ok`; delivered twice, it is stored once, because the store knows its
///   id. A record that the store will never take (a conflict, an invalid record) is moved to `refused.jsonl` with the reason,
///   for a person to look at. Those of a tenant whose chain takes nothing wait in `spool.jsonl` and hold up no other.
/// - The records of a process are numbered without a gap: one that is gone is counted ([`Delivered::missing`]). Bytes that are no
///   record are kept in `damaged-…` and counted; what follows them is delivered. The torn end of a file, which a crash in the middle of a write
///   leaves, is kept in `torn-…` and not counted.
/// - After a failed sync a file is never written or synced again: the records go to another file, or their callers are told.
///
/// Clones share the spool; so may other processes of the same machine: each appends to a directory of its own, and any of them delivers for all.
/// There is no limit but the disk's unless [`with_quota`](Self::with_quota) sets one.
#[derive(Clone, Debug)]
pub struct Spool {
    files: Arc<Files>,
    quota: Arc<SpoolQuota>,
    clock: Arc<dyn Clock>,
}

/// What a delivery did.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Delivered {
    /// Records that the store has now.
    pub stored: u64,
    /// Records that the store will never take, moved to `refused.jsonl`.
    pub refused: u64,
    /// Records that were given and whose tenant's chain takes nothing until a person has looked at it: they wait apart from the others.
    pub stuck: u64,
    /// Records that are still in the spool.
    pub pending: u64,
    /// When the one that came first was made.
    pub oldest: Option<Timestamp>,
    /// Bytes that what waits takes on the disk, room taken beforehand included.
    pub bytes: u64,
    /// When the newest record that was stored was made.
    pub newest_stored: Option<Timestamp>,
    /// Records that a process kept and that are no longer there.
    pub missing: u64,
    /// Places that held no record, kept in files called `damaged-…`.
    pub damaged: u64,
    /// Another process was at it, so that nothing was done here.
    pub elsewhere: bool,
    /// There was more than was asked for at once.
    pub(super) more: bool,
    /// A process that lives has bytes that are no record, or none yet.
    pub(super) unsettled: bool,
    /// It ended early.
    pub(super) cut: bool,
    /// Some wait apart.
    pub(super) apart: bool,
    /// How long bringing them took.
    pub(super) apart_took: Duration,
    /// Why the delivery ended early, or why some are stuck.
    pub error: Option<Error>,
}

/// How full the spool is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SpoolStatus {
    /// Records that wait.
    pub records: u64,
    /// Bytes on the disk, room taken beforehand included.
    pub bytes: u64,
    /// When the one that came first was made.
    pub oldest: Option<Timestamp>,
    /// Disk writes of this process so far: callers at the same time share one.
    pub writes: u64,
}

#[derive(Debug)]
struct Files {
    directory: Directory,
    apart: Apart,
    refused: Log,
    /// Of batches of the segments, and of those of what waits apart.
    size: Size,
    size_apart: Size,
    /// Tenants of which the store did not take a lone record in time when it was given last.
    slow: Mutex<HashSet<TenantId>>,
    producer: OnceLock<Arc<Producer>>,
    /// Held while the first record of this process makes its directory.
    starting: Mutex<()>,
    /// A record came.
    came: Notify,
    /// Records went, so that there may be room.
    went: Notify,
}

/// One line of `refused.jsonl`.
#[derive(Serialize)]
struct Refused<'a> {
    record: &'a AuditRecord,
    error: String,
}

impl Spool {
    /// Opens the spool in `directory`, making it if it is missing. Blocks for a directory look-up.
    ///
    /// # Errors
    /// [`ErrorKind::PermissionDenied`] and [`ErrorKind::Unavailable`] when the directory cannot be made.
    pub fn open(directory: impl Into<PathBuf>) -> Result<Self> {
        let directory = Directory::open(directory)?;
        let files = Files {
            apart: Apart::new(&directory),
            refused: Log::new(directory.file("refused.jsonl"), "ops-spool-refused/1"),
            size: Size::default(),
            size_apart: Size::default(),
            slow: Mutex::default(),
            producer: OnceLock::new(),
            starting: Mutex::default(),
            came: Notify::new(),
            went: Notify::new(),
            directory,
        };
        Ok(Self {
            files: Arc::new(files),
            quota: Arc::new(SpoolQuota::default()),
            clock: Arc::new(SystemClock::new()),
        })
    }

    /// Sets how much the spool may take and what happens at the limit. `clock` tells how long a record has waited for room.
    ///
    /// The limit is that of the directory; each process keeps to its own. Set it before the first record.
    #[must_use]
    pub fn with_quota(mut self, quota: SpoolQuota, clock: Arc<dyn Clock>) -> Self {
        self.quota = Arc::new(quota);
        self.clock = clock;
        self
    }

    /// The limit.
    pub fn quota(&self) -> &SpoolQuota {
        &self.quota
    }

    /// Keeps a record. Its text must be masked: the spool keeps what it gets.
    ///
    /// # Errors
    /// [`ErrorKind::RateLimited`] when there is no room, neither in the quota nor on the disk: at once for an action that
    /// [`SpoolQuota::refuse`] names, else after [`SpoolQuota::wait`]. The caller of such an action must not go on with it. Otherwise
    /// [`ErrorKind::Unavailable`], [`ErrorKind::PermissionDenied`].
    ///
    /// # Cancellation
    /// Dropping the future may leave the record kept; keeping it again is harmless.
    pub async fn append(&self, record: AuditRecord) -> Result<()> {
        let files = Arc::clone(&self.files);
        // The first record of a process makes its directory.
        let producer = match files.producer.get() {
            Some(producer) => Arc::clone(producer),
            None => {
                let (at, quota) = (record.at, self.quota.bytes);
                blocking("spool audit record", move || files.start(at, quota)).await?
            }
        };
        let deadline = Deadline::after(&*self.clock, self.quota.wait);
        loop {
            match producer.append(&record).await {
                Ok(()) => {
                    self.files.came.notify_one();
                    return Ok(());
                }
                Err(full) if full.kind() == FULL => {
                    if self.quota.refuses(&record.action) || deadline.passed(&*self.clock) {
                        return Err(full.context("action", record.action));
                    }
                    // Room may come from here, or from another process.
                    let pause = deadline.remaining(&*self.clock).min(LOOK_AGAIN);
                    tokio::select! {
                        () = self.files.went.notified() => {}
                        () = self.clock.sleep(pause) => {}
                    }
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Returns when a record came since the last time that this was asked.
    pub(super) async fn came(&self) {
        self.files.came.notified().await;
    }

    /// The records that are not delivered, in the order in which they came.
    ///
    /// # Errors
    /// As [`append`](Self::append); [`ErrorKind::Unexpected`] for a spool that is damaged or of a newer version.
    pub async fn pending(&self) -> Result<Vec<AuditRecord>> {
        let files = Arc::clone(&self.files);
        blocking("read audit spool", move || {
            let apart = files.apart.pending()?;
            let mut records: Vec<_> = apart.into_iter().map(|entry| entry.record).collect();
            for leftover in Leftover::all(&files.directory)? {
                let entries = leftover.next(Most::ALL)?.entries;
                records.extend(entries.into_iter().map(|entry| entry.record));
            }
            Ok(records)
        })
        .await
    }

    /// How full it is.
    ///
    /// # Errors
    /// As [`pending`](Self::pending).
    pub async fn status(&self) -> Result<SpoolStatus> {
        let files = Arc::clone(&self.files);
        blocking("read audit spool", move || {
            let (records, oldest) = files.apart.waiting()?;
            let leftovers = Leftover::all(&files.directory)?;
            let mut status = SpoolStatus {
                records,
                bytes: held(&files.directory, &leftovers)?,
                oldest,
                writes: files.producer.get().map_or(0, |producer| producer.writes()),
            };
            for leftover in leftovers {
                let waiting = leftover.waiting()?;
                status.records += waiting.records;
                status.oldest = status.oldest.into_iter().chain(waiting.oldest).min();
            }
            Ok(status)
        })
        .await
    }

    /// Hands all pending records to `store`, those of one process in their order. Ends early when the store cannot take more now, and at
    /// once when another process is at it. Of a refusal, only its kind is kept: a spool has no masker.
    ///
    /// # Errors
    /// As [`pending`](Self::pending): the spool itself failed. What the store said is in [`Delivered::error`].
    ///
    /// # Cancellation
    /// Dropping the future may leave records both stored and pending; the next delivery stores nothing twice. What it was doing on the disk goes on, and keeps
    /// others from delivering until it has ended.
    pub async fn deliver(&self, store: &dyn AuditStore) -> Result<Delivered> {
        self.deliver_whole(store, None).await
    }

    /// As [`deliver`](Self::deliver); with a masker, the text of a refusal is kept, masked.
    pub(super) async fn deliver_whole(
        &self,
        store: &dyn AuditStore,
        masker: Option<&dyn PiiMasker>,
    ) -> Result<Delivered> {
        let mut delivered = self.deliver_some(store, masker, usize::MAX, true).await?;
        let left = self.status().await?;
        delivered.pending = left.records;
        delivered.oldest = left.oldest;
        delivered.bytes = left.bytes;
        Ok(delivered)
    }

    /// The same with at most so many batches of each process, with or without what waits apart, and without a look at what is left: that reads all of it.
    pub(super) async fn deliver_some(
        &self,
        store: &dyn AuditStore,
        masker: Option<&dyn PiiMasker>,
        batches: usize,
        apart: bool,
    ) -> Result<Delivered> {
        let files = Arc::clone(&self.files);
        let turn = blocking("read audit spool", move || {
            Lock::try_take(&files.directory.file("deliver.lock"))
        })
        .await?;
        let Some(turn) = turn else {
            return Ok(Delivered {
                elsewhere: true,
                ..Delivered::default()
            });
        };
        let delivered = Delivery::new(self, turn, store, masker).run(batches, apart).await;
        self.files.went.notify_waiters();
        delivered
    }
}

impl Files {
    fn slow(&self) -> HashSet<TenantId> {
        self.slow.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn take_slow(&self) -> HashSet<TenantId> {
        std::mem::take(&mut *self.slow.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn keep_slow(&self, tenants: impl IntoIterator<Item = TenantId>) {
        let mut slow = self.slow.lock().unwrap_or_else(PoisonError::into_inner);
        slow.extend(tenants);
    }

    fn start(&self, at: Timestamp, quota: Option<u64>) -> Result<Arc<Producer>> {
        let _alone = self.starting.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = self.producer.get() {
            return Ok(Arc::clone(known));
        }
        let started = Arc::new(Producer::start(&self.directory, at, quota)?);
        Ok(Arc::clone(self.producer.get_or_init(|| started)))
    }

    fn refuse(&self, record: &AuditRecord, error: String) -> Result<()> {
        let refused = Refused { record, error };
        let text = serde_json::to_string(&refused)
            .map_err(|source| Error::new(ErrorKind::InvalidInput, "set audit record aside").source(source))?;
        self.refused.lock()?.append(&[text])
    }
}

/// How often a record that waits for room looks for it: another process may have made it.
const LOOK_AGAIN: Duration = Duration::from_millis(50);
