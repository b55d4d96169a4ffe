use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use ops_core::error::{ErrorKind, Result};
use ops_core::messages::backup as text;
use ops_core::model::{
    ArchiveMode, Archived, Archiving, BackupState, ReplicationSlot, ServerBackups, Standby, Text, Timestamp,
    Unseen,
};
use ops_core::ports::{BackupCapability, BackupInspector, PiiMasker};
use secrecy::SecretString;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgRow};
use sqlx::{Connection, Row};

use super::segment;
use crate::error::{error, failed};
use crate::store::options;

/// What a PostgreSQL says of its archive, its standbys and its slots. Each look is one connection of its own, and one transaction that can write
/// nothing; our schema need not be there. PostgreSQL 14 or later.
///
/// A role without `pg_monitor` sees that there are standbys and not how far they are, and not what waits for the archive: both are then unseen.
#[derive(Clone)]
pub struct PostgresBackups {
    options: PgConnectOptions,
    masker: Arc<dyn PiiMasker>,
}

impl PostgresBackups {
    /// Of the server of `url`. Names that standbys give themselves go through `masker`.
    ///
    /// # Errors
    /// `InvalidConfig` for a URL that cannot be read.
    pub fn new(url: &SecretString, masker: Arc<dyn PiiMasker>) -> Result<Self> {
        let options = options(url)?.application_name("ops-backups").options([
            ("default_transaction_read_only", "on"),
            ("statement_timeout", "10s"),
            ("lock_timeout", "1s"),
        ]);
        Ok(Self { options, masker })
    }

    async fn look(&self) -> Result<BackupState> {
        let mut connection = PgConnection::connect_with(&self.options)
            .await
            .map_err(failed(INSPECT))?;
        let mut transaction = connection.begin().await.map_err(failed(INSPECT))?;
        let state = self.read(&mut transaction).await;
        transaction.rollback().await.map_err(failed(INSPECT))?;
        connection.close().await.map_err(failed(INSPECT))?;
        state
    }

    async fn read(&self, connection: &mut PgConnection) -> Result<BackupState> {
        let row = sqlx::query(SETTINGS)
            .fetch_one(&mut *connection)
            .await
            .map_err(failed(INSPECT))?;
        let (mut server, may_list) = settings(&row).map_err(failed(INSPECT))?;
        let mut state = BackupState::default();
        server.system = system(&mut *connection).await?;
        server.archiving = self.archiving(connection, may_list).await?;
        let archives = server.archiving.mode != ArchiveMode::Off && !server.in_recovery;
        if archives && !may_list {
            state.unseen.push(Unseen::new(
                "archive_status",
                text::needs_monitor("pg_ls_archive_statusdir"),
            ));
        }
        server.standbys = self.standbys(connection).await?;
        if server.standbys.iter().any(|standby| standby.state.is_none()) {
            state.unseen.push(Unseen::new(
                "standbys",
                text::needs_monitor("pg_stat_replication"),
            ));
        }
        server.slots = slots(connection).await?;
        state.server = Some(server);
        Ok(state)
    }

    async fn archiving(&self, connection: &mut PgConnection, may_list: bool) -> Result<Archiving> {
        let row = sqlx::query(ARCHIVER)
            .fetch_one(&mut *connection)
            .await
            .map_err(failed(INSPECT))?;
        let mut archiving = archiver(&row).map_err(failed(INSPECT))?;
        let mut newest = archiving.last.as_ref().map(|last| last.segment.clone());
        if may_list && archiving.mode != ArchiveMode::Off {
            let listed: (i64, Option<String>, Option<i64>, Option<i64>) = sqlx::query_as(STATUS)
                .fetch_one(&mut *connection)
                .await
                .map_err(failed(INSPECT))?;
            archiving.waiting = Some(listed.0.unsigned_abs());
            archiving.complete_until = listed.2.map(Timestamp::from_unix_micros);
            archiving.oldest_waiting = listed.3.map(Timestamp::from_unix_micros);
            newest = listed.1.or(newest);
        }
        let place = || Ok((row.try_get::<i64, _>("segment_bytes")?, row.try_get("position")?));
        let (size, position): (i64, Option<i64>) = place().map_err(failed(INSPECT))?;
        let size = size.unsigned_abs();
        if let (Some(position), Some(newest)) = (position, newest) {
            let end = segment::end(&newest, size);
            archiving.bytes_behind = end.map(|end| position.unsigned_abs().saturating_sub(end));
            // The segment that is being written is not full.
            let full = archiving.bytes_behind.map(|bytes| bytes / size.max(1));
            archiving.waiting = archiving.waiting.or(full);
        }
        Ok(archiving)
    }

    async fn standbys(&self, connection: &mut PgConnection) -> Result<Vec<Standby>> {
        type Row = (String, Option<String>, Option<String>, Option<i64>, Option<i64>);
        let rows: Vec<Row> = sqlx::query_as(STANDBYS)
            .fetch_all(connection)
            .await
            .map_err(failed(INSPECT))?;
        let standby = |(name, state, sync, bytes, lag): Row| {
            let mut standby = Standby::new(self.masker.mask(&name).into_owned());
            (standby.state, standby.sync, standby.bytes) = (state, sync, bytes);
            standby.lag = lag.map(|lag| Duration::from_micros(lag.max(0).unsigned_abs()));
            standby
        };
        Ok(rows.into_iter().map(standby).collect())
    }
}

/// And whether the role may list what waits for the archive.
/// `None` where this role may not ask.
async fn system(connection: &mut PgConnection) -> Result<Option<String>> {
    let may: bool = sqlx::query_scalar("select has_function_privilege('pg_control_system()', 'execute')")
        .fetch_one(&mut *connection)
        .await
        .map_err(failed(INSPECT))?;
    if !may {
        return Ok(None);
    }
    let system: i64 = sqlx::query_scalar("select system_identifier from pg_control_system()")
        .fetch_one(connection)
        .await
        .map_err(failed(INSPECT))?;
    // It is shown signed.
    Ok(Some(u64::from_ne_bytes(system.to_ne_bytes()).to_string()))
}

fn settings(row: &PgRow) -> sqlx::Result<(ServerBackups, bool)> {
    let at = Timestamp::from_unix_micros(row.try_get("at")?);
    let mut server = ServerBackups::new(at, row.try_get::<String, _>("database")?);
    server.version = row.try_get("version")?;
    server.in_recovery = row.try_get("in_recovery")?;
    server.wal_level = row.try_get("wal_level")?;
    server.fsync = row.try_get("fsync")?;
    server.full_page_writes = row.try_get("full_page_writes")?;
    server.checksums = row.try_get("checksums")?;
    server.checksum_failures = row.try_get("checksum_failures")?;
    server.base_backups_running = row.try_get("base_backups")?;
    server.slots_may_hold = row.try_get("slots_may_hold")?;
    Ok((server, row.try_get("may_list")?))
}

fn archiver(row: &PgRow) -> sqlx::Result<Archiving> {
    let archived = |segment: &str, at: &str| -> sqlx::Result<Option<Archived>> {
        let (segment, at): (Option<String>, Option<i64>) = (row.try_get(segment)?, row.try_get(at)?);
        let at = at.map(Timestamp::from_unix_micros);
        Ok(segment.zip(at).map(|(segment, at)| Archived::new(segment, at)))
    };
    let mut archiving = Archiving::default();
    archiving.mode = match row.try_get("mode")? {
        "off" => ArchiveMode::Off,
        "always" => ArchiveMode::Always,
        _ => ArchiveMode::On,
    };
    archiving.configured = row.try_get("configured")?;
    archiving.archived = row.try_get("archived")?;
    archiving.failed = row.try_get("failed")?;
    archiving.last = archived("last", "last_at")?;
    archiving.last_failure = archived("last_failed", "last_failed_at")?;
    archiving.timeout = Duration::from_secs(row.try_get::<i64, _>("timeout")?.unsigned_abs());
    Ok(archiving)
}

async fn slots(connection: &mut PgConnection) -> Result<Vec<ReplicationSlot>> {
    let rows = sqlx::query(SLOTS)
        .fetch_all(connection)
        .await
        .map_err(failed(INSPECT))?;
    let slot = |row: &PgRow| -> sqlx::Result<ReplicationSlot> {
        let (name, kind): (String, String) = (row.try_get(0)?, row.try_get(1)?);
        let mut slot = ReplicationSlot::new(name, kind, row.try_get(2)?);
        slot.wal_status = row.try_get(3)?;
        slot.held = row.try_get(4)?;
        Ok(slot)
    };
    rows.iter()
        .map(|row| slot(row).map_err(failed(INSPECT)))
        .collect()
}

#[async_trait]
impl BackupInspector for PostgresBackups {
    fn name(&self) -> &str {
        "postgres"
    }

    fn capability(&self) -> BackupCapability {
        BackupCapability::new(vec![
            Text::new(
                "アーカイブがどこにあるか、別リージョンか、読み戻せるかは、サーバーからは分からない",
                "where the archive is, whether it is in another region and whether it can be read back, a server does not know",
            ),
            Text::new(
                "archive_command が成功と報告したことだけが分かる。内容は見ていない",
                "only what archive_command reported is known: nobody has looked at what it keeps",
            ),
            Text::new(
                "マネージドサービス自身のバックアップ（Cloud SQL、Supabase など）は見ていない",
                "backups of a managed service (Cloud SQL, Supabase, …) are not looked at",
            ),
        ])
    }

    async fn inspect(&self) -> Result<BackupState> {
        let late = |_| error(ErrorKind::Timeout, INSPECT).context("database", "no answer in time");
        tokio::time::timeout(BUDGET, self.look()).await.map_err(late)?
    }
}

impl fmt::Debug for PostgresBackups {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresBackups").finish_non_exhaustive()
    }
}

const INSPECT: &str = "inspect backups";
const BUDGET: Duration = Duration::from_secs(15);

// Without checksums the count is null. A limit of -1 MB is none.
const SETTINGS: &str = "
select (extract(epoch from clock_timestamp()) * 1000000)::bigint as at, current_setting('server_version_num')::int as version,
       current_database()::text as database, pg_is_in_recovery() as in_recovery, current_setting('wal_level') as wal_level,
       current_setting('fsync')::bool as fsync, current_setting('full_page_writes')::bool as full_page_writes,
       current_setting('data_checksums') = 'on' as checksums,
       (select sum(checksum_failures)::bigint from pg_stat_database) as checksum_failures,
       (select count(*) from pg_stat_progress_basebackup) as base_backups,
       (select nullif(setting::bigint, -1) * 1048576 from pg_settings where name = 'max_slot_wal_keep_size') as slots_may_hold,
       has_function_privilege('pg_ls_archive_statusdir()', 'execute') as may_list";

// The command itself is not read: it may hold a secret. With archive_mode off it is shown as (disabled). archive_library is there from 15 on.
const ARCHIVER: &str = "
select current_setting('archive_mode') as mode,
       current_setting('archive_command') not in ('', '(disabled)')
           or coalesce(current_setting('archive_library', true), '') <> '' as configured,
       (select setting::bigint from pg_settings where name = 'archive_timeout') as timeout,
       (select setting::bigint from pg_settings where name = 'wal_segment_size') as segment_bytes,
       archived_count as archived, last_archived_wal as last,
       (extract(epoch from last_archived_time) * 1000000)::bigint as last_at,
       failed_count as failed, last_failed_wal as last_failed,
       (extract(epoch from last_failed_time) * 1000000)::bigint as last_failed_at,
       case when pg_is_in_recovery() then null else pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::bigint end as position
from pg_stat_archiver";

// A full segment gets a `.ready`, which is renamed to `.done` once it is archived and keeps the time at which the segment was full.
// The `.done` goes with its segment, after the next checkpoint.
const STATUS: &str = r#"
with listed as (select name collate "C" as name, modification from pg_ls_archive_statusdir() where name ~ '^[0-9A-F]{24}\.(ready|done)$'),
     ready as (select substr(name, 1, 24) as segment, modification from listed where name like '%.ready'),
     done as (select substr(name, 1, 24) as segment, modification from listed where name like '%.done')
select (select count(*) from ready), newest.segment::text, (extract(epoch from newest.modification) * 1000000)::bigint,
       (select (extract(epoch from min(modification)) * 1000000)::bigint from ready)
from (values (1)) as one left join lateral
     (select segment, modification from done
      where segment < coalesce((select min(segment) from ready), 'Z') order by segment desc limit 1) as newest on true"#;

// Who has no pg_read_all_stats sees that they are there, and nothing of them. A walsender is there before it has said what for.
const STANDBYS: &str = "
select coalesce(application_name, ''), state, sync_state,
       case when pg_is_in_recovery() then null else pg_wal_lsn_diff(pg_current_wal_lsn(), flush_lsn)::bigint end,
       (extract(epoch from flush_lag) * 1000000)::bigint
from pg_stat_replication order by 1, pid";

const SLOTS: &str = "
select slot_name::text, slot_type::text, active, wal_status::text,
       case when pg_is_in_recovery() then null else pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)::bigint end
from pg_replication_slots order by 1";
