use serde::{Deserialize, Serialize};

use crate::model::Timestamp;

/// A tool that keeps a table of the migrations it has applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum MigrationTool {
    /// `_sqlx_migrations`: version, description, success, checksum.
    Sqlx,
    /// `alembic_version`: a row for each head.
    Alembic,
    /// `django_migrations`: app, name, applied.
    Django,
    /// `schema_migrations` with one column.
    Rails,
    /// `schema_migrations` with one row: version, dirty.
    GolangMigrate,
    /// `supabase_migrations.schema_migrations`.
    Supabase,
}

impl MigrationTool {
    /// The name, in lower case.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sqlx => "sqlx",
            Self::Alembic => "alembic",
            Self::Django => "django",
            Self::Rails => "rails",
            Self::GolangMigrate => "golang-migrate",
            Self::Supabase => "supabase",
        }
    }
}

/// What one tool says it has applied to one schema of the database.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct MigrationLedger {
    /// The tool.
    pub tool: MigrationTool,
    /// The table: schema and name.
    pub table: String,
    /// In the order of application as far as the table tells it.
    pub applied: Vec<AppliedMigration>,
}

impl MigrationLedger {
    /// A table of `tool`.
    pub fn new(tool: MigrationTool, table: impl Into<String>, applied: Vec<AppliedMigration>) -> Self {
        Self {
            tool,
            table: table.into(),
            applied,
        }
    }
}

/// A migration that a table names.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct AppliedMigration {
    /// As the tool writes it: `20260130`, `ae1027a6acf`, `shop.0002_price`.
    pub version: String,
    /// What it is called beside that.
    pub name: Option<String>,
    /// When, if the table tells it.
    pub at: Option<Timestamp>,
    /// SHA-384 of the file as it was, in lower-case hexadecimal digits, if the table tells it.
    pub checksum: Option<String>,
    /// Whether the tool says that it did not come to its end.
    pub dirty: bool,
}

impl AppliedMigration {
    /// Applied as a whole; nothing more is known.
    pub fn new(version: impl Into<String>) -> Self {
        Self {
            version: version.into(),
            ..Self::default()
        }
    }
}

/// What a migration that died has left behind.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Leftover {
    /// An index that no query uses and every write pays for.
    InvalidIndex {
        /// Schema and name.
        index: String,
        /// Schema and name.
        table: String,
        /// Whether some session is building one at this moment: it may be this one.
        being_built: bool,
    },
    /// A constraint that old rows may break.
    NotValidConstraint {
        /// Its name.
        constraint: String,
        /// Schema and name.
        table: String,
    },
    /// A partition whose `DETACH … CONCURRENTLY` did not come to its end.
    PendingDetach {
        /// Schema and name.
        partition: String,
    },
}

/// Everything about migrations that a database tells.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct SchemaState {
    /// A ledger for each table of a tool. Several are legal.
    pub ledgers: Vec<MigrationLedger>,
    /// What was left half done, by whatever tool.
    pub leftovers: Vec<Leftover>,
    /// Tables that are there and may not be read.
    pub unreadable: Vec<String>,
}
