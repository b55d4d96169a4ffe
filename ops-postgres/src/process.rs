use std::time::Duration;

use async_trait::async_trait;
use ops_core::error::{ErrorKind, Result};
use ops_core::ports::{Presence, ProcessId, ProcessRegistry, SwitchProcess};
use sqlx::{AssertSqlSafe, PgPool, Row};

use crate::PostgresStore;
use crate::error::{error, failed};
use crate::identifier::literal;

/// The processes that have a kill switch, in the schema `ops`. Works behind a transaction pooler. A role that does not own the schema needs
/// [`PostgresStore::grant_switches`].
#[derive(Clone, Debug)]
pub struct PostgresProcesses {
    pool: PgPool,
}

impl PostgresProcesses {
    /// The processes of `store`, whose schema is migrated.
    pub fn new(store: &PostgresStore) -> Self {
        Self {
            pool: store.pool().clone(),
        }
    }
}

#[async_trait]
impl ProcessRegistry for PostgresProcesses {
    async fn report(&self, process: &SwitchProcess) -> Result<()> {
        let text = serde_json::to_string(process)
            .map_err(|cause| error(ErrorKind::InvalidInput, REPORT).source(cause))?;
        let statement = format!(
            "with gone as (delete from ops.switch_process
                where heard < clock_timestamp() - interval '{} seconds' and id <> {id})
             insert into ops.switch_process (id, process, heard) values ({id}, {}, clock_timestamp())
             on conflict (id) do update set process = excluded.process, heard = excluded.heard",
            Presence::EXPIRES_AFTER.as_secs(),
            literal(&text),
            id = literal(process.id.as_str()),
        );
        sqlx::raw_sql(AssertSqlSafe(statement))
            .execute(&self.pool)
            .await
            .map_err(failed(REPORT))?;
        Ok(())
    }

    async fn remove(&self, process: &ProcessId) -> Result<()> {
        let id = literal(process.as_str());
        sqlx::raw_sql(AssertSqlSafe(format!(
            "delete from ops.switch_process where id = {id}"
        )))
        .execute(&self.pool)
        .await
        .map_err(failed("remove process"))?;
        Ok(())
    }

    async fn processes(&self) -> Result<Vec<Presence>> {
        let statement = format!(
            "select process, greatest(0, extract(epoch from clock_timestamp() - heard) * 1000)::bigint
             from ops.switch_process
             where heard >= clock_timestamp() - interval '{} seconds' order by id collate \"C\"",
            Presence::EXPIRES_AFTER.as_secs()
        );
        let rows = sqlx::raw_sql(AssertSqlSafe(statement))
            .fetch_all(&self.pool)
            .await
            .map_err(failed(LIST))?;
        let presence = |row: &sqlx::postgres::PgRow| {
            let text: String = row.try_get(0).map_err(failed(LIST))?;
            let silent: i64 = row.try_get(1).map_err(failed(LIST))?;
            let process = serde_json::from_str(&text).map_err(|_| {
                error(ErrorKind::Unexpected, LIST).context("reason", "a process is not readable")
            })?;
            Ok(Presence::new(
                process,
                Duration::from_millis(silent.unsigned_abs()),
            ))
        };
        rows.iter().map(presence).collect()
    }
}

const REPORT: &str = "report process";
const LIST: &str = "list processes";
