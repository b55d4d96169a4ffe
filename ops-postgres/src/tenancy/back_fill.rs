use ops_core::error::{Error, ErrorKind, Result};
use ops_core::model::{TableName, TenantId, TenantLayout};
use serde::Serialize;
use sqlx::PgPool;

use super::check::{Catalog, Relation};
use super::sweep::{BLOCKS, Effect, OnProgress, Step, Sweep};
use crate::error::{error, failed};
use crate::identifier::{literal, quoted};
use crate::{PostgresStore, WriteFence};

/// Gives the rows without a tenant (null or empty) to one tenant, a few blocks at a time. Whatever is done stays done: run it again
/// after an interruption.
///
/// Row security hides rows without a tenant from everybody whom it holds, so that a naive update finds nothing and succeeds. This
/// refuses then: run it as a role with `BYPASSRLS`, or before the policies are made.
#[derive(Clone, Debug)]
pub struct BackFill {
    pool: PgPool,
    layout: TenantLayout,
    blocks: u32,
    fence: Option<WriteFence>,
}

/// What was, or would be, filled in one table or partition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Filled {
    /// The table.
    pub table: TableName,
    /// Rows that were given the tenant.
    pub rows: u64,
    /// Rows that still have none: all of them in a dry run, else those that others held all the time.
    pub left: u64,
}

impl BackFill {
    /// In the database of `store`.
    pub fn new(store: &PostgresStore, layout: TenantLayout) -> Self {
        Self {
            pool: store.pool().clone(),
            layout,
            blocks: BLOCKS,
            fence: None,
        }
    }

    /// With batches of so many blocks of 8 kB; at least one.
    #[must_use]
    pub fn with_batch(mut self, blocks: u32) -> Self {
        self.blocks = blocks.max(1);
        self
    }

    /// Under a lease: a run that has lost it writes nothing more, and ends with `Conflict`.
    #[must_use]
    pub fn under(mut self, fence: WriteFence) -> Self {
        self.fence = Some(fence);
        self
    }

    /// How many rows have no tenant. Changes nothing.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub async fn dry_run(&self) -> Result<Vec<Filled>> {
        let nobody = TenantId::default_tenant();
        let mut found = Vec::new();
        for (table, condition, column) in self.tables().await? {
            let left = self.sweep(&table, &condition, &column, &nobody).count().await?;
            found.push(Filled { table, rows: 0, left });
        }
        found.retain(|filled| filled.left > 0);
        Ok(found)
    }

    /// Gives them to `tenant`.
    ///
    /// # Errors
    /// `PermissionDenied` when row security would hide rows; `Conflict`, `Unexpected` when a constraint does not allow it;
    /// `Unavailable`, `Timeout`.
    ///
    /// # Cancellation
    /// Batches that were committed stay.
    pub async fn run(&self, tenant: &TenantId, progress: OnProgress<'_>) -> Result<Vec<Filled>> {
        let mut filled = Vec::new();
        for (table, condition, column) in self.tables().await? {
            let swept = self
                .sweep(&table, &condition, &column, tenant)
                .run(progress)
                .await?;
            filled.push(Filled {
                table,
                rows: swept.rows,
                left: swept.left,
            });
        }
        filled.retain(|filled| filled.rows + filled.left > 0);
        Ok(filled)
    }

    fn sweep<'s>(
        &'s self,
        table: &'s TableName,
        condition: &str,
        column: &str,
        tenant: &TenantId,
    ) -> Sweep<'s> {
        Sweep {
            pool: &self.pool,
            tenant: None,
            table,
            effect: Effect::Set(format!("{} = {}", quoted(column), literal(tenant.as_str()))),
            condition: condition.to_owned(),
            unless: None,
            by: None,
            step: Step::Blocks(self.blocks),
            fence: self.fence.as_ref(),
            operation: FILL,
        }
    }

    /// The tables that hold rows and have the tenant's column, with what "no tenant" is there.
    async fn tables(&self) -> Result<Vec<(TableName, String, String)>> {
        let mut connection = self.pool.acquire().await.map_err(failed(FILL))?;
        let catalog = Catalog::read(&mut connection, &self.layout).await?;
        let mut tables = Vec::new();
        for relation in catalog.stored(&self.layout) {
            let Some(column) = &relation.column else { continue };
            if hides_rows(&mut connection, relation, FILL).await? {
                return Err(hidden(&relation.name));
            }
            let name = format!("t.{}", quoted(&column.name));
            let empty = match column.kind.as_str() {
                "text" | "character varying" => format!("{name} is null or {name} = ''"),
                _ => format!("{name} is null"),
            };
            tables.push((relation.name.clone(), empty, column.name.clone()));
        }
        Ok(tables)
    }
}

/// Whether row security holds us when we name the table itself.
pub(crate) async fn hides_rows(
    connection: &mut sqlx::PgConnection,
    relation: &Relation,
    operation: &'static str,
) -> Result<bool> {
    sqlx::query_scalar("select row_security_active($1::bigint::oid)")
        .bind(relation.oid)
        .fetch_one(connection)
        .await
        .map_err(failed(operation))
}

fn hidden(table: &TableName) -> Error {
    error(ErrorKind::PermissionDenied, FILL)
        .context("table", table.to_string())
        .context("reason", "row security hides the rows that have no tenant")
        .context(
            "remedy",
            "run as a role with BYPASSRLS, or before the policies are made",
        )
}

const FILL: &str = "back-fill the tenant";
