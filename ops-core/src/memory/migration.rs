use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;

use super::lock;
use super::plug::Plug;
use crate::error::{Error, ErrorKind, Result, Retry};
use crate::model::{
    AppliedMigration, BackStep, LedgerRow, Leftover, MigrationLedger, MigrationStep, MigrationTool, Schema,
    SchemaState, StepDone, StepMark, UnfinishedRun,
};
use crate::ports::{MigrationExecutor, MigrationInspector, Touch};

/// A database in memory that remembers which migrations were applied to it.
#[derive(Debug, Default)]
pub struct InMemoryMigrations {
    state: Mutex<SchemaState>,
    schema: Mutex<Schema>,
    done: Mutex<BTreeMap<Key, Mark>>,
    unfinished: Mutex<BTreeMap<String, UnfinishedRun>>,
    ran: Mutex<Vec<String>>,
    contended: Mutex<u32>,
    plug: Plug,
}

/// Scope, version, whether it is of the way back, position.
type Key = (String, String, bool, u32);

#[derive(Debug)]
struct Mark {
    digest: String,
    recorded: bool,
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

    /// A tool makes its table, unless it is there.
    pub fn add_ledger(&self, tool: MigrationTool, table: &str) {
        let mut state = lock(&self.state);
        if !state.ledgers.iter().any(|ledger| ledger.table == table) {
            state.ledgers.push(MigrationLedger::new(tool, table, Vec::new()));
        }
    }

    /// A tool takes a migration back, and its row out of its table.
    pub fn revert(&self, table: &str, version: &str) {
        let mut state = lock(&self.state);
        for ledger in state.ledgers.iter_mut().filter(|ledger| ledger.table == table) {
            ledger.applied.retain(|there| there.version != version);
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

    fn is_reverted(&self, step: &MigrationStep, done: &BTreeMap<Key, Mark>) -> bool {
        let Some(row) = &step.record else { return false };
        let recorded = done.iter().any(|((scope, migration, _, _), mark)| {
            scope == &row.table && migration == &step.migration && mark.recorded
        });
        recorded && !self.is_in_table(row)
    }

    fn is_in_table(&self, row: &LedgerRow) -> bool {
        let state = lock(&self.state);
        let mut ledgers = state.ledgers.iter().filter(|ledger| ledger.table == row.table);
        ledgers.any(|ledger| ledger.applied.iter().any(|found| found.version == row.version))
    }

    /// Whether the step of a way back may be run, as the contract has it.
    fn check_back(&self, step: &MigrationStep, back: &BackStep, done: &BTreeMap<Key, Mark>) -> Result<()> {
        let has =
            |position| done.contains_key(&(step.scope().to_owned(), step.migration.clone(), true, position));
        let is_applied = step.record.as_ref().is_some_and(|row| self.is_in_table(row));
        let reason = if is_applied == back.half.is_some() {
            "the tool's table says otherwise than when the way back was planned"
        } else if is_newer_half_way(step, done) {
            "a newer migration is half-way"
        } else if step.position > 1 && !has(step.position - 1) {
            "the step before it is not done"
        } else {
            return Ok(());
        };
        Err(Error::new(ErrorKind::Conflict, EXECUTE)
            .context("migration", &step.migration)
            .context("reason", reason))
    }

    /// With the last step: what the tool's table gets or loses.
    fn end(&self, step: &MigrationStep, done: &mut BTreeMap<Key, Mark>) {
        let Some(row) = step.record.as_ref().filter(|_| step.is_last()) else {
            return;
        };
        if step.back.is_some() {
            self.revert(&row.table, &row.version);
            done.retain(|key, _| (key.0.as_str(), &key.1, key.2) != (step.scope(), &step.migration, false));
        } else {
            let mut applied = AppliedMigration::new(&row.version);
            applied.checksum = Some(row.checksum.clone());
            self.apply(row.tool, &row.table, applied);
        }
    }

    /// Pulls the plug (`false`) or puts it back.
    pub fn set_reachable(&self, reachable: bool) {
        self.plug.set_reachable(reachable);
    }
}

const EXECUTE: &str = "run a step of a migration";

/// Whether a run of a newer migration over the same scope has begun and not ended.
fn is_newer_half_way(step: &MigrationStep, done: &BTreeMap<Key, Mark>) -> bool {
    let number = |version: &str| version.parse::<u128>().ok();
    let up = || done.iter().filter(|(key, _)| key.0 == step.scope() && !key.2);
    let ended = |version: &str| up().any(|(key, mark)| key.1 == version && mark.recorded);
    let this = number(&step.migration);
    up().any(|(key, _)| this.is_some() && number(&key.1) > this && !ended(&key.1))
}

/// A migration over `scope` whose way back has begun and not ended.
fn on_its_way<'a>(scope: &str, done: &'a BTreeMap<Key, Mark>) -> Option<&'a str> {
    let of = |key: &&Key| key.0 == scope && key.2;
    let ended = |version: &str| {
        let mut marks = done.iter().filter(|(key, _)| of(key) && key.1 == version);
        marks.any(|(_, mark)| mark.recorded)
    };
    let mut begun = done.keys().filter(of);
    begun.find(|key| !ended(&key.1)).map(|key| key.1.as_str())
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
        self.plug.check(EXECUTE)?;
        let (scope, version) = (step.scope().to_owned(), step.migration.clone());
        let key = (scope.clone(), version.clone(), step.back.is_some(), step.position);
        let mut done = lock(&self.done);
        if step.back.is_none() {
            if let Some(version) = on_its_way(&scope, &done) {
                return Err(Error::new(ErrorKind::Conflict, EXECUTE)
                    .context("back", version)
                    .context("reason", "the migration is on its way back, which has not ended"));
            }
            let is_back = done
                .iter()
                .any(|(key, mark)| key.0 == scope && key.1 == version && key.2 && mark.recorded);
            if step.position == 1 && (is_back || self.is_reverted(step, &done)) {
                done.retain(|key, _| (&key.0, &key.1) != (&scope, &version));
            }
        }
        let row = step.record.as_ref().filter(|_| step.is_last());
        if let Some(mark) = done.get_mut(&key) {
            if mark.digest != step.digest {
                return Err(Error::new(ErrorKind::Conflict, EXECUTE)
                    .context("migration", &step.migration)
                    .context("reason", "another step was done in its place"));
            }
            // It is the last by now, since the script was made shorter.
            let was_recorded = mark.recorded;
            mark.recorded |= row.is_some();
            if !was_recorded {
                self.end(step, &mut done);
            }
            return Ok(StepDone::Before);
        }
        if let Some(back) = &step.back {
            self.check_back(step, back, &done)?;
        }
        let mut contended = lock(&self.contended);
        if *contended > 0 {
            *contended -= 1;
            return Err(Error::new(ErrorKind::Timeout, EXECUTE).with_retry(Retry::Safe));
        }
        lock(&self.ran).extend(step.statements.iter().cloned());
        let mark = Mark {
            digest: step.digest.clone(),
            recorded: row.is_some(),
        };
        done.insert(key, mark);
        self.end(step, &mut done);
        Ok(StepDone::Now)
    }

    async fn marks(&self, scope: &str) -> Result<Vec<StepMark>> {
        self.plug.check("read the marks of migrations")?;
        let done = lock(&self.done);
        let of = done.iter().filter(|(key, _)| key.0 == scope);
        let marks = of.map(|((_, migration, back, position), mark)| StepMark {
            migration: migration.clone(),
            back: *back,
            position: *position,
            digest: mark.digest.clone(),
            done: true,
            recorded: mark.recorded,
        });
        Ok(marks.collect())
    }

    async fn keep(
        &self,
        scope: &str,
        seen: Option<&UnfinishedRun>,
        run: Option<&UnfinishedRun>,
    ) -> Result<()> {
        self.plug.check("keep what a run owes")?;
        let mut unfinished = lock(&self.unfinished);
        let now = unfinished.get(scope);
        if now != seen && now != run {
            return Err(Error::new(ErrorKind::Conflict, "keep what a run owes")
                .context("reason", "another run has begun or ended meanwhile"));
        }
        match run {
            Some(run) => unfinished.insert(scope.to_owned(), run.clone()),
            None => unfinished.remove(scope),
        };
        Ok(())
    }

    async fn unfinished(&self, scope: &str) -> Result<Option<UnfinishedRun>> {
        self.plug.check("read what a run owes")?;
        Ok(lock(&self.unfinished).get(scope).cloned())
    }

    async fn touch(&self, _: &str, _: Touch, _: Duration) -> Result<()> {
        self.plug.check("touch a table")
    }
}
