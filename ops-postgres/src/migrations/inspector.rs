use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use ops_core::error::{ErrorKind, Result};
use ops_core::model::{Schema, SchemaState};
use ops_core::ports::MigrationInspector;
use secrecy::SecretString;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, Connection, Executor};

use super::{ledger, read_schema};
use crate::error::{error, failed};
use crate::identifier::literal;
use crate::store::options;

/// The migrations of one database: reads what is applied and half done, and runs steps.
///
/// To run steps it needs the table `ops.migration_step` in that database: see [`PostgresStore::migrate`](crate::PostgresStore::migrate).
#[derive(Clone)]
pub struct PostgresMigrations {
    options: PgConnectOptions,
    zone: String,
}

impl PostgresMigrations {
    /// Of the database of `url`. Does not connect yet.
    ///
    /// # Errors
    /// `InvalidConfig` for a URL that cannot be read. The URL is never part of the text.
    pub fn new(url: &SecretString) -> Result<Self> {
        Ok(Self {
            options: options(url)?,
            zone: "UTC".to_owned(),
        })
    }

    /// The time zone of the sessions. UTC unless it is set, as sqlx has it; other tools take that of the server. It decides what
    /// `timestamp` to `timestamptz` means and costs.
    #[must_use]
    pub fn with_time_zone(mut self, zone: impl Into<String>) -> Self {
        self.zone = zone.into();
        self
    }

    pub(super) async fn connect(&self, name: &str, settings: &[(&str, &str)]) -> Result<PgConnection> {
        let options = self
            .options
            .clone()
            .application_name(name)
            .options(settings.iter().copied());
        let mut connection = tokio::time::timeout(PATIENCE, PgConnection::connect_with(&options))
            .await
            .map_err(|_| error(ErrorKind::Timeout, CONNECT))?
            .map_err(failed(CONNECT))?;
        // The driver asks for UTC when it connects, which beats every option.
        let zone = format!("set time zone {}", literal(&self.zone));
        connection
            .execute(AssertSqlSafe(zone))
            .await
            .map_err(failed(CONNECT))?;
        Ok(connection)
    }
}

#[async_trait]
impl MigrationInspector for PostgresMigrations {
    async fn state(&self) -> Result<SchemaState> {
        let mut connection = self.connect(SESSION, &[("statement_timeout", "30s")]).await?;
        let state = ledger::read(&mut connection).await?;
        let _ = connection.close().await;
        Ok(state)
    }

    async fn schema(&self) -> Result<Schema> {
        let mut connection = self
            .connect(SESSION, &[("statement_timeout", "60s"), ("lock_timeout", "5s")])
            .await?;
        let schema = read_schema(&mut connection).await?;
        let _ = connection.close().await;
        Ok(schema)
    }
}

impl fmt::Debug for PostgresMigrations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresMigrations")
            .field("database", &self.options.get_database())
            .finish_non_exhaustive()
    }
}

const CONNECT: &str = "connect for migrations";
pub(super) const SESSION: &str = "ops-migrations";
const PATIENCE: Duration = Duration::from_secs(5);
