use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ops_core::error::{ErrorKind, Result};
use ops_core::model::{BackupCopy, CopyKind, RestoreTest, RestoredTable, TenantId};
use ops_core::ports::{AuditStore, Clock, PiiMasker};
use secrecy::SecretString;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor};

use super::program::{Said, restore};
use crate::error::{error, failed};
use crate::identifier::quoted;
use crate::store::options;
use crate::{PostgresAuditStore, PostgresStore};

/// Restores dumps into a throw-away server and looks at what came out.
///
/// Never give it a server that others use: it makes the roles that a dump names, and runs what the dump says as a superuser, who can start programs
/// (`COPY … TO PROGRAM`): test only your own. Backslash commands of a plain dump are not run.
#[derive(Debug)]
pub struct RestoreTrial {
    admin: PgConnectOptions,
    programs: PathBuf,
    masker: Arc<dyn PiiMasker>,
    clock: Arc<dyn Clock>,
}

impl RestoreTrial {
    /// On the server of `admin_url`, a superuser's, with the programs in the folder `programs`.
    ///
    /// # Errors
    /// `InvalidConfig` for a URL that cannot be read.
    pub fn new(
        admin_url: &SecretString,
        programs: impl Into<PathBuf>,
        masker: Arc<dyn PiiMasker>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self> {
        Ok(Self {
            admin: options(admin_url)?,
            programs: programs.into(),
            masker,
            clock,
        })
    }

    /// Restores `dump`, of which `copy` is what was found out, and writes into `test` what it has shown: how long it took, tables, rows, constraints,
    /// the audit trail. `live`: compares the tables with those of that database, in a transaction that can write nothing.
    ///
    /// What fails of the restore is in the test's failures. A copy that is not complete has failed: nothing is run of it.
    ///
    /// # Errors
    /// `Unsupported` for a base backup, a dump of a whole cluster, what another program has compressed, and a `psql` that is too old; `NotFound` when a program is missing; `Unavailable`, `Timeout` of the throw-away server.
    ///
    /// # Cancellation
    /// Dropping the future ends the restore; the server is the caller's to end.
    pub async fn run(
        &self,
        dump: &std::path::Path,
        copy: &BackupCopy,
        live: Option<&SecretString>,
        test: &mut RestoreTest,
    ) -> Result<()> {
        if copy.kind == CopyKind::BaseBackup {
            return Err(error(ErrorKind::Unsupported, TEST)
                .context("dump", "is a base backup")
                .context(
                    "remedy",
                    "give a dump; start a server on the base backup yourself",
                ));
        }
        if copy.kind == CopyKind::ClusterDump {
            return Err(error(ErrorKind::Unsupported, TEST)
                .context("dump", "is of a whole cluster (pg_dumpall)")
                .context("remedy", "give a dump of one database, made by pg_dump"));
        }
        if copy.kind == CopyKind::PlainDump && copy.complete.is_none() {
            return Err(error(ErrorKind::Unsupported, TEST)
                .context("dump", "another program has compressed it")
                .context("remedy", "decompress it first"));
        }
        (test.bytes, test.taken_at) = (copy.bytes, copy.at);
        if copy.complete == Some(false) {
            // Nothing is run of what is no dump, and what is cut off has failed already.
            test.failures.extend(copy.fault.clone());
            return Ok(());
        }
        let said = self.restore(dump, copy, test).await?;
        test.failures.extend(said.errors);
        if !said.ended_well && test.failures.is_empty() {
            test.failures
                .push("the program that restores has failed".to_owned());
        }
        let database = self.restored(copy).await?;
        let mut connection = self.connect(&database).await?;
        test.server = sqlx::query_scalar("select current_setting('server_version_num')::int")
            .fetch_one(&mut connection)
            .await
            .map_err(failed(TEST))?;
        test.tables = tables(&mut connection).await?;
        if test.tables.is_empty() {
            test.failures.push("there is no table in it".to_owned());
        }
        test.unvalidated = sqlx::query_scalar(UNVALIDATED)
            .fetch_all(&mut connection)
            .await
            .map_err(failed(TEST))?;
        let names: Vec<String> = listed(&mut connection).await?.into_keys().collect();
        connection.close().await.map_err(failed(TEST))?;
        self.audit(&database, test).await;
        if let Some(live) = live {
            let compared = compare(live, &names, test).await;
            test.not_compared = compared.err().map(|cause| cause.to_string());
        }
        Ok(())
    }

    /// A dump names roles and does not make them: what is missing is made, and the restore begun anew.
    async fn restore(
        &self,
        dump: &std::path::Path,
        copy: &BackupCopy,
        test: &mut RestoreTest,
    ) -> Result<Said> {
        for _ in 0..ROUNDS {
            self.clean().await?;
            let before = self.clock.monotonic();
            let said = restore(
                &self.programs,
                copy.kind,
                dump,
                &self.admin,
                DATABASE,
                &*self.masker,
            )
            .await?;
            test.took = self.clock.monotonic().saturating_sub(before);
            if said.missing_roles.is_empty() {
                return Ok(said);
            }
            let mut connection = self.connect("postgres").await?;
            for role in &said.missing_roles {
                let statement = format!("create role {} nologin", quoted(role));
                let made = connection.execute(AssertSqlSafe(statement)).await;
                if let Err(cause) = made
                    && !is_there(&cause)
                {
                    return Err(failed(TEST)(cause));
                }
            }
            connection.close().await.map_err(failed(TEST))?;
        }
        Err(error(ErrorKind::InvalidInput, TEST).context("dump", "names too many roles that are not there"))
    }

    /// Every database but those of the server itself is gone, and an empty one is there.
    async fn clean(&self) -> Result<()> {
        let mut connection = self.connect("postgres").await?;
        for database in others(&mut connection).await? {
            let statement = format!("drop database {} with (force)", quoted(&database));
            connection
                .execute(AssertSqlSafe(statement))
                .await
                .map_err(failed(TEST))?;
        }
        let statement = format!("create database {DATABASE} template template0 encoding 'UTF8'");
        connection
            .execute(AssertSqlSafe(statement))
            .await
            .map_err(failed(TEST))?;
        connection.close().await.map_err(failed(TEST))
    }

    /// A plain dump may make a database of its own and go there.
    async fn restored(&self, copy: &BackupCopy) -> Result<String> {
        let mut connection = self.connect("postgres").await?;
        let others = others(&mut connection).await?;
        connection.close().await.map_err(failed(TEST))?;
        let named = copy.database.as_ref().filter(|named| others.contains(named));
        Ok(named.cloned().unwrap_or_else(|| DATABASE.to_owned()))
    }

    /// Verifies the chains of all tenants, if there is an audit trail in the copy.
    async fn audit(&self, database: &str, test: &mut RestoreTest) {
        match self.verify(database, &mut test.failures).await {
            Ok(records) => test.audit_records = records,
            Err(cause) => test
                .failures
                .push(format!("the audit trail in it cannot be verified: {cause}")),
        }
    }

    async fn verify(&self, database: &str, failures: &mut Vec<String>) -> Result<Option<u64>> {
        let mut connection = self.connect(database).await?;
        let there: bool = sqlx::query_scalar("select to_regclass('ops.audit_head') is not null")
            .fetch_one(&mut connection)
            .await
            .map_err(failed(TEST))?;
        if !there {
            return Ok(None);
        }
        let tenants: Vec<String> = sqlx::query_scalar(TENANTS)
            .fetch_all(&mut connection)
            .await
            .map_err(failed(TEST))?;
        connection.close().await.map_err(failed(TEST))?;
        let store = PostgresStore::connect(&self.url(database)).await?;
        // The copy may be of an older version of this program.
        store.migrate().await?;
        let audit = PostgresAuditStore::unchecked(&store);
        let mut records = 0;
        for tenant in tenants {
            let report = audit.verify(&TenantId::new(tenant)?).await?;
            records += report.records;
            if !report.faults.is_empty() {
                failures.push(format!(
                    "the audit trail in it has {} faults",
                    report.faults.len()
                ));
            }
        }
        store.close().await;
        Ok(Some(records))
    }

    fn url(&self, database: &str) -> SecretString {
        SecretString::from(self.admin.clone().database(database).to_url_lossy().to_string())
    }

    async fn connect(&self, database: &str) -> Result<PgConnection> {
        let options = self.admin.clone().database(database);
        PgConnection::connect_with(&options).await.map_err(failed(TEST))
    }
}

/// A role of that name was made meanwhile, by the dump itself too.
fn is_there(cause: &sqlx::Error) -> bool {
    let code = cause.as_database_error().and_then(|error| error.code());
    code.as_deref() == Some("42710")
}

async fn others(connection: &mut PgConnection) -> Result<Vec<String>> {
    sqlx::query_scalar(
        "select datname::text from pg_database where not datistemplate and datname <> 'postgres'",
    )
    .fetch_all(connection)
    .await
    .map_err(failed(TEST))
}

/// Every table that holds rows, with their number.
async fn tables(connection: &mut PgConnection) -> Result<Vec<RestoredTable>> {
    let found: Vec<(String, String)> = sqlx::query_as(STORED)
        .fetch_all(&mut *connection)
        .await
        .map_err(failed(TEST))?;
    let mut tables = Vec::new();
    for (schema, name) in found {
        let statement = format!("select count(*) from only {}.{}", quoted(&schema), quoted(&name));
        let rows = sqlx::query_scalar(AssertSqlSafe(statement))
            .fetch_one(&mut *connection)
            .await
            .map_err(failed(TEST))?;
        tables.push(RestoredTable::new(format!("{schema}.{name}"), rows));
    }
    Ok(tables)
}

/// The tables that people made, with an estimate of their rows: partitions come and go by themselves, and our own tables come with a new version
/// of this program; both are left out.
async fn listed(connection: &mut PgConnection) -> Result<BTreeMap<String, i64>> {
    let found: Vec<(String, i64)> = sqlx::query_as(LISTED)
        .fetch_all(connection)
        .await
        .map_err(failed(TEST))?;
    Ok(found.into_iter().collect())
}

/// A live database that does not answer keeps nobody waiting.
async fn compare(live: &SecretString, names: &[String], test: &mut RestoreTest) -> Result<()> {
    let late = |_| error(ErrorKind::Timeout, TEST).context("database", "no answer in time");
    let comparing = tokio::time::timeout(PATIENCE, compare_all(live, names, test));
    comparing.await.map_err(late)?
}

async fn compare_all(live: &SecretString, names: &[String], test: &mut RestoreTest) -> Result<()> {
    let options = options(live)?.application_name("ops-backups").options([
        ("default_transaction_read_only", "on"),
        ("statement_timeout", "10s"),
    ]);
    let mut connection = PgConnection::connect_with(&options).await.map_err(failed(TEST))?;
    let there = listed(&mut connection).await?;
    connection.close().await.map_err(failed(TEST))?;
    test.missing = there
        .keys()
        .filter(|name| !names.contains(name))
        .cloned()
        .collect();
    test.extra = names
        .iter()
        .filter(|name| !there.contains_key(*name))
        .cloned()
        .collect();
    for table in &mut test.tables {
        table.live_rows = there.get(&table.name).copied().filter(|rows| *rows >= 0);
    }
    test.compared = true;
    Ok(())
}

pub(super) const TEST: &str = "test a restore";
const DATABASE: &str = "restored";
const ROUNDS: usize = 64;
const PATIENCE: Duration = Duration::from_secs(15);

// One whose head was left out, or whose records were, shows by the other.
const TENANTS: &str = "select tenant from ops.audit_head union select tenant from ops.audit_log order by 1";

const STORED: &str = "
select n.nspname::text, c.relname::text from pg_class c join pg_namespace n on n.oid = c.relnamespace
where c.relkind = 'r' and n.nspname <> 'information_schema' and n.nspname !~ '^pg_' order by 1, 2";

const LISTED: &str = "
select n.nspname || '.' || c.relname, c.reltuples::bigint from pg_class c join pg_namespace n on n.oid = c.relnamespace
where c.relkind in ('r', 'p') and not c.relispartition and n.nspname <> 'information_schema' and n.nspname !~ '^pg_'
  and n.nspname <> 'ops' and c.relpersistence = 'p'";

const UNVALIDATED: &str = "
select conrelid::regclass::text || '.' || conname from pg_constraint where not convalidated order by 1";

#[cfg(test)]
mod tests {
    use ops_core::model::{RunId, Timestamp};

    use super::*;

    /// It takes connections, and says nothing.
    #[tokio::test(start_paused = true)]
    async fn a_live_database_that_does_not_answer_is_not_waited_for() {
        let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = silent.local_addr().unwrap().port();
        let live = SecretString::from(format!("postgres://me@127.0.0.1:{port}/x"));
        let at = Timestamp::UNIX_EPOCH;
        let mut test = RestoreTest::new(RunId::generate(at), at, "dump");
        let late = compare(&live, &[], &mut test).await.unwrap_err();
        assert_eq!((late.kind(), test.compared), (ErrorKind::Timeout, false));
    }
}
