use std::fmt;

use ops_core::error::{ErrorKind, Result};
use ops_core::model::{Schema, StatementTrace};
use secrecy::SecretString;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor};
use uuid::Uuid;

use super::read_schema;
use super::watch::{Before, inside, outside, reason};
use crate::error::{error, failed};
use crate::identifier::{literal, quoted};
use crate::store::options;

/// A database of its own on a throw-away server, with the schema of a real one: scripts are tried on it, and the server tells what it did.
///
/// Never give it a server that others use: it makes the roles that the schema names, and its statements wait for each other's locks.
/// Dropping the value drops nothing: call [`drop_all`](Self::drop_all).
pub struct PostgresTrial {
    admin: PgConnectOptions,
    name: String,
    zone: String,
}

impl PostgresTrial {
    /// Makes the database and loads `dump`, the output of `pg_dump --schema-only`, into it. `admin_url` is a superuser's.
    ///
    /// # Errors
    /// `InvalidInput` when the dump cannot be loaded, with the server's words; `PermissionDenied`, `Unauthenticated`, `Unavailable`.
    pub async fn create(admin_url: &SecretString, dump: &str) -> Result<Self> {
        let admin = options(admin_url)?;
        let trial = Self {
            admin,
            name: format!("ops_trial_{}", Uuid::new_v4().simple()),
            zone: "UTC".to_owned(),
        };
        let mut loaded = trial.load(dump).await;
        // A dump names roles and does not make them.
        for _ in 0..MAX_ROLES {
            let Err(Missing::Role(role)) = &loaded else { break };
            let mut connection = trial.administrator().await?;
            let statement = format!("create role {} nologin", quoted(role));
            connection
                .execute(AssertSqlSafe(statement))
                .await
                .map_err(failed(CREATE))?;
            loaded = trial.load(dump).await;
        }
        match loaded {
            Ok(()) => Ok(trial),
            Err(Missing::Role(role)) => Err(error(ErrorKind::InvalidInput, CREATE).context("role", role)),
            Err(Missing::Other(cause)) => {
                let _ = trial.drop_database().await;
                Err(cause)
            }
        }
    }

    /// The time zone of the sessions: that of the sessions that will migrate. UTC unless it is set.
    #[must_use]
    pub fn with_time_zone(mut self, zone: impl Into<String>) -> Self {
        self.zone = zone.into();
        self
    }

    /// The schema as it is now.
    ///
    /// # Errors
    /// `Unavailable`, `Timeout`.
    pub async fn schema(&self) -> Result<Schema> {
        let mut connection = self.connect().await?;
        let schema = read_schema(&mut connection).await?;
        connection.close().await.map_err(failed(TRY))?;
        Ok(schema)
    }

    /// Runs statements (text, and whether the server refuses it inside a transaction) and keeps what they changed: each in a transaction of its
    /// own, or all in one. Ends with the first that fails.
    ///
    /// # Errors
    /// `Unavailable`, `Timeout`. That a statement fails is in its trace.
    pub async fn run(&self, statements: &[(String, bool)], atomic: bool) -> Result<Vec<StatementTrace>> {
        self.play(statements, atomic, true).await
    }

    /// Runs one statement inside a transaction and takes it back.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub async fn rehearse(&self, statement: &str) -> Result<Option<StatementTrace>> {
        let one = [(statement.to_owned(), false)];
        Ok(self.play(&one, true, false).await?.pop())
    }

    async fn play(
        &self,
        statements: &[(String, bool)],
        atomic: bool,
        keep: bool,
    ) -> Result<Vec<StatementTrace>> {
        let mut worker = self.connect().await?;
        let mut traces = Vec::new();
        let mut before = Before::read(&mut worker).await?;
        if atomic {
            worker.execute("begin").await.map_err(failed(TRY))?;
        }
        for (sql, autocommit) in statements {
            let trace = if *autocommit && !atomic {
                let mut others = [
                    self.connect().await?,
                    self.connect().await?,
                    self.connect().await?,
                ];
                let trace = outside(&mut worker, &mut others, &before, sql).await?;
                for other in others {
                    other.close().await.map_err(failed(TRY))?;
                }
                trace
            } else if atomic {
                inside(&mut worker, &mut before, sql).await?
            } else {
                worker.execute("begin").await.map_err(failed(TRY))?;
                let trace = inside(&mut worker, &mut before, sql).await?;
                let end = if trace.failure.is_none() {
                    "commit"
                } else {
                    "rollback"
                };
                worker.execute(end).await.map_err(failed(TRY))?;
                trace
            };
            let over = trace.failure.is_some();
            traces.push(trace);
            if over {
                break;
            }
        }
        if atomic {
            let failed_one = traces.iter().any(|trace| trace.failure.is_some());
            let end = if keep && !failed_one { "commit" } else { "rollback" };
            if let Err(cause) = worker.execute(end).await
                && let Some(last) = traces.last_mut()
            {
                last.failure = Some(reason(&cause));
            }
        }
        worker.close().await.map_err(failed(TRY))?;
        Ok(traces)
    }

    /// Ends all sessions of the database and drops it.
    ///
    /// # Errors
    /// `Unavailable`, `Timeout`.
    pub async fn drop_all(self) -> Result<()> {
        self.drop_database().await
    }

    /// For programs that connect by themselves, such as `pg_dump`.
    pub fn url(&self) -> SecretString {
        SecretString::from(self.admin.clone().database(&self.name).to_url_lossy().to_string())
    }

    async fn load(&self, dump: &str) -> std::result::Result<(), Missing> {
        self.drop_database().await.map_err(Missing::Other)?;
        let mut connection = self.administrator().await.map_err(Missing::Other)?;
        let database = quoted(&self.name);
        let statement = format!("create database {database} template template0 encoding 'UTF8'");
        let made = connection.execute(AssertSqlSafe(statement)).await;
        made.map_err(|cause| Missing::Other(failed(CREATE)(cause)))?;
        let mut session = self.connect().await.map_err(Missing::Other)?;
        // Commands of psql guard a dump against other programs; they are no SQL.
        let lines = dump.lines().filter(|line| !line.starts_with('\\'));
        let script = lines.collect::<Vec<_>>().join("\n");
        match session.execute(AssertSqlSafe(script)).await {
            Ok(_) => Ok(()),
            Err(cause) => Err(missing(&cause)),
        }
    }

    async fn administrator(&self) -> Result<PgConnection> {
        PgConnection::connect_with(&self.admin)
            .await
            .map_err(failed(CREATE))
    }

    async fn connect(&self) -> Result<PgConnection> {
        let options = self
            .admin
            .clone()
            .database(&self.name)
            .options([("statement_timeout", "60s")]);
        let mut connection = PgConnection::connect_with(&options).await.map_err(failed(TRY))?;
        // The driver asks for UTC when it connects, which beats every option.
        let statement = format!("set time zone {}", literal(&self.zone));
        connection
            .execute(AssertSqlSafe(statement))
            .await
            .map_err(failed(TRY))?;
        Ok(connection)
    }

    async fn drop_database(&self) -> Result<()> {
        let mut connection = self.administrator().await?;
        let statement = format!("drop database if exists {} with (force)", quoted(&self.name));
        connection
            .execute(AssertSqlSafe(statement))
            .await
            .map_err(failed(CREATE))?;
        connection.close().await.map_err(failed(CREATE))
    }
}

impl fmt::Debug for PostgresTrial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresTrial")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// Why a dump could not be loaded.
enum Missing {
    Role(String),
    Other(ops_core::error::Error),
}

fn missing(cause: &sqlx::Error) -> Missing {
    let message = cause
        .as_database_error()
        .map(|cause| cause.message())
        .unwrap_or_default();
    match message
        .strip_prefix("role \"")
        .and_then(|rest| rest.strip_suffix("\" does not exist"))
    {
        Some(role) => Missing::Role(role.to_owned()),
        None => Missing::Other(
            error(ErrorKind::InvalidInput, CREATE)
                .context("reason", reason(cause))
                .context(
                    "remedy",
                    "give the output of pg_dump --schema-only of a server that is not newer than this one",
                ),
        ),
    }
}

const CREATE: &str = "make a database for trials";
const TRY: &str = "try a script";
const MAX_ROLES: usize = 64;
