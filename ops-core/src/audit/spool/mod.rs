//! Audit records that wait on this machine until the store takes them.

mod apart;
mod producer;
mod quota;
mod writer;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use serde::Serialize;
use tokio::sync::Notify;
use tracing::error;

use self::apart::Apart;
use self::producer::{Leftover, Producer, held};
pub use self::quota::SpoolQuota;
use self::writer::FULL;
use crate::clock::SystemClock;
use crate::durable::{Directory, Lock, Log, blocking, write_plain};
use crate::error::{Error, ErrorKind, Result, Retry};
use crate::failpoint::fail_point;
use crate::model::{AuditRecord, Timestamp};
use crate::ports::{Appended, AuditEntry, AuditStore, Clock, PiiMasker};
use crate::resilience::{Deadline, caught};

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
    /// Records whose tenant's chain takes nothing until a person has looked at it: they wait apart from the others.
    pub stuck: u64,
    /// Records that are still in the spool.
    pub pending: u64,
    /// When the one that came first was made.
    pub oldest: Option<Timestamp>,
    /// Bytes that the spool takes on the disk, room taken beforehand included.
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
            let mut records: Vec<_> = files
                .apart
                .pending()?
                .into_iter()
                .map(|(_, entry)| entry.record)
                .collect();
            for leftover in Leftover::all(&files.directory)? {
                let entries = leftover.next(usize::MAX)?.entries;
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
            let apart = files.apart.pending()?;
            let leftovers = Leftover::all(&files.directory)?;
            let mut status = SpoolStatus {
                records: apart.len() as u64,
                bytes: held(&leftovers)?,
                oldest: apart.iter().map(|(_, entry)| entry.record.at).min(),
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
    /// Dropping the future may leave records both stored and pending; the next delivery stores nothing twice.
    pub async fn deliver(&self, store: &dyn AuditStore) -> Result<Delivered> {
        self.deliver_whole(store, None).await
    }

    /// As [`deliver`](Self::deliver); with a masker, the text of a refusal is kept, masked.
    pub(super) async fn deliver_whole(
        &self,
        store: &dyn AuditStore,
        masker: Option<&dyn PiiMasker>,
    ) -> Result<Delivered> {
        let mut delivered = self.deliver_some(store, masker, usize::MAX).await?;
        let left = self.status().await?;
        delivered.pending = left.records;
        delivered.oldest = left.oldest;
        delivered.bytes = left.bytes;
        Ok(delivered)
    }

    /// The same with at most so many batches of each process, and without a look at what is left: that reads all of it.
    pub(super) async fn deliver_some(
        &self,
        store: &dyn AuditStore,
        masker: Option<&dyn PiiMasker>,
        batches: usize,
    ) -> Result<Delivered> {
        let mut delivered = Delivered::default();
        let files = Arc::clone(&self.files);
        let turn = blocking("read audit spool", move || {
            Lock::try_take(&files.directory.file("deliver.lock"))
        })
        .await?;
        delivered.elsewhere = turn.is_none();
        if turn.is_some() {
            self.deliver_all(store, masker, batches, &mut delivered).await?;
        }
        drop(turn);
        self.files.went.notify_waiters();
        Ok(delivered)
    }

    async fn deliver_all(
        &self,
        store: &dyn AuditStore,
        masker: Option<&dyn PiiMasker>,
        batches: usize,
        delivered: &mut Delivered,
    ) -> Result<()> {
        if !self.deliver_apart(store, masker, delivered).await? {
            return Ok(());
        }
        let files = Arc::clone(&self.files);
        let leftovers = blocking("read audit spool", move || Leftover::all(&files.directory)).await?;
        for mut leftover in leftovers {
            let mut caught_up = false;
            for _ in 0..batches {
                let (back, batch) = blocking("read audit spool", move || {
                    let batch = leftover.next(AT_ONCE)?;
                    Ok((leftover, batch))
                })
                .await?;
                leftover = back;
                // Of a process that goes on recording, what came meanwhile is left to the next time.
                caught_up = batch.entries.len() < AT_ONCE;
                delivered.unsettled |= batch.unsettled;
                if batch.is_empty() {
                    break;
                }
                let Some(stuck) = self.hand_over(store, masker, &batch.entries, delivered).await? else {
                    return Ok(());
                };
                fail_point!("audit.deliver.stored");
                self.report(&batch, delivered);
                let files = Arc::clone(&self.files);
                leftover = blocking("shrink audit spool", move || {
                    for (name, bytes) in &batch.damaged {
                        write_plain(&files.directory.file(&format!("damaged-{name}")), bytes)?;
                    }
                    for (name, bytes) in &batch.torn {
                        write_plain(&files.directory.file(&format!("torn-{name}")), bytes)?;
                    }
                    files.apart.keep(stuck)?;
                    leftover.delivered(&batch)?;
                    Ok(leftover)
                })
                .await?;
                if caught_up {
                    break;
                }
            }
            delivered.more |= !caught_up;
            blocking("shrink audit spool", move || leftover.clear()).await?;
        }
        Ok(())
    }

    /// Those that wait apart. `false` when the store cannot take more now.
    async fn deliver_apart(
        &self,
        store: &dyn AuditStore,
        masker: Option<&dyn PiiMasker>,
        delivered: &mut Delivered,
    ) -> Result<bool> {
        let files = Arc::clone(&self.files);
        let pending = blocking("read audit spool", move || files.apart.pending()).await?;
        for part in pending.chunks(AT_ONCE) {
            let entries: Vec<_> = part.iter().map(|(_, entry)| entry.clone()).collect();
            let Some(stuck) = self.hand_over(store, masker, &entries, delivered).await? else {
                return Ok(false);
            };
            let gone = part
                .iter()
                .filter(|(_, entry)| !stuck.contains(entry))
                .map(|(content, _)| *content);
            let (files, gone) = (Arc::clone(&self.files), gone.collect());
            blocking("shrink audit spool", move || files.apart.remove(gone)).await?;
        }
        let files = Arc::clone(&self.files);
        blocking("shrink audit spool", move || files.apart.shrink()).await?;
        Ok(true)
    }

    fn report(&self, batch: &producer::Batch, delivered: &mut Delivered) {
        delivered.missing += batch.missing;
        delivered.damaged += batch.damaged.len() as u64;
        if batch.missing > 0 || !batch.damaged.is_empty() {
            error!(
                missing = batch.missing,
                damaged = batch.damaged.len(),
                "audit records in the spool were lost or damaged"
            );
        }
    }

    /// Gives records to the store, in their order; those whose tenant's chain takes nothing. `None` when it cannot take more now: some may be stored already.
    async fn hand_over(
        &self,
        store: &dyn AuditStore,
        masker: Option<&dyn PiiMasker>,
        entries: &[AuditEntry],
        delivered: &mut Delivered,
    ) -> Result<Option<Vec<AuditEntry>>> {
        let mut stuck = Vec::new();
        // One that breaks a whole batch is looked for by halves, so that the others are stored.
        let mut parts = vec![entries];
        while let Some(part) = parts.pop() {
            if part.is_empty() {
                continue;
            }
            match self.ask(store, part).await {
                Ok(answers) => {
                    for (entry, answer) in part.iter().zip(answers) {
                        match answer {
                            Appended::Stored(_) | Appended::Known(_) => {
                                delivered.stored += 1;
                                delivered.newest_stored = delivered.newest_stored.max(Some(entry.record.at));
                            }
                            Appended::Refused(error) => {
                                self.set_aside(masker, &entry.record, &error, delivered).await?;
                            }
                            Appended::Stuck(error) => {
                                stuck.push(entry.clone());
                                delivered.stuck += 1;
                                delivered.error.get_or_insert(error);
                            }
                        }
                    }
                }
                Err(error) if error.retry() == Retry::Never && part.len() > 1 => {
                    let (first, second) = part.split_at(part.len() / 2);
                    parts.extend([second, first]);
                }
                Err(error) if is_final(&error) => {
                    for entry in part {
                        self.set_aside(masker, &entry.record, &error, delivered).await?;
                    }
                }
                Err(error) => {
                    delivered.error = Some(error);
                    return Ok(None);
                }
            }
        }
        Ok(Some(stuck))
    }

    /// A store that hangs must not keep the turn, nor one that panics end the task.
    async fn ask(&self, store: &dyn AuditStore, entries: &[AuditEntry]) -> Result<Vec<Appended>> {
        let answers = Deadline::after(&*self.clock, ANSWER)
            .bound(&*self.clock, DELIVER, caught(DELIVER, store.append_all(entries)))
            .await?;
        match answers.len() == entries.len() {
            true => Ok(answers),
            false => Err(Error::new(ErrorKind::Unavailable, DELIVER)
                .context("cause", "the store did not answer for each record")),
        }
    }

    async fn set_aside(
        &self,
        masker: Option<&dyn PiiMasker>,
        record: &AuditRecord,
        error: &Error,
        delivered: &mut Delivered,
    ) -> Result<()> {
        let said = masker.map_or_else(
            || error.kind().to_string(),
            |masker| masker.mask(&error.to_string()).into_owned(),
        );
        error!(id = %record.id, kind = %error.kind(), "the audit store will never take this record: it is set aside");
        let (files, record) = (Arc::clone(&self.files), record.clone());
        blocking("set audit record aside", move || files.refuse(&record, said)).await?;
        delivered.refused += 1;
        Ok(())
    }
}

impl Files {
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

/// Whether the store will say the same of this one record however often it is asked. A conflict of a whole call is no such answer: one record's is a value.
fn is_final(error: &Error) -> bool {
    error.kind() == ErrorKind::InvalidInput && error.retry() == Retry::Never
}

const DELIVER: &str = "deliver audit records";
/// How long the store may take for a batch.
const ANSWER: Duration = Duration::from_secs(60);

/// How often a record that waits for room looks for it: another process may have made it.
const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// How many records are delivered before the place is written down.
const AT_ONCE: usize = 4096;
