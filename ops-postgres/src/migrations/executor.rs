use std::time::Duration;

use async_trait::async_trait;
use ops_core::error::{Error, ErrorKind, Result, Retry};
use ops_core::model::{HalfDone, LedgerRow, MigrationStep, StepDone, StepMark, UnfinishedRun};
use ops_core::ports::{MigrationExecutor, Touch};
use sqlx::postgres::PgConnection;
use sqlx::types::Json;
use sqlx::{AssertSqlSafe, Connection, Executor};

use super::back::{marks, unrecord};
use super::half_done::{half_done, is_detached};
use super::index::{drop_index, index_state};
use super::inspector::{PostgresMigrations, SESSION};
use super::mark::{EXECUTE, Marked, begin, finish, note_recorded, place, record, take_turn, unmark};
use crate::error::{error, failed};
use crate::identifier::qualified;

#[async_trait]
impl MigrationExecutor for PostgresMigrations {
    async fn execute(
        &self,
        step: &MigrationStep,
        lock_timeout: Duration,
        max_waiters: u32,
    ) -> Result<StepDone> {
        let millis = lock_timeout.as_millis().to_string();
        let settings = [("lock_timeout", millis.as_str()), ("statement_timeout", "0")];
        let mut worker = self.connect(SESSION, &settings).await?;
        // Some systems have no way to notice.
        let _ = worker.execute(LET_GO).await;
        let mut watcher = self.connect(SESSION, &[("statement_timeout", "10s")]).await?;
        let pid: i32 = sqlx::query_scalar("select pg_backend_pid()")
            .fetch_one(&mut worker)
            .await
            .map_err(failed(EXECUTE))?;
        let mut crowd = None;
        let outcome = {
            let running = run(&mut worker, step);
            tokio::pin!(running);
            loop {
                tokio::select! {
                    biased;
                    outcome = &mut running => break outcome,
                    () = tokio::time::sleep(LOOK) => {}
                }
                // That nobody can be counted is no reason to give up.
                let waiting = waiters(&mut watcher, pid).await.unwrap_or(0);
                if waiting >= i64::from(max_waiters) {
                    crowd = Some(waiting);
                    let _ = sqlx::query("select pg_cancel_backend($1)")
                        .bind(pid)
                        .execute(&mut watcher)
                        .await;
                }
            }
        };
        let _ = watcher.close().await;
        // The turn is given back at once, not when the server has noticed the end of the session.
        let _ = worker.execute("rollback; select pg_advisory_unlock_all()").await;
        let _ = worker.close().await;
        outcome.map_err(|cause| match crowd {
            Some(waiting) if cause.kind() == ErrorKind::Timeout => error(ErrorKind::Timeout, EXECUTE)
                .context("migration", place(step))
                .context(
                    "reason",
                    format!("{waiting} sessions were waiting behind it: it gave way"),
                )
                .with_retry(Retry::Safe),
            _ => retryable(cause, step),
        })
    }

    async fn keep(
        &self,
        scope: &str,
        seen: Option<&UnfinishedRun>,
        run: Option<&UnfinishedRun>,
    ) -> Result<()> {
        let mut connection = self.connect(SESSION, &[("statement_timeout", "10s")]).await?;
        connection.execute("begin").await.map_err(failed(KEEP))?;
        // Compared as values: an older version of this program wrote fewer of them.
        let now: Option<Json<UnfinishedRun>> =
            sqlx::query_scalar("select run from ops.migration_run where scope = $1 for update")
                .bind(scope)
                .fetch_optional(&mut connection)
                .await
                .map_err(failed(KEEP))?;
        let now = now.map(|Json(now)| now);
        let is_kept = now.as_ref() == run;
        let query = match (run, &now) {
            (Some(run), Some(_)) => sqlx::query(
                "update ops.migration_run set run = $2, at = clock_timestamp() where scope = $1",
            )
            .bind(scope)
            .bind(Json(run)),
            // Another may have put its own there since.
            (Some(run), None) => {
                sqlx::query("insert into ops.migration_run as o (scope, run) values ($1, $2) on conflict (scope) do update set run = o.run where o.run = excluded.run")
                    .bind(scope)
                    .bind(Json(run))
            }
            (None, _) => sqlx::query("delete from ops.migration_run where scope = $1").bind(scope),
        };
        let mut changed = is_kept;
        if !is_kept && now.as_ref() == seen {
            let done = query.execute(&mut connection).await.map_err(failed(KEEP))?;
            changed = done.rows_affected() == 1;
        }
        connection.execute("commit").await.map_err(failed(KEEP))?;
        let _ = connection.close().await;
        match changed {
            true => Ok(()),
            false => Err(error(ErrorKind::Conflict, KEEP)
                .context("reason", "another run has begun or ended meanwhile")
                .context("remedy", "look at the state, and run the same command again")),
        }
    }

    async fn unfinished(&self, scope: &str) -> Result<Option<UnfinishedRun>> {
        let mut connection = self.connect(SESSION, &[("statement_timeout", "10s")]).await?;
        let there: bool = sqlx::query_scalar("select to_regclass('ops.migration_run') is not null")
            .fetch_one(&mut connection)
            .await
            .map_err(failed(KEEP))?;
        let mut found: Option<Json<UnfinishedRun>> = None;
        if there {
            found = sqlx::query_scalar("select run from ops.migration_run where scope = $1")
                .bind(scope)
                .fetch_optional(&mut connection)
                .await
                .map_err(failed(KEEP))?;
        }
        let _ = connection.close().await;
        Ok(found.map(|Json(run)| run))
    }

    async fn marks(&self, scope: &str) -> Result<Vec<StepMark>> {
        let mut connection = self.connect(SESSION, &[("statement_timeout", "10s")]).await?;
        let found = marks(&mut connection, scope).await?;
        let _ = connection.close().await;
        Ok(found)
    }

    async fn touch(&self, table: &str, touch: Touch, patience: Duration) -> Result<()> {
        let millis = patience.as_millis().to_string();
        let mut connection = self
            .connect(HEARTBEAT, &[("lock_timeout", millis.as_str())])
            .await?;
        let mode = match touch {
            Touch::Read => "access share",
            Touch::Write => "row exclusive",
        };
        let statement = format!("begin; lock table {} in {mode} mode; rollback", qualified(table));
        connection
            .execute(AssertSqlSafe(statement))
            .await
            .map_err(|cause| match code(&cause).as_deref() {
                Some("42809") => error(ErrorKind::Unsupported, TOUCH)
                    .context("reason", "no session can lock it as a whole")
                    .source(cause),
                _ => failed(TOUCH)(cause),
            })?;
        let _ = connection.close().await;
        Ok(())
    }
}

const TOUCH: &str = "touch a table";
const KEEP: &str = "keep what a run of migrations owes";
/// Those of the heartbeat are not counted as people who wait.
const HEARTBEAT: &str = "ops-heartbeat";
const LOOK: Duration = Duration::from_millis(100);
/// The server notices that the program has died, also while it works or waits for a lock; it knows how from version 14 on.
const LET_GO: &str = "select set_config('client_connection_check_interval', '2s', false) \
    where current_setting('server_version_num')::int >= 140000";

async fn run(worker: &mut PgConnection, step: &MigrationStep) -> Result<StepDone> {
    take_turn(worker, step).await?;
    clear_dead_indexes(worker, step).await?;
    match step.autocommit {
        true => outside_transaction(worker, step).await,
        false => in_transaction(worker, step).await,
    }
}

async fn in_transaction(worker: &mut PgConnection, step: &MigrationStep) -> Result<StepDone> {
    worker.execute("begin").await.map_err(failed(EXECUTE))?;
    let marked = begin(worker, step).await?;
    if marked.is_done {
        return done_before(worker, step, &marked).await;
    }
    let mut missed = 0;
    for (at, statement) in step.statements.iter().enumerate() {
        let may_miss = may_miss(step, at);
        if may_miss {
            worker
                .execute("savepoint ops_step")
                .await
                .map_err(failed(EXECUTE))?;
        }
        match worker.execute(AssertSqlSafe(statement.clone())).await {
            Ok(_) => {}
            Err(cause) if may_miss && is_undefined(&cause) => {
                missed += 1;
                worker
                    .execute("rollback to savepoint ops_step")
                    .await
                    .map_err(failed(EXECUTE))?;
            }
            Err(cause) => return Err(failed(EXECUTE)(cause)),
        }
    }
    end(worker, step, missed > 0 && missed == step.statements.len()).await
}

/// What a step that died left of an index, before the first step of the way back.
async fn clear_dead_indexes(worker: &mut PgConnection, step: &MigrationStep) -> Result<()> {
    let clears = step.back.iter().flat_map(|back| &back.clears);
    if step.position > 1 || clears.clone().next().is_none() {
        return Ok(());
    }
    worker.execute("begin").await.map_err(failed(EXECUTE))?;
    let marked = begin(worker, step).await?;
    worker.execute("rollback").await.map_err(failed(EXECUTE))?;
    if marked.was_begun {
        return Ok(());
    }
    for index in clears {
        drop_index(worker, index).await?;
    }
    Ok(())
}

fn may_miss(step: &MigrationStep, at: usize) -> bool {
    step.back.as_ref().is_some_and(|back| back.may_miss.contains(&at))
}

/// A table, column or other object that is not there.
fn is_undefined(cause: &sqlx::Error) -> bool {
    matches!(code(cause).as_deref(), Some("42P01" | "42703" | "42704"))
}

async fn outside_transaction(worker: &mut PgConnection, step: &MigrationStep) -> Result<StepDone> {
    worker.execute("begin").await.map_err(failed(EXECUTE))?;
    let marked = begin(worker, step).await?;
    let mut there = None;
    if let (Some(index), false) = (&step.builds, marked.is_done) {
        there = index_state(worker, index).await?;
        let skips = there == Some(true) && step.statements.iter().any(|sql| has_if_not_exists(sql));
        // A process that died may have left its own; that of somebody else is not ours to keep or to drop.
        if there.is_some() && !marked.was_begun && !skips {
            return Err(error(ErrorKind::Conflict, EXECUTE)
                .context("index", index)
                .context("reason", "an index of that name was there before the step began")
                .context("remedy", "drop it, or give the new one another name"));
        }
    }
    if marked.is_done {
        return done_before(worker, step, &marked).await;
    }
    let half = left_half_done(worker, step).await?;
    worker.execute("commit").await.map_err(failed(EXECUTE))?;
    // Once more would fail, or add to it. Whoever began it: the step is done when somebody has ended it.
    if let Some(half) = half {
        return Err(half);
    }
    // It came to its end, and the process died before it could say so.
    let ended = marked.was_begun && there == Some(true);
    if let (true, Some(false), Some(index)) = (marked.was_begun, there, &step.builds) {
        drop_index(worker, index).await?;
    }
    let sent = match ended {
        true => Ok(false),
        false => send(worker, step, marked.was_begun).await,
    };
    let missed = match sent {
        Ok(missed) => missed,
        Err(cause) => return Err(undo_mark(worker, step, cause).await),
    };
    worker.execute("begin").await.map_err(failed(EXECUTE))?;
    end(worker, step, missed).await
}

/// After a failure outside of transactions.
async fn undo_mark(worker: &mut PgConnection, step: &MigrationStep, cause: Error) -> Error {
    // With no answer nobody knows how far it came, and the mark says so. Else nothing of it stays, the mark included; or the mark stays, too.
    if cause.kind() != ErrorKind::Unavailable {
        match left_half_done(worker, step).await {
            Ok(Some(half)) => return half.source(cause),
            Ok(None) if clear_away(worker, step).await.is_ok() => {
                let _ = unmark(worker, step).await;
            }
            // Nobody knows what is left: the mark stays.
            Ok(None) | Err(_) => {}
        }
    }
    cause
}

/// The statements of a step, and whether the index that they build can be used. True if nothing was there that they would take away.
async fn send(worker: &mut PgConnection, step: &MigrationStep, was_begun: bool) -> Result<bool> {
    let mut missed = false;
    for (at, statement) in step.statements.iter().enumerate() {
        if statement.to_lowercase().contains("concurrently") {
            // It waits beside the traffic, not in front of it, and a time-out would leave an invalid index.
            worker
                .execute("set lock_timeout = 0")
                .await
                .map_err(failed(EXECUTE))?;
        }
        let Err(cause) = worker.execute(AssertSqlSafe(statement.clone())).await else {
            continue;
        };
        if may_miss(step, at) && is_undefined(&cause) {
            missed = true;
        } else if !(was_begun && is_gone(worker, &cause, statement, step).await?) {
            return Err(failed(EXECUTE)(cause));
        }
    }
    let Some(index) = &step.builds else {
        return Ok(missed);
    };
    match index_state(worker, index).await? {
        Some(true) => Ok(missed),
        _ => Err(error(ErrorKind::Unexpected, EXECUTE)
            .context("index", index)
            .context(
                "reason",
                "the statement ended, and no valid index of that name is there",
            )),
    }
}

async fn left_half_done(worker: &mut PgConnection, step: &MigrationStep) -> Result<Option<Error>> {
    match &step.may_leave {
        Some(may_leave) => half_done(worker, may_leave).await,
        None => Ok(None),
    }
}

async fn clear_away(worker: &mut PgConnection, step: &MigrationStep) -> Result<()> {
    match &step.builds {
        Some(index) => drop_index(worker, index).await,
        None => Ok(()),
    }
}

/// What the tool's table gets, or loses, with this step.
fn row_of(step: &MigrationStep) -> Option<&LedgerRow> {
    step.record.as_ref().filter(|_| step.is_last())
}

/// Ends the transaction of a step that was done before. If the tool had no table then, or it is the last by now since those behind it were
/// taken out of the script, the tool's table gets its row now, or loses it.
async fn done_before(worker: &mut PgConnection, step: &MigrationStep, marked: &Marked) -> Result<StepDone> {
    if let (Some(row), false) = (row_of(step), marked.is_recorded) {
        match step.back {
            None => record(worker, row).await?,
            Some(_) => unrecord(worker, step).await?,
        }
        note_recorded(worker, step).await?;
    }
    worker.execute("commit").await.map_err(failed(EXECUTE))?;
    Ok(StepDone::Before)
}

/// `missed`: nothing was there to take away.
async fn end(worker: &mut PgConnection, step: &MigrationStep, missed: bool) -> Result<StepDone> {
    let row = row_of(step);
    match (&step.back, row) {
        (None, Some(row)) => record(worker, row).await?,
        (Some(_), Some(_)) => unrecord(worker, step).await?,
        (_, None) => {}
    }
    finish(worker, step, row.is_some()).await?;
    worker.execute("commit").await.map_err(failed(EXECUTE))?;
    Ok(match missed {
        true => StepDone::Missing,
        false => StepDone::Now,
    })
}

fn has_if_not_exists(statement: &str) -> bool {
    let words: Vec<String> = statement.split_whitespace().map(str::to_lowercase).collect();
    words.windows(3).any(|words| words == ["if", "not", "exists"])
}

/// The drop, or the detach, that was begun before has been done.
async fn is_gone(
    worker: &mut PgConnection,
    cause: &sqlx::Error,
    statement: &str,
    step: &MigrationStep,
) -> Result<bool> {
    match (code(cause).as_deref(), &step.may_leave) {
        (Some("42704"), _) => Ok(statement.trim_start().to_lowercase().starts_with("drop index")),
        // It is no partition of that table, or one of the two is not there.
        (Some("42P01"), Some(HalfDone::Detach { partition })) => is_detached(worker, partition).await,
        _ => Ok(false),
    }
}

fn code(cause: &sqlx::Error) -> Option<String> {
    Some(cause.as_database_error()?.code()?.into_owned())
}

async fn waiters(connection: &mut PgConnection, pid: i32) -> Result<i64> {
    sqlx::query_scalar(
        "select count(*) from pg_stat_activity where pid <> $1 and application_name <> $2 and wait_event_type = 'Lock'
         and $1 = any(pg_blocking_pids(pid))",
    )
    .bind(pid)
    .bind(HEARTBEAT)
    .fetch_one(connection)
    .await
    .map_err(failed(EXECUTE))
}

/// A lock that could not be had in time can be tried again: nothing is left of the step.
fn retryable(cause: Error, step: &MigrationStep) -> Error {
    match cause.kind() {
        ErrorKind::Timeout => cause.context("migration", place(step)).with_retry(Retry::Safe),
        _ => cause.context("migration", place(step)),
    }
}
