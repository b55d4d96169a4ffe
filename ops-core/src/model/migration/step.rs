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
    /// The migration's row in the tool's table: written with the last step, in the same transaction where there is one.
    pub record: Option<LedgerRow>,
    /// Of the statements, in hexadecimal digits: a step that is done is the one that was meant.
    pub digest: String,
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
}
