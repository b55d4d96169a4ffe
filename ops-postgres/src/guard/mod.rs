//! Read-only mode that holds for sessions already open and against a session's own settings.

mod access;
mod catalog;
mod caveats;
mod drain;
mod missing;
mod order;
mod probe;
mod readiness;
mod risks;
mod sessions;
mod settings;
mod snapshot;
mod statements;
mod stop;

use std::collections::BTreeSet;
use std::time::Duration;

use async_trait::async_trait;
use ops_core::error::{ErrorKind, Result};
use ops_core::model::{
    Accepted, IdempotencyKey, Observation, ReadOnlyStrength, SessionMatch, Snapshot, TargetId, TargetState,
    Verdict,
};
use ops_core::ports::{DatabaseCapability, DatabaseGuard};
use sqlx::{AssertSqlSafe, PgConnection, PgTransaction};
use tokio::time::timeout;

use self::access::{AccessMap, Object};
use self::caveats::Evidence;
use self::missing::Missing;

pub use self::probe::WriteProbe;
pub use self::readiness::PostgresReadiness;
use self::risks::Risks;
use self::sessions::{LeftAlone, OpenWork};
use self::settings::Settings;
use self::snapshot::Prior;
use self::stop::Stop;
use crate::PostgresStore;
use crate::error::{error, failed};

/// Makes the database of a [`PostgresStore`] read-only and puts everything back.
///
/// # What it does
/// Three strengths ([`with_strength`](Self::with_strength)):
///
/// | | what it does | what it cannot stop, beside superusers |
/// |---|---|---|
/// | `Brake` | the read-only default of the database, and of roles that have set themselves another | sessions that are open; any session that lifts it for itself |
/// | `Strict` | also ends the other sessions, and locks each table once against writers: proof that what had written is over | a new session that lifts it for itself, or for others behind the same transaction pooler |
/// | `Wall`, the default | also takes the privileges to write | owners that grant themselves the privileges again |
///
/// None stops writes of large objects, into temporary tables that are there, or through `dblink`, and none keeps prepared transactions from
/// being committed. They are named, and rolled back only [if asked](Self::rolling_back_prepared).
///
/// # The wall
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
/// For the weaker strengths, a role whose own setting beats the database's. For the wall, a role, neither superuser nor exempt, with any write privilege that is left, or that logs in here and may become
/// (`SET ROLE`) a role that has one: a superuser, a member of `pg_write_all_data`, an exempt role with privileges on covered
/// tables. Memberships are not taken: as long as there is such a role, the state is `PartlyStopped` and a caveat names it.
///
/// A prepared transaction of anybody but an exempt role keeps the stop from being settled: it can be committed at any time, and
/// nothing tells what it has written. Commit it or roll it back.
///
/// # What it needs
/// For the weaker strengths, ownership of the database; to change the setting of another role, `CREATEROLE` or membership in it. For the
/// wall, the connected role must be a superuser, or own the database and have the rights of the owners of everything in it. To
/// end the sessions of other roles it needs their rights or `pg_signal_backend`. What is not permitted is left out and named in a
/// `PermissionDenied`; the rest is in force, and [`observe`](DatabaseGuard::observe) tells how far it reaches.
///
/// # What is restored
/// Whatever the strength, the snapshot (`postgres-read-only/1`) holds the database's `default_transaction_read_only`, that of roles in the
/// database, and every write privilege (with column, grant option and grantor) that differs from what a new object has. A
/// table, column or role that is dropped meanwhile is named in the receipt. A table that is made between `observe` and `set_read_only`
/// loses what was granted on it to others than its owner.
#[derive(Clone, Debug)]
pub struct PostgresDatabaseGuard {
    store: PostgresStore,
    exempt: Vec<String>,
    strength: ReadOnlyStrength,
    spared: Vec<SessionMatch>,
    rolls_back_prepared: bool,
    probe: Option<WriteProbe>,
}

impl PostgresDatabaseGuard {
    /// A guard of the database that `store` is connected to.
    pub fn new(store: &PostgresStore) -> Self {
        Self {
            store: store.clone(),
            exempt: Vec::new(),
            strength: ReadOnlyStrength::default(),
            spared: vec![SessionMatch::application("pg_dump")],
            rolls_back_prepared: false,
            probe: None,
        }
    }

    /// How much the mode is to withstand. Default: [`Wall`](ReadOnlyStrength::Wall).
    #[must_use]
    pub fn with_strength(mut self, strength: ReadOnlyStrength) -> Self {
        self.strength = strength;
        self
    }

    /// Does not end sessions of these kinds, as long as their transaction has written nothing: a running export, say. Default: `pg_dump`.
    /// Walsenders are never ended.
    #[must_use]
    pub fn with_spared(mut self, spared: impl IntoIterator<Item = SessionMatch>) -> Self {
        self.spared = spared.into_iter().collect();
        self
    }

    /// Rolls back what others than exempt roles have prepared (`PREPARE TRANSACTION`), with `Strict` and `Wall`. Nothing brings it back, so
    /// by default it is only named, and keeps the stop from being settled.
    #[must_use]
    pub fn rolling_back_prepared(mut self, rolls_back: bool) -> Self {
        self.rolls_back_prepared = rolls_back;
        self
    }

    /// Has every observation of a mode in force try real writes, and say what became of each.
    #[must_use]
    pub fn with_probe(mut self, probe: WriteProbe) -> Self {
        self.probe = Some(probe);
        self
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

    fn left_alone(&self) -> LeftAlone<'_> {
        LeftAlone {
            ours: self.store.session_name(),
            exempt: &self.exempt,
            spared: &self.spared,
        }
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
        let access = catalog::access(&mut transaction, OBSERVE).await?;
        let roles = catalog::roles(&mut transaction, &self.exempt, OBSERVE).await?;
        let writers = catalog::writers(&mut transaction, &self.exempt, OBSERVE).await?;
        let settings = Settings::read(&mut transaction, &self.exempt, &writers, OBSERVE).await?;
        let marker = settings::marker(&mut transaction, OBSERVE).await?;
        let open = OpenWork::read(&mut transaction, self.left_alone(), OBSERVE).await?;
        let risks = Risks::read(&mut transaction, &self.exempt, OBSERVE).await?;
        drop(transaction);

        let mut state = self.state_of(&settings, &access, &writers, marker.is_some());
        let tried = match &self.probe {
            Some(probe) => probe.run(state).await,
            None => Vec::new(),
        };
        if state == TargetState::Stopped && tried.iter().any(|tried| tried.got_past(self.strength)) {
            state = TargetState::PartlyStopped;
        }
        let snapshot = snapshot::take(target, &settings, &access, OBSERVE)?;
        let evidence = Evidence {
            strength: self.strength,
            settings: &settings,
            access: &access,
            roles: &roles,
            exempt: &self.exempt,
            writers: &writers,
            open,
            risks: &risks,
            tried: &tried,
        };
        let mut observation = Observation::new(snapshot, state)
            .with_marker(marker.as_ref().and_then(settings::Marker::run))
            .with_settled(self.settled(state, open));
        for caveat in caveats::of(&evidence) {
            observation = observation.with_caveat(caveat);
        }
        Ok(observation)
    }

    fn state_of(
        &self,
        settings: &Settings,
        access: &AccessMap,
        writers: &[String],
        marked: bool,
    ) -> TargetState {
        let open = match self.strength {
            ReadOnlyStrength::Wall => !writers.is_empty(),
            ReadOnlyStrength::Brake | ReadOnlyStrength::Strict => settings.overriding().next().is_some(),
        };
        match (settings.is_read_only(), open) {
            (true, false) => TargetState::Stopped,
            (true, true) => TargetState::PartlyStopped,
            (false, _) if marked => TargetState::PartlyStopped,
            (false, _) if writers.is_empty() && access.iter().any(is_closed) => TargetState::PartlyStopped,
            (false, _) => TargetState::Serving,
        }
    }

    /// A transaction that wrote before the privileges were taken may still commit, and a prepared one at any time; where none are taken, a
    /// session from before may go on.
    fn settled(&self, state: TargetState, open: OpenWork) -> Verdict {
        let older = match self.strength {
            ReadOnlyStrength::Brake => return Verdict::Holds,
            ReadOnlyStrength::Strict => open.older,
            ReadOnlyStrength::Wall => 0,
        };
        if state != TargetState::Stopped || open.writing + open.prepared + older == 0 {
            return Verdict::Holds;
        }
        let mut reason = format!(
            "{} transactions that have written are still open, and {} are prepared and may be committed",
            open.writing, open.prepared
        );
        if older > 0 {
            reason += &format!("; {older} sessions from before are still open");
        }
        Verdict::not_yet(reason)
    }

    async fn put_back(&self, prior: &Prior) -> Result<Accepted> {
        let database = self.store.database();
        let exempt: Vec<_> = prior.roles.keys().cloned().collect();

        let mut transaction = self.begin("begin read write", RESTORE).await?;
        let settings = Settings::read(&mut transaction, &exempt, &[], RESTORE).await?;
        let access = catalog::access(&mut transaction, RESTORE).await?;
        let access = with_ours_that_were_closed(&mut transaction, access, prior).await?;
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
        // What the mode set for roles that the snapshot does not know.
        let mut own = settings::noted(&mut transaction, RESTORE).await?;
        own.retain(|role, _| !prior.roles.contains_key(role));
        own.extend(prior.own.clone());
        for (role, value) in &own {
            let now = settings.own.get(role).and_then(|own| own.here.as_ref());
            if now == value.as_ref() {
                continue;
            }
            if roles.get(role).is_none() {
                work.gone.insert(format!("role {role}"));
            } else if !settings::set_role(&mut transaction, database, role, value.as_deref(), RESTORE).await?
            {
                work.missing.right(format!("the right to alter role {role}"));
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
            settings::unmark(&mut transaction, RESTORE).await?;
            settings::forget_settings(&mut transaction, RESTORE).await?;
        }
        transaction.commit().await.map_err(failed(RESTORE))?;
        permitted(&work.missing, RESTORE)?;
        self.put_order_back().await;
        if work.gone.is_empty() {
            return Ok(Accepted::new());
        }
        Ok(Accepted::with_receipt(format!(
            "left out, gone meanwhile: {}",
            joined(&work.gone)
        )))
    }

    /// For the eye: everything is restored without it.
    async fn put_order_back(&self) {
        let pool = self.store.pool();
        match timeout(ORDERING, order::put_back(pool, self.store.database(), RESTORE)).await {
            Ok(Ok(())) => return,
            Ok(Err(cause)) => tracing::warn!(%cause, "the order of privileges stays as it is"),
            Err(_) => tracing::warn!("the order of privileges stays as it is: no time"),
        }
        if let Ok(Err(cause)) = timeout(FORGETTING, order::forget(pool, RESTORE)).await {
            tracing::debug!(%cause, "the order of privileges is still kept");
        }
    }
}

#[async_trait]
impl DatabaseGuard for PostgresDatabaseGuard {
    fn capability(&self) -> DatabaseCapability {
        let mut capability = DatabaseCapability::default();
        capability.strength = self.strength;
        capability.covers_open_sessions = self.strength >= ReadOnlyStrength::Strict;
        capability.withstands_session_settings = self.strength >= ReadOnlyStrength::Wall;
        capability.throws_away = self.rolls_back_prepared && self.strength >= ReadOnlyStrength::Strict;
        capability.limitations = caveats::limitations(self.strength, capability.throws_away);
        capability
    }

    async fn observe(&self, target: &TargetId) -> Result<Observation> {
        self.check_target(target, OBSERVE)?;
        self.read(target).await
    }

    async fn set_read_only(&self, target: &TargetId, key: &IdempotencyKey) -> Result<Accepted> {
        self.check_target(target, STOP)?;
        let found = Stop::new(self).run(key).await?;
        Ok(found.map_or_else(Accepted::new, Accepted::with_receipt))
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

/// For what changes rows of the application in our sessions, which the mode does not hold back.
///
/// # Errors
/// `Conflict` while the database is in read-only mode, by its default or by the marker of a run.
pub(crate) async fn refuse_while_read_only(
    connection: &mut PgConnection,
    operation: &'static str,
) -> Result<()> {
    if settings::is_read_only(connection, operation).await? {
        return Err(error(ErrorKind::Conflict, operation)
            .context("reason", "the database is in read-only mode")
            .context("remedy", "wait until it is open again (opsctl db status)"));
    }
    Ok(())
}

/// Commits, unless the mode has begun while `transaction` did its work or waited for it.
///
/// # Errors
/// As [`refuse_while_read_only`]; then nothing of it stays.
pub(crate) async fn commit_unless_read_only(
    mut transaction: PgTransaction<'_>,
    operation: &'static str,
) -> Result<()> {
    refuse_while_read_only(&mut transaction, operation).await?;
    transaction.commit().await.map_err(failed(operation))
}

/// Earlier versions took the privileges on some of our own tables too. Where they did, those are put back as well.
async fn with_ours_that_were_closed(
    transaction: &mut PgTransaction<'_>,
    mut covered: AccessMap,
    prior: &Prior,
) -> Result<AccessMap> {
    for (object, access) in catalog::access_to_all(transaction, RESTORE).await? {
        if prior.privileges.contains_key(&object) || is_closed((&object, &access)) {
            covered.entry(object).or_insert(access);
        }
    }
    Ok(covered)
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

/// Not even the owner may write: what the stop leaves, and hardly anybody else.
fn is_closed((object, access): (&Object, &access::Access)) -> bool {
    matches!(object, Object::Table(..)) && access.grants.is_empty()
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
/// For the order of privileges, after everything else of a restore.
const ORDERING: Duration = Duration::from_secs(5);
const FORGETTING: Duration = Duration::from_secs(1);
