use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::server::seconds;
use crate::model::{Digest, RunId, Timestamp};

/// What a restore of a dump into a throw-away server has shown.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RestoreTest {
    /// Which test.
    pub id: RunId,
    /// When it began.
    pub at: Timestamp,
    /// The dump's name, without its folder.
    pub dump: String,
    /// The digest of the file; `None` for a folder.
    pub dump_digest: Option<Digest>,
    /// Its size.
    pub bytes: u64,
    /// When it was taken, as far as the file system knows.
    pub taken_at: Timestamp,
    /// The version of the throw-away server.
    pub server: i32,
    /// How long the restore took, without starting the server. It is what this machine needs, not what production would.
    #[serde(with = "seconds")]
    pub took: Duration,
    /// The recovery time that it is compared with.
    #[serde(with = "seconds")]
    pub rto: Duration,
    /// The tables, with the rows that were counted.
    pub tables: Vec<RestoredTable>,
    /// Tables of the live database that the dump has not.
    pub missing: Vec<String>,
    /// Tables of the dump that the live database has not.
    pub extra: Vec<String>,
    /// Whether it was compared with a live database.
    pub compared: bool,
    /// Why it could not be compared with the live database that there is.
    pub not_compared: Option<String>,
    /// Constraints that no server has checked (`NOT VALID`), in the copy.
    pub unvalidated: Vec<String>,
    /// How many records of the audit trail verify; `None`: there is none in it.
    pub audit_records: Option<u64>,
    /// What went wrong; empty: it restores.
    pub failures: Vec<String>,
}

impl RestoreTest {
    /// A test of `dump` that has shown nothing yet.
    pub fn new(id: RunId, at: Timestamp, dump: impl Into<String>) -> Self {
        Self {
            id,
            at,
            dump: dump.into(),
            dump_digest: None,
            bytes: 0,
            taken_at: at,
            server: 0,
            took: Duration::ZERO,
            rto: Duration::ZERO,
            tables: Vec::new(),
            missing: Vec::new(),
            extra: Vec::new(),
            compared: false,
            not_compared: None,
            unvalidated: Vec::new(),
            audit_records: None,
            failures: Vec::new(),
        }
    }

    /// Nothing failed, nothing is missing, there was something, and no table came back empty that is full now.
    pub fn passed(&self) -> bool {
        self.failures.is_empty()
            && self.missing.is_empty()
            && !self.tables.is_empty()
            && self.emptied().next().is_none()
    }

    /// Tables without a row, of which the database itself has more than [`FEW`](Self::FEW) by its own estimate: their data were left out.
    pub fn emptied(&self) -> impl Iterator<Item = &str> {
        let emptied =
            |table: &&RestoredTable| table.rows == 0 && table.live_rows.is_some_and(|rows| rows > Self::FEW);
        self.tables
            .iter()
            .filter(emptied)
            .map(|table| table.name.as_str())
    }

    /// So many rows may have come since the copy was made.
    pub const FEW: i64 = 1_000;

    /// Whether it was as fast as it should be, on this machine.
    pub fn within_rto(&self) -> bool {
        self.took <= self.rto
    }

    /// What the audit record says of it.
    pub fn digest(&self) -> Digest {
        // Serialising cannot fail: no map has keys other than strings.
        Digest::of(&serde_json::to_vec(self).unwrap_or_default())
    }
}

/// A table of the copy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RestoredTable {
    /// With its schema.
    pub name: String,
    /// Counted.
    pub rows: i64,
    /// An estimate of the rows of the live table; `None`: not compared, or it was never analysed.
    pub live_rows: Option<i64>,
}

impl RestoredTable {
    /// `name` with so many rows.
    pub fn new(name: impl Into<String>, rows: i64) -> Self {
        Self {
            name: name.into(),
            rows,
            live_rows: None,
        }
    }
}
