//! A run that is taken up goes by what the journal tells of it, and by what is there now.
#![allow(
    clippy::unwrap_used,
    clippy::clone_on_ref_ptr,
    reason = "a test ends at what it did not expect, and shares its doubles as ports"
)]

mod support_emergency;

use std::sync::Arc;
use std::time::Duration;

use ops_core::emergency::{Approved, Approvers, Plan, Refusal};
use ops_core::error::ErrorKind;
use ops_core::model::{Outcome, OutcomeStatus, Prior, RunId, StepReport, TargetId};
use ops_core::ports::{Held, Journal, JournalEntry, JournalEvent};
use serde_json::json;
use support_emergency::{
    CutJournal, Fault, HOLD, Moment, SharedJournal, World, alice, report_of, settle_tasks, staged, well,
};

/// Carries `plan` out in a process that dies at that write.
async fn dies_at(world: &World, at: usize, moment: Moment, plan: Plan<Approved>) -> RunId {
    let cut = Arc::new(CutJournal::new(Arc::clone(&world.journal), at, moment));
    let dying = world.machine(cut.clone());
    let run = plan.run().clone();
    tokio::select! {
        biased;
        () = cut.died() => {}
        ended = dying.engine.execute(plan) => panic!("it dies before: {ended:?}"),
    }
    settle_tasks().await;
    run
}

async fn stop_plan(world: &World) -> Plan<Approved> {
    let plan = world.engine.plan_stop(&world.procedure()).await;
    plan.approve(&[], &Approvers::none(), alice(), world.clock.time())
        .unwrap()
}

async fn restore_plan(world: &World, of: &RunId) -> Plan<Approved> {
    let plan = world.engine.plan_restore(of, &world.procedure()).await.unwrap();
    world.people.approve(plan, world.clock.time()).unwrap()
}

async fn holder(world: &World, target: &TargetId) -> Option<RunId> {
    let held = world.held().await;
    let of_target = held.into_iter().find(|held| held.snapshot.target() == target);
    of_target.map(|held| held.run)
}

#[tokio::test(start_paused = true)]
async fn what_a_dead_restore_has_opened_in_part_stays_held_until_it_is_open_as_a_whole() {
    let world = World::of(2);
    let before = world.bytes();
    let procedure = staged(&world, &well());
    let stopped = world.stop_by(&procedure).await.run;
    let plan = world.engine.plan_restore(&stopped, &procedure).await.unwrap();
    let restore = plan.run().clone();
    let plan = world.people.approve(plan, world.clock.time()).unwrap();
    // Behind the first gate, at 1 %.
    let died = tokio::time::timeout(HOLD + Duration::from_secs(30), world.engine.execute(plan)).await;
    assert!(died.is_err(), "it waits at the second gate");
    assert_eq!(world.targets[1].admitted(), Some(100));

    let fresh = world.machine(Arc::clone(&world.journal));
    let by = procedure.clone();
    let resumed = tokio::spawn(async move { fresh.engine.resume(&restore, &by, &alice()).await });
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert_eq!(world.targets[1].admitted(), Some(100), "its gate looks anew");
    assert_eq!(holder(&world, world.targets[1].id()).await, Some(stopped));

    let outcome = resumed.await.unwrap().unwrap();
    assert_eq!(outcome.status, OutcomeStatus::Verified);
    assert_eq!(world.bytes(), before);
    assert!(world.held().await.is_empty());
    // The first gate was passed before the crash, and not again.
    let waited: Vec<_> = outcome.gates.iter().map(|gate| gate.waited).collect();
    assert!(waited.iter().all(|waited| *waited >= HOLD), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn what_was_put_back_and_has_changed_since_the_crash_stays_held() {
    let world = World::of(1);
    let stopped = world.stop().await.run;
    let plan = restore_plan(&world, &stopped).await;
    // Started, intent, applied, verified; the release is what it does not come to.
    let restore = dies_at(&world, 5, Moment::BeforeTheWrite, plan).await;
    world.targets[0].set("ingress", json!("by hand"));
    let outcome = world
        .engine
        .resume(&restore, &world.procedure(), &alice())
        .await
        .unwrap();
    assert_eq!(outcome.steps[0].verdict.name(), "not_yet");
    assert_eq!(
        holder(&world, world.targets[0].id()).await,
        Some(stopped),
        "what was there before can still be put back"
    );
}

#[tokio::test(start_paused = true)]
async fn a_restore_whose_approvals_another_run_has_used_is_not_taken_up() {
    let world = World::of(1);
    let stopped = world.stop().await.run;
    let plan = restore_plan(&world, &stopped).await;
    let restore = dies_at(&world, 1, Moment::AfterTheWrite, plan).await;
    // Another process announced the same at the same moment, and went on.
    let now = world.clock.time();
    let other = RunId::new("run_00000000000000000000000000000001").unwrap();
    let begun = world.engine.entries(&restore).await.unwrap().remove(0).event;
    let intent = JournalEvent::Intent {
        step: 0,
        target: world.targets[0].id().clone(),
        timeout: None,
        automated: false,
    };
    for event in [begun, intent] {
        let entry = JournalEntry::new(other.clone(), now, event);
        world.journal.append(&entry).await.unwrap();
    }
    let refused = world.engine.resume(&restore, &world.procedure(), &alice()).await;
    assert!(
        matches!(&refused, Err(Refusal::Replayed { by }) if *by == other),
        "{refused:?}"
    );
    assert!(world.all_stopped());
}

#[tokio::test(start_paused = true)]
async fn what_a_dead_stop_closes_anew_comes_back_as_it_is_held_or_else_as_it_was_found() {
    let world = World::of(2);
    let before = world.bytes();
    // Started, two holds, two intents: both are closed, and no entry says so.
    let plan = stop_plan(&world).await;
    let run = dies_at(&world, 6, Moment::BeforeTheWrite, plan).await;
    assert!(world.all_stopped());
    // Somebody opens both in another way. Of the first, the journal is told that nothing needs to be put back any more.
    let put_back = world.targets[0].id();
    world.journal.release(&run, put_back).await.unwrap();
    for target in &world.targets {
        target.set("mode", json!("by hand"));
    }
    let found = world.targets[0].bytes();
    let outcome = world
        .engine
        .resume(&run, &world.procedure(), &alice())
        .await
        .unwrap();
    assert_eq!(outcome.status, OutcomeStatus::Verified);
    assert!(world.all_stopped());

    let held = world.held().await;
    let bytes: Vec<_> = held.iter().map(|held| held.snapshot.restorable_bytes()).collect();
    assert_eq!(bytes, [found.clone(), before[1].clone()]);
    for (held, target) in held.into_iter().zip(&world.targets) {
        let snapshot = held.snapshot;
        assert_eq!(
            report_of(&outcome, target).prior,
            Prior::Observed { snapshot },
            "the report names what is held"
        );
    }
    let restored = world.restore(&run).await.unwrap();
    assert_eq!(restored.status, OutcomeStatus::Verified);
    assert_eq!(world.bytes(), [found, before[1].clone()]);
}

/// A stop that could not see what was there, and died when it had called.
async fn dies_unseeing(world: &World, fault: Fault) -> RunId {
    world.targets[0].next_observe(Fault::Hang);
    let plan = stop_plan(world).await;
    let run = plan.run().clone();
    world.targets[0].next_apply(fault);
    let died = tokio::time::timeout(Duration::from_secs(3), world.engine.execute(plan)).await;
    assert!(died.is_err(), "the call hangs");
    settle_tasks().await;
    run
}

#[tokio::test(start_paused = true)]
async fn what_a_dead_stop_had_not_seen_and_not_touched_is_seen_when_it_is_taken_up() {
    let world = World::of(1);
    let before = world.bytes();
    let run = dies_unseeing(&world, Fault::Hang).await;
    let outcome = world
        .engine
        .resume(&run, &world.procedure(), &alice())
        .await
        .unwrap();
    assert_eq!(outcome.status, OutcomeStatus::Verified);
    assert_eq!(holder(&world, world.targets[0].id()).await, Some(run.clone()));
    let restored = world.restore(&run).await.unwrap();
    assert_eq!(restored.status, OutcomeStatus::Verified);
    assert_eq!(world.bytes(), before);
}

#[tokio::test(start_paused = true)]
async fn what_a_dead_stop_had_half_closed_without_seeing_it_never_becomes_a_prior_state() {
    let world = World::of(1);
    let run = dies_unseeing(&world, Fault::HangHalfway).await;
    let outcome = world
        .engine
        .resume(&run, &world.procedure(), &alice())
        .await
        .unwrap();
    assert_eq!(outcome.status, OutcomeStatus::Verified);
    assert!(world.all_stopped());
    assert!(
        matches!(outcome.steps[0].prior, Prior::Unknown { .. }),
        "{:?}",
        outcome.steps[0].prior
    );
    assert!(world.held().await.is_empty(), "nothing is made up");
}

/// Another world in which a machine made that stop whose clock is far ahead.
async fn by_a_clock_that_is_ahead(world: &World, stopped: &RunId) -> (World, RunId) {
    let run = RunId::new(format!("run_{}", "f".repeat(32))).unwrap();
    let journal = SharedJournal::new();
    for mut entry in world.engine.entries(stopped).await.unwrap() {
        entry.run = run.clone();
        journal.append(&entry).await.unwrap();
    }
    for held in world.held().await {
        let held = Held::new(run.clone(), held.at, held.snapshot);
        journal.hold(&held).await.unwrap();
    }
    (world.machine(Arc::new(journal)), run)
}

#[tokio::test(start_paused = true)]
async fn a_restore_is_taken_up_whose_stop_was_made_by_a_clock_that_is_ahead() {
    let world = World::of(1);
    let before = world.bytes();
    let stopped = world.stop().await.run;
    let (world, stopped) = by_a_clock_that_is_ahead(&world, &stopped).await;
    let plan = restore_plan(&world, &stopped).await;
    assert!(*plan.run() < stopped, "by the clocks the stop came later");
    let restore = dies_at(&world, 1, Moment::AfterTheWrite, plan).await;
    let outcome = world
        .engine
        .resume(&restore, &world.procedure(), &alice())
        .await
        .unwrap();
    assert_eq!(outcome.status, OutcomeStatus::Verified, "{outcome:#?}");
    assert_eq!(world.bytes(), before);
}

#[tokio::test(start_paused = true)]
async fn a_dead_restore_that_is_taken_up_opens_nothing_over_a_stop_that_came_after_it() {
    let world = World::of(1);
    let before = world.bytes();
    let stopped = world.stop().await.run;
    let plan = restore_plan(&world, &stopped).await;
    let restore = dies_at(&world, 1, Moment::AfterTheWrite, plan).await;
    let newer = world.stop().await;
    assert_eq!(newer.status, OutcomeStatus::Verified);
    let outcome = world
        .engine
        .resume(&restore, &world.procedure(), &alice())
        .await
        .unwrap();
    assert_eq!(outcome.status, OutcomeStatus::Failed);
    assert!(world.all_stopped());
    assert_eq!(world.targets[0].restored(), 0);
    // A restore that was planned with it may.
    let restored = world.restore(&stopped).await.unwrap();
    assert_eq!(restored.status, OutcomeStatus::Verified);
    assert_eq!(world.bytes(), before);
}

/// What is said of each step.
fn said(outcome: &Outcome) -> Vec<(&'static str, &'static str, bool, bool, Prior)> {
    let said = |step: &StepReport| {
        let (result, verdict) = (step.result.name(), step.verdict.name());
        (
            result,
            verdict,
            step.within_target,
            step.journalled,
            step.prior.clone(),
        )
    };
    outcome.steps.iter().map(said).collect()
}

#[tokio::test(start_paused = true)]
async fn of_what_had_ended_the_same_is_said_when_it_is_taken_up() {
    let second = Duration::from_secs(1);
    let world = World::of(3);
    world.targets[1].set_latency(second);
    world.targets[2].next_observe(Fault::Fail(ErrorKind::Unavailable));
    let procedure = world.procedure_with(|_, step| step.with_promise(second));
    let stopped = world.stop_by(&procedure).await;
    let within: Vec<_> = stopped.steps.iter().map(|step| step.within_target).collect();
    let journalled: Vec<_> = stopped.steps.iter().map(|step| step.journalled).collect();
    assert_eq!(within, [true, false, true]);
    assert!(!stopped.within_target, "nor is the whole");
    assert_eq!(journalled, [true, true, false]);
    let resumed = world
        .engine
        .resume(&stopped.run, &procedure, &alice())
        .await
        .unwrap();
    assert_eq!(said(&resumed), said(&stopped));

    // Exactly as long as promised is not too long.
    let promised = stopped.steps[1].elapsed;
    let world = World::of(2);
    world.targets[1].set_latency(second);
    let procedure = world.procedure_with(|_, step| step.with_promise(promised));
    let stopped = world.stop_by(&procedure).await;
    assert_eq!(stopped.steps[1].elapsed, promised);
    let resumed = world
        .engine
        .resume(&stopped.run, &procedure, &alice())
        .await
        .unwrap();
    assert!(stopped.within_target && resumed.within_target);
}

#[tokio::test(start_paused = true)]
async fn a_dead_restore_opens_nothing_over_a_newer_stop_by_a_machine_whose_clock_is_behind() {
    let world = World::of(1);
    let before = world.bytes();
    let stopped = world.stop().await.run;
    let plan = restore_plan(&world, &stopped).await;
    let restore = dies_at(&world, 1, Moment::AfterTheWrite, plan).await;
    // As another process makes it: one of this process would come after all others of it.
    let elsewhere = world.machine(Arc::new(SharedJournal::new()));
    let made = elsewhere.stop().await.run;
    let newer = RunId::new("run_00000000000000000000000000000001").unwrap();
    for mut entry in elsewhere.engine.entries(&made).await.unwrap() {
        entry.run = newer.clone();
        if let JournalEvent::Started { after, .. } = &mut entry.event {
            after.extend([stopped.clone(), restore.clone()]);
        }
        world.journal.append(&entry).await.unwrap();
    }
    let outcome = world
        .engine
        .resume(&restore, &world.procedure(), &alice())
        .await
        .unwrap();
    assert!(world.all_stopped(), "{outcome:#?}");
    assert_eq!(world.targets[0].restored(), 0);
    let restored = world.restore(&stopped).await.unwrap();
    assert_eq!(restored.status, OutcomeStatus::Verified);
    assert_eq!(world.bytes(), before);
}
