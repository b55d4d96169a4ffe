//! The release of a prior state at the end of a restore: it takes nobody else's hold, and none that is needed again.
#![allow(
    clippy::unwrap_used,
    clippy::clone_on_ref_ptr,
    reason = "a test ends at what it did not expect, and shares its doubles as ports"
)]

mod support_emergency;

use std::sync::Arc;

use ops_core::emergency::Refusal;
use ops_core::model::{IdempotencyKey, OutcomeStatus, RunId};
use ops_core::ports::{Held, JournalEntry, JournalEvent};
use serde_json::json;
use support_emergency::{Log, Meddled, SharedJournal, Stop, Target, Verb, World, alice, settle_tasks};

/// A world whose restoring machine sees the journal through `Meddled`.
fn meddled(world: &World) -> (World, Arc<Meddled>) {
    let view = Meddled::over(&world.journal);
    (world.machine(view.clone()), view)
}

#[tokio::test(start_paused = true)]
async fn the_hold_of_a_newer_stop_survives_a_restore_that_cannot_read_the_past() {
    // The newer stop holds between the release and the look for older holds; from then on nothing tells which run came first.
    for unreadable in [vec![Verb::Runs], vec![Verb::Entries], vec![]] {
        let world = World::of(1);
        let stopped = world.stop().await.run;
        let (restoring, view) = meddled(&world);
        let newer = RunId::generate(world.clock.time());
        let held = Held::new(newer.clone(), world.clock.time(), world.targets[0].snapshot());
        let (journal, after) = (Arc::clone(&world.journal), view.clone());
        let what = format!("{unreadable:?}");
        view.after(Verb::Release, async move {
            journal.hold(&held).await.unwrap();
            after.break_only(&unreadable);
        });
        let _ = restoring.restore(&stopped).await;
        let holders: Vec<_> = world.held().await.into_iter().map(|held| held.run).collect();
        assert_eq!(holders, [newer], "{what}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_older_hold_stays_if_somebody_has_stopped_since_the_restore_was_planned() {
    // The first run still holds what the second one saw opened by hand; a third stops right before the restore of the second releases.
    for stops_again in [true, false] {
        let world = World::of(1);
        let first = world.stop().await.run;
        world.targets[0].set("mode", json!("by hand"));
        let second = world.stop().await.run;
        let (restoring, view) = meddled(&world);
        if stops_again {
            let third = world.machine(world.journal.clone());
            view.before(Verb::Release, async move { drop(third.stop().await) });
        }
        let _ = restoring.restore(&second).await;
        let holders: Vec<_> = world.held().await.into_iter().map(|held| held.run).collect();
        assert_eq!(holders, if stops_again { vec![first] } else { Vec::new() });
        assert_eq!(world.all_stopped(), stops_again);
    }
}

#[tokio::test(start_paused = true)]
async fn a_restore_that_was_aborted_before_its_release_leaves_the_prior_state_to_be_put_back() {
    // The abort comes right before the read-back is written, and is over when it is; then the restore releases, and dies.
    let world = World::of(1);
    let before = world.bytes();
    let stopped = world.stop().await.run;
    let (restoring, view) = meddled(&world);
    let plan = restoring
        .engine
        .plan_restore(&stopped, &world.procedure())
        .await
        .unwrap();
    let (run, procedure) = (plan.run().clone(), world.procedure());
    let other = world.machine(Arc::clone(&world.journal));
    view.before(Verb::AppendVerified, async move {
        let aborted = other.engine.abort(&run, &procedure, &alice(), "too early").await;
        assert!(aborted.unwrap().aborted.unwrap().stopped());
    });
    view.after(Verb::Release, std::future::pending());
    let plan = world.people.approve(plan, world.clock.time()).unwrap();
    let dying = tokio::spawn(async move { restoring.engine.execute(plan).await });
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    dying.abort();
    settle_tasks().await;
    assert!(world.all_stopped());

    let restored = world.restore(&stopped).await.unwrap();
    assert_eq!(restored.status, OutcomeStatus::Verified);
    assert_eq!(world.bytes(), before);
}

#[tokio::test(start_paused = true)]
async fn a_release_that_an_abort_has_overtaken_is_undone_at_once() {
    let log = Log::default();
    let world = World::with(
        Arc::new(SharedJournal::logged(&log)),
        vec![Target::logged(0, &log)],
    );
    let stopped = world.stop().await.run;
    let (restoring, view) = meddled(&world);
    let plan = restoring
        .engine
        .plan_restore(&stopped, &world.procedure())
        .await
        .unwrap();
    let (run, procedure) = (plan.run().clone(), world.procedure());
    let other = world.machine(Arc::clone(&world.journal));
    view.before(Verb::Release, async move {
        let aborted = other.engine.abort(&run, &procedure, &alice(), "too early").await;
        assert!(aborted.unwrap().aborted.unwrap().stopped());
    });
    let plan = world.people.approve(plan, world.clock.time()).unwrap();
    let restored = restoring.engine.execute(plan).await.unwrap();
    assert_ne!(restored.status, OutcomeStatus::Verified);
    let lines = log.lines();
    let released = log.position("release test:t0");
    assert_eq!(lines[released + 1], "hold test:t0", "{lines:#?}");
    let holders: Vec<_> = world.held().await.into_iter().map(|held| held.run).collect();
    assert_eq!(holders, [stopped]);
    assert!(world.all_stopped());
}

#[tokio::test(start_paused = true)]
async fn what_was_opened_by_hand_exactly_as_before_and_stopped_again_is_put_back_by_the_run_that_holds_it() {
    let world = World::of(1);
    let (before, prior) = (world.bytes(), world.targets[0].snapshot());
    let first = world.stop().await.run;
    let by_hand = IdempotencyKey::for_step(&RunId::generate(world.clock.time()), 0);
    let _ = Stop::of(&world.targets[0])
        .restore(&prior, &by_hand)
        .await
        .unwrap();
    let second = world.stop().await.run;
    let refused = world.engine.plan_restore(&second, &world.procedure()).await;
    let refused = refused.unwrap_err();
    assert!(
        matches!(&refused, Refusal::NothingHeld { held_by, .. } if *held_by == [first.clone()]),
        "{refused}"
    );
    let restored = world.restore(&first).await.unwrap();
    assert_eq!(restored.status, OutcomeStatus::Verified);
    assert_eq!(world.bytes(), before);
    assert!(world.held().await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_older_hold_stays_if_the_journal_does_not_tell_of_its_run() {
    // The run is listed, and nothing but its end can be read.
    let world = World::of(1);
    let old = RunId::new("run_00000000000000000000000000000001").unwrap();
    let ended = JournalEvent::Ended {
        status: OutcomeStatus::Verified,
    };
    let ended = JournalEntry::new(old.clone(), world.clock.time(), ended);
    world.journal.append(&ended).await.unwrap();
    let held = Held::new(old.clone(), world.clock.time(), world.targets[0].snapshot());
    world.journal.hold(&held).await.unwrap();
    world.targets[0].set("mode", json!("by hand"));
    let by_hand = world.bytes();
    let stopped = world.stop().await.run;
    let restored = world.restore(&stopped).await.unwrap();
    assert_eq!(restored.status, OutcomeStatus::Verified);
    assert_eq!(world.bytes(), by_hand);
    let holders: Vec<_> = world.held().await.into_iter().map(|held| held.run).collect();
    assert_eq!(holders, [old], "one too many is shown, one too few is lost");
}

#[tokio::test(start_paused = true)]
async fn what_was_changed_by_hand_after_a_stop_that_died_without_effect_has_drifted() {
    let world = World::of(1);
    let (dying, view) = meddled(&world);
    view.after(Verb::Hold, std::future::pending());
    let died = tokio::time::timeout(std::time::Duration::from_secs(1), dying.stop()).await;
    assert!(died.is_err());
    settle_tasks().await;
    let held = world.held().await.remove(0);
    world.targets[0].set("ingress", json!("internal"));
    let now = world.bytes();
    let refused = world.restore(&held.run).await.unwrap_err();
    assert!(matches!(refused, Refusal::Drifted { .. }), "{refused}");
    assert_eq!(world.bytes(), now, "nothing was written over it");
}
