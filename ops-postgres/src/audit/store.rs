use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use ops_core::audit::{ChainVerifier, PageCursor, Tree};
use ops_core::error::{ErrorKind, Result};
use ops_core::model::{AuditRecord, TenantId, Timestamp};
use ops_core::ports::{
    Appended, AuditEntry, AuditFault, AuditHead, AuditPage, AuditQuery, AuditReceipt, AuditStore,
    ChainReport, TrailEntry,
};
use secrecy::SecretString;
use sqlx::pool::PoolConnection;
use sqlx::postgres::PgPoolOptions;
use sqlx::{PgPool, PgTransaction, Postgres, QueryBuilder};

use super::append::{append_all, page_after};
use super::columns::APPEND;
use super::head::{Head, Trees, read_head};
use super::months::{self, Months};
use super::role;
use super::row::{AuditRow, UNSALTED};
use crate::PostgresStore;
use crate::error::{error, failed};

/// The audit trail in the schema `ops`: one hash chain for each tenant, behind row level security, in partitions by months.
///
/// The writer is a role of its own ([`connect`](Self::connect) with its own URL, made able by [`PostgresStore::grant_audit_writer`]; or
/// [`PostgresStore::audit_writer`] and [`assume`](Self::assume)): it can neither change nor delete a record, and named as exempt to the guard it goes on writing while the
/// database is read-only. It could move the row that names the newest one: [`verify`](AuditStore::verify) shows that.
///
/// A role that could change the trail is refused: a superuser, one with `BYPASSRLS`, the owner of the tables, one that may `UPDATE`, `DELETE` or
/// `TRUNCATE` them; so is a table on which row security is not forced.
///
/// A store on the application's own pool ([`from_pool`](Self::from_pool)) is `Unavailable` while the database is read-only, so that the records must
/// wait elsewhere.
#[derive(Clone)]
pub struct PostgresAuditStore {
    pub(super) pool: PgPool,
    /// How a transaction that writes begins.
    begin: &'static str,
    months: Arc<Months>,
    pub(super) trees: Arc<Trees>,
}

impl PostgresAuditStore {
    /// The audit trail through the connections of `store`, whose schema is migrated.
    ///
    /// # Errors
    /// `InvalidConfig` when the role of `store` could change the trail, or row security does not hold: it names what is wrong, and the remedy.
    pub async fn open(store: &PostgresStore) -> Result<Self> {
        role::check(store.pool()).await?;
        Ok(Self::unchecked(store))
    }

    /// As [`open`](Self::open), whatever the role may do: for databases that are thrown away, such as those of tests. A superuser passes row
    /// level security by, and an owner can change what is recorded.
    pub fn unchecked(store: &PostgresStore) -> Self {
        Self::over(store.pool().clone(), WRITE)
    }

    /// The audit trail through connections of its own, as the role in `url`.
    ///
    /// # Errors
    /// As [`PostgresStore::connect`], [`PostgresStore::check_schema`] and [`open`](Self::open).
    pub async fn connect(url: &SecretString) -> Result<Self> {
        let store = PostgresStore::connect(url).await?;
        store.check_schema().await?;
        Self::open(&store).await
    }

    /// The audit trail through connections of its own that log in as `store` does and then take the rights of `role`, of which that login is a member.
    /// It keeps mistakes out, not somebody who has the login: they can become themselves again.
    ///
    /// # Errors
    /// As [`open`](Self::open); `InvalidInput` for a role whose name is not made of small letters, digits and `_`.
    pub async fn assume(store: &PostgresStore, role: &str) -> Result<Self> {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        if role.is_empty() || !role.bytes().all(plain) {
            return Err(error(ErrorKind::InvalidInput, "assume audit role")
                .context("role", "must be small letters, digits and _"));
        }
        let options = store
            .pool()
            .connect_options()
            .as_ref()
            .clone()
            .options([("role", role)]);
        let pool = PgPoolOptions::new()
            .max_connections(CONNECTIONS)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .connect_lazy_with(options);
        role::check(&pool).await?;
        Ok(Self::over(pool, WRITE))
    }

    /// The audit trail through a pool that the application uses for its data too. While the database is read-only, `append`
    /// is `Unavailable`.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub async fn from_pool(pool: PgPool) -> Result<Self> {
        role::check(&pool).await?;
        Ok(Self::over(pool, WRITE_WHERE_ALLOWED))
    }

    fn over(pool: PgPool, begin: &'static str) -> Self {
        Self {
            pool,
            begin,
            months: Arc::default(),
            trees: Arc::default(),
        }
    }

    /// Makes the partitions of the month of `now` and of the three after it. A store does so by itself when it is given a record of a month that it has not
    /// seen; where nobody does, records go to the partition for the rest.
    ///
    /// # Errors
    /// `PermissionDenied` without the right that [`PostgresStore::grant_audit_writer`] gives; `Timeout`, `Unavailable`.
    pub async fn make_months(&self, now: Timestamp) -> Result<()> {
        months::make(&self.pool, now.as_unix_micros()).await
    }

    /// A transaction that sees the rows of `tenant` only.
    pub(super) async fn begin(
        &self,
        kind: &'static str,
        tenant: &TenantId,
        operation: &'static str,
    ) -> Result<PgTransaction<'static>> {
        let mut transaction = self.pool.begin_with(kind).await.map_err(failed(operation))?;
        if kind.contains("repeatable read") {
            // Before the snapshot is taken: it must not be from before a removal that is waited for.
            sqlx::raw_sql("lock table only ops.audit_log in access share mode")
                .execute(&mut *transaction)
                .await
                .map_err(failed(operation))?;
        }
        sqlx::query(SET_TENANT)
            .bind(tenant.as_str())
            .execute(&mut *transaction)
            .await
            .map_err(failed(operation))?;
        Ok(transaction)
    }

    /// The same on a connection that is closed when it is dropped: one on which a copy is given up in the middle stays an answer behind, and must not serve
    /// anybody else.
    pub(super) async fn begin_apart(
        &self,
        kind: &'static str,
        tenant: &TenantId,
        operation: &'static str,
    ) -> Result<PoolConnection<Postgres>> {
        let mut connection = self.pool.acquire().await.map_err(failed(operation))?;
        connection.close_on_drop();
        sqlx::raw_sql(kind)
            .execute(&mut *connection)
            .await
            .map_err(failed(operation))?;
        sqlx::query(SET_TENANT)
            .bind(tenant.as_str())
            .execute(&mut *connection)
            .await
            .map_err(failed(operation))?;
        Ok(connection)
    }
}

#[async_trait]
impl AuditStore for PostgresAuditStore {
    async fn append(&self, record: &AuditRecord) -> Result<AuditReceipt> {
        let entry = AuditEntry::from(record.clone());
        match self.append_all(std::slice::from_ref(&entry)).await?.pop() {
            Some(Appended::Stored(receipt) | Appended::Known(receipt)) => Ok(receipt),
            Some(Appended::Refused(cause) | Appended::Stuck(cause)) => Err(cause),
            None => Err(error(ErrorKind::Unexpected, APPEND).context("reason", "there was no answer")),
        }
    }

    async fn append_all(&self, entries: &[AuditEntry]) -> Result<Vec<Appended>> {
        self.months.make_for(&self.pool, entries).await;
        append_all(&self.pool, self.begin, &self.trees, entries).await
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

    async fn chain(&self, tenant: &TenantId, after: u64, limit: u32) -> Result<Vec<TrailEntry>> {
        let mut transaction = self.begin("begin read only", tenant, READ).await?;
        let after = i64::try_from(after).unwrap_or(i64::MAX);
        let rows = page_after(&mut transaction, tenant, after, limit)
            .await
            .map_err(failed(READ))?;
        Ok(rows.into_iter().map(|row| row.entry(tenant)).collect())
    }

    async fn head(&self, tenant: &TenantId) -> Result<Option<AuditHead>> {
        let mut transaction = self.begin("begin read only", tenant, READ).await?;
        match read_head(&mut transaction, tenant, READ).await? {
            Head::None => Ok(None),
            Head::Whole(head) => Ok(Some(head)),
            Head::WithoutTree(last) => {
                let tree = self.trees.read(&mut transaction, tenant).await?;
                Ok(Some(AuditHead::new(last, tree.peaks().to_vec())))
            }
        }
    }

    async fn verify(&self, tenant: &TenantId) -> Result<ChainReport> {
        // One snapshot for head and records: appends that go on meanwhile are not seen.
        let mut transaction = self
            .begin("begin isolation level repeatable read read only", tenant, VERIFY)
            .await?;
        let head = read_head(&mut transaction, tenant, VERIFY).await?;
        let mut verifier = ChainVerifier::new();
        let mut tree = Tree::new();
        let mut last = 0;
        loop {
            let page = page_after(&mut transaction, tenant, last, VERIFY_PAGE)
                .await
                .map_err(failed(VERIFY))?;
            let Some(end) = page.last() else { break };
            last = end.sequence();
            for row in page {
                if let Some(leaf) = verifier.push_entry(&row.entry(tenant)) {
                    tree.push(leaf);
                }
            }
        }
        let mut report = verifier.finish();
        let (head, peaks) = match head {
            Head::None => (None, None),
            Head::WithoutTree(head) => (Some(head), None),
            Head::Whole(head) => (Some(head.receipt), Some(head.peaks)),
        };
        if let Some(fault) = head_fault(head.as_ref(), report.head.as_ref(), last) {
            report.faults.push(fault);
        } else if peaks.is_some_and(|peaks| peaks != tree.peaks()) {
            let sequence = u64::try_from(last).unwrap_or(0);
            report.faults.push(AuditFault::new(
                sequence,
                "the hash tree beside the head is not that of the records",
            ));
        }
        Ok(report)
    }
}

impl fmt::Debug for PostgresAuditStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresAuditStore").finish_non_exhaustive()
    }
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
    let mut statement = QueryBuilder::new(UNSALTED);
    statement.push(" where tenant = ");
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

/// Whoever waited for the head of a chain must see it as it is then, whatever isolation the database gives by default.
pub(super) const WRITE: &str = "begin isolation level read committed read write";
/// The same, unless the session is read-only.
const WRITE_WHERE_ALLOWED: &str = "begin isolation level read committed";
pub(super) const SET_TENANT: &str = "select set_config('app.current_tenant', $1, true)";
const SEARCH: &str = "search audit records";
const READ: &str = "read audit chain";
const VERIFY: &str = "verify audit chain";
const VERIFY_PAGE: u32 = 1000;
const CONNECTIONS: u32 = 4;
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(3);
