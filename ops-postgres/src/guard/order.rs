//! The order in which the privileges on an object stand. It means nothing to the server, but a dump of the schema shows it, and what was
//! taken as a whole and is granted again goes to the end.
//!
//! What is lost of it costs no privilege, so nothing here fails a stop or a restore.

use std::collections::{BTreeMap, BTreeSet};

use ops_core::error::Result;
use serde::{Deserialize, Serialize};
use sqlx::{Acquire, AssertSqlSafe, PgConnection};

use super::access::{Object, Roles};
use super::catalog::{covered, not_the_systems};
use super::statements;
use crate::error::failed;
use crate::identifier::quoted;
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
}

/// Keeps the order of what read-only mode is about to take, unless an earlier one is kept.
pub(super) async fn keep(
    connection: &mut PgConnection,
    roles: &Roles,
    operation: &'static str,
) -> Result<()> {
    if !has_table(connection, operation).await? {
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

/// Puts the kept order back where the privileges are as they were, and forgets it. Runs after they were granted again, in the same
/// transaction.
pub(super) async fn put_back(
    connection: &mut PgConnection,
    database: &str,
    operation: &'static str,
) -> Result<()> {
    if !has_table(connection, operation).await? {
        return Ok(());
    }
    let kept: Option<String> = sqlx::query_scalar("delete from ops.acl_order returning orders")
        .fetch_optional(&mut *connection)
        .await
        .map_err(failed(operation))?;
    let orders: Vec<(Key, Vec<Entry>)> = kept
        .and_then(|text| serde_json::from_str(&text).ok())
        .unwrap_or_default();
    if orders.is_empty() {
        return Ok(());
    }
    let now = Lists::read(connection, operation).await?;
    for (key, order) in orders {
        let Some(list) = now.0.get(&key) else { continue };
        let statements = reordered(&statements::place(database, &object(&key)), list, &order);
        if statements.is_empty() {
            continue;
        }
        let mut savepoint = connection.begin().await.map_err(failed(operation))?;
        let done = sqlx::raw_sql(AssertSqlSafe(statements.join("; ")))
            .execute(&mut *savepoint)
            .await;
        let same = match done {
            Ok(_) => {
                let after = Lists::read(&mut savepoint, operation).await?;
                let sorted = |list: &[(Entry, Rights)]| list.iter().cloned().collect::<BTreeMap<_, _>>();
                after.0.get(&key).map(|list| sorted(list)) == Some(sorted(list))
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
    }
    Ok(())
}

/// Takes and grants again what stands in another place than it should. Nothing for a list that is in order.
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
        statements.push(acting(
            entry,
            &format!("REVOKE ALL ON {place} FROM {}", grantee(entry)),
        ));
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
                    grantee(entry)
                );
                statements.push(acting(entry, &grant));
            }
        }
    }
    statements
}

/// A member of the owner grants in the owner's name by itself; who is none takes on the role of the grantor.
fn acting(entry: &Entry, statement: &str) -> String {
    format!(
        "SET LOCAL ROLE {}; {statement}; SET LOCAL ROLE NONE",
        quoted(&entry.by)
    )
}

fn grantee(entry: &Entry) -> String {
    entry.to.as_deref().map_or_else(|| "PUBLIC".to_owned(), quoted)
}

fn object((kind, schema, name): &Key) -> Object {
    match kind.as_str() {
        "table" => Object::Table(schema.clone(), name.clone()),
        "sequence" => Object::Sequence(schema.clone(), name.clone()),
        "schema" => Object::Schema(schema.clone()),
        _ => Object::Database,
    }
}

async fn has_table(connection: &mut PgConnection, operation: &'static str) -> Result<bool> {
    sqlx::query_scalar(TABLE)
        .fetch_one(connection)
        .await
        .map_err(failed(operation))
}

/// Kind, schema, name, grantee, grantor, privilege, grantable.
type Row = (String, String, String, Option<String>, String, String, bool);

const TABLE: &str = "
select exists (select from pg_class c join pg_namespace n on n.oid = c.relnamespace
               where n.nspname = 'ops' and c.relname = 'acl_order' and has_schema_privilege(n.oid, 'USAGE')
                 and has_table_privilege(c.oid, 'INSERT') and has_table_privilege(c.oid, 'DELETE')
                 and has_table_privilege(c.oid, 'SELECT'))";

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
