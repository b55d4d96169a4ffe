use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::checkpoint::{Checkpoint, Growth};
use super::leaf::{entry_leaf, leaf};
use super::note::{Note, NoteVerifier};
use super::tree::{Prover, Tree, verify_inclusion};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{AuditRecord, Digest, TenantId};
use crate::ports::{AuditStore, TrailEntry};

/// The hash tree over the first `size` records of `tenant`, over all with `None`. Reads each of them once.
///
/// # Errors
/// As [`AuditStore::chain`]; [`ErrorKind::Unexpected`] when a record is missing or stands in another place.
///
/// # Cancellation
/// It changes nothing.
pub async fn tree(store: &dyn AuditStore, tenant: &TenantId, size: Option<u64>) -> Result<Tree> {
    let mut tree = Tree::new();
    walk(store, tenant, size, |_, leaf| tree.push(leaf)).await?;
    Ok(tree)
}

/// The hash tree over all records of `tenant` as the store keeps it beside the chain: nothing is read through.
///
/// # Errors
/// As [`AuditStore::head`]; [`ErrorKind::Unexpected`] when what is kept is no tree.
///
/// # Cancellation
/// It changes nothing.
pub async fn kept_tree(store: &dyn AuditStore, tenant: &TenantId) -> Result<Tree> {
    match store.head(tenant).await? {
        None => Ok(Tree::new()),
        Some(head) => Tree::from_peaks(head.receipt.sequence, head.peaks).map_err(|source| {
            Error::new(ErrorKind::Unexpected, "read audit tree")
                .context(
                    "reason",
                    "what is kept beside the chain does not fit it; verify the chain",
                )
                .source(source)
        }),
    }
}

/// What the trail of `tenant` has become since `seen` was signed.
///
/// It answers for what the checkpoint covers; [`AuditStore::verify`] for the chain behind it.
///
/// # Errors
/// As [`tree`]; [`ErrorKind::InvalidInput`] for a checkpoint of another tenant.
pub async fn growth_since(store: &dyn AuditStore, tenant: &TenantId, seen: &Checkpoint) -> Result<Growth> {
    owned(seen, tenant)?;
    let then = tree(store, tenant, Some(seen.size)).await?;
    if then.size() < seen.size {
        return Ok(Growth::RolledBack);
    }
    if then.root() != seen.root {
        return Ok(Growth::Forked);
    }
    let more = store.chain(tenant, seen.size, 1).await?;
    Ok(if more.is_empty() {
        Growth::Same
    } else {
        Growth::Grown
    })
}

/// Proves that the record with `id` is in the trail that `checkpoint` was signed for. Reads the trail twice.
///
/// # Errors
/// As [`growth_since`]; [`ErrorKind::NotFound`] when the checkpoint covers no such record; [`ErrorKind::Conflict`] when the trail is no
/// longer the one that was signed, so that nothing can be proven with it.
pub async fn prove(
    store: &dyn AuditStore,
    tenant: &TenantId,
    id: Uuid,
    checkpoint: &Note,
) -> Result<RecordProof> {
    let signed: Checkpoint = checkpoint.text().parse()?;
    owned(&signed, tenant)?;
    let (mut found, mut removed) = (None, false);
    let mut tree = Tree::new();
    walk(store, tenant, Some(signed.size), |entry, leaf| {
        match entry {
            TrailEntry::Record { receipt, record } if record.id == id => {
                found = Some((receipt.sequence, record.clone()));
            }
            TrailEntry::Removed { id: gone, .. } => removed |= *gone == id,
            _ => {}
        }
        tree.push(leaf);
    })
    .await?;
    let failed = |kind, reason: &str| Error::new(kind, "prove audit record").context("reason", reason);
    if tree.size() != signed.size || tree.root() != signed.root {
        return Err(failed(
            ErrorKind::Conflict,
            "the trail is no longer the one that the checkpoint was signed for",
        ));
    }
    if removed {
        return Err(failed(
            ErrorKind::NotFound,
            "retention has removed this record; it is in the evidence that was made before",
        ));
    }
    let Some((sequence, record)) = found else {
        return Err(failed(
            ErrorKind::NotFound,
            "the checkpoint covers no record with this id; sign a newer one",
        ));
    };
    let mut prover = Prover::inclusion(sequence.saturating_sub(1), signed.size)?;
    walk(store, tenant, Some(signed.size), |_, leaf| prover.push(leaf)).await?;
    Ok(RecordProof {
        record,
        sequence,
        path: prover.finish()?,
        checkpoint: checkpoint.to_string(),
    })
}

/// A record with all that shows, without the store, that it is in a trail that was signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RecordProof {
    /// What was recorded.
    pub record: AuditRecord,
    /// Its place in the trail, from 1.
    pub sequence: u64,
    /// The way from the record to the root.
    pub path: Vec<Digest>,
    /// The signed checkpoint.
    pub checkpoint: String,
}

impl RecordProof {
    /// Checks the signature by one of `keys`, and the way from the record to the root that was signed. Needs neither store nor network.
    ///
    /// # Errors
    /// [`ErrorKind::PermissionDenied`] for a signature that does not fit or is of another key; [`ErrorKind::Conflict`] when the record is
    /// not the one that was signed; [`ErrorKind::InvalidInput`] for a checkpoint that is none.
    pub fn verify(&self, keys: &[NoteVerifier]) -> Result<Checkpoint> {
        let note: Note = self.checkpoint.parse()?;
        note.verify(keys)?;
        let checkpoint: Checkpoint = note.text().parse()?;
        owned(&checkpoint, &self.record.tenant)?;
        let index = self.sequence.checked_sub(1);
        let holds = index.is_some_and(|index| {
            verify_inclusion(
                &leaf(&self.record),
                index,
                checkpoint.size,
                &self.path,
                &checkpoint.root,
            )
        });
        if !holds {
            return Err(Error::new(ErrorKind::Conflict, "verify audit record").context(
                "reason",
                "the record, its place or its path is not what was signed",
            ));
        }
        Ok(checkpoint)
    }
}

/// Shows each entry of the trail to `take`, with what it is in the hash tree, oldest first, up to position `size`.
async fn walk(
    store: &dyn AuditStore,
    tenant: &TenantId,
    size: Option<u64>,
    mut take: impl FnMut(&TrailEntry, Digest) + Send,
) -> Result<()> {
    let end = size.unwrap_or(u64::MAX);
    let mut last = 0;
    while last < end {
        let limit = u32::try_from(end - last).unwrap_or(PAGE).min(PAGE);
        let page = store.chain(tenant, last, limit).await?;
        if page.is_empty() {
            break;
        }
        for entry in &page {
            let foreign = entry.record().is_some_and(|(_, record)| record.tenant != *tenant);
            let leaf = entry_leaf(entry).filter(|_| !foreign && entry.sequence() == last + 1);
            let Some(leaf) = leaf else {
                return Err(Error::new(ErrorKind::Unexpected, "read audit trail")
                    .context("position", (last + 1).to_string())
                    .context(
                        "reason",
                        "the record is missing, cannot be read or belongs elsewhere; verify the chain",
                    ));
            };
            last += 1;
            take(entry, leaf);
        }
    }
    Ok(())
}

fn owned(checkpoint: &Checkpoint, tenant: &TenantId) -> Result<()> {
    if checkpoint.tenant() != Some(tenant.as_str()) {
        return Err(Error::new(ErrorKind::InvalidInput, "read checkpoint")
            .context("origin", "must be of the tenant that is asked for"));
    }
    Ok(())
}

/// How many records are read at once.
const PAGE: u32 = 10_000;
