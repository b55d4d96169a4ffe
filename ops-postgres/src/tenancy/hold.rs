use ops_core::error::{ErrorKind, Result};
use ops_core::model::{TenantId, Timestamp};
use serde::Serialize;
use sqlx::PgPool;
use uuid::Uuid;

use crate::PostgresStore;
use crate::error::{error, failed};
use crate::identifier::literal;

/// Something that must not be deleted, whatever the rules say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct DataHold {
    /// Its id.
    pub id: Uuid,
    /// Whose data.
    pub tenant: TenantId,
    /// Of which person; `None`: all of the tenant.
    pub person: Option<String>,
    /// Why: a case number, not its story.
    pub reason: String,
    /// Since when.
    pub since: Timestamp,
}

/// Holds on an application's data: purge, erasure and retention spare what is held.
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

    /// Holds the data of a person, or of the whole tenant.
    ///
    /// # Errors
    /// `InvalidInput` without a reason; `NotFound` for a tenant that the directory does not know, unless it knows none at all;
    /// `Unavailable`, `Timeout`.
    pub async fn hold(
        &self,
        tenant: &TenantId,
        person: Option<&str>,
        reason: &str,
        at: Timestamp,
    ) -> Result<DataHold> {
        if reason.trim().is_empty() {
            return Err(error(ErrorKind::InvalidInput, HOLD).context("reason", "must not be empty"));
        }
        let hold = DataHold {
            id: Uuid::new_v4(),
            tenant: tenant.clone(),
            person: person.map(str::to_owned),
            reason: reason.to_owned(),
            since: at,
        };
        let held = sqlx::query(
            "insert into ops.data_hold (id, tenant, person, reason, since) select $1, $2, $3, $4, $5
             where exists (select from ops.tenant where id = $2) or not exists (select from ops.tenant)",
        )
        .bind(hold.id)
        .bind(tenant.as_str())
        .bind(person)
        .bind(reason)
        .bind(at.as_unix_micros())
        .execute(&self.pool)
        .await
        .map_err(failed(HOLD))?;
        if held.rows_affected() == 0 {
            return Err(error(ErrorKind::NotFound, HOLD)
                .context("tenant", tenant.as_str())
                .context(
                    "remedy",
                    "see opsctl tenant list; opsctl tenant create adopts what is older",
                ));
        }
        Ok(hold)
    }

    /// Releases a hold, and gives it; `None` when it was not held.
    ///
    /// # Errors
    /// `Unavailable`, `Timeout`.
    pub async fn release(&self, id: Uuid, at: Timestamp) -> Result<Option<DataHold>> {
        let row: Option<Row> = sqlx::query_as(
            "update ops.data_hold set released_at = $2 where id = $1 and released_at is null
             returning id, tenant, person, reason, since",
        )
        .bind(id)
        .bind(at.as_unix_micros())
        .fetch_optional(&self.pool)
        .await
        .map_err(failed("release hold"))?;
        row.map(DataHold::read).transpose()
    }

    /// What is held, of every tenant, oldest first.
    ///
    /// # Errors
    /// `Unavailable`, `Timeout`.
    pub async fn list(&self) -> Result<Vec<DataHold>> {
        let rows: Vec<Row> = sqlx::query_as(
            "select id, tenant, person, reason, since from ops.data_hold where released_at is null order by since, id",
        )
        .fetch_all(&self.pool)
        .await
        .map_err(failed(LIST))?;
        rows.into_iter().map(DataHold::read).collect()
    }

    /// What is held of this tenant.
    pub(crate) async fn of(&self, tenant: &TenantId) -> Result<Vec<DataHold>> {
        let mut holds = self.list().await?;
        holds.retain(|hold| hold.tenant == *tenant);
        Ok(holds)
    }
}

impl DataHold {
    fn read((id, tenant, person, reason, since): Row) -> Result<Self> {
        Ok(Self {
            id,
            tenant: TenantId::new(tenant)?,
            person,
            reason,
            since: Timestamp::from_unix_micros(since),
        })
    }
}

/// As [`DataHold`], field by field.
type Row = (Uuid, String, Option<String>, String, i64);

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
