//! Proof that what had begun to write is over, and what becomes of prepared transactions.

use std::time::Duration;

use ops_core::error::Result;
use sqlx::{AssertSqlSafe, Connection, PgConnection, PgPool};
use tokio::time::timeout;

use super::STOP;
use super::catalog::{covered, not_the_systems};
use super::missing::Missing;
use crate::error::{Setback, failed, setback};
use crate::identifier::{literal, quoted};
use crate::store::own_tables;

/// Takes and gives back a lock on every covered table that no writer may hold at the same time: where it is got, every transaction that
/// had written there is over. What was found, in words.
///
/// The connected role must own the tables; where it lost the privilege that `LOCK` asks for to the mode itself, it grants it to itself in a
/// transaction that is rolled back.
pub(super) async fn prove(pool: &PgPool) -> Result<String> {
    let tables: Vec<(String, String, String, bool, bool)> = sqlx::query_as(TABLES)
        .bind(own_tables())
        .fetch_all(pool)
        .await
        .map_err(failed(STOP))?;
    let out_of_reach = tables.iter().filter(|table| !table.3).count();
    let within: Vec<_> = tables.into_iter().filter(|table| table.3).collect();
    let mut proven = 0;
    let mut held = 0;
    let proof = async {
        // Of its own: whoever is given up on in the middle must not come back into the pool.
        let mut connection = pool.acquire().await.map_err(failed(STOP))?.detach();
        for batch in within.chunks(BATCH) {
            if lock(&mut connection, batch).await? {
                proven += batch.len();
                continue;
            }
            for table in batch {
                match lock(&mut connection, std::slice::from_ref(table)).await? {
                    true => proven += 1,
                    false => held += 1,
                }
            }
        }
        connection.close().await.map_err(failed(STOP))
    };
    let in_time = timeout(PROVING, proof).await;
    if let Ok(done) = in_time {
        done?;
    }
    let left = within.len() - proven - held;
    let mut said = format!("drained: {proven} tables locked against writers and released");
    for (count, what) in [
        (held, "still held by a transaction"),
        (left, "not reached in time"),
        (out_of_reach, "not owned by this role"),
    ] {
        if count > 0 {
            said += &format!("; {count} {what}");
        }
    }
    Ok(said)
}

/// Whether nobody held any of them against it.
async fn lock(
    connection: &mut PgConnection,
    tables: &[(String, String, String, bool, bool)],
) -> Result<bool> {
    let names: Vec<_> = tables
        .iter()
        .map(|(schema, name, ..)| format!("{}.{}", quoted(schema), quoted(name)))
        .collect();
    let mut text = format!(
        "BEGIN READ WRITE; SET LOCAL lock_timeout = '{PATIENCE}'; SET LOCAL statement_timeout = '{STATEMENT}'; "
    );
    for ((_, _, owner, _, lockable), name) in tables.iter().zip(&names) {
        if !lockable {
            text += &format!("GRANT TRUNCATE ON TABLE {name} TO {}; ", quoted(owner));
        }
    }
    text += &format!(
        "LOCK TABLE ONLY {} IN SHARE MODE; ROLLBACK",
        names.join(", ONLY ")
    );
    let locked = sqlx::raw_sql(AssertSqlSafe(text)).execute(&mut *connection).await;
    match locked {
        Ok(_) => Ok(true),
        Err(cause) => {
            let (setback, cause) = setback(STOP, cause);
            if setback == Setback::Lost {
                return Err(cause);
            }
            // The transaction is open and failed.
            sqlx::raw_sql("ROLLBACK")
                .execute(&mut *connection)
                .await
                .map_err(failed(STOP))?;
            Ok(false)
        }
    }
}

/// Rolls back the prepared transactions of others than exempt roles. What was thrown away, in words.
pub(super) async fn roll_back_prepared(
    pool: &PgPool,
    exempt: &[String],
    missing: &mut Missing,
) -> Result<Option<String>> {
    let prepared: Vec<(String, Option<String>, bool)> = sqlx::query_as(PREPARED)
        .bind(exempt)
        .fetch_all(pool)
        .await
        .map_err(failed(STOP))?;
    let mut gone = 0;
    if prepared.is_empty() {
        return Ok(None);
    }
    // Of its own: it takes on other roles.
    let mut connection = pool.acquire().await.map_err(failed(STOP))?.detach();
    for (gid, owner, may) in prepared {
        let Some(owner) = owner else {
            missing.right("the rights of a superuser: whoever prepared a transaction was dropped since");
            continue;
        };
        if !may {
            missing.right(format!("membership in {owner}, who prepared a transaction"));
            continue;
        }
        // It cannot be part of a transaction, and only who prepared it or a superuser may.
        let mut done = Ok(());
        for statement in [
            format!("SET ROLE {}", quoted(&owner)),
            format!("ROLLBACK PREPARED {}", literal(&gid)),
            "RESET ROLE".to_owned(),
        ] {
            let one = sqlx::raw_sql(AssertSqlSafe(statement))
                .execute(&mut connection)
                .await;
            done = done.and(one.map(drop));
        }
        match done {
            Ok(()) => gone += 1,
            // Somebody finished it meanwhile, or is about to: a read-back tells.
            Err(cause) => {
                let (setback, cause) = setback(STOP, cause);
                if setback == Setback::Lost {
                    return Err(cause);
                }
                tracing::warn!(%cause, "a prepared transaction was not rolled back");
            }
        }
    }
    connection.close().await.map_err(failed(STOP))?;
    Ok((gone > 0).then(|| format!("prepared transactions rolled back: {gone}")))
}

/// For all tables: with the rest of a stop below the time that a step may take.
const PROVING: Duration = Duration::from_secs(1);
const PATIENCE: &str = "100ms";
const STATEMENT: &str = "500ms";
/// Below what the server's table of locks holds by default.
const BATCH: usize = 200;

// Schema, name, owner, whether we have the owner's rights, whether we may lock it as it is.
const TABLES: &str = concat!(
    "select n.nspname::text, c.relname::text, pg_get_userbyid(c.relowner)::text,
            pg_has_role(current_user, c.relowner, 'USAGE') and has_schema_privilege(n.oid, 'USAGE'),
            has_table_privilege(c.oid, 'UPDATE, DELETE, TRUNCATE')
     from pg_class c join pg_namespace n on n.oid = c.relnamespace
     where c.relkind in ('r', 'p') and ",
    covered!("$1"),
    " order by 1, 2"
);

const PREPARED: &str = "
select gid, owner::text,
       coalesce(pg_has_role(current_user, owner,
                            case when current_setting('server_version_num')::int < 160000 then 'MEMBER' else 'SET' end), false)
from pg_prepared_xacts
where database = current_database() and coalesce(owner::text, '') <> all($1)";
