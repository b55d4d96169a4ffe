//! What the doctor asks of PostgreSQL: each thing that is wrong turns its line red, and nothing is written.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ops_core::clock::SystemClock;
use ops_core::model::{CheckState, TargetId, Timestamp};
use ops_core::ports::{Clock, ReadinessProbe};
use ops_core::testkit::ManualClock;
use ops_postgres::{PostgresDatabaseGuard, PostgresReadiness, PostgresStore};

use super::world::{World, run};

async fn not_ready(probe: &PostgresReadiness, target: &TargetId) -> BTreeMap<String, CheckState> {
    let checks = probe.examine(std::slice::from_ref(target)).await;
    assert!(checks.len() > 2, "{checks:#?}");
    checks
        .into_iter()
        .filter(|check| check.state != CheckState::Ready)
        .map(|check| {
            assert!(check.remedy.is_some());
            (check.name, check.state)
        })
        .collect()
}

fn missing(names: &[&str]) -> BTreeMap<String, CheckState> {
    names
        .iter()
        .map(|name| ((*name).to_owned(), CheckState::Missing))
        .collect()
}

fn clock() -> Arc<dyn Clock> {
    Arc::new(SystemClock::new())
}

#[tokio::test]
async fn the_owner_of_a_scratch_database_is_ready_and_writes_nothing() {
    let Some(world) = World::new().await else {
        return;
    };
    let audit = PostgresStore::connect(world.scratch.audit_url()).await.unwrap();
    let probe = PostgresReadiness::new(&world.guard(), clock()).with_audit(&audit);
    let before = world.observe().await;
    assert_eq!(not_ready(&probe, &world.target()).await, BTreeMap::new());
    assert_eq!(world.observe().await, before);
    let other = PostgresDatabaseGuard::target("another").unwrap();
    assert_eq!(not_ready(&probe, &other).await, missing(&["service-readable"]));
    audit.close().await;
    world.close().await;
}

#[tokio::test]
async fn a_role_without_the_rights_is_named_with_what_it_lacks() {
    let Some(world) = World::new().await else {
        return;
    };
    let store = PostgresStore::connect(world.scratch.app_url()).await.unwrap();
    let guard = PostgresDatabaseGuard::new(&store);
    let probe = PostgresReadiness::new(&guard, clock());
    let found = not_ready(&probe, &world.target()).await;
    for name in ["may-make-read-only", "may-end-sessions", "audit-role-separate"] {
        assert_eq!(found.get(name), Some(&CheckState::Missing), "{name}: {found:#?}");
    }
    store.close().await;
    world.close().await;
}

#[tokio::test]
async fn a_table_of_somebody_else_a_missing_role_and_one_role_for_both_are_named() {
    let Some(world) = World::new().await else {
        return;
    };
    let mut admin = world.superuser().await;
    run(
        &mut admin,
        "create table stranger (id int); grant insert on stranger to public",
    )
    .await
    .unwrap();
    let guard = world.guard().with_exempt_role("nobody_of_that_name");
    let probe = PostgresReadiness::new(&guard, clock()).with_audit(&world.store);
    assert_eq!(
        not_ready(&probe, &world.target()).await,
        missing(&["may-make-read-only", "exempt-role", "audit-role-separate"])
    );
    run(&mut admin, "drop table stranger").await.unwrap();
    world.close().await;
}

#[tokio::test]
async fn an_audit_role_that_would_fall_silent_is_named() {
    let Some(world) = World::new().await else {
        return;
    };
    let (name, role) = (world.scratch.name().to_owned(), world.scratch.audit_role());
    let mut admin = world.superuser().await;
    run(
        &mut admin,
        &format!("alter role {role} in database {name} reset default_transaction_read_only"),
    )
    .await
    .unwrap();
    let audit = PostgresStore::connect(world.scratch.audit_url()).await.unwrap();
    let probe = PostgresReadiness::new(&world.guard(), clock()).with_audit(&audit);
    assert_eq!(
        not_ready(&probe, &world.target()).await,
        missing(&["exempt-role"])
    );
    run(&mut admin, &format!("revoke insert on ops.audit_log from {role}"))
        .await
        .unwrap();
    assert_eq!(
        not_ready(&probe, &world.target()).await,
        missing(&["exempt-role", "own-tables"])
    );
    audit.close().await;
    world.close().await;
}

#[tokio::test]
async fn a_right_on_any_table_that_the_button_writes_to_is_missed() {
    let Some(world) = World::new().await else {
        return;
    };
    let audit = PostgresStore::connect(world.scratch.audit_url()).await.unwrap();
    let probe = PostgresReadiness::new(&world.guard(), clock()).with_audit(&audit);
    let mut session = world.owner().await;
    for (table, right) in [
        ("approval_request", "insert"),
        ("approval_request", "update"),
        ("approval", "select"),
        ("approval", "insert"),
        ("switch_process", "insert"),
        ("switch_process", "delete"),
        ("drill", "insert"),
    ] {
        run(
            &mut session,
            &format!("revoke {right} on ops.{table} from current_user"),
        )
        .await
        .unwrap();
        assert_eq!(
            not_ready(&probe, &world.target()).await,
            missing(&["own-tables"]),
            "{right} on {table}"
        );
        run(
            &mut session,
            &format!("grant {right} on ops.{table} to current_user"),
        )
        .await
        .unwrap();
    }
    assert_eq!(not_ready(&probe, &world.target()).await, BTreeMap::new());
    audit.close().await;
    world.close().await;
}

#[tokio::test]
async fn a_wrong_clock_and_an_old_schema_are_named() {
    let Some(world) = World::new().await else {
        return;
    };
    let audit = PostgresStore::connect(world.scratch.audit_url()).await.unwrap();
    let old = Arc::new(ManualClock::new(Timestamp::UNIX_EPOCH + Duration::from_secs(1)));
    let probe = PostgresReadiness::new(&world.guard(), old).with_audit(&audit);
    assert_eq!(not_ready(&probe, &world.target()).await, missing(&["clock"]));
    run(
        &mut world.owner().await,
        "delete from ops.schema_migration where version > 1",
    )
    .await
    .unwrap();
    assert_eq!(
        not_ready(&probe, &world.target()).await,
        missing(&["clock", "schema"])
    );
    audit.close().await;
    world.close().await;
}
