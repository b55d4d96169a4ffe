use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use ops_core::error::Result;
use ops_core::ports::AuditEntry;
use sqlx::PgPool;
use tracing::warn;

use super::store::WRITE;
use crate::error::failed;

/// For which months a store has made partitions, or tried to.
#[derive(Debug, Default)]
pub(super) struct Months {
    tried: Mutex<BTreeSet<i64>>,
}

impl Months {
    /// Makes partitions ahead of the newest of `entries`, once a month. What goes wrong is only told: the records have a place all the same.
    pub(super) async fn make_for(&self, pool: &PgPool, entries: &[AuditEntry]) {
        let newest = entries.iter().map(|entry| entry.record.at.as_unix_micros()).max();
        let Some(newest) = newest.filter(|newest| self.is_new(*newest)) else {
            return;
        };
        if let Err(error) = make(pool, newest).await {
            warn!(%error, "the partition of a month could not be made: records go to the one for the rest");
        }
    }

    fn is_new(&self, micros: i64) -> bool {
        let mut tried = self.tried.lock().unwrap_or_else(PoisonError::into_inner);
        tried.insert(micros.div_euclid(MONTH))
    }
}

/// Makes the partitions of the month of `micros` and of the three after it.
pub(super) async fn make(pool: &PgPool, micros: i64) -> Result<()> {
    let mut transaction = pool.begin_with(WRITE).await.map_err(failed(MAKE))?;
    // Behind others it waits for a moment only: a partition is no reason to hold up a record.
    let statement = "select set_config('lock_timeout', '500ms', true), \
        (select bool_or(ops.audit_make_month(((timestamp 'epoch' + $1 / 1000000 * interval '1 second') \
            + make_interval(months => ahead))::date)) from generate_series(0, 3) as ahead)";
    sqlx::query(statement)
        .bind(micros)
        .execute(&mut *transaction)
        .await
        .map_err(failed(MAKE))?;
    transaction.commit().await.map_err(failed(MAKE))
}

const MAKE: &str = "make partitions of the audit trail";
/// Shorter than every month, so that none is passed over.
const MONTH: i64 = 28 * 24 * 60 * 60 * 1_000_000;
