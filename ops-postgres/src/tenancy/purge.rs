use std::time::Duration;

use ops_core::error::{Error, ErrorKind, Result};
use ops_core::model::{LegalHold, TableName, TenantId, TenantLayout, TenantState, Timestamp};
use ops_core::ports::TenantDirectory;
use serde::Serialize;
use sqlx::{AssertSqlSafe, PgPool, PgTransaction};

use super::back_fill::hides_rows;
use super::check::{Catalog, Relation, RelationKind, sees_the_whole_tenant};
use super::hold::{DataHolds, is_held};
use super::order::children_first;
use super::policy::relation;
use super::sweep::{BLOCKS, Effect, OnProgress, Step, Sweep, count};
use super::{PostgresTenants, set, set_tenant};
use crate::error::{error, failed};
use crate::guard::commit_unless_read_only;
use crate::identifier::{literal, quoted};
use crate::{PostgresStore, WriteFence};

/// How long after the logical deletion a tenant's data is still there.
pub const PURGE_AFTER: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// Deletes the rows of a tenant for good, and proves that none is left.
///
/// A few blocks at a time, tables that point at others first; whatever is done stays done, and a repetition goes on. The audit trail in
/// the schema `ops` stays: it has a retention of its own.
#[derive(Clone, Debug)]
pub struct TenantPurge {
    pool: PgPool,
    layout: TenantLayout,
    tenants: PostgresTenants,
    holds: DataHolds,
    blocks: u32,
    fence: Option<WriteFence>,
}

/// What became of a purge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "outcome")]
#[non_exhaustive]
pub enum PurgeOutcome {
    /// Nothing is left, and the id is never given again.
    Purged(PurgeProof),
    /// Rows are left, or something could not be looked at. There is no way back from here, and the same call goes on.
    Left(PurgeProof),
    /// It was not deleted logically. Nothing was changed.
    NotDeleted,
    /// It is too early. Nothing was changed.
    NotYet {
        /// When it may be purged.
        until: Timestamp,
    },
    /// Its data, or that of one of its people, is held. Nothing was changed by this run.
    Held {
        /// The holds.
        holds: Vec<LegalHold>,
    },
}

/// What was removed and what is left, table by table, counted in one snapshot after the last row was removed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct PurgeProof {
    /// The tenant.
    pub tenant: TenantId,
    /// When it was counted.
    pub at: Timestamp,
    /// Every table, partition and materialized view of the layout's schemas that holds rows of tenants, and partitions of theirs elsewhere.
    pub tables: Vec<TableCount>,
    /// Tables without the tenant's column and foreign tables that are not listed as global: what is in them is not known.
    pub unknown: Vec<TableName>,
    /// What was not looked at: schemas that the layout does not name, with a table that has the tenant's column or that the application may
    /// touch; tables whose names have a point.
    pub unchecked: Vec<String>,
}

/// The rows of a tenant in one table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct TableCount {
    /// The table or partition; a table that has no partition yet stands for itself.
    pub table: TableName,
    /// Rows that this run removed.
    pub removed: u64,
    /// Rows that are there.
    pub left: u64,
}

impl PurgeProof {
    /// Whether everything was looked at and nothing has a row.
    pub fn holds(&self) -> bool {
        self.unknown.is_empty()
            && self.unchecked.is_empty()
            && self.tables.iter().all(|table| table.left == 0)
    }
}

impl TenantPurge {
    /// In the database of `store`.
    pub fn new(store: &PostgresStore, layout: TenantLayout) -> Self {
        Self {
            pool: store.pool().clone(),
            layout,
            tenants: PostgresTenants::new(store),
            holds: DataHolds::new(store),
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

    /// What a purge would remove. Changes nothing, and asks neither for the state nor for holds.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub async fn dry_run(&self, tenant: &TenantId, now: Timestamp) -> Result<PurgeProof> {
        let catalog = self.catalog(tenant).await?;
        self.prove(&catalog, tenant, now, Vec::new()).await
    }

    /// Removes the rows of `tenant`, which was deleted logically at least [`PURGE_AFTER`] before `now`. For one that is purged it only
    /// counts again. Before the first row goes, its state becomes [`Purging`](TenantState::Purging): it cannot be had back any more. A hold
    /// that is placed meanwhile keeps what is left.
    ///
    /// # Errors
    /// `NotFound` for an unknown tenant; `PermissionDenied` when row security could hide rows from us, so that a count would prove
    /// nothing; `Conflict` while the database is in read-only mode, and when its state was changed meanwhile; `Unexpected` for a row that
    /// something outside points at; `Unavailable`, `Timeout`.
    ///
    /// # Cancellation
    /// Batches that were committed stay.
    pub async fn run(
        &self,
        tenant: &TenantId,
        now: Timestamp,
        progress: OnProgress<'_>,
    ) -> Result<PurgeOutcome> {
        let known = self.tenants.find(tenant).await?;
        let known =
            known.ok_or_else(|| error(ErrorKind::NotFound, PURGE).context("tenant", tenant.as_str()))?;
        let Some(deleted_at) = known.deleted_at else {
            return Ok(PurgeOutcome::NotDeleted);
        };
        let until = deleted_at + PURGE_AFTER;
        if known.state == TenantState::Deleted && now < until {
            return Ok(PurgeOutcome::NotYet { until });
        }
        let holds = self.holds.of(tenant).await?;
        if !holds.is_empty() {
            return Ok(PurgeOutcome::Held { holds });
        }
        let catalog = self.catalog(tenant).await?;
        let purged = known.state == TenantState::Purged;
        let mut removed = Vec::new();
        if !purged {
            self.start(tenant, deleted_at).await?;
            removed = self.remove(&catalog, tenant, progress).await?;
        }
        // Read again: a table or a partition may have been made meanwhile.
        let catalog = self.catalog(tenant).await?;
        let proof = self.prove(&catalog, tenant, now, removed).await?;
        if !proof.holds() {
            return Ok(PurgeOutcome::Left(proof));
        }
        if !purged {
            self.keep(&proof).await?;
        }
        Ok(PurgeOutcome::Purged(proof))
    }

    /// Closes the way back, unless somebody has taken it, or placed a hold, since the tenant was looked at.
    async fn start(&self, tenant: &TenantId, deleted_at: Timestamp) -> Result<()> {
        let mut transaction = self.pool.begin().await.map_err(failed(PURGE))?;
        let statement = format!(
            "update ops.tenant set state = 'purging' where id = $1 and deleted_at = $2 and state in ('deleted', 'purging') and not {}",
            is_held(tenant, None)
        );
        let started = sqlx::query(AssertSqlSafe(statement))
            .bind(tenant.as_str())
            .bind(deleted_at.as_unix_micros())
            .execute(&mut *transaction)
            .await
            .map_err(failed(PURGE))?;
        self.commit(transaction).await?;
        match started.rows_affected() {
            0 => Err(changed(tenant)),
            _ => Ok(()),
        }
    }

    async fn commit(&self, mut transaction: PgTransaction<'_>) -> Result<()> {
        if let Some(fence) = &self.fence {
            fence.hold(&mut transaction, PURGE).await?;
        }
        commit_unless_read_only(transaction, PURGE).await
    }

    /// The catalogue, if every table shows us every row of the tenant.
    async fn catalog(&self, tenant: &TenantId) -> Result<Catalog> {
        let mut transaction = self
            .pool
            .begin_with("begin read only")
            .await
            .map_err(failed(PURGE))?;
        set_tenant(&mut transaction, tenant, PURGE).await?;
        let catalog = Catalog::read(&mut transaction, &self.layout).await?;
        let mut hidden = Vec::new();
        for table in catalog
            .stored(&self.layout)
            .filter(|table| table.column.is_some())
        {
            if hides_rows(&mut transaction, table, PURGE).await? && !sees_the_whole_tenant(table) {
                hidden.push(table.name.to_string());
            }
        }
        match hidden.is_empty() {
            true => Ok(catalog),
            false => Err(unseen(&hidden.join(", "), PURGE)),
        }
    }

    async fn remove(
        &self,
        catalog: &Catalog,
        tenant: &TenantId,
        progress: OnProgress<'_>,
    ) -> Result<Vec<(TableName, u64)>> {
        let roots: Vec<i64> = catalog
            .stored(&self.layout)
            .filter(|table| table.column.is_some())
            .map(|table| table.root)
            .collect();
        let (order, circle) = children_first(catalog, &roots);
        let mut removed: Vec<(TableName, u64)> = Vec::new();
        for root in &order[..] {
            for table in catalog.leaves(*root) {
                let condition = of_tenant(table, tenant);
                let swept = self.sweep(&table.name, condition, tenant).run(progress).await?;
                removed.push((table.name.clone(), swept.rows));
            }
            // What stands in a circle may point at this one, and goes with what is no longer pointed at.
            self.unwind(catalog, &circle, tenant, &mut removed, progress)
                .await?;
        }
        self.unwind(catalog, &circle, tenant, &mut removed, progress)
            .await?;
        Ok(removed)
    }

    /// Removes rows at which no row of the circle points, again and again.
    async fn unwind(
        &self,
        catalog: &Catalog,
        circle: &[i64],
        tenant: &TenantId,
        removed: &mut Vec<(TableName, u64)>,
        progress: OnProgress<'_>,
    ) -> Result<()> {
        loop {
            let mut rows = 0;
            for root in circle {
                for table in catalog.leaves(*root) {
                    let condition = format!("{}{}", of_tenant(table, tenant), not_pointed_at(catalog, *root));
                    let swept = self.sweep(&table.name, condition, tenant).run(progress).await?;
                    rows += swept.rows;
                    removed.push((table.name.clone(), swept.rows));
                }
            }
            if rows == 0 {
                return Ok(());
            }
        }
    }

    fn sweep<'s>(&'s self, table: &'s TableName, condition: String, tenant: &'s TenantId) -> Sweep<'s> {
        Sweep {
            pool: &self.pool,
            tenant: Some(tenant),
            table,
            effect: Effect::Delete,
            condition,
            unless: Some(is_held(tenant, None)),
            by: None,
            step: Step::Blocks(self.blocks),
            fence: self.fence.as_ref(),
            operation: PURGE,
        }
    }

    async fn prove(
        &self,
        catalog: &Catalog,
        tenant: &TenantId,
        at: Timestamp,
        removed: Vec<(TableName, u64)>,
    ) -> Result<PurgeProof> {
        let mut transaction = self
            .pool
            .begin_with("begin isolation level repeatable read read only")
            .await
            .map_err(failed(PURGE))?;
        set_tenant(&mut transaction, tenant, PURGE).await?;
        set(&mut transaction, "statement_timeout", "10min", PURGE).await?;
        let mut proof = PurgeProof {
            tenant: tenant.clone(),
            at,
            tables: Vec::new(),
            unknown: Vec::new(),
            unchecked: catalog
                .unchecked
                .iter()
                .map(|unchecked| unchecked.subject.clone())
                .collect(),
        };
        for table in catalog.of_tenants(&self.layout) {
            let seen = seen(catalog, table);
            if seen == Seen::Unknown {
                proof.unknown.push(table.name.clone());
            }
            let left = match seen {
                Seen::Unknown | Seen::Elsewhere => continue,
                Seen::Empty => 0,
                Seen::Counted => {
                    count(&mut transaction, &table.name, &of_tenant(table, tenant), PURGE).await?
                }
            };
            let gone = removed
                .iter()
                .filter(|(name, _)| *name == table.name)
                .map(|(_, rows)| rows)
                .sum();
            proof.tables.push(TableCount {
                table: table.name.clone(),
                removed: gone,
                left,
            });
        }
        Ok(proof)
    }

    async fn keep(&self, proof: &PurgeProof) -> Result<()> {
        let text = serde_json::to_string(proof)
            .map_err(|cause| error(ErrorKind::Unexpected, PURGE).source(cause))?;
        let mut transaction = self.pool.begin().await.map_err(failed(PURGE))?;
        // The name of the organisation goes, too; what was removed is told by the first proof.
        let kept = sqlx::query(
            "update ops.tenant set state = 'purged', purged_at = $2, proof = $3, name = '' where id = $1 and state = 'purging'",
        )
        .bind(proof.tenant.as_str())
        .bind(proof.at.as_unix_micros())
        .bind(text)
        .execute(&mut *transaction)
        .await
        .map_err(failed(PURGE))?;
        self.commit(transaction).await?;
        match kept.rows_affected() {
            0 => Err(changed(&proof.tenant)),
            _ => Ok(()),
        }
    }
}

/// What a proof can say about something of the catalogue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seen {
    Counted,
    /// It can hold no row now.
    Empty,
    Unknown,
    /// What it shows is counted where it is stored.
    Elsewhere,
}

fn seen(catalog: &Catalog, relation: &Relation) -> Seen {
    match relation.kind {
        RelationKind::Table if relation.column.is_some() => Seen::Counted,
        RelationKind::Table | RelationKind::Foreign => Seen::Unknown,
        RelationKind::Partitioned => match relation.is_partition || catalog.has_partitions(relation.oid) {
            true => Seen::Elsewhere,
            false => Seen::Empty,
        },
        RelationKind::MaterializedView if !relation.populated => Seen::Empty,
        RelationKind::MaterializedView if relation.column.is_some() => Seen::Counted,
        RelationKind::MaterializedView if relation.reads_tenants => Seen::Unknown,
        RelationKind::MaterializedView | RelationKind::View => Seen::Elsewhere,
    }
}

/// The rows of a tenant.
pub(crate) fn of_tenant(table: &Relation, tenant: &TenantId) -> String {
    match &table.column {
        Some(column) => format!("t.{} = {}", quoted(&column.name), literal(tenant.as_str())),
        None => "true".to_owned(),
    }
}

fn not_pointed_at(catalog: &Catalog, root: i64) -> String {
    let mut text = String::new();
    for reference in catalog.references.iter().filter(|reference| reference.to == root) {
        let Some(from) = catalog.relations.get(&reference.from) else {
            continue;
        };
        let pairs: Vec<String> = reference
            .from_columns
            .iter()
            .zip(&reference.to_columns)
            .map(|(from, to)| format!("c.{} = t.{}", quoted(from), quoted(to)))
            .collect();
        text += &format!(
            " and not exists (select from {} c where {} and (c.tableoid, c.ctid) is distinct from (t.tableoid, t.ctid))",
            relation(&from.name),
            pairs.join(" and ")
        );
    }
    text
}

pub(crate) fn unseen(tables: &str, operation: &'static str) -> Error {
    error(ErrorKind::PermissionDenied, operation)
        .context("tables", tables)
        .context(
            "reason",
            "row security may hide rows of the tenant from this role",
        )
        .context(
            "remedy",
            "run as a role with BYPASSRLS, or let a policy for everybody ask for the tenant only",
        )
}

fn changed(tenant: &TenantId) -> Error {
    error(ErrorKind::Conflict, PURGE)
        .context("tenant", tenant.as_str())
        .context("reason", "its state was changed, or a hold placed, meanwhile")
}

const PURGE: &str = "purge tenant";
