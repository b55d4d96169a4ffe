//! Migrations on a real server: the schema at hand, the states that tools keep, and what the server says about a script.

mod back;
mod dump;
mod executor;
mod half_done;
mod index;
mod inspector;
mod ledger;
mod mark;
mod notices;
mod trial;
mod watch;

use ops_core::error::Result;
use ops_core::model::Schema;
use sqlx::PgConnection;
use sqlx::types::Json;

pub use self::dump::schema_dump;
pub use self::inspector::PostgresMigrations;
pub use self::trial::PostgresTrial;
use crate::error::failed;

/// What decides what a migration costs, in the session's own time zone and search path.
async fn read_schema(connection: &mut PgConnection) -> Result<Schema> {
    let Json(schema) = sqlx::query_scalar::<_, Json<Schema>>(include_str!("catalog.sql"))
        .fetch_one(connection)
        .await
        .map_err(failed("read the schema"))?;
    Ok(schema)
}
