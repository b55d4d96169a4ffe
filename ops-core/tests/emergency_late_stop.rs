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
use ops_core::model::{OutcomeStatus, RunId};
use ops_core::ports::{Held, Journal, JournalEntry, JournalEvent};
use support_emergency::{
    Failure, Fault, FaultyJournal, Meddled, SharedJournal, Verb, World, alice, quick, settle_tasks,
};

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

#[tokio::test(start_paused = true)]
async fn what_was_put_back_between_the_last_look_and_the_call_of_a_stop_is_not_stopped_anew() {
    // The stop was taken up after it had died, or its process lay still while it announced the call.
    for taken_up in [true, false] {
        let world = World::of(1);
        let before = world.bytes();
        let procedure = world.procedure_with(|_, step| quick(step));
        let view = Meddled::over(&world.journal);
        let machine = world.machine(view.clone());
        let plan = machine.engine.plan_stop(&procedure).await;
        let plan = plan
            .approve(&[], &Approvers::none(), alice(), world.clock.time())
            .unwrap();
        let run = plan.run().clone();
        let (there, of, by) = (world.clone(), run.clone(), procedure.clone());
        let put_back = async move {
            let restored = there.restore_by(&of, &by).await.unwrap();
            assert_eq!(restored.status, OutcomeStatus::Verified);
            if !taken_up {
                // Of the three that the call may take.
                tokio::time::sleep(Duration::from_millis(1600)).await;
            }
        };
        let ended = if taken_up {
            view.after(Verb::Hold, std::future::pending());
            let died = tokio::time::timeout(Duration::from_secs(1), machine.engine.execute(plan)).await;
            assert!(died.is_err());
            settle_tasks().await;
            view.before(Verb::Append, put_back);
            machine.engine.resume(&run, &procedure, &alice()).await
        } else {
            // The first entry begins the run, the second announces the call.
            let second = view.clone();
            view.after(Verb::Append, async move { second.before(Verb::Append, put_back) });
            machine.engine.execute(plan).await
        };
        let ended = ended.unwrap();
        assert_eq!(ended.status, OutcomeStatus::Failed, "{taken_up}: {ended:#?}");
        let reason = ended.steps[0].result.reason().unwrap();
        assert!(reason.contains("put back meanwhile by"), "{taken_up}: {reason}");
        assert_eq!(world.bytes(), before, "{taken_up}: an approved restore stands");
    }
}

#[tokio::test(start_paused = true)]
async fn a_hold_of_a_run_that_cannot_be_read_is_not_held_again_once_a_later_restore_has_put_it_back() {
    let world = World::of(1);
    let stopped = world.stop().await.run;
    let snapshot = world.held().await.remove(0).snapshot;
    tokio::time::sleep(Duration::from_secs(1)).await;
    // Of a stop on this machine nothing is left but its hold.
    let spool = Arc::new(SharedJournal::new());
    let now = world.clock.time();
    let lost = Held::new(RunId::generate(now), now, snapshot);
    spool.hold(&lost).await.unwrap();
    let here = world.machine(world.journal.clone()).with_spool(spool);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let restored = world.restore(&stopped).await.unwrap();
    assert_eq!(restored.status, OutcomeStatus::Verified);
    assert_eq!(here.engine.catch_up().await.unwrap(), 0);
    assert!(here.engine.held().await.unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_plan_of_a_restore_brings_to_the_journal_what_only_the_spool_has() {
    let shared = Arc::new(SharedJournal::new());
    let faulty = Arc::new(FaultyJournal::broken_for(shared.clone(), Failure::Fails, 0..0));
    let world = World::over(faulty.clone(), 2).with_spool(Arc::new(SharedJournal::new()));
    let before = world.bytes();
    faulty.break_now();
    let stopped = world.stop().await.run;
    faulty.repair();
    assert_eq!(shared.len(), 0);
    let _ = world
        .engine
        .plan_restore(&stopped, &world.procedure())
        .await
        .unwrap();
    // Whoever approves and carries it out may sit at another machine.
    let restored = world.machine(shared).restore(&stopped).await.unwrap();
    assert_eq!(restored.status, OutcomeStatus::Verified);
    assert_eq!(world.bytes(), before);
}

#[tokio::test(start_paused = true)]
async fn a_restore_ends_what_the_spool_holds_of_its_target_too() {
    // It was taken later, over what is restored now.
    let world = World::of(1);
    let stopped = world.stop().await.run;
    let snapshot = world.held().await.remove(0).snapshot;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let spool = Arc::new(SharedJournal::new());
    let now = world.clock.time();
    spool
        .hold(&Held::new(RunId::generate(now), now, snapshot))
        .await
        .unwrap();
    let here = world.machine(world.journal.clone()).with_spool(spool.clone());
    let restored = here.restore(&stopped).await.unwrap();
    assert_eq!(restored.status, OutcomeStatus::Verified);
    assert!(spool.held().await.unwrap().is_empty());
    assert!(here.engine.held().await.unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_outcome_of_which_one_entry_is_in_the_spool_only_says_that_the_journal_lacks_it() {
    for away in [true, false] {
        let world = World::of(2);
        let view = Meddled::over(&world.journal);
        let machine = world
            .machine(view.clone())
            .with_spool(Arc::new(SharedJournal::new()));
        // The journal is back long before the run ends.
        world.targets[1].next_apply(Fault::Slow(Duration::from_secs(45)));
        let procedure = machine.procedure_with(|_, step| step.with_timeout(Duration::from_secs(60)));
        if away {
            view.break_only(&[Verb::AppendVerified]);
        }
        let repair = async {
            tokio::time::sleep(Duration::from_secs(5)).await;
            view.break_only(&[]);
        };
        let (stopped, ()) = tokio::join!(machine.stop_by(&procedure), repair);
        assert_eq!(stopped.status, OutcomeStatus::Verified);
        assert_eq!(stopped.journalled, !away);
        let told = world.journal.entries(&stopped.run).await.unwrap();
        let ended = |entry: &JournalEntry| matches!(entry.event, JournalEvent::Ended { .. });
        assert!(told.iter().any(ended), "away: {away}");
        let together = machine.engine.entries(&stopped.run).await.unwrap();
        assert!(together.is_sorted_by_key(|entry| entry.at), "{together:#?}");
    }
}
