mod catalog;
mod heirs;
mod judge;
mod predicate;

use ops_core::error::Result;
use ops_core::model::TenantLayout;
use ops_core::tenancy::TenantReport;
use sqlx::PgPool;

pub(crate) use self::catalog::{Catalog, Relation, RelationKind};
pub(crate) use self::judge::sees_the_whole_tenant;
use crate::error::failed;

/// Looks through the catalogue for everything by which one tenant may reach another's rows. It reads no row of any table.
///
/// ```no_run
/// # async fn example(pool: sqlx::PgPool) -> ops_core::error::Result<()> {
/// use ops_core::model::TenantLayout;
/// use ops_postgres::TenantCheck;
///
/// let layout = TenantLayout::default()
///     .with_app_role("app")
///     .with_global("public.plans".parse()?, "the price list");
/// let report = TenantCheck::new(pool, layout).run().await?;
/// assert!(report.intact(), "{:?}", report.findings);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct TenantCheck {
    pool: PgPool,
    layout: TenantLayout,
}

impl TenantCheck {
    /// Checks the database of `pool`, whatever its role may do: the catalogue is open to all.
    pub fn new(pool: PgPool, layout: TenantLayout) -> Self {
        Self { pool, layout }
    }

    /// Reads the catalogue in one snapshot, and judges.
    ///
    /// # Errors
    /// `Unavailable`, `Timeout`.
    pub async fn run(&self) -> Result<TenantReport> {
        let mut transaction = self
            .pool
            .begin_with("begin isolation level repeatable read read only")
            .await
            .map_err(failed(CHECK))?;
        let catalog = Catalog::read(&mut transaction, &self.layout).await?;
        transaction.rollback().await.map_err(failed(CHECK))?;
        Ok(judge::judge(&catalog, &self.layout).accepting(&self.layout.accepted))
    }
}

const CHECK: &str = "check the tenants";
