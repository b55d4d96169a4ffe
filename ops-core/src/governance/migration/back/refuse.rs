//! Which migrations are meant, and what stands in the way.

use super::{BackPlan, BackTo, Ground, PLAN};
use crate::error::{Error, ErrorKind, Result};
use crate::governance::migration::folder::{MigrationFile, MigrationFolder, number, same_version};
use crate::governance::migration::plan::scripted;
use crate::governance::migration::script::is_way_back;
use crate::governance::migration::status::is_applied;
use crate::messages::migration::{changed, dirty};
use crate::messages::migration_back as text;
use crate::model::{MigrationLedger, MigrationTool, StepMark, Text, UnfinishedRun};

impl BackPlan {
    /// Which migrations, the newest first.
    pub(super) fn select<'a>(
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
        // What stands on those, since it was applied, or a run of it stopped, meanwhile, goes before them.
        let newest = remaining.first().and_then(|file| number(&file.version));
        let is_newer = |file: &&MigrationFile| newest.is_some() && number(&file.version) > newest;
        let without_newer: Vec<_> = selected.iter().copied().filter(|file| !is_newer(file)).collect();
        if let Some(owed) = owed
            && without_newer != remaining
        {
            self.refuse("", text::other_way_back(&owed.versions.join(", ")));
        }
        Ok(selected)
    }

    /// What stands in the way of all of them.
    pub(super) fn look(
        &mut self,
        ground: &Ground<'_>,
        selected: &[&MigrationFile],
        owed: Option<&UnfinishedRun>,
    ) {
        let is_selected = |version: &str| selected.iter().any(|file| same_version(&file.version, version));
        for given_up in ground.ledger.applied.iter().filter(|found| found.dirty) {
            let both = dirty(&ground.ledger.table, &given_up.version);
            self.refuse(&given_up.version, both);
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
        // A way back that has begun is ended, whatever an older one is.
        let is_owed = owed.is_some_and(|owed| owed.back);
        for file in half {
            any_half = true;
            if !(is_selected(&file.version) || is_owed && number(&file.version) < lowest) {
                self.refuse(
                    &file.version,
                    match is_owed {
                        true => text::half_on_top(&file.version),
                        false => text::half_elsewhere(&file.version),
                    },
                );
            }
        }
        if let Some(owed) = owed.filter(|owed| !owed.back && !any_half) {
            let is_pending = |version: &String| match ground.folder.find(version) {
                Some(file) => !ground.is_applied(file),
                None => {
                    let mut applied = ground.ledger.applied.iter();
                    !applied.any(|found| same_version(&found.version, version))
                }
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
    pub(super) fn examine(&mut self, ground: &Ground<'_>, file: &MigrationFile) {
        let version = &file.version;
        let Some(up) = &file.up else {
            self.refuse(version, text::program(version));
            return;
        };
        if !file.down.as_deref().is_some_and(is_way_back) {
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
            self.refuse(version, changed(version));
        }
    }
}

/// What another program has to take back.
pub(super) fn not_ours(folder: &MigrationFolder, ledger: &MigrationLedger) -> Option<(Text, Text)> {
    let command = match folder.tool.unwrap_or(ledger.tool) {
        MigrationTool::Alembic => "alembic downgrade REVISION",
        MigrationTool::Django => "manage.py migrate APP MIGRATION",
        MigrationTool::Rails if folder.tool.is_some() => "rails db:migrate:down VERSION=VERSION",
        _ => return None,
    };
    Some(text::not_ours(folder.tool.unwrap_or(ledger.tool).name(), command))
}
