//! What weighs on the database: connections, sessions, blockers, tables, replication; and what is done about a session.

mod reach;
mod report;
mod sessions;
mod statement;
mod timeouts;

use std::fmt;
use std::sync::Arc;

use ops_core::error::Result;
use ops_core::model::{ConnectionUse, DatabaseSession, SessionDeed};
use ops_core::ports::PiiMasker;

pub use self::reach::database_reach;
pub use self::report::{LoadReport, ReplicaLag, SlowQueries, SlowQuery, TableSize};
pub use self::sessions::SignalResult;
pub use self::timeouts::{PostgresTimeouts, TimeoutLimits};
use crate::PostgresStore;
use crate::error::failed;

/// Reads the load of the database of a [`PostgresStore`], and cancels statements or ends sessions.
///
/// Statements may hold personal data: their literals are left out, the rest goes through the masker, and what is left is cut. Names that
/// applications give themselves are masked too.
///
/// A plain role sees its own sessions' statements only; `pg_read_all_stats` shows the others', `pg_signal_backend` lets it act on them.
#[derive(Clone)]
pub struct PostgresLoad {
    store: PostgresStore,
    masker: Arc<dyn PiiMasker>,
    exempt: Vec<String>,
}

impl PostgresLoad {
    /// Of the database that `store` is connected to.
    pub fn new(store: &PostgresStore, masker: Arc<dyn PiiMasker>) -> Self {
        Self {
            store: store.clone(),
            masker,
            exempt: Vec::new(),
        }
    }

    /// Never acts on sessions of `role` (the audit writer).
    #[must_use]
    pub fn with_exempt_role(mut self, role: impl Into<String>) -> Self {
        self.exempt.push(role.into());
        self
    }

    /// Connections of the whole server, replication, the oldest transaction, and slow statements where `pg_stat_statements` is there.
    ///
    /// # Errors
    /// `Unavailable`, `Timeout`.
    pub async fn report(&self) -> Result<LoadReport> {
        report::read(&self.store, |text| self.masked(text)).await
    }

    /// The connections in use alone: one cheap query.
    ///
    /// # Errors
    /// `Unavailable`, `Timeout`; also when all connections are taken.
    pub async fn connections(&self) -> Result<ConnectionUse> {
        report::connections(&self.store).await
    }

    /// The sessions of this database.
    ///
    /// # Errors
    /// `Unavailable`, `Timeout`.
    pub async fn sessions(&self) -> Result<Vec<DatabaseSession>> {
        sessions::read(&self.store, &self.exempt, |text| self.masked(text)).await
    }

    /// The tables that take most room, largest first.
    ///
    /// # Errors
    /// `Unavailable`, `Timeout`.
    pub async fn tables(&self, most: u32) -> Result<Vec<TableSize>> {
        report::tables(&self.store, most).await
    }

    /// Cancels what `session` runs, or ends it, if it is still the same and still does the same.
    ///
    /// # Errors
    /// `Unavailable`, `Timeout`. What may not be done is a [`SignalResult`].
    pub async fn act(&self, session: &DatabaseSession, deed: SessionDeed) -> Result<SignalResult> {
        sessions::act(&self.store, &self.exempt, session, deed).await
    }

    fn masked(&self, text: &str) -> String {
        self.masker.mask(text).into_owned()
    }
}

impl fmt::Debug for PostgresLoad {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresLoad")
            .field("store", &self.store)
            .field("exempt", &self.exempt)
            .finish_non_exhaustive()
    }
}

async fn extension(store: &PostgresStore, name: &str, operation: &'static str) -> Result<Option<String>> {
    sqlx::query_scalar(
        "select n.nspname::text from pg_extension e join pg_namespace n on n.oid = e.extnamespace where e.extname = $1",
    )
    .bind(name)
    .fetch_optional(store.pool())
    .await
    .map_err(failed(operation))
}
