//! What a statement beside the traffic has left half done.

use ops_core::error::{Error, ErrorKind, Result};
use ops_core::model::HalfDone;
use sqlx::postgres::PgConnection;

use super::mark::EXECUTE;
use crate::error::{error, failed};

/// What is there of it, as an error with the statements that put it right. What another session is at work on is not.
pub(super) async fn half_done(connection: &mut PgConnection, may_leave: &HalfDone) -> Result<Option<Error>> {
    let (query, of, reason) = match may_leave {
        HalfDone::Detach { partition } => (
            DETACHES,
            vec![partition.as_str()],
            "the partition is half detached: the statement did not end, and cannot be run again",
        ),
        HalfDone::Reindex { tables } => (
            COPIES,
            tables.iter().map(String::as_str).collect(),
            "copies of indexes are left over: each repetition that fails adds some, and every write keeps them up to date",
        ),
        _ => return Ok(None),
    };
    let remedies: Vec<String> = sqlx::query_scalar(query)
        .bind(of)
        .fetch_all(connection)
        .await
        .map_err(failed(EXECUTE))?;
    if remedies.is_empty() {
        return Ok(None);
    }
    let remedy = format!("{}; then run the migration again", remedies.join("; "));
    let half = error(ErrorKind::Conflict, EXECUTE).context("reason", reason);
    Ok(Some(half.context("remedy", remedy)))
}

/// Whether `partition` is there, and is none any more.
pub(super) async fn is_detached(connection: &mut PgConnection, partition: &str) -> Result<bool> {
    sqlx::query_scalar(
        "select exists (select from pg_class c join pg_namespace n on n.oid = c.relnamespace
                        where n.nspname || '.' || c.relname = $1 and not c.relispartition)",
    )
    .bind(partition)
    .fetch_one(connection)
    .await
    .map_err(failed(EXECUTE))
}

const DETACHES: &str = "
select format('ALTER TABLE %I.%I DETACH PARTITION %I.%I FINALIZE', m.nspname, p.relname, n.nspname, c.relname)
from pg_inherits h
join pg_class c on c.oid = h.inhrelid join pg_namespace n on n.oid = c.relnamespace
join pg_class p on p.oid = h.inhparent join pg_namespace m on m.oid = p.relnamespace
where h.inhdetachpending and n.nspname || '.' || c.relname = any($1)";
// Those of the table that its long values are in are copied, too. Who is at work on an index holds this lock on each copy until it ends.
const COPIES: &str = "
select format('DROP INDEX CONCURRENTLY %I.%I', n.nspname, c.relname)
from pg_index i
join pg_class c on c.oid = i.indexrelid join pg_namespace n on n.oid = c.relnamespace
where not i.indisvalid and c.relname ~ '_cc(new|old)[0-9]*$'
  and exists (select from pg_class t join pg_namespace m on m.oid = t.relnamespace
              where m.nspname || '.' || t.relname = any($1) and i.indrelid in (t.oid, t.reltoastrelid))
  and not exists (select from pg_locks l join pg_database d on d.oid = l.database
                  where d.datname = current_database() and l.locktype = 'relation' and l.relation = i.indexrelid
                    and l.mode = 'ShareUpdateExclusiveLock' and l.granted)
order by 1";
