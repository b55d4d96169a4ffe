//! What is known of a step of the way back, and what keeps it apart from the way up.

use ops_core::error::{ErrorKind, Result};
use ops_core::model::{BackStep, LedgerRow, MigrationStep, MigrationTool, StepMark};
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Executor};

use super::mark::{EXECUTE, is_in_table, position, written_by_itself};
use crate::error::{error, failed};
use crate::identifier::{literal, qualified};

/// Every mark over `scope`; none where the table is missing or older than they are.
pub(super) async fn marks(connection: &mut PgConnection, scope: &str) -> Result<Vec<StepMark>> {
    let there: bool = sqlx::query_scalar("select to_regclass('ops.migration_step') is not null")
        .fetch_one(&mut *connection)
        .await
        .map_err(failed(READ))?;
    if !there {
        return Ok(Vec::new());
    }
    // Columns that came later may not be there as yet.
    let rows: Vec<(String, bool, i32, String, bool, bool)> = sqlx::query_as(
        "select migration, coalesce((to_jsonb(s) ->> 'back')::boolean, false), position, digest, done_at is not null,
             coalesce((to_jsonb(s) ->> 'recorded')::boolean, false)
         from ops.migration_step s where coalesce(to_jsonb(s) ->> 'scope', '') = $1 order by 1, 2, 3",
    )
    .bind(scope)
    .fetch_all(connection)
    .await
    .map_err(failed(READ))?;
    let marks = rows
        .into_iter()
        .map(|(migration, back, position, digest, done, recorded)| {
            let mut mark = StepMark::default();
            mark.migration = migration;
            mark.back = back;
            mark.position = u32::try_from(position).unwrap_or_default();
            mark.digest = digest;
            mark.done = done;
            mark.recorded = recorded;
            mark
        });
    Ok(marks.collect())
}

/// Refuses a step of the way up while a migration of the same table is on its way back; whether this one is back.
pub(super) async fn check_way_up(connection: &mut PgConnection, step: &MigrationStep) -> Result<bool> {
    if let Some(other) = on_its_way(connection, step.scope(), None).await? {
        return Err(error(ErrorKind::Conflict, EXECUTE)
            .context("back", other)
            .context("reason", "the migration is on its way back, which has not ended")
            .context("remedy", "end that first: opsctl migrations back"));
    }
    is_recorded(connection, step, true).await
}

/// Whether a step of the way back may be run, or has been; whatever a way back before it left is forgotten.
pub(super) async fn begin_back(
    connection: &mut PgConnection,
    step: &MigrationStep,
    back: &BackStep,
) -> Result<()> {
    let conflict = |reason: &'static str| {
        Err(error(ErrorKind::Conflict, EXECUTE)
            .context("reason", reason)
            .context("remedy", "look at the state, and plan the way back anew"))
    };
    let Some(row) = &step.record else {
        return conflict("there is no table of a tool that says what is applied");
    };
    let is_applied = is_in_table(connection, row).await?;
    let own = has_mark(connection, step, position(step), false).await?;
    if is_recorded(connection, step, true).await? {
        match (is_applied, step.position > 1) {
            (false, _) if own => return Ok(()),
            (false, _) => return conflict("the migration is back, by another way than this one"),
            (true, true) => return conflict("the migration was applied again while it was taken back"),
            // Its tool applied it again.
            (true, false) => forget(connection, step, true).await?,
        }
    }
    match (&back.half, is_applied) {
        (None, false) => return conflict("the tool's table has it no longer: somebody else took it back"),
        (Some(_), true) => return conflict("it has been run to its end meanwhile"),
        (Some(_), false) if is_recorded(connection, step, false).await? => {
            return conflict("it was run to its end, and is back by another way than this one");
        }
        (Some(seen), false) if step.position == 1 && !own => {
            let all = marks(connection, step.scope()).await?;
            let now: Vec<&StepMark> = all
                .iter()
                .filter(|mark| mark.migration == step.migration && !mark.back)
                .collect();
            if now
                .iter()
                .map(|mark| place_of(mark))
                .ne(seen.iter().map(place_of))
            {
                return conflict("a run has gone on with it meanwhile");
            }
        }
        _ => {}
    }
    if is_newer_applied(connection, row).await? {
        return conflict("a newer migration has been applied meanwhile");
    }
    if let Some(other) = newer_half_way(connection, step).await? {
        return Err(error(ErrorKind::Conflict, EXECUTE)
            .context("half_way", other)
            .context("reason", "a run of a newer migration has begun and not ended")
            .context("remedy", "let it end, or take that one back first"));
    }
    if let Some(other) = on_its_way(connection, step.scope(), Some(&step.migration)).await? {
        return Err(error(ErrorKind::Conflict, EXECUTE)
            .context("back", other)
            .context(
                "reason",
                "another migration is on its way back, which has not ended",
            ));
    }
    if step.position > 1 && !has_mark(connection, step, position(step) - 1, true).await? {
        return conflict("the step before it is not done");
    }
    Ok(())
}

/// The migration is back: out of the tool's table, and what was known of its way up is forgotten.
pub(super) async fn unrecord(connection: &mut PgConnection, step: &MigrationStep) -> Result<()> {
    let Some(row) = &step.record else { return Ok(()) };
    if step.back.as_ref().is_some_and(|back| back.half.is_none()) {
        let (table, version) = (qualified(&row.table), literal(&row.version));
        let statement = match row.tool {
            MigrationTool::Sqlx => format!("delete from {table} where version = {version}::bigint"),
            // Its one row names the newest.
            MigrationTool::GolangMigrate => match &row.before {
                Some(before) => format!(
                    "delete from {table}; insert into {table} (version, dirty) values ({}::bigint, false)",
                    literal(before)
                ),
                None => format!("delete from {table}"),
            },
            MigrationTool::Rails | MigrationTool::Supabase => {
                format!("delete from {table} where version::text = {version}")
            }
            tool => return Err(written_by_itself(tool)),
        };
        connection
            .execute(AssertSqlSafe(statement))
            .await
            .map_err(failed(EXECUTE))?;
    }
    forget(connection, step, false).await
}

const READ: &str = "read the marks of migrations";

/// What tells two marks apart.
fn place_of(mark: &StepMark) -> (u32, &str, bool) {
    (mark.position, &mark.digest, mark.done)
}

async fn forget(connection: &mut PgConnection, step: &MigrationStep, back: bool) -> Result<()> {
    sqlx::query("delete from ops.migration_step where scope = $1 and migration = $2 and back = $3")
        .bind(step.scope())
        .bind(&step.migration)
        .bind(back)
        .execute(connection)
        .await
        .map_err(failed(EXECUTE))?;
    Ok(())
}

/// Whether its last step in that direction ended with what the tool's table says; the table may say otherwise since.
async fn is_recorded(connection: &mut PgConnection, step: &MigrationStep, back: bool) -> Result<bool> {
    sqlx::query_scalar(
        "select exists (select from ops.migration_step where scope = $1 and migration = $2 and back = $3 and recorded)",
    )
    .bind(step.scope())
    .bind(&step.migration)
    .bind(back)
    .fetch_one(connection)
    .await
    .map_err(failed(EXECUTE))
}

async fn has_mark(
    connection: &mut PgConnection,
    step: &MigrationStep,
    position: i32,
    done: bool,
) -> Result<bool> {
    sqlx::query_scalar(
        "select exists (select from ops.migration_step
             where scope = $1 and migration = $2 and back and position = $3 and (done_at is not null or not $4))",
    )
    .bind(step.scope())
    .bind(&step.migration)
    .bind(position)
    .bind(done)
    .fetch_one(connection)
    .await
    .map_err(failed(EXECUTE))
}

/// A newer migration over the same table of which a run did some steps, and not the last; one that was recorded is not half-way, since the tool itself
/// took it back. It is not in the tool's table: that is asked before.
async fn newer_half_way(connection: &mut PgConnection, step: &MigrationStep) -> Result<Option<String>> {
    let (there, this) = (number("s.migration"), number("$2::text"));
    sqlx::query_scalar(AssertSqlSafe(format!(
        "select migration from ops.migration_step s where scope = $1 and not back and {there} > {this}
         and not exists (select from ops.migration_step e
             where e.scope = s.scope and e.migration = s.migration and not e.back
             and coalesce(e.recorded, e.done_at is not null))
         order by 1 limit 1"
    )))
    .bind(step.scope())
    .bind(&step.migration)
    .fetch_optional(connection)
    .await
    .map_err(failed(EXECUTE))
}

/// The number that a version is, if it is one; `text` is SQL.
fn number(text: &str) -> String {
    format!("case when {text} ~ '^[0-9]+$' then ({text})::numeric end")
}

/// A migration over `scope` whose way back has begun and not ended. For a step of the way back of `but` that, and what is older, is left aside: a newer
/// one that stands in its way goes first.
async fn on_its_way(connection: &mut PgConnection, scope: &str, but: Option<&str>) -> Result<Option<String>> {
    let (there, this) = (number("s.migration"), number("$2::text"));
    sqlx::query_scalar(AssertSqlSafe(format!(
        "select migration from ops.migration_step s where scope = $1 and back and migration is distinct from $2
         and coalesce({there} > {this}, true)
         and not exists (select from ops.migration_step e
             where e.scope = s.scope and e.migration = s.migration and e.back and e.recorded)
         order by 1 limit 1"
    )))
    .bind(scope)
    .bind(but)
    .fetch_optional(connection)
    .await
    .map_err(failed(EXECUTE))
}

/// Whether the tool's table names one with a higher number.
async fn is_newer_applied(connection: &mut PgConnection, row: &LedgerRow) -> Result<bool> {
    let (table, version) = (qualified(&row.table), literal(&row.version));
    let (there, this) = (number("version::text"), number(&version));
    sqlx::query_scalar(AssertSqlSafe(format!(
        "select exists (select from {table} where {there} > {this})"
    )))
    .fetch_one(connection)
    .await
    .map_err(failed(EXECUTE))
}
