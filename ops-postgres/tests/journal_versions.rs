//! Rows that earlier versions left in the journal are taken up and put back by this one.
#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::clone_on_ref_ptr,
    reason = "a test ends at what it did not expect, and shares its doubles as ports"
)]

#[path = "live/world.rs"]
#[expect(dead_code, reason = "a database of its own is all that is needed")]
mod live;
#[path = "../../ops-core/tests/support_emergency/mod.rs"]
mod support_emergency;
#[path = "../../ops-core/tests/support_fixture/mod.rs"]
mod support_fixture;

use std::sync::Arc;

use ops_core::ports::Journal;
use ops_postgres::PostgresJournal;
use sqlx::PgPool;
use support_fixture::{Fixture, Rows};

#[tokio::test]
async fn the_rows_of_every_earlier_version_are_taken_up_and_put_back_exactly() {
    let fixtures = Fixture::all();
    assert!(fixtures.len() >= 23, "only {} fixtures", fixtures.len());
    let Some(live) = live::World::new().await else {
        return;
    };
    for fixture in fixtures {
        insert(live.store.pool(), &fixture.rows()).await;
        let journal: Arc<dyn Journal> = Arc::new(PostgresJournal::new(&live.store));
        // Ten minutes later no call of the dead can land any more: here it would be waited for in real time.
        fixture
            .put_back(&fixture.world(journal).with_clock_off_by(600))
            .await;
    }
    live.close().await;
}

async fn insert(pool: &PgPool, rows: &Rows) {
    sqlx::raw_sql("truncate ops.journal_entry, ops.journal_hold")
        .execute(pool)
        .await
        .unwrap();
    for row in &rows.entries {
        sqlx::query("insert into ops.journal_entry (run, entry) values ($1, $2)")
            .bind(&row.run)
            .bind(&row.entry)
            .execute(pool)
            .await
            .unwrap();
    }
    for row in &rows.holds {
        sqlx::query(
            "insert into ops.journal_hold (target, run, at_micros, snapshot, released_at)
             values ($1, $2, $3, $4, case when $5 then now() end)",
        )
        .bind(&row.target)
        .bind(&row.run)
        .bind(row.at_micros)
        .bind(&row.snapshot)
        .bind(row.released)
        .execute(pool)
        .await
        .unwrap();
    }
}
