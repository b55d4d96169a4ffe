//! Every provider passes the suite of its port.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test may panic")]

#[path = "live/world.rs"]
#[expect(dead_code, reason = "the suites need a part of it only")]
mod world;

use ops_core::testkit;
use ops_postgres::{
    PostgresApprovals, PostgresAuditStore, PostgresDrillLog, PostgresJournal, PostgresProcesses,
    PostgresSwitchStore,
};

use self::world::World;

#[tokio::test]
async fn the_audit_store_keeps_its_contract() {
    let Some(world) = World::new().await else { return };
    testkit::audit_store(&world.audit().await).await;
    let owners = PostgresAuditStore::unchecked(&world.store);
    testkit::audit_store(&owners).await;
    testkit::audit_eraser(&world.audit().await, &owners).await;
    world.close().await;
}

#[tokio::test]
async fn the_journal_keeps_its_contract() {
    let Some(world) = World::new().await else { return };
    testkit::journal(&PostgresJournal::new(&world.store)).await;
    world.close().await;
}

#[tokio::test]
async fn the_approval_store_keeps_its_contract() {
    let Some(world) = World::new().await else { return };
    testkit::approval_store(&PostgresApprovals::new(&world.store)).await;
    world.close().await;
}

#[tokio::test]
async fn the_switch_store_keeps_its_contract() {
    let Some(world) = World::new().await else { return };
    testkit::switch_store(&PostgresSwitchStore::new(&world.store)).await;
    world.close().await;
}

#[tokio::test]
async fn the_drill_log_keeps_its_contract() {
    let Some(world) = World::new().await else { return };
    testkit::drill_log(&PostgresDrillLog::new(&world.store)).await;
    world.close().await;
}

#[tokio::test]
async fn the_process_registry_keeps_its_contract() {
    let Some(world) = World::new().await else { return };
    testkit::process_registry(&PostgresProcesses::new(&world.store)).await;
    world.close().await;
}

#[tokio::test]
async fn the_database_guard_keeps_its_contract() {
    let Some(world) = World::new().await else { return };
    testkit::database_guard(&world.guard(), &world.target()).await;
    world.close().await;
}
