use ops_core::error::{Error, ErrorKind, Result};
use ops_core::model::{RetentionEnd, RetentionRule, TableName, TenantId, TenantLayout, Timestamp};
use serde::Serialize;
use sqlx::PgPool;

use super::map::Columns;
use crate::PostgresStore;
use crate::error::{error, failed};
use crate::identifier::{literal, quoted};
use crate::tenancy::{
    BLOCKS, Catalog, Effect, OnProgress, Relation, Step, Sweep, hides_rows, relation, sees_the_whole_tenant,
    unseen,
};

/// Deletes what is past its retention period, by rules that are data. A few blocks at a time; whatever is done stays done.
///
/// Rows of held tenants and persons are spared ([`DataHolds`](crate::DataHolds)).
#[derive(Clone, Debug)]
pub struct Retention {
    pool: PgPool,
    layout: TenantLayout,
    rules: Vec<RetentionRule>,
    blocks: u32,
}

/// What a rule deleted, or would delete, in one table or partition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Expired {
    /// The rule.
    pub rule: String,
    /// The table or partition.
    pub table: TableName,
    /// Rows that were deleted.
    pub rows: u64,
    /// Rows that are past their time and still there: all of them in a dry run.
    pub left: u64,
    /// Rows that are past their time and held.
    pub held: u64,
}

impl Retention {
    /// In the database of `store`.
    pub fn new(store: &PostgresStore, layout: TenantLayout, rules: Vec<RetentionRule>) -> Self {
        Self {
            pool: store.pool().clone(),
            layout,
            rules,
            blocks: BLOCKS,
        }
    }

    /// With batches of so many blocks of 8 kB; at least one.
    #[must_use]
    pub fn with_batch(mut self, blocks: u32) -> Self {
        self.blocks = blocks.max(1);
        self
    }

    /// How many rows are past their time. Changes nothing.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub async fn dry_run(&self, now: Timestamp) -> Result<Vec<Expired>> {
        self.each(now, None).await
    }

    /// Deletes them.
    ///
    /// # Errors
    /// `InvalidConfig` for a rule that does not fit the tables; `PermissionDenied` when row security hides rows from us;
    /// `Unexpected` for a row that another table points at; `Unavailable`, `Timeout`.
    ///
    /// # Cancellation
    /// What was committed stays.
    pub async fn run(&self, now: Timestamp, progress: OnProgress<'_>) -> Result<Vec<Expired>> {
        self.each(now, Some(progress)).await
    }

    async fn each(&self, now: Timestamp, progress: Option<OnProgress<'_>>) -> Result<Vec<Expired>> {
        let mut found: Vec<Expired> = Vec::new();
        // Every rule is read before the first row goes.
        for (rule, table, past, tenant) in self.steps(now).await? {
            let sweep = |condition: String| Sweep {
                pool: &self.pool,
                tenant: tenant.as_ref(),
                table: &table.name,
                effect: Effect::Delete,
                condition,
                step: Step::Blocks(self.blocks),
                operation: RETAIN,
            };
            let hold = held(rule, &table);
            let free = sweep(format!("({past}) and not {hold}"));
            let held = sweep(format!("({past}) and {hold}")).count().await?;
            let (rows, left) = match progress {
                None => (0, free.count().await?),
                Some(progress) => {
                    let swept = free.run(progress).await?;
                    (swept.rows, swept.left)
                }
            };
            match found
                .iter_mut()
                .find(|seen| seen.rule == rule.name && seen.table == table.name)
            {
                Some(seen) => {
                    seen.rows += rows;
                    seen.left += left;
                    seen.held += held;
                }
                None => found.push(Expired {
                    rule: rule.name.clone(),
                    table: table.name,
                    rows,
                    left,
                    held,
                }),
            }
        }
        Ok(found)
    }

    /// Rule, table or partition, the condition for what is past its time, and the tenant to look as.
    async fn steps(&self, now: Timestamp) -> Result<Vec<(&RetentionRule, Stored, String, Option<TenantId>)>> {
        let mut transaction = self
            .pool
            .begin_with("begin read only")
            .await
            .map_err(failed(RETAIN))?;
        let catalog = Catalog::read(&mut transaction, &self.layout).await?;
        let columns = Columns::read(&mut transaction, &self.layout.schemas).await?;
        let tenants: Vec<String> =
            sqlx::query_scalar("select id from ops.tenant where state <> 'purged' order by id")
                .fetch_all(&mut *transaction)
                .await
                .map_err(failed(RETAIN))?;
        let mut steps = Vec::new();
        for rule in &self.rules {
            let root = catalog
                .named(&rule.table)
                .filter(|_| rule.table.schema() != "ops");
            let root = root.ok_or_else(|| wrong(rule, "there is no such table of the application"))?;
            let tenant_column = root.column.as_ref().map(|column| column.name.as_str());
            let past = past(rule, tenant_column, &catalog, &columns, now)?;
            for table in catalog.leaves(root.oid) {
                let stored = Stored {
                    name: table.name.clone(),
                    tenant: table.column.as_ref().map(|column| column.name.clone()),
                };
                if !hides_rows(&mut transaction, table).await? {
                    steps.push((rule, stored, past.clone(), None));
                    continue;
                }
                // Held by row security: one tenant after the other, if a tenant shows all of its rows.
                if !sees_the_whole_tenant(table) {
                    return Err(unseen(&table.name.to_string()));
                }
                for tenant in &tenants {
                    let tenant = TenantId::new(tenant.clone())?;
                    steps.push((rule, stored.clone(), past.clone(), Some(tenant)));
                }
            }
        }
        Ok(steps)
    }
}

#[derive(Clone, Debug)]
struct Stored {
    name: TableName,
    tenant: Option<String>,
}

/// What is past its time.
fn past(
    rule: &RetentionRule,
    tenant: Option<&str>,
    catalog: &Catalog,
    columns: &Columns,
    now: Timestamp,
) -> Result<String> {
    let kind_of = |table: &TableName, column: &str| {
        let found = columns.get(table, column).map(|(kind, _)| kind.to_owned());
        found.ok_or_else(|| wrong(rule, &format!("{table} has no column {column}")))
    };
    match &rule.end {
        RetentionEnd::Age { column, keep } => {
            let limit = moment(&kind_of(&rule.table, column)?, now - *keep)
                .ok_or_else(|| wrong(rule, &format!("{column} is no time")))?;
            Ok(format!("t.{} < {limit}", quoted(column)))
        }
        RetentionEnd::Leaving {
            user_column,
            users,
            left_column,
        } => {
            kind_of(&rule.table, user_column)?;
            kind_of(users, "id")?;
            let limit = moment(&kind_of(users, left_column)?, now)
                .ok_or_else(|| wrong(rule, &format!("{left_column} is no time")))?;
            let users_tenant = catalog
                .named(users)
                .and_then(|users: &Relation| users.column.as_ref());
            let same = match (tenant, users_tenant) {
                (Some(mine), Some(theirs)) => {
                    format!(" and u.{}::text = t.{}::text", quoted(&theirs.name), quoted(mine))
                }
                _ => String::new(),
            };
            Ok(format!(
                "exists (select from {} u where u.id::text = t.{}::text and u.{} <= {limit}{same})",
                relation(users),
                quoted(user_column),
                quoted(left_column)
            ))
        }
        RetentionEnd::Erased { user_column } => {
            kind_of(&rule.table, user_column)?;
            let same = tenant.map_or_else(String::new, |tenant| {
                format!(" and d.tenant = t.{}::text", quoted(tenant))
            });
            Ok(format!(
                "exists (select from ops.deletion_requests d where d.user_id = t.{}::text{same})",
                quoted(user_column)
            ))
        }
        _ => Err(wrong(rule, "this program does not know when it ends")),
    }
}

/// A time as a value of a column's type.
fn moment(kind: &str, at: Timestamp) -> Option<String> {
    let literal = format!("timestamptz {}", literal(&at.to_string()));
    match kind {
        "timestamp with time zone" => Some(literal),
        "timestamp without time zone" => Some(format!("({literal} at time zone 'UTC')")),
        "date" => Some(format!("({literal} at time zone 'UTC')::date")),
        _ => None,
    }
}

/// Whether a row is held.
fn held(rule: &RetentionRule, table: &Stored) -> String {
    let mut text = "exists (select from ops.data_hold h where h.released_at is null".to_owned();
    if let Some(tenant) = &table.tenant {
        text += &format!(" and h.tenant = t.{}::text", quoted(tenant));
    }
    text += &match (&rule.person_column, &table.tenant) {
        (Some(person), _) => format!(" and (h.person is null or h.person = t.{}::text)", quoted(person)),
        // Whose row it is cannot be told: a hold of any person of the tenant holds it.
        (None, _) => String::new(),
    };
    text + ")"
}

fn wrong(rule: &RetentionRule, reason: &str) -> Error {
    error(ErrorKind::InvalidConfig, RETAIN)
        .context("rule", &rule.name)
        .context("table", rule.table.to_string())
        .context("reason", reason)
        .context(
            "remedy",
            "mend the [[retention]] table; the audit trail in ops has a retention of its own",
        )
}

const RETAIN: &str = "apply retention rules";
