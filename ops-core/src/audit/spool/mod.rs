//! Audit records that wait on this machine until the store takes them.

mod legacy;
mod producer;
mod writer;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;
use tracing::error;

use self::legacy::Legacy;
use self::producer::{Leftover, Producer};
use crate::durable::{Directory, Lock, Log, blocking, write_plain};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{AuditRecord, Timestamp};
use crate::ports::{AuditStore, PiiMasker};

/// Keeps audit records on this machine while the audit store cannot take them.
///
/// - [`append`](Self::append) returns when the record survives a power cut. Callers at the same time share one disk write.
/// - A record leaves the spool only after the store's `Ok`; delivered twice, it is stored once, because the store knows its
///   id. A record that the store will never take (a conflict, an invalid record) is moved to `refused.jsonl` with the reason,
///   for a person to look at.
/// - The records of a process are numbered without a gap: one that is gone is counted ([`Delivered::missing`]). Bytes that are no
///   record are kept in `damaged-…` and counted; what follows them is delivered. The torn end of a file, which a crash in the middle of a write
///   leaves, is kept in `torn-…` and not counted.
/// - After a failed sync a file is never written or synced again: the records go to another file, or their callers are told.
///
/// Clones share the spool; so may other processes of the same machine: each appends to a directory of its own, and any of them delivers for all.
/// There is no limit but the disk's.
#[derive(Clone, Debug)]
pub struct Spool {
    files: Arc<Files>,
}

/// What a delivery did.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Delivered {
    /// Records that the store has now.
    pub stored: u64,
    /// Records that the store will never take, moved to `refused.jsonl`.
    pub refused: u64,
    /// Records that are still in the spool.
    pub pending: u64,
    /// Records that a process kept and that are no longer there.
    pub missing: u64,
    /// Places that held no record, kept in files called `damaged-…`.
    pub damaged: u64,
    /// Why the delivery ended early.
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
    /// When the oldest of them was made.
    pub oldest: Option<Timestamp>,
}

#[derive(Debug)]
struct Files {
    directory: Directory,
    legacy: Legacy,
    refused: Log,
    producer: Mutex<Option<Arc<Producer>>>,
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
            legacy: Legacy::new(&directory),
            refused: Log::new(directory.file("refused.jsonl"), "ops-spool-refused/1"),
            producer: Mutex::default(),
            directory,
        };
        Ok(Self {
            files: Arc::new(files),
        })
    }

    /// Keeps a record. Its text must be masked: the spool keeps what it gets.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`], [`ErrorKind::PermissionDenied`], [`ErrorKind::Timeout`].
    ///
    /// # Cancellation
    /// Dropping the future may leave the record kept; keeping it again is harmless.
    pub async fn append(&self, record: AuditRecord) -> Result<()> {
        let files = Arc::clone(&self.files);
        // The first record of a process makes its directory.
        let known = files.known();
        let producer = match known {
            Some(producer) => producer,
            None => {
                let at = record.at;
                blocking("spool audit record", move || files.producer(at)).await?
            }
        };
        producer.append(&record).await
    }

    /// The records that are not delivered, in the order in which they came.
    ///
    /// # Errors
    /// As [`append`](Self::append); [`ErrorKind::Unexpected`] for a spool that is damaged or of a newer version.
    pub async fn pending(&self) -> Result<Vec<AuditRecord>> {
        let files = Arc::clone(&self.files);
        blocking("read audit spool", move || {
            let mut records: Vec<_> = files
                .legacy
                .pending()?
                .into_iter()
                .map(|(_, record)| record)
                .collect();
            for leftover in Leftover::all(&files.directory)? {
                records.extend(leftover.next(usize::MAX)?.records);
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
        let records = self.pending().await?;
        let files = Arc::clone(&self.files);
        let bytes = blocking("read audit spool", move || {
            let leftovers = Leftover::all(&files.directory)?;
            leftovers.iter().map(Leftover::bytes_held).sum::<Result<u64>>()
        })
        .await?;
        Ok(SpoolStatus {
            records: records.len() as u64,
            bytes,
            oldest: records.iter().map(|record| record.at).min(),
        })
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
        self.deliver_masked(store, None).await
    }

    /// As [`deliver`](Self::deliver); with a masker, the text of a refusal is kept, masked.
    pub(super) async fn deliver_masked(
        &self,
        store: &dyn AuditStore,
        masker: Option<&dyn PiiMasker>,
    ) -> Result<Delivered> {
        let mut delivered = Delivered::default();
        let files = Arc::clone(&self.files);
        let turn = blocking("read audit spool", move || {
            Lock::try_take(&files.directory.file("deliver.lock"))
        })
        .await?;
        if turn.is_some() {
            self.deliver_all(store, masker, &mut delivered).await?;
        }
        drop(turn);
        delivered.pending = self.pending().await?.len() as u64;
        Ok(delivered)
    }

    async fn deliver_all(
        &self,
        store: &dyn AuditStore,
        masker: Option<&dyn PiiMasker>,
        delivered: &mut Delivered,
    ) -> Result<()> {
        let files = Arc::clone(&self.files);
        let pending = blocking("read audit spool", move || files.legacy.pending()).await?;
        for (content, record) in pending {
            if !self.hand_over(store, masker, record, delivered).await? {
                return Ok(());
            }
            let files = Arc::clone(&self.files);
            blocking("shrink audit spool", move || files.legacy.remove(content)).await?;
        }
        let files = Arc::clone(&self.files);
        let leftovers = blocking("shrink audit spool", move || {
            files.legacy.shrink()?;
            Leftover::all(&files.directory)
        })
        .await?;
        for mut leftover in leftovers {
            loop {
                let (back, batch) = blocking("read audit spool", move || {
                    let batch = leftover.next(AT_ONCE)?;
                    Ok((leftover, batch))
                })
                .await?;
                leftover = back;
                if batch.is_empty() {
                    break;
                }
                for record in &batch.records {
                    if !self.hand_over(store, masker, record.clone(), delivered).await? {
                        return Ok(());
                    }
                }
                self.report(&batch, delivered);
                let files = Arc::clone(&self.files);
                leftover = blocking("shrink audit spool", move || {
                    for (name, bytes) in &batch.damaged {
                        write_plain(&files.directory.file(&format!("damaged-{name}")), bytes)?;
                    }
                    for (name, bytes) in &batch.torn {
                        write_plain(&files.directory.file(&format!("torn-{name}")), bytes)?;
                    }
                    leftover.delivered(&batch)?;
                    Ok(leftover)
                })
                .await?;
            }
            blocking("shrink audit spool", move || leftover.clear()).await?;
        }
        Ok(())
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

    /// `false` when the store cannot take more now.
    async fn hand_over(
        &self,
        store: &dyn AuditStore,
        masker: Option<&dyn PiiMasker>,
        record: AuditRecord,
        delivered: &mut Delivered,
    ) -> Result<bool> {
        match store.append(&record).await {
            Ok(_) => delivered.stored += 1,
            Err(error) if is_final(&error) => {
                let said = masker.map_or_else(
                    || error.kind().to_string(),
                    |masker| masker.mask(&error.to_string()).into_owned(),
                );
                let files = Arc::clone(&self.files);
                blocking("set audit record aside", move || files.refuse(&record, said)).await?;
                delivered.refused += 1;
            }
            Err(error) => {
                delivered.error = Some(error);
                return Ok(false);
            }
        }
        Ok(true)
    }
}

impl Files {
    fn known(&self) -> Option<Arc<Producer>> {
        self.producer
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn producer(&self, at: Timestamp) -> Result<Arc<Producer>> {
        let mut producer = self.producer.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = &*producer {
            return Ok(Arc::clone(known));
        }
        let started = Arc::new(Producer::start(&self.directory, at)?);
        *producer = Some(Arc::clone(&started));
        Ok(started)
    }

    fn refuse(&self, record: &AuditRecord, error: String) -> Result<()> {
        let refused = Refused { record, error };
        let text = serde_json::to_string(&refused)
            .map_err(|source| Error::new(ErrorKind::InvalidInput, "set audit record aside").source(source))?;
        self.refused.lock()?.append(&[text])
    }
}

/// Whether the store will say the same however often it is asked.
fn is_final(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Conflict | ErrorKind::InvalidInput)
}

/// How many records are delivered before the place is written down.
const AT_ONCE: usize = 256;
