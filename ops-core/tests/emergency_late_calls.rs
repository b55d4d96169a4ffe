//! Calls that land late: of processes that died, and of those that heard no answer.
#![allow(
    clippy::unwrap_used,
    clippy::clone_on_ref_ptr,
    reason = "a test ends at what it did not expect, and shares its doubles as ports"
)]

mod support_emergency;

use std::time::Duration;

use ops_core::emergency::{Approvers, Procedure, Step};
use ops_core::error::ErrorKind;
use ops_core::model::{
    AbortCause, IdempotencyKey, Lang, Opening, OutcomeStatus, PlanKind, RunId, Snapshot, TargetId, Timestamp,
};
use ops_core::ports::{Held, JournalEntry, JournalEvent};
use support_emergency::{Fault, Meddled, SharedJournal, Stop, Verb, World, alice, gate, settle_tasks, well};

const RUN: &str = "run_0000000000000000000000000000dead";

/// What a process leaves behind that announced a call and died.
async fn dead_run(world: &World, plan: PlanKind, at: Timestamp) -> RunId {
    let id = RunId::new(RUN).unwrap();
    let steps = world.engine.plan_stop(&world.procedure()).await.steps().to_vec();
    let template = world.engine.plan_stop(&world.procedure()).await;
    let target: TargetId = world.targets[0].id().clone();
    let started = JournalEvent::Started {
        procedure: template.procedure().name().to_owned(),
        plan,
        digest: template.digest(),
        actor: alice(),
        approval: "no approval needed".to_owned(),
        steps,
        after: Vec::new(),
        signatures: Vec::new(),
        glass: None,
        opening: Opening::default(),
    };
    let intent = JournalEvent::Intent {
        step: 0,
        target,
        timeout: Some(Duration::from_secs(30)),
        automated: false,
    };
    for event in [started, intent] {
        let entry = JournalEntry::new(id.clone(), at, event);
        world.journal.append(&entry).await.unwrap();
    }
    id
}

/// The call lands so much later.
fn lands_after(world: &World, delay: Duration, restore: bool) {
    let (target, prior) = (world.targets[0].clone(), world.targets[0].snapshot());
    let key = IdempotencyKey::for_step(&RunId::new(RUN).unwrap(), 0);
    tokio::spawn(async move {
        tokio::time::sleep(delay).await;
        let action = Stop::of(&target);
        if restore {
            let _ = action.restore(&prior, &key).await;
        } else {
            let _ = action.apply(&key).await;
        }
    });
}

#[tokio::test(start_paused = true)]
async fn a_restore_acts_after_every_call_of_a_dead_stop_that_may_still_land() {
    // At any moment of the call's time, and whether the clock that wrote the intent was right or four minutes off.
    for second in (1..30).step_by(4) {
        for skew in [-240, 0, 240_i64] {
            let world = World::of(1);
            let before = world.bytes();
            let now = world.clock.time().as_unix_micros();
            let at = Timestamp::from_unix_micros(now + skew * 1_000_000);
            let dead = dead_run(&world, PlanKind::Stop, at).await;
            lands_after(&world, Duration::from_secs(second), false);

            let plan = world
                .engine
                .plan_restore(&dead, &world.procedure())
                .await
                .unwrap();
            let waits: Vec<_> = plan
                .waits()
                .iter()
                .map(|wait| wait.get(Lang::En).to_owned())
                .collect();
            assert_eq!(waits.len(), 1, "{second} s, skew {skew}: {waits:?}");
            let plan = world.people.approve(plan, world.clock.time()).unwrap();
            let restored = world.engine.execute(plan).await.unwrap();
            tokio::time::sleep(Duration::from_secs(60)).await;
            settle_tasks().await;
            assert_eq!(
                restored.status,
                OutcomeStatus::Verified,
                "{second} s, skew {skew}"
            );
            assert_eq!(
                world.bytes(),
                before,
                "{second} s, skew {skew}: a late call undid it"
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_restore_does_not_wait_for_calls_that_were_answered_or_are_long_over() {
    let world = World::of(1);
    let stopped = world.stop().await;
    let plan = world.engine.plan_restore(&stopped.run, &world.procedure()).await;
    assert!(plan.unwrap().waits().is_empty(), "answered");

    let world = World::of(1);
    world.targets[0].every_apply(Fault::Fail(ErrorKind::PermissionDenied));
    let stopped = world.stop().await;
    let plan = world.engine.plan_restore(&stopped.run, &world.procedure()).await;
    assert!(plan.unwrap().waits().is_empty(), "refused");

    let world = World::of(1);
    let dead = dead_run(&world, PlanKind::Stop, world.clock.time()).await;
    tokio::time::sleep(Duration::from_secs(331)).await;
    let plan = world.engine.plan_restore(&dead, &world.procedure()).await;
    assert!(plan.unwrap().waits().is_empty(), "long over");
}

#[tokio::test(start_paused = true)]
async fn a_restore_that_waited_for_its_approval_waits_only_for_what_is_left_of_a_call() {
    let world = World::of(1);
    let dead = dead_run(&world, PlanKind::Stop, world.clock.time()).await;
    let plan = world.engine.plan_restore(&dead, &world.procedure()).await;
    tokio::time::sleep(Duration::from_secs(25)).await;
    let plan = world.people.approve(plan.unwrap(), world.clock.time()).unwrap();
    let restored = world.engine.execute(plan).await.unwrap();
    assert_eq!(restored.status, OutcomeStatus::Verified);
    let left = Duration::from_secs(4)..Duration::from_secs(7);
    assert!(left.contains(&restored.took), "{:?}", restored.took);
}

#[tokio::test(start_paused = true)]
async fn a_stop_acts_at_once_and_closes_again_what_a_dead_restore_opens_late() {
    let world = World::of(1);
    let of = RunId::new("run_00000000000000000000000000000001").unwrap();
    dead_run(&world, PlanKind::Restore { of }, world.clock.time()).await;
    lands_after(&world, Duration::from_secs(20), true);
    let began = tokio::time::Instant::now();
    let effect = async {
        world.targets[0].effects(2).await;
        began.elapsed()
    };
    let (outcome, effect) = tokio::join!(world.stop(), effect);
    assert!(effect < Duration::from_secs(1), "closing never waits: {effect:?}");
    assert_eq!(outcome.status, OutcomeStatus::Verified);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(world.all_stopped(), "the stop said so");
}

#[tokio::test(start_paused = true)]
async fn what_somebody_changes_by_hand_while_a_restore_waits_is_not_overwritten() {
    for field in ["ingress", "timeout"] {
        let world = World::of(1);
        let dead = dead_run(&world, PlanKind::Stop, world.clock.time()).await;
        lands_after(&world, Duration::ZERO, false);
        tokio::time::sleep(Duration::from_secs(1)).await;
        let plan = world
            .engine
            .plan_restore(&dead, &world.procedure())
            .await
            .unwrap();
        assert_eq!(plan.waits().len(), 1);
        let plan = world.people.approve(plan, world.clock.time()).unwrap();
        let by_hand = world.targets[0].clone();
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_secs(10)).await;
            by_hand.set(field, "by hand".into());
        });
        let outcome = world.engine.execute(plan).await.unwrap();
        assert_eq!(outcome.status, OutcomeStatus::Failed, "{field}: {outcome:#?}");
        let reason = outcome.steps[0].result.reason().unwrap();
        assert!(reason.contains("changed since the plan was made"), "{reason}");
        assert_eq!(
            world.targets[0].fields()[field],
            serde_json::json!("by hand"),
            "nothing was written over it"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_stop_that_looks_behind_itself_does_not_undo_a_restore_that_was_approved_since() {
    // The stop takes ten seconds, so that a restore which was planned meanwhile is done before the stop looks for the last time.
    let world = World::of(1);
    let before = world.bytes();
    let of = RunId::new("run_00000000000000000000000000000001").unwrap();
    dead_run(&world, PlanKind::Restore { of }, world.clock.time()).await;
    world.targets[0].next_apply(Fault::Slow(Duration::from_secs(10)));
    let stopping = world.machine(world.journal.clone());
    let procedure = world.procedure_with(|_, step| step.with_timeout(Duration::from_secs(20)));
    let by = procedure.clone();
    let stop = tokio::spawn(async move { stopping.stop_by(&by).await });
    tokio::time::sleep(Duration::from_secs(1)).await;
    let runs = world.engine.runs().await.unwrap();
    let run = runs.into_iter().find(|run| run.as_str() != RUN).unwrap();
    let plan = world.engine.plan_restore(&run, &procedure).await.unwrap();
    let plan = world.people.approve(plan, world.clock.time()).unwrap();
    let restored = world.engine.execute(plan).await.unwrap();
    assert_eq!(restored.status, OutcomeStatus::Verified, "{restored:#?}");
    let stopped = stop.await.unwrap();
    tokio::time::sleep(Duration::from_secs(120)).await;
    assert_eq!(world.bytes(), before, "an approved restore stands");
    assert_ne!(
        stopped.status,
        OutcomeStatus::Verified,
        "the stop says that it does not hold"
    );
    let report = &stopped.steps[0];
    let said = serde_json::to_string(&report.result).unwrap();
    assert!(said.contains(restored.run.as_str()), "{said}");
    let entries = world.engine.entries(&stopped.run).await.unwrap();
    let seen = entries.iter().rev().find_map(|entry| match &entry.event {
        JournalEvent::Verified { result, .. } => Some(result.clone()),
        _ => None,
    });
    assert_eq!(seen.as_ref(), Some(&report.result), "so does the journal");
}

#[tokio::test(start_paused = true)]
async fn a_stop_that_lay_still_does_not_undo_a_restore_that_was_approved_since() {
    let world = World::of(1);
    let before = world.bytes();
    let procedure = world.procedure_with(|_, step| step.with_timeout(Duration::from_secs(3)));
    let view = Meddled::over(&world.journal);
    let slow = world.machine(view.clone());
    let plan = slow.engine.plan_stop(&procedure).await;
    let run = plan.run().clone();
    let plan = plan
        .approve(&[], &Approvers::none(), alice(), world.clock.time())
        .unwrap();
    // It announces its call when that is half over, and the restore is done.
    view.slow_down(Verb::Append, Duration::from_millis(1900));
    let (other, by) = (world.clone(), procedure.clone());
    view.after(Verb::Hold, async move {
        let restored = other.restore_by(&run, &by).await.unwrap();
        assert_eq!(restored.status, OutcomeStatus::Verified);
    });
    let stopped = slow.engine.execute(plan).await.unwrap();
    assert_eq!(world.bytes(), before, "an approved restore stands");
    let error = stopped.steps[0].result.reason().unwrap();
    assert!(error.contains("put back meanwhile"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_stop_that_lay_still_and_announces_its_call_anew_turns_the_restore_round_that_waits_for_it() {
    let world = World::of(1);
    let procedure = world.procedure_with(|_, step| step.with_timeout(Duration::from_secs(3)));
    let view = Meddled::over(&world.journal);
    let slow = world.machine(view.clone());
    let plan = slow.engine.plan_stop(&procedure).await;
    let run = plan.run().clone();
    let plan = plan
        .approve(&[], &Approvers::none(), alice(), world.clock.time())
        .unwrap();
    // It is announced after 1.9 s, its call after 3.8 s and again after 5.7 s; that it was to be put back meanwhile nobody tells it.
    view.slow_down(Verb::Append, Duration::from_millis(1900));
    view.break_only(&[Verb::Runs]);
    let restore = async {
        tokio::time::sleep(Duration::from_secs(4)).await;
        world.restore_by(&run, &procedure).await.unwrap()
    };
    let (stopped, restored) = tokio::join!(slow.engine.execute(plan), restore);
    assert_eq!(stopped.unwrap().status, OutcomeStatus::Verified);
    let cause = restored.aborted.unwrap().cause;
    assert_eq!(cause, AbortCause::Stopped { by: run });
    assert!(world.all_stopped(), "the stop said so");
}

#[tokio::test(start_paused = true)]
async fn a_stop_that_closes_again_holds_what_it_closes() {
    // Whoever released the hold meanwhile cannot be seen: the runs cannot be read.
    let world = World::of(1);
    let before = world.bytes();
    let of = RunId::new("run_00000000000000000000000000000001").unwrap();
    dead_run(&world, PlanKind::Restore { of }, world.clock.time()).await;
    let view = Meddled::over(&world.journal);
    let stopping = world.machine(view.clone());
    let stop = tokio::spawn(async move { stopping.stop().await });
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert!(world.all_stopped());
    view.break_only(&[Verb::Runs]);
    let held = world.held().await.remove(0);
    world
        .journal
        .release(&held.run, held.snapshot.target())
        .await
        .unwrap();
    lands_after_with(&world, &held.snapshot);
    let stopped = stop.await.unwrap();
    assert!(world.all_stopped());
    assert_eq!(stopped.status, OutcomeStatus::Verified);
    assert!(stopped.steps[0].journalled, "it is held");
    let held: Vec<_> = world.held().await;
    assert_eq!(held.len(), 1, "stopped, and nobody knows what was there");
    assert_eq!(held[0].snapshot.restorable_bytes(), before[0]);
}

/// Somebody opens target 0, in this state, now.
fn lands_after_with(world: &World, prior: &Snapshot) {
    let (target, prior) = (world.targets[0].clone(), prior.clone());
    let key = IdempotencyKey::for_step(&RunId::new(RUN).unwrap(), 0);
    tokio::spawn(async move {
        let _ = Stop::of(&target).restore(&prior, &key).await;
    });
}

#[tokio::test(start_paused = true)]
async fn a_target_that_opens_behind_a_stop_stays_open_for_a_second_not_for_the_whole_wait() {
    let world = World::of(1);
    let of = RunId::new("run_00000000000000000000000000000001").unwrap();
    dead_run(&world, PlanKind::Restore { of }, world.clock.time()).await;
    lands_after(&world, Duration::from_millis(3400), true);
    let look = async {
        let mut open = 0;
        for _ in 0..150 {
            tokio::time::sleep(Duration::from_millis(100)).await;
            open += usize::from(!world.all_stopped());
        }
        open
    };
    let (outcome, open) = tokio::join!(world.stop(), look);
    assert_eq!(outcome.status, OutcomeStatus::Verified);
    assert!((1..=15).contains(&open), "open for {open} tenths of a second");
}

#[tokio::test(start_paused = true)]
async fn a_stop_that_has_closed_again_goes_on_looking() {
    let world = World::of(1);
    let of = RunId::new("run_00000000000000000000000000000001").unwrap();
    dead_run(&world, PlanKind::Restore { of }, world.clock.time()).await;
    // An attempt that got no answer, and the one after it.
    lands_after(&world, Duration::from_secs(5), true);
    lands_after(&world, Duration::from_secs(20), true);
    let outcome = world.stop().await;
    assert_eq!(outcome.status, OutcomeStatus::Verified);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(world.all_stopped(), "the stop said so");
}

#[tokio::test(start_paused = true)]
async fn what_opens_behind_a_stop_that_had_nothing_to_close_is_held_before_it_is_closed() {
    let world = World::of(1);
    let before = world.bytes();
    let serving = world.targets[0].snapshot();
    let of = RunId::new("run_00000000000000000000000000000001").unwrap();
    dead_run(&world, PlanKind::Restore { of }, world.clock.time()).await;
    let key = IdempotencyKey::for_step(&RunId::new(RUN).unwrap(), 0);
    Stop::of(&world.targets[0]).apply(&key).await.unwrap();
    let target = world.targets[0].clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_secs(10)).await;
        let _ = Stop::of(&target).restore(&serving, &key).await;
    });
    let outcome = world.stop().await;
    assert!(world.all_stopped());
    assert!(outcome.journalled, "it is held");
    let held = world.held().await;
    assert_eq!(held.len(), 1, "stopped, and nobody knows what was there");
    assert_eq!(held[0].snapshot.restorable_bytes(), before[0]);
    let restored = world.restore(&outcome.run).await.unwrap();
    assert_eq!(restored.status, OutcomeStatus::Verified);
    assert_eq!(world.bytes(), before);
}

#[tokio::test(start_paused = true)]
async fn a_stop_that_looks_behind_itself_calls_nothing_that_stays_closed() {
    let world = World::of(1);
    let of = RunId::new("run_00000000000000000000000000000001").unwrap();
    dead_run(&world, PlanKind::Restore { of }, world.clock.time()).await;
    let outcome = world.stop().await;
    assert_eq!(outcome.status, OutcomeStatus::Verified);
    assert_eq!(world.targets[0].applied().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_restore_of_another_target_keeps_no_stop_from_closing_what_opens_behind_it() {
    let world = World::of(2);
    let of_one = |at: usize| {
        let steps = vec![Step::new(Stop::of(&world.targets[at]))];
        Procedure::new("stop-all", steps).unwrap()
    };
    let other = world.stop_by(&of_one(1)).await.run;
    let of = RunId::new("run_00000000000000000000000000000001").unwrap();
    dead_run(&world, PlanKind::Restore { of }, world.clock.time()).await;
    lands_after(&world, Duration::from_secs(20), true);
    let (stopping, by) = (world.machine(world.journal.clone()), of_one(0));
    let stop = tokio::spawn(async move { stopping.stop_by(&by).await });
    tokio::time::sleep(Duration::from_secs(2)).await;
    let opening = world.machine(world.journal.clone());
    let by = of_one(1);
    // It waits for the dead one's call on its own target.
    let restore = tokio::spawn(async move { opening.restore_by(&other, &by).await });
    let stopped = stop.await.unwrap();
    assert_eq!(stopped.status, OutcomeStatus::Verified, "{stopped:#?}");
    assert!(world.targets[0].is_stopped());
    assert_eq!(restore.await.unwrap().unwrap().status, OutcomeStatus::Verified);
    assert!(!world.targets[1].is_stopped());
}

#[tokio::test(start_paused = true)]
async fn a_stop_that_lay_still_and_goes_on_turns_a_restore_back() {
    // The restore was planned with it, and has waited for its first call.
    let world = World::of(1);
    let dead = dead_run(&world, PlanKind::Stop, world.clock.time()).await;
    let procedure = world.procedure().with_gate(gate(0, &well())).unwrap();
    let plan = world.engine.plan_restore(&dead, &procedure).await.unwrap();
    let plan = world.people.approve(plan, world.clock.time()).unwrap();
    let engine = world.engine.clone();
    let restoring = tokio::spawn(async move { engine.execute(plan).await.unwrap() });
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(!restoring.is_finished(), "it stands at its gate");
    let again = JournalEvent::Intent {
        step: 0,
        target: world.targets[0].id().clone(),
        timeout: Some(Duration::from_secs(30)),
        automated: false,
    };
    let again = JournalEntry::new(dead.clone(), world.clock.time(), again);
    world.journal.append(&again).await.unwrap();
    let aborted = restoring.await.unwrap().aborted.unwrap();
    assert_eq!(aborted.cause, AbortCause::Stopped { by: dead });
    assert!(world.all_stopped());
}

// What ADR 10 names as not covered: each stands here as it is, with what is left to put it right.

#[tokio::test(start_paused = true)]
async fn limit_a_call_that_lands_after_its_timeout_undoes_a_restore_and_the_prior_state_stays_in_the_journal()
{
    // So does the call of a process that lay still between its last check and its call.
    let world = World::of(1);
    let before = world.bytes();
    let dead = dead_run(&world, PlanKind::Stop, world.clock.time()).await;
    lands_after(&world, Duration::from_secs(50), false);
    let restored = world.restore(&dead).await.unwrap();
    assert_eq!(restored.status, OutcomeStatus::Verified);
    assert_eq!(world.bytes(), before);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(world.all_stopped(), "not covered: the vendor was too late");
    let entries = world.engine.entries(&restored.run).await.unwrap();
    let text = serde_json::to_string(&entries).unwrap();
    assert!(text.contains("automatic"), "what was there can be read: {text}");
}

#[tokio::test(start_paused = true)]
async fn limit_a_late_call_that_only_another_journal_tells_of_is_not_waited_for_and_that_journal_puts_it_right()
 {
    let world = World::of(1);
    let before = world.bytes();
    let other = world.machine(std::sync::Arc::new(SharedJournal::new()));
    let dead = dead_run(&other, PlanKind::Stop, world.clock.time()).await;
    let held = Held::new(dead.clone(), world.clock.time(), world.targets[0].snapshot());
    other.journal.hold(&held).await.unwrap();
    let stopped = world.stop().await;
    let restored = world.restore(&stopped.run).await.unwrap();
    assert_eq!(restored.status, OutcomeStatus::Verified);
    lands_after(&world, Duration::from_secs(10), false);
    tokio::time::sleep(Duration::from_secs(20)).await;
    assert!(world.all_stopped(), "not covered: nothing here tells of it");
    assert_eq!(
        other.restore(&dead).await.unwrap().status,
        OutcomeStatus::Verified
    );
    assert_eq!(world.bytes(), before);
}

#[tokio::test(start_paused = true)]
async fn limit_clocks_that_differ_by_more_than_five_minutes_hide_a_late_call() {
    let world = World::of(1);
    let slow = Timestamp::from_unix_micros(world.clock.time().as_unix_micros() - 340 * 1_000_000);
    let dead = dead_run(&world, PlanKind::Stop, slow).await;
    let plan = world
        .engine
        .plan_restore(&dead, &world.procedure())
        .await
        .unwrap();
    assert!(
        plan.waits().is_empty(),
        "not covered: it is taken to be long over"
    );
}
