use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use ops_core::error::{Error, ErrorKind, Result};
use secrecy::{ExposeSecret, SecretString};
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPoolOptions};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgPool, Row, SqlSafeStr};
use uuid::Uuid;

use crate::error::{error, failed};
use crate::identifier::quoted;

/// A connection pool to one database, and our tables in its schema `ops`.
///
/// Its sessions stay writable while the database is read-only by default, so that journal, switches and audit trail go on.
/// They carry an `application_name` of their own, by which [`PostgresDatabaseGuard`](crate::PostgresDatabaseGuard) spares
/// them.
#[derive(Clone)]
pub struct PostgresStore {
    pool: PgPool,
    database: String,
    session_name: String,
}

impl PostgresStore {
    /// Connects to the database of `url`: `postgres://user:password@host:port/database?sslmode=…`.
    ///
    /// # Errors
    /// `InvalidConfig` for a URL that cannot be read; `Unauthenticated`, `NotFound` (no such database), `Unavailable`;
    /// `Timeout` when there is no answer within three seconds. The URL is never part of the text.
    pub async fn connect(url: &SecretString) -> Result<Self> {
        let session_name = format!("ops-{}", Uuid::new_v4().simple());
        let options = options(url)?
            .application_name(&session_name)
            .options(SESSION_SETTINGS);
        // The pool would go on trying and then tell only that it took too long: ask once without it.
        let database = tokio::time::timeout(CONNECT_TIMEOUT, current_database(&options))
            .await
            .map_err(|_| error(ErrorKind::Timeout, CONNECT))?
            .map_err(failed(CONNECT))?;
        let pool = PgPoolOptions::new()
            .max_connections(MAX_CONNECTIONS)
            .acquire_timeout(CONNECT_TIMEOUT)
            .connect_lazy_with(options);
        Ok(Self {
            pool,
            database,
            session_name,
        })
    }

    /// Makes or updates the schema `ops`. Does nothing when it is up to date, also while the database is read-only.
    ///
    /// # Errors
    /// `PermissionDenied` unless the role may create a schema (or owns `ops`); `InvalidConfig` when the schema is newer than
    /// this program or its history was changed.
    pub async fn migrate(&self) -> Result<()> {
        self.upgrade().await.map(drop)
    }

    /// Checks that the schema `ops` is the one that this program expects.
    ///
    /// # Errors
    /// `InvalidConfig` when it is missing, older or newer.
    pub async fn check_schema(&self) -> Result<()> {
        self.schema_state().await?.check()
    }

    /// Lets `role`, an application's, read the switches, stop and open features, hear of changes, and say what it has applied; nothing else. Without it a
    /// process of that role cannot be stopped from elsewhere, or cannot be seen to be.
    ///
    /// ```sql
    /// grant usage on schema ops to app;
    /// grant select on ops.schema_migration to app;
    /// grant select, update on ops.switch_state to app;
    /// grant select, insert, update, delete on ops.switch_process to app;
    /// ```
    ///
    /// # Errors
    /// `PermissionDenied` unless the connected role owns the schema.
    pub async fn grant_switches(&self, role: &str) -> Result<()> {
        let granted: bool = sqlx::query_scalar(
            "select has_schema_privilege($1, 'ops', 'USAGE')
                and has_table_privilege($1, 'ops.schema_migration', 'SELECT')
                and has_table_privilege($1, 'ops.switch_state', 'SELECT') and has_table_privilege($1, 'ops.switch_state', 'UPDATE')
                and has_table_privilege($1, 'ops.switch_process', 'SELECT') and has_table_privilege($1, 'ops.switch_process', 'INSERT')
                and has_table_privilege($1, 'ops.switch_process', 'UPDATE') and has_table_privilege($1, 'ops.switch_process', 'DELETE')",
        )
        .bind(role)
        .fetch_one(&self.pool)
        .await
        .map_err(failed(GRANT_SWITCHES))?;
        if granted {
            return Ok(());
        }
        let role = quoted(role);
        let statements = format!(
            "grant usage on schema ops to {role};
             grant select on ops.schema_migration to {role};
             grant select, update on ops.switch_state to {role};
             grant select, insert, update, delete on ops.switch_process to {role};"
        );
        sqlx::raw_sql(AssertSqlSafe(statements))
            .execute(&self.pool)
            .await
            .map_err(failed(GRANT_SWITCHES))?;
        Ok(())
    }

    /// Lets `role`, an application's, count limits with [`PostgresLimits`](crate::PostgresLimits) and change them; nothing else.
    ///
    /// # Errors
    /// `PermissionDenied` unless the connected role owns the schema.
    pub async fn grant_limits(&self, role: &str) -> Result<()> {
        let role = quoted(role);
        let statements = format!(
            "grant usage on schema ops to {role};
             grant select, insert, update on ops.limit_table to {role};
             grant select, insert, update, delete on ops.limit_state, ops.limit_denial to {role};"
        );
        sqlx::raw_sql(AssertSqlSafe(statements))
            .execute(&self.pool)
            .await
            .map_err(failed("grant the limits"))?;
        Ok(())
    }

    /// Lets `role`, an application's, take leases with [`PostgresLeases`](crate::PostgresLeases) and write under them.
    ///
    /// The right is one to the whole table, not to some names: the role may take over, end and lengthen **every** lease, also that of a purge or of retention that is under
    /// way, set tokens back, and put anybody's name there. It may delete none. Give it to a role only that you would trust with every job that has a lease; others are given a
    /// database, or a [`LeaseStore`](ops_core::ports::LeaseStore), of their own.
    ///
    /// # Errors
    /// `PermissionDenied` unless the connected role owns the schema.
    pub async fn grant_leases(&self, role: &str) -> Result<()> {
        let role = quoted(role);
        let statements = format!(
            "grant usage on schema ops to {role};
             grant select, insert, update on ops.lease to {role};"
        );
        sqlx::raw_sql(AssertSqlSafe(statements))
            .execute(&self.pool)
            .await
            .map_err(failed("grant the leases"))?;
        Ok(())
    }

    /// The database that `url` names, without connecting; the user's name where it names none, as the server would take it.
    ///
    /// # Errors
    /// `InvalidConfig` for a URL that cannot be read. The URL is never part of the text.
    pub fn database_in(url: &SecretString) -> Result<String> {
        let options = options(url)?;
        let database = options.get_database().unwrap_or_else(|| options.get_username());
        Ok(database.to_owned())
    }

    /// The role that the sessions have.
    ///
    /// # Errors
    /// `Unavailable`, `Timeout`.
    pub async fn role(&self) -> Result<String> {
        sqlx::query_scalar("select current_user::text")
            .fetch_one(&self.pool)
            .await
            .map_err(failed("read the role"))
    }

    /// The pool. Its sessions override the database's read-only default.
    pub fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// The database's name.
    pub fn database(&self) -> &str {
        &self.database
    }

    /// Closes all connections. Later calls are `Unavailable`.
    pub async fn close(&self) {
        self.pool.close().await;
    }

    /// The `application_name` of our sessions.
    pub(crate) fn session_name(&self) -> &str {
        &self.session_name
    }

    /// Whether the table of the switches is there and may be read, however new the schema is. Without a prepared statement, so that a
    /// transaction pooler may be in between.
    ///
    /// # Errors
    /// `InvalidConfig` when it is not there, `PermissionDenied` when it may not be read.
    pub(crate) async fn check_switches(&self) -> Result<()> {
        let found = sqlx::raw_sql(
            "select has_schema_privilege(n.oid, 'USAGE') and has_table_privilege(c.oid, 'SELECT')
             from pg_class c join pg_namespace n on n.oid = c.relnamespace
             where n.nspname = 'ops' and c.relname = 'switch_state'",
        )
        .fetch_optional(&self.pool)
        .await
        .map_err(failed(CHECK_SWITCHES))?;
        let wrong = |kind, reason, remedy| {
            Err(error(kind, CHECK_SWITCHES)
                .context("reason", reason)
                .context("remedy", remedy))
        };
        match found {
            None => wrong(
                ErrorKind::InvalidConfig,
                "there is no table ops.switch_state",
                "migrate the schema first (opsctl db migrate, or PostgresStore::migrate), and check the database's name",
            ),
            Some(row) if row.try_get::<bool, _>(0).map_err(failed(CHECK_SWITCHES))? => Ok(()),
            Some(_) => wrong(
                ErrorKind::PermissionDenied,
                "this role may not read ops.switch_state",
                "let the owner of the schema grant it (PostgresStore::grant_switches)",
            ),
        }
    }
}

impl fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresStore")
            .field("database", &self.database)
            .field("session_name", &self.session_name)
            .finish_non_exhaustive()
    }
}

/// Reads a URL. The driver's own error text may repeat it, so it is left out. The driver logs no statement: some hold the id of a person.
pub(crate) fn options(url: &SecretString) -> Result<PgConnectOptions> {
    let options =
        PgConnectOptions::from_str(url.expose_secret()).map(ConnectOptions::disable_statement_logging);
    options.map_err(|_| {
        error(ErrorKind::InvalidConfig, "read database URL")
            .context("url", "must be postgres://user:password@host:port/database")
    })
}

async fn current_database(options: &PgConnectOptions) -> sqlx::Result<String> {
    let mut connection = PgConnection::connect_with(options).await?;
    // Without a prepared statement: a transaction pooler knows none.
    let database = sqlx::raw_sql("select current_database()::text")
        .fetch_one(&mut connection)
        .await?
        .try_get(0)?;
    connection.close().await?;
    Ok(database)
}

/// The newest version of the schema that was reached; `None` where there is no schema.
pub(crate) async fn version(connection: &mut PgConnection) -> Result<Option<i64>> {
    let exists: bool = sqlx::query_scalar(
        "select exists (select from pg_class c join pg_namespace n on n.oid = c.relnamespace
         where n.nspname = 'ops' and c.relname = 'schema_migration')",
    )
    .fetch_one(&mut *connection)
    .await
    .map_err(failed("read schema version"))?;
    if !exists {
        return Ok(None);
    }
    sqlx::query_scalar("select max(version) from ops.schema_migration where success")
        .fetch_one(connection)
        .await
        .map_err(failed("read schema version"))
}

/// The schema is not that of this program.
pub(crate) fn other_schema(operation: &'static str, found: Option<i64>) -> Error {
    let remedy = match found {
        Some(found) if found > LATEST => {
            "a newer version of this program made it: use that version; nothing was changed"
        }
        _ => "`opsctl db migrate` brings it up to date, or PostgresStore::migrate; nothing was changed",
    };
    error(ErrorKind::InvalidConfig, operation)
        .context("expected", LATEST.to_string())
        .context(
            "found",
            found.map_or_else(|| "none".to_owned(), |version| version.to_string()),
        )
        .context("remedy", remedy)
}

pub(crate) fn migrator() -> Migrator {
    let migrations = MIGRATIONS
        .iter()
        .map(|(version, description, sql)| {
            let sql = sql.into_sql_str();
            Migration::new(*version, (*description).into(), MigrationType::Simple, sql, false)
        })
        .collect();
    let mut migrator = Migrator::with_migrations(migrations);
    migrator.dangerous_set_table_name("ops.schema_migration");
    migrator.create_schema("ops");
    migrator
}

const MIGRATIONS: &[(i64, &str, &str)] = &[
    (1, "journal", include_str!("../migrations/0001_journal.sql")),
    (2, "switch", include_str!("../migrations/0002_switch.sql")),
    (3, "audit", include_str!("../migrations/0003_audit.sql")),
    (
        4,
        "read-only marker",
        include_str!("../migrations/0004_read_only_marker.sql"),
    ),
    (5, "approval", include_str!("../migrations/0005_approval.sql")),
    (
        6,
        "switch process",
        include_str!("../migrations/0006_switch_process.sql"),
    ),
    (7, "drill", include_str!("../migrations/0007_drill.sql")),
    (
        8,
        "audit months",
        include_str!("../migrations/0008_audit_months.sql"),
    ),
    (10, "limit", include_str!("../migrations/0010_limit.sql")),
    (11, "tenants", include_str!("../migrations/0011_tenants.sql")),
    (12, "acl order", include_str!("../migrations/0012_acl_order.sql")),
    (
        13,
        "migration step",
        include_str!("../migrations/0013_migration_step.sql"),
    ),
    (
        14,
        "audit month rights",
        include_str!("../migrations/0014_audit_month_rights.sql"),
    ),
    (16, "purging", include_str!("../migrations/0016_purging.sql")),
    (
        17,
        "migration run",
        include_str!("../migrations/0017_migration_run.sql"),
    ),
    (
        18,
        "kept of the audit trail",
        include_str!("../migrations/0018_audit_kept.sql"),
    ),
    (19, "incident", include_str!("../migrations/0019_incident.sql")),
    (20, "lease", include_str!("../migrations/0020_lease.sql")),
    (21, "due dates", include_str!("../migrations/0021_due.sql")),
    (
        22,
        "migrations back",
        include_str!("../migrations/0022_migration_back.sql"),
    ),
    (
        23,
        "lease times",
        include_str!("../migrations/0023_lease_times.sql"),
    ),
];

/// The tables of the schema `ops` that our migrations make, that of the versions included.
pub(crate) fn own_tables() -> Vec<&'static str> {
    let mut tables = vec!["schema_migration"];
    for (_, _, sql) in MIGRATIONS {
        let made = CREATE_TABLE.iter().flat_map(|words| sql.match_indices(words));
        for (at, words) in made {
            let rest = &sql[at + words.len()..];
            let rest = rest.strip_prefix("if not exists ").unwrap_or(rest);
            let Some(name) = rest.strip_prefix("ops.") else {
                continue;
            };
            let end = name.find(|next: char| next != '_' && !next.is_ascii_alphanumeric());
            tables.push(&name[..end.unwrap_or(name.len())]);
        }
    }
    tables.sort_unstable();
    tables.dedup();
    tables
}

const CREATE_TABLE: [&str; 2] = ["create table ", "create unlogged table "];
pub(crate) const LATEST: i64 = MIGRATIONS[MIGRATIONS.len() - 1].0;

/// As startup options: a setting of the session itself beats those of database and role.
const SESSION_SETTINGS: [(&str, &str); 6] = [
    ("default_transaction_read_only", "off"),
    // Who had to wait for a row decides by what it is then.
    ("default_transaction_isolation", "read committed"),
    ("standard_conforming_strings", "on"),
    ("statement_timeout", "10s"),
    ("lock_timeout", "3s"),
    ("idle_in_transaction_session_timeout", "30s"),
];

const CONNECT: &str = "connect";
pub(crate) const MIGRATE: &str = "migrate schema ops";
const GRANT_SWITCHES: &str = "grant the switches";
const CHECK_SWITCHES: &str = "check the table of switches";
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
const MAX_CONNECTIONS: u32 = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_table_that_a_migration_makes_is_known_as_ours() {
        let tables = own_tables();
        for (_, name, sql) in MIGRATIONS {
            assert!(
                !sql.contains("CREATE TABLE"),
                "{name}: in lower case, so that it is found"
            );
        }
        for table in [
            "journal_entry",
            "approval",
            "switch_process",
            "drill",
            "audit_log",
            "limit_state",
        ] {
            assert!(tables.contains(&table), "{table} in {tables:?}");
        }
    }
}
