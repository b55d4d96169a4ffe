use std::fmt;
use std::ops::{Deref, DerefMut};

use ops_core::error::{ErrorKind, Result};
use ops_core::model::TenantId;
use ops_core::tenancy::TenantContext;
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, PgPool, PgTransaction, Row};

use super::SETTING;
use crate::error::{error, failed};
use crate::identifier::literal;

/// A pool whose transactions see the rows of one tenant.
///
/// The tenant is a setting of the transaction and of nothing longer, so that it cannot stay behind on a connection: not after a
/// cancelled request, not after a panic, not behind a pooler in transaction mode. It works only where row security does:
/// [`TenantCheck`](crate::TenantCheck).
///
/// Row security by a setting is no wall against injected SQL: a statement that an attacker writes can set the tenant, too.
#[derive(Clone)]
pub struct TenantPool {
    pool: PgPool,
}

impl TenantPool {
    /// A pool of the application's own role.
    ///
    /// # Errors
    /// `InvalidConfig` for a role that row security does not hold: a superuser or one with `BYPASSRLS`. `Unavailable`, `Timeout`.
    pub async fn new(pool: PgPool) -> Result<Self> {
        let row = sqlx::raw_sql("select rolsuper, rolbypassrls from pg_roles where rolname = current_user")
            .fetch_one(&pool)
            .await
            .map_err(failed(OPEN))?;
        let is = |column| row.try_get::<bool, _>(column).map_err(failed(OPEN));
        if is(0)? || is(1)? {
            return Err(error(ErrorKind::InvalidConfig, OPEN)
                .context("role", "is a superuser or has BYPASSRLS: it sees every tenant")
                .context("remedy", "connect as a role of the application that has neither"));
        }
        Ok(Self { pool })
    }

    /// A transaction for the tenant of `context`.
    ///
    /// # Errors
    /// `Unavailable`, `Timeout`.
    ///
    /// # Cancellation
    /// Dropping the future leaves no transaction and no tenant behind.
    pub async fn begin(&self, context: &TenantContext) -> Result<TenantTransaction> {
        let connection = self.pool.acquire().await.map_err(failed(BEGIN))?;
        let tenant = context.tenant().clone();
        // In a task of its own: whoever stops waiting cannot leave a `begin` behind of which the driver knows nothing.
        let begun = tokio::spawn(async move {
            let mut transaction = PgTransaction::begin(connection, None).await?;
            let set = format!(
                "select set_config({}, {}, true)",
                literal(SETTING),
                literal(tenant.as_str())
            );
            // Without a prepared statement: a transaction pooler may know none.
            sqlx::raw_sql(AssertSqlSafe(set))
                .execute(&mut *transaction)
                .await?;
            Ok(TenantTransaction { transaction, tenant })
        });
        let ended =
            |_| error(ErrorKind::Unavailable, BEGIN).context("reason", "the runtime is shutting down");
        begun.await.map_err(ended)?.map_err(failed(BEGIN))
    }
}

impl fmt::Debug for TenantPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TenantPool").finish_non_exhaustive()
    }
}

/// A transaction that sees the rows of one tenant. Dropped without [`commit`](Self::commit), it is rolled back.
///
/// It is a `&mut PgConnection` to sqlx: `sqlx::query(…).execute(&mut *transaction)`. Never set `app.current_tenant` in it, and never
/// write `commit` or `rollback` as a statement: what comes after that sees no tenant.
pub struct TenantTransaction {
    transaction: PgTransaction<'static>,
    tenant: TenantId,
}

impl TenantTransaction {
    /// Whose rows are seen.
    pub fn tenant(&self) -> &TenantId {
        &self.tenant
    }

    /// Makes the changes last.
    ///
    /// # Errors
    /// As of any statement; whether the changes last is unknown after `Unavailable`.
    ///
    /// # Cancellation
    /// Dropping the future leaves it open whether the changes last.
    pub async fn commit(self) -> Result<()> {
        self.transaction.commit().await.map_err(failed(COMMIT))
    }

    /// Undoes the changes.
    ///
    /// # Errors
    /// `Unavailable`; the changes are undone all the same.
    pub async fn rollback(self) -> Result<()> {
        self.transaction.rollback().await.map_err(failed("roll back"))
    }
}

impl Deref for TenantTransaction {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        &self.transaction
    }
}

impl DerefMut for TenantTransaction {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.transaction
    }
}

impl fmt::Debug for TenantTransaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TenantTransaction")
            .field("tenant", &self.tenant)
            .finish_non_exhaustive()
    }
}

const OPEN: &str = "open the pool of tenants";
const BEGIN: &str = "begin for a tenant";
const COMMIT: &str = "commit for a tenant";
