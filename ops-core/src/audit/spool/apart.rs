use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use crate::durable::{Directory, Log, Place, damaged};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{AuditRecord, Digest};
use crate::ports::{AuditEntry, AuditOrigin};

/// Records that wait beside the segments, in `spool.jsonl`: those whose tenant's chain takes nothing for now, so that they hold up no other, and those of
/// the version that had this one file only.
#[derive(Debug)]
pub(super) struct Apart {
    log: Log,
}

/// One line of it.
#[derive(Serialize, Deserialize)]
#[serde(tag = "entry", rename_all = "snake_case")]
enum Line {
    Record {
        record: Box<AuditRecord>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        origin: Option<AuditOrigin>,
    },
    /// Names the content, not the id: two records may share an id, and then the store must see both.
    Gone { content: Digest },
}

impl Apart {
    pub(super) fn new(directory: &Directory) -> Self {
        Self {
            log: Log::new(directory.file("spool.jsonl"), "ops-spool/1"),
        }
    }

    pub(super) fn pending(&self) -> Result<Vec<(Digest, AuditEntry)>> {
        self.undelivered(self.log.read()?)
    }

    /// Returns when they survive a power cut.
    pub(super) fn keep(&self, entries: Vec<AuditEntry>) -> Result<()> {
        self.append(entries.into_iter().map(|entry| Line::Record {
            record: Box::new(entry.record),
            origin: entry.origin,
        }))
    }

    pub(super) fn remove(&self, contents: Vec<Digest>) -> Result<()> {
        self.append(contents.into_iter().map(|content| Line::Gone { content }))
    }

    fn append(&self, lines: impl Iterator<Item = Line>) -> Result<()> {
        let texts: Vec<_> = lines
            .map(|line| serde_json::to_string(&line))
            .collect::<Result<_, _>>()
            .map_err(|source| Error::new(ErrorKind::InvalidInput, "write audit spool").source(source))?;
        match texts.is_empty() {
            true => Ok(()),
            false => self.log.lock()?.append(&texts),
        }
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

    fn undelivered(&self, lines: Vec<(u64, String)>) -> Result<Vec<(Digest, AuditEntry)>> {
        let mut records = Vec::new();
        let mut known = HashSet::new();
        let mut gone = HashSet::new();
        for (number, text) in lines {
            let line = serde_json::from_str(&text)
                .map_err(|_| damaged("read audit spool", self.log.path(), number, "is no spool entry"))?;
            match line {
                Line::Record { record, origin } => {
                    let content = Digest::of(text.as_bytes());
                    if known.insert(content) {
                        records.push((content, AuditEntry::new(*record, origin)));
                    }
                }
                Line::Gone { content } => {
                    gone.insert(content);
                }
            }
        }
        records.retain(|(content, _)| !gone.contains(content));
        Ok(records)
    }
}
