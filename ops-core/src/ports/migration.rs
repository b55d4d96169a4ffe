use std::fmt::Debug;
use std::time::Duration;

use async_trait::async_trait;

use crate::error::Result;
use crate::model::{MigrationStep, Schema, SchemaState, StepDone, StepMark, UnfinishedRun};

/// Tells which migrations a database has, what was left half done, and what its schema is.
///
/// # Contract
/// - Only reads. Nothing is locked that a query would not lock.
/// - `state` finds the tables of every tool that it knows, in whatever schema they lie; one that may not be read is named as such, never
///   passed over.
/// - What a table does not tell is `None`, never a guess.
///
/// # Errors
/// `Unavailable`, `Timeout`, `PermissionDenied`.
///
/// # Cancellation
/// Dropping the future has no effect.
#[async_trait]
pub trait MigrationInspector: Debug + Send + Sync + 'static {
    /// What tools have applied, and what is half done.
    async fn state(&self) -> Result<SchemaState>;
    /// The part of the catalogue that decides what a migration costs.
    async fn schema(&self) -> Result<Schema>;
}

/// How a heartbeat touches a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a table is read or written")]
pub enum Touch {
    /// As a `select` would.
    Read,
    /// As an `insert`, `update` or `delete` would, without writing anything.
    Write,
}

/// Runs the steps of a migration.
///
/// # Contract
/// - A step, its row in the tool's table, and the mark that it is done are one transaction. Of a step that refuses transactions it is
///   marked first that it began; after a crash `execute` clears away what it left behind and runs it again, unless it came to its end.
/// - A step that is done is not run again, whoever asks; one with another digest in its place is a `Conflict`.
/// - The tool's table decides: a migration that was in it and is no longer (it was taken back) is run again from its first step on.
/// - One step at a time for each [`scope`](MigrationStep::scope): another gets a `Timeout` that is safe to retry.
/// - An index that is there already, under the name of one that a step would build, is a `Conflict`; a step that builds one is done when
///   the index is valid.
/// - A step that [may be left half done](MigrationStep::may_leave) and was is a `Conflict` with the remedy, until somebody has put that right.
/// - A step of the way [back](MigrationStep::back) is marked beside those of the way up. With the last one the row is taken out of the tool's table and the
///   marks of the way up are forgotten. It is a `Conflict` when the tool's table has no such row any more (or, of a migration that is
///   [half done](crate::model::BackStep::half), when its marks are no longer those that were seen), when a newer migration is there or half-way,
///   and when the step before it is not done. As long as it has not ended no step of the way up is run over the same scope: a `Conflict`.
/// - A statement that [may miss](crate::model::BackStep::may_miss) what it takes away is passed over where the server does not know it.
/// - It waits no longer than `lock_timeout` for a lock, and gives up as soon as `max_waiters` sessions wait behind it: a `Timeout` that is
///   safe to retry; nothing of the step is left then.
/// - Does not retry; the caller does.
///
/// # Errors
/// `Timeout`, `Conflict`, `PermissionDenied`, `Unavailable`; `Unexpected` and others with the server's reason for a statement that is wrong.
///
/// # Cancellation
/// Dropping `execute` may leave the step done, or running for a moment; ask again to know.
#[async_trait]
pub trait MigrationExecutor: Debug + Send + Sync + 'static {
    /// Runs a step, unless it is done.
    async fn execute(
        &self,
        step: &MigrationStep,
        lock_timeout: Duration,
        max_waiters: u32,
    ) -> Result<StepDone>;
    /// Keeps what the run over `scope` still owes in place of what was `seen`; `None`: nothing. A `Conflict` if something else is kept by
    /// now, unless it is what should be.
    async fn keep(
        &self,
        scope: &str,
        seen: Option<&UnfinishedRun>,
        run: Option<&UnfinishedRun>,
    ) -> Result<()>;
    /// What a run over `scope` owes that died, or whose application did not come up.
    async fn unfinished(&self, scope: &str) -> Result<Option<UnfinishedRun>>;
    /// The mark of every step over `scope`, of the way up and of the way back, by migration and position; none where nothing was ever run.
    async fn marks(&self, scope: &str) -> Result<Vec<StepMark>>;
    /// Takes the lock of a reader or writer on `table` and gives it back; `Timeout` after `patience`, `Unsupported` for what no session can lock
    /// as a whole.
    async fn touch(&self, table: &str, touch: Touch, patience: Duration) -> Result<()>;
}
