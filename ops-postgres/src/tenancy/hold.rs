use ops_core::error::{ErrorKind, Result};
use ops_core::model::{TenantId, Timestamp};
use serde::Serialize;
use sqlx::PgPool;
use uuid::Uuid;

use crate::PostgresStore;
use crate::error::{error, failed};

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
    /// `InvalidInput` without a reason; `Unavailable`, `Timeout`.
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
        sqlx::query(
            "insert into ops.data_hold (id, tenant, person, reason, since) values ($1, $2, $3, $4, $5)",
        )
        .bind(hold.id)
        .bind(tenant.as_str())
        .bind(person)
        .bind(reason)
        .bind(at.as_unix_micros())
        .execute(&self.pool)
        .await
        .map_err(failed(HOLD))?;
        Ok(hold)
    }

    /// Releases a hold; `false` when it was not held.
    ///
    /// # Errors
    /// `Unavailable`, `Timeout`.
    pub async fn release(&self, id: Uuid, at: Timestamp) -> Result<bool> {
        let done =
            sqlx::query("update ops.data_hold set released_at = $2 where id = $1 and released_at is null")
                .bind(id)
                .bind(at.as_unix_micros())
                .execute(&self.pool)
                .await
                .map_err(failed("release hold"))?;
        Ok(done.rows_affected() > 0)
    }

    /// What is held, of every tenant, oldest first.
    ///
    /// # Errors
    /// `Unavailable`, `Timeout`.
    pub async fn list(&self) -> Result<Vec<DataHold>> {
        type Row = (Uuid, String, Option<String>, String, i64);
        let rows: Vec<Row> = sqlx::query_as(
            "select id, tenant, person, reason, since from ops.data_hold where released_at is null order by since, id",
        )
        .fetch_all(&self.pool)
        .await
        .map_err(failed(LIST))?;
        let read = |(id, tenant, person, reason, since): Row| {
            Ok(DataHold {
                id,
                tenant: TenantId::new(tenant)?,
                person,
                reason,
                since: Timestamp::from_unix_micros(since),
            })
        };
        rows.into_iter().map(read).collect()
    }

    /// What is held of this tenant.
    pub(crate) async fn of(&self, tenant: &TenantId) -> Result<Vec<DataHold>> {
        let mut holds = self.list().await?;
        holds.retain(|hold| hold.tenant == *tenant);
        Ok(holds)
    }
}

const HOLD: &str = "hold data";
const LIST: &str = "list holds";
