use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use ops_core::error::{ErrorKind, Result};
use ops_core::ports::{SwitchLink, SwitchState, SwitchStore, SwitchedOff};
use secrecy::SecretString;
use sqlx::{AssertSqlSafe, PgPool, Row};

use crate::error::{error, failed};
use crate::identifier::literal;
use crate::stored::Stored;
use crate::{PostgresProcesses, PostgresStore, PostgresSwitchHints};

/// The stopped features in one row of the schema `ops`. Works behind a transaction pooler: its statements need no session.
#[derive(Clone, Debug)]
pub struct PostgresSwitchStore {
    pool: PgPool,
}

impl PostgresSwitchStore {
    /// The switches of `store`, whose schema is migrated.
    pub fn new(store: &PostgresStore) -> Self {
        Self {
            pool: store.pool().clone(),
        }
    }

    /// Store, notifications and processes of the database of `url`, whose schema is migrated: what a refresher of the kill switch connects to
    /// in its own runtime. A role that does not own the schema needs [`PostgresStore::grant_switches`].
    ///
    /// # Errors
    /// As [`PostgresStore::connect`]; `InvalidConfig` when there is no table of switches, `PermissionDenied` when it may not be read. An older or
    /// newer schema will do as long as that table is there: while application and schema are being replaced, stops go on arriving. What is
    /// missing for the acknowledgement then stands in [`SwitchHealth::report_fault`](ops_core::guard::SwitchHealth::report_fault).
    pub async fn link(url: &SecretString) -> Result<SwitchLink> {
        let store = PostgresStore::connect(url).await?;
        store.check_switches().await?;
        Ok(SwitchLink {
            store: Arc::new(Self::new(&store)),
            hints: Some(Arc::new(PostgresSwitchHints::new(&store))),
            processes: Some(Arc::new(PostgresProcesses::new(&store))),
        })
    }
}

#[async_trait]
impl SwitchStore for PostgresSwitchStore {
    async fn read(&self) -> Result<SwitchState> {
        let row = sqlx::raw_sql("select generation, stopped from ops.switch_state")
            .fetch_optional(&self.pool)
            .await
            .map_err(failed(READ))?
            .ok_or_else(|| error(ErrorKind::Unexpected, READ).context("reason", "the row is missing"))?;
        let generation: i64 = row.try_get(0).map_err(failed(READ))?;
        let stopped: String = row.try_get(1).map_err(failed(READ))?;
        let mut state = SwitchState::default();
        let row = Stored::new(READ, "ops.switch_state", "its only one");
        state.generation = u64::try_from(generation).map_err(|_| row.wrong("its generation is negative"))?;
        state.stopped = row.parse(&stopped)?;
        Ok(state)
    }

    async fn write(&self, expected: u64, stopped: &BTreeMap<String, SwitchedOff>) -> Result<u64> {
        let lost = || error(ErrorKind::Conflict, WRITE).context("expected", expected.to_string());
        let text = serde_json::to_string(stopped)
            .map_err(|cause| error(ErrorKind::InvalidInput, WRITE).source(cause))?;
        // A generation beyond the column's range cannot be the stored one.
        let generation = i64::try_from(expected).map_err(|_| lost())?;
        // One statement, one tiny transaction: the only one that notifies, because that takes a lock of the whole server.
        let statement = format!(
            "with written as (update ops.switch_state set generation = generation + 1, stopped = {}
                where generation = {generation} returning generation)
             select generation, pg_notify('{CHANNEL}', generation::text) from written",
            literal(&text)
        );
        let written = sqlx::raw_sql(AssertSqlSafe(statement))
            .fetch_optional(&self.pool)
            .await;
        let written = match written {
            // Behind a transaction pooler somebody else's LISTEN may be on this connection: the driver then gets the notice of this very write in place
            // of the answer, and the write is done.
            Err(wrong @ sqlx::Error::Protocol(_)) => {
                let now = self.read().await?;
                return match now.generation.checked_sub(1) == Some(expected) && now.stopped == *stopped {
                    true => Ok(now.generation),
                    false => Err(failed(WRITE)(wrong)),
                };
            }
            written => written.map_err(failed(WRITE))?,
        };
        let written: Option<i64> = match written {
            Some(row) => Some(row.try_get(0).map_err(failed(WRITE))?),
            None => None,
        };
        written
            .and_then(|generation| u64::try_from(generation).ok())
            .ok_or_else(lost)
    }
}

/// Where a written switch is announced.
pub(crate) const CHANNEL: &str = "ops_switch";
const READ: &str = "read switches";
const WRITE: &str = "write switches";
