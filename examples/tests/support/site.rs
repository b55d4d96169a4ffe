//! A folder with an `ops.toml` beside a database of its own, and `opsctl` run in it.

use ops_core::testkit::postgres_url;
use ops_postgres::ScratchDatabase;
use secrecy::{ExposeSecret, SecretString};
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use super::{Ran, opsctl};

/// Where an operator works.
#[derive(Debug)]
pub struct Site {
    pub dir: tempfile::TempDir,
    pub database: ScratchDatabase,
}

impl Site {
    /// `None` where tests without a server are left out. `ROLE` in the configuration is the role of the application.
    pub async fn start(name: &str, config: &str, tables: &str) -> Option<Self> {
        let admin = SecretString::from(postgres_url().await?);
        let name = format!("ops_cli_{name}_{}", std::process::id());
        let database = ScratchDatabase::create(&admin, &name).await.expect("a database");
        let dir = tempfile::tempdir().expect("a temporary folder");
        let config = config.replace("ROLE", &format!("{name}_app"));
        std::fs::write(dir.path().join("ops.toml"), config).expect("written");
        let site = Self { dir, database };
        site.sql(tables).await;
        Some(site)
    }

    pub fn owner(&self) -> &str {
        self.database.owner_url().expose_secret()
    }

    /// Runs it as the owner of the database.
    pub fn run(&self, arguments: &[&str]) -> Ran {
        self.run_as(self.owner(), arguments)
    }

    pub fn run_as(&self, url: &str, arguments: &[&str]) -> Ran {
        let mut command = opsctl(self.dir.path());
        command.env("DATABASE_URL", url);
        Ran::of(command.args(arguments).output().expect("opsctl runs"))
    }

    /// A session of the owner.
    pub async fn session(&self) -> PgConnection {
        PgConnection::connect(self.owner())
            .await
            .expect("the owner connects")
    }

    /// Runs statements as the owner.
    pub async fn sql(&self, statements: &str) {
        run(&mut self.session().await, statements).await;
    }

    /// As an administrator of the server.
    pub async fn root_options(&self) -> PgConnectOptions {
        let admin: PgConnectOptions = postgres_url().await.expect("a server").parse().expect("a URL");
        admin.database(self.database.name())
    }

    /// A session of an administrator of the server.
    pub async fn root(&self) -> PgConnection {
        PgConnection::connect_with(&self.root_options().await)
            .await
            .expect("a superuser")
    }

    /// Runs statements as an administrator of the server.
    pub async fn root_sql(&self, statements: &str) {
        run(&mut self.root().await, statements).await;
    }

    /// Drops the database with its roles, then these roles, whose names begin with its name.
    pub async fn close(self, roles: &[&str]) {
        let name = self.database.name().to_owned();
        self.database.drop_all().await.expect("dropped");
        let admin = postgres_url().await.expect("a server");
        let mut admin = PgConnection::connect(&admin).await.expect("a superuser");
        for role in roles {
            run(&mut admin, &format!("drop role if exists {name}_{role}")).await;
        }
    }
}

async fn run(session: &mut PgConnection, statements: &str) {
    sqlx::raw_sql(AssertSqlSafe(statements))
        .execute(session)
        .await
        .expect("statements");
}
