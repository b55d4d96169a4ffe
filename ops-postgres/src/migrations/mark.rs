//! What is known of a step: its row in `ops.migration_step`, and that of its migration in the tool's table.

use ops_core::error::{Error, ErrorKind, Result, Retry};
use ops_core::model::{LedgerRow, MigrationStep, MigrationTool};
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Executor};

use super::back::{begin_back, check_way_up};
use crate::error::{error, failed};
use crate::identifier::{literal, qualified};

pub(super) const EXECUTE: &str = "run a step of a migration";

/// What the table of steps says.
pub(super) struct Marked {
    pub(super) was_begun: bool,
    pub(super) is_done: bool,
    /// The tool's table got its row, if the step has one.
    pub(super) is_recorded: bool,
}

pub(super) fn place(step: &MigrationStep) -> String {
    format!("{}:{}", step.migration, step.position)
}

/// One run at a time: it is held by the session, since a step outside of transactions is several of them.
///
/// Never waited for: who waits has a snapshot, and the index that another run builds would wait for that.
pub(super) async fn take_turn(connection: &mut PgConnection, step: &MigrationStep) -> Result<()> {
    let taken: bool =
        sqlx::query_scalar("select pg_try_advisory_lock(hashtextextended('ops.migration_step:' || $1, 0))")
            .bind(step.scope())
            .fetch_one(connection)
            .await
            .map_err(failed(EXECUTE))?;
    match taken {
        true => Ok(()),
        false => Err(error(ErrorKind::Timeout, EXECUTE)
            .context("reason", "another run is at work on this database")
            .with_retry(Retry::Safe)),
    }
}

/// Marks the step as begun, unless it is marked.
pub(super) async fn begin(connection: &mut PgConnection, step: &MigrationStep) -> Result<Marked> {
    match &step.back {
        Some(back) => begin_back(connection, step, back).await?,
        None => begin_up(connection, step).await?,
    }
    mark(connection, step).await
}

async fn begin_up(connection: &mut PgConnection, step: &MigrationStep) -> Result<()> {
    adopt(connection, step).await?;
    let is_back = check_way_up(connection, step).await?;
    if is_back || is_taken_back(connection, step).await? {
        if step.position > 1 {
            return Err(error(ErrorKind::Conflict, EXECUTE)
                .context("reason", "the migration was taken back while it ran")
                .context("remedy", "run it again: it begins with its first step"));
        }
        sqlx::query("delete from ops.migration_step where scope = $1 and migration = $2")
            .bind(step.scope())
            .bind(&step.migration)
            .execute(&mut *connection)
            .await
            .map_err(failed(EXECUTE))?;
    }
    Ok(())
}

async fn mark(connection: &mut PgConnection, step: &MigrationStep) -> Result<Marked> {
    let new = sqlx::query(
        "insert into ops.migration_step (scope, migration, position, digest, back) values ($1, $2, $3, $4, $5)
         on conflict (scope, migration, back, position) do nothing",
    )
    .bind(step.scope())
    .bind(&step.migration)
    .bind(position(step))
    .bind(&step.digest)
    .bind(step.back.is_some())
    .execute(&mut *connection)
    .await
    .map_err(failed(EXECUTE))?
    .rows_affected()
        == 1;
    if new {
        return Ok(Marked {
            was_begun: false,
            is_done: false,
            is_recorded: false,
        });
    }
    let (digest, is_done, is_recorded): (String, bool, bool) = sqlx::query_as(
        "select digest, done_at is not null, coalesce(recorded, true) from ops.migration_step where scope = $1 and migration = $2 and position = $3 and back = $4",
    )
    .bind(step.scope())
    .bind(&step.migration)
    .bind(position(step))
    .bind(step.back.is_some())
    .fetch_one(connection)
    .await
    .map_err(failed(EXECUTE))?;
    if digest != step.digest {
        return Err(error(ErrorKind::Conflict, EXECUTE)
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
        is_recorded,
    })
}

/// Takes the mark away from a step of which nothing is left.
pub(super) async fn unmark(connection: &mut PgConnection, step: &MigrationStep) -> Result<()> {
    sqlx::query(
        "delete from ops.migration_step where scope = $1 and migration = $2 and position = $3 and back = $4 and done_at is null",
    )
    .bind(step.scope())
    .bind(&step.migration)
    .bind(position(step))
    .bind(step.back.is_some())
    .execute(connection)
    .await
    .map_err(failed(EXECUTE))?;
    Ok(())
}

/// The tool's table got the row of a step, or lost it, that was done before: there was no such table then, or more steps.
pub(super) async fn note_recorded(connection: &mut PgConnection, step: &MigrationStep) -> Result<()> {
    sqlx::query(
        "update ops.migration_step set recorded = true where scope = $1 and migration = $2 and position = $3 and back = $4",
    )
    .bind(step.scope())
    .bind(&step.migration)
    .bind(position(step))
    .bind(step.back.is_some())
    .execute(connection)
    .await
    .map_err(failed(EXECUTE))?;
    Ok(())
}

/// `recorded`: the tool's table got its row in this transaction, or lost it.
pub(super) async fn finish(
    connection: &mut PgConnection,
    step: &MigrationStep,
    recorded: bool,
) -> Result<()> {
    let marked = sqlx::query(
        "update ops.migration_step set done_at = clock_timestamp(), recorded = $4
         where scope = $1 and migration = $2 and position = $3 and back = $5 and done_at is null",
    )
    .bind(step.scope())
    .bind(&step.migration)
    .bind(position(step))
    .bind(recorded)
    .bind(step.back.is_some())
    .execute(connection)
    .await
    .map_err(failed(EXECUTE))?
    .rows_affected();
    match marked {
        1 => Ok(()),
        _ => Err(error(ErrorKind::Conflict, EXECUTE).context(
            "reason",
            "the mark of the step is gone: its statements ended the transaction, or somebody took it away",
        )),
    }
}

/// As the tool itself would.
pub(super) async fn record(connection: &mut PgConnection, row: &LedgerRow) -> Result<()> {
    let table = qualified(&row.table);
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
        tool => return Err(written_by_itself(tool)),
    };
    connection
        .execute(AssertSqlSafe(statement))
        .await
        .map_err(failed(EXECUTE))?;
    Ok(())
}

/// Of a tool whose table is not for us to write.
pub(super) fn written_by_itself(tool: MigrationTool) -> Error {
    error(ErrorKind::Unsupported, EXECUTE)
        .context("tool", tool.name())
        .context("reason", "its table can only be written by itself")
}

pub(super) fn position(step: &MigrationStep) -> i32 {
    i32::try_from(step.position).unwrap_or(i32::MAX)
}

/// Marks from before they had a scope, and of a folder whose tool had no table then.
async fn adopt(connection: &mut PgConnection, step: &MigrationStep) -> Result<()> {
    if step.scope().is_empty() {
        return Ok(());
    }
    sqlx::query(
        "update ops.migration_step set scope = $1 where scope = '' and migration = $2 and not back
         and exists (select from ops.migration_step where scope = '' and migration = $2 and position = $3 and digest = $4 and not back)
         and not exists (select from ops.migration_step where scope = $1 and migration = $2)",
    )
    .bind(step.scope())
    .bind(&step.migration)
    .bind(position(step))
    .bind(&step.digest)
    .execute(connection)
    .await
    .map_err(failed(EXECUTE))?;
    Ok(())
}

/// Whether the tool's table had the migration and has it no longer: it was taken back, and its marks say nothing any more.
async fn is_taken_back(connection: &mut PgConnection, step: &MigrationStep) -> Result<bool> {
    let Some(row) = &step.record else {
        return Ok(false);
    };
    let was_there: bool = sqlx::query_scalar(
        "select exists (select from ops.migration_step
             where scope = $1 and migration = $2 and not back and done_at is not null and coalesce(recorded, position = $3))",
    )
    .bind(&row.table)
    .bind(&step.migration)
    .bind(i32::try_from(step.of).unwrap_or(i32::MAX))
    .fetch_one(&mut *connection)
    .await
    .map_err(failed(EXECUTE))?;
    if !was_there {
        return Ok(false);
    }
    Ok(!is_in_table(connection, row).await?)
}

/// Whether the tool's table says that the migration is applied.
pub(super) async fn is_in_table(connection: &mut PgConnection, row: &LedgerRow) -> Result<bool> {
    let (table, version) = (qualified(&row.table), literal(&row.version));
    let condition = match row.tool {
        MigrationTool::Sqlx => format!("version = {version}::bigint"),
        // One row names the newest; everything up to it is applied.
        MigrationTool::GolangMigrate => format!("version >= {version}::bigint"),
        _ => format!("version::text = {version}"),
    };
    sqlx::query_scalar(AssertSqlSafe(format!(
        "select exists (select from {table} where {condition})"
    )))
    .fetch_one(connection)
    .await
    .map_err(failed(EXECUTE))
}
