use serde::{Deserialize, Serialize};

use crate::model::Timestamp;

/// What form a copy has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum CopyKind {
    /// `pg_dump`, plain text.
    PlainDump,
    /// `pg_dump -Fc`.
    CustomDump,
    /// `pg_dump -Fd`.
    DirectoryDump,
    /// `pg_dump -Ft`: seen, and not judged.
    TarDump,
    /// `pg_dumpall`: all databases of the server, and its roles.
    ClusterDump,
    /// `pg_basebackup`: all databases of the server, and the start of a restore to a point in time.
    BaseBackup,
}

impl CopyKind {
    /// As in the documents.
    pub fn name(self) -> &'static str {
        match self {
            Self::PlainDump => "plain_dump",
            Self::CustomDump => "custom_dump",
            Self::DirectoryDump => "directory_dump",
            Self::TarDump => "tar_dump",
            Self::ClusterDump => "cluster_dump",
            Self::BaseBackup => "base_backup",
        }
    }
}

/// A backup that is a file or a folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct BackupCopy {
    /// File or folder, relative to the place that was looked into.
    pub name: String,
    /// Its form.
    pub kind: CopyKind,
    /// When it began to be written, as far as it says itself and the file system knows: what is newer is not in it.
    pub at: Timestamp,
    /// Its size.
    pub bytes: u64,
    /// The database that it is of; `None`: it does not say, or it is of all.
    pub database: Option<String>,
    /// The system identifier of the server that a base backup is of; `None`: it does not say.
    #[serde(default)]
    pub system: Option<String>,
    /// Whether all of it is there; `None`: that cannot be told.
    pub complete: Option<bool>,
    /// Why it is not complete, or why that cannot be told.
    pub fault: Option<String>,
}

impl BackupCopy {
    /// A complete copy.
    pub fn new(name: impl Into<String>, kind: CopyKind, at: Timestamp, bytes: u64) -> Self {
        Self {
            name: name.into(),
            kind,
            at,
            bytes,
            database: None,
            system: None,
            complete: Some(true),
            fault: None,
        }
    }

    /// Not complete, or not known to be.
    #[must_use]
    pub fn with_fault(mut self, complete: Option<bool>, fault: impl Into<String>) -> Self {
        self.complete = complete;
        self.fault = Some(fault.into());
        self
    }

    /// Of this database.
    #[must_use]
    pub fn of_database(mut self, database: Option<String>) -> Self {
        self.database = database;
        self
    }

    /// Whether it says that it is of another database than `wanted`.
    pub fn is_of_another(&self, wanted: Option<&str>) -> bool {
        matches!((&self.database, wanted), (Some(of), Some(wanted)) if of != wanted)
    }
}
