use ops_core::error::Result;
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Executor};

use super::mark::EXECUTE;
use crate::error::failed;
use crate::identifier::qualified;

/// Whether the index is valid; `None` if there is none.
pub(super) async fn index_state(connection: &mut PgConnection, index: &str) -> Result<Option<bool>> {
    sqlx::query_scalar(
        "select i.indisvalid from pg_index i join pg_class c on c.oid = i.indexrelid join pg_namespace n on n.oid = c.relnamespace
         where n.nspname || '.' || c.relname = $1",
    )
    .bind(index)
    .fetch_optional(connection)
    .await
    .map_err(failed(EXECUTE))
}

/// Takes away what a failed build has left; a valid index stays.
pub(super) async fn drop_index(connection: &mut PgConnection, index: &str) -> Result<()> {
    if index_state(connection, index).await? != Some(false) {
        return Ok(());
    }
    let statement = format!("drop index concurrently if exists {}", qualified(index));
    connection
        .execute(AssertSqlSafe(statement))
        .await
        .map_err(failed(EXECUTE))?;
    Ok(())
}
