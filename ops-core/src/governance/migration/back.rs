use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::folder::{MigrationFile, MigrationFolder, number, same_version};
use super::loss::{Loss, losses};
use super::plan::{MigrationPlan, PlannedMigration, and_earlier, back_digest, hex, scripted, step, touched};
use super::status::{is_applied, ledger_of, migration_status};
use super::undo::{made, unmade};
use crate::error::{Error, ErrorKind, Result};
use crate::messages::migration_back as text;
use crate::model::{
    BackStep, LedgerRow, MigrationLedger, MigrationStep, MigrationTool, Schema, SchemaState, StepMark, Text,
    UnfinishedRun,
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

    /// Which migrations, the newest first.
    fn select<'a>(
        &mut self,
        ground: &Ground<'a>,
        owed: Option<&UnfinishedRun>,
        to: &BackTo,
    ) -> Result<Vec<&'a MigrationFile>> {
        let mut reached: Vec<&MigrationFile> = ground
            .folder
            .files
            .iter()
            .filter(|file| ground.is_reached(file))
            .collect();
        reached.reverse();
        let find = |version: &str| {
            ground.folder.find(version).ok_or_else(|| {
                Error::new(ErrorKind::InvalidInput, PLAN)
                    .context("version", version.to_owned())
                    .context("reason", "the folder has no such migration")
                    .context("remedy", "name one of it: opsctl migrations status --dir DIR")
            })
        };
        let owed = owed.filter(|owed| owed.back);
        let is_owed = |file: &&MigrationFile| {
            let mut versions = owed.iter().flat_map(|owed| &owed.versions);
            versions.any(|version| same_version(version, &file.version))
        };
        let remaining: Vec<_> = reached.iter().copied().filter(is_owed).collect();
        let selected: Vec<_> = match to {
            BackTo::Newest if owed.is_some() => remaining.clone(),
            BackTo::Newest => reached.into_iter().take(1).collect(),
            BackTo::Only(version) => {
                let file = find(version)?;
                let newer: Vec<_> = reached
                    .iter()
                    .take_while(|other| other.version != file.version)
                    .map(|other| other.version.clone())
                    .collect();
                if ground.is_reached(file) && !newer.is_empty() {
                    self.refuse(
                        &file.version,
                        text::in_the_middle(&file.version, &newer.join(", ")),
                    );
                }
                reached
                    .into_iter()
                    .filter(|other| other.version == file.version)
                    .collect()
            }
            BackTo::To(version) => {
                let file = find(version)?;
                if !is_applied(ground.ledger, ground.folder, file) {
                    self.refuse(&file.version, text::not_applied(&file.version));
                }
                reached
                    .into_iter()
                    .take_while(|other| other.version != file.version)
                    .collect()
            }
        };
        if let Some(owed) = owed
            && selected != remaining
        {
            self.refuse("", text::other_way_back(&owed.versions.join(", ")));
        }
        Ok(selected)
    }

    /// What stands in the way of all of them.
    fn look(&mut self, ground: &Ground<'_>, selected: &[&MigrationFile], owed: Option<&UnfinishedRun>) {
        let is_selected = |version: &str| selected.iter().any(|file| same_version(&file.version, version));
        for dirty in ground.ledger.applied.iter().filter(|found| found.dirty) {
            let both = crate::messages::migration::dirty(&ground.ledger.table, &dirty.version);
            self.refuse(&dirty.version, both);
        }
        let lowest = selected.iter().filter_map(|file| number(&file.version)).min();
        for applied in &ground.ledger.applied {
            let is_newer = number(&applied.version).is_none_or(|version| Some(version) > lowest);
            if is_newer && ground.folder.find(&applied.version).is_none() {
                self.refuse(&applied.version, text::unknown_newer(&applied.version));
            }
        }
        let files = ground.folder.files.iter();
        let half = files.filter(|file| !ground.is_applied(file) && ground.is_reached(file));
        let mut any_half = false;
        for file in half {
            any_half = true;
            if !is_selected(&file.version) {
                self.refuse(&file.version, text::half_elsewhere(&file.version));
            }
        }
        if let Some(owed) = owed.filter(|owed| !owed.back && !any_half) {
            let is_pending = |version: &String| {
                let file = ground.folder.find(version);
                file.is_some_and(|file| !ground.is_applied(file))
            };
            // All of it is applied: what is owed is the restart, or the watch.
            if !owed.versions.iter().any(is_pending) {
                let versions = match owed.versions.is_empty() {
                    true => selected.iter().take(1).map(|file| file.version.clone()).collect(),
                    false => owed.versions.clone(),
                };
                self.refuse("", text::run_owed(&versions.join(", ")));
            }
        }
    }

    /// What stands in the way of one.
    fn examine(&mut self, ground: &Ground<'_>, file: &MigrationFile) {
        let version = &file.version;
        let Some(up) = &file.up else {
            self.refuse(version, text::program(version));
            return;
        };
        if file.down.as_ref().is_none_or(|down| down.trim().is_empty()) {
            self.refuse(version, text::no_way_back(version));
        }
        let checksum = ground.applied(file).and_then(|found| found.checksum.as_ref());
        let differs = checksum.is_some_and(|checksum| {
            file.checksum().as_ref() != Some(checksum) && !file.differs_in_line_ends_only(checksum)
        });
        // Where this program ran it, its own marks say of which text.
        let marks = ground.marks_of(file, false);
        let steps = scripted(version, up, ground.schema).map(|planned| planned.steps);
        let unlike = |mark: &StepMark| {
            let mut steps = steps.iter().flatten();
            !steps.any(|step| step.position == mark.position && step.digest == mark.digest)
        };
        if differs || marks.iter().any(unlike) {
            self.refuse(version, crate::messages::migration::changed(version));
        }
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

    /// Keeps of a way back what undoes steps that were run; why it cannot be told, if it cannot.
    fn take_part(
        &mut self,
        ground: &Ground<'_>,
        planned: &mut PlannedMigration,
        up: &[MigrationStep],
        marks: &[StepMark],
    ) -> Option<(Text, Text)> {
        let version = planned.version.clone();
        let half_done = up
            .iter()
            .find(|step| step.may_leave.is_some() && reach(marks, step.position) == Reach::Begun);
        if let Some(step) = half_done {
            return Some(text::half_done_step(&version, step.position));
        }
        let makers: Vec<_> = up
            .iter()
            .map(|step| {
                let made = step.statements.iter().flat_map(|sql| made(sql, ground.schema));
                (reach(marks, step.position), made.collect::<Vec<_>>())
            })
            .collect();
        let mut kept: Vec<MigrationStep> = Vec::new();
        for old in &planned.steps {
            let (mut statements, mut may_miss) = (Vec::new(), Vec::new());
            for sql in &old.statements {
                let of = |object: &String| {
                    let makers = makers.iter().filter(|(_, made)| made.contains(object));
                    makers.map(|(reach, _)| *reach).collect::<Vec<_>>()
                };
                let Some(objects) = unmade(sql, ground.schema) else {
                    return Some(text::not_told(&version, sql));
                };
                let reached: Vec<_> = objects.iter().map(of).collect();
                if reached.iter().any(Vec::is_empty) {
                    return Some(text::not_told(&version, sql));
                }
                let all: Vec<Reach> = reached.concat();
                let is_all = |reach: Reach| all.iter().all(|found| *found == reach);
                if is_all(Reach::Never) {
                    self.left_out.push(LeftOut {
                        migration: version.clone(),
                        statement: sql.clone(),
                    });
                } else if is_all(Reach::Done) {
                    statements.push(sql.clone());
                } else if is_all(Reach::Begun) {
                    may_miss.push(statements.len());
                    statements.push(sql.clone());
                } else {
                    return Some(text::undoes_both(&version, sql));
                }
            }
            if statements.is_empty() {
                continue;
            }
            let position = u32::try_from(kept.len() + 1).unwrap_or(u32::MAX);
            let mut new = step(&version, position, statements);
            new.autocommit = old.autocommit;
            new.builds.clone_from(&old.builds);
            new.may_leave.clone_from(&old.may_leave);
            new.back = Some(BackStep {
                may_miss,
                ..BackStep::default()
            });
            kept.push(new);
        }
        if kept.is_empty() {
            kept.push(step(&version, 1, Vec::new()));
        }
        let of = u32::try_from(kept.len()).unwrap_or(u32::MAX);
        kept.iter_mut().for_each(|step| step.of = of);
        let is_kept = |sql: &String| kept.iter().any(|step| step.statements.contains(sql));
        planned.review.retain(|review| is_kept(&review.sql));
        planned.touched = touched(&planned.review, ground.schema);
        planned.steps = kept;
        None
    }
}

const PLAN: &str = "plan the way back of migrations";

/// How far a step of the way up came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reach {
    Never,
    Begun,
    Done,
}

fn reach(marks: &[StepMark], position: u32) -> Reach {
    match marks.iter().find(|mark| mark.position == position) {
        None => Reach::Never,
        Some(mark) if mark.done => Reach::Done,
        Some(_) => Reach::Begun,
    }
}

/// What another program has to take back.
fn not_ours(folder: &MigrationFolder, ledger: &MigrationLedger) -> Option<(Text, Text)> {
    let command = match folder.tool.unwrap_or(ledger.tool) {
        MigrationTool::Alembic => "alembic downgrade REVISION",
        MigrationTool::Django => "manage.py migrate APP MIGRATION",
        MigrationTool::Rails if folder.tool.is_some() => "rails db:migrate:down VERSION=VERSION",
        _ => return None,
    };
    Some(text::not_ours(folder.tool.unwrap_or(ledger.tool).name(), command))
}

impl Ground<'_> {
    fn is_applied(&self, file: &MigrationFile) -> bool {
        is_applied(self.ledger, self.folder, file)
    }

    /// Applied, or half-way there.
    fn is_reached(&self, file: &MigrationFile) -> bool {
        self.is_applied(file) || !self.marks_of(file, false).is_empty()
    }

    fn applied(&self, file: &MigrationFile) -> Option<&crate::model::AppliedMigration> {
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
