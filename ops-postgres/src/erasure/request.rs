use std::sync::Arc;

use ops_core::error::{ErrorKind, Result};
use ops_core::model::{
    Actor, DataRule, Disposal, ErasureLine, ErasureReport, LegalHold, TableName, TenantId, TenantLayout,
    Timestamp,
};
use ops_core::ports::{Clock, ForgetPerson};
use sqlx::PgPool;
use uuid::Uuid;

use super::map::{Columns, check, condition, hides, in_order, named, unmapped};
use crate::PostgresStore;
use crate::error::{error, failed};
use crate::identifier::{literal, quoted};
use crate::tenancy::{
    Catalog, DataHolds, Effect, OnProgress, Step, Sweep, children_first, hides_rows, is_held, of_tenant,
    sees_the_whole_tenant, set_tenant, unseen,
};

/// Erases a person's data on request, by a data map.
///
/// The request is recorded before the first row goes, and as completed only after a count has shown that nothing is left that was to
/// go. Whatever is done stays done: after an interruption, asking again goes on with the same request. Rows that are to stay with
/// another value get the same random pseudonym everywhere; it is forgotten when the request is completed.
#[derive(Clone, Debug)]
pub struct Erasure {
    pool: PgPool,
    layout: TenantLayout,
    map: Vec<DataRule>,
    holds: DataHolds,
    traces: Vec<Arc<dyn ForgetPerson>>,
    rows: u32,
}

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErasureOutcome {
    /// Nothing is left that was to go.
    Done(ErasureReport),
    /// Rows are left that others held, or traces that could not be reached: ask again.
    Left(ErasureReport),
    /// The person's data is held. The request is recorded and waits; nothing was changed.
    Held(Vec<LegalHold>),
}

impl Erasure {
    /// In the database of `store`.
    pub fn new(store: &PostgresStore, layout: TenantLayout, map: Vec<DataRule>) -> Self {
        Self {
            pool: store.pool().clone(),
            layout,
            map,
            holds: DataHolds::new(store),
            traces: Vec::new(),
            rows: 1_000,
        }
    }

    /// Also lets traces outside the tables go, such as the salts of the audit trail.
    #[must_use]
    pub fn with_traces(mut self, traces: Arc<dyn ForgetPerson>) -> Self {
        self.traces.push(traces);
        self
    }

    /// With so many rows in a transaction; at least one.
    #[must_use]
    pub fn with_batch(mut self, rows: u32) -> Self {
        self.rows = rows.max(1);
        self
    }

    /// What goes where, with the number of rows. Changes nothing and records nothing.
    ///
    /// # Errors
    /// `InvalidConfig` for a data map that does not fit the tables or contradicts itself, with every fault; `PermissionDenied` when row security could hide
    /// rows from us; `Unavailable`, `Timeout`.
    pub async fn plan(&self, tenant: &TenantId, person: &str, now: Timestamp) -> Result<ErasureReport> {
        let mut report = ErasureReport::new(tenant.clone(), person, now);
        let steps = self.steps(tenant, person, "", &mut report).await?;
        for (table, rule, condition) in steps {
            let left = self
                .sweep(&table, rule, condition, (tenant, person), "")
                .count()
                .await?;
            report
                .lines
                .push(ErasureLine::new(table, rule.disposal.clone(), left));
        }
        Ok(report)
    }

    /// Records that `by` was asked to erase the person, and does nothing else; [`run`](Self::run) takes this request up. Its id.
    ///
    /// # Errors
    /// As [`plan`](Self::plan).
    ///
    /// # Cancellation
    /// The request may be recorded; asking again finds it.
    pub async fn request(
        &self,
        tenant: &TenantId,
        person: &str,
        by: &Actor,
        clock: &dyn Clock,
    ) -> Result<Uuid> {
        let plan = self.plan(tenant, person, clock.now()).await?;
        Ok(self.open(&plan, by).await?.id)
    }

    /// Erases, on behalf of `by`.
    ///
    /// # Errors
    /// As [`plan`](Self::plan); `Conflict` while the database is in read-only mode; `Unexpected` for a row that something outside the map
    /// points at. What traces outside the tables answer ([`ForgetPerson`]). The request stays open.
    ///
    /// # Cancellation
    /// What was committed stays; the request stays open.
    pub async fn run(
        &self,
        tenant: &TenantId,
        person: &str,
        by: &Actor,
        clock: &dyn Clock,
        progress: OnProgress<'_>,
    ) -> Result<ErasureOutcome> {
        let mut report = ErasureReport::new(tenant.clone(), person, clock.now());
        // A map that does not fit is refused before anything is recorded; the counts are for the report, whoever ends the work.
        let plan = self.plan(tenant, person, report.requested_at).await?;
        let opened = self.open(&plan, by).await?;
        let (id, pseudonym) = (opened.id, opened.pseudonym.clone());
        (report.request, report.requested_at) = (Some(id), opened.requested_at);
        let mut holds = self.holds.of(tenant).await?;
        holds.retain(|hold| hold.person.as_deref().is_none_or(|held| held == person));
        if !holds.is_empty() {
            return Ok(ErasureOutcome::Held(holds));
        }
        let steps = self.steps(tenant, person, &pseudonym, &mut report).await?;
        for (table, rule, condition) in &steps {
            let sweep = self.sweep(table, rule, condition.clone(), (tenant, person), &pseudonym);
            let mut line = ErasureLine::new(table.clone(), rule.disposal.clone(), 0);
            // Rows that another rule could not change yet would be found by nobody any more.
            let too_early = report
                .lines
                .iter()
                .zip(&steps)
                .any(|(done, (of, other, _))| of == table && hides(rule, other) && !done.is_done());
            match rule.disposal {
                // Another rule may have made them unfindable, in an earlier run of this request too.
                Disposal::Keep { .. } => line.left = sweep.count().await?.max(opened.planned(&line)),
                _ if too_early => line.left = sweep.count().await?,
                _ => {
                    let swept = sweep.run(progress).await?;
                    // What an earlier run of this request has done counts, too.
                    (line.rows, line.left) = (swept.rows.max(opened.planned(&line)), swept.left);
                }
            }
            report.lines.push(line);
        }
        for traces in &self.traces {
            let gone = traces.forget(tenant, person).await?;
            report.traces.push((traces.name().to_owned(), gone));
        }
        // Counted again: a program that still runs may have written meanwhile.
        for (line, (table, rule, condition)) in report.lines.iter_mut().zip(&steps) {
            if matches!(rule.disposal, Disposal::Keep { .. }) {
                continue;
            }
            line.left = self
                .sweep(table, rule, condition.clone(), (tenant, person), &pseudonym)
                .count()
                .await?;
        }
        if !report.is_done() {
            return Ok(ErasureOutcome::Left(report));
        }
        report.completed_at = Some(clock.now());
        self.complete(id, &report).await?;
        Ok(ErasureOutcome::Done(report))
    }

    /// Takes up the open request of the person, or makes one.
    async fn open(&self, plan: &ErasureReport, by: &Actor) -> Result<Opened> {
        let (tenant, person) = (plan.tenant.as_str(), plan.person.as_str());
        let text =
            serde_json::to_string(plan).map_err(|cause| error(ErrorKind::Unexpected, ERASE).source(cause))?;
        sqlx::query(
            "insert into ops.deletion_requests (id, tenant, user_id, requested_at, requested_by, pseudonym, report)
             values ($1, $2, $3, $4, $5, $6, $7) on conflict (tenant, user_id) where completed_at is null do nothing",
        )
        .bind(Uuid::new_v4())
        .bind(tenant)
        .bind(person)
        .bind(plan.requested_at.as_unix_micros())
        .bind(by.id())
        .bind(pseudonym())
        .bind(text)
        .execute(&self.pool)
        .await
        .map_err(failed(ERASE))?;
        let row: Option<(Uuid, i64, String, Option<String>)> = sqlx::query_as(
            "select id, requested_at, pseudonym, report from ops.deletion_requests
             where tenant = $1 and user_id = $2 and completed_at is null and pseudonym is not null",
        )
        .bind(tenant)
        .bind(person)
        .fetch_optional(&self.pool)
        .await
        .map_err(failed(ERASE))?;
        let Some((id, requested_at, pseudonym, text)) = row else {
            return Err(error(ErrorKind::Conflict, ERASE)
                .context("reason", "another process has just completed this request"));
        };
        let plan: Option<ErasureReport> = text.and_then(|text| serde_json::from_str(&text).ok());
        Ok(Opened {
            id,
            requested_at: Timestamp::from_unix_micros(requested_at),
            pseudonym,
            lines: plan.map(|plan| plan.lines).unwrap_or_default(),
        })
    }

    async fn complete(&self, id: Uuid, report: &ErasureReport) -> Result<()> {
        let text = serde_json::to_string(report)
            .map_err(|cause| error(ErrorKind::Unexpected, ERASE).source(cause))?;
        sqlx::query(
            "update ops.deletion_requests set completed_at = $2, pseudonym = null, report = $3
             where id = $1 and completed_at is null",
        )
        .bind(id)
        .bind(report.completed_at.map(Timestamp::as_unix_micros))
        .bind(text)
        .execute(&self.pool)
        .await
        .map_err(failed(ERASE))?;
        Ok(())
    }

    /// What is done where: changes before deletions, of the changes those last that hide rows from others, and of the deletions the tables
    /// first that point at others. A table without a partition stands for itself.
    async fn steps<'r>(
        &'r self,
        tenant: &TenantId,
        person: &str,
        pseudonym: &str,
        report: &mut ErasureReport,
    ) -> Result<Vec<(TableName, &'r DataRule, String)>> {
        let mut transaction = self
            .pool
            .begin_with("begin read only")
            .await
            .map_err(failed(ERASE))?;
        set_tenant(&mut transaction, tenant, ERASE).await?;
        let catalog = Catalog::read(&mut transaction, &self.layout).await?;
        let columns = Columns::read(&mut transaction, &catalog).await?;
        check(&self.map, &self.layout, &catalog, &columns)?;
        report.unmapped = unmapped(&self.map, &catalog, &columns);
        let (deletions, changes): (Vec<&DataRule>, Vec<&DataRule>) = self
            .map
            .iter()
            .partition(|rule| rule.disposal == Disposal::Delete);
        let named = named(&self.map, &catalog);
        // A rule is one of what inherits from its table, too.
        let rooted = |rules: Vec<&'r DataRule>| -> Vec<(i64, &'r DataRule)> {
            let mut roots = Vec::new();
            for rule in rules {
                if let Some(table) = catalog.named(&rule.table) {
                    roots.extend(catalog.family(table.oid, &named).map(|one| (one.oid, rule)));
                }
            }
            roots
        };
        // Checked above: there is such an order.
        let mut steps = rooted(in_order(&changes).unwrap_or(changes));
        let deletions = rooted(deletions);
        let roots: Vec<i64> = deletions.iter().map(|(root, _)| *root).collect();
        let (order, circle) = children_first(&catalog, &roots);
        for root in order.into_iter().chain(circle) {
            steps.extend(deletions.iter().filter(|(of, _)| *of == root).copied());
        }
        let mut whole = Vec::new();
        for (root, rule) in steps {
            for table in catalog.where_rows_are(root) {
                if hides_rows(&mut transaction, table, ERASE).await? && !sees_the_whole_tenant(table) {
                    return Err(unseen(&table.name.to_string(), ERASE));
                }
                let condition = condition(rule, &of_tenant(table, tenant), person, pseudonym);
                whole.push((table.name.clone(), rule, condition));
            }
        }
        Ok(whole)
    }

    fn sweep<'s>(
        &'s self,
        table: &'s TableName,
        rule: &DataRule,
        condition: String,
        (tenant, person): (&'s TenantId, &str),
        pseudonym: &str,
    ) -> Sweep<'s> {
        let set = |columns: &[String], value: &str| {
            let columns: Vec<_> = columns
                .iter()
                .map(|column| format!("{} = {value}", quoted(column)))
                .collect();
            Effect::Set(columns.join(", "))
        };
        Sweep {
            pool: &self.pool,
            tenant: Some(tenant),
            table,
            effect: match &rule.disposal {
                Disposal::Null { columns } => set(columns, "null"),
                Disposal::Pseudonym { columns } => set(columns, &literal(pseudonym)),
                _ => Effect::Delete,
            },
            condition,
            unless: Some(is_held(tenant, Some(person))),
            by: None,
            step: Step::Rows(self.rows),
            fence: None,
            operation: ERASE,
        }
    }
}

/// A request that is open.
struct Opened {
    id: Uuid,
    requested_at: Timestamp,
    pseudonym: String,
    /// What there was to do when it was made.
    lines: Vec<ErasureLine>,
}

impl Opened {
    /// How many rows there were when the request was made.
    fn planned(&self, line: &ErasureLine) -> u64 {
        let same = |planned: &&ErasureLine| planned.table == line.table && planned.disposal == line.disposal;
        self.lines.iter().find(same).map_or(0, |planned| planned.left)
    }
}

fn pseudonym() -> String {
    let random = Uuid::new_v4().simple().to_string();
    format!("erased-{}", &random[..PSEUDONYM - "erased-".len()])
}

/// Its length in characters.
pub(super) const PSEUDONYM: usize = 27;
pub(super) const ERASE: &str = "erase person";
