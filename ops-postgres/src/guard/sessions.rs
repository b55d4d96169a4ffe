//! Sessions and transactions that began before read-only mode.

use std::time::Duration;

use ops_core::error::Result;
use sqlx::{PgConnection, PgPool};

use crate::error::failed;

/// What is open beside our own and exempt sessions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct OpenWork {
    /// Transactions that have written something and may still commit it.
    pub(super) writing: i64,
    /// Sessions that the connected role may not end.
    pub(super) out_of_reach: i64,
    /// Sessions of superusers, whom nothing keeps from writing.
    pub(super) superusers: i64,
    /// Prepared transactions of others than exempt roles: somebody may commit them at any time, even in a read-only session.
    pub(super) prepared: i64,
}

impl OpenWork {
    pub(super) async fn read(
        connection: &mut PgConnection,
        ours: &str,
        exempt: &[String],
        operation: &'static str,
    ) -> Result<Self> {
        let (writing, out_of_reach, superusers, prepared) = sqlx::query_as(OPEN_WORK)
            .bind(ours)
            .bind(exempt)
            .fetch_one(connection)
            .await
            .map_err(failed(operation))?;
        Ok(Self {
            writing,
            out_of_reach,
            superusers,
            prepared,
        })
    }
}

/// Ends every other session of the database that we may end, and waits a little until they are gone.
///
/// A session keeps the defaults it began with, and a transaction that has written may still commit.
pub(super) async fn end_others(
    pool: &PgPool,
    ours: &str,
    exempt: &[String],
    operation: &'static str,
) -> Result<()> {
    let ended: Vec<i32> = sqlx::query_scalar(END_OTHERS)
        .bind(ours)
        .bind(exempt)
        .fetch_all(pool)
        .await
        .map_err(failed(operation))?;
    for _ in 0..LOOKS {
        let left: i64 = sqlx::query_scalar("select count(*) from pg_stat_activity where pid = any($1)")
            .bind(&ended)
            .fetch_one(pool)
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
         left join pg_roles r on r.oid = a.usesysid
         where a.datname = current_database() and a.pid <> pg_backend_pid() and a.usesysid is not null
           and coalesce(a.backend_type, 'client backend') = 'client backend'
           and a.application_name is distinct from $1 and r.rolname::text <> all($2)
           and not exists (select from pg_stat_replication w where w.pid = a.pid)
           and not exists (select from pg_stat_subscription w where w.pid = a.pid)"
    };
}

macro_rules! within_reach {
    () => {
        "((select rolsuper from pg_roles where rolname = current_user)
          or (not r.rolsuper and (pg_has_role(current_user, a.usesysid, 'USAGE')
                                  or pg_has_role(current_user, 'pg_signal_backend', 'USAGE'))))"
    };
}

// Chosen first, ended then: a condition that is checked late must not cost a session.
const END_OTHERS: &str = concat!(
    "with chosen as materialized (select a.pid ",
    others!(),
    " and ",
    within_reach!(),
    ") select pid from chosen where pg_terminate_backend(pid)"
);

const OPEN_WORK: &str = concat!(
    "select count(*) filter (where a.backend_xid is not null), count(*) filter (where not ",
    within_reach!(),
    "), count(*) filter (where r.rolsuper),
         (select count(*) from pg_prepared_xacts where database = current_database()
          and coalesce(owner::text, '') <> all($2)) ",
    others!()
);
