use async_trait::async_trait;
use ops_core::audit::content;
use ops_core::error::{Error, ErrorKind, Result};
use ops_core::model::{LegalHold, Month, TenantId, Timestamp};
use ops_core::ports::{
    Appended, AuditEntry, AuditPruner, MonthReading, MonthRemoval, TrailEntry, TrailMonth,
};
use sqlx::{AssertSqlSafe, PgTransaction};

use super::PostgresAuditStore;
use super::append::{Batch, LOCK_WAIT, append_tenant};
use super::row::{AuditRow, SALTED};
use super::store::{SET_TENANT, WRITE};
use crate::error::{error, failed};
use crate::tenancy::{HoldRow, hold_of};

/// Drops the partition of a month as a whole; what a hold keeps of it moves to the partition for the rest. The role needs what
/// [`PostgresStore::grant_audit_pruner`](crate::PostgresStore::grant_audit_pruner) gives.
///
/// At the end of [`prune`](AuditPruner::prune) the whole trail is locked while what is held moves, the partitions without a month are gone through and the
/// partition is dropped, ten seconds at most, and then for a few short statements a tenant. [`months`](AuditPruner::months) keeps every old partition and the one for the
/// rest locked until it ends, ten seconds at most. Either waits two seconds for a lock; behind a
/// longer reader, such as an export, or beside a writer that waits for it in turn, it gives up with `Timeout` or `Unavailable`, and nothing is removed: do it again.
#[async_trait]
impl AuditPruner for PostgresAuditStore {
    async fn months(&self, until: Timestamp) -> Result<Vec<TrailMonth>> {
        let mut transaction = self.pool.begin_with(WRITE).await.map_err(failed(MONTHS))?;
        // Old partitions and the one for the rest stay locked until this ends.
        sqlx::query("select set_config('statement_timeout', '10s', true)")
            .execute(&mut *transaction)
            .await
            .map_err(failed(MONTHS))?;
        let rows: Vec<(String, String)> = sqlx::query_as(
            "select distinct to_char(first, 'YYYY-MM'), tenant from ops.audit_months($1) order by 1, 2",
        )
        .bind(until.as_unix_micros())
        .fetch_all(&mut *transaction)
        .await
        .map_err(failed(MONTHS))?;
        transaction.commit().await.map_err(failed(MONTHS))?;
        let mut months: Vec<TrailMonth> = Vec::new();
        for (month, tenant) in rows {
            let (month, tenant): (Month, _) = (month.parse()?, TenantId::new(tenant)?);
            match months.last_mut() {
                Some(last) if last.month == month => last.tenants.push(tenant),
                _ => months.push(TrailMonth::new(month, vec![tenant])),
            }
        }
        Ok(months)
    }

    async fn in_month(
        &self,
        tenant: &TenantId,
        month: Month,
        after: u64,
        limit: u32,
    ) -> Result<Vec<TrailEntry>> {
        let mut transaction = self.begin("begin read only", tenant, READ).await?;
        page(&mut transaction, tenant, month, after, limit).await
    }

    async fn holds_on(&self, tenant: &TenantId) -> Result<Vec<LegalHold>> {
        let mut transaction = self.begin("begin read only", tenant, HOLDS).await?;
        holds(&mut transaction, tenant, HOLDS).await
    }

    async fn prune(&self, month: Month, removals: &[MonthRemoval]) -> Result<()> {
        let mut transaction = self.pool.begin_with(WRITE).await.map_err(failed(PRUNE))?;
        // One at a time. A whole month takes longer than any other statement may.
        sqlx::query(
            "select set_config('statement_timeout', '0', true), set_config('lock_timeout', '5s', true),
                 pg_advisory_xact_lock(hashtextextended('ops.audit_prune', 0))",
        )
        .execute(&mut *transaction)
        .await
        .map_err(failed(PRUNE))?;
        // In the order in which writers take the chains.
        let mut removals: Vec<_> = removals.iter().collect();
        removals.sort_unstable_by(|a, b| a.reading.tenant.cmp(&b.reading.tenant));
        let mut used = Vec::with_capacity(removals.len());
        for removal in &removals {
            used.push(keep(&mut transaction, month, &removal.reading).await?);
        }
        let mut wait = LOCK_WAIT;
        for removal in &removals {
            let entry = AuditEntry::from(removal.record.clone());
            let batch = Batch {
                tenant: &removal.reading.tenant,
                entries: std::slice::from_ref(&entry),
                places: &[0],
            };
            for (_, answer) in append_tenant(&mut transaction, &self.trees, batch, &mut wait).await? {
                match answer {
                    Appended::Stored(_) => {}
                    Appended::Known(_) => return Err(changed(&removal.reading.tenant)),
                    Appended::Refused(cause) | Appended::Stuck(cause) => return Err(cause),
                }
            }
        }
        // Every writer waits from here on.
        sqlx::query("select set_config('statement_timeout', '10s', true)")
            .execute(&mut *transaction)
            .await
            .map_err(failed(PRUNE))?;
        sqlx::query("select ops.audit_drop($1, $2)")
            .bind(month.begin().as_unix_micros())
            .bind(month.end().as_unix_micros())
            .execute(&mut *transaction)
            .await
            .map_err(failed(PRUNE))?;
        // From here on nobody can hold anything until this ends.
        for (removal, used) in removals.iter().zip(used) {
            let tenant = &removal.reading.tenant;
            if holds(&mut transaction, tenant, PRUNE).await? != used {
                return Err(changed(tenant));
            }
            if stands_twice(&mut transaction, tenant, month).await? {
                return Err(error(ErrorKind::Unexpected, PRUNE)
                    .context("tenant", tenant.as_str())
                    .context(
                        "reason",
                        "a partition of the trail that is no whole month keeps records of this one",
                    ));
            }
        }
        transaction.commit().await.map_err(failed(PRUNE))
    }
}

/// Whether a record of the month is still there beside what is kept of it.
async fn stands_twice(transaction: &mut PgTransaction<'_>, tenant: &TenantId, month: Month) -> Result<bool> {
    sqlx::query(SET_TENANT)
        .bind(tenant.as_str())
        .execute(&mut **transaction)
        .await
        .map_err(failed(PRUNE))?;
    sqlx::query_scalar(
        "select exists (select from ops.audit_log l join ops.audit_kept k on k.tenant = l.tenant and k.sequence = l.sequence
             where l.tenant = $1 and l.at_micros >= $2 and l.at_micros < $3)",
    )
    .bind(tenant.as_str())
    .bind(month.begin().as_unix_micros())
    .bind(month.end().as_unix_micros())
    .fetch_one(&mut **transaction)
    .await
    .map_err(failed(PRUNE))
}

/// Keeps what stands for what may go of a month. The holds that were considered.
async fn keep(
    transaction: &mut PgTransaction<'_>,
    month: Month,
    reading: &MonthReading,
) -> Result<Vec<LegalHold>> {
    let tenant = &reading.tenant;
    sqlx::query(SET_TENANT)
        .bind(tenant.as_str())
        .execute(&mut **transaction)
        .await
        .map_err(failed(PRUNE))?;
    let holds = holds(transaction, tenant, PRUNE).await?;
    let mut again = MonthReading::new(tenant.clone());
    let mut after = 0;
    loop {
        let page = page(transaction, tenant, month, after, PAGE).await?;
        let Some(last) = page.last() else { break };
        after = last.sequence();
        let (mut sequences, mut contents) = (Vec::new(), Vec::new());
        for entry in &page {
            let Some((receipt, record)) = entry.record() else {
                return Err(changed(tenant));
            };
            let content = content(record);
            if again.push(receipt, record, &content, &holds) {
                sequences.push(i64::try_from(receipt.sequence).unwrap_or(i64::MAX));
                contents.push(content.as_bytes().to_vec());
            }
        }
        let wanted = i64::try_from(sequences.len()).unwrap_or(i64::MAX);
        let kept: i64 = sqlx::query_scalar("select ops.audit_keep($1, $2, $3, $4, $5)")
            .bind(tenant.as_str())
            .bind(month.begin().as_unix_micros())
            .bind(month.end().as_unix_micros())
            .bind(sequences)
            .bind(contents)
            .fetch_one(&mut **transaction)
            .await
            .map_err(failed(PRUNE))?;
        if kept != wanted {
            return Err(changed(tenant));
        }
    }
    match again == *reading {
        true => Ok(holds),
        false => Err(changed(tenant)),
    }
}

async fn page(
    transaction: &mut PgTransaction<'_>,
    tenant: &TenantId,
    month: Month,
    after: u64,
    limit: u32,
) -> Result<Vec<TrailEntry>> {
    let statement = format!(
        "{SALTED} where l.tenant = $1 and l.at_micros >= $2 and l.at_micros < $3 and l.sequence > $4 order by l.sequence limit $5"
    );
    let rows: Vec<AuditRow> = sqlx::query_as(AssertSqlSafe(statement))
        .bind(tenant.as_str())
        .bind(month.begin().as_unix_micros())
        .bind(month.end().as_unix_micros())
        .bind(i64::try_from(after).unwrap_or(i64::MAX))
        .bind(i64::from(limit))
        .fetch_all(&mut **transaction)
        .await
        .map_err(failed(READ))?;
    Ok(rows.into_iter().map(|row| row.entry(tenant)).collect())
}

/// What is held of a tenant.
pub(super) async fn holds(
    transaction: &mut PgTransaction<'_>,
    tenant: &TenantId,
    operation: &'static str,
) -> Result<Vec<LegalHold>> {
    let rows: Vec<HoldRow> = sqlx::query_as("select * from ops.audit_holds($1)")
        .bind(tenant.as_str())
        .fetch_all(&mut **transaction)
        .await
        .map_err(failed(operation))?;
    rows.into_iter().map(hold_of).collect()
}

fn changed(tenant: &TenantId) -> Error {
    error(ErrorKind::Conflict, PRUNE)
        .context("tenant", tenant.as_str())
        .context("reason", "its month is not what was read before; plan again")
}

const MONTHS: &str = "list months of the audit trail";
const READ: &str = "read month of the audit trail";
const HOLDS: &str = "list holds";
const PRUNE: &str = "remove month of the audit trail";
const PAGE: u32 = 10_000;
