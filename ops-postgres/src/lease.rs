use std::time::Duration;

use async_trait::async_trait;
use ops_core::error::{ErrorKind, Result};
use ops_core::model::{Lease, LeaseRequest, LeaseState, Taken, Timestamp};
use ops_core::ports::LeaseStore;
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, PgConnection, PgPool, Row as _};

use crate::PostgresStore;
use crate::error::{error, failed};
use crate::identifier::literal;

/// Leases in the schema `ops`, a row a name, shared by all machines that use the database. The clock is the server's (`clock_timestamp()`).
///
/// Each call is one statement, without a prepared one, and holds nothing afterwards, so that a pooler in transaction mode may be in between. Names can be taken while the database is read-only. A server whose clock is set forward frees names early, and so does a fail-over to a
/// server whose clock is ahead; one that loses the last writes may give a name away twice, with the same token, but never to the same holder.
///
/// Times of a row that was changed by hand are shown as the year 0 or 9999 where they are outside.
#[derive(Clone, Debug)]
pub struct PostgresLeases {
    pool: PgPool,
}

impl PostgresLeases {
    /// The leases of `store`, whose schema is migrated.
    pub fn new(store: &PostgresStore) -> Self {
        Self {
            pool: store.pool().clone(),
        }
    }
}

/// A lease in the same database that a job writes under: each of its transactions looks last of all whether the lease is still held by this run with this token, and
/// keeps it from changing hands until it has committed. So a run that stood still, and goes on after another has begun, writes nothing more, also where a fail-over
/// has lost the last writes and the other was given the same token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WriteFence {
    name: String,
    holder: String,
    token: u64,
}

impl WriteFence {
    /// The lease `name` as it was granted: to whom ([`Fence::holder`](ops_core::pipeline::Fence::holder)) and with which token
    /// ([`Fence::token`](ops_core::pipeline::Fence::token)).
    pub fn new(name: impl Into<String>, holder: impl Into<String>, token: u64) -> Self {
        Self {
            name: name.into(),
            holder: holder.into(),
            token,
        }
    }

    /// Locks the lease until the transaction ends, if it is held: whoever takes it, renews it or takes it away waits for that long. `Conflict`: it is lost.
    pub(crate) async fn hold(&self, connection: &mut PgConnection, operation: &'static str) -> Result<()> {
        // The clock is read once the row is locked: a sub-select that locks is not flattened.
        let statement = format!(
            "select l.until > clock_timestamp() from (
                select until from ops.lease where name = {} and holder = {} and token = {} for share
             ) l",
            said(&self.name),
            said(&self.holder),
            self.token
        );
        let row = sqlx::raw_sql(AssertSqlSafe(statement))
            .fetch_optional(connection)
            .await
            .map_err(failed(operation))?;
        match row
            .map(|row| row.try_get(0))
            .transpose()
            .map_err(failed(operation))?
        {
            Some(true) => Ok(()),
            _ => Err(error(ErrorKind::Conflict, operation)
                .context(
                    "lease",
                    format!("{} was lost, so nothing more was written", self.name),
                )
                .context("remedy", "see who has it, and run it again when it is free")),
        }
    }
}

#[async_trait]
impl LeaseStore for PostgresLeases {
    async fn take(&self, request: &LeaseRequest) -> Result<Taken> {
        let (name, holder, ttl) = (said(request.name()), said(request.holder()), time(request.ttl()));
        // The clock is read once the row is locked: who had to wait for it decides by the time and the row of after the wait. A row of somebody else is written
        // as it is, so that the answer shows what decided.
        let statement = format!(
            "insert into ops.lease as l (name, holder, token, since, until)
             select {name}, {holder}, 1, n.at, n.at + {ttl} from (select clock_timestamp() as at offset 0) n
             on conflict (name) do update set (holder, token, since, until) = (
                 select case when d.own or d.free then excluded.holder else l.holder end,
                     case when d.free then l.token + 1 else l.token end,
                     case when d.free then d.at else l.since end,
                     case when d.own then greatest(l.until, d.at + {ttl}) when d.free then d.at + {ttl} else l.until end
                 from (select n.at, l.until <= n.at as free, l.until > n.at and l.holder is not distinct from excluded.holder as own
                     from (select clock_timestamp() as at offset 0) n offset 0) d)
             returning {COLUMNS}"
        );
        let operation = "take lease";
        let Some(row) = self.row(operation, statement).await? else {
            return Err(error(ErrorKind::Unexpected, operation).context("reason", "the server gave no row"));
        };
        let state = state(&row).map_err(failed(operation))?;
        // A holder's id is that of one run: a row that has it is this run's.
        Ok(match state.holder.as_deref() == Some(request.holder()) {
            true => Taken::Taken(Lease::granted(request, state.token, state.since, state.until)),
            false => Taken::Held(state),
        })
    }

    async fn renew(&self, lease: &Lease) -> Result<Option<Lease>> {
        let statement = format!(
            "update ops.lease set until = greatest(until, clock_timestamp() + {})
             where {} and until > clock_timestamp() returning {COLUMNS}",
            time(lease.ttl),
            own(lease)
        );
        let Some(row) = self.row("renew lease", statement).await? else {
            return Ok(None);
        };
        let mut renewed = lease.clone();
        renewed.until = state(&row).map_err(failed("renew lease"))?.until;
        Ok(Some(renewed))
    }

    async fn release(&self, lease: &Lease) -> Result<()> {
        let own = own(lease);
        let statement = format!(
            "update ops.lease set holder = null, until = least(until, clock_timestamp()) where {own} returning {COLUMNS}"
        );
        self.row("release lease", statement).await?;
        Ok(())
    }

    async fn revoke(&self, name: &str, holder: &str, token: u64) -> Result<Option<LeaseState>> {
        let (name, holder) = (said(name), said(holder));
        let statement = format!(
            "update ops.lease set holder = null, token = token + 1, until = least(until, clock_timestamp() + interval '1 day')
             where name = {name} and holder = {holder} and token = {token} and until > clock_timestamp() returning {COLUMNS}"
        );
        let row = self.row("revoke lease", statement).await?;
        row.map(|row| state(&row))
            .transpose()
            .map_err(failed("revoke lease"))
    }

    async fn list(&self) -> Result<Vec<LeaseState>> {
        let statement = format!(r#"select {COLUMNS} from ops.lease order by name collate "C""#);
        let rows = sqlx::raw_sql(AssertSqlSafe(statement))
            .fetch_all(&self.pool)
            .await;
        rows.and_then(|rows| rows.iter().map(state).collect())
            .map_err(failed("list leases"))
    }
}

impl PostgresLeases {
    async fn row(&self, operation: &'static str, statement: String) -> Result<Option<PgRow>> {
        sqlx::raw_sql(AssertSqlSafe(statement))
            .fetch_optional(&self.pool)
            .await
            .map_err(failed(operation))
    }
}

/// A time that is past counting is shown as the last one that is not: one row that was changed by hand must not hide the others.
const COLUMNS: &str = "name, holder, token, \
    (extract(epoch from least(greatest(since, '0001-01-01 00:00:00+00 BC'), '9999-12-30 00:00:00+00')) * 1000000)::bigint, \
    (extract(epoch from least(greatest(until, '0001-01-01 00:00:00+00 BC'), '9999-12-30 00:00:00+00')) * 1000000)::bigint, \
    until > clock_timestamp()";

fn state(row: &PgRow) -> sqlx::Result<LeaseState> {
    // The table lets no token under 1 in.
    let token = u64::try_from(row.try_get::<i64, _>(2)?).unwrap_or_default();
    let times = [
        Timestamp::from_unix_micros(row.try_get(3)?),
        Timestamp::from_unix_micros(row.try_get(4)?),
    ];
    let (name, holder): (String, _) = (row.try_get(0)?, row.try_get(1)?);
    Ok(LeaseState::new(name, holder, token, times, row.try_get(5)?))
}

/// Which row is the lease's.
fn own(lease: &Lease) -> String {
    let (name, holder) = (said(&lease.name), said(&lease.holder));
    format!("name = {name} and holder = {holder} and token = {}", lease.token)
}

/// As a literal. A zero byte would end the statement; what takes its place is in no name either.
fn said(text: &str) -> String {
    literal(&text.replace('\0', "\u{1}"))
}

/// At most a day.
fn time(ttl: Duration) -> String {
    format!("{} * interval '1 microsecond'", ttl.as_micros())
}
