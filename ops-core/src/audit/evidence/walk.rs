use super::codec::PartEntry;
use super::fault::{EvidenceFault, EvidenceFaultKind as Kind, EvidenceVerdict};
use super::forest::Forest;
use super::manifest::{EvidenceManifest, EvidencePart, EvidencePosition};
use super::run::LeftOut;
use crate::audit::Checkpoint;
use crate::audit::leaf::{content, link_content};
use crate::audit::leaf_hash;
use crate::model::{AuditRecord, Digest};
use crate::ports::{AuditQuery, AuditReceipt};

/// Goes over the entries of all parts, in order, and says what is wrong with them. Constant memory.
#[derive(Debug)]
pub(super) struct Walk<'a> {
    manifest: &'a EvidenceManifest,
    query: AuditQuery,
    /// Checkpoints to compare with, smallest first.
    seen: Vec<Checkpoint>,
    file: &'a str,
    /// The position that was read last, and the largest of all.
    last: u64,
    top: u64,
    /// The chain's hash at `last`; `None` when it is not known.
    previous: Option<Digest>,
    /// `None` once a leaf is not known.
    tree: Option<Forest>,
    /// Positions that were passed over and may still come.
    missing: Vec<(u64, u64)>,
    misfits: Vec<Misfit>,
    renumbered: bool,
    records: u64,
    left_out: u64,
    first_record: Option<EvidencePosition>,
    last_record: Option<EvidencePosition>,
}

/// A record that does not fit where it stands.
#[derive(Debug)]
struct Misfit {
    file: String,
    sequence: u64,
    previous: Option<Digest>,
    hash: Digest,
    content: Digest,
}

impl<'a> Walk<'a> {
    pub(super) fn new(manifest: &'a EvidenceManifest, mut seen: Vec<Checkpoint>) -> Self {
        // One over nothing fits every trail.
        seen.retain(|checkpoint| checkpoint.size > 0);
        seen.sort_by_key(|checkpoint| checkpoint.size);
        Self {
            manifest,
            query: manifest.filter.query(),
            seen,
            file: "",
            last: 0,
            top: 0,
            previous: None,
            tree: Some(Forest::at(0)),
            missing: Vec::new(),
            misfits: Vec::new(),
            renumbered: false,
            records: 0,
            left_out: 0,
            first_record: None,
            last_record: None,
        }
    }

    /// What follows is of this part.
    pub(super) fn enter(&mut self, part: &'a EvidencePart) {
        self.file = &part.name;
    }

    /// What is between here and the end of `part` is not known.
    pub(super) fn lose(&mut self, part: &EvidencePart) {
        self.last = self.last.max(part.last);
        self.top = self.top.max(part.last);
        self.previous = None;
        self.tree = None;
    }

    pub(super) fn take(&mut self, entry: &PartEntry, verdict: &mut EvidenceVerdict) {
        match entry {
            PartEntry::Record { receipt, record } => self.record(receipt, record, verdict),
            PartEntry::LeftOut(run) => self.left_out(run, verdict),
            PartEntry::Unreadable { sequence, what } => {
                self.arrive(*sequence, *sequence, verdict);
                verdict.push(self.fault(Kind::Unreadable, what.clone()).at(*sequence));
                self.previous = None;
                self.tree = None;
            }
        }
    }

    fn record(&mut self, receipt: &AuditReceipt, record: &AuditRecord, verdict: &mut EvidenceVerdict) {
        let sequence = receipt.sequence;
        let follows = self.arrive(sequence, sequence, verdict);
        if record.tenant != self.manifest.tenant {
            let what = "belongs to another tenant";
            verdict.push(self.fault(Kind::MovedBetweenTenants, what).at(sequence));
        }
        if !self.query.matches(record) {
            let what = "is not one that the filter takes";
            verdict.push(self.fault(Kind::OutsideFilter, what).at(sequence));
        }
        let content = content(record);
        if follows && link_content(self.previous.as_ref(), sequence, &content) != receipt.hash {
            self.misfit(receipt, content, verdict);
        }
        if let Some(tree) = &mut self.tree {
            tree.push(leaf_hash(content.as_bytes()));
        }
        self.previous = Some(receipt.hash);
        self.records += 1;
        let position = EvidencePosition::new(sequence, record.at);
        self.first_record.get_or_insert(position);
        self.last_record = Some(position);
        self.compare(verdict);
    }

    fn left_out(&mut self, run: &LeftOut, verdict: &mut EvidenceVerdict) {
        let last = run.first.saturating_add(run.count).saturating_sub(1);
        self.arrive(run.first, last, verdict);
        let covered = self
            .tree
            .as_mut()
            .is_none_or(|tree| run.count > 0 && tree.extend(run.count, &run.roots));
        if !covered {
            self.tree = None;
            let what = "what stands for the records that are left out does not cover them";
            verdict.push(self.fault(Kind::Edited, what).at(run.first));
        }
        self.previous = Some(run.last_hash);
        self.left_out += run.count;
        self.compare(verdict);
    }

    /// Goes to `first`, and on to `last`; whether that follows what was read before.
    fn arrive(&mut self, first: u64, last: u64, verdict: &mut EvidenceVerdict) -> bool {
        let next = self.last.saturating_add(1);
        let follows = first == next && (first == 1 || self.previous.is_some());
        if first > self.top.saturating_add(1) {
            self.missing.push((self.top.saturating_add(1), first - 1));
            self.tree = None;
        } else if first <= self.top {
            self.tree = None;
            if !self.found(first) {
                verdict.push(
                    self.fault(Kind::Inserted, "stands in a place that another record has")
                        .at(first),
                );
            } else if first != next {
                verdict.push(self.fault(Kind::Swapped, "does not stand in its order").at(first));
            }
        }
        if first != next {
            self.previous = None;
        }
        self.last = last;
        self.top = self.top.max(last);
        follows
    }

    /// Whether `sequence` was passed over; it no longer is.
    fn found(&mut self, sequence: u64) -> bool {
        let Some(at) = self
            .missing
            .iter()
            .position(|(first, last)| (*first..=*last).contains(&sequence))
        else {
            return false;
        };
        let (first, last) = self.missing.swap_remove(at);
        if first < sequence {
            self.missing.push((first, sequence - 1));
        }
        if sequence < last {
            self.missing.push((sequence + 1, last));
        }
        true
    }

    fn misfit(&mut self, receipt: &AuditReceipt, content: Digest, verdict: &mut EvidenceVerdict) {
        let fits = |sequence: Option<u64>| {
            sequence.is_some_and(|sequence| {
                link_content(self.previous.as_ref(), sequence, &content) == receipt.hash
            })
        };
        let renumbered = if fits(receipt.sequence.checked_add(1)) {
            Some((
                Kind::Deleted,
                "records before it were taken out, and the others numbered anew",
            ))
        } else if fits(receipt.sequence.checked_sub(1)) {
            Some((
                Kind::Inserted,
                "a record before it was put in, and the others numbered anew",
            ))
        } else {
            None
        };
        match renumbered {
            // Every record behind it has the wrong number too.
            Some(_) if self.renumbered => {}
            Some((kind, what)) => {
                self.renumbered = true;
                verdict.push(self.fault(kind, what).at(receipt.sequence));
            }
            None if self.misfits.len() < MOST_MISFITS => self.misfits.push(Misfit {
                file: self.file.to_owned(),
                sequence: receipt.sequence,
                previous: self.previous,
                hash: receipt.hash,
                content,
            }),
            None => verdict.push(self.fault(Kind::Edited, MISFIT).at(receipt.sequence)),
        }
    }

    /// Compares with the checkpoints over just so many records.
    fn compare(&mut self, verdict: &mut EvidenceVerdict) {
        while self.seen.first().is_some_and(|seen| seen.size <= self.top) {
            let seen = self.seen.remove(0);
            match &self.tree {
                Some(tree) if tree.end() == seen.size => {
                    if tree.root() != seen.root {
                        let what = "is not the trail that was signed before: its hashes were computed anew";
                        verdict.push(self.fault(Kind::Recomputed, what).at(seen.size));
                    }
                }
                _ => verdict.undecided.push(format!(
                    "whether the trail extends the checkpoint over {} records: the place is among records that these files leave out, or behind a \
                     fault; export again with that checkpoint",
                    seen.size
                )),
            }
        }
    }

    /// What the whole shows.
    pub(super) fn finish(mut self, checkpoint: Option<&Checkpoint>, verdict: &mut EvidenceVerdict) {
        self.name_misfits(verdict);
        self.missing.sort_unstable();
        for (first, last) in std::mem::take(&mut self.missing) {
            let what = match last - first {
                0 => "a record was taken out".to_owned(),
                _ => format!("records up to {last} were taken out"),
            };
            verdict.push(EvidenceFault::new(Kind::Deleted, what).at(first));
        }
        if self.top < self.manifest.size {
            let what = format!("the records up to {} are missing", self.manifest.size);
            verdict.push(EvidenceFault::new(Kind::Truncated, what).at(self.top + 1));
        }
        for seen in std::mem::take(&mut self.seen) {
            let what = format!("a trail of {} records was signed before", seen.size);
            verdict.push(EvidenceFault::new(Kind::RolledBack, what).at(self.top));
        }
        verdict.records = self.records;
        self.count(verdict);
        self.root(checkpoint, verdict);
    }

    fn name_misfits(&self, verdict: &mut EvidenceVerdict) {
        let fits = |place: &Misfit, content: &Digest| {
            link_content(place.previous.as_ref(), place.sequence, content) == place.hash
        };
        for one in &self.misfits {
            let other = self
                .misfits
                .iter()
                .find(|other| fits(one, &other.content) && fits(other, &one.content));
            let fault = match other {
                Some(other) => EvidenceFault::new(
                    Kind::Swapped,
                    format!("the record of position {} stands here", other.sequence),
                ),
                None => EvidenceFault::new(Kind::Edited, MISFIT),
            };
            verdict.push(fault.at(one.sequence).in_file(&one.file));
        }
    }

    fn count(&self, verdict: &mut EvidenceVerdict) {
        let manifest = self.manifest;
        let numbers = [
            ("records", self.records, manifest.records),
            ("records that the filter takes", self.records, manifest.counted),
            ("records that are left out", self.left_out, manifest.left_out),
        ];
        for (of, found, signed) in numbers {
            if found != signed {
                let what = format!("{found} {of} were found, and the manifest says {signed}");
                verdict.push(EvidenceFault::new(Kind::CountDiffers, what));
            }
        }
        if verdict.intact() && (self.first_record, self.last_record) != (manifest.first, manifest.last) {
            let what = "the first or the last record is not the one that the manifest names";
            verdict.push(EvidenceFault::new(Kind::CountDiffers, what));
        }
    }

    fn root(&self, checkpoint: Option<&Checkpoint>, verdict: &mut EvidenceVerdict) {
        let Some(tree) = &self.tree else { return };
        let signed = [self.manifest.root, checkpoint.map(|checkpoint| checkpoint.root)];
        if signed.into_iter().flatten().any(|root| root != tree.root()) {
            let what = "the hashes fit one another and not the root that was signed: they were computed anew";
            verdict.push(EvidenceFault::new(Kind::Recomputed, what));
        }
    }

    fn fault(&self, kind: Kind, what: impl Into<String>) -> EvidenceFault {
        EvidenceFault::new(kind, what).in_file(self.file)
    }
}

const MISFIT: &str = "the record does not fit its hash and the record before";
/// So many records are compared with one another, to tell an exchange from an edit.
const MOST_MISFITS: usize = 64;
