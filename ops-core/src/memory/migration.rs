use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;

use super::lock;
use super::plug::Plug;
use crate::error::{Error, ErrorKind, Result, Retry};
use crate::model::{
    AppliedMigration, Leftover, MigrationLedger, MigrationStep, MigrationTool, Schema, SchemaState, StepDone,
};
use crate::ports::{MigrationExecutor, MigrationInspector, Touch};

/// A database in memory that remembers which migrations were applied to it.
#[derive(Debug, Default)]
pub struct InMemoryMigrations {
    state: Mutex<SchemaState>,
    schema: Mutex<Schema>,
    done: Mutex<BTreeMap<(String, u32), String>>,
    ran: Mutex<Vec<String>>,
    contended: Mutex<u32>,
    plug: Plug,
}

impl InMemoryMigrations {
    /// An empty database.
    pub fn new() -> Self {
        Self::default()
    }

    /// A tool applies a migration, and writes it into its table.
    pub fn apply(&self, tool: MigrationTool, table: &str, applied: AppliedMigration) {
        let mut state = lock(&self.state);
        let found = state.ledgers.iter_mut().find(|ledger| ledger.table == table);
        match found {
            Some(ledger) => {
                ledger.applied.retain(|there| there.version != applied.version);
                ledger.applied.push(applied);
            }
            None => state
                .ledgers
                .push(MigrationLedger::new(tool, table, vec![applied])),
        }
    }

    /// Something stays half done.
    pub fn leave(&self, leftover: Leftover) {
        lock(&self.state).leftovers.push(leftover);
    }

    /// The schema from here on.
    pub fn set_schema(&self, schema: Schema) {
        *lock(&self.schema) = schema;
    }

    /// The next `times` steps do not get their locks in time.
    pub fn contend(&self, times: u32) {
        *lock(&self.contended) = times;
    }

    /// Every statement that was run, in order.
    pub fn ran(&self) -> Vec<String> {
        lock(&self.ran).clone()
    }

    /// Pulls the plug (`false`) or puts it back.
    pub fn set_reachable(&self, reachable: bool) {
        self.plug.set_reachable(reachable);
    }
}

#[async_trait]
impl MigrationInspector for InMemoryMigrations {
    async fn state(&self) -> Result<SchemaState> {
        self.plug.check("read the state of migrations")?;
        Ok(lock(&self.state).clone())
    }

    async fn schema(&self) -> Result<Schema> {
        self.plug.check("read the schema")?;
        Ok(lock(&self.schema).clone())
    }
}

#[async_trait]
impl MigrationExecutor for InMemoryMigrations {
    async fn execute(&self, step: &MigrationStep, _: Duration, _: u32) -> Result<StepDone> {
        const EXECUTE: &str = "run a step of a migration";
        self.plug.check(EXECUTE)?;
        let key = (step.migration.clone(), step.position);
        let mut done = lock(&self.done);
        if let Some(digest) = done.get(&key) {
            if *digest != step.digest {
                return Err(Error::new(ErrorKind::Conflict, EXECUTE)
                    .context("migration", &step.migration)
                    .context("reason", "another step was done in its place"));
            }
            return Ok(StepDone::Before);
        }
        let mut contended = lock(&self.contended);
        if *contended > 0 {
            *contended -= 1;
            return Err(Error::new(ErrorKind::Timeout, EXECUTE).with_retry(Retry::Safe));
        }
        lock(&self.ran).extend(step.statements.iter().cloned());
        done.insert(key, step.digest.clone());
        if let Some(row) = &step.record {
            let mut applied = AppliedMigration::new(&row.version);
            applied.checksum = Some(row.checksum.clone());
            self.apply(row.tool, &row.table, applied);
        }
        Ok(StepDone::Now)
    }

    async fn touch(&self, _: &str, _: Touch, _: Duration) -> Result<()> {
        self.plug.check("touch a table")
    }
}
