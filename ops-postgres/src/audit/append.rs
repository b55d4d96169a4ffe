//! Batches into the chains of their tenants, exactly once.

use std::collections::{BTreeMap, HashMap};

use ops_core::audit::{Linker, Tree, leaf};
use ops_core::error::{Error, ErrorKind, Result};
use ops_core::model::{AuditRecord, Digest, TenantId};
use ops_core::ports::{Appended, AuditEntry, AuditHead, AuditReceipt};
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, Connection as _, FromRow, PgPool, PgTransaction, Row as _};
use uuid::Uuid;

use super::columns::{APPEND, Columns, check, not_appended};
use super::row::{AuditRow, SALTED};
use crate::error::{error, failed};

/// Appends `entries` in one transaction, begun with `begin`.
pub(super) async fn append_all(
    pool: &PgPool,
    begin: &'static str,
    entries: &[AuditEntry],
) -> Result<Vec<Appended>> {
    // In the order of their names: two writers that both wait for a tenant never wait for each other.
    let mut tenants: BTreeMap<&TenantId, Vec<usize>> = BTreeMap::new();
    let mut answers: Vec<Option<Appended>> = Vec::new();
    answers.resize_with(entries.len(), || None);
    for (place, entry) in entries.iter().enumerate() {
        match check(&entry.record) {
            Ok(()) => tenants.entry(&entry.record.tenant).or_default().push(place),
            Err(error) => answers[place] = Some(Appended::Refused(error)),
        }
    }
    if !tenants.is_empty() {
        let mut transaction = pool.begin_with(begin).await.map_err(not_appended)?;
        for (tenant, places) in tenants {
            append_to(&mut transaction, tenant, entries, &places, &mut answers).await?;
        }
        transaction.commit().await.map_err(not_appended)?;
    }
    let missing = || error(ErrorKind::Unexpected, APPEND).context("reason", "a record was passed over");
    answers
        .into_iter()
        .map(|answer| answer.ok_or_else(missing))
        .collect()
}

async fn append_to(
    transaction: &mut PgTransaction<'_>,
    tenant: &TenantId,
    entries: &[AuditEntry],
    places: &[usize],
    answers: &mut [Option<Appended>],
) -> Result<()> {
    // The lock and the head keep writers at the same time from forking the chain: whoever has them is alone.
    sqlx::query(
        "select set_config('app.current_tenant', $1, true), pg_advisory_xact_lock(hashtextextended($1, $2))",
    )
    .bind(tenant.as_str())
    .bind(LOCK)
    .execute(&mut **transaction)
    .await
    .map_err(not_appended)?;
    let linker = lock_head(transaction, tenant).await?;

    // Almost always all are new: the unique key says if not.
    let batch = Batch { entries, places };
    let known = batch.displaced(transaction, tenant).await?;
    let mut savepoint = transaction.begin().await.map_err(not_appended)?;
    let mut draft = batch.draft(linker.clone(), &known)?;
    match draft.columns.insert(&mut savepoint, tenant).await {
        Ok(()) => savepoint.commit().await.map_err(not_appended)?,
        Err(sqlx::Error::Database(cause)) if cause.code().as_deref() == Some("23505") => {
            savepoint.rollback().await.map_err(not_appended)?;
            let known = batch.find(transaction, tenant).await?;
            draft = batch.draft(linker, &known)?;
            draft
                .columns
                .insert(transaction, tenant)
                .await
                .map_err(not_appended)?;
        }
        Err(cause) => return Err(not_appended(cause)),
    }
    if draft.columns.len() > 0
        && let Some(head) = draft.linker.head()
    {
        write_head(transaction, tenant, &head).await?;
    }
    for (place, answer) in draft.answers {
        answers[place] = Some(answer);
    }
    Ok(())
}

/// The records of one tenant in a batch.
#[derive(Clone, Copy)]
struct Batch<'a> {
    entries: &'a [AuditEntry],
    places: &'a [usize],
}

/// What is to be inserted, and what is answered when it was.
struct Draft {
    linker: Linker,
    columns: Columns,
    answers: Vec<(usize, Appended)>,
}

type Known = HashMap<Uuid, (AuditReceipt, AuditRecord)>;

impl<'a> Batch<'a> {
    fn entries(self) -> impl Iterator<Item = (usize, &'a AuditEntry)> {
        self.places
            .iter()
            .map(move |place| (*place, &self.entries[*place]))
    }

    /// Links what is not known, in the order of the batch.
    fn draft(self, mut linker: Linker, known: &Known) -> Result<Draft> {
        let mut columns = Columns::default();
        let mut answers = Vec::with_capacity(self.places.len());
        let mut fresh: HashMap<Uuid, (AuditReceipt, &AuditRecord)> =
            HashMap::with_capacity(self.places.len());
        for (place, entry) in self.entries() {
            let record = &entry.record;
            let before = known
                .get(&record.id)
                .map(|(receipt, stored)| (receipt, stored))
                .or_else(|| fresh.get(&record.id).map(|(receipt, first)| (receipt, *first)));
            let answer = match before {
                Some((receipt, stored)) if stored.says_the_same(record) => Appended::Known(receipt.clone()),
                Some(_) => Appended::Refused(other_content(record)),
                None => {
                    let receipt = linker.push(record);
                    columns.push(&receipt, record, entry.origin)?;
                    fresh.insert(record.id, (receipt.clone(), record));
                    Appended::Stored(receipt)
                }
            };
            answers.push((place, answer));
        }
        Ok(Draft {
            linker,
            columns,
            answers,
        })
    }

    /// The records of the batch that are stored already.
    async fn find(self, transaction: &mut PgTransaction<'_>, tenant: &TenantId) -> Result<Known> {
        let keys = self
            .entries()
            .map(|(_, entry)| (entry.record.id, entry.record.at.as_unix_micros()))
            .unzip();
        let mut known = find(transaction, tenant, keys).await?;
        known.extend(self.displaced(transaction, tenant).await?);
        Ok(known)
    }

    /// The id tells when its record was made. Of a record that gives another time, the one that was stored at the time of the id.
    async fn displaced(self, transaction: &mut PgTransaction<'_>, tenant: &TenantId) -> Result<Known> {
        let mut known = Known::new();
        for (_, entry) in self.entries() {
            let Some(made) = made_at(entry.record.id) else {
                continue;
            };
            if made == entry.record.at.as_unix_micros().div_euclid(1000) {
                continue;
            }
            let statement = format!(
                "{SALTED} where l.tenant = $1 and l.at_micros >= $2 and l.at_micros < $2 + 1000 and l.id = $3"
            );
            let row: Option<AuditRow> = sqlx::query_as(AssertSqlSafe(statement))
                .bind(tenant.as_str())
                .bind(made.saturating_mul(1000))
                .bind(entry.record.id)
                .fetch_optional(&mut **transaction)
                .await
                .map_err(not_appended)?;
            if let Some(row) = row {
                known.insert(entry.record.id, row.read(tenant)?);
            }
        }
        Ok(known)
    }
}

async fn find(
    transaction: &mut PgTransaction<'_>,
    tenant: &TenantId,
    (ids, ats): (Vec<Uuid>, Vec<i64>),
) -> Result<Known> {
    // One look into the index for each: a plan over the whole table would be chosen for a table without statistics.
    let statement = format!(
        "select f.* from unnest($2::uuid[], $3::bigint[]) as w (id, at)
         cross join lateral ({SALTED} where l.tenant = $1 and l.at_micros = w.at and l.id = w.id limit 1) f"
    );
    let rows: Vec<AuditRow> = sqlx::query_as(AssertSqlSafe(statement))
        .bind(tenant.as_str())
        .bind(ids)
        .bind(ats)
        .fetch_all(&mut **transaction)
        .await
        .map_err(not_appended)?;
    rows.into_iter()
        .map(|row| {
            let (receipt, record) = row.read(tenant)?;
            Ok((record.id, (receipt, record)))
        })
        .collect()
}

/// The milliseconds in an id of version 7.
fn made_at(id: Uuid) -> Option<i64> {
    let (seconds, nanos) = id.get_timestamp()?.to_unix();
    (id.get_version_num() == 7).then(|| i64::try_from(seconds * 1000 + u64::from(nanos / 1_000_000)).ok())?
}

fn other_content(record: &AuditRecord) -> Error {
    error(ErrorKind::Conflict, APPEND)
        .context("id", record.id.to_string())
        .context("reason", "the id is stored with another content")
}

/// The end of the chain with its tree, locked until the transaction ends.
async fn lock_head(transaction: &mut PgTransaction<'_>, tenant: &TenantId) -> Result<Linker> {
    let head = sqlx::query_as(
        "insert into ops.audit_head as head (tenant, sequence) values ($1, 0)
         on conflict (tenant) do update set tenant = excluded.tenant
         returning head.sequence, head.hash, head.peaks",
    );
    let row: HeadRow = head
        .bind(tenant.as_str())
        .fetch_one(&mut **transaction)
        .await
        .map_err(not_appended)?;
    match row.head(APPEND)? {
        Head::None => Ok(Linker::default()),
        Head::Whole(head) => {
            let tree = Tree::from_peaks(head.receipt.sequence, head.peaks)?;
            Ok(Linker::new(Some(head.receipt), tree))
        }
        // From before the tree was kept: read through once.
        Head::WithoutTree(last) => {
            let tree = read_tree(transaction, tenant).await?;
            Ok(Linker::new(Some(last), tree))
        }
    }
}

pub(super) async fn read_tree(transaction: &mut PgTransaction<'_>, tenant: &TenantId) -> Result<Tree> {
    let mut tree = Tree::new();
    let mut last = 0;
    loop {
        let page = page_after(transaction, tenant, last, PAGE, APPEND).await?;
        let Some(end) = page.last() else { return Ok(tree) };
        last = end.sequence();
        for row in page {
            tree.push(leaf(&row.read(tenant)?.1));
        }
    }
}

async fn write_head(transaction: &mut PgTransaction<'_>, tenant: &TenantId, head: &AuditHead) -> Result<()> {
    let peaks: Vec<u8> = head.peaks.iter().flat_map(|peak| *peak.as_bytes()).collect();
    sqlx::query("update ops.audit_head set sequence = $2, hash = $3, peaks = $4 where tenant = $1")
        .bind(tenant.as_str())
        .bind(i64::try_from(head.receipt.sequence).unwrap_or(i64::MAX))
        .bind(head.receipt.hash.as_bytes().to_vec())
        .bind(peaks)
        .execute(&mut **transaction)
        .await
        .map_err(not_appended)?;
    Ok(())
}

/// The records behind position `last`, oldest first, with their salts.
pub(super) async fn page_after(
    transaction: &mut PgTransaction<'_>,
    tenant: &TenantId,
    last: i64,
    limit: u32,
    operation: &'static str,
) -> Result<Vec<AuditRow>> {
    let statement = format!("{SALTED} where l.tenant = $1 and l.sequence > $2 order by l.sequence limit $3");
    sqlx::query_as(AssertSqlSafe(statement))
        .bind(tenant.as_str())
        .bind(last)
        .bind(i64::from(limit))
        .fetch_all(&mut **transaction)
        .await
        .map_err(failed(operation))
}

/// A row of `ops.audit_head`.
#[derive(Debug)]
pub(super) struct HeadRow {
    sequence: i64,
    hash: Option<Vec<u8>>,
    peaks: Option<Vec<u8>>,
}

impl FromRow<'_, PgRow> for HeadRow {
    fn from_row(row: &PgRow) -> sqlx::Result<Self> {
        Ok(Self {
            sequence: row.try_get("sequence")?,
            hash: row.try_get("hash")?,
            peaks: row.try_get("peaks")?,
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
    transaction: &mut PgTransaction<'_>,
    tenant: &TenantId,
    operation: &'static str,
) -> Result<Head> {
    let row: Option<HeadRow> =
        sqlx::query_as("select sequence, hash, peaks from ops.audit_head where tenant = $1")
            .bind(tenant.as_str())
            .fetch_optional(&mut **transaction)
            .await
            .map_err(failed(operation))?;
    row.map_or(Ok(Head::None), |row| row.head(operation))
}

/// The second half of the key of the lock; others may use the first half for something else.
const LOCK: i64 = 0x6f70_735f_6175_6474;
const PAGE: u32 = 10_000;
