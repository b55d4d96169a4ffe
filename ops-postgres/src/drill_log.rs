use async_trait::async_trait;
use ops_core::error::{ErrorKind, Result};
use ops_core::model::{DrillReport, RunId};
use ops_core::ports::DrillLog;
use sqlx::PgPool;

use crate::PostgresStore;
use crate::error::{error, failed};
use crate::stored::Stored;

/// Reports of drills in the schema `ops`, a row a run, shared by all machines that use the database.
#[derive(Clone, Debug)]
pub struct PostgresDrillLog {
    pool: PgPool,
}

impl PostgresDrillLog {
    /// The reports of `store`, whose schema is migrated.
    pub fn new(store: &PostgresStore) -> Self {
        Self {
            pool: store.pool().clone(),
        }
    }
}

#[async_trait]
impl DrillLog for PostgresDrillLog {
    async fn append(&self, report: &DrillReport) -> Result<()> {
        let text = serde_json::to_string(report)
            .map_err(|cause| error(ErrorKind::InvalidInput, KEEP).source(cause))?;
        sqlx::query(
            "insert into ops.drill (run, procedure, digest, report) values ($1, $2, $3, $4)
             on conflict (run) do nothing",
        )
        .bind(report.run.as_str())
        .bind(&report.procedure)
        .bind(report.digest().to_string())
        .bind(text)
        .execute(&self.pool)
        .await
        .map_err(failed(KEEP))?;
        match self.find(&report.run).await? {
            Some(kept) if kept == *report => Ok(()),
            _ => Err(error(ErrorKind::Conflict, KEEP).context("run", "has another report already")),
        }
    }

    async fn find(&self, run: &RunId) -> Result<Option<DrillReport>> {
        let row: Option<Row> =
            sqlx::query_as("select run, procedure, digest, report from ops.drill where run = $1")
                .bind(run.as_str())
                .fetch_optional(&self.pool)
                .await
                .map_err(failed(READ))?;
        row.map(read).transpose()
    }

    async fn newest(&self, procedure: &str) -> Result<Option<DrillReport>> {
        // Run ids sort by the time they began, as bytes.
        let row: Option<Row> = sqlx::query_as(
            r#"select run, procedure, digest, report from ops.drill where procedure = $1
             order by run collate "C" desc limit 1"#,
        )
        .bind(procedure)
        .fetch_optional(&self.pool)
        .await
        .map_err(failed(READ))?;
        row.map(read).transpose()
    }

    async fn list(&self) -> Result<Vec<DrillReport>> {
        let rows: Vec<Row> = sqlx::query_as(
            r#"select run, procedure, digest, report from ops.drill order by run collate "C""#,
        )
        .fetch_all(&self.pool)
        .await
        .map_err(failed(READ))?;
        rows.into_iter().map(read).collect()
    }
}

type Row = (String, String, String, String);

/// A row that was changed by hand fits neither its digest nor the audit trail.
fn read((run, procedure, digest, text): Row) -> Result<DrillReport> {
    let stored = Stored::new(READ, "ops.drill", format!("run {run}"));
    let report: DrillReport = stored.parse(&text)?;
    if report.digest().to_string() != digest {
        return Err(stored.wrong("it does not fit its own digest"));
    }
    if report.run.as_str() != run || report.procedure != procedure {
        return Err(stored.wrong("it is the report of another run"));
    }
    Ok(report)
}

const KEEP: &str = "keep drill report";
const READ: &str = "read drill report";
