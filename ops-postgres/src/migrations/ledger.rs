use ops_core::error::Result;
use ops_core::model::{AppliedMigration, Leftover, MigrationLedger, MigrationTool, SchemaState, Timestamp};
use sqlx::AssertSqlSafe;
use sqlx::postgres::PgConnection;

use crate::error::failed;
use crate::identifier::quoted;

const READ: &str = "read the state of migrations";

/// Every table of a tool, in whatever schema and, for sqlx, under whatever name; but not our own, which is no migration of the application.
pub(super) async fn read(connection: &mut PgConnection) -> Result<SchemaState> {
    let tables: Vec<(String, String, Vec<String>, bool)> = sqlx::query_as(
        "select n.nspname::text, c.relname::text,
             (select array_agg(a.attname::text order by a.attnum) from pg_attribute a
              where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped),
             has_schema_privilege(n.oid, 'USAGE') and has_table_privilege(c.oid, 'SELECT')
         from pg_class c join pg_namespace n on n.oid = c.relnamespace
         where c.relkind in ('r', 'p') and n.nspname !~ '^pg_' and (n.nspname, c.relname) <> ('ops', 'schema_migration') and exists (
             select from pg_attribute a where a.attrelid = c.oid and a.attnum > 0)
         order by 1, 2",
    )
    .fetch_all(&mut *connection)
    .await
    .map_err(failed(READ))?;
    let mut state = SchemaState::default();
    for (schema, table, columns, readable) in tables {
        let Some(tool) = tool(&schema, &table, &columns) else {
            continue;
        };
        let full = format!("{schema}.{table}");
        if !readable {
            state.unreadable.push(full);
            continue;
        }
        let place = format!("{}.{}", quoted(&schema), quoted(&table));
        let applied = applied(connection, tool, &place, &columns).await?;
        state.ledgers.push(MigrationLedger::new(tool, full, applied));
    }
    state.leftovers = leftovers(connection).await?;
    Ok(state)
}

/// Whose table it is, by its name and columns.
fn tool(schema: &str, table: &str, columns: &[String]) -> Option<MigrationTool> {
    let has = |names: &[&str]| {
        names
            .iter()
            .all(|name| columns.iter().any(|column| column == name))
    };
    match table {
        _ if has(&[
            "version",
            "description",
            "installed_on",
            "success",
            "checksum",
            "execution_time",
        ]) =>
        {
            Some(MigrationTool::Sqlx)
        }
        "alembic_version" if has(&["version_num"]) => Some(MigrationTool::Alembic),
        "django_migrations" if has(&["id", "app", "name", "applied"]) => Some(MigrationTool::Django),
        "schema_migrations" if schema == "supabase_migrations" && has(&["version"]) => {
            Some(MigrationTool::Supabase)
        }
        "schema_migrations" if has(&["version", "dirty"]) => Some(MigrationTool::GolangMigrate),
        "schema_migrations" if has(&["version"]) => Some(MigrationTool::Rails),
        _ => None,
    }
}

/// Version, name, microseconds since the epoch, checksum, dirty.
type Row = (String, Option<String>, Option<i64>, Option<String>, bool);

async fn applied(
    connection: &mut PgConnection,
    tool: MigrationTool,
    place: &str,
    columns: &[String],
) -> Result<Vec<AppliedMigration>> {
    let micros = |column: &str| format!("(extract(epoch from {column}) * 1000000)::int8");
    let query = match tool {
        MigrationTool::Sqlx => format!(
            "select version::text, description::text, {}, encode(checksum, 'hex'), not success from {place} order by version",
            micros("installed_on")
        ),
        MigrationTool::Alembic => {
            format!(
                "select version_num::text, null::text, null::int8, null::text, false from {place} order by version_num"
            )
        }
        MigrationTool::Django => format!(
            "select app || '.' || name, null::text, {}, null::text, false from {place} order by id",
            micros("applied")
        ),
        MigrationTool::GolangMigrate => {
            format!("select version::text, null::text, null::int8, null::text, dirty from {place}")
        }
        MigrationTool::Supabase if columns.iter().any(|column| column == "name") => {
            format!(
                "select version::text, name::text, null::int8, null::text, false from {place} order by version"
            )
        }
        // As numbers: as text "9" would come after "10".
        _ => format!(
            "select version::text, null::text, null::int8, null::text, false from {place}
             order by length(version::text), version::text"
        ),
    };
    let rows: Vec<Row> = sqlx::query_as(AssertSqlSafe(query))
        .fetch_all(connection)
        .await
        .map_err(failed(READ))?;
    let applied = rows.into_iter().map(|(version, name, at, checksum, dirty)| {
        let mut applied = AppliedMigration::new(version);
        applied.name = name;
        applied.at = at.map(Timestamp::from_unix_micros);
        applied.checksum = checksum;
        applied.dirty = dirty;
        applied
    });
    Ok(applied.collect())
}

async fn leftovers(connection: &mut PgConnection) -> Result<Vec<Leftover>> {
    let indexes: Vec<(String, String, bool)> = sqlx::query_as(
        "select n.nspname || '.' || c.relname, m.nspname || '.' || t.relname,
             exists (select from pg_stat_progress_create_index p where p.index_relid = c.oid or (p.relid = t.oid and p.index_relid = 0))
         from pg_index i
         join pg_class c on c.oid = i.indexrelid join pg_namespace n on n.oid = c.relnamespace
         join pg_class t on t.oid = i.indrelid join pg_namespace m on m.oid = t.relnamespace
         where not i.indisvalid and n.nspname !~ '^pg_'
         order by 1",
    )
    .fetch_all(&mut *connection)
    .await
    .map_err(failed(READ))?;
    let mut found: Vec<_> = indexes
        .into_iter()
        .map(|(index, table, being_built)| Leftover::InvalidIndex {
            index,
            table,
            being_built,
        })
        .collect();
    // One that is declared as not enforced is no leftover; only version 18 knows such.
    let constraints: Vec<(String, String)> = sqlx::query_as(
        "select k.conname::text, n.nspname || '.' || c.relname
         from pg_constraint k join pg_class c on c.oid = k.conrelid join pg_namespace n on n.oid = c.relnamespace
         where not k.convalidated and coalesce(to_jsonb(k) ->> 'conenforced', 'true') = 'true'
         order by 2, 1",
    )
    .fetch_all(&mut *connection)
    .await
    .map_err(failed(READ))?;
    found.extend(
        constraints
            .into_iter()
            .map(|(constraint, table)| Leftover::NotValidConstraint { constraint, table }),
    );
    let partitions: Vec<String> = sqlx::query_scalar(
        "select n.nspname || '.' || c.relname
         from pg_inherits h join pg_class c on c.oid = h.inhrelid join pg_namespace n on n.oid = c.relnamespace
         where h.inhdetachpending order by 1",
    )
    .fetch_all(connection)
    .await
    .map_err(failed(READ))?;
    found.extend(
        partitions
            .into_iter()
            .map(|partition| Leftover::PendingDetach { partition }),
    );
    Ok(found)
}
