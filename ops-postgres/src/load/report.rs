use std::time::Duration;

use ops_core::error::{ErrorKind, Result};
use ops_core::model::{ConnectionBand, ConnectionUse};
use serde::Serialize;
use sqlx::AssertSqlSafe;

use super::extension;
use super::sessions::micros;
use super::statement::bare;
use crate::PostgresStore;
use crate::error::{error, failed};
use crate::identifier::quoted;

/// What weighs on the server and on this database.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct LoadReport {
    /// Of the whole server.
    pub connections: ConnectionUse,
    /// How full that is.
    pub band: ConnectionBand,
    /// Sessions of this database by role, most first.
    pub by_role: Vec<(String, i64)>,
    /// How long the oldest transaction of this database is open: it keeps dead rows from being cleaned up.
    pub oldest_transaction: Duration,
    /// Prepared transactions of this database, which hold locks until somebody ends them.
    pub prepared: i64,
    /// Bytes of this database on disk. What is free on the disk, SQL cannot tell: ask the platform.
    pub bytes: i64,
    /// Standbys; empty: none, or not for this role to see.
    pub replicas: Vec<ReplicaLag>,
    /// Bytes of write-ahead log that the slot furthest behind keeps on disk; `None`: there is no slot, or not for this role to see.
    pub slot_bytes: Option<i64>,
    /// Statements by the time that they took in all.
    pub slow: SlowQueries,
}

/// How far a standby is behind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ReplicaLag {
    /// The name that it gave itself.
    pub name: String,
    /// Bytes of log that it has not applied yet; `None`: not to be seen.
    pub bytes: Option<i64>,
    /// How long ago was written what it applies now; `None`: it is idle, or not to be seen.
    pub lasting: Option<Duration>,
}

/// Slow statements, or why there are none.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SlowQueries {
    /// Most time in all first.
    Seen(Vec<SlowQuery>),
    /// The extension `pg_stat_statements` is not in this database, or the server does not load it.
    NotInstalled,
    /// The connected role may not read it.
    NotPermitted,
}

/// A statement with what it took, since the statistics began.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct SlowQuery {
    /// Without literals, masked and cut.
    pub query: String,
    /// How often.
    pub calls: i64,
    /// Milliseconds in all.
    pub total_ms: f64,
    /// Milliseconds of one.
    pub mean_ms: f64,
}

/// What one table takes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct TableSize {
    /// Its schema.
    pub schema: String,
    /// Its name.
    pub name: String,
    /// Bytes with indexes and what is stored apart.
    pub bytes: i64,
    /// Bytes of its indexes.
    pub index_bytes: i64,
    /// Rows, by the last statistics.
    pub rows: i64,
    /// Rows that are dead and not cleaned up, by the last statistics.
    pub dead_rows: i64,
    /// An estimate of the bytes that hold nothing: size less rows times their mean width, from the last `ANALYZE`. `None`: it was never analysed.
    pub bloat_bytes: Option<i64>,
    /// Seconds since the last vacuum, by hand or automatic; `None`: never.
    pub vacuumed_seconds_ago: Option<i64>,
}

pub(super) async fn connections(store: &PostgresStore) -> Result<ConnectionUse> {
    let (used, most): (i64, i64) = sqlx::query_as(CONNECTIONS)
        .fetch_one(store.pool())
        .await
        .map_err(failed(READ))?;
    let count = |value: i64| u32::try_from(value).unwrap_or(0);
    Ok(ConnectionUse::new(count(used), count(most)))
}

pub(super) async fn read(
    store: &PostgresStore,
    mask: impl Fn(&str) -> String + Send + Sync,
) -> Result<LoadReport> {
    let connections = connections(store).await?;
    let by_role: Vec<(String, i64)> = sqlx::query_as(BY_ROLE)
        .fetch_all(store.pool())
        .await
        .map_err(failed(READ))?;
    let (oldest, prepared, bytes): (i64, i64, i64) = sqlx::query_as(DATABASE)
        .fetch_one(store.pool())
        .await
        .map_err(failed(READ))?;
    let replicas: Vec<(String, Option<i64>, Option<i64>)> = sqlx::query_as(REPLICAS)
        .fetch_all(store.pool())
        .await
        .map_err(failed(READ))?;
    let slot_bytes: Option<i64> = sqlx::query_scalar(SLOTS)
        .fetch_one(store.pool())
        .await
        .map_err(failed(READ))?;
    let replica = |(name, bytes, lasting): (String, Option<i64>, Option<i64>)| ReplicaLag {
        name: mask(&name),
        bytes,
        lasting: lasting.map(micros),
    };
    Ok(LoadReport {
        connections,
        band: connections.band(),
        by_role,
        oldest_transaction: micros(oldest),
        prepared,
        bytes,
        replicas: replicas.into_iter().map(replica).collect(),
        slot_bytes,
        slow: slow(store, &mask).await?,
    })
}

async fn slow(store: &PostgresStore, mask: impl Fn(&str) -> String + Send + Sync) -> Result<SlowQueries> {
    let Some(schema) = extension(store, "pg_stat_statements", READ).await? else {
        return Ok(SlowQueries::NotInstalled);
    };
    let query = SLOW.replace("{schema}", &quoted(&schema));
    let rows: sqlx::Result<Vec<(String, i64, f64, f64)>> =
        sqlx::query_as(AssertSqlSafe(query)).fetch_all(store.pool()).await;
    let rows = match rows {
        Ok(rows) => rows,
        // "must be loaded via shared_preload_libraries"
        Err(sqlx::Error::Database(cause)) if cause.code().as_deref() == Some("55000") => {
            return Ok(SlowQueries::NotInstalled);
        }
        Err(cause) => {
            let cause = failed(READ)(cause);
            return match cause.kind() {
                ErrorKind::PermissionDenied => Ok(SlowQueries::NotPermitted),
                _ => Err(cause),
            };
        }
    };
    let query = |(query, calls, total_ms, mean_ms): (String, i64, f64, f64)| SlowQuery {
        query: mask(&bare(&query)),
        calls,
        total_ms,
        mean_ms,
    };
    Ok(SlowQueries::Seen(rows.into_iter().map(query).collect()))
}

pub(super) async fn tables(store: &PostgresStore, most: u32) -> Result<Vec<TableSize>> {
    if most == 0 {
        return Err(error(ErrorKind::InvalidInput, READ).context("most", "must be at least 1"));
    }
    type Row = (String, String, i64, i64, i64, i64, Option<i64>, Option<i64>);
    let rows: Vec<Row> = sqlx::query_as(TABLES)
        .bind(i64::from(most))
        .fetch_all(store.pool())
        .await
        .map_err(failed(READ))?;
    let table = |(schema, name, bytes, index_bytes, rows, dead_rows, bloat_bytes, vacuumed): Row| TableSize {
        schema,
        name,
        bytes,
        index_bytes,
        rows,
        dead_rows,
        bloat_bytes,
        vacuumed_seconds_ago: vacuumed,
    };
    Ok(rows.into_iter().map(table).collect())
}

const READ: &str = "read the load";

// Walsenders and workers have slots of their own; what superusers may use besides is not there for others.
const CONNECTIONS: &str = "
select (select count(*) from pg_stat_activity where coalesce(backend_type, 'client backend') = 'client backend' and usesysid is not null),
       (current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
        - coalesce(nullif(current_setting('reserved_connections', true), '')::int, 0))::bigint";

const BY_ROLE: &str = "
select r.rolname::text, count(*) from pg_stat_activity a join pg_roles r on r.oid = a.usesysid
where a.datname = current_database() group by 1 order by 2 desc, 1 limit 20";

const DATABASE: &str = "
select coalesce((select (max(extract(epoch from clock_timestamp() - xact_start)) * 1000000)::bigint from pg_stat_activity
                 where datname = current_database() and pid <> pg_backend_pid()), 0),
       (select count(*) from pg_prepared_xacts where database = current_database()),
       pg_database_size(current_database())";

const REPLICAS: &str = "
select coalesce(application_name, ''),
       case when pg_is_in_recovery() then null else pg_wal_lsn_diff(pg_current_wal_lsn(), replay_lsn)::bigint end,
       (extract(epoch from replay_lag) * 1000000)::bigint
from pg_stat_replication where state is not null order by 1";

const SLOTS: &str = "
select case when pg_is_in_recovery() then null
            else (select max(pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn))::bigint from pg_replication_slots) end";

const SLOW: &str = "
select s.query, s.calls, s.total_exec_time, s.mean_exec_time from {schema}.pg_stat_statements s
where s.dbid = (select oid from pg_database where datname = current_database()) and s.query <> '<insufficient privilege>'
order by s.total_exec_time desc limit 10";

// A row has a header of 24 bytes and a pointer of 4; a page of 8192 has a header of 24. Widths are those of `ANALYZE`.
const TABLES: &str = "
select n.nspname::text, c.relname::text, pg_total_relation_size(c.oid), pg_indexes_size(c.oid),
       coalesce(s.n_live_tup, 0), coalesce(s.n_dead_tup, 0),
       case when c.reltuples >= 0 and w.width is not null then
           greatest(0, pg_relation_size(c.oid)
                       - (ceil(c.reltuples * (28 + w.width) / 8168) * 8192)::bigint) end,
       extract(epoch from clock_timestamp() - greatest(s.last_vacuum, s.last_autovacuum))::bigint
from pg_class c join pg_namespace n on n.oid = c.relnamespace
left join pg_stat_all_tables s on s.relid = c.oid
left join lateral (select sum((1 - null_frac) * avg_width) as width from pg_stats
                   where schemaname = n.nspname and tablename = c.relname) w on true
where c.relkind in ('r', 'm') and n.nspname <> 'information_schema' and n.nspname !~ '^pg_'
order by 3 desc, 1, 2 limit $1";
