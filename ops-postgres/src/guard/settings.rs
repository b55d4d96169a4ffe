//! Reads and writes the read-only default of the database and of exempt roles in it, and the marker of the run.

use std::collections::BTreeMap;

use ops_core::error::Result;
use ops_core::model::RunId;
use sqlx::{Acquire, AssertSqlSafe, PgConnection};

use super::statements::acting_as;
use crate::error::failed;
use crate::identifier::{literal, quoted};

/// The values of `default_transaction_read_only`, as they were written; `None`: not set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Settings {
    pub(super) database: Option<String>,
    /// Of exempt roles in this database.
    pub(super) roles: BTreeMap<String, Option<String>>,
    /// Of covered roles that have one of their own in this database, or in every database and could write here: those beat the database's.
    pub(super) own: BTreeMap<String, OwnSetting>,
    /// Whether the connected role may change the database's setting.
    pub(super) controlled: bool,
}

/// What a role has set for itself, or an administrator for it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct OwnSetting {
    /// In this database. It beats the other.
    pub(super) here: Option<String>,
    /// In every database. The mode never changes it.
    everywhere: Option<String>,
    /// Whether the role may log in here and could write.
    writes: bool,
}

impl OwnSetting {
    /// Its sessions begin writable whatever the database says.
    fn begins_writable(&self) -> bool {
        let value = self.here.as_deref().or(self.everywhere.as_deref());
        value.is_some() && !is_on(value)
    }
}

impl Settings {
    pub(super) async fn read(
        connection: &mut PgConnection,
        exempt: &[String],
        writers: &[String],
        operation: &'static str,
    ) -> Result<Self> {
        let (database, controlled): (Option<String>, bool) = sqlx::query_as(DATABASE)
            .fetch_one(&mut *connection)
            .await
            .map_err(failed(operation))?;
        let roles: Vec<(String, Option<String>)> = sqlx::query_as(ROLES)
            .bind(exempt)
            .fetch_all(&mut *connection)
            .await
            .map_err(failed(operation))?;
        let own: Vec<(String, Option<String>, Option<String>, bool)> = sqlx::query_as(OWN)
            .bind(exempt)
            .fetch_all(connection)
            .await
            .map_err(failed(operation))?;
        let own = own.into_iter().map(|(role, here, everywhere, enters)| {
            let writes = enters && writers.contains(&role);
            let own = OwnSetting {
                here,
                everywhere,
                writes,
            };
            (role, own)
        });
        // Roles of other databases have settings too.
        let own = own.filter(|(_, own)| own.here.is_some() || own.writes && own.begins_writable());
        Ok(Self {
            database,
            roles: roles.into_iter().collect(),
            own: own.collect(),
            controlled,
        })
    }

    pub(super) fn is_read_only(&self) -> bool {
        is_on(self.database.as_deref())
    }

    /// Covered roles that could write here and whose sessions begin writable whatever the database says.
    pub(super) fn overriding(&self) -> impl Iterator<Item = &str> {
        self.own
            .iter()
            .filter(|(_, own)| own.writes && own.begins_writable())
            .map(|(role, _)| role.as_str())
    }

    /// Exempt roles whose sessions begin read-only unless they say otherwise themselves.
    pub(super) fn not_exempted(&self) -> impl Iterator<Item = &str> {
        self.roles
            .iter()
            .filter(|(_, value)| value.as_deref().is_none_or(|value| is_on(Some(value))))
            .map(|(role, _)| role.as_str())
    }
}

/// Sets or (with `None`) resets the setting of the database.
pub(super) async fn set_database(
    connection: &mut PgConnection,
    database: &str,
    value: Option<&str>,
    operation: &'static str,
) -> Result<()> {
    run(
        connection,
        format!("ALTER DATABASE {} {}", quoted(database), change(value)),
    )
    .await
    .map_err(failed(operation))
}

/// Sets or resets the setting of one role in the database, in its name where it may be taken on: every role may change its own. A role
/// that the connected one may not change stays as it is: whether it did, the result says.
pub(super) async fn set_role(
    connection: &mut PgConnection,
    database: &str,
    role: &str,
    value: Option<&str>,
    operation: &'static str,
) -> Result<bool> {
    let statement = format!(
        "ALTER ROLE {} IN DATABASE {} {}",
        quoted(role),
        quoted(database),
        change(value)
    );
    let in_its_name = acting_as(role, &statement);
    for attempt in [statement, in_its_name] {
        let mut savepoint = connection.begin().await.map_err(failed(operation))?;
        match run(&mut savepoint, attempt).await {
            Ok(()) => {
                savepoint.commit().await.map_err(failed(operation))?;
                return Ok(true);
            }
            Err(sqlx::Error::Database(cause)) if cause.code().as_deref() == Some("42501") => {
                savepoint.rollback().await.map_err(failed(operation))?;
            }
            Err(cause) => return Err(failed(operation)(cause)),
        }
    }
    Ok(false)
}

/// The run that made the database read-only, and since when, in microseconds.
#[derive(Clone, Debug)]
pub(super) struct Marker {
    run: String,
    pub(super) since: i64,
    /// What the run held of this database was given up (forgotten, say): the marker is left over.
    spent: bool,
}

impl Marker {
    pub(super) fn run(&self) -> Option<RunId> {
        RunId::new(self.run.as_str()).ok()
    }
}

/// `None` also where the schema `ops` is missing or not ours to read.
pub(super) async fn marker(connection: &mut PgConnection, operation: &'static str) -> Result<Option<Marker>> {
    let found = left_marker(connection, operation).await?;
    Ok(found.filter(|marker| !marker.spent))
}

async fn left_marker(connection: &mut PgConnection, operation: &'static str) -> Result<Option<Marker>> {
    let may_read: bool = sqlx::query_scalar(MAY_READ)
        .bind(MARKER_TABLE)
        .fetch_one(&mut *connection)
        .await
        .map_err(failed(operation))?;
    if !may_read {
        return Ok(None);
    }
    let known: bool = sqlx::query_scalar("select has_table_privilege('ops.journal_hold', 'SELECT')")
        .fetch_one(&mut *connection)
        .await
        .map_err(failed(operation))?;
    let row: Option<(String, i64, bool)> = sqlx::query_as(if known { MARKER } else { MARKER_ALONE })
        .fetch_optional(connection)
        .await
        .map_err(failed(operation))?;
    Ok(row.map(|(run, since, spent)| Marker { run, since, spent }))
}

/// Whether the mode is in force, in whole or in part.
pub(super) async fn is_read_only(connection: &mut PgConnection, operation: &'static str) -> Result<bool> {
    let (database, _): (Option<String>, bool) = sqlx::query_as(DATABASE)
        .fetch_one(&mut *connection)
        .await
        .map_err(failed(operation))?;
    Ok(is_on(database.as_deref()) || marker(connection, operation).await?.is_some())
}

/// Leaves the marker of `run` unless there is one of a run that still holds the database. `anew`: the database was writable by default
/// until now, so that the mode begins now, whoever's it is.
pub(super) async fn mark(
    connection: &mut PgConnection,
    run: &str,
    anew: bool,
    operation: &'static str,
) -> Result<()> {
    if !may_use(connection, MARKER_TABLE, operation).await? {
        return Ok(());
    }
    let first = match left_marker(connection, operation).await? {
        Some(marker) if marker.spent => None,
        Some(_) if !anew => return Ok(()),
        found => found.map(|marker| marker.run),
    };
    if first.is_none() {
        forget_settings(connection, operation).await?;
    }
    unmark(connection, operation).await?;
    sqlx::query("insert into ops.read_only_marker (run) values ($1) on conflict do nothing")
        .bind(first.as_deref().unwrap_or(run))
        .execute(connection)
        .await
        .map_err(failed(operation))?;
    Ok(())
}

/// Removes the marker.
pub(super) async fn unmark(connection: &mut PgConnection, operation: &'static str) -> Result<()> {
    if may_use(connection, MARKER_TABLE, operation).await? {
        sqlx::query("delete from ops.read_only_marker")
            .execute(connection)
            .await
            .map_err(failed(operation))?;
    }
    Ok(())
}

/// Notes what a role has set for itself in the database, before the mode sets something else: the snapshot of the first stop does not know
/// a role that came later. The first note counts. A stop does not fail for want of it.
pub(super) async fn note(
    connection: &mut PgConnection,
    role: &str,
    value: Option<&str>,
    operation: &'static str,
) -> Result<()> {
    if !may_use(connection, SETTING_TABLE, operation).await? {
        return Ok(());
    }
    let mut savepoint = connection.begin().await.map_err(failed(operation))?;
    let noted =
        sqlx::query("insert into ops.read_only_setting (role, value) values ($1, $2) on conflict do nothing")
            .bind(role)
            .bind(value)
            .execute(&mut *savepoint)
            .await;
    match noted {
        Ok(_) => savepoint.commit().await.map_err(failed(operation)),
        Err(cause) => {
            tracing::warn!(%cause, role, "what the role had set is not noted");
            savepoint.rollback().await.map_err(failed(operation))
        }
    }
}

/// What was noted, by role.
pub(super) async fn noted(
    connection: &mut PgConnection,
    operation: &'static str,
) -> Result<BTreeMap<String, Option<String>>> {
    if !may_use(connection, SETTING_TABLE, operation).await? {
        return Ok(BTreeMap::new());
    }
    let rows: Vec<(String, Option<String>)> = sqlx::query_as("select role, value from ops.read_only_setting")
        .fetch_all(connection)
        .await
        .map_err(failed(operation))?;
    Ok(rows.into_iter().collect())
}

pub(super) async fn forget_settings(connection: &mut PgConnection, operation: &'static str) -> Result<()> {
    if may_use(connection, SETTING_TABLE, operation).await? {
        sqlx::query("delete from ops.read_only_setting")
            .execute(connection)
            .await
            .map_err(failed(operation))?;
    }
    Ok(())
}

/// Whether a table of the schema `ops` is there, and ours to read, fill and empty.
pub(super) async fn may_use(
    connection: &mut PgConnection,
    table: &'static str,
    operation: &'static str,
) -> Result<bool> {
    sqlx::query_scalar(MAY_USE)
        .bind(table)
        .fetch_one(connection)
        .await
        .map_err(failed(operation))
}

async fn run(connection: &mut PgConnection, statement: String) -> sqlx::Result<()> {
    sqlx::raw_sql(AssertSqlSafe(statement))
        .execute(connection)
        .await?;
    Ok(())
}

fn change(value: Option<&str>) -> String {
    match value {
        Some(value) => format!("SET default_transaction_read_only = {}", literal(value)),
        None => "RESET default_transaction_read_only".to_owned(),
    }
}

fn is_on(value: Option<&str>) -> bool {
    matches!(
        value.map(str::to_ascii_lowercase).as_deref(),
        Some("on" | "true" | "yes" | "1" | "t" | "y")
    )
}

const DATABASE: &str = "
select (select substr(setting, 31) from pg_db_role_setting s cross join unnest(s.setconfig) setting
        where s.setdatabase = d.oid and s.setrole = 0 and starts_with(setting, 'default_transaction_read_only=')),
       pg_has_role(current_user, d.datdba, 'USAGE')
from pg_database d where d.datname = current_database()";

const ROLES: &str = "
select r.rolname::text,
       (select substr(setting, 31) from pg_db_role_setting s cross join unnest(s.setconfig) setting
        where s.setdatabase = d.oid and s.setrole = r.oid and starts_with(setting, 'default_transaction_read_only='))
from pg_database d cross join pg_roles r
where d.datname = current_database() and r.rolname::text = any($1)";

// Roles that have nothing of their own follow the database.
const OWN: &str = "
with settings as (
    select r.rolname::text as role,
           (select substr(setting, 31) from pg_db_role_setting s cross join unnest(s.setconfig) setting
            where s.setdatabase = d.oid and s.setrole = r.oid
              and starts_with(setting, 'default_transaction_read_only=')) as here,
           (select substr(setting, 31) from pg_db_role_setting s cross join unnest(s.setconfig) setting
            where s.setdatabase = 0 and s.setrole = r.oid
              and starts_with(setting, 'default_transaction_read_only=')) as everywhere,
           r.rolcanlogin and has_database_privilege(r.oid, d.oid, 'CONNECT') as enters
    from pg_database d cross join pg_roles r
    where d.datname = current_database() and not r.rolsuper and r.rolname::text <> all($1)
)
select role, here, everywhere, enters from settings where here is not null or everywhere is not null order by 1";

const MARKER_TABLE: &str = "read_only_marker";
const SETTING_TABLE: &str = "read_only_setting";

const MARKER: &str = "
select m.run, (extract(epoch from m.since) * 1000000)::bigint, coalesce(bool_and(h.released_at is not null), false)
from ops.read_only_marker m
left join ops.journal_hold h on h.run = m.run and h.target = 'postgres:' || current_database()
group by m.run, m.since";
/// Where holds are not ours to read.
const MARKER_ALONE: &str =
    "select run, (extract(epoch from since) * 1000000)::bigint, false from ops.read_only_marker";

const MAY_READ: &str = "
select exists (select from pg_class c join pg_namespace n on n.oid = c.relnamespace
               where n.nspname = 'ops' and c.relname = $1
                 and has_schema_privilege(n.oid, 'USAGE') and has_table_privilege(c.oid, 'SELECT'))";

const MAY_USE: &str = "
select exists (select from pg_class c join pg_namespace n on n.oid = c.relnamespace
               where n.nspname = 'ops' and c.relname = $1
                 and has_schema_privilege(n.oid, 'USAGE') and has_table_privilege(c.oid, 'SELECT')
                 and has_table_privilege(c.oid, 'INSERT') and has_table_privilege(c.oid, 'DELETE'))";
