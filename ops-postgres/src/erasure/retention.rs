use std::collections::BTreeMap;

use ops_core::error::{Error, ErrorKind, Result};
use ops_core::model::{RetentionEnd, RetentionRule, TableName, TenantId, TenantLayout, Timestamp};
use serde::Serialize;
use sqlx::PgPool;

use super::map::{Columns, out_of_reach, tells_tenants_apart};
use crate::error::{error, failed};
use crate::identifier::{literal, quoted};
use crate::tenancy::{
    BLOCKS, Catalog, Effect, OnProgress, Relation, Step, Sweep, Swept, hides_rows, of_tenant, relation,
    sees_the_whole_tenant, unseen,
};
use crate::{PostgresStore, WriteFence};

/// Deletes what is past its retention period, by rules that are data. A few blocks at a time; whatever is done stays done.
///
/// Rows of held tenants and persons are spared ([`DataHolds`](crate::DataHolds)). Where row security holds us, it looks as one tenant of the
/// directory after the other: rows of a tenant that is not in it are not seen.
#[derive(Clone, Debug)]
pub struct Retention {
    pool: PgPool,
    layout: TenantLayout,
    rules: Vec<RetentionRule>,
    blocks: u32,
    fence: Option<WriteFence>,
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
    /// Of the rows that were deleted, how many were whose; none where the table does not tell.
    pub tenants: BTreeMap<String, u64>,
}

impl Retention {
    /// In the database of `store`.
    pub fn new(store: &PostgresStore, layout: TenantLayout, rules: Vec<RetentionRule>) -> Self {
        Self {
            pool: store.pool().clone(),
            layout,
            rules,
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
    /// `InvalidConfig` for a rule that does not fit the tables; `PermissionDenied` when row security hides rows from us, the table of the
    /// users included, or shows those of one tenant at a time and the directory knows none; `Conflict` while the database is in read-only
    /// mode; `Unexpected` for a row that another table points at; `Unavailable`, `Timeout`.
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
                unless: None,
                by: table.tenant.as_deref(),
                pool: &self.pool,
                tenant: tenant.as_ref(),
                table: &table.name,
                effect: Effect::Delete,
                condition,
                step: Step::Blocks(self.blocks),
                fence: self.fence.as_ref(),
                operation: RETAIN,
            };
            let hold = held(rule, &table);
            let free = sweep(format!("({past}) and not {hold}"));
            let held = sweep(format!("({past}) and {hold}")).count().await?;
            let swept = match progress {
                None => Swept {
                    left: free.count().await?,
                    ..Swept::default()
                },
                Some(progress) => free.run(progress).await?,
            };
            match found
                .iter_mut()
                .find(|seen| seen.rule == rule.name && seen.table == table.name)
            {
                Some(seen) => {
                    seen.rows += swept.rows;
                    seen.left += swept.left;
                    seen.held += held;
                    for (tenant, rows) in swept.by {
                        *seen.tenants.entry(tenant).or_default() += rows;
                    }
                }
                None => found.push(Expired {
                    rule: rule.name.clone(),
                    table: table.name,
                    rows: swept.rows,
                    left: swept.left,
                    held,
                    tenants: swept.by,
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
        let columns = Columns::read(&mut transaction, &catalog).await?;
        let known: Vec<String> =
            sqlx::query_scalar("select id from ops.tenant where state <> 'purged' order by id")
                .fetch_all(&mut *transaction)
                .await
                .map_err(failed(RETAIN))?;
        let tenants = known.into_iter().map(TenantId::new).collect::<Result<Vec<_>>>()?;
        let named: Vec<i64> = self
            .rules
            .iter()
            .filter_map(|rule| Some(catalog.named(&rule.table)?.oid))
            .collect();
        let mut steps = Vec::new();
        for rule in &self.rules {
            let root = catalog
                .named(&rule.table)
                .filter(|_| rule.table.schema() != "ops");
            let root = root.ok_or_else(|| wrong(rule, "there is no such table of the application"))?;
            let past = past(rule, root, &self.layout, &catalog, &columns, now)?;
            let users = match &rule.end {
                RetentionEnd::Leaving { users, .. } => catalog.named(users),
                _ => None,
            };
            let faults = out_of_reach(&catalog, root.oid, &named);
            if !faults.is_empty() {
                return Err(wrong(rule, &faults.join("; ")));
            }
            let family = catalog.family(root.oid, &named);
            for table in family.flat_map(|one| catalog.where_rows_are(one.oid)) {
                let stored = Stored {
                    name: table.name.clone(),
                    tenant: table.column.as_ref().map(|column| column.name.clone()),
                };
                let mut hidden = false;
                for read in [Some(table), users].into_iter().flatten() {
                    if !hides_rows(&mut transaction, read, RETAIN).await? {
                        continue;
                    }
                    // Held by row security: one tenant after the other, if a tenant shows all of its rows, and we know which there are.
                    if !sees_the_whole_tenant(read) || table.column.is_none() || tenants.is_empty() {
                        return Err(unseen(&read.name.to_string(), RETAIN));
                    }
                    hidden = true;
                }
                if !hidden {
                    steps.push((rule, stored, past.clone(), None));
                    continue;
                }
                for tenant in &tenants {
                    let past = format!("{} and {past}", of_tenant(table, tenant));
                    steps.push((rule, stored.clone(), past, Some(tenant.clone())));
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
    table: &Relation,
    layout: &TenantLayout,
    catalog: &Catalog,
    columns: &Columns,
    now: Timestamp,
) -> Result<String> {
    let tenant = table.column.as_ref().map(|column| column.name.as_str());
    // By age it does not matter whose a row is. By person it does: two tenants may have the same id.
    let apart = |table: &Relation| match tells_tenants_apart(table, layout, catalog) {
        true => Ok(()),
        false => Err(wrong(
            rule,
            &format!(
                "{} has no column with the tenant and is not listed as global",
                table.name
            ),
        )),
    };
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
            let people = catalog
                .named(users)
                .ok_or_else(|| wrong(rule, &format!("there is no table {users} of the application")))?;
            apart(table)?;
            apart(people)?;
            let limit = moment(&kind_of(users, left_column)?, now)
                .ok_or_else(|| wrong(rule, &format!("{left_column} is no time")))?;
            let same = match (tenant, &people.column) {
                (Some(mine), Some(theirs)) => {
                    format!(" and u.{}::text = t.{}::text", quoted(&theirs.name), quoted(mine))
                }
                _ => String::new(),
            };
            let (users, user) = (relation(users), quoted(user_column));
            let left = format!("u.{} <= {limit}", quoted(left_column));
            let whose = format!("select from {users} u where u.id::text = t.{user}::text{same}");
            let mut past = format!("exists ({whose} and {left})");
            if tenant.is_none() && people.column.is_some() {
                // Of no tenant: it goes when the last one of that id has left.
                past += &format!(" and not exists ({whose} and {left} is not true)");
            }
            Ok(past)
        }
        RetentionEnd::Erased { user_column } => {
            kind_of(&rule.table, user_column)?;
            apart(table)?;
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
    // Where it cannot be told whose row it is, a hold of any person of the tenant holds it.
    if let Some(person) = &rule.person_column {
        text += &format!(" and (h.person is null or h.person = t.{}::text)", quoted(person));
    }
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
