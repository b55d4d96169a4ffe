use serde::{Deserialize, Serialize};

use super::MigrationTool;

/// A part of a migration that is done whole or not at all: one transaction, or one statement that refuses transactions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct MigrationStep {
    /// The migration's version.
    pub migration: String,
    /// From 1.
    pub position: u32,
    /// How many steps the migration has.
    pub of: u32,
    /// What is sent, one after the other.
    pub statements: Vec<String>,
    /// Whether the server refuses it inside a transaction.
    pub autocommit: bool,
    /// Schema and name of the index that it builds beside the traffic: what a failure may leave behind.
    pub builds: Option<String>,
    /// What a failure may leave half done and a repetition makes no better.
    #[serde(default)]
    pub may_leave: Option<HalfDone>,
    /// The migration's row in the tool's table: written with the last step, in the same transaction where there is one. On the way back it is
    /// taken out with the last step.
    pub record: Option<LedgerRow>,
    /// Of the statements, in hexadecimal digits: a step that is done is the one that was meant.
    pub digest: String,
    /// Whether it is a step of the way back, and what that needs to know.
    #[serde(default)]
    pub back: Option<BackStep>,
}

impl MigrationStep {
    /// A step in a transaction.
    pub fn new(
        migration: impl Into<String>,
        position: u32,
        statements: Vec<String>,
        digest: impl Into<String>,
    ) -> Self {
        Self {
            migration: migration.into(),
            position,
            of: position,
            statements,
            autocommit: false,
            builds: None,
            may_leave: None,
            record: None,
            digest: digest.into(),
            back: None,
        }
    }

    /// Whether the migration is done with it.
    pub fn is_last(&self) -> bool {
        self.position >= self.of
    }

    /// What tells its migration from one of the same version in another folder: the tool's table; empty where there is none.
    pub fn scope(&self) -> &str {
        self.record.as_ref().map_or("", |row| &row.table)
    }
}

/// What a step of the way back knows of the way up.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct BackStep {
    /// The migration is not in the tool's table: a run of it stopped half-way. The marks of its way up as they were when the way back was planned.
    pub half: Option<Vec<StepMark>>,
    /// Which of the statements (from 0) may find nothing to take away: the step that makes it had begun, and nobody knows how far it came.
    pub may_miss: Vec<usize>,
    /// Schema and name of indexes that a step which died may have left invalid: they are cleared away first.
    pub clears: Vec<String>,
}

/// What is known of one step of a migration.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct StepMark {
    /// The migration's version.
    pub migration: String,
    /// Whether it is a step of the way back.
    pub back: bool,
    /// From 1.
    pub position: u32,
    /// The digest of its statements.
    pub digest: String,
    /// False: it has begun, and nobody knows how far it came.
    pub done: bool,
    /// Whether the tool's table was changed with it. On the way back: the migration is back.
    pub recorded: bool,
}

/// What a statement that works beside the traffic leaves where it fails: somebody has to put it right before the step is run again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum HalfDone {
    /// A partition that is neither attached nor detached.
    Detach {
        /// Its schema and name.
        partition: String,
    },
    /// Copies of indexes, invalid, which every write keeps up to date.
    Reindex {
        /// Schema and name of the tables that the indexes are of.
        tables: Vec<String>,
    },
}

/// What a run still owes: kept from before its first step until its watch is over.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct UnfinishedRun {
    /// The digest of its plan.
    pub digest: String,
    /// Tables to look after.
    pub touched: Vec<String>,
    /// Whether the application was to be restarted after the last step.
    pub wants_restart: bool,
    /// Whether it was.
    pub restarted: bool,
    /// The migrations that it was about; empty: an older version of this program kept it.
    pub versions: Vec<String>,
    /// Whether it took them back.
    pub back: bool,
    /// What was owed when this way back began: owed again if nothing is done of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<Box<Self>>,
}

/// What a tool writes into its table when a migration is applied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct LedgerRow {
    /// Whose table.
    pub tool: MigrationTool,
    /// Schema and name.
    pub table: String,
    /// The version.
    pub version: String,
    /// What it is called beside that.
    pub name: String,
    /// SHA-384 of the script in hexadecimal digits.
    pub checksum: String,
    /// The version before it: what a table with one row only says when this one is taken back.
    #[serde(default)]
    pub before: Option<String>,
}

impl LedgerRow {
    /// A row of `tool` in `table`.
    pub fn new(
        tool: MigrationTool,
        table: impl Into<String>,
        version: impl Into<String>,
        name: impl Into<String>,
        checksum: impl Into<String>,
    ) -> Self {
        Self {
            tool,
            table: table.into(),
            version: version.into(),
            name: name.into(),
            checksum: checksum.into(),
            before: None,
        }
    }
}

/// What became of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum StepDone {
    /// It was done now.
    Now,
    /// It had been done before.
    Before,
    /// On the way back: what it would take away had never come to be.
    Missing,
}
