use ops_core::error::{ErrorKind, Result};
use sqlx::{PgPool, Row as _};

use crate::error::{error, failed};

/// Refuses a role that could change the trail unseen, and tables on which row security does not hold for everybody.
///
/// # Errors
/// `InvalidConfig`, naming the role, everything that is wrong, and the remedy.
pub(super) async fn check(pool: &PgPool) -> Result<()> {
    let row = sqlx::query(ROLE).fetch_one(pool).await.map_err(failed(CHECK))?;
    let read = |column| row.try_get::<bool, _>(column).map_err(failed(CHECK));
    let role: String = row.try_get("role").map_err(failed(CHECK))?;
    let mut wrong = Vec::new();
    if read("rolsuper")? {
        wrong.push("the role is a superuser, or may become one".to_owned());
    }
    if read("rolbypassrls")? {
        wrong.push(
            "the role passes row level security by, or may become one that does (BYPASSRLS)".to_owned(),
        );
    }
    let superuser = read("rolsuper")?;
    let tables = sqlx::query(TABLES).fetch_all(pool).await.map_err(failed(CHECK))?;
    if tables.is_empty() {
        wrong.push("there are no tables ops.audit_log, ops.audit_salt and ops.audit_head".to_owned());
    }
    for table in tables {
        let name: String = table.try_get("name").map_err(failed(CHECK))?;
        let read = |column| table.try_get::<bool, _>(column).map_err(failed(CHECK));
        // A superuser may do everything: said once.
        if !superuser && read("owned")? {
            wrong.push(format!("the role owns ops.{name}, or is a member of its owner"));
        } else if !superuser {
            for (may, what) in [
                ("may_update", "UPDATE"),
                ("may_delete", "DELETE"),
                ("may_truncate", "TRUNCATE"),
            ] {
                if read(may)? {
                    wrong.push(format!(
                        "the role may {what} ops.{name}, or may become one that may"
                    ));
                }
            }
        }
        if !read("forced")? {
            wrong.push(format!(
                "row level security is not enabled, forced and given the one policy for the rows of a tenant on ops.{name}"
            ));
        }
    }
    if wrong.is_empty() {
        return Ok(());
    }
    Err(error(ErrorKind::InvalidConfig, CHECK)
        .context("role", role)
        .context("wrong", wrong.join("; "))
        .context(
            "remedy",
            "let the owner of the schema migrate it and give a role of its own the right to write (PostgresStore::grant_audit_writer), and connect as that role; \
             for a database that is thrown away there is PostgresAuditStore::unchecked",
        ))
}

const CHECK: &str = "check audit role";

/// What a role may become counts, whether or not it inherits the rights.
const ROLE: &str = "select current_user::text as role, bool_or(rolsuper) as rolsuper, bool_or(rolbypassrls) as rolbypassrls \
     from pg_roles where pg_has_role(oid, 'MEMBER')";

/// By the catalogue alone: the role may have no right to the schema yet. Any policy that permits opens what it permits, whatever the others say.
const TABLES: &str = "select c.relname::text as name,
     pg_has_role(c.relowner, 'MEMBER') as owned, m.may_update, m.may_delete, m.may_truncate,
     c.relrowsecurity and c.relforcerowsecurity and y.ours as forced
 from pg_class c join pg_namespace n on n.oid = c.relnamespace
 cross join lateral (
     select bool_or(c.relname <> 'audit_head' and has_any_column_privilege(r.oid, c.oid, 'UPDATE')) as may_update,
         bool_or(has_table_privilege(r.oid, c.oid, 'DELETE')) as may_delete,
         bool_or(has_table_privilege(r.oid, c.oid, 'TRUNCATE')) as may_truncate
     from pg_roles r where pg_has_role(r.oid, 'MEMBER')) m
 cross join lateral (
     select coalesce(bool_and(polname = 'tenant_rows' and polcmd = '*' and polwithcheck is null
         and pg_get_expr(polqual, polrelid) like '%app.current_tenant%'), false) as ours
     from pg_policy where polrelid = c.oid and polpermissive) y
 where n.nspname = 'ops' and (c.relname in ('audit_log', 'audit_salt', 'audit_head', 'audit_kept', 'audit_pruned')
     or c.oid in (select i.inhrelid from pg_inherits i join pg_class p on p.oid = i.inhparent
                  join pg_namespace m on m.oid = p.relnamespace where m.nspname = 'ops' and p.relname = 'audit_log'))
 order by c.relname";
