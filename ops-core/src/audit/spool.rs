use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::durable::{Directory, Log, Place, blocking, damaged};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{AuditRecord, Digest};
use crate::ports::{AuditStore, PiiMasker};

/// Keeps audit records on this machine while the audit store cannot take them.
///
/// A record leaves the spool only after the store's `Ok`; delivered twice, it is stored once, because the store knows its
/// id. A record that the store will never take (a conflict, an invalid record) is moved to `refused.jsonl` with the reason,
/// for a person to look at. Clones share the spool; so may other processes of the same machine.
///
/// There is no limit but the disk's, and each record waits for the disk by itself.
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
    /// Why the delivery ended early.
    pub error: Option<Error>,
}

#[derive(Debug)]
struct Files {
    spool: Log,
    refused: Log,
}

/// One line of the spool.
#[derive(Serialize, Deserialize)]
#[serde(tag = "entry", rename_all = "snake_case")]
enum Entry {
    Record {
        record: AuditRecord,
    },
    /// Names the content, not the id: two records may share an id, and then the store must see both.
    Gone {
        content: Digest,
    },
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
            spool: Log::new(directory.file("spool.jsonl"), "ops-spool/1"),
            refused: Log::new(directory.file("refused.jsonl"), "ops-spool-refused/1"),
        };
        Ok(Self {
            files: Arc::new(files),
        })
    }

    /// Keeps a record. Its text must be masked: the spool keeps what it gets.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`], [`ErrorKind::PermissionDenied`], [`ErrorKind::Timeout`]; [`ErrorKind::Unexpected`] for a spool
    /// that is damaged or foreign.
    ///
    /// # Cancellation
    /// Dropping the future may leave the record kept; keeping it again is harmless.
    pub async fn append(&self, record: AuditRecord) -> Result<()> {
        let files = Arc::clone(&self.files);
        blocking("spool audit record", move || {
            let text = write(&Entry::Record { record })?;
            files.spool.lock()?.append(&[text])
        })
        .await
    }

    /// The records that are not delivered, in the order in which they came.
    ///
    /// # Errors
    /// As [`append`](Self::append).
    pub async fn pending(&self) -> Result<Vec<AuditRecord>> {
        let files = Arc::clone(&self.files);
        let pending = blocking("read audit spool", move || files.pending(files.spool.read()?)).await?;
        Ok(pending.into_iter().map(|(_, record)| record).collect())
    }

    /// Hands all pending records to `store`, oldest first. Ends early when the store cannot take more now. Of a refusal, only its kind
    /// is kept: a spool has no masker.
    ///
    /// # Errors
    /// As [`append`](Self::append): the spool itself failed. What the store said is in [`Delivered::error`].
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
        let pending = blocking("read audit spool", move || files.pending(files.spool.read()?)).await?;
        for (content, record) in pending {
            match store.append(&record).await {
                Ok(_) => {
                    self.remove(content).await?;
                    delivered.stored += 1;
                }
                Err(error) if is_final(&error) => {
                    let said = masker.map_or_else(
                        || error.kind().to_string(),
                        |masker| masker.mask(&error.to_string()).into_owned(),
                    );
                    self.refuse(content, record, said).await?;
                    delivered.refused += 1;
                }
                Err(error) => {
                    delivered.error = Some(error);
                    break;
                }
            }
        }
        let files = Arc::clone(&self.files);
        delivered.pending = blocking("shrink audit spool", move || files.shrink()).await?;
        Ok(delivered)
    }

    async fn remove(&self, content: Digest) -> Result<()> {
        let files = Arc::clone(&self.files);
        blocking("shrink audit spool", move || {
            files.spool.lock()?.append(&[write(&Entry::Gone { content })?])
        })
        .await
    }

    async fn refuse(&self, content: Digest, record: AuditRecord, error: String) -> Result<()> {
        let files = Arc::clone(&self.files);
        blocking("set audit record aside", move || {
            let refused = Refused {
                record: &record,
                error,
            };
            files.refused.lock()?.append(&[write(&refused)?])
        })
        .await?;
        self.remove(content).await
    }
}

impl Files {
    fn pending(&self, lines: Vec<(u64, String)>) -> Result<Vec<(Digest, AuditRecord)>> {
        let mut records = Vec::new();
        let mut known = HashSet::new();
        let mut gone = HashSet::new();
        for (number, text) in lines {
            let entry = serde_json::from_str(&text)
                .map_err(|_| damaged("read audit spool", self.spool.path(), number, "is no spool entry"))?;
            match entry {
                Entry::Record { record } => {
                    let content = Digest::of(text.as_bytes());
                    if known.insert(content) {
                        records.push((content, record));
                    }
                }
                Entry::Gone { content } => {
                    gone.insert(content);
                }
            }
        }
        records.retain(|(content, _)| !gone.contains(content));
        Ok(records)
    }

    /// Empties the file if nothing in it is pending; says how much is.
    fn shrink(&self) -> Result<u64> {
        let locked = self.spool.lock()?;
        let (lines, _) = locked.read_after(Place::default())?;
        let full = !lines.is_empty();
        let pending = self.pending(self.spool.whole(lines)?)?.len();
        if full && pending == 0 {
            locked.clear()?;
        }
        Ok(pending as u64)
    }
}

/// Whether the store will say the same however often it is asked.
fn is_final(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Conflict | ErrorKind::InvalidInput)
}

fn write(entry: &impl Serialize) -> Result<String> {
    serde_json::to_string(entry)
        .map_err(|source| Error::new(ErrorKind::InvalidInput, "write audit spool").source(source))
}
