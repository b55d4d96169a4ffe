//! Deletes rows that count no more, beside the calls.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ops_core::model::LimitTime;
use sqlx::PgPool;

use super::signed;

/// Sweeps at most once in [`EVERY`], as a rule one instance for all, in a task of its own: no call waits for it, and none is undone by it.
#[derive(Debug, Default)]
pub(super) struct Sweeper {
    /// When one began, by the server's clock.
    began: Arc<AtomicU64>,
}

/// In microseconds.
const EVERY: u64 = 60_000_000;
/// What one statement looks through: it takes milliseconds, and a check may wait for it on a row of a caller who comes back.
const PAGES: i64 = 128;

impl Sweeper {
    /// Begins one if it is time, within a runtime of tokio. It ends when both tables are gone through, at the first error, with the pool, or at once
    /// where another instance has gone through them within that time.
    pub(super) fn begin(&self, pool: &PgPool, now: LimitTime) {
        let (now, last) = (now.as_micros(), self.began.load(Ordering::Relaxed));
        if now < last.saturating_add(EVERY) {
            return;
        }
        let taken = self
            .began
            .compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed);
        if taken.is_err() {
            return;
        }
        let pool = pool.clone();
        tokio::spawn(async move {
            if let Err(cause) = sweep(&pool, now).await {
                // The next one tries again.
                tracing::debug!(error = %cause, "rows of limits that count no more could not be deleted");
            }
        });
    }
}

async fn sweep(pool: &PgPool, now: u64) -> Result<(), sqlx::Error> {
    let is_swept: bool = sqlx::query_scalar(IS_SWEPT)
        .bind(signed(now))
        .bind(signed(EVERY))
        .fetch_one(pool)
        .await?;
    if is_swept {
        return Ok(());
    }
    for (size, delete) in [(STATE_PAGES, DELETE_STATES), (DENIAL_PAGES, DELETE_DENIALS)] {
        let pages: i64 = sqlx::query_scalar(size).fetch_one(pool).await?;
        let mut first = 0;
        while first < pages {
            sqlx::query(delete)
                .bind(signed(now))
                .bind(format!("({first},0)"))
                .bind(format!("({},0)", first + PAGES))
                .execute(pool)
                .await?;
            first += PAGES;
        }
    }
    sqlx::query(NOTE_SWEPT)
        .bind(signed(now))
        .bind(signed(EVERY))
        .execute(pool)
        .await?;
    Ok(())
}

// The row of no key says when the last sweep began that came to its end: one that dies on the way keeps nobody away. Two at the same time pass over
// each other's rows. A time that lies further ahead is that of a clock which was set back since.
const IS_SWEPT: &str =
    "select exists (select from ops.limit_state where key = '' and at > $1 - $2 and at <= $1 + $2)";
const NOTE_SWEPT: &str = "insert into ops.limit_state (key, at, expires) values ('', $1, $1 + 2 * $2)
    on conflict (key) do update set at = excluded.at, expires = excluded.expires";
// An index on `expires` would make every admitted check write to two indexes, for what is needed once a minute. So the table is gone through page
// by page. A row that a check has locked is passed over: it counts again, and neither waits for the other in a circle.
const STATE_PAGES: &str =
    "select pg_relation_size('ops.limit_state') / current_setting('block_size')::bigint";
const DENIAL_PAGES: &str =
    "select pg_relation_size('ops.limit_denial') / current_setting('block_size')::bigint";
const DELETE_STATES: &str = "delete from ops.limit_state where ctid = any (array(
    select ctid from ops.limit_state where ctid >= $2::text::tid and ctid < $3::text::tid and expires < $1 for update skip locked))";
const DELETE_DENIALS: &str = "delete from ops.limit_denial where ctid = any (array(
    select ctid from ops.limit_denial where ctid >= $2::text::tid and ctid < $3::text::tid and expires < $1 for update skip locked))";
