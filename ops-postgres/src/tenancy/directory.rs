use async_trait::async_trait;
use ops_core::error::{Error, ErrorKind, Result};
use ops_core::model::{NewTenant, TableName, Tenant, TenantId, TenantState, Timestamp};
use ops_core::ports::{TenantCreated, TenantDirectory};
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, FromRow, PgPool, PgTransaction, Row};

use super::policy::relation;
use super::set_tenant;
use crate::PostgresStore;
use crate::error::{error, failed};
use crate::guard::{commit_unless_read_only, refuse_while_read_only};

/// The tenants of an application whose tables are in the same database as the schema `ops`.
///
/// `create` writes the application's tables `organizations` (`id`, `name`, `plan`, `is_active`, `created_at`), `users` (`id`,
/// `organization_id`, `email`, `name`, `role_level`) and `departments` (`id`, `organization_id`, `name`, `path`, `level`) and our own
/// `ops.tenant` in one transaction. Rows that are there already are adopted as they are.
#[derive(Clone, Debug)]
pub struct PostgresTenants {
    pool: PgPool,
    organizations: TableName,
    users: TableName,
    departments: TableName,
}

impl PostgresTenants {
    /// The tenants in the database of `store`, whose schema is migrated; the application's tables are in `public`.
    pub fn new(store: &PostgresStore) -> Self {
        let table =
            |name: &str| TableName::new("public", name).unwrap_or_else(|_| unreachable!("a plain name"));
        Self {
            pool: store.pool().clone(),
            organizations: table("organizations"),
            users: table("users"),
            departments: table("departments"),
        }
    }

    /// With other tables.
    #[must_use]
    pub fn with_tables(mut self, organizations: TableName, users: TableName, departments: TableName) -> Self {
        (self.organizations, self.users, self.departments) = (organizations, users, departments);
        self
    }

    async fn found(&self, id: &TenantId) -> Result<Option<Tenant>> {
        let row: Option<TenantRow> = sqlx::query_as(AssertSqlSafe(format!(
            "select {COLUMNS} from ops.tenant where id = $1"
        )))
        .bind(id.as_str())
        .fetch_optional(&self.pool)
        .await
        .map_err(failed(FIND))?;
        row.map(TenantRow::read).transpose()
    }

    async fn begin(&self, id: &TenantId, operation: &'static str) -> Result<PgTransaction<'static>> {
        let mut transaction = self.pool.begin().await.map_err(failed(operation))?;
        refuse_while_read_only(&mut transaction, operation).await?;
        set_tenant(&mut transaction, id, operation).await?;
        Ok(transaction)
    }

    /// The organisation, one administrator, one root department; what is there stays.
    async fn fill(&self, transaction: &mut PgTransaction<'_>, new: &NewTenant, at: Timestamp) -> Result<()> {
        let (organizations, users, departments) = (
            relation(&self.organizations),
            relation(&self.users),
            relation(&self.departments),
        );
        let organization = format!(
            "insert into {organizations} (id, name, plan, is_active, created_at)
             select $1, $2, $3, true, timestamptz 'epoch' + $4::bigint * interval '1 microsecond'
             where not exists (select from {organizations} where id = $1)"
        );
        sqlx::query(AssertSqlSafe(organization))
            .bind(new.id.as_str())
            .bind(&new.name)
            .bind(&new.plan)
            .bind(at.as_unix_micros())
            .execute(&mut **transaction)
            .await
            .map_err(failed("create organisation"))?;
        let user = format!(
            "insert into {users} (id, organization_id, email, name, role_level) select $2, $1, $3, $4, {}
             where not exists (select from {users} where organization_id = $1 and role_level = {0})",
            ops_core::model::PermissionLevel::REPRESENTATIVE
        );
        sqlx::query(AssertSqlSafe(user))
            .bind(new.id.as_str())
            .bind(&new.admin_id)
            .bind(&new.admin_email)
            .bind(&new.admin_name)
            .execute(&mut **transaction)
            .await
            .map_err(failed("create administrator"))?;
        let department = format!(
            "insert into {departments} (id, organization_id, name, path, level) select $2, $1, $3, 'root', 0
             where not exists (select from {departments} where organization_id = $1 and path = 'root')"
        );
        sqlx::query(AssertSqlSafe(department))
            .bind(new.id.as_str())
            .bind(&new.department_id)
            .bind(&new.department_name)
            .execute(&mut **transaction)
            .await
            .map_err(failed("create root department"))?;
        Ok(())
    }

    /// Sets the state in both tables. `change` gives no row when the state does not allow it.
    async fn change(
        &self,
        id: &TenantId,
        at: i64,
        change: &'static str,
        active: bool,
        operation: &'static str,
    ) -> Result<Tenant> {
        let mut transaction = self.begin(id, operation).await?;
        let row: Option<TenantRow> = sqlx::query_as(AssertSqlSafe(format!("{change} returning {COLUMNS}")))
            .bind(id.as_str())
            .bind(at)
            .fetch_optional(&mut *transaction)
            .await
            .map_err(failed(operation))?;
        let Some(row) = row else {
            return match self.found(id).await? {
                None => Err(error(ErrorKind::NotFound, operation).context("tenant", id.as_str())),
                Some(found) if active && found.state != TenantState::Active => Err(gone(operation, id)),
                Some(found) => Ok(found),
            };
        };
        let mark = format!(
            "update {} set is_active = $2 where id = $1",
            relation(&self.organizations)
        );
        let marked = sqlx::query(AssertSqlSafe(mark))
            .bind(id.as_str())
            .bind(active)
            .execute(&mut *transaction)
            .await
            .map_err(failed(operation))?;
        if marked.rows_affected() == 0 {
            return Err(error(ErrorKind::Conflict, operation)
                .context("tenant", id.as_str())
                .context(
                    "reason",
                    "its organisation is not there, or row security hides it",
                )
                .context("table", self.organizations.to_string())
                .context(
                    "remedy",
                    "insert its row there, with the tenant's id and name, or run as a role that sees it (BYPASSRLS)",
                ));
        }
        commit_unless_read_only(transaction, operation).await?;
        row.read()
    }
}

#[async_trait]
impl TenantDirectory for PostgresTenants {
    async fn create(&self, new: &NewTenant, at: Timestamp) -> Result<TenantCreated> {
        let mut transaction = self.begin(&new.id, CREATE).await?;
        // Of several at once, the others wait here until the first has committed, and then find its row.
        let made: Option<TenantRow> = sqlx::query_as(AssertSqlSafe(format!(
            "insert into ops.tenant (id, name, plan, state, created_at) values ($1, $2, $3, 'active', $4)
             on conflict (id) do nothing returning {COLUMNS}"
        )))
        .bind(new.id.as_str())
        .bind(&new.name)
        .bind(&new.plan)
        .bind(at.as_unix_micros())
        .fetch_optional(&mut *transaction)
        .await
        .map_err(failed(CREATE))?;
        let Some(made) = made else {
            drop(transaction);
            return match self.found(&new.id).await? {
                Some(found) if found.state == TenantState::Active => Ok(TenantCreated::AlreadyThere(found)),
                _ => Err(gone(CREATE, &new.id)),
            };
        };
        self.fill(&mut transaction, new, at).await?;
        commit_unless_read_only(transaction, CREATE).await?;
        Ok(TenantCreated::Made(made.read()?))
    }

    async fn find(&self, id: &TenantId) -> Result<Option<Tenant>> {
        self.found(id).await
    }

    async fn list(&self) -> Result<Vec<Tenant>> {
        let rows: Vec<TenantRow> = sqlx::query_as(AssertSqlSafe(format!(
            "select {COLUMNS} from ops.tenant order by id collate \"C\""
        )))
        .fetch_all(&self.pool)
        .await
        .map_err(failed("list tenants"))?;
        rows.into_iter().map(TenantRow::read).collect()
    }

    async fn delete(&self, id: &TenantId, at: Timestamp) -> Result<Tenant> {
        let change =
            "update ops.tenant set state = 'deleted', deleted_at = $2 where id = $1 and state = 'active'";
        self.change(id, at.as_unix_micros(), change, false, "delete tenant")
            .await
    }

    async fn undelete(&self, id: &TenantId) -> Result<Tenant> {
        let change = "update ops.tenant set state = 'active', deleted_at = null where id = $1 and state = 'deleted' and $2::bigint = 0";
        self.change(id, 0, change, true, "undelete tenant").await
    }
}

struct TenantRow {
    id: String,
    name: String,
    plan: String,
    state: String,
    created_at: i64,
    deleted_at: Option<i64>,
    purged_at: Option<i64>,
}

impl FromRow<'_, PgRow> for TenantRow {
    fn from_row(row: &PgRow) -> sqlx::Result<Self> {
        Ok(Self {
            id: row.try_get("id")?,
            name: row.try_get("name")?,
            plan: row.try_get("plan")?,
            state: row.try_get("state")?,
            created_at: row.try_get("created_at")?,
            deleted_at: row.try_get("deleted_at")?,
            purged_at: row.try_get("purged_at")?,
        })
    }
}

impl TenantRow {
    fn read(self) -> Result<Tenant> {
        let mut tenant = Tenant::new(
            TenantId::new(self.id)?,
            self.name,
            self.plan,
            Timestamp::from_unix_micros(self.created_at),
        );
        tenant.state = match self.state.as_str() {
            "active" => TenantState::Active,
            "deleted" => TenantState::Deleted,
            "purging" => TenantState::Purging,
            _ => TenantState::Purged,
        };
        tenant.deleted_at = self.deleted_at.map(Timestamp::from_unix_micros);
        tenant.purged_at = self.purged_at.map(Timestamp::from_unix_micros);
        Ok(tenant)
    }
}

fn gone(operation: &'static str, id: &TenantId) -> Error {
    error(ErrorKind::Conflict, operation)
        .context("tenant", id.as_str())
        .context("reason", "it is deleted, being purged, or purged")
        .context(
            "remedy",
            "undelete it while none of its rows is gone, or take another id: a purged one is never given again",
        )
}

const COLUMNS: &str = "id, name, plan, state, created_at, deleted_at, purged_at";
const CREATE: &str = "create tenant";
const FIND: &str = "find tenant";
