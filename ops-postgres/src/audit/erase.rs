use async_trait::async_trait;
use ops_core::error::{ErrorKind, Result};
use ops_core::model::{TenantId, Withheld};
use ops_core::ports::{AuditEraser, Forgotten, TrailEntry};

use super::PostgresAuditStore;
use super::append::page_after;
use super::columns::json;
use super::prune::holds;
use super::store::WRITE;
use crate::error::{error, failed};

/// Reads the whole trail of the tenant, a page a transaction. The role needs what [`PostgresStore::grant_audit_eraser`](crate::PostgresStore::grant_audit_eraser) gives: one
/// that only writes the trail cannot remove anything from it.
#[async_trait]
impl AuditEraser for PostgresAuditStore {
    async fn forget(&self, tenant: &TenantId, person: &str) -> Result<Forgotten> {
        let mut forgotten = Forgotten::default();
        let mut last = 0;
        loop {
            let mut transaction = self.begin(WRITE, tenant, FORGET).await?;
            // A hold that is placed meanwhile waits for this page.
            sqlx::query("select set_config('lock_timeout', '5s', true), ops.audit_hold_still()")
                .execute(&mut *transaction)
                .await
                .map_err(failed(FORGET))?;
            let holds = holds(&mut transaction, tenant, FORGET).await?;
            let page = page_after(&mut transaction, tenant, last, PAGE)
                .await
                .map_err(failed(FORGET))?;
            let Some(end) = page.last() else {
                return Ok(forgotten);
            };
            last = end.sequence();
            for row in page {
                let place = (row.sequence(), row.at_micros());
                let mut record = match row.entry(tenant) {
                    TrailEntry::Record { record, .. } => record,
                    TrailEntry::Removed { .. } => continue,
                    other => {
                        return Err(error(ErrorKind::Unexpected, FORGET)
                            .context("position", other.sequence().to_string())
                            .context("reason", "the record cannot be read"));
                    }
                };
                let held = holds.iter().any(|hold| hold.keeps(&record));
                let (salts, withheld) = (record.salts.len(), record.forget(person));
                if held {
                    forgotten.held += u64::from(withheld != Withheld::Unconcerned);
                    continue;
                }
                forgotten.count(withheld);
                if withheld == Withheld::Unconcerned || record.salts.len() == salts {
                    continue;
                }
                let left = match record.salts.is_empty() {
                    true => None,
                    false => Some(json(&record.salts)?),
                };
                let found: bool =
                    sqlx::query_scalar("select ops.audit_withhold($1, $2, $3, $4, $5, $6, $7, $8)")
                        .bind(tenant.as_str())
                        .bind(place.0)
                        .bind(place.1)
                        .bind(record.actor.id())
                        .bind(&record.resource_id)
                        .bind(json(&record.details)?)
                        .bind(json(&record.withheld)?)
                        .bind(left)
                        .fetch_one(&mut *transaction)
                        .await
                        .map_err(failed(FORGET))?;
                if !found {
                    return Err(error(ErrorKind::Unexpected, FORGET)
                        .context("sequence", place.0.to_string())
                        .context("reason", "the record was not there any more"));
                }
            }
            transaction.commit().await.map_err(failed(FORGET))?;
        }
    }
}

const FORGET: &str = "forget person in audit trail";
const PAGE: u32 = 1000;
