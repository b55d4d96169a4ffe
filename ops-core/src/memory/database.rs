use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::lock;
use super::plug::Plug;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{
    Accepted, IdempotencyKey, Observation, ReadOnlyStrength, RunId, Snapshot, TargetId, TargetState, Text,
};
use crate::ports::{DatabaseCapability, DatabaseGuard};

/// A database in memory that can be made read-only.
///
/// Each role has an access of its own or that of the database. Read-only mode takes writing from the database and from every
/// role that is not exempt, also in sessions that are open already. A session's own setting can make it stricter, never looser.
/// So it is with the strength [`Wall`](ReadOnlyStrength::Wall), the default; the weaker ones change what a new session begins with,
/// and `Strict` ends those that are open. Clones are the same database, each with a strength of its own.
///
/// ```
/// use ops_core::memory::InMemoryDatabase;
///
/// let database = InMemoryDatabase::new().with_exempt("audit");
/// let session = database.open_session("app");
/// session.write()?;
/// assert_eq!(database.writes(), 1);
/// # Ok::<(), ops_core::error::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct InMemoryDatabase {
    target: TargetId,
    exempt: BTreeSet<String>,
    strength: ReadOnlyStrength,
    tables: Arc<Mutex<Tables>>,
    plug: Plug,
}

#[derive(Debug)]
struct Tables {
    database: Access,
    /// What a new session begins with.
    default: Access,
    /// Sessions of an earlier age were ended.
    age: u64,
    roles: BTreeMap<String, Access>,
    marker: Option<RunId>,
    writes: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Access {
    ReadWrite,
    ReadOnly,
}

impl InMemoryDatabase {
    /// A writable database with the target id `memory:database`.
    pub fn new() -> Self {
        let Ok(target) = TargetId::new("memory:database") else {
            unreachable!("the id is a valid constant")
        };
        Self::named(target)
    }

    /// A writable database with this target id.
    pub fn named(target: TargetId) -> Self {
        let tables = Tables {
            database: Access::ReadWrite,
            default: Access::ReadWrite,
            age: 0,
            roles: BTreeMap::new(),
            marker: None,
            writes: 0,
        };
        Self {
            target,
            exempt: BTreeSet::new(),
            strength: ReadOnlyStrength::default(),
            tables: Arc::new(Mutex::new(tables)),
            plug: Plug::default(),
        }
    }

    /// Lets `role` go on writing in read-only mode.
    #[must_use]
    pub fn with_exempt(mut self, role: impl Into<String>) -> Self {
        self.exempt.insert(role.into());
        self
    }

    /// How much the mode is to withstand. Default: [`Wall`](ReadOnlyStrength::Wall).
    #[must_use]
    pub fn with_strength(mut self, strength: ReadOnlyStrength) -> Self {
        self.strength = strength;
        self
    }

    /// The target id of this database.
    pub fn target(&self) -> &TargetId {
        &self.target
    }

    /// Opens a session. It stays open, whatever happens to the database.
    pub fn open_session(&self, role: impl Into<String>) -> Session {
        let role = role.into();
        let tables = lock(&self.tables);
        Session {
            read_only: Mutex::new(tables.default == Access::ReadOnly && !self.exempt.contains(&role)),
            age: (!self.exempt.contains(&role)).then_some(tables.age),
            role,
            tables: Arc::clone(&self.tables),
        }
    }

    /// Takes writing from one role by hand, as an administrator would.
    pub fn revoke_writes(&self, role: impl Into<String>) {
        lock(&self.tables).roles.insert(role.into(), Access::ReadOnly);
    }

    /// Gives writing to one role by hand, whatever the database allows.
    pub fn grant_writes(&self, role: impl Into<String>) {
        lock(&self.tables).roles.insert(role.into(), Access::ReadWrite);
    }

    /// How many writes succeeded.
    pub fn writes(&self) -> u64 {
        lock(&self.tables).writes
    }

    /// Pulls the plug (`false`) or puts it back. Sessions that are open do not notice.
    pub fn set_reachable(&self, reachable: bool) {
        self.plug.set_reachable(reachable);
    }

    fn check(&self, target: &TargetId, operation: &'static str) -> Result<()> {
        self.plug.check(operation)?;
        if *target != self.target {
            return Err(Error::new(ErrorKind::NotFound, operation)
                .provider("memory")
                .context("target", target.as_str()));
        }
        Ok(())
    }
}

impl Default for InMemoryDatabase {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl DatabaseGuard for InMemoryDatabase {
    fn capability(&self) -> DatabaseCapability {
        DatabaseCapability {
            strength: self.strength,
            covers_open_sessions: self.strength >= ReadOnlyStrength::Strict,
            withstands_session_settings: self.strength >= ReadOnlyStrength::Wall,
            throws_away: false,
            limitations: match self.strength {
                ReadOnlyStrength::Wall => Vec::new(),
                _ => vec![Text::new(
                    "セッションは自分の設定で書き込みに戻せます",
                    "a session may lift the mode for itself",
                )],
            },
        }
    }

    async fn observe(&self, target: &TargetId) -> Result<Observation> {
        self.check(target, "observe")?;
        let tables = lock(&self.tables);
        // What an exempt role may do is no part of the mode: it neither counts nor is it put back.
        let covered: BTreeMap<_, _> = tables
            .roles
            .iter()
            .filter(|(role, _)| !self.exempt.contains(*role))
            .collect();
        let writers = covered
            .values()
            .filter(|access| ***access == Access::ReadWrite)
            .count();
        let walled = match (tables.database, writers) {
            (Access::ReadOnly, 0) => TargetState::Stopped,
            (Access::ReadOnly, _) => TargetState::PartlyStopped,
            (Access::ReadWrite, _) => TargetState::Serving,
        };
        let state = match (self.strength, tables.default) {
            (ReadOnlyStrength::Wall, Access::ReadOnly) if walled == TargetState::Serving => {
                TargetState::PartlyStopped
            }
            (ReadOnlyStrength::Wall, _) | (_, Access::ReadWrite) => walled,
            (_, Access::ReadOnly) => TargetState::Stopped,
        };
        let mut snapshot = Snapshot::new(target.clone(), FORMAT)
            .with_field("database", json!(tables.database))
            .with_field("roles", json!(covered));
        if tables.default == Access::ReadOnly {
            snapshot = snapshot.with_field("default", json!(tables.default));
        }
        Ok(Observation::new(snapshot, state).with_marker(tables.marker.clone()))
    }

    async fn set_read_only(&self, target: &TargetId, key: &IdempotencyKey) -> Result<Accepted> {
        self.check(target, "set read-only")?;
        let run = RunId::new(key.run())?;
        let mut tables = lock(&self.tables);
        if tables.database == Access::ReadWrite && tables.default == Access::ReadWrite {
            tables.marker = Some(run);
        }
        if self.strength == ReadOnlyStrength::Strict {
            tables.age += 1;
        }
        if self.strength < ReadOnlyStrength::Wall {
            tables.default = Access::ReadOnly;
            return Ok(Accepted::new());
        }
        tables.database = Access::ReadOnly;
        for (role, access) in &mut tables.roles {
            if !self.exempt.contains(role) {
                *access = Access::ReadOnly;
            }
        }
        // A role without an access of its own follows the database, so an exempt one needs its own.
        for role in &self.exempt {
            tables.roles.entry(role.clone()).or_insert(Access::ReadWrite);
        }
        Ok(Accepted::new())
    }

    async fn restore(&self, prior: &Snapshot, _key: &IdempotencyKey) -> Result<Accepted> {
        self.check(prior.target(), "restore")?;
        let foreign = || {
            Error::new(ErrorKind::InvalidInput, "restore")
                .provider("memory")
                .context("snapshot", format!("must have the format {FORMAT}"))
        };
        if prior.format() != FORMAT {
            return Err(foreign());
        }
        let field = |name: &str| prior.field(name).cloned().ok_or_else(foreign);
        let database = serde_json::from_value(field("database")?).map_err(|_| foreign())?;
        let roles: BTreeMap<String, Access> =
            serde_json::from_value(field("roles")?).map_err(|_| foreign())?;
        let default = match prior.field("default") {
            None => Access::ReadWrite,
            Some(value) => serde_json::from_value(value.clone()).map_err(|_| foreign())?,
        };
        let mut tables = lock(&self.tables);
        tables.database = database;
        tables.default = default;
        tables.roles.retain(|role, _| self.exempt.contains(role));
        tables.roles.extend(roles);
        tables.marker = None;
        Ok(Accepted::new())
    }
}

const FORMAT: &str = "memory-database/1";

/// An open session of one role.
#[derive(Debug)]
pub struct Session {
    role: String,
    read_only: Mutex<bool>,
    /// `None`: an exempt role's, which is never ended.
    age: Option<u64>,
    tables: Arc<Mutex<Tables>>,
}

impl Session {
    /// Writes something.
    ///
    /// # Errors
    /// [`ErrorKind::PermissionDenied`] while the role may not write, or the session began or made itself read-only;
    /// [`ErrorKind::Unavailable`] when it was ended.
    pub fn write(&self) -> Result<()> {
        let mut tables = lock(&self.tables);
        if self.age.is_some_and(|age| age < tables.age) {
            return Err(Error::new(ErrorKind::Unavailable, "write")
                .provider("memory")
                .context("session", "was ended"));
        }
        let access = tables.roles.get(&self.role).unwrap_or(&tables.database);
        if *access == Access::ReadOnly || *lock(&self.read_only) {
            return Err(Error::new(ErrorKind::PermissionDenied, "write")
                .provider("memory")
                .context("database", "is read-only for this role"));
        }
        tables.writes += 1;
        Ok(())
    }

    /// The session's own setting. `false` lifts the default it began with, and no wall.
    pub fn set_read_only(&self, read_only: bool) {
        *lock(&self.read_only) = read_only;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Timestamp;

    fn key() -> IdempotencyKey {
        IdempotencyKey::for_step(&RunId::generate(Timestamp::UNIX_EPOCH), 0)
    }

    #[tokio::test]
    async fn read_only_reaches_open_sessions_and_withstands_their_own_set() {
        let database = InMemoryDatabase::new().with_exempt("audit");
        let (app, audit) = (database.open_session("app"), database.open_session("audit"));
        database.grant_writes("app");
        app.write().unwrap();
        let prior = database.observe(database.target()).await.unwrap();

        database.set_read_only(database.target(), &key()).await.unwrap();
        assert_eq!(app.write().unwrap_err().kind(), ErrorKind::PermissionDenied);
        app.set_read_only(false);
        assert!(app.write().is_err());
        assert!(database.open_session("new").write().is_err());
        audit.write().unwrap();
        let observed = database.observe(database.target()).await.unwrap();
        assert!(observed.stopped().holds());

        database.restore(prior.snapshot(), &key()).await.unwrap();
        app.write().unwrap();
        assert_eq!(database.writes(), 3);
    }

    #[tokio::test]
    async fn a_role_that_was_read_only_before_stays_so_after_a_restore() {
        let database = InMemoryDatabase::new();
        database.revoke_writes("report");
        let prior = database.observe(database.target()).await.unwrap();
        database.set_read_only(database.target(), &key()).await.unwrap();
        database.restore(prior.snapshot(), &key()).await.unwrap();
        assert!(database.open_session("report").write().is_err());
        database.open_session("app").write().unwrap();
    }

    #[tokio::test]
    async fn one_role_that_can_write_makes_it_partly_stopped() {
        let database = InMemoryDatabase::new();
        database.set_read_only(database.target(), &key()).await.unwrap();
        database.grant_writes("app");
        let observed = database.observe(database.target()).await.unwrap();
        assert_eq!(observed.state(), TargetState::PartlyStopped);
        assert!(!observed.stopped().holds());
    }

    #[tokio::test]
    async fn each_strength_stops_what_it_says_and_the_snapshot_of_a_weaker_one_undoes_a_stronger() {
        use ReadOnlyStrength::{Brake, Strict, Wall};
        for (strength, before, lifted) in [(Brake, true, true), (Strict, false, true), (Wall, false, false)] {
            let database = InMemoryDatabase::new().with_strength(strength);
            let old = database.open_session("app");
            let prior = database.observe(database.target()).await.unwrap();
            database.set_read_only(database.target(), &key()).await.unwrap();
            let observed = database.observe(database.target()).await.unwrap();
            assert!(observed.stopped().holds(), "{strength}");
            assert_eq!(old.write().is_ok(), before, "{strength}: a session from before");
            let fresh = database.open_session("app");
            assert!(fresh.write().is_err(), "{strength}: a new session");
            fresh.set_read_only(false);
            assert_eq!(fresh.write().is_ok(), lifted, "{strength}: its own setting");

            let database = database.with_strength(Wall);
            database.set_read_only(database.target(), &key()).await.unwrap();
            database.restore(prior.snapshot(), &key()).await.unwrap();
            let after = database.observe(database.target()).await.unwrap();
            assert_eq!(
                after.snapshot().restorable_bytes(),
                prior.snapshot().restorable_bytes()
            );
            database.open_session("app").write().unwrap();
        }
    }

    #[tokio::test]
    async fn a_brake_is_only_part_of_a_wall() {
        let database = InMemoryDatabase::new().with_strength(ReadOnlyStrength::Brake);
        database.set_read_only(database.target(), &key()).await.unwrap();
        let database = database.with_strength(ReadOnlyStrength::Wall);
        let observed = database.observe(database.target()).await.unwrap();
        assert_eq!(observed.state(), TargetState::PartlyStopped);
    }
}
