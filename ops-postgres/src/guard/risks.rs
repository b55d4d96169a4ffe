//! What could get past read-only mode without being a privilege on anything: from the system catalogs.

use ops_core::error::Result;
use sqlx::PgConnection;

use super::catalog::{covered, not_the_systems};
use crate::error::failed;
use crate::store::own_tables;

/// Names for people, each list in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Risks {
    /// Roles that log in and own something covered, by themselves or as members of the owner.
    pub(super) owners: Vec<String>,
    /// Roles that log in and may make anybody, themselves too, a member of `pg_write_all_data`.
    pub(super) role_makers: Vec<String>,
    /// How many functions run with the rights of a superuser or an exempt role for callers that are neither.
    pub(super) functions: i64,
    /// Enabled logical subscriptions: what arrives is written with the rights of their owners.
    pub(super) subscriptions: Vec<String>,
    /// Tables that an exempt role may write to, but not with a reference to a covered one.
    pub(super) referring: Vec<String>,
}

impl Risks {
    pub(super) async fn read(
        connection: &mut PgConnection,
        exempt: &[String],
        operation: &'static str,
    ) -> Result<Self> {
        let (owners, role_makers, functions, subscriptions, referring) = sqlx::query_as(RISKS)
            .bind(exempt)
            .bind(own_tables())
            .fetch_one(connection)
            .await
            .map_err(failed(operation))?;
        Ok(Self {
            owners,
            role_makers,
            functions,
            subscriptions,
            referring,
        })
    }
}

// Until PostgreSQL 15, CREATEROLE is enough to grant membership in every role that is no superuser.
// A reference is checked with the rights of the owner of the table that it points to, and needs his UPDATE privilege.
const RISKS: &str = concat!(
    "
with owners as materialized (
    select c.relowner as oid from pg_class c join pg_namespace n on n.oid = c.relnamespace where ",
    covered!("$2"),
    "
    union
    select n.nspowner from pg_namespace n where ",
    not_the_systems!(),
    "
    union
    select d.datdba from pg_database d where d.datname = current_database()
), people as materialized (
    select r.oid, r.rolname::text as name from pg_roles r
    where r.rolcanlogin and not r.rolsuper and r.rolname::text <> all($1)
      and has_database_privilege(r.oid, current_database(), 'CONNECT')
)
select array(select p.name from people p
             where exists (select from owners o where pg_has_role(p.oid, o.oid, 'MEMBER')) order by 1) as owners,
       array(select p.name from people p
             where current_setting('server_version_num')::int < 160000
               and exists (select from pg_roles m where m.rolcreaterole and pg_has_role(p.oid, m.oid, 'MEMBER'))
             order by 1) as role_makers,
       (select count(*) from pg_proc f
        join pg_namespace n on n.oid = f.pronamespace
        join pg_roles o on o.oid = f.proowner
        where f.prosecdef and (o.rolsuper or o.rolname::text = any($1)) and ",
    not_the_systems!(),
    "
          and exists (select from pg_roles r where not r.rolsuper and r.rolname !~ '^pg_'
                        and r.rolname::text <> all($1) and has_function_privilege(r.oid, f.oid, 'EXECUTE'))) as functions,
       array(select s.subname::text from pg_subscription s
             where s.subenabled
               and s.subdbid = (select d.oid from pg_database d where d.datname = current_database())
             order by 1) as subscriptions,
       array(select distinct format('%s.%s', n.nspname, c.relname) from pg_constraint f
             join pg_class c on c.oid = f.conrelid
             join pg_namespace n on n.oid = c.relnamespace
             join pg_class target on target.oid = f.confrelid
             join pg_roles o on o.oid = target.relowner
             join pg_roles e on e.rolname::text = any($1)
             where f.contype = 'f' and not o.rolsuper and o.rolname::text <> all($1)
               and (has_table_privilege(e.oid, c.oid, 'INSERT, UPDATE')
                    or has_any_column_privilege(e.oid, c.oid, 'INSERT, UPDATE'))
             order by 1) as referring"
);
