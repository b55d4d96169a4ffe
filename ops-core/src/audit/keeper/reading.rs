use std::time::Duration;

use super::SIGN;
use crate::audit::{ChainVerifier, Checkpoint, Growth, Note, Tree, kept_tree};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Digest, TenantId};
use crate::ports::{AuditFault, AuditStore, Clock};
use crate::resilience::Deadline;

/// What was read of a trail: enough to go on behind it.
#[derive(Debug)]
pub(super) struct Reading {
    chain: ChainVerifier,
    tree: Tree,
    /// When all of it is read again.
    again: Deadline,
    archived: Option<Digest>,
}

impl Reading {
    /// Nothing is read yet.
    pub(super) fn begin(clock: &dyn Clock, whole_every: Duration) -> Self {
        Self {
            chain: ChainVerifier::new(),
            tree: Tree::new(),
            again: Deadline::after(clock, whole_every),
            archived: None,
        }
    }

    pub(super) fn is_due(&self, clock: &dyn Clock) -> bool {
        self.again.passed(clock)
    }

    pub(super) fn checkpoint(&self, log: &str, tenant: &TenantId) -> Result<Checkpoint> {
        Checkpoint::of(log, tenant, &self.tree)
    }

    /// Whether this very note is known to be in the archive.
    pub(super) fn is_archived(&self, note: &Note) -> bool {
        self.archived == Some(Digest::of(note.to_string().as_bytes()))
    }

    pub(super) fn archived(&mut self, note: &Note) {
        self.archived = Some(Digest::of(note.to_string().as_bytes()));
    }

    /// Reads what stands behind, up to the head as it is now, and says what has become of what `seen` was signed for, which is no less than was read.
    ///
    /// # Errors
    /// `Conflict` for what does not fit; then what was read is of no use any more.
    pub(super) async fn catch_up(
        &mut self,
        store: &dyn AuditStore,
        tenant: &TenantId,
        seen: Option<&Checkpoint>,
    ) -> Result<Growth> {
        let head = kept_tree(store, tenant).await?;
        if seen.is_some_and(|seen| head.size() < seen.size) {
            return Err(grown_wrong(Growth::RolledBack, head.size()));
        }
        let then = seen.map(|seen| seen.size);
        let mut root = (then == Some(self.tree.size())).then(|| self.tree.root());
        while self.tree.size() < head.size() {
            let left = head.size() - self.tree.size();
            let limit = u32::try_from(left).unwrap_or(PAGE).min(PAGE);
            let page = store.chain(tenant, self.tree.size(), limit).await?;
            if page.is_empty() {
                return Err(wrong(&AuditFault::new(
                    self.tree.size() + 1,
                    "is missing, and so is what stood behind it",
                )));
            }
            for entry in &page {
                if entry.record().is_some_and(|(_, record)| record.tenant != *tenant) {
                    return Err(wrong(&AuditFault::new(
                        entry.sequence(),
                        "belongs to another tenant",
                    )));
                }
                let leaf = self.chain.push_entry(entry);
                if let Some(fault) = self.chain.first_fault() {
                    return Err(wrong(fault));
                }
                self.tree.extend(leaf);
                if then == Some(self.tree.size()) {
                    root = Some(self.tree.root());
                }
            }
        }
        if let Some(fault) = self.chain.clone().finish().faults.first() {
            return Err(wrong(fault));
        }
        match seen {
            Some(seen) if root != Some(seen.root) => return Err(grown_wrong(Growth::Forked, seen.size)),
            _ => {}
        }
        if self.tree.root() != head.root() {
            return Err(wrong(&AuditFault::new(
                self.tree.size(),
                "the hash tree that is kept beside the chain is another one",
            )));
        }
        Ok(match then {
            None => Growth::First,
            Some(then) if then == self.tree.size() => Growth::Same,
            Some(_) => Growth::Grown,
        })
    }
}

fn grown_wrong(growth: Growth, sequence: u64) -> Error {
    wrong(&AuditFault::new(sequence, growth.fault().unwrap_or_default()))
}

fn wrong(fault: &AuditFault) -> Error {
    Error::new(ErrorKind::Conflict, SIGN)
        .context("position", fault.sequence.to_string())
        .context("trail", fault.what.clone())
}

/// How many entries are read at once.
const PAGE: u32 = 10_000;
