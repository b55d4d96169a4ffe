use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use ops_core::error::{ErrorKind, Result};
use ops_core::messages;
use ops_core::model::{
    Accepted, Effect, IdempotencyKey, Observation, Snapshot, TargetId, TargetState, Text, Verdict,
};
use ops_core::ports::{Action, Ramp};
use sqlx::{AssertSqlSafe, PgConnection};

use crate::PostgresStore;
use crate::error::{error, failed};
use crate::identifier::{literal, quoted};

/// How long sessions may take, while the measure is in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TimeoutLimits {
    /// A statement. Default: 30 s.
    pub statement: Duration,
    /// A wait for a lock. Default: 5 s.
    pub lock: Duration,
    /// A transaction in which nothing runs. Default: 60 s.
    pub idle_in_transaction: Duration,
}

impl Default for TimeoutLimits {
    fn default() -> Self {
        Self {
            statement: Duration::from_secs(30),
            lock: Duration::from_secs(5),
            idle_in_transaction: Duration::from_secs(60),
        }
    }
}

impl TimeoutLimits {
    /// For a statement, for a lock, and for a transaction in which nothing runs.
    pub fn new(statement: Duration, lock: Duration, idle_in_transaction: Duration) -> Self {
        Self {
            statement,
            lock,
            idle_in_transaction,
        }
    }

    /// Name and value of each setting.
    fn settings(&self) -> [(&'static str, Duration); 3] {
        let [statement, lock, idle] = SETTINGS;
        [
            (statement, self.statement),
            (lock, self.lock),
            (idle, self.idle_in_transaction),
        ]
    }
}

/// Gives a database tight timeouts, as an emergency measure, and puts back exactly what was set.
///
/// A timeout that is as tight already stays. New sessions begin with them; sessions that are open keep what they have, any session may set its
/// own, and a role's setting beats the database's. The snapshot (`postgres-timeouts/1`) holds the three settings of the database as they were written.
///
/// # Errors
/// `PermissionDenied` unless the connected role owns the database; `NotFound`; `Unavailable`, `Timeout`.
#[derive(Clone, Debug)]
pub struct PostgresTimeouts {
    store: PostgresStore,
    target: TargetId,
    limits: TimeoutLimits,
}

impl PostgresTimeouts {
    /// Of the database that `store` is connected to.
    ///
    /// # Errors
    /// `InvalidInput` for a name that a target id cannot hold.
    pub fn new(store: &PostgresStore, limits: TimeoutLimits) -> Result<Self> {
        Ok(Self {
            store: store.clone(),
            target: Self::target_of(store.database())?,
            limits,
        })
    }

    /// The target id: `postgres-timeouts:` and the database's name.
    ///
    /// # Errors
    /// `InvalidInput` for a name that a target id cannot hold.
    pub fn target_of(database: &str) -> Result<TargetId> {
        TargetId::new(format!("postgres-timeouts:{database}"))
    }

    /// Writes what `wanted` makes of what is set now.
    async fn write(
        &self,
        wanted: impl FnOnce(&Now) -> BTreeMap<String, Option<String>> + Send,
        operation: &'static str,
    ) -> Result<()> {
        let mut transaction = self
            .store
            .pool()
            .begin_with("begin read write")
            .await
            .map_err(failed(operation))?;
        let now = read(&mut transaction, operation).await?;
        let wanted = wanted(&now);
        if !now.controlled && now.settings != wanted {
            return Err(
                error(ErrorKind::PermissionDenied, operation).context("missing", "ownership of the database")
            );
        }
        let database = quoted(self.store.database());
        for (name, value) in &wanted {
            if now.settings.get(name) == Some(value) {
                continue;
            }
            let statement = match value {
                Some(value) => format!("ALTER DATABASE {database} SET {name} = {}", literal(value)),
                None => format!("ALTER DATABASE {database} RESET {name}"),
            };
            sqlx::raw_sql(AssertSqlSafe(statement))
                .execute(&mut *transaction)
                .await
                .map_err(failed(operation))?;
        }
        transaction.commit().await.map_err(failed(operation))
    }

    /// What the measure makes of what is set: nothing becomes looser.
    fn wanted(&self, now: &Now) -> BTreeMap<String, Option<String>> {
        let tightened = |(name, limit): (&str, Duration)| {
            let set = now.settings.get(name).and_then(Option::as_deref);
            let tight = set.filter(|set| timeout(set).is_some_and(|set| set <= limit));
            (
                name.to_owned(),
                Some(tight.map_or_else(|| written(limit), str::to_owned)),
            )
        };
        self.limits.settings().into_iter().map(tightened).collect()
    }
}

#[async_trait]
impl Action for PostgresTimeouts {
    fn target(&self) -> &TargetId {
        &self.target
    }

    fn effect(&self) -> Effect {
        Effect::Reversible
    }

    fn describe(&self) -> Text {
        let limits = self.limits;
        messages::tighten_timeouts(
            self.target.name(),
            limits.statement,
            limits.lock,
            limits.idle_in_transaction,
        )
    }

    fn describe_restore(&self) -> Text {
        messages::restore_timeouts(self.target.name())
    }

    fn limitations(&self) -> Vec<Text> {
        vec![Text::new(
            "開いている接続には効きません。接続自身の SET とロールの設定が優先されます",
            "sessions that are open keep their timeouts; a session's own SET and a role's setting come first",
        )]
    }

    async fn observe(&self) -> Result<Observation> {
        let mut connection = self.store.pool().acquire().await.map_err(failed(OBSERVE))?;
        let now = read(&mut connection, OBSERVE).await?;
        // What is tighter than the measure is in force as well, but does not tell that the measure is.
        let of_ours = self.limits.settings().into_iter().any(|(name, limit)| {
            let set = now.settings.get(name).and_then(Option::as_deref);
            set == Some(written(limit).as_str())
        });
        let state = match now.settings == self.wanted(&now) {
            true => TargetState::Stopped,
            false if of_ours => TargetState::PartlyStopped,
            false => TargetState::Serving,
        };
        let settings = serde_json::to_value(&now.settings)
            .map_err(|cause| error(ErrorKind::Unexpected, OBSERVE).source(cause))?;
        let snapshot = Snapshot::new(self.target.clone(), FORMAT).with_field(FIELD, settings);
        let observation = Observation::new(snapshot, state);
        Ok(match now.overriding.is_empty() {
            true => observation,
            false => {
                let roles = now.overriding.join(", ");
                observation.with_caveat(Text::new(
                    format!("自分のタイムアウト設定を持つロール: {roles}"),
                    format!("roles with timeouts of their own: {roles}"),
                ))
            }
        })
    }

    fn verify(&self, observed: &Observation) -> Verdict {
        observed.stopped()
    }

    async fn apply(&self, _key: &IdempotencyKey) -> Result<Accepted> {
        self.write(|now| self.wanted(now), "set timeouts").await?;
        Ok(Accepted::new())
    }

    async fn restore(&self, prior: &Snapshot, _key: &IdempotencyKey) -> Result<Accepted> {
        let refused =
            |what| error(ErrorKind::InvalidInput, RESTORE).context("unreadable in the snapshot", what);
        if prior.target() != &self.target {
            return Err(error(ErrorKind::NotFound, RESTORE).context("target", prior.target().as_str()));
        }
        if prior.format() != FORMAT {
            return Err(refused("format"));
        }
        let settings: BTreeMap<String, Option<String>> = prior
            .field(FIELD)
            .and_then(|value| serde_json::from_value(value.clone()).ok())
            .ok_or_else(|| refused(FIELD))?;
        // A name becomes part of a statement.
        if settings.keys().any(|name| !SETTINGS.contains(&name.as_str())) {
            return Err(refused(FIELD));
        }
        self.write(|_| settings, RESTORE).await?;
        Ok(Accepted::new())
    }

    fn ramp(&self) -> Option<&dyn Ramp> {
        None
    }
}

/// What the database sets now.
struct Now {
    settings: BTreeMap<String, Option<String>>,
    controlled: bool,
    /// Roles that set one of them for themselves.
    overriding: Vec<String>,
}

async fn read(connection: &mut PgConnection, operation: &'static str) -> Result<Now> {
    let (controlled, set, overriding): (bool, Vec<String>, Vec<String>) = sqlx::query_as(NOW)
        .bind(SETTINGS.map(|name| format!("{name}=")).as_slice())
        .fetch_one(connection)
        .await
        .map_err(failed(operation))?;
    let value = |name: &str| {
        let found = set
            .iter()
            .find_map(|setting| setting.strip_prefix(name)?.strip_prefix('='));
        (name.to_owned(), found.map(str::to_owned))
    };
    Ok(Now {
        settings: SETTINGS.into_iter().map(value).collect(),
        controlled,
        overriding,
    })
}

/// As the measure writes it.
fn written(limit: Duration) -> String {
    format!("{}ms", limit.as_millis().max(1))
}

/// A timeout as PostgreSQL reads it, fractions included; `None`: there is none, or it is not written as usual.
fn timeout(set: &str) -> Option<Duration> {
    let set = set.trim();
    let end = set
        .find(|next: char| !next.is_ascii_digit() && next != '.')
        .unwrap_or(set.len());
    let (number, unit) = (set[..end].parse::<f64>().ok()?, set[end..].trim());
    let seconds = match unit {
        "us" => 1e-6,
        "" | "ms" => 1e-3,
        "s" => 1.0,
        "min" => 60.0,
        "h" => 3_600.0,
        "d" => 86_400.0,
        _ => return None,
    };
    let timeout = Duration::try_from_secs_f64(number * seconds).ok()?;
    (!timeout.is_zero()).then_some(timeout)
}

const SETTINGS: [&str; 3] = [
    "statement_timeout",
    "lock_timeout",
    "idle_in_transaction_session_timeout",
];
const FORMAT: &str = "postgres-timeouts/1";
const FIELD: &str = "timeouts";
const OBSERVE: &str = "observe";
const RESTORE: &str = "restore";

const NOW: &str = "
select pg_has_role(current_user, d.datdba, 'USAGE'),
       array(select setting from pg_db_role_setting s cross join unnest(s.setconfig) setting
             where s.setdatabase = d.oid and s.setrole = 0),
       array(select distinct r.rolname::text from pg_db_role_setting s join pg_roles r on r.oid = s.setrole
             cross join unnest(s.setconfig) setting
             where s.setdatabase in (0, d.oid) and exists (select from unnest($1::text[]) name where starts_with(setting, name))
             order by 1)
from pg_database d where d.datname = current_database()";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeout_is_read_as_the_server_reads_it() {
        for (set, read) in [
            ("10s", Some(10_000)),
            ("5000", Some(5_000)),
            ("1 min", Some(60_000)),
            ("1h", Some(3_600_000)),
            ("0", None),
            ("0s", None),
            ("1.5s", Some(1_500)),
            ("soon", None),
        ] {
            assert_eq!(timeout(set), read.map(Duration::from_millis), "{set}");
        }
    }
}
