use std::time::Duration;

use ops_core::error::{ErrorKind, Result};
use ops_core::model::{DatabaseSession, SessionDeed, SessionState};
use serde::Serialize;
use sqlx::AssertSqlSafe;

use super::statement::bare;
use crate::PostgresStore;
use crate::error::failed;

/// What became of a session that was to be acted on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SignalResult {
    /// The server has sent the signal. Whether it had an effect, a new look tells.
    Sent,
    /// It is gone, or does something else by now: left alone.
    MovedOn,
    /// It is never acted on, or the connected role may not.
    NotPermitted,
}

pub(super) async fn read(
    store: &PostgresStore,
    exempt: &[String],
    mask: impl Fn(&str) -> String + Send + Sync,
) -> Result<Vec<DatabaseSession>> {
    let rows: Vec<Row> = sqlx::query_as(SESSIONS)
        .bind(store.session_name())
        .bind(exempt)
        .fetch_all(store.pool())
        .await
        .map_err(failed(READ))?;
    let session = |row: Row| {
        let (
            pid,
            began,
            since,
            role,
            application,
            state,
            lasting,
            transaction,
            query,
            blocked_by,
            untouchable,
        ) = row;
        let mut session = DatabaseSession::new(pid, role);
        session.began_micros = began;
        session.since_micros = since;
        session.application = mask(&application);
        session.state = match state.as_str() {
            "active" | "fastpath function call" => SessionState::Active,
            "idle" => SessionState::Idle,
            "idle in transaction" | "idle in transaction (aborted)" => SessionState::IdleInTransaction,
            _ => SessionState::Other,
        };
        session.lasting = micros(lasting);
        session.transaction = micros(transaction);
        session.query = mask(&bare(&query));
        session.blocked_by = blocked_by;
        session.untouchable = untouchable;
        session
    };
    Ok(rows.into_iter().map(session).collect())
}

pub(super) async fn act(
    store: &PostgresStore,
    exempt: &[String],
    session: &DatabaseSession,
    deed: SessionDeed,
) -> Result<SignalResult> {
    if session.untouchable || session.began_micros == 0 {
        return Ok(SignalResult::NotPermitted);
    }
    let function = match deed {
        SessionDeed::Cancel => "pg_cancel_backend",
        SessionDeed::End => "pg_terminate_backend",
    };
    let sent: sqlx::Result<Option<bool>> =
        sqlx::query_scalar(AssertSqlSafe(ACT.replace("{function}", function)))
            .bind(store.session_name())
            .bind(exempt)
            .bind(session.pid)
            .bind(session.began_micros)
            .bind(session.since_micros)
            .fetch_optional(store.pool())
            .await;
    match sent {
        Ok(Some(true)) => Ok(SignalResult::Sent),
        Ok(Some(false) | None) => Ok(SignalResult::MovedOn),
        Err(cause) => {
            let cause = failed("act on a session")(cause);
            match cause.kind() {
                ErrorKind::PermissionDenied => Ok(SignalResult::NotPermitted),
                _ => Err(cause),
            }
        }
    }
}

pub(super) fn micros(value: i64) -> Duration {
    Duration::from_micros(u64::try_from(value).unwrap_or(0))
}

/// Process, began, in its state since, role, application, state, for how long, its transaction for how long, statement, blockers, untouchable.
type Row = (
    i32,
    i64,
    i64,
    String,
    String,
    String,
    i64,
    i64,
    String,
    Vec<i32>,
    bool,
);

macro_rules! untouchable {
    () => {
        "(r.rolsuper or r.rolname::text = any($2) or a.application_name is not distinct from $1 or a.pid = pg_backend_pid()
          or coalesce(a.backend_type, 'client backend') <> 'client backend'
          or exists (select from pg_stat_replication w where w.pid = a.pid))"
    };
}

// Since when it does what it does: a statement began, or a state was entered.
macro_rules! since {
    () => {
        "case when a.state = 'active' then a.query_start else a.state_change end"
    };
}

const SESSIONS: &str = concat!(
    "select a.pid, coalesce((extract(epoch from a.backend_start) * 1000000)::bigint, 0),
            coalesce((extract(epoch from ",
    since!(),
    ") * 1000000)::bigint, 0),
            r.rolname::text, coalesce(a.application_name, ''), coalesce(a.state, ''),
            coalesce((extract(epoch from clock_timestamp() - ",
    since!(),
    ") * 1000000)::bigint, 0),
            coalesce((extract(epoch from clock_timestamp() - a.xact_start) * 1000000)::bigint, 0),
            case when a.query = '<insufficient privilege>' then '' else coalesce(a.query, '') end,
            case when a.wait_event_type = 'Lock' or a.query = '<insufficient privilege>' then pg_blocking_pids(a.pid)
                 else '{}'::int[] end, ",
    untouchable!(),
    " from pg_stat_activity a join pg_roles r on r.oid = a.usesysid
     where a.datname = current_database() and a.pid <> pg_backend_pid() order by a.pid"
);

// Chosen first, acted on then: a condition that is checked late must not cost a session.
const ACT: &str = concat!(
    "with chosen as materialized (
        select a.pid from pg_stat_activity a join pg_roles r on r.oid = a.usesysid
        where a.datname = current_database() and a.pid = $3
          and (extract(epoch from a.backend_start) * 1000000)::bigint = $4
          and coalesce((extract(epoch from ",
    since!(),
    ") * 1000000)::bigint, 0) = $5 and not ",
    untouchable!(),
    ") select {function}(pid) from chosen"
);

const READ: &str = "read sessions";
