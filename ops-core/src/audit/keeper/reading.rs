use std::time::Duration;

use super::trouble::{Trouble, wrong};
use crate::audit::{ChainVerifier, Checkpoint, Growth, Note, Tree, entry_leaf};
use crate::error::Result;
use crate::model::{Digest, TenantId};
use crate::ports::{AuditReceipt, AuditStore, Clock, TrailEntry};
use crate::resilience::Deadline;

/// What was read of a trail: enough to go on behind it. Small, whatever the trail is.
#[derive(Clone, Debug)]
pub(super) struct Reading {
    chain: ChainVerifier,
    tree: Tree,
    /// The entry that was read last, and what it is in the tree.
    last: Option<(AuditReceipt, Digest)>,
    /// When all of it is read again.
    again: Deadline,
    archived: Option<Digest>,
}

/// The end of a trail as it is kept.
struct End {
    tree: Tree,
    receipt: Option<AuditReceipt>,
}

impl End {
    async fn of(store: &dyn AuditStore, tenant: &TenantId) -> Result<Self, Trouble> {
        let Some(head) = store.head(tenant).await.map_err(Trouble::of_store)? else {
            return Ok(Self {
                tree: Tree::new(),
                receipt: None,
            });
        };
        let size = head.receipt.sequence;
        let tree = Tree::from_peaks(size, head.peaks)
            .map_err(|_| wrong(size, "has a hash tree beside it that is none of this length"))?;
        Ok(Self {
            tree,
            receipt: Some(head.receipt),
        })
    }
}

impl Reading {
    /// Nothing is read yet.
    pub(super) fn begin(clock: &dyn Clock, whole_every: Duration) -> Self {
        Self {
            chain: ChainVerifier::new(),
            tree: Tree::new(),
            last: None,
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
    pub(super) async fn catch_up(
        &mut self,
        store: &dyn AuditStore,
        tenant: &TenantId,
        seen: Option<&Checkpoint>,
    ) -> Result<Growth, Trouble> {
        let then = seen.map(|seen| seen.size);
        let mut root = (then == Some(self.tree.size())).then(|| self.tree.root());
        let mut end = End::of(store, tenant).await?;
        if let Some(then) = then.filter(|then| end.tree.size() < *then) {
            return Err(wrong(then, Growth::RolledBack.fault().unwrap_or_default()));
        }
        self.last_stands(store, tenant).await?;
        for again in (0..TRIES).rev() {
            self.read_up_to(store, tenant, end.tree.size(), then, &mut root)
                .await?;
            let Some(fault) = self.chain.clone().finish().faults.into_iter().next() else {
                break;
            };
            // What was removed while this read is told by a record behind.
            let newer = End::of(store, tenant).await?;
            if again == 0 || newer.tree.size() <= end.tree.size() {
                return Err(wrong(fault.sequence, fault.what));
            }
            end = newer;
        }
        match seen {
            Some(seen) if root != Some(seen.root) => {
                return Err(wrong(seen.size, Growth::Forked.fault().unwrap_or_default()));
            }
            _ => {}
        }
        self.ends_at(store, tenant, &end).await?;
        Ok(match then {
            None => Growth::First,
            Some(then) if then == self.tree.size() => Growth::Same,
            Some(_) => Growth::Grown,
        })
    }

    /// Whether the entry that was read last still stands where it stood, alone.
    async fn last_stands(&self, store: &dyn AuditStore, tenant: &TenantId) -> Result<(), Trouble> {
        let Some((receipt, leaf)) = &self.last else {
            return Ok(());
        };
        let page = store.chain(tenant, self.tree.size() - 1, 1).await;
        let page = page.map_err(Trouble::of_store)?;
        match &page[..] {
            [] => Err(missing(receipt.sequence)),
            [entry] if entry.receipt() == Some(receipt) && entry_leaf(entry) == Some(*leaf) => Ok(()),
            _ => Err(wrong(receipt.sequence, "is not what was read there before")),
        }
    }

    async fn read_up_to(
        &mut self,
        store: &dyn AuditStore,
        tenant: &TenantId,
        size: u64,
        then: Option<u64>,
        root: &mut Option<Digest>,
    ) -> Result<(), Trouble> {
        while self.tree.size() < size {
            let limit = u32::try_from(size - self.tree.size()).unwrap_or(PAGE).min(PAGE);
            let page = store.chain(tenant, self.tree.size(), limit).await;
            let page = page.map_err(Trouble::of_store)?;
            if page.is_empty() {
                return Err(missing(self.tree.size() + 1));
            }
            for entry in &page {
                self.push(tenant, entry)?;
                if then == Some(self.tree.size()) {
                    *root = Some(self.tree.root());
                }
            }
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    fn push(&mut self, tenant: &TenantId, entry: &TrailEntry) -> Result<(), Trouble> {
        if entry.record().is_some_and(|(_, record)| record.tenant != *tenant) {
            return Err(wrong(entry.sequence(), "belongs to another tenant"));
        }
        let leaf = self.chain.push_entry(entry);
        if let Some(fault) = self.chain.first_fault() {
            return Err(wrong(fault.sequence, fault.what.clone()));
        }
        self.last = entry.receipt().cloned().zip(leaf);
        self.tree.extend(leaf);
        Ok(())
    }

    /// Whether tree and head are those that are kept, and nothing stands behind them.
    async fn ends_at(&self, store: &dyn AuditStore, tenant: &TenantId, end: &End) -> Result<(), Trouble> {
        let size = self.tree.size();
        if self.tree.root() != end.tree.root() {
            return Err(wrong(
                size,
                "has another hash tree beside it than its records make",
            ));
        }
        if self.last.as_ref().map(|(receipt, _)| receipt) != end.receipt.as_ref() {
            return Err(wrong(
                size,
                "has another hash in its head than its last record has",
            ));
        }
        let behind = store.chain(tenant, size, 1).await.map_err(Trouble::of_store)?;
        // Nobody appends without the head.
        if !behind.is_empty() && End::of(store, tenant).await?.tree.size() <= size {
            return Err(wrong(size + 1, "stands behind the end of the chain"));
        }
        Ok(())
    }
}

fn missing(sequence: u64) -> Trouble {
    wrong(sequence, "is missing, and so is what stood behind it")
}

/// How many entries are read at once.
const PAGE: u32 = 10_000;
/// How often it reads on before a removal that nobody tells of is one.
const TRIES: u32 = 4;
