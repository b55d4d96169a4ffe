use std::collections::BTreeSet;

use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::folder::{MigrationFile, MigrationFolder};
use super::hazard::{Hazard, StatementReview, Urgency, is_gentle_reindex, review};
use super::script::{is_whole, statements};
use super::status::{StateFinding, is_applied, ledger_of, migration_status};
use super::tree::{Kind, parse};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{
    HalfDone, LedgerRow, LockMode, MigrationStep, RelationEffect, RelationKind, Schema, SchemaState,
};

/// What a run will do: the migrations that are pending, as steps.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct MigrationPlan {
    /// In their order.
    pub migrations: Vec<PlannedMigration>,
    /// Of the whole run, in hexadecimal digits: which migrations, in which order, over which table.
    pub digest: String,
    /// The table of the tool that decides what is pending, and gets a row for each; empty where there is none.
    pub scope: String,
    /// Why what is pending may not be what it seems.
    pub findings: Vec<StateFinding>,
    /// Whether it takes migrations back.
    pub back: bool,
}

/// One pending migration.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct PlannedMigration {
    /// Its version.
    pub version: String,
    /// What it is called.
    pub name: String,
    /// What is done, in this order.
    pub steps: Vec<MigrationStep>,
    /// What the locks answer says.
    pub review: Vec<StatementReview>,
    /// Tables and views that others use and that it locks so that they wait; none that a session cannot lock as a whole (a materialized
    /// view, a foreign table).
    pub touched: Vec<String>,
    /// Of its statements, and of every script that stands before it in the folder, applied or not, in hexadecimal digits: what a proof is of.
    pub digest: String,
    /// The way back.
    #[serde(skip)]
    pub down: Option<String>,
    /// Of the script there and back, and of every one before it: what a proof of the way back is of. `None` where there is none.
    #[serde(skip)]
    pub back_digest: Option<String>,
}

impl MigrationPlan {
    /// Plans what `folder` has and `state` lacks. A migration is one transaction for each statement; one for all where
    /// [it says so](super::is_whole).
    ///
    /// # Errors
    /// `Unsupported` for scripts that are no SQL; `InvalidInput` for a script that cannot be read or [run so](super::statements), with its
    /// line, or that builds an index without a name `CONCURRENTLY`; `Conflict` while a migration is dirty; `PermissionDenied` when the
    /// table that may decide cannot be read.
    pub fn new(folder: &MigrationFolder, state: &SchemaState, schema: &Schema) -> Result<Self> {
        let ledger = ledger_of(state, folder);
        if let Some(dirty) = ledger.and_then(|ledger| ledger.applied.iter().find(|found| found.dirty)) {
            return Err(Error::new(ErrorKind::Conflict, PLAN)
                .context("migration", &dirty.version)
                .context("reason", "it failed half-way and is marked as dirty")
                .context(
                    "remedy",
                    "finish or undo it by hand and correct the tool's table first",
                ));
        }
        if let (None, Some(table)) = (ledger, state.unreadable.first()) {
            return Err(Error::new(ErrorKind::PermissionDenied, PLAN)
                .context("table", table)
                .context("reason", "it may say what is applied, and cannot be read")
                .context("remedy", format!("GRANT SELECT ON {table}")));
        }
        let mut findings = migration_status(state, Some(folder)).findings;
        findings.retain(|finding| finding.kind.is_in_the_way());
        let mut migrations = Vec::new();
        let mut earlier = Sha256::new();
        for file in &folder.files {
            let before = earlier.clone();
            and_earlier(&mut earlier, file);
            if ledger.is_some_and(|ledger| is_applied(ledger, folder, file)) {
                continue;
            }
            let record = ledger.map(|ledger| {
                let checksum = file.checksum().unwrap_or_default();
                LedgerRow::new(ledger.tool, &ledger.table, &file.version, &file.name, checksum)
            });
            migrations.push(planned(file, schema, record, before)?);
        }
        let scope = ledger.map(|ledger| ledger.table.clone()).unwrap_or_default();
        let mut digest = Sha256::new();
        digest.update(Sha256::digest(scope.as_bytes()));
        for migration in &migrations {
            digest.update(migration.digest.as_bytes());
        }
        Ok(Self {
            migrations,
            digest: hex(&digest.finalize()),
            scope,
            findings,
            back: false,
        })
    }

    /// The versions, in the order in which they are run.
    pub fn versions(&self) -> Vec<String> {
        self.migrations
            .iter()
            .map(|migration| migration.version.clone())
            .collect()
    }

    /// Whether data is lost, or others wait for as long as the work takes.
    pub fn is_disruptive(&self) -> bool {
        let reviews = self.migrations.iter().flat_map(|migration| &migration.review);
        let mut findings = reviews.flat_map(|review| &review.findings);
        findings.any(|found| found.urgency == Urgency::Danger || found.hazard == Hazard::LosesData)
    }
}

const PLAN: &str = "plan migrations";

/// `earlier`: over what stands before it in the folder.
fn planned(
    file: &MigrationFile,
    schema: &Schema,
    record: Option<LedgerRow>,
    earlier: Sha256,
) -> Result<PlannedMigration> {
    let Some(up) = &file.up else {
        return Err(Error::new(ErrorKind::Unsupported, PLAN)
            .context("migration", &file.version)
            .context("reason", "it is a program, not a script")
            .context(
                "remedy",
                "print its SQL with the tool (alembic upgrade --sql, manage.py sqlmigrate) and run that",
            ));
    };
    let back_digest = back_digest(file, earlier.clone());
    let mut planned = scripted(&file.version, up, schema)?;
    planned
        .steps
        .iter_mut()
        .for_each(|step| step.record.clone_from(&record));
    let mut digest = earlier;
    digest.update(file.version.as_bytes());
    planned
        .steps
        .iter()
        .for_each(|step| digest.update(step.digest.as_bytes()));
    planned.name.clone_from(&file.name);
    planned.digest = hex(&digest.finalize());
    planned.down.clone_from(&file.down);
    planned.back_digest = back_digest;
    Ok(planned)
}

/// Of a script there and back, and of what stands before it in the folder: what a proof of its way back is of.
pub(super) fn back_digest(file: &MigrationFile, earlier: Sha256) -> Option<String> {
    let (up, down) = (file.up.as_deref()?, file.down.as_deref()?);
    let mut digest = earlier;
    for text in ["back", &file.version, up, down] {
        digest.update(Sha256::digest(text.as_bytes()));
    }
    Some(hex(&digest.finalize()))
}

/// What stands in the folder before what comes next.
pub(super) fn and_earlier(earlier: &mut Sha256, file: &MigrationFile) {
    earlier.update(Sha256::digest(file.version.as_bytes()));
    earlier.update(Sha256::digest(file.up.as_deref().unwrap_or_default().as_bytes()));
}

/// A script as steps, with what they mean for others; whose it is, its digests and its row are for the caller to say.
pub(super) fn scripted(version: &str, script: &str, schema: &Schema) -> Result<PlannedMigration> {
    let wrong = |error: Error| error.context("migration", version.to_owned());
    let whole = is_whole(script);
    let mut sent = statements(script).map_err(wrong)?;
    let review = review(script, schema, whole);
    // Some need the schema to be told.
    for statement in &mut sent {
        statement.autocommit |= review
            .iter()
            .any(|review| review.autocommit && review.line == statement.line && review.sql == statement.sql);
    }
    let mut steps: Vec<MigrationStep> = Vec::new();
    if whole {
        if let Some(refused) = sent.iter().find(|statement| statement.autocommit) {
            return Err(Error::new(ErrorKind::InvalidInput, PLAN)
                .context("migration", version)
                .context("line", refused.line.to_string())
                .context("reason", "the server refuses the statement inside a transaction")
                .context(
                    "remedy",
                    "let the script be no transaction (`-- atomic`, BEGIN), or move the statement to a file of its own",
                ));
        }
        let all: Vec<String> = sent.into_iter().map(|statement| statement.sql).collect();
        steps.push(step(version, 1, all));
    } else {
        for (at, statement) in sent.into_iter().enumerate() {
            let position = u32::try_from(at + 1).unwrap_or(u32::MAX);
            let mut step = step(version, position, vec![statement.sql.clone()]);
            step.autocommit = statement.autocommit;
            step.builds = built(&statement.sql, schema).map_err(|error| {
                error
                    .context("migration", version.to_owned())
                    .context("line", statement.line.to_string())
            })?;
            let own = review
                .iter()
                .find(|review| review.line == statement.line && review.sql == statement.sql);
            step.may_leave = may_leave(
                &statement.sql,
                schema,
                own.map_or(&[][..], |own| &own.effects[..]),
            );
            steps.push(step);
        }
    }
    if steps.is_empty() {
        steps.push(step(version, 1, Vec::new()));
    }
    let of = u32::try_from(steps.len()).unwrap_or(u32::MAX);
    steps.iter_mut().for_each(|step| step.of = of);
    Ok(PlannedMigration {
        version: version.to_owned(),
        name: String::new(),
        steps,
        touched: touched(&review, schema),
        review,
        digest: String::new(),
        down: None,
        back_digest: None,
    })
}

/// Tables that others wait for.
pub(super) fn touched(review: &[StatementReview], schema: &Schema) -> Vec<String> {
    let effects = review.iter().flat_map(|review| &review.effects);
    let waited_for =
        effects.filter(|effect| effect.lock >= LockMode::Share && is_lockable(&effect.relation, schema));
    let touched: BTreeSet<_> = waited_for.map(|effect| effect.relation.clone()).collect();
    touched.into_iter().collect()
}

pub(super) fn step(version: &str, position: u32, statements: Vec<String>) -> MigrationStep {
    let digest = hex(&Sha256::digest(statements.join("\0").as_bytes()));
    MigrationStep::new(version, position, statements, digest)
}

/// Whether a session can lock it as a whole; what is not known is taken for a table.
fn is_lockable(relation: &str, schema: &Schema) -> bool {
    let kind = schema.relations.get(relation).map(|found| found.kind);
    !matches!(kind, Some(RelationKind::MaterializedView | RelationKind::Foreign))
}

/// What a statement beside the traffic, with these effects, leaves half done where it fails.
fn may_leave(sql: &str, schema: &Schema, effects: &[RelationEffect]) -> Option<HalfDone> {
    let node = parse(sql).into_iter().next()?.node;
    if let Some(action) = node.find(Kind::DETACH_PARTITION) {
        action.find(Kind::DETACH_CONCURRENTLY)?;
        let partition = schema.resolve(&action.child(Kind::TABLE_NAME_REF)?.name());
        return Some(HalfDone::Detach { partition });
    }
    is_gentle_reindex(&node).then(|| HalfDone::Reindex {
        tables: effects.iter().map(|effect| effect.relation.clone()).collect(),
    })
}

/// The index that a statement builds beside the traffic.
fn built(sql: &str, schema: &Schema) -> Result<Option<String>> {
    let Some(parsed) = parse(sql).into_iter().next() else {
        return Ok(None);
    };
    let node = parsed.node;
    if node.kind() != Kind::CREATE_INDEX || !node.has(Kind::CONCURRENTLY_KW) {
        return Ok(None);
    }
    let table = node
        .find(Kind::TABLE_NAME_REF)
        .map(|node| schema.resolve(&node.name()));
    let (Some(name), Some(table)) = (node.child(Kind::INDEX), table) else {
        return Err(Error::new(ErrorKind::InvalidInput, PLAN)
            .context("statement", "an index without a name is built concurrently")
            .context(
                "remedy",
                "give it a name: a failure leaves it behind under that name",
            ));
    };
    let place = table.split('.').next().unwrap_or_default().to_owned();
    Ok(Some(format!("{place}.{}", name.name().pop().unwrap_or_default())))
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
