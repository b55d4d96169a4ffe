use std::collections::BTreeMap;

use async_trait::async_trait;
use ops_core::error::{ErrorKind, Result};
use ops_core::ports::{SwitchState, SwitchStore, SwitchedOff};
use sqlx::PgPool;

use crate::PostgresStore;
use crate::error::{error, failed};

/// The stopped features in one row of the schema `ops`.
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
}

#[async_trait]
impl SwitchStore for PostgresSwitchStore {
    async fn read(&self) -> Result<SwitchState> {
        let (generation, stopped): (i64, String) =
            sqlx::query_as("select generation, stopped from ops.switch_state")
                .fetch_optional(&self.pool)
                .await
                .map_err(failed(READ))?
                .ok_or_else(|| error(ErrorKind::Unexpected, READ).context("reason", "the row is missing"))?;
        let mut state = SwitchState::default();
        state.generation = u64::try_from(generation).map_err(|_| {
            error(ErrorKind::Unexpected, READ).context("reason", "the generation is negative")
        })?;
        state.stopped = serde_json::from_str(&stopped).map_err(|_| {
            error(ErrorKind::Unexpected, READ).context("reason", "the stopped features are not readable")
        })?;
        Ok(state)
    }

    async fn write(&self, expected: u64, stopped: &BTreeMap<String, SwitchedOff>) -> Result<u64> {
        let lost = || error(ErrorKind::Conflict, WRITE).context("expected", expected.to_string());
        let stopped = serde_json::to_string(stopped)
            .map_err(|cause| error(ErrorKind::InvalidInput, WRITE).source(cause))?;
        // A generation beyond the column's range cannot be the stored one.
        let generation = i64::try_from(expected).map_err(|_| lost())?;
        let written: Option<i64> = sqlx::query_scalar(
            "update ops.switch_state set generation = generation + 1, stopped = $2
             where generation = $1 returning generation",
        )
        .bind(generation)
        .bind(stopped)
        .fetch_optional(&self.pool)
        .await
        .map_err(failed(WRITE))?;
        written
            .and_then(|generation| u64::try_from(generation).ok())
            .ok_or_else(lost)
    }
}

const READ: &str = "read switches";
const WRITE: &str = "write switches";
