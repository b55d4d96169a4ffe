//! The order in which the privileges on an object stand. It means nothing to the server, but a dump of the schema shows it, and what was
//! taken as a whole and is granted again goes to the end.
//!
//! What is lost of it costs no privilege, so nothing here fails or holds up a stop or a restore.

use std::collections::{BTreeMap, BTreeSet};

use ops_core::error::Result;
use serde::{Deserialize, Serialize};
use sqlx::{Acquire, AssertSqlSafe, PgConnection, PgPool};

use super::access::{Object, Roles};
use super::catalog::{covered, not_the_systems};
use super::settings::may_use;
use super::statements::{acting_as, place, role};
use crate::error::failed;
use crate::store::own_tables;

/// One entry of a list of privileges.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Entry {
    /// The role; `None`: everybody.
    to: Option<String>,
    by: String,
}

/// An object's kind, schema and name, as the catalogue gives them.
type Key = (String, String, String);

/// What an entry gives: privilege, and whether it may be passed on.
type Rights = BTreeSet<(String, bool)>;

/// The lists of privileges of covered objects, in their order.
#[derive(Debug, Default)]
struct Lists(BTreeMap<Key, Vec<(Entry, Rights)>>);

impl Lists {
    async fn read(connection: &mut PgConnection, operation: &'static str) -> Result<Self> {
        let rows: Vec<Row> = sqlx::query_as(LISTS)
            .bind(own_tables())
            .fetch_all(connection)
            .await
            .map_err(failed(operation))?;
        let mut lists = Self::default();
        for (kind, schema, name, to, by, privilege, grantable) in rows {
            let entry = Entry { to, by };
            let list = lists.0.entry((kind, schema, name)).or_default();
            match list.last_mut() {
                Some((last, rights)) if *last == entry => {
                    rights.insert((privilege, grantable));
                }
                _ => list.push((entry, Rights::from([(privilege, grantable)]))),
            }
        }
        Ok(lists)
    }

    /// The privileges on an object, whatever their order.
    fn sorted(&self, key: &Key) -> Option<BTreeMap<Entry, Rights>> {
        self.0.get(key).map(|list| list.iter().cloned().collect())
    }
}

/// Keeps the order of what read-only mode is about to take, unless an earlier one is kept.
pub(super) async fn keep(
    connection: &mut PgConnection,
    roles: &Roles,
    operation: &'static str,
) -> Result<()> {
    if !may_use(connection, TABLE, operation).await? {
        return Ok(());
    }
    let lists = Lists::read(connection, operation).await?;
    let vanishes = |object: &Object, (entry, rights): &(Entry, Rights)| {
        let writes = object.write_privileges();
        roles.is_covered(entry.to.as_deref())
            && rights
                .iter()
                .all(|(privilege, _)| writes.contains(&privilege.as_str()))
    };
    let orders: Vec<(&Key, Vec<&Entry>)> = lists
        .0
        .iter()
        .filter(|(key, list)| list.iter().any(|entry| vanishes(&object(key), entry)))
        .map(|(key, list)| (key, list.iter().map(|(entry, _)| entry).collect()))
        .collect();
    let text = serde_json::to_string(&orders).unwrap_or_default();
    sqlx::query("insert into ops.acl_order (orders) values ($1) on conflict do nothing")
        .bind(text)
        .execute(connection)
        .await
        .map_err(failed(operation))?;
    Ok(())
}

/// Puts the kept order back where the privileges are as they were, and forgets it. In a transaction of its own, after the privileges were
/// granted again for good: whoever gives it up in the middle has lost nothing else, and a repeated restore does it again.
pub(super) async fn put_back(pool: &PgPool, database: &str, operation: &'static str) -> Result<()> {
    let mut transaction = pool
        .begin_with("begin read write")
        .await
        .map_err(failed(operation))?;
    sqlx::raw_sql("set local lock_timeout = '300ms'; set local statement_timeout = '2s'")
        .execute(&mut *transaction)
        .await
        .map_err(failed(operation))?;
    if !may_use(&mut transaction, TABLE, operation).await? {
        return Ok(());
    }
    let kept: Option<String> = sqlx::query_scalar("delete from ops.acl_order returning orders")
        .fetch_optional(&mut *transaction)
        .await
        .map_err(failed(operation))?;
    let orders: Vec<(Key, Vec<Entry>)> = kept
        .and_then(|text| serde_json::from_str(&text).ok())
        .unwrap_or_default();
    let now = Lists::read(&mut transaction, operation).await?;
    let statements = |(key, order): (Key, Vec<Entry>)| {
        let list = now.0.get(&key)?;
        let statements = reordered(&place(database, &object(&key)), list, &order);
        (!statements.is_empty()).then_some((key, statements))
    };
    let moves: Vec<(Key, Vec<String>)> = orders.into_iter().filter_map(statements).collect();
    for batch in moves.chunks(BATCH) {
        if move_together(&mut transaction, batch, &now, operation).await? {
            continue;
        }
        for one in batch.chunks(1).filter(|_| batch.len() > 1) {
            move_together(&mut transaction, one, &now, operation).await?;
        }
    }
    transaction.commit().await.map_err(failed(operation))
}

/// Forgets a kept order that could not be put back, so that a later stop keeps its own.
pub(super) async fn forget(pool: &PgPool, operation: &'static str) -> Result<()> {
    sqlx::query("delete from ops.acl_order")
        .execute(pool)
        .await
        .map_err(failed(operation))?;
    Ok(())
}

/// Whether the same privileges came out; if not, nothing was changed.
async fn move_together(
    connection: &mut PgConnection,
    batch: &[(Key, Vec<String>)],
    now: &Lists,
    operation: &'static str,
) -> Result<bool> {
    let statements: Vec<&str> = batch
        .iter()
        .flat_map(|(_, statements)| statements)
        .map(String::as_str)
        .collect();
    let mut savepoint = connection.begin().await.map_err(failed(operation))?;
    let done = sqlx::raw_sql(AssertSqlSafe(statements.join("; ")))
        .execute(&mut *savepoint)
        .await;
    let same = match done {
        Ok(_) => {
            let after = Lists::read(&mut savepoint, operation).await?;
            batch.iter().all(|(key, _)| after.sorted(key) == now.sorted(key))
        }
        Err(cause) => {
            tracing::debug!(%cause, "the order of privileges stays as it is");
            false
        }
    };
    match same {
        true => savepoint.commit().await.map_err(failed(operation))?,
        false => savepoint.rollback().await.map_err(failed(operation))?,
    }
    Ok(same)
}

/// Takes and grants again what stands in another place than it should, in the name of who granted it. Nothing for a list that is in order.
fn reordered(place: &str, list: &[(Entry, Rights)], order: &[Entry]) -> Vec<String> {
    let position = |entry: &Entry| {
        order
            .iter()
            .position(|known| known == entry)
            .unwrap_or(usize::MAX)
    };
    let mut wanted: Vec<_> = list.iter().collect();
    wanted.sort_by_key(|(entry, _)| position(entry));
    let right = wanted
        .iter()
        .zip(list)
        .take_while(|(wanted, now)| wanted.0 == now.0)
        .count();
    let misplaced = &wanted[right..];
    let mut statements = Vec::new();
    for (entry, _) in misplaced.iter().rev() {
        let revoke = format!("REVOKE ALL ON {place} FROM {}", role(entry.to.as_deref()));
        statements.push(acting_as(&entry.by, &revoke));
    }
    for (entry, rights) in misplaced {
        for grantable in [false, true] {
            let privileges: Vec<_> = rights
                .iter()
                .filter(|(_, option)| *option == grantable)
                .map(|(privilege, _)| privilege.as_str())
                .collect();
            if !privileges.is_empty() {
                let option = if grantable { " WITH GRANT OPTION" } else { "" };
                let grant = format!(
                    "GRANT {} ON {place} TO {}{option}",
                    privileges.join(", "),
                    role(entry.to.as_deref())
                );
                statements.push(acting_as(&entry.by, &grant));
            }
        }
    }
    statements
}

fn object((kind, schema, name): &Key) -> Object {
    match kind.as_str() {
        "table" => Object::Table(schema.clone(), name.clone()),
        "sequence" => Object::Sequence(schema.clone(), name.clone()),
        "schema" => Object::Schema(schema.clone()),
        _ => Object::Database,
    }
}

/// Kind, schema, name, grantee, grantor, privilege, grantable.
type Row = (String, String, String, Option<String>, String, String, bool);

const TABLE: &str = "acl_order";
/// Objects that are looked at together afterwards.
const BATCH: usize = 200;

// A table with privileges on columns is left out: taking one on the table takes those too.
const LISTS: &str = concat!(
    "
with objects as (
    select case c.relkind when 'S' then 'sequence' else 'table' end as kind, n.nspname::text as schema,
           c.relname::text as name, c.relacl as acl
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where cardinality(c.relacl) > 1
      and not exists (select from pg_attribute t where t.attrelid = c.oid and t.attacl is not null) and ",
    covered!("$1"),
    "
    union all
    select 'schema', n.nspname::text, '', n.nspacl from pg_namespace n
    where cardinality(n.nspacl) > 1 and ",
    not_the_systems!(),
    "
    union all
    select 'database', '', '', d.datacl from pg_database d
    where d.datname = current_database() and cardinality(d.datacl) > 1
)
select o.kind, o.schema, o.name, case when a.grantee <> 0 then pg_get_userbyid(a.grantee)::text end,
       pg_get_userbyid(a.grantor)::text, a.privilege_type, a.is_grantable
from objects o cross join lateral unnest(o.acl) with ordinality item(one, place)
cross join lateral aclexplode(array[item.one]) a
order by o.kind, o.schema, o.name, item.place"
);

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(to: &str) -> (Entry, Rights) {
        let entry = Entry {
            to: Some(to.to_owned()),
            by: "owner".to_owned(),
        };
        (entry, Rights::from([("INSERT".to_owned(), to == "b")]))
    }

    #[test]
    fn only_what_stands_behind_the_first_wrong_place_is_granted_again() {
        let now = [entry("owner"), entry("c"), entry("new"), entry("b")];
        let order: Vec<_> = ["owner", "b", "gone", "c"].map(|to| entry(to).0).into();
        let statements = reordered("TABLE t", &now, &order);
        assert_eq!(statements.len(), 6, "{statements:#?}");
        assert!(statements[0].contains("REVOKE ALL ON TABLE t FROM \"new\""));
        assert!(statements[3].contains("GRANT INSERT ON TABLE t TO \"b\" WITH GRANT OPTION"));
        assert!(statements[4].contains("TO \"c\"") && statements[5].contains("TO \"new\""));
        assert!(reordered("TABLE t", &now[..2], &order).is_empty());
    }
}
