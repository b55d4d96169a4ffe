use std::io;

use super::forest::Forest;
use super::manifest::{EvidencePart, EvidencePosition};
use super::part::PartWriter;
use super::run::Gathering;
use super::{PART, codec};
use crate::audit::Checkpoint;
use crate::audit::leaf::{content, link_content};
use crate::audit::leaf_hash;
use crate::audit::removals::Removals;
use crate::durable::Directory;
use crate::model::{Digest, TenantId};
use crate::ports::{AuditFault, AuditQuery, TrailEntry, TrailRows};

/// Writes the parts of an export, and checks the trail on the way. Constant memory.
pub(super) struct Writer {
    directory: Directory,
    tenant: TenantId,
    query: AuditQuery,
    /// Checkpoints that the trail must still fit, smallest first.
    seen: Vec<Checkpoint>,
    most_bytes: u64,
    part: Option<PartWriter>,
    entries: Vec<u8>,
    pending: u64,
    gathering: Gathering,
    removals: Removals,
    /// What was read last.
    entry: TrailEntry,
    walked: Walked,
}

/// What became of the trail while it was written.
#[derive(Debug, Default)]
pub(super) struct Walked {
    pub(super) parts: Vec<EvidencePart>,
    pub(super) records: u64,
    pub(super) left_out: u64,
    pub(super) removed: u64,
    pub(super) first: Option<EvidencePosition>,
    pub(super) last: Option<EvidencePosition>,
    /// The newest position.
    pub(super) size: u64,
    pub(super) head: Option<Digest>,
    /// The root over the trail; `None` once a leaf is not known.
    pub(super) root: Option<Digest>,
    pub(super) faults: Vec<AuditFault>,
    pub(super) fault_count: u64,
    tree: Option<Forest>,
}

impl Writer {
    pub(super) fn new(
        directory: Directory,
        tenant: TenantId,
        query: AuditQuery,
        mut seen: Vec<Checkpoint>,
        most_bytes: u64,
    ) -> Self {
        // One over nothing fits every trail.
        seen.retain(|checkpoint| checkpoint.size > 0);
        seen.sort_by_key(|checkpoint| checkpoint.size);
        Self {
            directory,
            tenant,
            query,
            seen,
            most_bytes,
            part: None,
            entries: Vec::with_capacity(2 * FLUSH),
            pending: 0,
            gathering: Gathering::default(),
            removals: Removals::default(),
            entry: nothing(),
            walked: Walked {
                tree: Some(Forest::at(0)),
                ..Walked::default()
            },
        }
    }

    /// Takes the next positions.
    pub(super) fn push(&mut self, rows: &mut dyn TrailRows) -> io::Result<()> {
        // Written over by each row.
        let mut entry = std::mem::replace(&mut self.entry, nothing());
        while rows.read(&mut entry) {
            let sequence = entry.sequence();
            let expected = self.walked.size + 1;
            if sequence != expected {
                self.walked.fault(
                    expected,
                    format!("expected position {expected}, found {sequence}"),
                );
                self.walked.tree = None;
                self.walked.head = None;
            }
            if !self.gathering.takes(sequence) {
                self.end_run();
            }
            let follows = sequence == 1 || self.walked.head.is_some();
            let previous = self.walked.head;
            match &entry {
                TrailEntry::Record { receipt, record } => {
                    let content = content(record);
                    if follows && link_content(previous.as_ref(), sequence, &content) != receipt.hash {
                        let what = "the record does not fit its hash and the record before";
                        self.walked.fault(sequence, what);
                    }
                    self.removals.record(sequence, record);
                    if record.tenant != self.tenant {
                        self.walked.fault(sequence, "belongs to another tenant");
                    }
                    let leaf = leaf_hash(content.as_bytes());
                    if self.query.matches(record) {
                        self.end_run();
                        codec::write_record(&mut self.entries, receipt, record);
                        let position = EvidencePosition::new(sequence, record.at);
                        self.walked.first.get_or_insert(position);
                        self.walked.last = Some(position);
                        self.walked.records += 1;
                        self.pending += 1;
                    } else {
                        self.gathering.push(sequence, receipt.hash, leaf);
                        self.walked.left_out += 1;
                    }
                    self.walked.grow(Some(leaf));
                    self.walked.head = Some(receipt.hash);
                }
                TrailEntry::Removed { receipt, content, .. } => {
                    if follows && link_content(previous.as_ref(), sequence, content) != receipt.hash {
                        let what =
                            "what stands for a removed record does not fit its hash and the record before";
                        self.walked.fault(sequence, what);
                    }
                    self.removals.removed(sequence);
                    let leaf = leaf_hash(content.as_bytes());
                    self.gathering.push(sequence, receipt.hash, leaf);
                    self.walked.left_out += 1;
                    self.walked.removed += 1;
                    self.walked.grow(Some(leaf));
                    self.walked.head = Some(receipt.hash);
                }
                TrailEntry::Unreadable { what, .. } => {
                    self.end_run();
                    codec::write_unreadable(&mut self.entries, sequence, what);
                    self.walked.fault(sequence, what.as_str());
                    self.walked.grow(None);
                    self.walked.head = None;
                }
            }
            self.walked.size = sequence;
            self.compare();
            if self.entries.len() >= FLUSH {
                self.flush()?;
            }
        }
        self.entry = entry;
        Ok(())
    }

    /// Ends the last part.
    pub(super) fn finish(mut self) -> io::Result<Walked> {
        self.end_run();
        self.flush()?;
        if let Some(part) = self.part.take() {
            self.walked.parts.push(part.finish()?);
        }
        for fault in self.removals.faults() {
            self.walked.fault(fault.sequence, fault.what);
        }
        for seen in std::mem::take(&mut self.seen) {
            self.walked.fault(
                self.walked.size,
                format!(
                    "has {} records, and {} were signed before: the newest were cut off",
                    self.walked.size, seen.size
                ),
            );
        }
        self.walked.root = self.walked.tree.take().map(|tree| tree.root());
        Ok(self.walked)
    }

    /// Compares the trail with the checkpoints over just so many records.
    fn compare(&mut self) {
        while self
            .seen
            .first()
            .is_some_and(|seen| seen.size <= self.walked.size)
        {
            let seen = self.seen.remove(0);
            let root = self.walked.tree.as_ref().map(Forest::root);
            if seen.size == self.walked.size && root != Some(seen.root) {
                self.walked.fault(
                    seen.size,
                    "is not the trail that was signed before: its hashes were computed anew",
                );
            }
            // So that whoever has the same checkpoint can compare too.
            self.end_run();
        }
    }

    fn end_run(&mut self) {
        if let Some(run) = self.gathering.take() {
            codec::write_left_out(&mut self.entries, &run);
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.entries.is_empty() {
            return Ok(());
        }
        let first = self.walked.parts.last().map_or(1, |part| part.last + 1);
        let part = match &mut self.part {
            Some(part) => part,
            None => {
                let name = format!("{PART}{:05}.zst", self.walked.parts.len() + 1);
                self.part
                    .insert(PartWriter::create(&self.directory, name, first)?)
            }
        };
        // A run that is still gathered belongs to what follows.
        let last = self
            .gathering
            .begins()
            .map_or(self.walked.size, |begin| begin - 1);
        part.write(&self.entries, self.pending, last)?;
        self.entries.clear();
        self.pending = 0;
        if part.bytes() >= self.most_bytes
            && let Some(part) = self.part.take()
        {
            self.walked.parts.push(part.finish()?);
        }
        Ok(())
    }
}

impl Walked {
    pub(super) fn fault(&mut self, sequence: u64, what: impl Into<String>) {
        self.fault_count += 1;
        if self.faults.len() < super::fault::MOST_FAULTS {
            self.faults.push(AuditFault::new(sequence, what));
        }
    }

    fn grow(&mut self, leaf: Option<Digest>) {
        match (&mut self.tree, leaf) {
            (Some(tree), Some(leaf)) => tree.push(leaf),
            (tree, _) => *tree = None,
        }
    }
}

/// Before the first row.
fn nothing() -> TrailEntry {
    TrailEntry::Unreadable {
        sequence: 0,
        what: String::new(),
    }
}

/// How much is gathered before it is compressed.
const FLUSH: usize = 256 * 1024;
