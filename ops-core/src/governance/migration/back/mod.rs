//! Taking migrations back: which, what is refused, and what of a part.

mod part;
mod refuse;

use serde::Serialize;
use sha2::{Digest as _, Sha256};

use self::part::{Reach, reach};
use self::refuse::not_ours;
use super::folder::{MigrationFile, MigrationFolder, same_version};
use super::loss::{Loss, losses};
use super::plan::{MigrationPlan, PlannedMigration, and_earlier, back_digest, hex, scripted};
use super::status::{StateFinding, StateKind, is_applied, ledger_of, migration_status, rivals};
use crate::error::{Error, ErrorKind, Result};
use crate::messages::migration::several_tables;
use crate::messages::migration_back as text;
use crate::model::{
    AppliedMigration, BackStep, LedgerRow, MigrationLedger, MigrationTool, Schema, SchemaState, StepMark,
    Text, UnfinishedRun,
};

/// How far to go back.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "one, some, or what has begun")]
pub enum BackTo {
    /// What a way back that did not end is about; else the newest migration that was reached.
    Newest,
    /// That version, which must be the newest.
    Only(String),
    /// Everything that is newer than that version, the newest first.
    To(String),
}

/// What going back will do, or why it is refused.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct BackPlan {
    /// The way back of each migration, the newest first; none where it is refused, or where there is nothing to go back from.
    pub plan: MigrationPlan,
    /// Why it is refused.
    pub refusals: Vec<BackRefusal>,
    /// What is lost for good.
    pub losses: Vec<Loss>,
    /// Statements that are not run, since the step that makes what they take away was never run.
    pub left_out: Vec<LeftOut>,
    /// Of the migrations, those that a run left half-way.
    pub half: Vec<String>,
}

/// Why a migration is not taken back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct BackRefusal {
    /// Its version; empty where it is about all of them.
    pub migration: String,
    /// In words.
    pub what: Text,
    /// What to do.
    pub remedy: Text,
}

/// A statement of a way back that has nothing to take away.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct LeftOut {
    /// The version.
    pub migration: String,
    /// The statement.
    pub statement: String,
}

/// The table of the tool that says which migrations of `folder` are applied; empty where there is none.
pub fn migration_scope(state: &SchemaState, folder: &MigrationFolder) -> String {
    ledger_of(state, folder).map_or_else(String::new, |ledger| ledger.table.clone())
}

/// Migrations of `folder` that are half-way, by the `marks` over their [scope](migration_scope): a run of them stopped, or going back has not ended. Pure.
pub fn half_way(state: &SchemaState, folder: &MigrationFolder, marks: &[StepMark]) -> Vec<StateFinding> {
    let Some(ledger) = ledger_of(state, folder) else {
        return Vec::new();
    };
    let schema = &Schema::default();
    let ground = Ground {
        folder,
        ledger,
        schema,
        marks,
    };
    let mut found = Vec::new();
    for file in &folder.files {
        let back = ground.marks_of(file, true);
        let going_back = !back.is_empty() && !back.iter().any(|mark| mark.recorded);
        let (what, remedy) = match going_back {
            true => text::other_way_back(&file.version),
            false if ground.is_reached(file) && !ground.is_applied(file) => {
                text::half_elsewhere(&file.version)
            }
            false => continue,
        };
        found.push(StateFinding {
            kind: StateKind::HalfDone,
            subject: file.version.clone(),
            what,
            remedy,
        });
    }
    found
}

/// What is known of the migrations of one folder in one database.
struct Ground<'a> {
    folder: &'a MigrationFolder,
    ledger: &'a MigrationLedger,
    schema: &'a Schema,
    marks: &'a [StepMark],
}

impl BackPlan {
    /// Plans the way back. `marks` are those over the [scope](migration_scope), `owed` what a run over it owes. Pure.
    ///
    /// Of a migration that a run left half-way only that part of the way back is planned which undoes what was done; where it cannot be told
    /// which part that is, it is refused.
    ///
    /// # Errors
    /// `InvalidInput` for a version that nobody knows, and for a way back that cannot be read or [run](super::statements);
    /// `PermissionDenied` when the table that may decide cannot be read.
    pub fn new(
        folder: &MigrationFolder,
        state: &SchemaState,
        schema: &Schema,
        marks: &[StepMark],
        owed: Option<&UnfinishedRun>,
        to: &BackTo,
    ) -> Result<Self> {
        let mut back = Self {
            plan: MigrationPlan {
                migrations: Vec::new(),
                digest: String::new(),
                scope: migration_scope(state, folder),
                findings: migration_status(state, Some(folder)).findings,
                back: true,
            },
            refusals: Vec::new(),
            losses: Vec::new(),
            left_out: Vec::new(),
            half: Vec::new(),
        };
        back.plan.findings.retain(|finding| finding.kind.is_in_the_way());
        let Some(ledger) = ledger_of(state, folder) else {
            if let Some(table) = state.unreadable.first() {
                return Err(Error::new(ErrorKind::PermissionDenied, PLAN)
                    .context("table", table)
                    .context("reason", "it may say what is applied, and cannot be read")
                    .context("remedy", format!("GRANT SELECT ON {table}")));
            }
            back.refuse("", text::no_table());
            return Ok(back);
        };
        if let Some(tables) = rivals(state, folder) {
            back.refuse("", several_tables(&tables));
            return Ok(back);
        }
        if let Some(both) = not_ours(folder, ledger) {
            back.refuse("", both);
            return Ok(back);
        }
        let ground = Ground {
            folder,
            ledger,
            schema,
            marks,
        };
        let selected = back.select(&ground, owed, to)?;
        if !selected.is_empty() {
            back.look(&ground, &selected, owed);
        }
        for file in &selected {
            back.examine(&ground, file);
        }
        for file in selected {
            if back.refusals.is_empty() {
                back.add(&ground, file)?;
            }
        }
        if !back.refusals.is_empty() {
            back.plan.migrations.clear();
            back.losses.clear();
            back.left_out.clear();
        }
        let mut digest = Sha256::new();
        digest.update(Sha256::digest(back.plan.scope.as_bytes()));
        digest.update(b"back");
        for migration in &back.plan.migrations {
            digest.update(migration.digest.as_bytes());
        }
        back.plan.digest = hex(&digest.finalize());
        Ok(back)
    }

    /// The statements that are run for `migration`, one after the other.
    pub fn script(migration: &PlannedMigration) -> String {
        let statements = migration.steps.iter().flat_map(|step| &step.statements);
        statements.map(|sql| format!("{sql};\n")).collect()
    }

    fn refuse(&mut self, migration: &str, (what, remedy): (Text, Text)) {
        self.refusals.push(BackRefusal {
            migration: migration.to_owned(),
            what,
            remedy,
        });
    }

    fn add(&mut self, ground: &Ground<'_>, file: &MigrationFile) -> Result<()> {
        let mut earlier = Sha256::new();
        let before = ground
            .folder
            .files
            .iter()
            .take_while(|other| other.version != file.version);
        before.clone().for_each(|other| and_earlier(&mut earlier, other));
        let down = file.down.as_deref().unwrap_or_default();
        let mut planned = scripted(&file.version, down, ground.schema)
            .map_err(|error| error.context("script", ".down.sql"))?;
        planned.name.clone_from(&file.name);
        planned.digest = back_digest(file, earlier).unwrap_or_default();
        let mut first = BackStep::default();
        if !ground.is_applied(file) {
            let marks = ground.marks_of(file, false);
            let up = scripted(
                &file.version,
                file.up.as_deref().unwrap_or_default(),
                ground.schema,
            )?;
            if let Some(both) = self.take_part(ground, &mut planned, &up.steps, &marks) {
                self.refuse(&file.version, both);
                return Ok(());
            }
            let begun = up
                .steps
                .iter()
                .filter(|step| reach(&marks, step.position) == Reach::Begun);
            first.clears = begun.filter_map(|step| step.builds.clone()).collect();
            // The proof is of all of it.
            let mut digest = Sha256::new();
            digest.update(planned.digest.as_bytes());
            for mark in &marks {
                digest.update(format!("{}:{}:{}", mark.position, mark.digest, mark.done).as_bytes());
            }
            planned.digest = hex(&digest.finalize());
            first.half = Some(marks);
            self.half.push(file.version.clone());
        }
        let applied = ground.applied(file).map_or(&file.version, |found| &found.version);
        let mut row = LedgerRow::new(ground.ledger.tool, &ground.ledger.table, applied, &file.name, "");
        if ground.ledger.tool == MigrationTool::GolangMigrate {
            row.version.clone_from(&file.version);
            row.before = before.last().map(|file| file.version.clone());
        }
        for step in &mut planned.steps {
            let may_miss = step.back.take().map(|back| back.may_miss).unwrap_or_default();
            let mut back = BackStep {
                half: first.half.clone(),
                may_miss,
                clears: Vec::new(),
            };
            if step.position == 1 {
                back.clears.clone_from(&first.clears);
            }
            step.back = Some(back);
            step.record = Some(row.clone());
        }
        self.losses
            .extend(losses(&file.version, &Self::script(&planned), ground.schema));
        self.plan.migrations.push(planned);
        Ok(())
    }
}

const PLAN: &str = "plan the way back of migrations";

impl Ground<'_> {
    fn is_applied(&self, file: &MigrationFile) -> bool {
        is_applied(self.ledger, self.folder, file)
    }

    /// Applied, or half-way there; not what its tool has taken back since: the marks of a run that ended stay until the next one begins.
    fn is_reached(&self, file: &MigrationFile) -> bool {
        let marks = self.marks_of(file, false);
        self.is_applied(file) || (!marks.is_empty() && !marks.iter().any(|mark| mark.recorded))
    }

    fn applied(&self, file: &MigrationFile) -> Option<&AppliedMigration> {
        let mut applied = self.ledger.applied.iter();
        applied.find(|found| same_version(&found.version, &file.version))
    }

    fn marks_of(&self, file: &MigrationFile, back: bool) -> Vec<StepMark> {
        let marks = self.marks.iter();
        marks
            .filter(|mark| mark.migration == file.version && mark.back == back)
            .cloned()
            .collect()
    }
}
