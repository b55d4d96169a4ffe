use async_trait::async_trait;
use ops_core::error::{ErrorKind, Result};
use ops_core::model::{HeldResource, LegalHold, TenantId, Timestamp};
use ops_core::ports::LegalHolds;
use sqlx::PgPool;
use uuid::Uuid;

use crate::PostgresStore;
use crate::error::{error, failed};
use crate::identifier::literal;

/// Holds on an application's data and on the audit trail: purge, erasure and retention spare what is held.
///
/// No rule says which rows of an application are a resource: a hold on one keeps all application rows of the tenant, and of the trail the records about it.
#[derive(Clone, Debug)]
pub struct DataHolds {
    pool: PgPool,
}

impl DataHolds {
    /// The holds in the schema `ops` of `store`.
    pub fn new(store: &PostgresStore) -> Self {
        Self {
            pool: store.pool().clone(),
        }
    }

    /// What is held of this tenant.
    pub(crate) async fn of(&self, tenant: &TenantId) -> Result<Vec<LegalHold>> {
        let mut holds = self.open().await?;
        holds.retain(|hold| hold.tenant == *tenant);
        Ok(holds)
    }
}

#[async_trait]
impl LegalHolds for DataHolds {
    /// [`ErrorKind::NotFound`] for a tenant that the directory does not know, unless it knows none at all.
    async fn hold(&self, hold: &LegalHold) -> Result<()> {
        hold.check()?;
        let resource = hold.resource.as_ref();
        let held = sqlx::query(
            "insert into ops.data_hold (id, tenant, person, reason, since, resource_type, resource_id) select $1, $2, $3, $4, $5, $6, $7
             where exists (select from ops.tenant where id = $2) or not exists (select from ops.tenant)",
        )
        .bind(hold.id)
        .bind(hold.tenant.as_str())
        .bind(&hold.person)
        .bind(&hold.reason)
        .bind(hold.since.as_unix_micros())
        .bind(resource.map(|resource| &resource.kind))
        .bind(resource.and_then(|resource| resource.id.as_ref()))
        .execute(&self.pool)
        .await
        .map_err(failed(HOLD))?;
        if held.rows_affected() == 0 {
            return Err(error(ErrorKind::NotFound, HOLD)
                .context("tenant", hold.tenant.as_str())
                .context(
                    "remedy",
                    "see opsctl tenant list; opsctl tenant create adopts what is older",
                ));
        }
        Ok(())
    }

    async fn release(&self, id: Uuid, at: Timestamp) -> Result<Option<LegalHold>> {
        let row: Option<HoldRow> = sqlx::query_as(
            "update ops.data_hold set released_at = $2 where id = $1 and released_at is null
             returning id, tenant, person, resource_type, resource_id, reason, since",
        )
        .bind(id)
        .bind(at.as_unix_micros())
        .fetch_optional(&self.pool)
        .await
        .map_err(failed("release hold"))?;
        row.map(hold_of).transpose()
    }

    async fn open(&self) -> Result<Vec<LegalHold>> {
        let rows: Vec<HoldRow> = sqlx::query_as(
            "select id, tenant, person, resource_type, resource_id, reason, since from ops.data_hold
             where released_at is null order by since, id",
        )
        .fetch_all(&self.pool)
        .await
        .map_err(failed(LIST))?;
        rows.into_iter().map(hold_of).collect()
    }
}

/// A row of `ops.data_hold`: id, tenant, person, type and id of the resource, reason, since.
pub(crate) type HoldRow = (
    Uuid,
    String,
    Option<String>,
    Option<String>,
    Option<String>,
    String,
    i64,
);

/// The hold that a row says.
pub(crate) fn hold_of((id, tenant, person, kind, resource, reason, since): HoldRow) -> Result<LegalHold> {
    let since = Timestamp::from_unix_micros(since);
    let mut hold = LegalHold::new(TenantId::new(tenant)?, reason, since);
    hold.id = id;
    hold.person = person;
    hold.resource = kind.map(|kind| HeldResource::new(kind, resource));
    Ok(hold)
}

/// As a condition: whether anything of the tenant is held; with `person`, only what concerns it.
pub(crate) fn is_held(tenant: &TenantId, person: Option<&str>) -> String {
    let whose = person.map_or_else(String::new, |person| {
        format!(" and (h.person is null or h.person = {})", literal(person))
    });
    format!(
        "exists (select from ops.data_hold h where h.released_at is null and h.tenant = {}{whose})",
        literal(tenant.as_str())
    )
}

const HOLD: &str = "hold data";
const LIST: &str = "list holds";
