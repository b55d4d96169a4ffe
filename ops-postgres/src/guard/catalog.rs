//! Reads who may write from the system catalogs.

use std::collections::BTreeSet;

use ops_core::error::Result;
use sqlx::PgConnection;

use super::access::{Access, AccessMap, Grant, Object, Role, Roles};
use super::statements::Columns;
use crate::error::failed;
use crate::store::own_tables;

/// What is not the system's, as a condition on `n`.
macro_rules! not_the_systems {
    () => {
        "n.nspname <> 'information_schema' and n.nspname !~ '^pg_'"
    };
}

/// What is neither the system's nor ours, as a condition on `n` and `c`. Others may have put tables into the schema `ops`: ours are
/// those that our migrations make (a parameter), their partitions and their sequences.
macro_rules! covered {
    ($ours:literal) => {
        concat!(
            not_the_systems!(),
            " and c.relkind in ('r', 'p', 'v', 'm', 'f', 'S') and c.relpersistence <> 't'
              and not (n.nspname = 'ops' and (c.relname::text = any(", $ours, ")
                  or exists (select from pg_class root where root.oid = pg_partition_root(c.oid)
                             and root.relnamespace = n.oid and root.relname::text = any(", $ours, "))
                  or exists (select from pg_depend d join pg_class o on o.oid = d.refobjid
                             where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype in ('a', 'i')
                               and d.refclassid = 'pg_class'::regclass and o.relnamespace = n.oid
                               and c.relkind = 'S' and o.relname::text = any(", $ours, "))))"
        )
    };
}

pub(super) use {covered, not_the_systems};

/// The write privileges on everything outside the system's schemas, our own tables left out.
pub(super) async fn access(connection: &mut PgConnection, operation: &'static str) -> Result<AccessMap> {
    access_but_for(&own_tables(), connection, operation).await
}

/// The write privileges on everything outside the system's schemas.
pub(super) async fn access_to_all(
    connection: &mut PgConnection,
    operation: &'static str,
) -> Result<AccessMap> {
    access_but_for(&[], connection, operation).await
}

async fn access_but_for(
    ours: &[&str],
    connection: &mut PgConnection,
    operation: &'static str,
) -> Result<AccessMap> {
    let rows: Vec<AccessRow> = sqlx::query_as(ACCESS)
        .bind(ours)
        .fetch_all(connection)
        .await
        .map_err(failed(operation))?;
    let mut map = AccessMap::new();
    for (kind, schema, name, owner, controlled, privilege, to, by, grantable, column) in rows {
        let object = match kind.as_str() {
            "table" => Object::Table(schema, name),
            "sequence" => Object::Sequence(schema, name),
            "schema" => Object::Schema(schema),
            _ => Object::Database,
        };
        let access = map.entry(object).or_insert_with(|| Access {
            owner,
            controlled,
            grants: BTreeSet::new(),
        });
        if let Some(privilege) = privilege {
            access.grants.insert(Grant {
                to,
                privilege,
                column,
                grantable: grantable.unwrap_or(false),
                by,
            });
        }
    }
    Ok(map)
}

/// All roles; `exempt` are the names of those that go on writing.
pub(super) async fn roles(
    connection: &mut PgConnection,
    exempt: &[String],
    operation: &'static str,
) -> Result<Roles> {
    let rows: Vec<(String, bool, bool, bool, bool, bool)> = sqlx::query_as(ROLES)
        .bind(exempt)
        .fetch_all(connection)
        .await
        .map_err(failed(operation))?;
    let role = |(name, superuser, can_log_in, exempt, assumable, shared)| Role {
        name,
        superuser,
        can_log_in,
        exempt,
        assumable,
        shared,
    };
    Ok(Roles(rows.into_iter().map(role).collect()))
}

/// The roles, neither superuser nor exempt, that can write to something covered, whatever gives them the right: also those
/// that log in and may become (`SET ROLE`) a role that can.
pub(super) async fn writers(
    connection: &mut PgConnection,
    exempt: &[String],
    operation: &'static str,
) -> Result<Vec<String>> {
    sqlx::query_scalar(WRITERS)
        .bind(exempt)
        .bind(own_tables())
        .fetch_all(connection)
        .await
        .map_err(failed(operation))
}

/// The columns that are there of those `tables`.
pub(super) async fn columns(
    connection: &mut PgConnection,
    tables: &[(String, String)],
    operation: &'static str,
) -> Result<Columns> {
    let (schemas, names): (Vec<_>, Vec<_>) = tables.iter().cloned().unzip();
    let rows: Vec<(String, String, String)> = sqlx::query_as(COLUMNS)
        .bind(schemas)
        .bind(names)
        .fetch_all(connection)
        .await
        .map_err(failed(operation))?;
    let mut columns = Columns::new();
    for (schema, name, column) in rows {
        let table = columns.entry(Object::Table(schema, name)).or_default();
        table.insert(column);
    }
    Ok(columns)
}

/// Kind, schema, name, owner, controlled, privilege, grantee, grantor, grantable, column.
type AccessRow = (
    String,
    String,
    String,
    String,
    bool,
    Option<String>,
    Option<String>,
    Option<String>,
    Option<bool>,
    Option<String>,
);

// An absent ACL means the default one. The grantee 0 is PUBLIC.
const ACCESS: &str = concat!(
    "
with objects as (
    select case c.relkind when 'S' then 'sequence' else 'table' end as kind, c.oid,
           n.nspname::text as schema, c.relname::text as name, c.relowner as owner,
           coalesce(c.relacl, acldefault(case c.relkind when 'S' then 's' else 'r' end::\"char\", c.relowner)) as acl,
           case c.relkind when 'S' then array['USAGE', 'UPDATE']
                else array['INSERT', 'UPDATE', 'DELETE', 'TRUNCATE'] end as writes
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where ",
    covered!("$1"),
    "
    union all
    select 'schema', n.oid, n.nspname::text, '', n.nspowner,
           coalesce(n.nspacl, acldefault('n', n.nspowner)), array['CREATE']
    from pg_namespace n
    where ",
    not_the_systems!(),
    "
    union all
    select 'database', d.oid, '', '', d.datdba, coalesce(d.datacl, acldefault('d', d.datdba)), array['CREATE']
    from pg_database d where d.datname = current_database()
),
grants as (
    select o.kind, o.oid, a.privilege_type, a.grantee, a.grantor, a.is_grantable, null::text as col
    from objects o cross join lateral aclexplode(o.acl) a
    union all
    select 'table', t.attrelid, a.privilege_type, a.grantee, a.grantor, a.is_grantable, t.attname::text
    from pg_attribute t cross join lateral aclexplode(t.attacl) a
    where t.attacl is not null and not t.attisdropped
)
select o.kind, o.schema, o.name, pg_get_userbyid(o.owner)::text, pg_has_role(current_user, o.owner, 'USAGE'),
       g.privilege_type,
       case when g.grantee <> 0 then pg_get_userbyid(g.grantee)::text end,
       case when g.grantor <> o.owner then pg_get_userbyid(g.grantor)::text end,
       g.is_grantable, g.col
from objects o
left join grants g on g.kind = o.kind and g.oid = o.oid and g.privilege_type = any(o.writes)"
);

const COLUMNS: &str = "
select n.nspname::text, c.relname::text, a.attname::text
from unnest($1::text[], $2::text[]) wanted(schema, name)
join pg_namespace n on n.nspname = wanted.schema
join pg_class c on c.relnamespace = n.oid and c.relname = wanted.name
join pg_attribute a on a.attrelid = c.oid and not a.attisdropped";

// From PostgreSQL 16 on, membership alone does not let a role become another.
const ROLES: &str = "
select r.rolname::text, r.rolsuper, r.rolcanlogin, r.rolname::text = any($1),
       pg_has_role(current_user, r.oid,
                   case when current_setting('server_version_num')::int < 160000 then 'MEMBER' else 'SET' end),
       r.rolsuper and exists (
           select from pg_roles m
           where not m.rolsuper and m.rolname::text <> all($1) and pg_has_role(m.oid, r.oid, 'USAGE'))
from pg_roles r order by 1";

// Predefined roles are left out: nobody logs in as one, and their members are found by what they can do. Beside what a role
// has by itself, who logs in has what it may become: until PostgreSQL 15 every member may, later the right can be withheld.
const WRITERS: &str = concat!(
    "
with covered as materialized (
    select c.oid, c.relkind from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where ",
    covered!("$2"),
    "
), schemas as materialized (
    select n.oid, n.nspname, n.nspowner from pg_namespace n where ",
    not_the_systems!(),
    "
), able as materialized (
    select r.oid from pg_roles r
    where r.rolsuper or has_database_privilege(r.oid, current_database(), 'CREATE')
      or exists (select from schemas s where has_schema_privilege(r.oid, s.oid, 'CREATE')
                   and not (s.nspname = 'ops' and pg_has_role(r.oid, s.nspowner, 'USAGE')))
      or exists (select from covered c where case c.relkind
          when 'S' then has_sequence_privilege(r.oid, c.oid, 'USAGE, UPDATE')
          else has_table_privilege(r.oid, c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE')
            or has_any_column_privilege(r.oid, c.oid, 'INSERT, UPDATE') end)
)
select r.rolname::text from pg_roles r
where not r.rolsuper and r.rolname !~ '^pg_' and r.rolname::text <> all($1)
  and exists (select from able a where a.oid = r.oid
                or (r.rolcanlogin and has_database_privilege(r.oid, current_database(), 'CONNECT')
                    and pg_has_role(r.oid, a.oid,
                    case when current_setting('server_version_num')::int < 160000 then 'MEMBER' else 'SET' end)))
order by 1"
);
