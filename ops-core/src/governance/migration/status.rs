use std::cmp::Reverse;

use serde::Serialize;

use super::folder::{MigrationFile, MigrationFolder, number, same_version};
use crate::messages::migration as text;
use crate::messages::migration::several_tables;
use crate::model::{AppliedMigration, Leftover, MigrationLedger, MigrationTool, SchemaState, Text};

/// What state a database is in, against the migrations of a release. It is a list of findings, never one word.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct MigrationStatus {
    /// Each table of a tool, and the newest version in it.
    pub ledgers: Vec<LedgerSummary>,
    /// Versions that this release brings and the database lacks, in the order in which they would run.
    pub pending: Vec<String>,
    /// What somebody has to look at.
    pub findings: Vec<StateFinding>,
}

/// One table of a tool.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct LedgerSummary {
    /// The tool.
    pub tool: MigrationTool,
    /// Schema and name.
    pub table: String,
    /// How many migrations it names.
    pub applied: usize,
    /// The newest of them; for Alembic each head.
    pub newest: Vec<String>,
}

/// Something about the state that somebody has to look at.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct StateFinding {
    /// What sort.
    pub kind: StateKind,
    /// The version, index, constraint or table.
    pub subject: String,
    /// In words.
    pub what: Text,
    /// What to do.
    pub remedy: Text,
}

/// What sort of finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum StateKind {
    /// The tool says that it did not come to its end.
    Dirty,
    /// Applied, and not known to this release: the code is older than the schema.
    Unknown,
    /// Applied from another text.
    Changed,
    /// Applied from the same text with other line ends.
    LineEnds,
    /// Not applied, although newer ones are.
    OutOfOrder,
    /// Several branches are applied that nothing has merged.
    SeveralHeads,
    /// Left half done.
    HalfDone,
    /// A table that may not be read.
    Unreadable,
    /// No table of any tool is there.
    NoLedger,
    /// Several tables of a tool fit the folder equally well.
    SeveralLedgers,
}

impl StateKind {
    /// Whether it is legal, and only good to know.
    pub fn is_legal(self) -> bool {
        matches!(self, Self::SeveralHeads)
    }

    /// Whether what is pending may not be what it seems, so that nothing should run before somebody has looked.
    pub fn is_in_the_way(self) -> bool {
        matches!(
            self,
            Self::Dirty
                | Self::Unknown
                | Self::Changed
                | Self::OutOfOrder
                | Self::Unreadable
                | Self::NoLedger
                | Self::SeveralLedgers
        )
    }
}

/// Compares the database with the scripts of a release, if they are at hand. Pure.
pub fn migration_status(state: &SchemaState, folder: Option<&MigrationFolder>) -> MigrationStatus {
    let mut status = MigrationStatus {
        ledgers: state.ledgers.iter().map(summary).collect(),
        pending: Vec::new(),
        findings: Vec::new(),
    };
    for table in &state.unreadable {
        status.find(StateKind::Unreadable, table, text::ledger_unreadable(table));
    }
    for ledger in &state.ledgers {
        for applied in ledger.applied.iter().filter(|applied| applied.dirty) {
            status.find(
                StateKind::Dirty,
                &applied.version,
                text::dirty(&ledger.table, &applied.version),
            );
        }
        if ledger.tool == MigrationTool::Alembic && ledger.applied.len() > 1 {
            let heads: Vec<_> = ledger
                .applied
                .iter()
                .map(|found| found.version.as_str())
                .collect();
            status.find(
                StateKind::SeveralHeads,
                &ledger.table,
                text::several_heads(&heads.join(", ")),
            );
        }
    }
    if let Some(folder) = folder {
        if let Some(tables) = rivals(state, folder) {
            status.find(StateKind::SeveralLedgers, &tables, several_tables(&tables));
        }
        match ledger_of(state, folder) {
            Some(ledger) => status.compare(ledger, folder),
            None => {
                if state.unreadable.is_empty() {
                    status.find(StateKind::NoLedger, "", text::no_ledger());
                }
                status.pending = folder.files.iter().map(|file| file.version.clone()).collect();
            }
        }
    }
    for leftover in &state.leftovers {
        let (subject, both) = match leftover {
            Leftover::InvalidIndex {
                index,
                table,
                being_built,
            } => (index, text::invalid_index(index, table, *being_built)),
            Leftover::NotValidConstraint { constraint, table } => {
                (constraint, text::not_valid_constraint(constraint, table))
            }
            Leftover::PendingDetach { partition } => (partition, text::pending_detach(partition)),
        };
        status.find(StateKind::HalfDone, subject, both);
    }
    status
}

/// The table that goes with the folder.
pub(super) fn ledger_of<'a>(state: &'a SchemaState, folder: &MigrationFolder) -> Option<&'a MigrationLedger> {
    let fits = state.ledgers.iter().filter(|ledger| fits(ledger, folder));
    fits.max_by_key(|ledger| likeness(ledger, folder))
}

/// The tables of which none goes with the folder more likely than another; none where one does.
pub(super) fn rivals(state: &SchemaState, folder: &MigrationFolder) -> Option<String> {
    let best = likeness(ledger_of(state, folder)?, folder);
    let all = state.ledgers.iter().filter(|ledger| fits(ledger, folder));
    let best: Vec<&str> = all
        .filter(|ledger| likeness(ledger, folder) == best)
        .map(|ledger| ledger.table.as_str())
        .collect();
    (best.len() > 1).then(|| best.join(", "))
}

fn fits(ledger: &MigrationLedger, folder: &MigrationFolder) -> bool {
    match folder.tool {
        Some(tool) => ledger.tool == tool,
        None => !matches!(ledger.tool, MigrationTool::Alembic | MigrationTool::Django),
    }
}

/// Of several, the one that knows most of these versions; one that is empty before one that is of another folder.
fn likeness(ledger: &MigrationLedger, folder: &MigrationFolder) -> (usize, Reverse<usize>) {
    let known = ledger
        .applied
        .iter()
        .filter(|found| folder.find(&found.version).is_some());
    (known.count(), Reverse(ledger.applied.len()))
}

/// Whether the table says that `file` is applied.
pub(super) fn is_applied(ledger: &MigrationLedger, folder: &MigrationFolder, file: &MigrationFile) -> bool {
    match ledger.tool {
        // One row names the newest; everything up to it is applied.
        MigrationTool::GolangMigrate => ledger.applied.iter().any(|found| {
            let (newest, this) = (number(&found.version), number(&file.version));
            this <= newest && !(found.dirty && this == newest)
        }),
        MigrationTool::Alembic => ledger
            .applied
            .iter()
            .any(|head| folder.up_to(&head.version).contains(&file.version.as_str())),
        _ => ledger
            .applied
            .iter()
            .any(|found| same_version(&found.version, &file.version)),
    }
}

fn summary(ledger: &MigrationLedger) -> LedgerSummary {
    let versions = || ledger.applied.iter().map(|found| found.version.clone());
    let newest = match ledger.tool {
        MigrationTool::Alembic => versions().collect(),
        // The order of application is all that it has.
        MigrationTool::Django => versions().next_back().into_iter().collect(),
        // As numbers: as text "9" would come after "10".
        _ => versions()
            .max_by_key(|version| (number(version), version.clone()))
            .into_iter()
            .collect(),
    };
    LedgerSummary {
        tool: ledger.tool,
        table: ledger.table.clone(),
        applied: ledger.applied.len(),
        newest,
    }
}

impl MigrationStatus {
    fn find(&mut self, kind: StateKind, subject: &str, (what, remedy): (Text, Text)) {
        self.findings.push(StateFinding {
            kind,
            subject: subject.to_owned(),
            what,
            remedy,
        });
    }

    fn compare(&mut self, ledger: &MigrationLedger, folder: &MigrationFolder) {
        let ours = |found: &&AppliedMigration| match ledger.tool {
            // The table is of all apps, the folder of one.
            MigrationTool::Django => folder
                .files
                .first()
                .is_some_and(|file| file.version.split('.').next() == found.version.split('.').next()),
            _ => true,
        };
        for applied in ledger.applied.iter().filter(ours) {
            let Some(file) = folder.find(&applied.version) else {
                self.find(
                    StateKind::Unknown,
                    &applied.version,
                    text::unknown_version(&applied.version),
                );
                continue;
            };
            if let Some(checksum) = &applied.checksum
                && file.checksum().as_ref() != Some(checksum)
            {
                if file.differs_in_line_ends_only(checksum) {
                    self.find(
                        StateKind::LineEnds,
                        &applied.version,
                        text::line_ends(&applied.version),
                    );
                } else {
                    self.find(
                        StateKind::Changed,
                        &applied.version,
                        text::changed(&applied.version),
                    );
                }
            }
        }
        let mut pending: Vec<&MigrationFile> = Vec::new();
        for file in &folder.files {
            if is_applied(ledger, folder, file) {
                let numbered = folder.files.iter().all(|file| file.after.is_empty());
                let skipped = pending
                    .iter()
                    .filter(|_| numbered)
                    .map(|file| file.version.clone());
                for version in skipped.collect::<Vec<_>>() {
                    if !self
                        .findings
                        .iter()
                        .any(|found| found.kind == StateKind::OutOfOrder && found.subject == version)
                    {
                        self.find(StateKind::OutOfOrder, &version, text::out_of_order(&version));
                    }
                }
            } else {
                pending.push(file);
            }
        }
        self.pending = pending.into_iter().map(|file| file.version.clone()).collect();
    }
}
