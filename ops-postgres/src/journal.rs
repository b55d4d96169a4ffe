use async_trait::async_trait;
use ops_core::error::{ErrorKind, Result};
use ops_core::model::{RunId, TargetId, Timestamp};
use ops_core::ports::{Held, Journal, JournalEntry};
use sqlx::PgPool;

use crate::PostgresStore;
use crate::error::{error, failed};
use crate::stored::Stored;

/// The journal in the schema `ops`, shared by all processes that use the database.
///
/// A unique index on the open holds decides who was first.
#[derive(Clone, Debug)]
pub struct PostgresJournal {
    pool: PgPool,
}

impl PostgresJournal {
    /// The journal of `store`, whose schema is migrated.
    pub fn new(store: &PostgresStore) -> Self {
        Self {
            pool: store.pool().clone(),
        }
    }

    /// Holds unless somebody does: whether this call did it.
    async fn insert_hold(&self, wanted: &Held) -> Result<bool> {
        let snapshot = serde_json::to_string(&wanted.snapshot)
            .map_err(|cause| error(ErrorKind::InvalidInput, HOLD).source(cause))?;
        let inserted: Option<i64> = sqlx::query_scalar(
            "insert into ops.journal_hold (target, run, at_micros, snapshot) values ($1, $2, $3, $4)
             on conflict (target) where released_at is null do nothing returning position",
        )
        .bind(wanted.snapshot.target().as_str())
        .bind(wanted.run.as_str())
        .bind(wanted.at.as_unix_micros())
        .bind(snapshot)
        .fetch_optional(&self.pool)
        .await
        .map_err(failed(HOLD))?;
        Ok(inserted.is_some())
    }

    async fn open_hold(&self, operation: &'static str, target: &TargetId) -> Result<Option<Held>> {
        let row: Option<HoldRow> = sqlx::query_as(
            "select position, run, at_micros, snapshot from ops.journal_hold where target = $1 and released_at is null",
        )
        .bind(target.as_str())
        .fetch_optional(&self.pool)
        .await
        .map_err(failed(operation))?;
        row.map(|row| held(operation, row)).transpose()
    }
}

#[async_trait]
impl Journal for PostgresJournal {
    async fn append(&self, entry: &JournalEntry) -> Result<()> {
        let text = serde_json::to_string(entry)
            .map_err(|cause| error(ErrorKind::InvalidInput, APPEND).source(cause))?;
        sqlx::query("insert into ops.journal_entry (run, entry) values ($1, $2)")
            .bind(entry.run.as_str())
            .bind(text)
            .execute(&self.pool)
            .await
            .map_err(failed(APPEND))?;
        Ok(())
    }

    async fn entries(&self, run: &RunId) -> Result<Vec<JournalEntry>> {
        let rows: Vec<(i64, String)> =
            sqlx::query_as("select position, entry from ops.journal_entry where run = $1 order by position")
                .bind(run.as_str())
                .fetch_all(&self.pool)
                .await
                .map_err(failed(READ))?;
        let read = |(position, text): &(i64, String)| {
            Stored::new(READ, ENTRIES, format!("position {position}, {run}")).parse(text)
        };
        rows.iter().map(read).collect()
    }

    async fn runs(&self) -> Result<Vec<RunId>> {
        // Run ids sort by the time they began, as bytes.
        let rows: Vec<String> = sqlx::query_scalar(
            r#"select distinct run collate "C" as run from ops.journal_entry order by run"#,
        )
        .fetch_all(&self.pool)
        .await
        .map_err(failed(READ))?;
        rows.into_iter()
            .map(|run| {
                RunId::new(&run)
                    .map_err(|_| Stored::new(READ, ENTRIES, "a run").wrong("its run is no run id"))
            })
            .collect()
    }

    async fn hold(&self, wanted: &Held) -> Result<Held> {
        for _ in 0..ATTEMPTS {
            if self.insert_hold(wanted).await? {
                return Ok(wanted.clone());
            }
            if let Some(held) = self.open_hold(HOLD, wanted.snapshot.target()).await? {
                return Ok(held);
            }
            // It was released between the two statements.
        }
        Err(error(ErrorKind::Unavailable, HOLD).context("reason", "the hold changes hands without end"))
    }

    async fn held(&self) -> Result<Vec<Held>> {
        let rows: Vec<HoldRow> = sqlx::query_as(
            "select position, run, at_micros, snapshot from ops.journal_hold where released_at is null order by position",
        )
        .fetch_all(&self.pool)
        .await
        .map_err(failed(READ))?;
        rows.into_iter().map(|row| held(READ, row)).collect()
    }

    async fn held_of(&self, target: &TargetId) -> Result<Option<Held>> {
        self.open_hold(READ, target).await
    }

    async fn release(&self, run: &RunId, target: &TargetId) -> Result<()> {
        sqlx::query(
            "update ops.journal_hold set released_at = clock_timestamp()
             where target = $1 and run = $2 and released_at is null",
        )
        .bind(target.as_str())
        .bind(run.as_str())
        .execute(&self.pool)
        .await
        .map_err(failed("release a held snapshot"))?;
        Ok(())
    }
}

type HoldRow = (i64, String, i64, String);

fn held(operation: &'static str, (position, run, at, snapshot): HoldRow) -> Result<Held> {
    let stored = Stored::new(operation, "ops.journal_hold", format!("position {position}"));
    let run = RunId::new(run).map_err(|_| stored.wrong("its run is no run id"))?;
    Ok(Held::new(
        run,
        Timestamp::from_unix_micros(at),
        stored.parse(&snapshot)?,
    ))
}

const ENTRIES: &str = "ops.journal_entry";
const APPEND: &str = "append to the journal";
const READ: &str = "read the journal";
const HOLD: &str = "hold a snapshot";
/// Each turn lost means that another run held and released the same target within two statements.
const ATTEMPTS: u32 = 16;
