use async_trait::async_trait;
use ops_core::error::{ErrorKind, Result};
use ops_core::model::{Completion, DueDate, Timestamp};
use ops_core::ports::DueDates;
use serde::Serialize;
use sqlx::PgPool;

use crate::PostgresStore;
use crate::error::{error, failed};
use crate::stored::Stored;

/// Due dates in the schema `ops`, a row an entry, shared by all machines that use the database. Of two that write the same key at the
/// same time the primary key lets one through.
#[derive(Clone, Debug)]
pub struct PostgresDueDates {
    pool: PgPool,
}

impl PostgresDueDates {
    /// The due dates of `store`, whose schema is migrated.
    pub fn new(store: &PostgresStore) -> Self {
        Self {
            pool: store.pool().clone(),
        }
    }

    async fn begun(&self, item: &str) -> Result<Option<Timestamp>> {
        let begun: Option<i64> = sqlx::query_scalar("select at from ops.due_begun where item = $1")
            .bind(item)
            .fetch_optional(&self.pool)
            .await
            .map_err(failed(BEGIN))?;
        Ok(begun.map(Timestamp::from_unix_micros))
    }
}

#[async_trait]
impl DueDates for PostgresDueDates {
    async fn begin(&self, item: &str, at: Timestamp) -> Result<Timestamp> {
        // A database in read-only mode still knows when it began.
        if let Some(begun) = self.begun(item).await? {
            return Ok(begun);
        }
        sqlx::query("insert into ops.due_begun (item, at) values ($1, $2) on conflict (item) do nothing")
            .bind(item)
            .bind(at.as_unix_micros())
            .execute(&self.pool)
            .await
            .map_err(failed(BEGIN))?;
        // Whoever was first, no row is ever changed: a second statement sees what the first has decided.
        self.begun(item)
            .await?
            .ok_or_else(|| error(ErrorKind::Unexpected, BEGIN).context("item", "its row has gone"))
    }

    async fn set(&self, date: &DueDate) -> Result<()> {
        sqlx::query(
            "insert into ops.due_date (key, due, entry) values ($1, $2, $3) on conflict (key) do nothing",
        )
        .bind(date.key.as_str())
        .bind(date.due.as_unix_micros())
        .bind(text(date, SET)?)
        .execute(&self.pool)
        .await
        .map_err(failed(SET))?;
        let row: Row = sqlx::query_as("select key, due, entry from ops.due_date where key = $1")
            .bind(date.key.as_str())
            .fetch_one(&self.pool)
            .await
            .map_err(failed(SET))?;
        if read_date(row)?.says_the_same_as(date) {
            return Ok(());
        }
        Err(error(ErrorKind::Conflict, SET).context("key", "has another date already"))
    }

    async fn complete(&self, completion: &Completion) -> Result<Completion> {
        sqlx::query(
            "insert into ops.due_completion (key, at, entry) values ($1, $2, $3) on conflict (key) do nothing",
        )
        .bind(completion.key.as_str())
        .bind(completion.at.as_unix_micros())
        .bind(text(completion, COMPLETE)?)
        .execute(&self.pool)
        .await
        .map_err(failed(COMPLETE))?;
        let row: Row = sqlx::query_as("select key, at, entry from ops.due_completion where key = $1")
            .bind(completion.key.as_str())
            .fetch_one(&self.pool)
            .await
            .map_err(failed(COMPLETE))?;
        let kept = read_completion(row)?;
        if kept.says_the_same_as(completion) {
            return Ok(kept);
        }
        Err(error(ErrorKind::Conflict, COMPLETE)
            .context("by", kept.by.id())
            .context("at", kept.at.to_string()))
    }

    async fn dates(&self) -> Result<Vec<DueDate>> {
        let rows: Vec<Row> =
            sqlx::query_as(r#"select key, due, entry from ops.due_date order by due, key collate "C""#)
                .fetch_all(&self.pool)
                .await
                .map_err(failed(DATES))?;
        rows.into_iter().map(read_date).collect()
    }

    async fn completions(&self, since: Timestamp) -> Result<Vec<Completion>> {
        let rows: Vec<Row> = sqlx::query_as(
            r#"select key, at, entry from ops.due_completion where at >= $1 order by at, key collate "C""#,
        )
        .bind(since.as_unix_micros())
        .fetch_all(&self.pool)
        .await
        .map_err(failed(COMPLETIONS))?;
        rows.into_iter().map(read_completion).collect()
    }
}

type Row = (String, i64, String);

fn text<T: Serialize>(entry: &T, operation: &'static str) -> Result<String> {
    serde_json::to_string(entry).map_err(|cause| error(ErrorKind::InvalidInput, operation).source(cause))
}

/// A row whose columns say something else than its entry was changed by hand.
fn read_date((key, due, text): Row) -> Result<DueDate> {
    let stored = Stored::new(DATES, "ops.due_date", format!("key {key}"));
    let date: DueDate = stored.parse(&text)?;
    if date.key.as_str() != key || date.due.as_unix_micros() != due {
        return Err(stored.wrong("its columns do not fit its entry"));
    }
    Ok(date)
}

fn read_completion((key, at, text): Row) -> Result<Completion> {
    let stored = Stored::new(COMPLETIONS, "ops.due_completion", format!("key {key}"));
    let completion: Completion = stored.parse(&text)?;
    if completion.key.as_str() != key || completion.at.as_unix_micros() != at {
        return Err(stored.wrong("its columns do not fit its entry"));
    }
    Ok(completion)
}

const BEGIN: &str = "begin calendar";
const SET: &str = "set due date";
const COMPLETE: &str = "complete due date";
const DATES: &str = "read due dates";
const COMPLETIONS: &str = "read completions";
