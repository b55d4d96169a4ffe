use std::fmt;

use async_trait::async_trait;
use ops_core::audit::{ChainVerifier, PageCursor, link};
use ops_core::error::{ErrorKind, Result};
use ops_core::model::{AuditRecord, Digest, TenantId};
use ops_core::ports::{AuditFault, AuditPage, AuditQuery, AuditReceipt, AuditStore, ChainReport};
use secrecy::SecretString;
use sqlx::{AssertSqlSafe, PgPool, PgTransaction, Postgres, QueryBuilder};

use super::row::{AuditRow, COLUMNS};
use crate::PostgresStore;
use crate::error::{error, failed};

/// The audit trail in the schema `ops`: one hash chain for each tenant, behind row level security. Superusers and roles
/// with `BYPASSRLS` pass it by.
///
/// The best writer is a role of its own ([`connect`](Self::connect) with its own URL, made able by
/// [`PostgresStore::grant_audit_writer`]): named as exempt to the guard it goes on writing while the database is read-only.
/// It can neither change nor delete a record. It could move the row that names the newest one:
/// [`verify`](AuditStore::verify) shows that.
///
/// A store on the application's own pool ([`from_pool`](Self::from_pool)) is `Unavailable` then, so that the records must
/// wait elsewhere.
#[derive(Clone)]
pub struct PostgresAuditStore {
    pool: PgPool,
}

impl PostgresAuditStore {
    /// The audit trail through the connections of `store`, whose schema is migrated.
    pub fn new(store: &PostgresStore) -> Self {
        Self {
            pool: store.pool().clone(),
        }
    }

    /// The audit trail through connections of its own, as the role in `url`.
    ///
    /// # Errors
    /// As [`PostgresStore::connect`] and [`PostgresStore::check_schema`].
    pub async fn connect(url: &SecretString) -> Result<Self> {
        let store = PostgresStore::connect(url).await?;
        store.check_schema().await?;
        Ok(Self::new(&store))
    }

    /// The audit trail through a pool that the application uses for its data too. While the database is read-only, `append`
    /// is `Unavailable`.
    pub fn from_pool(pool: PgPool) -> Self {
        Self { pool }
    }

    /// A transaction that sees the rows of `tenant` only.
    pub(super) async fn begin(
        &self,
        kind: &'static str,
        tenant: &TenantId,
        operation: &'static str,
    ) -> Result<PgTransaction<'static>> {
        let mut transaction = self.pool.begin_with(kind).await.map_err(failed(operation))?;
        sqlx::query("select set_config('app.current_tenant', $1, true)")
            .bind(tenant.as_str())
            .execute(&mut *transaction)
            .await
            .map_err(failed(operation))?;
        Ok(transaction)
    }
}

#[async_trait]
impl AuditStore for PostgresAuditStore {
    async fn append(&self, record: &AuditRecord) -> Result<AuditReceipt> {
        let tenant = &record.tenant;
        let mut transaction = self.begin("begin", tenant, APPEND).await?;
        // The lock on the head is what keeps concurrent writers from forking the chain.
        let head = lock_head(&mut transaction, tenant).await?;
        if let Some(row) = find(&mut transaction, record).await? {
            let (receipt, stored) = row.read(tenant)?;
            return if stored == *record {
                Ok(receipt)
            } else {
                Err(error(ErrorKind::Conflict, APPEND)
                    .context("id", record.id.to_string())
                    .context("reason", "the id is stored with another content"))
            };
        }
        let sequence = head.as_ref().map_or(1, |head| head.sequence + 1);
        let hash = link(head.as_ref().map(|head| &head.hash), sequence, record);
        let receipt = AuditReceipt::new(sequence, hash);
        let row = AuditRow::new(&receipt, record)?;
        let position = row.sequence();
        row.insert(tenant)
            .execute(&mut *transaction)
            .await
            .map_err(failed(APPEND))?;
        sqlx::query("update ops.audit_head set sequence = $2, hash = decode($3, 'hex') where tenant = $1")
            .bind(tenant.as_str())
            .bind(position)
            .bind(hash.to_string())
            .execute(&mut *transaction)
            .await
            .map_err(failed(APPEND))?;
        transaction.commit().await.map_err(failed(APPEND))?;
        Ok(receipt)
    }

    async fn search(&self, tenant: &TenantId, query: &AuditQuery) -> Result<AuditPage> {
        let cursor = PageCursor::read(tenant, query)?;
        let mut transaction = self.begin("begin read only", tenant, SEARCH).await?;
        let size = query.page_size();
        let rows: Vec<AuditRow> = search_statement(tenant, query, cursor, size + 1)
            .build_query_as()
            .fetch_all(&mut *transaction)
            .await
            .map_err(failed(SEARCH))?;
        let more = rows.len() > size;
        let records = rows
            .into_iter()
            .take(size)
            .map(|row| Ok(row.read(tenant)?.1))
            .collect::<Result<Vec<_>>>()?;
        let next = records
            .last()
            .filter(|_| more)
            .map(|last| PageCursor::after(last).write(tenant, query));
        Ok(AuditPage::new(records, next))
    }

    async fn chain(
        &self,
        tenant: &TenantId,
        after: u64,
        limit: u32,
    ) -> Result<Vec<(AuditReceipt, AuditRecord)>> {
        let mut transaction = self.begin("begin read only", tenant, READ).await?;
        let after = i64::try_from(after).unwrap_or(i64::MAX);
        let rows = page_after(&mut transaction, tenant, after, limit, READ).await?;
        rows.into_iter().map(|row| row.read(tenant)).collect()
    }

    async fn verify(&self, tenant: &TenantId) -> Result<ChainReport> {
        // One snapshot for head and records: appends that go on meanwhile are not seen.
        let mut transaction = self
            .begin("begin isolation level repeatable read read only", tenant, VERIFY)
            .await?;
        let head = read_head(&mut transaction, tenant, VERIFY, "").await?;
        let mut verifier = ChainVerifier::new();
        let mut last = 0;
        loop {
            let page = page_after(&mut transaction, tenant, last, VERIFY_PAGE, VERIFY).await?;
            let Some(end) = page.last() else { break };
            last = end.sequence();
            for row in page {
                match row.read(tenant) {
                    Ok((receipt, record)) => verifier.push(&receipt, &record),
                    Err(fault) => verifier.push_unreadable(fault.to_string()),
                }
            }
        }
        let mut report = verifier.finish();
        if let Some(fault) = head_fault(head.as_ref(), report.head.as_ref(), last) {
            report.faults.push(fault);
        }
        Ok(report)
    }
}

impl fmt::Debug for PostgresAuditStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresAuditStore").finish_non_exhaustive()
    }
}

/// The head of the chain, locked until the transaction ends; `None` before the first record.
async fn lock_head(transaction: &mut PgTransaction<'_>, tenant: &TenantId) -> Result<Option<AuditReceipt>> {
    let insert =
        sqlx::query("insert into ops.audit_head (tenant, sequence) values ($1, 0) on conflict do nothing")
            .bind(tenant.as_str())
            .execute(&mut **transaction);
    insert.await.map_err(failed(APPEND))?;
    read_head(transaction, tenant, APPEND, " for update").await
}

async fn read_head(
    transaction: &mut PgTransaction<'_>,
    tenant: &TenantId,
    operation: &'static str,
    lock: &'static str,
) -> Result<Option<AuditReceipt>> {
    let statement =
        format!("select sequence, encode(hash, 'hex') from ops.audit_head where tenant = $1{lock}");
    let row: Option<(i64, Option<String>)> = sqlx::query_as(AssertSqlSafe(statement))
        .bind(tenant.as_str())
        .fetch_optional(&mut **transaction)
        .await
        .map_err(failed(operation))?;
    let Some((sequence, Some(hash))) = row else {
        return Ok(None);
    };
    let unreadable =
        |_| error(ErrorKind::Unexpected, operation).context("reason", "the head is not readable");
    let hash: Digest = hash.parse().map_err(unreadable)?;
    Ok(Some(AuditReceipt::new(
        u64::try_from(sequence).unwrap_or(0),
        hash,
    )))
}

async fn find(transaction: &mut PgTransaction<'_>, record: &AuditRecord) -> Result<Option<AuditRow>> {
    let statement = format!("select {COLUMNS} from ops.audit_log where tenant = $1 and id = $2");
    sqlx::query_as(AssertSqlSafe(statement))
        .bind(record.tenant.as_str())
        .bind(record.id)
        .fetch_optional(&mut **transaction)
        .await
        .map_err(failed(APPEND))
}

async fn page_after(
    transaction: &mut PgTransaction<'_>,
    tenant: &TenantId,
    last: i64,
    limit: u32,
    operation: &'static str,
) -> Result<Vec<AuditRow>> {
    let statement = format!(
        "select {COLUMNS} from ops.audit_log where tenant = $1 and sequence > $2 order by sequence limit $3"
    );
    sqlx::query_as(AssertSqlSafe(statement))
        .bind(tenant.as_str())
        .bind(last)
        .bind(i64::from(limit))
        .fetch_all(&mut **transaction)
        .await
        .map_err(failed(operation))
}

/// The head row is written with each record: it shows newest records that were cut off while it was left as it is.
fn head_fault(stored: Option<&AuditReceipt>, found: Option<&AuditReceipt>, last: i64) -> Option<AuditFault> {
    if stored == found {
        return None;
    }
    let sequence = u64::try_from(last).unwrap_or(0);
    Some(match stored {
        Some(head) if head.sequence > sequence => AuditFault::new(
            sequence + 1,
            format!(
                "the newest records are missing: the head stands at {}",
                head.sequence
            ),
        ),
        _ => AuditFault::new(sequence, "the newest record is not the one that the head names"),
    })
}

fn search_statement(
    tenant: &TenantId,
    query: &AuditQuery,
    cursor: Option<PageCursor>,
    rows: usize,
) -> QueryBuilder<Postgres> {
    let mut statement = QueryBuilder::new("select ");
    statement
        .push(COLUMNS)
        .push(" from ops.audit_log where tenant = ");
    statement.push_bind(tenant.as_str().to_owned());
    conditions(&mut statement, query);
    if let Some(cursor) = cursor {
        statement
            .push(" and (at_micros, id) < (")
            .push_bind(cursor.at().as_unix_micros())
            .push(", ")
            .push_bind(cursor.id())
            .push(")");
    }
    statement
        .push(" order by at_micros desc, id desc limit ")
        .push_bind(i64::try_from(rows).unwrap_or(i64::MAX));
    statement
}

/// What a query asks of a row, its page apart.
pub(super) fn conditions(statement: &mut QueryBuilder<Postgres>, query: &AuditQuery) {
    let equal = [
        (" and actor_id = ", &query.actor),
        (" and resource_type = ", &query.resource_type),
        (" and resource_id = ", &query.resource_id),
    ];
    for (condition, value) in equal {
        if let Some(value) = value {
            statement.push(condition).push_bind(value.clone());
        }
    }
    if let Some(from) = query.from {
        statement
            .push(" and at_micros >= ")
            .push_bind(from.as_unix_micros());
    }
    if let Some(until) = query.until {
        statement
            .push(" and at_micros < ")
            .push_bind(until.as_unix_micros());
    }
    if !query.actions.is_empty() {
        statement
            .push(" and action = any(")
            .push_bind(query.actions.clone())
            .push(")");
    }
}

const APPEND: &str = "append audit record";
const SEARCH: &str = "search audit records";
const READ: &str = "read audit chain";
const VERIFY: &str = "verify audit chain";
const VERIFY_PAGE: u32 = 1000;
