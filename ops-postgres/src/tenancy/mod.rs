//! Tenants in PostgreSQL: transactions that see one tenant, policies that are generated, a check that they hold, and a tenant's life
//! from its first rows to the proof that none is left.

mod back_fill;
mod check;
mod directory;
mod hold;
mod order;
mod policy;
mod pool;
mod purge;
mod sweep;

use ops_core::error::Result;
use ops_core::model::TenantId;
use sqlx::PgConnection;

pub(crate) use self::back_fill::hides_rows;
pub use self::back_fill::{BackFill, Filled};
pub use self::check::TenantCheck;
pub(crate) use self::check::{Catalog, Relation, sees_the_whole_tenant};
pub use self::directory::PostgresTenants;
pub use self::hold::DataHolds;
pub(crate) use self::hold::is_held;
pub(crate) use self::hold::{HoldRow, hold_of};
pub(crate) use self::order::children_first;
pub(crate) use self::policy::relation;
pub use self::policy::tenant_policies;
pub use self::pool::{TenantPool, TenantTransaction};
pub use self::purge::{PURGE_AFTER, PurgeOutcome, PurgeProof, TableCount, TenantPurge};
pub(crate) use self::purge::{of_tenant, unseen};
pub(crate) use self::sweep::{BLOCKS, Effect, Step, Sweep, Swept};
pub use self::sweep::{OnProgress, Progress};
use crate::error::failed;

/// The setting that names the tenant of a transaction.
pub(crate) const SETTING: &str = "app.current_tenant";

/// Lets a transaction see the rows of `tenant`, until it ends.
pub(crate) async fn set_tenant(
    connection: &mut PgConnection,
    tenant: &TenantId,
    operation: &'static str,
) -> Result<()> {
    set(connection, SETTING, tenant.as_str(), operation).await
}

/// Sets something until the transaction ends.
pub(crate) async fn set(
    connection: &mut PgConnection,
    name: &'static str,
    value: &str,
    operation: &'static str,
) -> Result<()> {
    sqlx::query("select set_config($1, $2, true)")
        .bind(name)
        .bind(value)
        .execute(connection)
        .await
        .map_err(failed(operation))?;
    Ok(())
}
