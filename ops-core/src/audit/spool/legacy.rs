use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use crate::durable::{Directory, Log, Place, damaged};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{AuditRecord, Digest};

/// The one file of lines that the spool was before, `spool.jsonl`: still delivered, never written to but for what is delivered.
#[derive(Debug)]
pub(super) struct Legacy {
    log: Log,
}

/// One line of it.
#[derive(Serialize, Deserialize)]
#[serde(tag = "entry", rename_all = "snake_case")]
enum Entry {
    Record {
        record: Box<AuditRecord>,
    },
    /// Names the content, not the id: two records may share an id, and then the store must see both.
    Gone {
        content: Digest,
    },
}

impl Legacy {
    pub(super) fn new(directory: &Directory) -> Self {
        Self {
            log: Log::new(directory.file("spool.jsonl"), "ops-spool/1"),
        }
    }

    pub(super) fn pending(&self) -> Result<Vec<(Digest, AuditRecord)>> {
        self.undelivered(self.log.read()?)
    }

    pub(super) fn remove(&self, content: Digest) -> Result<()> {
        let text = serde_json::to_string(&Entry::Gone { content })
            .map_err(|source| Error::new(ErrorKind::InvalidInput, "write audit spool").source(source))?;
        self.log.lock()?.append(&[text])
    }

    /// Empties the file if nothing in it is pending.
    pub(super) fn shrink(&self) -> Result<()> {
        if self.log.read()?.is_empty() {
            return Ok(());
        }
        let locked = self.log.lock()?;
        let (lines, _) = locked.read_after(Place::default())?;
        if self.undelivered(self.log.whole(lines)?)?.is_empty() {
            locked.clear()?;
        }
        Ok(())
    }

    fn undelivered(&self, lines: Vec<(u64, String)>) -> Result<Vec<(Digest, AuditRecord)>> {
        let mut records = Vec::new();
        let mut known = HashSet::new();
        let mut gone = HashSet::new();
        for (number, text) in lines {
            let entry = serde_json::from_str(&text)
                .map_err(|_| damaged("read audit spool", self.log.path(), number, "is no spool entry"))?;
            match entry {
                Entry::Record { record } => {
                    let content = Digest::of(text.as_bytes());
                    if known.insert(content) {
                        records.push((content, *record));
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
}
