use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ops_core::error::{ErrorKind, Result};
use ops_core::model::{LockMode, RelationEffect, StatementTrace, Work};
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection, Executor};
use tracing::instrument::WithSubscriber;

use super::notices::Notices;
use crate::error::{error, failed};
use crate::identifier::quoted;

/// The relations that are there before a statement, by their id.
#[derive(Clone, Debug, Default)]
pub(super) struct Before {
    names: BTreeMap<i64, (String, String)>,
    files: BTreeMap<i64, i64>,
}

/// Locks by relation and mode.
type Locks = BTreeSet<(i64, LockMode)>;

const WATCH: &str = "watch a statement";

impl Before {
    pub(super) async fn read(connection: &mut PgConnection) -> Result<Self> {
        let rows: Vec<(i64, String, String, i64, String)> = sqlx::query_as(
            "select c.oid::int8, n.nspname::text, c.relname::text, coalesce(pg_relation_filenode(c.oid), 0)::int8, c.relkind::text
             from pg_class c join pg_namespace n on n.oid = c.relnamespace
             where c.relkind in ('r', 'p', 'v', 'm', 'f') and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'",
        )
        .fetch_all(connection)
        .await
        .map_err(failed(WATCH))?;
        let mut before = Self::default();
        for (oid, schema, name, file, kind) in rows {
            before.files.insert(oid, file);
            before.names.insert(oid, (format!("{schema}.{name}"), kind));
        }
        Ok(before)
    }

    /// Those that the statement leaves with another file.
    async fn rewritten(&self, connection: &mut PgConnection) -> Result<BTreeSet<i64>> {
        let rows: Vec<(i64, i64)> =
            sqlx::query_as("select oid::int8, coalesce(pg_relation_filenode(oid), 0)::int8 from pg_class")
                .fetch_all(connection)
                .await
                .map_err(failed(WATCH))?;
        let moved = |(oid, file): &(i64, i64)| self.files.get(oid).is_some_and(|before| before != file);
        Ok(rows.into_iter().filter(moved).map(|(oid, _)| oid).collect())
    }

    /// The relation of that bare name; of several, one that is locked.
    fn called(&self, bare: &str, locks: &Locks) -> Option<i64> {
        let same = |(_, (full, _)): &(&i64, &(String, String))| {
            full.split_once('.').is_some_and(|(_, name)| name == bare)
        };
        let found: Vec<i64> = self.names.iter().filter(same).map(|(oid, _)| *oid).collect();
        let locked = |oid: &&i64| {
            locks
                .iter()
                .any(|(of, mode)| of == *oid && *mode > LockMode::RowExclusive)
        };
        found.iter().find(locked).or(found.first()).copied()
    }

    /// Names of tables that a session can lock as a whole.
    fn lockable(&self, kinds: &[&str]) -> Vec<String> {
        let of_kind = self
            .names
            .values()
            .filter(|(_, kind)| kinds.contains(&kind.as_str()));
        of_kind
            .map(|(full, _)| {
                let (schema, name) = full.split_once('.').unwrap_or(("", full));
                format!("{}.{}", quoted(schema), quoted(name))
            })
            .collect()
    }
}

/// Runs one statement inside the transaction that is open, and tells what it did.
pub(super) async fn inside(
    connection: &mut PgConnection,
    before: &mut Before,
    sql: &str,
) -> Result<StatementTrace> {
    let notices = Notices::default();
    let earlier = locks_of_own(connection).await?;
    let scans_before = scans(connection).await?;
    let began = clock(connection).await?;
    debug(connection, true).await?;
    let outcome = connection
        .execute(AssertSqlSafe(sql.to_owned()))
        .with_subscriber(notices.dispatch())
        .await;
    let mut trace = StatementTrace::default();
    trace.sql = sql.to_owned();
    trace.said = of_interest(notices.take());
    if let Err(cause) = outcome {
        trace.failure = Some(reason(&cause));
        return Ok(trace);
    }
    debug(connection, false).await?;
    trace.took = Duration::from_micros(u64::try_from(clock(connection).await? - began).unwrap_or(0));
    let locks: Locks = locks_of_own(connection)
        .await?
        .difference(&earlier)
        .copied()
        .collect();
    let moved = before.rewritten(connection).await?;
    let mut found = Found::new(sql, &trace.said, &locks, &moved, before);
    for (oid, count) in scans(connection).await? {
        if count > scans_before.get(&oid).copied().unwrap_or(0) {
            found.scanned(oid);
        }
    }
    found.foreign_keys(connection).await?;
    trace.effects = found.effects();
    for oid in &moved {
        before.files.remove(oid);
    }
    let refreshed = Before::read(connection).await?;
    for (oid, file) in refreshed.files {
        if before.names.contains_key(&oid) {
            before.files.insert(oid, file);
        }
    }
    Ok(trace)
}

/// Runs one statement that cannot be inside a transaction. Two other sessions stand in its way, one after the other, so that it has to show
/// which locks it wants.
pub(super) async fn outside(
    worker: &mut PgConnection,
    others: &mut [PgConnection; 3],
    before: &Before,
    sql: &str,
) -> Result<StatementTrace> {
    let notices = Notices::default();
    let pid: i32 = sqlx::query_scalar("select pg_backend_pid()")
        .fetch_one(&mut *worker)
        .await
        .map_err(failed(WATCH))?;
    let [gentle, soft, watcher] = others;
    stand(gentle, &before.lockable(&["r", "p"]), "share update exclusive").await?;
    stand(soft, &before.lockable(&["r"]), "access share").await?;
    let mut holders = vec![soft, gentle];
    let began = clock(watcher).await?;
    debug(worker, true).await?;
    let mut locks = Locks::new();
    let outcome = {
        let running = worker
            .execute(AssertSqlSafe(sql.to_owned()))
            .with_subscriber(notices.dispatch());
        tokio::pin!(running);
        let mut waits = 0;
        loop {
            tokio::select! {
                biased;
                outcome = &mut running => break outcome,
                () = tokio::time::sleep(POLL) => {}
            }
            let (seen, waiting) = locks_of(watcher, pid).await?;
            locks.extend(seen);
            waits = if waiting { waits + 1 } else { 0 };
            if waits >= 2 {
                waits = 0;
                if let Some(holder) = holders.pop() {
                    end(holder).await?;
                }
            }
        }
    };
    for holder in holders {
        end(holder).await?;
    }
    let mut trace = StatementTrace::default();
    trace.sql = sql.to_owned();
    trace.autocommit = true;
    trace.said = of_interest(notices.take());
    if let Err(cause) = outcome {
        trace.failure = Some(reason(&cause));
        return Ok(trace);
    }
    debug(worker, false).await?;
    trace.took = Duration::from_micros(u64::try_from(clock(watcher).await? - began).unwrap_or(0));
    let moved = before.rewritten(worker).await?;
    let found = Found::new(sql, &trace.said, &locks, &moved, before);
    trace.effects = found.effects();
    Ok(trace)
}

const POLL: Duration = Duration::from_millis(4);

/// What the words and numbers say about each relation.
struct Found<'a> {
    before: &'a Before,
    locks: &'a Locks,
    work: BTreeMap<i64, BTreeSet<Work>>,
    keys: Vec<String>,
    empties: bool,
}

impl<'a> Found<'a> {
    fn new(sql: &str, said: &[String], locks: &'a Locks, moved: &BTreeSet<i64>, before: &'a Before) -> Self {
        let mut found = Self {
            before,
            locks,
            work: BTreeMap::new(),
            keys: Vec::new(),
            empties: sql.trim_start().to_lowercase().starts_with("truncate"),
        };
        // It gives the table an empty file: no row is read or written.
        if found.empties {
            return found;
        }
        for line in said {
            let names: Vec<&str> = line.split('"').skip(1).step_by(2).collect();
            let (work, table) = match names.as_slice() {
                [table] if line.starts_with("rewriting table") => (Work::Rewrite, *table),
                [table] if line.starts_with("verifying table") => (Work::Scan, *table),
                [_, table, ..] if line.starts_with("building index") => (Work::IndexBuild, *table),
                [key] if line.starts_with("validating foreign key") => {
                    found.keys.push((*key).to_owned());
                    continue;
                }
                _ => continue,
            };
            if let Some(oid) = before.called(table, locks) {
                found.work.entry(oid).or_default().insert(work);
            }
        }
        for oid in moved {
            found.work.entry(*oid).or_default().insert(Work::Rewrite);
        }
        found
    }

    /// The statistics know of scans that the server does not speak of.
    fn scanned(&mut self, oid: i64) {
        if self.keys.is_empty() && !self.empties {
            let work = self.work.entry(oid).or_default();
            if work.is_empty() {
                work.insert(Work::Scan);
            }
        }
    }

    /// Which tables the validated keys are of.
    async fn foreign_keys(&mut self, connection: &mut PgConnection) -> Result<()> {
        if self.keys.is_empty() {
            return Ok(());
        }
        let tables: Vec<i64> = sqlx::query_scalar(
            "select distinct conrelid::int8 from pg_constraint where contype = 'f' and conname = any($1)",
        )
        .bind(&self.keys)
        .fetch_all(connection)
        .await
        .map_err(failed(WATCH))?;
        for oid in tables {
            if self
                .locks
                .iter()
                .any(|(of, mode)| *of == oid && *mode > LockMode::RowExclusive)
            {
                self.work.entry(oid).or_default().insert(Work::Scan);
            }
        }
        Ok(())
    }

    fn effects(&self) -> Vec<RelationEffect> {
        let mut effects = Vec::new();
        for (oid, (name, kind)) in &self.before.names {
            let modes = self.locks.iter().filter(|(of, _)| of == oid);
            let Some(lock) = modes.map(|(_, mode)| *mode).max() else {
                continue;
            };
            if lock > LockMode::RowExclusive {
                let work = self.work.get(oid).cloned().unwrap_or_default();
                let work = if matches!(kind.as_str(), "r" | "m") {
                    work
                } else {
                    BTreeSet::new()
                };
                effects.push(RelationEffect::new(name.clone(), lock, work));
            }
        }
        effects.sort();
        effects
    }
}

async fn debug(connection: &mut PgConnection, on: bool) -> Result<()> {
    let statement = if on {
        "set client_min_messages = debug1"
    } else {
        "set client_min_messages = warning"
    };
    connection.execute(statement).await.map_err(failed(WATCH))?;
    Ok(())
}

async fn clock(connection: &mut PgConnection) -> Result<i64> {
    sqlx::query_scalar("select (extract(epoch from clock_timestamp()) * 1000000)::int8")
        .fetch_one(connection)
        .await
        .map_err(failed(WATCH))
}

async fn scans(connection: &mut PgConnection) -> Result<BTreeMap<i64, i64>> {
    let rows: Vec<(i64, i64)> = sqlx::query_as(
        "select c.oid::int8, pg_stat_get_xact_numscans(c.oid) from pg_class c join pg_namespace n on n.oid = c.relnamespace
         where c.relkind in ('r', 'm') and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'",
    )
    .fetch_all(connection)
    .await
    .map_err(failed(WATCH))?;
    Ok(rows.into_iter().collect())
}

async fn locks_of_own(connection: &mut PgConnection) -> Result<Locks> {
    let pid: i32 = sqlx::query_scalar("select pg_backend_pid()")
        .fetch_one(&mut *connection)
        .await
        .map_err(failed(WATCH))?;
    Ok(locks_of(connection, pid).await?.0)
}

/// The locks that a session has or wants, and whether it waits.
async fn locks_of(connection: &mut PgConnection, pid: i32) -> Result<(Locks, bool)> {
    let rows: Vec<(Option<i64>, String, bool)> = sqlx::query_as(
        "select case locktype when 'relation' then relation::int8 end, mode, granted from pg_locks
         where pid = $1 and (database is null or database = (select oid from pg_database where datname = current_database()))",
    )
    .bind(pid)
    .fetch_all(connection)
    .await
    .map_err(failed(WATCH))?;
    let waiting = rows.iter().any(|(_, _, granted)| !granted);
    let locks = rows
        .into_iter()
        .filter_map(|(oid, mode, _)| Some((oid?, LockMode::from_server(&mode)?)));
    Ok((locks.collect(), waiting))
}

async fn stand(connection: &mut PgConnection, tables: &[String], mode: &str) -> Result<()> {
    connection.execute("begin").await.map_err(failed(WATCH))?;
    if !tables.is_empty() {
        let only: Vec<_> = tables.iter().map(|table| format!("only {table}")).collect();
        let statement = format!("lock table {} in {mode} mode", only.join(", "));
        connection
            .execute(AssertSqlSafe(statement))
            .await
            .map_err(failed(WATCH))?;
    }
    Ok(())
}

async fn end(connection: &mut PgConnection) -> Result<()> {
    connection.execute("rollback").await.map_err(failed(WATCH))?;
    connection.ping().await.map_err(failed(WATCH))
}

/// The server's words about work.
fn of_interest(said: Vec<String>) -> Vec<String> {
    let begins = [
        "rewriting table",
        "verifying table",
        "validating foreign key",
        "building index",
        "existing constraints",
    ];
    let of_interest =
        |line: &String| begins.iter().any(|begin| line.starts_with(begin)) && !line.contains("\"pg_toast");
    let mut said: Vec<_> = said.into_iter().filter(of_interest).collect();
    said.dedup();
    said
}

/// SQLSTATE and message; messages of the classes 22 and 23 repeat data.
pub(super) fn reason(cause: &sqlx::Error) -> String {
    let Some(cause) = cause.as_database_error() else {
        return error(ErrorKind::Unavailable, WATCH).to_string();
    };
    let code = cause.code().unwrap_or_default();
    match code.get(..2) {
        Some("22" | "23") => format!("{code}: the data does not fit"),
        _ => format!("{code}: {}", cause.message()),
    }
}
