//! Read-only mode that holds for sessions already open and against a session's own settings.

mod access;
mod catalog;
mod caveats;
mod missing;
mod readiness;
mod risks;
mod sessions;
mod settings;
mod snapshot;
mod statements;
mod stop;

use std::collections::BTreeSet;

use async_trait::async_trait;
use ops_core::error::{ErrorKind, Result};
use ops_core::model::{Accepted, IdempotencyKey, Observation, Snapshot, TargetId, TargetState, Verdict};
use ops_core::ports::{DatabaseCapability, DatabaseGuard};
use sqlx::{AssertSqlSafe, PgTransaction};

use self::access::{AccessMap, Object};
use self::caveats::Evidence;
use self::missing::Missing;
pub use self::readiness::PostgresReadiness;
use self::risks::Risks;
use self::sessions::OpenWork;
use self::settings::Settings;
use self::snapshot::Prior;
use self::stop::Stop;
use crate::PostgresStore;
use crate::error::{error, failed};

/// Makes the database of a [`PostgresStore`] read-only and puts everything back.
///
/// # What it does
/// PostgreSQL's own read-only default is a seat belt: it does not reach open sessions, and any session may unset it. So the
/// write privileges on all tables, partitions, views, sequences and schemas are taken from every role that is neither
/// superuser nor exempt, owners and `PUBLIC` included. Then the database's default is set and the other sessions are ended, so
/// that no transaction that has already written can commit. In the schema `ops` our own tables, and the owner's right to make
/// more of them, stay as they are.
///
/// The privileges are taken in one transaction where nothing stands in the way. Otherwise the other sessions are ended first, and
/// then each object by itself, within about four seconds in all. What is held up by a transaction that cannot be ended, or is
/// refused by the server (an event trigger, a schema without `USAGE`), is named in the error: `Timeout` when waiting can help,
/// else the first refusal. The rest stays in force, and a repetition goes on from there.
///
/// # Who counts as a writer
/// A role, neither superuser nor exempt, with any write privilege that is left, or that logs in here and may become
/// (`SET ROLE`) a role that has one: a superuser, a member of `pg_write_all_data`, an exempt role with privileges on covered
/// tables. Memberships are not taken: as long as there is such a role, the state is `PartlyStopped` and a caveat names it.
///
/// A prepared transaction of anybody but an exempt role keeps the stop from being settled: it can be committed at any time, and
/// nothing tells what it has written. Commit it or roll it back.
///
/// # What it needs
/// The connected role must be a superuser, or own the database and have the rights of the owners of everything in it. To
/// end the sessions of other roles it needs their rights or `pg_signal_backend`. What is not permitted is left out and named in a
/// `PermissionDenied`; the rest is in force, and [`observe`](DatabaseGuard::observe) tells how far it reaches.
///
/// # What is restored
/// The snapshot (`postgres-read-only/1`) holds the database's `default_transaction_read_only`, that of exempt roles in the
/// database, and every write privilege (with column, grant option and grantor) that differs from what a new object has. A
/// table, column or role that is dropped meanwhile is named in the receipt. A table that is made between `observe` and `set_read_only`
/// loses what was granted on it to others than its owner.
#[derive(Clone, Debug)]
pub struct PostgresDatabaseGuard {
    store: PostgresStore,
    exempt: Vec<String>,
}

impl PostgresDatabaseGuard {
    /// A guard of the database that `store` is connected to.
    pub fn new(store: &PostgresStore) -> Self {
        Self {
            store: store.clone(),
            exempt: Vec::new(),
        }
    }

    /// Lets `role` (the audit writer) go on writing: its privileges and sessions are left alone.
    ///
    /// It cannot add a row that refers to a covered table: PostgreSQL checks a foreign key with the rights of the owner of that
    /// table, who has lost them. A caveat names the tables concerned. Row security that has a role pass by (`BYPASSRLS`)
    /// is left as it is.
    #[must_use]
    pub fn with_exempt_role(mut self, role: impl Into<String>) -> Self {
        let role = role.into();
        if !self.exempt.contains(&role) {
            self.exempt.push(role);
        }
        self
    }

    /// The target id of a database: `postgres:` and its name.
    ///
    /// # Errors
    /// `InvalidInput` for a name that a target id cannot hold.
    pub fn target(database: &str) -> Result<TargetId> {
        TargetId::new(format!("{SYSTEM}:{database}"))
    }

    fn check_target(&self, target: &TargetId, operation: &'static str) -> Result<()> {
        if target.system() == SYSTEM && target.name() == self.store.database() {
            return Ok(());
        }
        Err(error(ErrorKind::NotFound, operation)
            .context("target", target.as_str())
            .context("connected to", self.store.database()))
    }

    async fn begin(&self, kind: &'static str, operation: &'static str) -> Result<PgTransaction<'static>> {
        self.store
            .pool()
            .begin_with(kind)
            .await
            .map_err(failed(operation))
    }

    async fn read(&self, target: &TargetId) -> Result<Observation> {
        let mut transaction = self
            .begin("begin isolation level repeatable read read only", OBSERVE)
            .await?;
        let settings = Settings::read(&mut transaction, &self.exempt, OBSERVE).await?;
        let access = catalog::access(&mut transaction, OBSERVE).await?;
        let roles = catalog::roles(&mut transaction, &self.exempt, OBSERVE).await?;
        let writers = catalog::writers(&mut transaction, &self.exempt, OBSERVE).await?;
        let marker = settings::marker(&mut transaction, OBSERVE).await?;
        let open = OpenWork::read(&mut transaction, self.store.session_name(), &self.exempt, OBSERVE).await?;
        let risks = Risks::read(&mut transaction, &self.exempt, OBSERVE).await?;

        let state = state_of(&settings, &access, &writers, marker.is_some());
        let snapshot = snapshot::take(target, &settings, &access, OBSERVE)?;
        let evidence = Evidence {
            settings: &settings,
            access: &access,
            roles: &roles,
            exempt: &self.exempt,
            writers: &writers,
            open,
            risks: &risks,
        };
        let mut observation = Observation::new(snapshot, state)
            .with_marker(marker)
            .with_settled(settled(state, open));
        for caveat in caveats::of(&evidence) {
            observation = observation.with_caveat(caveat);
        }
        Ok(observation)
    }

    async fn put_back(&self, prior: &Prior) -> Result<Accepted> {
        let database = self.store.database();
        let exempt: Vec<_> = prior.roles.keys().cloned().collect();

        let mut transaction = self.begin("begin read write", RESTORE).await?;
        let settings = Settings::read(&mut transaction, &exempt, RESTORE).await?;
        let access = catalog::access(&mut transaction, RESTORE).await?;
        let roles = catalog::roles(&mut transaction, &exempt, RESTORE).await?;
        let columns = catalog::columns(&mut transaction, &prior.tables_with_columns(), RESTORE).await?;
        let mut work = statements::restoration(database, &prior.privileges, &access, &columns, &roles);

        run(&mut transaction, work.chunks(CHUNK), RESTORE).await?;
        for (role, value) in &prior.roles {
            match settings.roles.get(role) {
                None => {
                    work.gone.insert(format!("role {role}"));
                }
                Some(now) if now == value => {}
                Some(_) => {
                    let value = value.as_deref();
                    if !settings::set_role(&mut transaction, database, role, value, RESTORE).await? {
                        work.missing.right(format!("the right to alter role {role}"));
                    }
                }
            }
        }
        if settings.database != prior.database {
            if settings.controlled {
                settings::set_database(&mut transaction, database, prior.database.as_deref(), RESTORE)
                    .await?;
            } else {
                work.missing.right("ownership of the database");
            }
        }
        if work.missing.is_empty() {
            settings::mark(&mut transaction, None, RESTORE).await?;
        }
        transaction.commit().await.map_err(failed(RESTORE))?;
        permitted(&work.missing, RESTORE)?;
        if work.gone.is_empty() {
            return Ok(Accepted::new());
        }
        Ok(Accepted::with_receipt(format!(
            "left out, gone meanwhile: {}",
            joined(&work.gone)
        )))
    }
}

#[async_trait]
impl DatabaseGuard for PostgresDatabaseGuard {
    fn capability(&self) -> DatabaseCapability {
        let mut capability = DatabaseCapability::default();
        capability.covers_open_sessions = true;
        capability.withstands_session_settings = true;
        capability.limitations = caveats::limitations();
        capability
    }

    async fn observe(&self, target: &TargetId) -> Result<Observation> {
        self.check_target(target, OBSERVE)?;
        self.read(target).await
    }

    async fn set_read_only(&self, target: &TargetId, key: &IdempotencyKey) -> Result<Accepted> {
        self.check_target(target, STOP)?;
        Stop::new(&self.store, &self.exempt).run(key).await?;
        Ok(Accepted::new())
    }

    async fn restore(&self, prior: &Snapshot, _key: &IdempotencyKey) -> Result<Accepted> {
        self.check_target(prior.target(), RESTORE)?;
        let prior = Prior::read(prior, RESTORE)?;
        match self.put_back(&prior).await {
            // Dropped or changed between reading and writing: reading again tells.
            Err(cause) if matches!(cause.kind(), ErrorKind::InvalidConfig | ErrorKind::Conflict) => {
                self.put_back(&prior).await
            }
            done => done,
        }
    }
}

async fn run(
    transaction: &mut PgTransaction<'_>,
    chunks: impl IntoIterator<Item = String>,
    operation: &'static str,
) -> Result<()> {
    for chunk in chunks {
        sqlx::raw_sql(AssertSqlSafe(chunk))
            .execute(&mut **transaction)
            .await
            .map_err(failed(operation))?;
    }
    Ok(())
}

fn state_of(settings: &Settings, access: &AccessMap, writers: &[String], marked: bool) -> TargetState {
    match (settings.is_read_only(), writers.is_empty()) {
        (true, true) => TargetState::Stopped,
        (true, false) => TargetState::PartlyStopped,
        (false, _) if marked => TargetState::PartlyStopped,
        (false, true) if access.iter().any(is_closed) => TargetState::PartlyStopped,
        (false, _) => TargetState::Serving,
    }
}

/// Not even the owner may write: what the stop leaves, and hardly anybody else.
fn is_closed((object, access): (&Object, &access::Access)) -> bool {
    matches!(object, Object::Table(..)) && access.grants.is_empty()
}

/// A transaction that wrote before the privileges were taken may still commit, and a prepared one at any time.
fn settled(state: TargetState, open: OpenWork) -> Verdict {
    if state != TargetState::Stopped || open.writing + open.prepared == 0 {
        return Verdict::Holds;
    }
    Verdict::not_yet(format!(
        "{} transactions that have written are still open, and {} are prepared and may be committed",
        open.writing, open.prepared
    ))
}

fn permitted(missing: &Missing, operation: &'static str) -> Result<()> {
    if missing.is_empty() {
        return Ok(());
    }
    Err(error(ErrorKind::PermissionDenied, operation).context("missing", missing.to_string()))
}

fn joined(names: &BTreeSet<String>) -> String {
    let shown: Vec<_> = names.iter().take(SHOWN).map(String::as_str).collect();
    let more = names.len() - shown.len();
    let more = if more > 0 {
        format!(", and {more} more")
    } else {
        String::new()
    };
    shown.join(", ") + &more
}

const SYSTEM: &str = "postgres";
const OBSERVE: &str = "observe";
const STOP: &str = "set read-only";
const RESTORE: &str = "restore";
/// Objects whose statements are sent at once.
const CHUNK: usize = 200;
const SHOWN: usize = 5;
