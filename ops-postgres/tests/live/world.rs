//! A database of its own for each test.

use ops_core::model::{IdempotencyKey, RunId, Snapshot, TargetId, Timestamp};
use ops_core::ports::DatabaseGuard;
use ops_postgres::{PostgresAuditStore, PostgresDatabaseGuard, PostgresStore, ScratchDatabase};
use secrecy::{ExposeSecret, SecretString};
use sqlx::postgres::PgPoolOptions;
use sqlx::{AssertSqlSafe, Connection, PgConnection, PgPool};
use uuid::Uuid;

/// A scratch database with our schema, seen by its owner.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) scratch: ScratchDatabase,
    pub(crate) store: PostgresStore,
    admin: SecretString,
}

impl World {
    /// `None` when there is no PostgreSQL here.
    pub(crate) async fn new() -> Option<Self> {
        Some(Self::at(&admin_url().await?).await)
    }

    /// On this server.
    pub(crate) async fn at(admin: &SecretString) -> Self {
        let id = Uuid::new_v4().simple().to_string();
        let scratch = ScratchDatabase::create(admin, &format!("ops_test_{}", &id[..16]))
            .await
            .unwrap();
        let store = PostgresStore::connect(scratch.owner_url()).await.unwrap();
        store.migrate().await.unwrap();
        store.grant_audit_writer(&scratch.audit_role()).await.unwrap();
        Self {
            scratch,
            store,
            admin: admin.clone(),
        }
    }

    pub(crate) fn guard(&self) -> PostgresDatabaseGuard {
        PostgresDatabaseGuard::new(&self.store).with_exempt_role(self.scratch.audit_role())
    }

    pub(crate) fn target(&self) -> TargetId {
        PostgresDatabaseGuard::target(self.store.database()).unwrap()
    }

    pub(crate) async fn audit(&self) -> PostgresAuditStore {
        PostgresAuditStore::connect(self.scratch.audit_url())
            .await
            .unwrap()
    }

    /// A plain session of the application.
    pub(crate) async fn app(&self) -> PgConnection {
        session(self.scratch.app_url()).await
    }

    pub(crate) async fn owner(&self) -> PgConnection {
        session(self.scratch.owner_url()).await
    }

    /// A superuser's session in this database.
    pub(crate) async fn superuser(&self) -> PgConnection {
        let options: sqlx::postgres::PgConnectOptions = self.admin.expose_secret().parse().unwrap();
        PgConnection::connect_with(&options.database(self.scratch.name()))
            .await
            .unwrap()
    }

    /// A superuser's URL of this database, for other programs.
    pub(crate) fn superuser_url(&self) -> SecretString {
        let admin = self.admin.expose_secret();
        let server = admin.split_once('?').map_or(admin, |(plain, _)| plain);
        let server = server.rsplit_once('/').map_or(server, |(server, _)| server);
        SecretString::from(format!("{server}/{}", self.scratch.name()))
    }

    /// What an application that knows nothing of us would use.
    pub(crate) async fn app_pool(&self) -> PgPool {
        PgPoolOptions::new()
            .max_connections(2)
            .connect(self.scratch.app_url().expose_secret())
            .await
            .unwrap()
    }

    /// Stops as the owner; gives the prior state.
    pub(crate) async fn stop(&self) -> Snapshot {
        let prior = self.observe().await;
        self.guard().set_read_only(&self.target(), &key()).await.unwrap();
        prior
    }

    /// Lifts the mode from sessions that began after it.
    pub(crate) async fn restore(&self, prior: &Snapshot) {
        let fresh = PostgresStore::connect(self.scratch.owner_url()).await.unwrap();
        let guard = PostgresDatabaseGuard::new(&fresh).with_exempt_role(self.scratch.audit_role());
        guard.restore(prior, &key()).await.unwrap();
        fresh.close().await;
    }

    pub(crate) async fn observe(&self) -> Snapshot {
        let seen = self.guard().observe(&self.target()).await.unwrap();
        seen.snapshot().clone()
    }

    pub(crate) async fn close(self) {
        self.store.close().await;
        self.scratch.drop_all().await.unwrap();
    }
}

pub(crate) async fn admin_url() -> Option<SecretString> {
    ops_core::testkit::postgres_url().await.map(SecretString::from)
}

pub(crate) async fn session(url: &SecretString) -> PgConnection {
    PgConnection::connect(url.expose_secret()).await.unwrap()
}

pub(crate) fn key() -> IdempotencyKey {
    IdempotencyKey::for_step(&RunId::generate(Timestamp::UNIX_EPOCH), 0)
}

/// Runs statements; the error is the SQLSTATE, empty when the connection was cut.
pub(crate) async fn run(connection: &mut PgConnection, statements: &str) -> Result<(), String> {
    let statements = sqlx::raw_sql(AssertSqlSafe(statements));
    match statements.execute(connection).await {
        Ok(_) => Ok(()),
        Err(sqlx::Error::Database(error)) => Err(error.code().unwrap_or_default().into_owned()),
        Err(_) => Err(String::new()),
    }
}

pub(crate) async fn count(connection: &mut PgConnection, table: &str) -> i64 {
    sqlx::query_scalar(AssertSqlSafe(format!("select count(*) from {table}")))
        .fetch_one(connection)
        .await
        .unwrap()
}
