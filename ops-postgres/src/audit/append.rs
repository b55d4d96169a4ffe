//! Batches into the chains of their tenants, exactly once.

use std::collections::{BTreeMap, HashMap};

use ops_core::audit::{Linker, Tree};
use ops_core::error::{Error, ErrorKind, Result};
use ops_core::model::{AuditRecord, Digest, TenantId};
use ops_core::ports::{Appended, AuditEntry, AuditHead, AuditReceipt, TrailEntry};
use sqlx::error::DatabaseError;
use sqlx::{AssertSqlSafe, Connection as _, PgPool, PgTransaction};
use uuid::Uuid;

use super::columns::{APPEND, not_appended};
use super::draft::Draft;
use super::head::{Head, HeadRow, Trees};
use super::row::{AuditRow, KEPT, SALTED};
use crate::error::error;

/// Appends `entries` in one transaction, begun with `begin`.
pub(super) async fn append_all(
    pool: &PgPool,
    begin: &'static str,
    trees: &Trees,
    entries: &[AuditEntry],
) -> Result<Vec<Appended>> {
    // In the order of their names: two writers that both wait for a tenant never wait for each other.
    let mut tenants: BTreeMap<&TenantId, Vec<usize>> = BTreeMap::new();
    for (place, entry) in entries.iter().enumerate() {
        tenants.entry(&entry.record.tenant).or_default().push(place);
    }
    let mut answers: Vec<Option<Appended>> = Vec::new();
    answers.resize_with(entries.len(), || None);
    if !tenants.is_empty() {
        let mut transaction = pool.begin_with(begin).await.map_err(not_appended)?;
        let mut wait = LOCK_WAIT;
        for (tenant, places) in tenants {
            let batch = Batch {
                tenant,
                entries,
                places: &places,
            };
            let given = append_tenant(&mut transaction, trees, batch, &mut wait).await?;
            for (place, answer) in given {
                answers[place] = Some(answer);
            }
        }
        transaction.commit().await.map_err(not_appended)?;
    }
    let missing = || error(ErrorKind::Unexpected, APPEND).context("reason", "a record was passed over");
    answers
        .into_iter()
        .map(|answer| answer.ok_or_else(missing))
        .collect()
}

pub(super) type Answers = Vec<(usize, Appended)>;

/// What is wrong with one tenant, or with one of its records, costs no other: it is undone, and the transaction goes on.
///
/// # Errors
/// The store can take nothing now, of whatever tenant.
pub(super) async fn append_tenant(
    transaction: &mut PgTransaction<'_>,
    trees: &Trees,
    batch: Batch<'_>,
    wait: &mut &'static str,
) -> Result<Answers> {
    let mut answers = Answers::new();
    // A record that no row can hold is looked for by halves.
    let mut parts = vec![batch.places];
    // Almost always all are new: the unique key says if not.
    let mut look_up = false;
    while let Some(places) = parts.pop() {
        let part = Batch { places, ..batch };
        let mut savepoint = transaction.begin().await.map_err(not_appended)?;
        let failed = match append_part(&mut savepoint, trees, part, look_up, wait).await {
            Ok(given) => {
                savepoint.commit().await.map_err(not_appended)?;
                answers.extend(given);
                continue;
            }
            Err(Failed::Store(cause)) => return Err(cause),
            Err(failed) => failed,
        };
        savepoint.rollback().await.map_err(not_appended)?;
        match (failed, places) {
            (Failed::Known(_), _) if !look_up => {
                look_up = true;
                parts.push(places);
            }
            (Failed::Input(cause), [place]) => answers.push((*place, Appended::Refused(cause))),
            (Failed::Input(_), _) => {
                let (first, second) = places.split_at(places.len() / 2);
                parts.extend([second, first]);
            }
            // What comes behind must not come before.
            (failed, _) => {
                if matches!(failed, Failed::Locked(_)) {
                    *wait = NO_WAIT;
                }
                let cause = Error::from(failed);
                parts.push(places);
                let left = parts.into_iter().rev().flatten();
                answers.extend(left.map(|place| (*place, Appended::Stuck(stuck(&cause)))));
                break;
            }
        }
    }
    Ok(answers)
}

/// Why nothing was appended to a chain.
#[derive(Debug)]
pub(super) enum Failed {
    /// What is stored of this chain cannot be read, or takes no row: a person must look at it.
    Chain(Error),
    /// Somebody keeps the lock of this chain.
    Locked(Error),
    /// One of the records is known, or its place is taken.
    Known(Error),
    /// One of the records holds what no row can hold, now or later.
    Input(Error),
    /// The store cannot take records now, of whatever chain.
    Store(Error),
}

impl From<Error> for Failed {
    fn from(cause: Error) -> Self {
        Self::Chain(cause)
    }
}

impl From<sqlx::Error> for Failed {
    fn from(cause: sqlx::Error) -> Self {
        if matches!(cause, sqlx::Error::RowNotFound) {
            return Self::Chain(
                error(ErrorKind::Unexpected, APPEND)
                    .context("reason", "a trigger or a rule keeps rows away from the trail"),
            );
        }
        let failed = match &cause {
            sqlx::Error::Database(cause) => of_code(&cause.code().unwrap_or_default()),
            // A column that is not as it was made.
            sqlx::Error::ColumnDecode { .. } | sqlx::Error::ColumnNotFound(_) | sqlx::Error::Decode(_) => {
                Self::Chain
            }
            _ => Self::Store,
        };
        failed(not_appended(cause))
    }
}

/// Whom an answer of the server concerns. What somebody can mend in the database, such as a constraint, a narrow column or a trigger that raises, is no fault
/// of the record: refused, it would never be stored.
fn of_code(code: &str) -> fn(Error) -> Failed {
    match code {
        "23505" => Failed::Known,
        "XX001" | "XX002" => Failed::Chain,
        "22021" | "22P05" => Failed::Input,
        _ => match code.get(..2) {
            Some("22" | "23" | "54" | "P0") => Failed::Chain,
            _ => Failed::Store,
        },
    }
}

/// Who keeps the lock of a chain holds up its tenant; who keeps a table holds up all. A shorter `statement_timeout` of the connection ends the waiting too.
fn locked(cause: sqlx::Error) -> Failed {
    let code = cause.as_database_error().and_then(DatabaseError::code);
    match code.as_deref() {
        Some("55P03" | "57014") => Failed::Locked(not_appended(cause)),
        _ => cause.into(),
    }
}

impl From<Failed> for Error {
    fn from(failed: Failed) -> Self {
        match failed {
            Failed::Chain(cause)
            | Failed::Locked(cause)
            | Failed::Known(cause)
            | Failed::Input(cause)
            | Failed::Store(cause) => cause,
        }
    }
}

/// What each record of a chain that takes nothing is answered.
fn stuck(cause: &Error) -> Error {
    error(cause.kind(), APPEND)
        .context("cause", cause.to_string())
        .context(
            "remedy",
            "mend what the cause names and verify the chain of this tenant: its records wait until it takes them",
        )
}

async fn append_part(
    transaction: &mut PgTransaction<'_>,
    trees: &Trees,
    batch: Batch<'_>,
    look_up: bool,
    wait: &str,
) -> Result<Answers, Failed> {
    // The lock and the head keep writers at the same time from forking the chain: whoever has them is alone.
    sqlx::query(
        "select set_config('app.current_tenant', $1, true), set_config('lock_timeout', $3, true),
             pg_advisory_xact_lock(hashtextextended($1, $2))",
    )
    .bind(batch.tenant.as_str())
    .bind(LOCK)
    .bind(wait)
    .execute(&mut **transaction)
    .await
    .map_err(locked)?;
    let (linker, pruned) = lock_head(transaction, batch.tenant, trees).await?;
    let known = match look_up {
        true => batch.find(transaction).await?,
        false => batch.displaced(transaction).await?,
    };
    let removed = batch.removed(transaction, pruned).await?;
    let mut draft = Draft::new(batch, linker, known, removed);
    let mut rows = draft.rows(FIRST_ROWS).await?;
    let any = rows.len() > 0;
    while rows.len() > 0 {
        // While the server takes these, the next ones are linked.
        let (inserted, next) = tokio::join!(rows.insert(transaction, batch.tenant), draft.rows(ROWS));
        inserted?;
        rows = next?;
    }
    let (linker, answers) = draft.finish();
    if any && let Some(head) = linker.head() {
        write_head(transaction, batch.tenant, &head).await?;
    }
    Ok(answers)
}

/// The records of one tenant in a batch.
#[derive(Clone, Copy)]
pub(super) struct Batch<'a> {
    pub(super) tenant: &'a TenantId,
    pub(super) entries: &'a [AuditEntry],
    pub(super) places: &'a [usize],
}

pub(super) type Known = HashMap<Uuid, (AuditReceipt, AuditRecord)>;
/// Records that retention removed, by the digests of what they said.
pub(super) type Removed = HashMap<Uuid, (AuditReceipt, Digest)>;

impl<'a> Batch<'a> {
    pub(super) fn entries(self) -> impl Iterator<Item = (usize, &'a AuditEntry)> {
        self.places
            .iter()
            .map(move |place| (*place, &self.entries[*place]))
    }

    /// The records of the batch that are stored already.
    async fn find(self, transaction: &mut PgTransaction<'_>) -> Result<Known, Failed> {
        let keys = self
            .entries()
            .map(|(_, entry)| (entry.record.id, entry.record.at.as_unix_micros()))
            .unzip();
        let mut known = find(transaction, self.tenant, keys).await?;
        known.extend(self.displaced(transaction).await?);
        Ok(known)
    }

    /// The records of the batch that were stored and removed. Nobody looks for those that are newer than what was ever removed of the tenant.
    async fn removed(
        self,
        transaction: &mut PgTransaction<'_>,
        pruned: Option<i64>,
    ) -> Result<Removed, Failed> {
        let ids: Vec<Uuid> = self
            .entries()
            .filter(|(_, entry)| pruned.is_some_and(|until| entry.record.at.as_unix_micros() < until))
            .map(|(_, entry)| entry.record.id)
            .collect();
        if ids.is_empty() {
            return Ok(Removed::new());
        }
        let statement = format!("{KEPT} where k.tenant = $1 and k.id = any($2)");
        let rows: Vec<AuditRow> = sqlx::query_as(AssertSqlSafe(statement))
            .bind(self.tenant.as_str())
            .bind(ids)
            .fetch_all(&mut **transaction)
            .await?;
        let removed = rows.into_iter().filter_map(|row| match row.entry(self.tenant) {
            TrailEntry::Removed { receipt, id, content } => Some((id, (receipt, content))),
            _ => None,
        });
        Ok(removed.collect())
    }

    /// The id tells when its record was made. Of a record that gives another time, the one that was stored at the time of the id.
    async fn displaced(self, transaction: &mut PgTransaction<'_>) -> Result<Known, Failed> {
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
                .bind(self.tenant.as_str())
                .bind(made.saturating_mul(1000))
                .bind(entry.record.id)
                .fetch_optional(&mut **transaction)
                .await?;
            if let Some(row) = row {
                known.insert(entry.record.id, row.read(self.tenant)?);
            }
        }
        Ok(known)
    }
}

async fn find(
    transaction: &mut PgTransaction<'_>,
    tenant: &TenantId,
    (ids, ats): (Vec<Uuid>, Vec<i64>),
) -> Result<Known, Failed> {
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
        .await?;
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

/// The end of the chain with its tree, locked until the transaction ends; and up to when records were removed.
async fn lock_head(
    transaction: &mut PgTransaction<'_>,
    tenant: &TenantId,
    trees: &Trees,
) -> Result<(Linker, Option<i64>), Failed> {
    let head = sqlx::query_as(
        "insert into ops.audit_head as head (tenant, sequence) values ($1, 0)
         on conflict (tenant) do update set tenant = excluded.tenant
         returning head.sequence, head.hash, head.peaks,
             (select max(p.until) from ops.audit_pruned p where p.tenant = head.tenant) as pruned",
    );
    let row = head.bind(tenant.as_str()).fetch_one(&mut **transaction).await;
    let row: HeadRow = row.map_err(locked)?;
    let pruned = row.pruned();
    let linker = match row.head(APPEND)? {
        Head::None => Linker::default(),
        Head::Whole(head) => {
            let tree = Tree::from_peaks(head.receipt.sequence, head.peaks)?;
            Linker::new(Some(head.receipt), tree)
        }
        // From before the tree was kept: read through once.
        Head::WithoutTree(last) => {
            let tree = trees.read(transaction, tenant).await?;
            Linker::new(Some(last), tree)
        }
    };
    Ok((linker, pruned))
}

async fn write_head(
    transaction: &mut PgTransaction<'_>,
    tenant: &TenantId,
    head: &AuditHead,
) -> sqlx::Result<()> {
    let peaks: Vec<u8> = head.peaks.iter().flat_map(|peak| *peak.as_bytes()).collect();
    sqlx::query("update ops.audit_head set sequence = $2, hash = $3, peaks = $4 where tenant = $1")
        .bind(tenant.as_str())
        .bind(i64::try_from(head.receipt.sequence).unwrap_or(i64::MAX))
        .bind(head.receipt.hash.as_bytes().to_vec())
        .bind(peaks)
        .execute(&mut **transaction)
        .await?;
    Ok(())
}

/// What stands behind position `last`, oldest first, records with their salts: `limit` entries, and those that stand in the place of the last. A row that was put in
/// beside another must not fall between two pages.
pub(super) async fn page_after(
    transaction: &mut PgTransaction<'_>,
    tenant: &TenantId,
    last: i64,
    limit: u32,
) -> sqlx::Result<Vec<AuditRow>> {
    let statement = format!(
        "select * from (
             ({SALTED} where l.tenant = $1 and l.sequence > $2 order by l.sequence fetch first $3 rows with ties)
             union all
             ({KEPT} where k.tenant = $1 and k.sequence > $2 order by k.sequence fetch first $3 rows with ties)
         ) e order by e.sequence fetch first $3 rows with ties"
    );
    sqlx::query_as(AssertSqlSafe(statement))
        .bind(tenant.as_str())
        .bind(last)
        .bind(i64::from(limit))
        .fetch_all(&mut **transaction)
        .await
}

/// So many rows go to the server at once; the first ones sooner, so that it does not wait for all of the hashes.
const ROWS: usize = 1024;
const FIRST_ROWS: usize = 128;
/// The second half of the key of the lock; others may use the first half for something else.
const LOCK: i64 = 0x6f70_735f_6175_6474;
/// How long a tenant's chain is waited for.
pub(super) const LOCK_WAIT: &str = "5s";
/// The same once one of the batch was waited for in vain: many that are kept must not cost the batch its time.
const NO_WAIT: &str = "250ms";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_no_row_can_ever_hold_is_the_fault_of_the_record() {
        let failed = |code| of_code(code)(error(ErrorKind::Unexpected, APPEND));
        for code in ["22021", "22P05"] {
            assert!(matches!(failed(code), Failed::Input(_)), "{code}");
        }
        // A trigger that divides by zero or casts, a column that was made narrower, a constraint, an index, a trigger that raises.
        for code in [
            "22003", "22012", "22P02", "22001", "23514", "54000", "P0001", "XX001",
        ] {
            assert!(matches!(failed(code), Failed::Chain(_)), "{code}");
        }
        for code in ["", "2", "25006", "55P03", "57014", "57P01"] {
            assert!(matches!(failed(code), Failed::Store(_)), "{code}");
        }
    }
}
