use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::RelationEffect;

/// What a server said and did while it ran one statement.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct StatementTrace {
    /// The statement.
    pub sql: String,
    /// Locks stronger than those of reading and writing rows, and the work under them, on relations that were there before; by relation.
    pub effects: Vec<RelationEffect>,
    /// The server's own words about its work.
    pub said: Vec<String>,
    /// Why it failed: SQLSTATE and message, without data.
    pub failure: Option<String>,
    /// Whether it cannot run inside a transaction, so that its locks were watched from a second session.
    pub autocommit: bool,
    /// How long it took there; the tables there are empty.
    pub took: Duration,
}
