use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::Timestamp;

/// What a server says of the ways by which its data would survive it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ServerBackups {
    /// When it was asked, by its own clock. All its times are of this clock.
    pub at: Timestamp,
    /// Its version as a number: 150004.
    pub version: i32,
    /// Its system identifier, which standbys and base backups of it share; `None`: not to be seen.
    #[serde(default)]
    pub system: Option<String>,
    /// The database that was asked.
    pub database: String,
    /// Whether it is a standby itself: then the primary has the archive.
    pub in_recovery: bool,
    /// `minimal`, `replica` or `logical`.
    pub wal_level: String,
    /// Whether commits reach the disk.
    pub fsync: bool,
    /// Whether a page that was half written when the power went can be mended.
    pub full_page_writes: bool,
    /// Whether pages have checksums.
    pub checksums: bool,
    /// Pages whose checksum was wrong, over all databases; `None` without checksums.
    pub checksum_failures: Option<i64>,
    /// What becomes of the write-ahead log.
    pub archiving: Archiving,
    /// Who follows.
    pub standbys: Vec<Standby>,
    /// What holds log back.
    pub slots: Vec<ReplicationSlot>,
    /// How many bytes of log a slot may hold; `None`: without limit, until the disk is full.
    pub slots_may_hold: Option<i64>,
    /// Base backups that are being taken now.
    pub base_backups_running: i64,
}

impl ServerBackups {
    /// A server at `at` of which nothing else is known: no archive, no standby.
    pub fn new(at: Timestamp, database: impl Into<String>) -> Self {
        Self {
            at,
            version: 0,
            system: None,
            database: database.into(),
            in_recovery: false,
            wal_level: "replica".to_owned(),
            fsync: true,
            full_page_writes: true,
            checksums: true,
            checksum_failures: None,
            archiving: Archiving::default(),
            standbys: Vec::new(),
            slots: Vec::new(),
            slots_may_hold: None,
            base_backups_running: 0,
        }
    }
}

/// Whether the log is archived.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ArchiveMode {
    /// It is thrown away once it is not needed for a crash.
    #[default]
    Off,
    /// By the primary.
    On,
    /// By a standby too.
    Always,
}

/// The archive of the write-ahead log, as the server knows it: it knows what its command has reported, not what is there.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Archiving {
    /// Whether.
    pub mode: ArchiveMode,
    /// Whether there is a command or a library that does it. What it is stays unread: it may hold a secret.
    pub configured: bool,
    /// What was archived last.
    pub last: Option<Archived>,
    /// When the last archived segment was full: what came after it is not in the archive. `None`: not to be seen, or nothing is archived.
    pub complete_until: Option<Timestamp>,
    /// How many were archived, since the statistics began.
    pub archived: i64,
    /// How many attempts failed.
    pub failed: i64,
    /// The last failure.
    pub last_failure: Option<Archived>,
    /// Full segments that wait; `None`: not to be seen.
    pub waiting: Option<u64>,
    /// When the oldest of them was full: it begins earlier. `None`: none waits, or that is not to be seen.
    pub oldest_waiting: Option<Timestamp>,
    /// Bytes of log that are in no archived segment; `None`: not to be seen.
    pub bytes_behind: Option<u64>,
    /// After how long a segment that is not full is closed if something was written; zero: never.
    #[serde(with = "seconds")]
    pub timeout: Duration,
}

impl Archiving {
    /// Whether the last attempt has failed.
    pub fn is_failing(&self) -> bool {
        match (&self.last_failure, &self.last) {
            (Some(failure), Some(last)) => failure.at > last.at,
            (failure, None) => failure.is_some(),
            (None, _) => false,
        }
    }
}

/// A segment, and when its archiving ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Archived {
    /// The file.
    pub segment: String,
    /// When.
    pub at: Timestamp,
}

impl Archived {
    /// `segment` at `at`.
    pub fn new(segment: impl Into<String>, at: Timestamp) -> Self {
        Self {
            segment: segment.into(),
            at,
        }
    }
}

/// A standby.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Standby {
    /// The name that it gave itself; empty where it is not to be seen.
    pub name: String,
    /// `streaming`, `catchup`, `backup`, …; `None`: not to be seen.
    pub state: Option<String>,
    /// `async`, `sync`, `quorum`, `potential`; `None`: not to be seen.
    pub sync: Option<String>,
    /// Bytes of log that it has not on its disk yet; `None`: not to be seen.
    pub bytes: Option<i64>,
    /// How long ago was written what reached its disk last; `None`: it is idle, or not to be seen.
    #[serde(with = "maybe_seconds")]
    pub lag: Option<Duration>,
}

impl Standby {
    /// A standby of which nothing is to be seen but that it is there.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            state: None,
            sync: None,
            bytes: None,
            lag: None,
        }
    }

    /// Whether it follows: a base backup that is being taken does not.
    pub fn follows(&self) -> bool {
        self.state.as_deref() == Some("streaming")
    }
}

/// A replication slot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ReplicationSlot {
    /// Its name.
    pub name: String,
    /// `physical` or `logical`.
    pub kind: String,
    /// Whether somebody reads it.
    pub active: bool,
    /// `reserved`, `extended`, `unreserved` or `lost`; `None`: it holds nothing yet.
    pub wal_status: Option<String>,
    /// Bytes of log that it holds on the disk.
    pub held: Option<i64>,
}

impl ReplicationSlot {
    /// A slot that holds nothing.
    pub fn new(name: impl Into<String>, kind: impl Into<String>, active: bool) -> Self {
        Self {
            name: name.into(),
            kind: kind.into(),
            active,
            wal_status: None,
            held: None,
        }
    }
}

pub(super) mod seconds {
    use std::time::Duration;

    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(in crate::model::backup) fn serialize<S: Serializer>(
        value: &Duration,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(value.as_secs_f64())
    }

    pub(in crate::model::backup) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Duration, D::Error> {
        let value = f64::deserialize(deserializer)?;
        Duration::try_from_secs_f64(value).map_err(serde::de::Error::custom)
    }
}

mod maybe_seconds {
    use std::time::Duration;

    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};

    pub(super) fn serialize<S: Serializer>(
        value: &Option<Duration>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        value.map(|value| value.as_secs_f64()).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Duration>, D::Error> {
        let value = Option::<f64>::deserialize(deserializer)?;
        value
            .map(Duration::try_from_secs_f64)
            .transpose()
            .map_err(serde::de::Error::custom)
    }
}
