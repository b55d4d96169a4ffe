//! Sessions and transactions that began before read-only mode.

use std::time::Duration;

use ops_core::error::Result;
use ops_core::model::SessionMatch;
use sqlx::{PgConnection, PgPool};

use crate::error::failed;

/// Whose sessions are left alone.
#[derive(Clone, Copy, Debug)]
pub(super) struct LeftAlone<'a> {
    /// The `application_name` of our own.
    pub(super) ours: &'a str,
    pub(super) exempt: &'a [String],
    /// Exports and the like, as long as they have written nothing.
    pub(super) spared: &'a [SessionMatch],
}

impl LeftAlone<'_> {
    fn spares(&self, role: &str, application: &str) -> bool {
        self.spared.iter().any(|spared| spared.matches(role, application))
    }
}

/// What is open beside our own and exempt sessions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct OpenWork {
    /// Transactions that have written something and may still commit it.
    pub(super) writing: i64,
    /// Sessions that the connected role may not end.
    pub(super) out_of_reach: i64,
    /// Sessions of superusers, whom nothing keeps from writing.
    pub(super) superusers: i64,
    /// Sessions of others that began before the marker was left, or that we may not end and cannot see to be newer.
    pub(super) older: i64,
    /// Sessions that were spared as exports.
    pub(super) spared: i64,
    /// Prepared transactions of others than exempt roles: somebody may commit them at any time, even in a read-only session.
    pub(super) prepared: i64,
}

impl OpenWork {
    pub(super) async fn read(
        connection: &mut PgConnection,
        alone: LeftAlone<'_>,
        operation: &'static str,
    ) -> Result<Self> {
        let mut open = Self {
            prepared: sqlx::query_scalar(PREPARED)
                .bind(alone.exempt)
                .fetch_one(&mut *connection)
                .await
                .map_err(failed(operation))?,
            ..Self::default()
        };
        let marker = super::settings::marker(connection, operation).await?;
        let since = marker.map(|marker| marker.since);
        for other in others(connection, alone, operation).await? {
            if alone.spares(&other.role, &other.application) && !other.writing {
                open.spared += 1;
                continue;
            }
            open.writing += i64::from(other.writing);
            open.out_of_reach += i64::from(!other.within_reach);
            open.superusers += i64::from(other.superuser);
            // What we may end was ended.
            let older = match (since, other.began) {
                (Some(since), Some(began)) => began < since,
                _ => !other.within_reach,
            };
            open.older += i64::from(older && !other.superuser);
        }
        Ok(open)
    }
}

/// A session that is neither ours nor exempt.
#[derive(Debug)]
struct Other {
    pid: i32,
    role: String,
    application: String,
    /// Microseconds since 1970; `None`: not for us to see.
    began: Option<i64>,
    /// Its transaction has written.
    writing: bool,
    superuser: bool,
    within_reach: bool,
}

async fn others(
    connection: &mut PgConnection,
    alone: LeftAlone<'_>,
    operation: &'static str,
) -> Result<Vec<Other>> {
    let rows: Vec<Row> = sqlx::query_as(OTHERS)
        .bind(alone.ours)
        .bind(alone.exempt)
        .fetch_all(connection)
        .await
        .map_err(failed(operation))?;
    let other = |(pid, role, application, began, writing, superuser, within_reach)| Other {
        pid,
        role,
        application,
        began,
        writing,
        superuser,
        within_reach,
    };
    Ok(rows.into_iter().map(other).collect())
}

/// As [`Other`], field by field.
type Row = (i32, String, String, Option<i64>, bool, bool, bool);

/// Ends every other session of the database that we may end, and waits a little until they are gone.
///
/// A session keeps the defaults it began with, and a transaction that has written may still commit.
pub(super) async fn end_others(pool: &PgPool, alone: LeftAlone<'_>, operation: &'static str) -> Result<()> {
    let mut connection = pool.acquire().await.map_err(failed(operation))?;
    let doomed: Vec<_> = others(&mut connection, alone, operation)
        .await?
        .into_iter()
        .filter(|other| other.within_reach)
        .filter(|other| other.writing || !alone.spares(&other.role, &other.application))
        .map(|other| other.pid)
        .collect();
    let ended: Vec<i32> = sqlx::query_scalar(END)
        .bind(alone.ours)
        .bind(alone.exempt)
        .bind(&doomed)
        .fetch_all(&mut *connection)
        .await
        .map_err(failed(operation))?;
    for _ in 0..LOOKS {
        let left: i64 = sqlx::query_scalar("select count(*) from pg_stat_activity where pid = any($1)")
            .bind(&ended)
            .fetch_one(&mut *connection)
            .await
            .map_err(failed(operation))?;
        if left == 0 {
            break;
        }
        tokio::time::sleep(PAUSE).await;
    }
    Ok(())
}

const LOOKS: u32 = 40;
const PAUSE: Duration = Duration::from_millis(25);

// A role without the right to see it reads NULL as the backend's type; `usesysid` is NULL for the server's own processes.
macro_rules! others {
    () => {
        "from pg_stat_activity a
         join pg_roles r on r.oid = a.usesysid
         where a.datname = current_database() and a.pid <> pg_backend_pid()
           and coalesce(a.backend_type, 'client backend') = 'client backend'
           and a.application_name is distinct from $1 and r.rolname::text <> all($2)
           and not exists (select from pg_stat_replication w where w.pid = a.pid)
           and not exists (select from pg_stat_subscription w where w.pid = a.pid)"
    };
}

// That a transaction has written is read from its lock on itself: everybody may see that one, but not everybody's `backend_xid`.
const OTHERS: &str = concat!(
    "select a.pid, r.rolname::text as role, coalesce(a.application_name, '') as application,
            (extract(epoch from a.backend_start) * 1000000)::bigint as began,
            a.backend_xid is not null or exists (
                select from pg_locks l where l.pid = a.pid and l.locktype = 'transactionid'
                  and l.mode = 'ExclusiveLock' and l.granted) as writing,
            r.rolsuper as superuser,
            (select rolsuper from pg_roles where rolname = current_user)
              or (not r.rolsuper and (pg_has_role(current_user, a.usesysid, 'USAGE')
                                      or pg_has_role(current_user, 'pg_signal_backend', 'USAGE'))) as within_reach ",
    others!()
);

// Chosen first, ended then: a condition that is checked late must not cost a session.
const END: &str = concat!(
    "with chosen as materialized (select a.pid ",
    others!(),
    " and a.pid = any($3)) select pid from chosen where pg_terminate_backend(pid)"
);

const PREPARED: &str = "select count(*) from pg_prepared_xacts
    where database = current_database() and coalesce(owner::text, '') <> all($1)";
