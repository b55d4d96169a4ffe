//! Real processes are killed at every fail point; with the journal in PostgreSQL, everything is put back byte for byte.
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
#[path = "../../ops-core/tests/support_kill/mod.rs"]
mod support_kill;

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use ops_core::ports::Journal;
use ops_postgres::{PostgresJournal, PostgresStore};
use secrecy::ExposeSecret as _;
use support_kill::{Journals, Scene, kill_everywhere, work_if_asked};

#[derive(Debug)]
struct Postgres;

#[async_trait]
impl Journals for Postgres {
    async fn open(_folder: &Path, url: Option<&str>) -> Arc<dyn Journal> {
        let store = PostgresStore::connect(&url.unwrap().into()).await.unwrap();
        Arc::new(PostgresJournal::new(&store))
    }

    async fn clear(url: Option<&str>) {
        let store = PostgresStore::connect(&url.unwrap().into()).await.unwrap();
        sqlx::raw_sql("truncate ops.journal_entry, ops.journal_hold")
            .execute(store.pool())
            .await
            .unwrap();
        store.close().await;
    }

    fn tear(_folder: &Path) {}
}

/// The process that is killed is this test, run again.
#[test]
fn what_the_killed_process_does() {
    work_if_asked::<Postgres>();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_killed_at_any_fail_point_leaves_a_run_that_is_put_back_exactly() {
    let mut worlds = Vec::new();
    for _ in 0..8 {
        let Some(world) = live::World::new().await else {
            return;
        };
        worlds.push(world);
    }
    let url = |world: &live::World| Some(world.scratch.owner_url().expose_secret().to_owned());
    let urls = worlds.iter().map(url).collect();
    kill_everywhere::<Postgres>("what_the_killed_process_does", urls, elsewhere).await;
    for world in worlds {
        world.close().await;
    }
}

/// Within a file, the file journal's own matrix kills; here it is the audit trail that is in files, and the spool.
fn elsewhere(_scene: Scene, point: &str) -> bool {
    point.starts_with("file.")
}
