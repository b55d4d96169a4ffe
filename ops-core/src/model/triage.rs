use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{ConnectionUse, DatabaseSession, TargetState};

/// What became of one attempt to connect to a database: where it cannot be reached, this decides what is done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum DatabaseReach {
    /// It answers.
    #[default]
    Answers,
    /// The URL cannot be read.
    BadUrl,
    /// The name of the host is not known.
    UnknownHost,
    /// Nothing listens there.
    Refused,
    /// No answer in time.
    NoAnswer,
    /// The TLS handshake failed, or the certificate is not trusted.
    Tls,
    /// Role or password is wrong, or the server's rules let it not in (class 28).
    Unauthenticated,
    /// There is no such database (3D000).
    NoDatabase,
    /// The role may not connect to that database (42501).
    NotPermitted,
    /// All connections are taken (53300).
    TooManyConnections,
    /// It starts, stops or recovers (57P01 to 57P03).
    NotReady,
    /// Something else.
    Other,
}

/// What was measured of a database that has trouble. What could not be measured is empty: nothing is concluded from it.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct DatabaseFacts {
    /// Whether it can be reached.
    pub reach: DatabaseReach,
    /// Whether read-only mode is in force.
    pub state: Option<TargetState>,
    /// Connections of the server.
    pub connections: Option<ConnectionUse>,
    /// Sessions of the database.
    pub sessions: Vec<DatabaseSession>,
    /// How many prepared transactions there are.
    pub prepared: u64,
    /// Standbys.
    pub replicas: Vec<ReplicaFacts>,
    /// Bytes of log that the replication slot furthest behind keeps on disk.
    pub slot_bytes: Option<u64>,
    /// The tables that take most room.
    pub tables: Vec<TableFacts>,
    /// Statements by the time that they took in all, most first.
    pub slow: Vec<SlowFacts>,
}

/// How far a standby is behind.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "the figures of one standby")]
pub struct ReplicaFacts {
    /// The name that it gave itself, masked.
    pub name: String,
    /// Bytes of log that it has not applied yet.
    pub bytes: Option<u64>,
    /// How long ago was written what it applies now.
    pub lasting: Option<Duration>,
}

/// What a table takes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "the figures of one table")]
pub struct TableFacts {
    /// Schema and name.
    pub name: String,
    /// Bytes in all.
    pub bytes: u64,
    /// Bytes that are estimated to hold nothing.
    pub bloat_bytes: Option<u64>,
}

/// What a statement took since the statistics began.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "the figures of one statement")]
pub struct SlowFacts {
    /// Without literals, masked and cut.
    pub query: String,
    /// How often it ran.
    pub calls: u64,
    /// Milliseconds of one.
    pub mean_ms: f64,
}

/// What is likely the cause of trouble with a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(
    clippy::exhaustive_enums,
    reason = "each has texts of its own, in the order in which it is looked at"
)]
pub enum DatabaseCause {
    /// The connection string is wrong.
    BadUrl,
    /// The name of the host is not known.
    UnknownHost,
    /// The server is down, or somewhere else.
    ServerDown,
    /// Network, firewall, or a server that is overwhelmed.
    NoAnswer,
    /// TLS.
    Tls,
    /// Credentials.
    Credentials,
    /// The database is not there, or not for this role.
    WrongDatabase,
    /// It starts, stops or recovers.
    NotReady,
    /// No connection is free.
    ConnectionsExhausted,
    /// It cannot be reached for a reason that is not known.
    Unreachable,
    /// From 90 % of the connections on.
    ConnectionsFull,
    /// Sessions wait for locks of others.
    Blocked,
    /// Writing was turned off.
    ReadOnly,
    /// From 80 % of the connections on.
    ConnectionsTight,
    /// A transaction is open and does nothing.
    IdleInTransaction,
    /// A statement runs for long.
    LongRunning,
    /// A prepared transaction waits for its end.
    Prepared,
    /// Standbys are behind, or a slot keeps log.
    ReplicationBehind,
    /// Statements are slow, each time.
    SlowStatements,
    /// A table is mostly empty.
    Bloat,
}

impl DatabaseCause {
    /// All of them, in the order in which they are told.
    pub const ALL: [Self; 20] = [
        Self::BadUrl,
        Self::UnknownHost,
        Self::ServerDown,
        Self::NoAnswer,
        Self::Tls,
        Self::Credentials,
        Self::WrongDatabase,
        Self::NotReady,
        Self::ConnectionsExhausted,
        Self::Unreachable,
        Self::ConnectionsFull,
        Self::Blocked,
        Self::ReadOnly,
        Self::ConnectionsTight,
        Self::IdleInTransaction,
        Self::LongRunning,
        Self::Prepared,
        Self::ReplicationBehind,
        Self::SlowStatements,
        Self::Bloat,
    ];
}
