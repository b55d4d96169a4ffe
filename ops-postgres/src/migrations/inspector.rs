use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use ops_core::error::{Error, ErrorKind, Result, Retry};
use ops_core::model::{LedgerRow, MigrationStep, MigrationTool, Schema, SchemaState, StepDone};
use ops_core::ports::{MigrationExecutor, MigrationInspector, Touch};
use secrecy::SecretString;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor};

use super::{ledger, read_schema};
use crate::error::{error, failed};
use crate::identifier::{literal, quoted};
use crate::store::options;

/// The migrations of one database: reads what is applied and half done, and runs steps.
///
/// To run steps it needs the table `ops.migration_step` in that database: see [`PostgresStore::migrate`](crate::PostgresStore::migrate).
#[derive(Clone)]
pub struct PostgresMigrations {
    options: PgConnectOptions,
    zone: String,
}

impl PostgresMigrations {
    /// Of the database of `url`. Does not connect yet.
    ///
    /// # Errors
    /// `InvalidConfig` for a URL that cannot be read. The URL is never part of the text.
    pub fn new(url: &SecretString) -> Result<Self> {
        Ok(Self {
            options: options(url)?.disable_statement_logging(),
            zone: "UTC".to_owned(),
        })
    }

    /// The time zone of the sessions. UTC unless it is set, as sqlx has it; other tools take that of the server. It decides what
    /// `timestamp` to `timestamptz` means and costs.
    #[must_use]
    pub fn with_time_zone(mut self, zone: impl Into<String>) -> Self {
        self.zone = zone.into();
        self
    }

    async fn connect(&self, name: &str, settings: &[(&str, &str)]) -> Result<PgConnection> {
        let options = self
            .options
            .clone()
            .application_name(name)
            .options(settings.iter().copied());
        let mut connection = tokio::time::timeout(PATIENCE, PgConnection::connect_with(&options))
            .await
            .map_err(|_| error(ErrorKind::Timeout, CONNECT))?
            .map_err(failed(CONNECT))?;
        // The driver asks for UTC when it connects, which beats every option.
        let zone = format!("set time zone {}", literal(&self.zone));
        connection
            .execute(AssertSqlSafe(zone))
            .await
            .map_err(failed(CONNECT))?;
        Ok(connection)
    }

    async fn in_transaction(&self, worker: &mut PgConnection, step: &MigrationStep) -> Result<StepDone> {
        worker.execute("begin").await.map_err(failed(EXECUTE))?;
        // Two runs at once: the second waits here for the first, and finds the step done.
        let marked = mark(worker, step).await?;
        if marked.is_done {
            worker.execute("rollback").await.map_err(failed(EXECUTE))?;
            return Ok(StepDone::Before);
        }
        for statement in &step.statements {
            worker
                .execute(AssertSqlSafe(statement.clone()))
                .await
                .map_err(failed(EXECUTE))?;
        }
        if let Some(row) = &step.record {
            record(worker, row).await?;
        }
        finish(worker, step).await?;
        worker.execute("commit").await.map_err(failed(EXECUTE))?;
        Ok(StepDone::Now)
    }

    async fn outside_transaction(&self, worker: &mut PgConnection, step: &MigrationStep) -> Result<StepDone> {
        let marked = mark(worker, step).await?;
        if marked.is_done {
            return Ok(StepDone::Before);
        }
        let mut ended = false;
        if marked.was_begun
            && let Some(index) = &step.builds
        {
            match index_state(worker, index).await? {
                // It came to its end, and the process died before it could say so.
                Some(true) => ended = true,
                Some(false) => drop_index(worker, index).await?,
                None => {}
            }
        }
        if !ended {
            for statement in &step.statements {
                let gentle = statement.to_lowercase().contains("concurrently");
                if gentle {
                    // It waits beside the traffic, not in front of it, and a time-out would leave an invalid index.
                    worker
                        .execute("set lock_timeout = 0")
                        .await
                        .map_err(failed(EXECUTE))?;
                }
                match worker.execute(AssertSqlSafe(statement.clone())).await {
                    Ok(_) => {}
                    Err(cause) if marked.was_begun && is_gone(&cause, statement) => {}
                    Err(cause) => {
                        if let Some(index) = &step.builds {
                            // What cannot be cleared away now is when the step is tried again.
                            let _ = drop_index(worker, index).await;
                        }
                        return Err(failed(EXECUTE)(cause));
                    }
                }
            }
        }
        worker.execute("begin").await.map_err(failed(EXECUTE))?;
        if let Some(row) = &step.record {
            record(worker, row).await?;
        }
        finish(worker, step).await?;
        worker.execute("commit").await.map_err(failed(EXECUTE))?;
        Ok(StepDone::Now)
    }
}

#[async_trait]
impl MigrationInspector for PostgresMigrations {
    async fn state(&self) -> Result<SchemaState> {
        let mut connection = self.connect(SESSION, &[("statement_timeout", "30s")]).await?;
        let state = ledger::read(&mut connection).await?;
        let _ = connection.close().await;
        Ok(state)
    }

    async fn schema(&self) -> Result<Schema> {
        let mut connection = self
            .connect(SESSION, &[("statement_timeout", "60s"), ("lock_timeout", "5s")])
            .await?;
        let schema = read_schema(&mut connection).await?;
        let _ = connection.close().await;
        Ok(schema)
    }
}

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
        let mut watcher = self.connect(SESSION, &[("statement_timeout", "10s")]).await?;
        let pid: i32 = sqlx::query_scalar("select pg_backend_pid()")
            .fetch_one(&mut worker)
            .await
            .map_err(failed(EXECUTE))?;
        let mut crowd = None;
        let outcome = {
            let running = async {
                match step.autocommit {
                    true => self.outside_transaction(&mut worker, step).await,
                    false => self.in_transaction(&mut worker, step).await,
                }
            };
            tokio::pin!(running);
            loop {
                tokio::select! {
                    biased;
                    outcome = &mut running => break outcome,
                    () = tokio::time::sleep(LOOK) => {}
                }
                // That nobody can be counted is no reason to give up.
                let waiting = waiters(&mut watcher, pid).await.unwrap_or(0);
                if crowd.is_none() && waiting >= i64::from(max_waiters) {
                    crowd = Some(waiting);
                    let _ = sqlx::query("select pg_cancel_backend($1)")
                        .bind(pid)
                        .execute(&mut watcher)
                        .await;
                }
            }
        };
        let _ = watcher.close().await;
        let _ = worker.close().await;
        outcome.map_err(|cause| match crowd {
            Some(waiting) => error(ErrorKind::Timeout, EXECUTE)
                .context("migration", format!("{}:{}", step.migration, step.position))
                .context(
                    "reason",
                    format!("{waiting} sessions were waiting behind it: it gave way"),
                )
                .with_retry(Retry::Safe),
            None => retryable(cause, step),
        })
    }

    async fn touch(&self, table: &str, touch: Touch, patience: Duration) -> Result<()> {
        let millis = patience.as_millis().to_string();
        let mut connection = self
            .connect(HEARTBEAT, &[("lock_timeout", millis.as_str())])
            .await?;
        let (schema, name) = table.split_once('.').unwrap_or(("public", table));
        let mode = match touch {
            Touch::Read => "access share",
            Touch::Write => "row exclusive",
        };
        let statement = format!(
            "begin; lock table {}.{} in {mode} mode; rollback",
            quoted(schema),
            quoted(name)
        );
        connection
            .execute(AssertSqlSafe(statement))
            .await
            .map_err(failed(TOUCH))?;
        let _ = connection.close().await;
        Ok(())
    }
}

impl fmt::Debug for PostgresMigrations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresMigrations")
            .field("database", &self.options.get_database())
            .finish_non_exhaustive()
    }
}

const CONNECT: &str = "connect for migrations";
const EXECUTE: &str = "run a step of a migration";
const TOUCH: &str = "touch a table";
const SESSION: &str = "ops-migrations";
/// Those of the heartbeat are not counted as people who wait.
const HEARTBEAT: &str = "ops-heartbeat";
const PATIENCE: Duration = Duration::from_secs(5);
const LOOK: Duration = Duration::from_millis(100);

/// What the table of steps says.
struct Marked {
    was_begun: bool,
    is_done: bool,
}

async fn mark(connection: &mut PgConnection, step: &MigrationStep) -> Result<Marked> {
    let position = i32::try_from(step.position).unwrap_or(i32::MAX);
    let new = sqlx::query(
        "insert into ops.migration_step (migration, position, digest) values ($1, $2, $3) on conflict (migration, position) do nothing",
    )
    .bind(&step.migration)
    .bind(position)
    .bind(&step.digest)
    .execute(&mut *connection)
    .await
    .map_err(failed(EXECUTE))?
    .rows_affected()
        == 1;
    if new {
        return Ok(Marked {
            was_begun: false,
            is_done: false,
        });
    }
    let (digest, is_done): (String, bool) = sqlx::query_as(
        "select digest, done_at is not null from ops.migration_step where migration = $1 and position = $2",
    )
    .bind(&step.migration)
    .bind(position)
    .fetch_one(connection)
    .await
    .map_err(failed(EXECUTE))?;
    if digest != step.digest {
        return Err(error(ErrorKind::Conflict, EXECUTE)
            .context("migration", format!("{}:{}", step.migration, step.position))
            .context(
                "reason",
                "another statement was run in its place: the script was changed half-way",
            )
            .context(
                "remedy",
                "put the script back, finish it, and make the change a new migration",
            ));
    }
    Ok(Marked {
        was_begun: true,
        is_done,
    })
}

async fn finish(connection: &mut PgConnection, step: &MigrationStep) -> Result<()> {
    sqlx::query(
        "update ops.migration_step set done_at = clock_timestamp() where migration = $1 and position = $2",
    )
    .bind(&step.migration)
    .bind(i32::try_from(step.position).unwrap_or(i32::MAX))
    .execute(connection)
    .await
    .map_err(failed(EXECUTE))?;
    Ok(())
}

/// As the tool itself would.
async fn record(connection: &mut PgConnection, row: &LedgerRow) -> Result<()> {
    let (schema, name) = row.table.split_once('.').unwrap_or(("public", &row.table));
    let table = format!("{}.{}", quoted(schema), quoted(name));
    let version = literal(&row.version);
    let statement = match row.tool {
        MigrationTool::Sqlx => format!(
            "insert into {table} (version, description, success, checksum, execution_time) \
             values ({version}::bigint, {}, true, decode({}, 'hex'), -1) on conflict (version) do nothing",
            literal(&row.name),
            literal(&row.checksum)
        ),
        MigrationTool::GolangMigrate => {
            format!(
                "delete from {table}; insert into {table} (version, dirty) values ({version}::bigint, false)"
            )
        }
        MigrationTool::Rails => {
            format!("insert into {table} (version) values ({version}) on conflict do nothing")
        }
        MigrationTool::Supabase => format!(
            "insert into {table} (version, name) values ({version}, {}) on conflict do nothing",
            literal(&row.name)
        ),
        _ => {
            return Err(error(ErrorKind::Unsupported, EXECUTE)
                .context("tool", row.tool.name())
                .context("reason", "its table can only be written by itself"));
        }
    };
    connection
        .execute(AssertSqlSafe(statement))
        .await
        .map_err(failed(EXECUTE))?;
    Ok(())
}

/// Whether the index is valid; `None` if there is none.
async fn index_state(connection: &mut PgConnection, index: &str) -> Result<Option<bool>> {
    sqlx::query_scalar(
        "select i.indisvalid from pg_index i join pg_class c on c.oid = i.indexrelid join pg_namespace n on n.oid = c.relnamespace
         where n.nspname || '.' || c.relname = $1",
    )
    .bind(index)
    .fetch_optional(connection)
    .await
    .map_err(failed(EXECUTE))
}

/// Takes away what a failed build has left; a valid index stays.
async fn drop_index(connection: &mut PgConnection, index: &str) -> Result<()> {
    if index_state(connection, index).await? != Some(false) {
        return Ok(());
    }
    let (schema, name) = index.split_once('.').unwrap_or(("public", index));
    let statement = format!(
        "drop index concurrently if exists {}.{}",
        quoted(schema),
        quoted(name)
    );
    connection
        .execute(AssertSqlSafe(statement))
        .await
        .map_err(failed(EXECUTE))?;
    Ok(())
}

/// The drop that was begun before has been done.
fn is_gone(cause: &sqlx::Error, statement: &str) -> bool {
    let code = cause.as_database_error().and_then(|cause| cause.code());
    code.as_deref() == Some("42704") && statement.trim_start().to_lowercase().starts_with("drop index")
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
    let place = format!("{}:{}", step.migration, step.position);
    match cause.kind() {
        ErrorKind::Timeout => cause.context("migration", place).with_retry(Retry::Safe),
        _ => cause.context("migration", place),
    }
}
