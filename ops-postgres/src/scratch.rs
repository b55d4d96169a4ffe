use std::fmt;

use ops_core::error::{Error, ErrorKind, Result};
use secrecy::SecretString;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};
use uuid::Uuid;

use crate::error::{error, failed};
use crate::identifier::{literal, quoted};
use crate::store::options;

/// A database of its own with three roles of its own, for tests and drills, on a server that may hold others.
///
/// - `{name}_owner` owns database and tables, and is no superuser: the guard's role. It has the rights of `{name}_app` and, where
///   the administrator may give it, `pg_signal_backend`, to end the sessions of others.
/// - `{name}_app` reads and writes the sample tables `conversations` and `memories`.
/// - `{name}_audit` is for the audit trail; its sessions in this database are never read-only by default.
///
/// Nothing is changed in the database that the administrator's URL names. Dropping the value drops nothing: call
/// [`drop_all`](Self::drop_all).
pub struct ScratchDatabase {
    admin: PgConnectOptions,
    name: String,
    owner_url: SecretString,
    app_url: SecretString,
    audit_url: SecretString,
}

impl ScratchDatabase {
    /// Makes the database `name` and its roles. `admin_url` is a role that may create databases and roles.
    ///
    /// # Errors
    /// `InvalidInput` unless `name` is `[a-z_][a-z0-9_]{0,40}`; `Conflict` when the database or one of the roles exists (nothing is
    /// changed then); `PermissionDenied`, `Unauthenticated`, `Unavailable`. What was made before an error is dropped again.
    pub async fn create(admin_url: &SecretString, name: &str) -> Result<Self> {
        if !is_plain(name) {
            return Err(error(ErrorKind::InvalidInput, CREATE).context(
                "name",
                "must be a lower-case letter or _, then up to 40 letters, digits and _",
            ));
        }
        // Passwords are part of statements here: they must not reach the driver's log.
        let admin = options(admin_url)?;
        let mut connection = PgConnection::connect_with(&admin).await.map_err(failed(CREATE))?;
        let url = |role: &str, password: &str| {
            let login = admin.clone().username(role).password(password).database(name);
            SecretString::from(login.to_url_lossy().to_string())
        };
        let [owner, app, audit] = ROLES.map(|role| (format!("{name}_{role}"), new_password()));
        let scratch = Self {
            owner_url: url(&owner.0, &owner.1),
            app_url: url(&app.0, &app.1),
            audit_url: url(&audit.0, &audit.1),
            name: name.to_owned(),
            admin,
        };
        scratch.refuse_existing(&mut connection).await?;
        if let Err(cause) = scratch.build(&mut connection, [&owner, &app, &audit]).await {
            // The first error is the one that explains; what is left over is named by a second `create`.
            let _ = scratch.remove(&mut connection).await;
            return Err(cause);
        }
        connection.close().await.map_err(failed(CREATE))?;
        Ok(scratch)
    }

    /// The URL of the owner, who is no superuser.
    pub fn owner_url(&self) -> &SecretString {
        &self.owner_url
    }

    /// The URL of the application's role.
    pub fn app_url(&self) -> &SecretString {
        &self.app_url
    }

    /// The URL of the audit writer.
    pub fn audit_url(&self) -> &SecretString {
        &self.audit_url
    }

    /// The database's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The name of the audit writer's role.
    pub fn audit_role(&self) -> String {
        format!("{}_audit", self.name)
    }

    /// Ends all sessions of the database, drops it and its roles.
    ///
    /// # Errors
    /// As [`create`](Self::create). Calling [`create`](Self::create) with the same name tells whether something is left.
    pub async fn drop_all(self) -> Result<()> {
        let mut connection = PgConnection::connect_with(&self.admin)
            .await
            .map_err(failed(DROP))?;
        self.remove(&mut connection).await?;
        connection.close().await.map_err(failed(DROP))
    }

    async fn refuse_existing(&self, connection: &mut PgConnection) -> Result<()> {
        let roles = ROLES.map(|role| format!("{}_{role}", self.name));
        let exists: bool = sqlx::query_scalar(
            "select exists (select from pg_database where datname = $1)
                 or exists (select from pg_roles where rolname = any($2))",
        )
        .bind(&self.name)
        .bind(&roles[..])
        .fetch_one(connection)
        .await
        .map_err(failed(CREATE))?;
        if exists {
            return Err(error(ErrorKind::Conflict, CREATE)
                .context("database", &self.name)
                .context("reason", "the database or one of its roles exists"));
        }
        Ok(())
    }

    async fn build(&self, connection: &mut PgConnection, roles: [&(String, String); 3]) -> Result<()> {
        let database = quoted(&self.name);
        let [owner, app, audit] = roles.map(|(role, _)| quoted(role));
        for (role, password) in roles {
            let statement = format!(
                "CREATE ROLE {} LOGIN PASSWORD {}",
                quoted(role),
                literal(password)
            );
            run(connection, statement, CREATE).await?;
        }
        // An administrator who is no superuser must be a member to make a database for another role.
        run(connection, format!("GRANT {owner} TO CURRENT_USER"), CREATE).await?;
        run(connection, format!("GRANT {app} TO {owner}"), CREATE).await?;
        if run(connection, format!("GRANT pg_signal_backend TO {owner}"), CREATE)
            .await
            .is_err()
        {
            tracing::warn!(
                database = self.name,
                "the owner cannot end sessions of the audit role"
            );
        }
        run(
            connection,
            format!("CREATE DATABASE {database} OWNER {owner} TEMPLATE template0 ENCODING 'UTF8'"),
            CREATE,
        )
        .await?;
        run(
            connection,
            format!("ALTER ROLE {audit} IN DATABASE {database} SET default_transaction_read_only = off"),
            CREATE,
        )
        .await?;

        // Before PostgreSQL 15 the schema belongs to whoever made the server, and an owner of the database cannot close it.
        let version: i32 = sqlx::query_scalar("select current_setting('server_version_num')::int")
            .fetch_one(&mut *connection)
            .await
            .map_err(failed(CREATE))?;
        if version < 150_000 {
            let inside = self.admin.clone().database(&self.name);
            let mut session = PgConnection::connect_with(&inside)
                .await
                .map_err(failed(CREATE))?;
            let give = format!("ALTER SCHEMA public OWNER TO {owner}");
            if run(&mut session, give, CREATE).await.is_err() {
                tracing::warn!(database = self.name, "the owner cannot close the schema public");
            }
            session.close().await.map_err(failed(CREATE))?;
        }

        let owner_options = options(&self.owner_url)?;
        let mut session = PgConnection::connect_with(&owner_options)
            .await
            .map_err(failed(CREATE))?;
        run(&mut session, sample(&app), CREATE).await?;
        session.close().await.map_err(failed(CREATE))
    }

    async fn remove(&self, connection: &mut PgConnection) -> Result<()> {
        let database = quoted(&self.name);
        run(
            connection,
            format!("DROP DATABASE IF EXISTS {database} WITH (FORCE)"),
            DROP,
        )
        .await?;
        for role in ROLES {
            let role = quoted(&format!("{}_{role}", self.name));
            run(connection, format!("DROP ROLE IF EXISTS {role}"), DROP).await?;
        }
        Ok(())
    }
}

impl fmt::Debug for ScratchDatabase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScratchDatabase")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

const ROLES: [&str; 3] = ["owner", "app", "audit"];
const CREATE: &str = "create scratch database";
const DROP: &str = "drop scratch database";

fn sample(app: &str) -> String {
    // Before PostgreSQL 15, every role of the server may make tables there.
    format!(
        "REVOKE CREATE ON SCHEMA public FROM PUBLIC;
         CREATE TABLE public.conversations (
             id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
             title text NOT NULL,
             created_at timestamptz NOT NULL DEFAULT now()
         );
         CREATE TABLE public.memories (
             id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
             conversation_id bigint NOT NULL REFERENCES public.conversations (id),
             body text NOT NULL
         );
         GRANT SELECT, INSERT, UPDATE, DELETE ON public.conversations, public.memories TO {app};
         INSERT INTO public.conversations (title) VALUES ('first'), ('second');
         INSERT INTO public.memories (conversation_id, body) SELECT id, 'memory of ' || title FROM public.conversations;"
    )
}

async fn run(connection: &mut PgConnection, statement: String, operation: &'static str) -> Result<(), Error> {
    sqlx::raw_sql(AssertSqlSafe(statement))
        .execute(connection)
        .await
        .map_err(failed(operation))?;
    Ok(())
}

fn is_plain(name: &str) -> bool {
    let starts_well = name.starts_with(|first: char| first.is_ascii_lowercase() || first == '_');
    starts_well
        && name.len() <= 41
        && name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}

fn new_password() -> String {
    format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_lower_case_letters_digits_and_underscores() {
        for name in ["a", "_a1", "ops_drill_0199"] {
            assert!(is_plain(name), "{name}");
        }
        let long = "a".repeat(42);
        for name in ["", "1a", "A", "a-b", "a\"b", "a b", long.as_str()] {
            assert!(!is_plain(name), "{name}");
        }
    }
}
