//! Every provider passes the suite of its port.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test may panic")]

#[path = "live/world.rs"]
#[expect(dead_code, reason = "the suites need a part of it only")]
mod world;

use ops_core::testkit;
use ops_postgres::{
    DataHolds, PostgresApprovals, PostgresAuditStore, PostgresDrillLog, PostgresDueDates, PostgresIncidents,
    PostgresJournal, PostgresLeases, PostgresLimits, PostgresProcesses, PostgresSwitchStore,
};

use self::world::World;

#[tokio::test]
async fn the_audit_store_keeps_its_contract() {
    let Some(world) = World::new().await else { return };
    testkit::audit_store(&world.audit().await).await;
    let owners = PostgresAuditStore::unchecked(&world.store);
    testkit::audit_store(&owners).await;
    testkit::audit_eraser(&world.audit().await, &owners).await;
    testkit::audit_pruner(&owners, &DataHolds::new(&world.store)).await;
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
async fn the_incident_store_keeps_its_contract() {
    let Some(world) = World::new().await else { return };
    testkit::incident_store(&PostgresIncidents::new(&world.store)).await;
    world.close().await;
}

#[tokio::test]
async fn the_due_dates_keep_their_contract() {
    let Some(world) = World::new().await else { return };
    testkit::due_dates(&PostgresDueDates::new(&world.store)).await;
    world.close().await;
}

#[tokio::test]
async fn the_store_of_leases_keeps_its_contract() {
    let Some(world) = World::new().await else { return };
    // The server's clock cannot be moved: what it has written down can.
    let pass = async |by: std::time::Duration| {
        let shift = format!(
            "update ops.lease set since = since - interval '{0} s', until = until - interval '{0} s'",
            by.as_secs()
        );
        world::run(&mut world.owner().await, &shift).await.unwrap();
    };
    testkit::lease_store(&PostgresLeases::new(&world.store), pass).await;
    world.close().await;
}

#[tokio::test]
async fn the_store_of_limits_keeps_its_contract() {
    let Some(world) = World::new().await else { return };
    let limits = PostgresLimits::new(&world.store);
    limits.connect().await.unwrap();
    testkit::limit_store(&limits).await;
    limits.close().await;
    world.close().await;
}

#[tokio::test]
async fn the_tenant_directory_keeps_its_contract() {
    let Some(world) = World::new().await else { return };
    let tables = "create table organizations (id text primary key, name text, plan text, is_active boolean, created_at timestamptz);
        create table users (organization_id text, id text, email text, name text, role_level int, primary key (organization_id, id));
        create table departments (organization_id text, id text, name text, path text, level int, primary key (organization_id, id))";
    world::run(&mut world.owner().await, tables).await.unwrap();
    testkit::tenant_directory(&ops_postgres::PostgresTenants::new(&world.store)).await;
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
