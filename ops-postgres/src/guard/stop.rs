//! Takes the privileges and sets the default, however much of it is held up or refused.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ops_core::error::{Error, ErrorKind, Result};
use ops_core::model::{IdempotencyKey, ReadOnlyStrength};
use sqlx::{AssertSqlSafe, PgTransaction};
use tokio::time::{sleep, timeout, timeout_at};

use super::missing::Missing;
use super::settings::Settings;
use super::statements::{Step, Work};
use super::{
    PostgresDatabaseGuard, STOP, catalog, drain, joined, order, run, sessions, settings, statements,
};
use crate::PostgresStore;
use crate::error::{Setback, error, failed, setback};

/// One stop, and what it could not do.
#[derive(Debug)]
pub(super) struct Stop<'a> {
    store: &'a PostgresStore,
    guard: &'a PostgresDatabaseGuard,
    /// Whether there was anything to take.
    needed: bool,
    missing: Missing,
    /// Held up by somebody's open transaction, or not reached in time.
    held: BTreeSet<String>,
    refused: BTreeMap<String, Error>,
    /// Settings and marker that could not be changed.
    unset: BTreeMap<String, Error>,
}

impl<'a> Stop<'a> {
    pub(super) fn new(guard: &'a PostgresDatabaseGuard) -> Self {
        Self {
            store: &guard.store,
            guard,
            needed: false,
            missing: Missing::default(),
            held: BTreeSet::new(),
            refused: BTreeMap::new(),
            unset: BTreeMap::new(),
        }
    }

    /// What was found, in words, where something was.
    pub(super) async fn run(mut self, key: &IdempotencyKey) -> Result<Option<String>> {
        let strength = self.guard.strength;
        let mut done = match strength {
            ReadOnlyStrength::Wall => self.take().await,
            ReadOnlyStrength::Brake | ReadOnlyStrength::Strict => Ok(()),
        };
        if done.is_ok() {
            done = self.set(key).await;
        }
        let ended = match strength {
            ReadOnlyStrength::Brake => Ok(()),
            ReadOnlyStrength::Strict | ReadOnlyStrength::Wall => self.end_others().await,
        };
        done?;
        ended?;
        if !self.unset.is_empty() {
            self.set(key).await?;
        }
        let found = match strength {
            ReadOnlyStrength::Brake => None,
            ReadOnlyStrength::Strict | ReadOnlyStrength::Wall => Some(self.see_out().await?),
        };
        self.into_result()?;
        Ok(found)
    }

    /// What had begun before is over: proven as far as it can be.
    async fn see_out(&mut self) -> Result<String> {
        let pool = self.store.pool();
        let mut found = Vec::new();
        if self.guard.rolls_back_prepared {
            found.extend(drain::roll_back_prepared(pool, &self.guard.exempt, &mut self.missing).await?);
        }
        found.push(drain::prove(pool).await?);
        Ok(found.join("; "))
    }

    /// Takes what can be taken. Fails only when the connection is lost.
    async fn take(&mut self) -> Result<()> {
        if let Err(cause) = self.keep_order().await {
            tracing::warn!(%cause, "the order of the privileges is not kept");
        }
        let deadline = sleep(TAKING).deadline();
        match timeout(TOGETHER, self.take_together()).await {
            Ok(Ok(())) => return Ok(()),
            Ok(Err((Setback::Lost, cause))) => return Err(cause),
            Ok(Err((_, cause))) => tracing::warn!(%cause, "going on one by one"),
            Err(_) => tracing::warn!("too much for one transaction in time: going on one by one"),
        }
        // Whoever changes a table holds its row of the catalog until his transaction ends.
        if let Err(cause) = self.end_others().await {
            tracing::warn!(%cause, "the other sessions were not ended at first");
        }
        let Ok(taken) = timeout_at(deadline, self.take_one_by_one()).await else {
            if self.held.is_empty() {
                self.held.insert("objects that were not read in time".to_owned());
            }
            return Ok(());
        };
        taken
    }

    /// The first connection is needed in any case: its time is not counted.
    async fn keep_order(&self) -> Result<()> {
        let mut transaction = self.begin(PATIENT).await?;
        let keeping = async {
            // The server gives up, too: we may need the connection.
            let limit = format!("set local statement_timeout = {}", KEEPING.as_millis());
            run(&mut transaction, [limit], STOP).await?;
            let roles = catalog::roles(&mut transaction, &self.guard.exempt, STOP).await?;
            order::keep(&mut transaction, &roles, STOP).await?;
            transaction.commit().await.map_err(failed(STOP))
        };
        let kept = timeout(KEEPING, keeping).await;
        kept.unwrap_or_else(|_| Err(error(ErrorKind::Timeout, STOP)))
    }

    /// All or nothing.
    async fn take_together(&mut self) -> std::result::Result<(), (Setback, Error)> {
        let known = |cause: Error| (Setback::of(&cause), cause);
        let mut transaction = self.begin(PATIENT).await.map_err(known)?;
        let work = self.plan(&mut transaction).await.map_err(known)?;
        for chunk in work.chunks(CHUNK) {
            sqlx::raw_sql(AssertSqlSafe(chunk))
                .execute(&mut *transaction)
                .await
                .map_err(|cause| setback(STOP, cause))?;
        }
        transaction.commit().await.map_err(|cause| setback(STOP, cause))?;
        self.missing = work.missing;
        Ok(())
    }

    /// Each small part stays done. Every round reads anew, so that what was dropped meanwhile is no failure.
    async fn take_one_by_one(&mut self) -> Result<()> {
        for (round, lock_timeout) in [BRIEF, SHORT, SHORT].into_iter().enumerate() {
            let mut transaction = self.begin(SHORT).await?;
            let work = self.plan(&mut transaction).await?;
            transaction.rollback().await.map_err(failed(STOP))?;
            self.missing = work.missing;
            let mut left = work.steps;
            left.retain(|step| !self.refused.contains_key(&step.object));
            self.held = left.iter().map(|step| step.object.clone()).collect();
            if left.is_empty() {
                break;
            }
            if round == 0 {
                left = self.take_batches(left, lock_timeout).await?;
            }
            for step in &left {
                self.take_one(step, lock_timeout).await?;
            }
        }
        Ok(())
    }

    /// Takes what nothing stands in the way of; gives the rest.
    async fn take_batches(&mut self, steps: Vec<Step>, lock_timeout: &str) -> Result<Vec<Step>> {
        let mut left = Vec::new();
        for batch in steps.chunks(BATCH) {
            let statements: Vec<_> = batch.iter().flat_map(|step| &step.statements).collect();
            match self.at_once(&statements, lock_timeout).await {
                Ok(()) => batch.iter().for_each(|step| {
                    self.held.remove(&step.object);
                }),
                Err((Setback::Lost, cause)) => return Err(cause),
                Err(_) => left.extend(batch.iter().cloned()),
            }
        }
        Ok(left)
    }

    async fn take_one(&mut self, step: &Step, lock_timeout: &str) -> Result<()> {
        let statements: Vec<_> = step.statements.iter().collect();
        match self.at_once(&statements, lock_timeout).await {
            Ok(()) => {
                self.held.remove(&step.object);
            }
            Err((Setback::Lost, cause)) => return Err(cause),
            Err((Setback::Held | Setback::Vanished, _)) => {}
            Err((Setback::Refused, cause)) => {
                // One of several may be refused: the others are taken.
                for statement in statements.iter().filter(|_| statements.len() > 1) {
                    if let Err((Setback::Lost, cause)) = self.at_once(&[statement], lock_timeout).await {
                        return Err(cause);
                    }
                }
                self.held.remove(&step.object);
                self.refused.insert(step.object.clone(), cause);
            }
        }
        Ok(())
    }

    /// Statements sent at once are one transaction, which is over with the answer.
    async fn at_once(
        &self,
        statements: &[&String],
        lock_timeout: &str,
    ) -> std::result::Result<(), (Setback, Error)> {
        let statements: Vec<_> = statements.iter().map(|statement| statement.as_str()).collect();
        let text = format!(
            "SET LOCAL lock_timeout = '{lock_timeout}'; SET LOCAL statement_timeout = '{STATEMENT}'; {}",
            statements.join(";\n")
        );
        sqlx::raw_sql(AssertSqlSafe(text))
            .execute(self.store.pool())
            .await
            .map_err(|cause| setback(STOP, cause))?;
        Ok(())
    }

    async fn plan(&mut self, transaction: &mut PgTransaction<'_>) -> Result<Work> {
        let access = catalog::access(transaction, STOP).await?;
        let roles = catalog::roles(transaction, &self.guard.exempt, STOP).await?;
        let work = statements::revocations(self.store.database(), &access, &roles);
        self.needed |= !work.steps.is_empty();
        Ok(work)
    }

    /// Leaves the marker and sets the defaults, each by itself: the privileges hold without them.
    async fn set(&mut self, key: &IdempotencyKey) -> Result<()> {
        self.unset.clear();
        let database = self.store.database();
        let mut transaction = self.begin(PATIENT).await?;
        let now = Settings::read(&mut transaction, &self.guard.exempt, &[], STOP).await?;
        if now.controlled || self.needed {
            let marked = settings::mark(&mut transaction, key.run(), !now.is_read_only(), STOP).await;
            self.finish("the marker of the run", transaction, marked).await?;
        }
        if !now.controlled {
            self.missing.right("ownership of the database");
        } else if !now.is_read_only() {
            let mut transaction = self.begin(PATIENT).await?;
            let set = settings::set_database(&mut transaction, database, Some("on"), STOP).await;
            self.finish("the read-only default of the database", transaction, set)
                .await?;
        }
        for role in now.not_exempted() {
            let mut transaction = self.begin(PATIENT).await?;
            let before = now.roles.get(role).and_then(Option::as_deref);
            let set = self.set_role(&mut transaction, role, before, "off").await;
            if let Ok(false) = set {
                tracing::warn!(role, "not allowed to exempt the role from the read-only default");
            }
            let name = format!("the read-only default of role {role}");
            self.finish(&name, transaction, set.map(drop)).await?;
        }
        match self.guard.strength {
            ReadOnlyStrength::Wall => Ok(()),
            ReadOnlyStrength::Brake | ReadOnlyStrength::Strict => self.set_covered().await,
        }
    }

    async fn set_role(
        &self,
        transaction: &mut PgTransaction<'_>,
        role: &str,
        before: Option<&str>,
        value: &str,
    ) -> Result<bool> {
        settings::note(transaction, role, before, STOP).await?;
        settings::set_role(transaction, self.store.database(), role, Some(value), STOP).await
    }

    /// A setting of a role that could write beats that of the database. Behind a wall there is none. Who could write is a long question,
    /// so this comes last.
    async fn set_covered(&mut self) -> Result<()> {
        let mut transaction = self.begin(PATIENT).await?;
        let now = match self.read_covered(&mut transaction).await {
            Ok(now) => now,
            Err(cause) => {
                let name = "the read-only defaults of roles";
                return self.finish(name, transaction, Err(cause)).await;
            }
        };
        transaction.rollback().await.map_err(failed(STOP))?;
        for role in now.overriding() {
            let mut transaction = self.begin(PATIENT).await?;
            let before = now.own.get(role).and_then(|own| own.here.as_deref());
            let set = self.set_role(&mut transaction, role, before, "on").await;
            if let Ok(false) = set {
                self.missing.right(format!("the right to alter role {role}"));
            }
            let name = format!("the read-only default of role {role}");
            self.finish(&name, transaction, set.map(drop)).await?;
        }
        Ok(())
    }

    async fn read_covered(&self, transaction: &mut PgTransaction<'_>) -> Result<Settings> {
        let exempt = &self.guard.exempt;
        let limit = format!("set local statement_timeout = {}", ASKING.as_millis());
        run(transaction, [limit], STOP).await?;
        let writers = catalog::writers(transaction, exempt, STOP).await?;
        Settings::read(transaction, exempt, &writers, STOP).await
    }

    async fn finish(
        &mut self,
        name: &str,
        transaction: PgTransaction<'static>,
        mut done: Result<()>,
    ) -> Result<()> {
        if done.is_ok() {
            done = transaction.commit().await.map_err(failed(STOP));
        } else {
            // The first error is the one that explains.
            let _ = transaction.rollback().await;
        }
        match done {
            Err(cause) if Setback::of(&cause) == Setback::Lost => Err(cause),
            Err(cause) => {
                self.unset.insert(name.to_owned(), cause);
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }

    async fn begin(&self, lock_timeout: &str) -> Result<PgTransaction<'static>> {
        let mut transaction = self
            .store
            .pool()
            .begin_with("begin read write")
            .await
            .map_err(failed(STOP))?;
        let limit = format!("set local lock_timeout = '{lock_timeout}'");
        run(&mut transaction, [limit], STOP).await?;
        Ok(transaction)
    }

    async fn end_others(&self) -> Result<()> {
        sessions::end_others(self.store.pool(), self.guard.left_alone(), STOP).await
    }

    fn into_result(mut self) -> Result<()> {
        for (name, cause) in self.unset {
            if cause.kind() == ErrorKind::Timeout {
                self.held.insert(name);
            } else {
                self.refused.insert(name, cause);
            }
        }
        let refused: BTreeSet<_> = self.refused.keys().cloned().collect();
        let mut failure = match self.refused.into_values().next() {
            _ if !self.held.is_empty() => {
                error(ErrorKind::Timeout, STOP).context("held up", joined(&self.held))
            }
            Some(first) => first,
            None if self.missing.is_empty() => return Ok(()),
            None => error(ErrorKind::PermissionDenied, STOP),
        };
        if !refused.is_empty() {
            failure = failure.context("refused", joined(&refused));
        }
        if !self.missing.is_empty() {
            failure = failure.context("missing", self.missing.to_string());
        }
        Err(failure)
    }
}

/// For all privileges: with the sessions and the settings still below the time that a step may take.
const TAKING: Duration = Duration::from_secs(4);
/// To keep the order of what is taken, before.
const KEEPING: Duration = Duration::from_secs(1);
/// To ask who could write.
const ASKING: Duration = Duration::from_secs(4);
/// Of what is for all privileges, for one transaction.
const TOGETHER: Duration = Duration::from_secs(2);
/// For a lock, while nothing has been held up yet.
const PATIENT: &str = "300ms";
/// To find out what is held up: nothing waits for locks here unless somebody holds one.
const BRIEF: &str = "2ms";
const SHORT: &str = "50ms";
/// For what runs inside a statement, such as somebody's event trigger.
const STATEMENT: &str = "1s";
/// Objects that are committed together.
const BATCH: usize = 25;
/// Objects sent at once.
const CHUNK: usize = 200;
