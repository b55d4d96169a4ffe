//! Many rows, a few at a time: each batch is a transaction of its own, so that locks are short and whatever is done stays done.

use std::collections::BTreeMap;
use std::time::Duration;

use ops_core::error::Result;
use ops_core::model::{TableName, TenantId};
use serde::Serialize;
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, PgPool, PgTransaction};

use super::policy::relation;
use super::{set, set_tenant};
use crate::WriteFence;
use crate::error::{Setback, failed};
use crate::guard::{commit_unless_read_only, refuse_while_read_only};
use crate::identifier::quoted;

/// How far a long change has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Progress {
    /// The table it is at.
    pub table: TableName,
    /// Blocks of it that were looked at; 0 where rows are found by an index.
    pub done: u64,
    /// Blocks that it has; 0 where rows are found by an index.
    pub of: u64,
    /// Rows of it that were changed so far.
    pub rows: u64,
}

/// Who is told how far it has come.
pub type OnProgress<'p> = &'p (dyn Fn(&Progress) + Send + Sync);

/// What is done with the rows for which `condition` holds.
pub(crate) struct Sweep<'s> {
    pub(crate) pool: &'s PgPool,
    /// The tenant of the transactions; `None` for what has no tenant yet.
    pub(crate) tenant: Option<&'s TenantId>,
    pub(crate) table: &'s TableName,
    pub(crate) effect: Effect,
    /// On the row `t`.
    pub(crate) condition: String,
    /// While this holds, nothing is changed: every batch looks again.
    pub(crate) unless: Option<String>,
    /// The column by which deleted rows are counted apart.
    pub(crate) by: Option<&'s str>,
    pub(crate) step: Step,
    /// What every batch must still have when it commits.
    pub(crate) fence: Option<&'s WriteFence>,
    pub(crate) operation: &'static str,
}

/// What one transaction takes on.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    /// So many blocks of the table, whatever fits in them: for conditions that fit much of it.
    Blocks(u32),
    /// So many rows, found by an index: for conditions that fit few rows.
    Rows(u32),
}

pub(crate) enum Effect {
    Delete,
    /// `column = value, …`.
    Set(String),
}

/// Rows that were changed, and those that are left because others hold them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Swept {
    pub(crate) rows: u64,
    pub(crate) left: u64,
    /// Of the rows, those with each value of the column that they are counted by.
    pub(crate) by: BTreeMap<String, u64>,
}

impl Sweep<'_> {
    /// Goes through the table block by block, and again while rows are left that somebody else held at that moment.
    pub(crate) async fn run(&self, progress: OnProgress<'_>) -> Result<Swept> {
        let mut swept = Swept::default();
        let mut idle = 0;
        loop {
            swept.left = self.count().await?;
            if swept.left == 0 || idle == PASSES {
                return Ok(swept);
            }
            let before = swept.rows;
            self.pass(&mut swept, progress).await?;
            if swept.rows > before {
                idle = 0;
            } else {
                idle += 1;
                tokio::time::sleep(PAUSE * idle).await;
            }
        }
    }

    /// How many rows there are to change.
    pub(crate) async fn count(&self) -> Result<u64> {
        let mut transaction = self.begin("begin read only").await?;
        // Counting may take longer than a batch.
        set(&mut transaction, "statement_timeout", "10min", self.operation).await?;
        count(&mut transaction, self.table, &self.condition, self.operation).await
    }

    async fn pass(&self, swept: &mut Swept, progress: OnProgress<'_>) -> Result<()> {
        let step = match self.step {
            Step::Blocks(step) => u64::from(step),
            Step::Rows(rows) => return self.few(rows, swept, progress).await,
        };
        let blocks = self.size().await?;
        let mut from = 0;
        while from < blocks {
            let to = from + step;
            let window = format!("t.ctid >= '({from},0)' and t.ctid < '({to},0)' and");
            self.batch(&window, "", swept).await?;
            from = to;
            progress(&Progress {
                table: self.table.clone(),
                done: from.min(blocks),
                of: blocks,
                rows: swept.rows,
            });
        }
        Ok(())
    }

    async fn few(&self, rows: u32, swept: &mut Swept, progress: OnProgress<'_>) -> Result<()> {
        loop {
            let before = swept.rows;
            self.batch("", &format!("limit {rows}"), swept).await?;
            if swept.rows == before {
                return Ok(());
            }
            progress(&Progress {
                table: self.table.clone(),
                done: 0,
                of: 0,
                rows: swept.rows,
            });
        }
    }

    /// One transaction. What others hold is passed by; it is never waited for longer than a moment.
    async fn batch(&self, window: &str, limit: &str, swept: &mut Swept) -> Result<()> {
        let table = relation(self.table);
        let unless = match &self.unless {
            Some(held) => format!("and not ({held})"),
            None => String::new(),
        };
        let picked = format!(
            "select t.ctid from only {table} t where {window} ({}) {unless} {limit} for update skip locked",
            self.condition
        );
        let change = match &self.effect {
            Effect::Delete => format!("delete from only {table} t where t.ctid = any (array({picked}))"),
            Effect::Set(columns) => {
                format!("update only {table} t set {columns} where t.ctid = any (array({picked}))")
            }
        };
        let by = self
            .by
            .map_or_else(|| "''".to_owned(), |column| format!("t.{}::text", quoted(column)));
        let statement = format!(
            "with changed as ({change} returning {by} as whose) select whose, count(*) from changed group by 1"
        );
        let mut transaction = self.begin("begin").await?;
        refuse_while_read_only(&mut transaction, self.operation).await?;
        set(&mut transaction, "lock_timeout", "2s", self.operation).await?;
        set(&mut transaction, "statement_timeout", "30s", self.operation).await?;
        let done: sqlx::Result<Vec<(Option<String>, i64)>> = sqlx::query_as(AssertSqlSafe(statement))
            .persistent(false)
            .fetch_all(&mut *transaction)
            .await;
        match done {
            Ok(done) => {
                if let Some(fence) = self.fence {
                    fence.hold(&mut transaction, self.operation).await?;
                }
                commit_unless_read_only(transaction, self.operation).await?;
                for (by, rows) in done {
                    let rows = rows.unsigned_abs();
                    swept.rows += rows;
                    if let Some(by) = by.filter(|_| self.by.is_some()) {
                        *swept.by.entry(by).or_default() += rows;
                    }
                }
                Ok(())
            }
            Err(cause) => match crate::error::setback(self.operation, cause) {
                // The next pass comes by again.
                (Setback::Held, _) => Ok(()),
                (_, cause) => Err(cause.context("table", self.table.to_string())),
            },
        }
    }

    async fn begin(&self, kind: &'static str) -> Result<PgTransaction<'static>> {
        let mut transaction = self.pool.begin_with(kind).await.map_err(failed(self.operation))?;
        if let Some(tenant) = self.tenant {
            set_tenant(&mut transaction, tenant, self.operation).await?;
        }
        Ok(transaction)
    }

    async fn size(&self) -> Result<u64> {
        let size: i64 = sqlx::query_scalar(
            "select pg_relation_size(format('%I.%I', $1::text, $2::text)::regclass) / current_setting('block_size')::bigint",
        )
        .bind(self.table.schema())
        .bind(self.table.name())
        .fetch_one(self.pool)
        .await
        .map_err(failed(self.operation))?;
        Ok(size.unsigned_abs())
    }
}

/// How many rows of `table` itself fit `condition` on `t`.
pub(crate) async fn count(
    connection: &mut PgConnection,
    table: &TableName,
    condition: &str,
    operation: &'static str,
) -> Result<u64> {
    let statement = format!(
        "select count(*) from only {} t where {condition}",
        relation(table)
    );
    let count: i64 = sqlx::query_scalar(AssertSqlSafe(statement))
        .fetch_one(connection)
        .await
        .map_err(failed(operation))?;
    Ok(count.unsigned_abs())
}

/// Blocks of 8 kB in a batch: some ten thousand rows at most.
pub(crate) const BLOCKS: u32 = 128;
/// How often a table is gone through in vain before the rows that are left are given up.
const PASSES: u32 = 3;
const PAUSE: Duration = Duration::from_millis(200);
