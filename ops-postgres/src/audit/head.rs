use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use ops_core::audit::{Tree, entry_leaf};
use ops_core::error::{ErrorKind, Result};
use ops_core::model::{Digest, TenantId};
use ops_core::ports::{AuditHead, AuditReceipt};
use sqlx::postgres::PgRow;
use sqlx::{FromRow, PgConnection, PgTransaction, Row as _};

use super::append::{Failed, page_after};
use crate::error::{error, failed};

/// A row of `ops.audit_head`.
#[derive(Debug)]
pub(super) struct HeadRow {
    sequence: i64,
    hash: Option<Vec<u8>>,
    peaks: Option<Vec<u8>>,
    pruned: Option<i64>,
}

impl FromRow<'_, PgRow> for HeadRow {
    fn from_row(row: &PgRow) -> sqlx::Result<Self> {
        Ok(Self {
            sequence: row.try_get("sequence")?,
            hash: row.try_get("hash")?,
            peaks: row.try_get("peaks")?,
            pruned: row.try_get("pruned")?,
        })
    }
}

/// What it says.
#[derive(Debug)]
pub(super) enum Head {
    /// There is no record yet.
    None,
    Whole(AuditHead),
    /// Written before the tree was kept.
    WithoutTree(AuditReceipt),
}

impl HeadRow {
    /// Up to when records of the tenant were removed; `None` also where nobody asked.
    pub(super) fn pruned(&self) -> Option<i64> {
        self.pruned
    }

    pub(super) fn head(self, operation: &'static str) -> Result<Head> {
        let unreadable =
            || error(ErrorKind::Unexpected, operation).context("reason", "the head is not readable");
        let Some(hash) = self.hash else {
            return Ok(Head::None);
        };
        let digest = |bytes: &[u8]| bytes.try_into().map(Digest::from_bytes).map_err(|_| unreadable());
        let sequence = u64::try_from(self.sequence).map_err(|_| unreadable())?;
        let receipt = AuditReceipt::new(sequence, digest(&hash)?);
        let Some(peaks) = self.peaks else {
            return Ok(Head::WithoutTree(receipt));
        };
        let peaks = peaks.chunks(32).map(digest).collect::<Result<Vec<_>>>()?;
        Ok(Head::Whole(AuditHead::new(receipt, peaks)))
    }
}

pub(super) async fn read_head(
    connection: &mut PgConnection,
    tenant: &TenantId,
    operation: &'static str,
) -> Result<Head> {
    let row: Option<HeadRow> = sqlx::query_as(
        "select sequence, hash, peaks, null::bigint as pruned from ops.audit_head where tenant = $1",
    )
    .bind(tenant.as_str())
    .fetch_optional(connection)
    .await
    .map_err(failed(operation))?;
    row.map_or(Ok(Head::None), |row| row.head(operation))
}

/// The trees of chains from before they were kept beside the head, as far as they are read: whoever is cut off goes on there the next time, unless the
/// chain is another one by then.
#[derive(Debug, Default)]
pub(super) struct Trees {
    read: Mutex<HashMap<TenantId, (Tree, AuditReceipt)>>,
}

impl Trees {
    /// The tree over all records that the transaction sees.
    pub(super) async fn read(
        &self,
        transaction: &mut PgTransaction<'_>,
        tenant: &TenantId,
    ) -> Result<Tree, Failed> {
        let before = self.lock().get(tenant).cloned();
        let (mut tree, mut last) = match before {
            Some((tree, end)) if stands(transaction, tenant, &end).await? => (tree, place(end.sequence)),
            _ => (Tree::new(), 0),
        };
        loop {
            let page = page_after(transaction, tenant, last, PAGE).await?;
            let mut end = None;
            for row in page {
                let entry = row.entry(tenant);
                let (Some(receipt), Some(leaf)) = (entry.receipt(), entry_leaf(&entry)) else {
                    return Err(Failed::Chain(
                        error(ErrorKind::Unexpected, "read audit tree")
                            .context("position", entry.sequence().to_string())
                            .context("reason", "the record cannot be read"),
                    ));
                };
                tree.push(leaf);
                end = Some(receipt.clone());
            }
            let Some(end) = end else { return Ok(tree) };
            last = place(end.sequence);
            self.lock().insert(tenant.clone(), (tree.clone(), end));
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<TenantId, (Tree, AuditReceipt)>> {
        self.read.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether the record at this place is still the one that was read: its hash is over all before it. A trail may have been mended by hand, or restored.
async fn stands(
    transaction: &mut PgTransaction<'_>,
    tenant: &TenantId,
    receipt: &AuditReceipt,
) -> sqlx::Result<bool> {
    let hashes: Vec<Vec<u8>> = sqlx::query_scalar(
        "select hash from ops.audit_log where tenant = $1 and sequence = $2
             union all select hash from ops.audit_kept where tenant = $1 and sequence = $2",
    )
    .bind(tenant.as_str())
    .bind(place(receipt.sequence))
    .fetch_all(&mut **transaction)
    .await?;
    Ok(matches!(&hashes[..], [hash] if hash[..] == receipt.hash.as_bytes()[..]))
}

fn place(sequence: u64) -> i64 {
    i64::try_from(sequence).unwrap_or(i64::MAX)
}

const PAGE: u32 = 10_000;
