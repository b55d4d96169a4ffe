//! A stop that was planned before a restore and carried out after it comes after it.
#![allow(
    clippy::unwrap_used,
    clippy::clone_on_ref_ptr,
    reason = "a test ends at what it did not expect, and shares its doubles as ports"
)]

mod support_emergency;

use std::sync::Arc;
use std::time::Duration;

use ops_core::emergency::{Approved, Approvers, Plan};
use ops_core::error::ErrorKind;
use ops_core::model::OutcomeStatus;
use support_emergency::{Failure, Fault, FaultyJournal, SharedJournal, World, alice};

/// Everything is stopped; then another stop is planned, and waits while all is put back.
async fn planned_early(world: &World, other: &World) -> Plan<Approved> {
    let first = world.stop().await.run;
    let plan = other.engine.plan_stop(&other.procedure()).await;
    let plan = plan
        .approve(&[], &Approvers::none(), alice(), other.clock.time())
        .unwrap();
    tokio::time::sleep(Duration::from_secs(60)).await;
    let restored = world.restore(&first).await.unwrap();
    assert_eq!(restored.status, OutcomeStatus::Verified);
    tokio::time::sleep(Duration::from_secs(60)).await;
    plan
}

#[tokio::test(start_paused = true)]
async fn its_hold_is_not_lost_when_the_spool_is_copied() {
    for blind in [true, false] {
        let shared = Arc::new(SharedJournal::new());
        let faulty = Arc::new(FaultyJournal::broken_for(shared.clone(), Failure::Fails, 0..0));
        let world = World::over(shared, 2);
        let before = world.bytes();
        let spool = Arc::new(SharedJournal::new());
        let other = world.machine(faulty.clone()).with_spool(spool);
        let plan = planned_early(&world, &other).await;
        // Either the journal cannot even be read, or it goes away right after it was.
        if blind {
            faulty.break_now();
        } else {
            faulty.break_after(4);
        }
        let stopped = other.engine.execute(plan).await.unwrap();
        assert_eq!(stopped.status, OutcomeStatus::Verified);
        faulty.repair();

        other.engine.catch_up().await.unwrap();
        let held = world.held().await;
        assert_eq!(held.len(), 2, "blind: {blind}: {held:?}");
        assert!(held.iter().all(|held| held.run == stopped.run));
        let restored = other.restore(&stopped.run).await.unwrap();
        assert_eq!(restored.status, OutcomeStatus::Verified);
        assert_eq!(world.bytes(), before);
        assert!(world.held().await.is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn it_is_taken_up_and_not_called_superseded() {
    let world = World::of(2);
    let plan = planned_early(&world, &world).await;
    world.targets[1].every_apply(Fault::Fail(ErrorKind::PermissionDenied));
    let stopped = world.engine.execute(plan).await.unwrap();
    assert_eq!(stopped.status, OutcomeStatus::Partial);
    world.targets[1].heal();
    let resumed = world
        .engine
        .resume(&stopped.run, &world.procedure(), &alice())
        .await
        .unwrap();
    assert_eq!(resumed.status, OutcomeStatus::Verified);
    assert!(world.all_stopped());
}

#[tokio::test(start_paused = true)]
async fn what_a_restore_has_put_back_after_a_stop_is_not_held_again() {
    let shared = Arc::new(SharedJournal::new());
    let faulty = Arc::new(FaultyJournal::broken_for(shared.clone(), Failure::Fails, 0..0));
    let world = World::over(faulty.clone(), 1).with_spool(Arc::new(SharedJournal::new()));
    faulty.break_now();
    let stopped = world.stop().await.run;
    faulty.repair();
    // The other machine sees the run only once it is copied.
    world.engine.catch_up().await.unwrap();
    let other = world.machine(shared);
    let restored = other.restore(&stopped).await.unwrap();
    assert_eq!(restored.status, OutcomeStatus::Verified);
    world.engine.catch_up().await.unwrap();
    assert!(world.engine.held().await.unwrap().is_empty());
}
