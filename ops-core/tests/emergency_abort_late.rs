//! What an abort, or a restore that goes back, has closed stays closed, whatever call of the restore lands late; and a journal that fails keeps
//! nothing open.
#![allow(
    clippy::unwrap_used,
    clippy::clone_on_ref_ptr,
    reason = "a test ends at what it did not expect, and shares its doubles as ports"
)]

mod support_emergency;

use std::sync::Arc;
use std::time::Duration;

use ops_core::emergency::{Procedure, Step};
use ops_core::error::ErrorKind;
use ops_core::memory::InMemoryHealth;
use ops_core::model::{IdempotencyKey, OutcomeStatus, Prior, RunId, Verdict};
use ops_core::ports::{JournalEntry, JournalEvent};
use support_emergency::{
    Failure, Fault, FaultyJournal, Meddled, SharedJournal, Stop, Verb, World, alice, gate, settle_tasks,
    staged, well,
};

const REASON: &str = "the line is still bad";

/// A call that opens `target` as it was before everything lands so much later.
fn opens_after(world: &World, target: usize, prior: &ops_core::model::Snapshot, delay: Duration) {
    let (target, prior) = (Arc::clone(&world.targets[target]), prior.clone());
    let key = IdempotencyKey::for_step(&RunId::new("run_0000000000000000000000000000dead").unwrap(), 0);
    tokio::spawn(async move {
        tokio::time::sleep(delay).await;
        let _ = Stop::of(&target).restore(&prior, &key).await;
    });
}

fn slow_steps(world: &World) -> Procedure {
    world.procedure_with(|_, step| {
        step.with_timeout(Duration::from_secs(60))
            .with_settle(Duration::from_secs(2))
    })
}

#[tokio::test(start_paused = true)]
async fn an_abort_sees_a_call_through_that_got_no_answer() {
    // Every attempt failed without an answer; the step has said so and the restore is over.
    let world = World::of(1);
    let prior = world.targets[0].snapshot();
    let procedure = slow_steps(&world);
    let stopped = world.stop_by(&procedure).await.run;
    world.targets[0].every_restore(Fault::Fail(ErrorKind::Unavailable));
    let halted = world.restore_by(&stopped, &procedure).await.unwrap();
    world.targets[0].heal();
    opens_after(&world, 0, &prior, Duration::from_secs(20));
    let outcome = world
        .engine
        .abort(&halted.run, &procedure, &alice(), REASON)
        .await
        .unwrap();
    assert!(outcome.aborted.unwrap().stopped());
    tokio::time::sleep(Duration::from_secs(120)).await;
    assert!(world.all_stopped(), "the abort said so");
    assert_eq!(world.held().await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_abort_sees_a_call_through_whatever_the_clock_of_its_machine_said() {
    for skew in [-240, 0, 240_i64] {
        let world = World::of(1);
        let prior = world.targets[0].snapshot();
        let procedure = slow_steps(&world);
        let stopped = world.stop_by(&procedure).await.run;
        let plan = world.engine.plan_restore(&stopped, &procedure).await.unwrap();
        let run = plan.run().clone();
        world.targets[0].next_restore(Fault::Hang);
        let plan = world.people.approve(plan, world.clock.time()).unwrap();
        let other = world.machine(Arc::clone(&world.journal));
        let engine = other.with_clock_off_by(skew).engine;
        let restoring = tokio::spawn(async move { engine.execute(plan).await });
        tokio::time::sleep(Duration::from_secs(1)).await;
        restoring.abort();
        settle_tasks().await;
        opens_after(&world, 0, &prior, Duration::from_secs(30));
        let outcome = world
            .engine
            .abort(&run, &procedure, &alice(), REASON)
            .await
            .unwrap();
        assert!(outcome.aborted.unwrap().stopped(), "{skew}");
        tokio::time::sleep(Duration::from_secs(120)).await;
        assert!(world.all_stopped(), "skew {skew}: the abort said so");
    }
}

#[tokio::test(start_paused = true)]
async fn a_restore_that_goes_back_by_itself_sees_its_lost_calls_through() {
    // The first attempt got no answer, the second did; the gate fails; the first call lands after all is closed.
    let world = World::of(1);
    let prior = world.targets[0].snapshot();
    let health = Arc::new(InMemoryHealth::new());
    health.set(Verdict::not_yet("bad"));
    let procedure = slow_steps(&world)
        .with_gate(
            gate(0, &health)
                .with_hold(Duration::from_secs(1))
                .with_patience(Duration::from_secs(10)),
        )
        .unwrap();
    let stopped = world.stop_by(&procedure).await.run;
    world.targets[0].next_restore(Fault::Fail(ErrorKind::Unavailable));
    opens_after(&world, 0, &prior, Duration::from_secs(30));
    let restored = world.restore_by(&stopped, &procedure).await.unwrap();
    assert!(restored.aborted.as_ref().unwrap().stopped());
    tokio::time::sleep(Duration::from_secs(120)).await;
    assert!(
        world.all_stopped(),
        "the restore said that it closed everything again"
    );
    assert_eq!(world.held().await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_is_closed_again_bears_the_mark_of_the_run_that_holds_its_prior_state() {
    let world = World::of(1);
    world.targets[0].leave_markers();
    let health = Arc::new(InMemoryHealth::new());
    let gate = gate(0, &health)
        .with_hold(Duration::from_secs(1))
        .with_patience(Duration::from_secs(10));
    let procedure = slow_steps(&world).with_gate(gate).unwrap();
    let stopped = world.stop_by(&procedure).await.run;
    let restored = world.restore_by(&stopped, &procedure).await.unwrap();
    assert!(restored.aborted.unwrap().stopped());
    let seen = Stop::of(&world.targets[0]).observe().await.unwrap();
    assert_eq!(seen.marker(), Some(&stopped));
    assert_eq!(world.held().await[0].run, stopped);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_lands_behind_an_abort_leaves_its_target_open_for_a_second_only() {
    let world = World::of(1);
    let prior = world.targets[0].snapshot();
    let procedure = slow_steps(&world);
    let stopped = world.stop_by(&procedure).await.run;
    world.targets[0].every_restore(Fault::Fail(ErrorKind::Unavailable));
    let halted = world.restore_by(&stopped, &procedure).await.unwrap();
    world.targets[0].heal();
    opens_after(&world, 0, &prior, Duration::from_millis(5400));
    let look = async {
        let mut open = 0;
        for _ in 0..150 {
            tokio::time::sleep(Duration::from_millis(100)).await;
            open += usize::from(!world.all_stopped());
        }
        open
    };
    let alice = alice();
    let (outcome, open) = tokio::join!(world.engine.abort(&halted.run, &procedure, &alice, REASON), look);
    assert!(outcome.unwrap().aborted.unwrap().stopped());
    assert!((1..=15).contains(&open), "open for {open} tenths of a second");
}

#[tokio::test(start_paused = true)]
async fn an_abort_that_looks_behind_itself_does_not_undo_a_restore_that_was_approved_since() {
    let world = World::of(1);
    let before = world.bytes();
    let procedure = slow_steps(&world);
    let stopped = world.stop_by(&procedure).await.run;
    world.targets[0].every_restore(Fault::Fail(ErrorKind::Unavailable));
    let halted = world.restore_by(&stopped, &procedure).await.unwrap();
    world.targets[0].heal();
    // Planned before the abort: it has waited for the lost call when the abort still does.
    let plan = world.engine.plan_restore(&stopped, &procedure).await.unwrap();
    tokio::time::sleep(Duration::from_secs(20)).await;
    let other = world.machine(Arc::clone(&world.journal));
    let (run, by) = (halted.run.clone(), procedure.clone());
    let aborting = tokio::spawn(async move { other.engine.abort(&run, &by, &alice(), REASON).await });
    tokio::time::sleep(Duration::from_secs(1)).await;
    let plan = world.people.approve(plan, world.clock.time()).unwrap();
    let restored = world.engine.execute(plan).await.unwrap();
    let _ = aborting.await.unwrap();
    tokio::time::sleep(Duration::from_secs(120)).await;
    assert_eq!(restored.status, OutcomeStatus::Verified);
    assert_eq!(world.bytes(), before, "an approved restore stands");
}

#[tokio::test(start_paused = true)]
async fn an_abort_closes_although_the_journal_takes_no_entry() {
    let world = World::of(2);
    let procedure = staged(&world, &well());
    let stopped = world.stop_by(&procedure).await.run;
    let plan = world.engine.plan_restore(&stopped, &procedure).await.unwrap();
    let run = plan.run().clone();
    let plan = world.people.approve(plan, world.clock.time()).unwrap();
    let engine = world.engine.clone();
    let restoring = tokio::spawn(async move { engine.execute(plan).await });
    tokio::time::sleep(Duration::from_secs(90)).await;
    restoring.abort();
    settle_tasks().await;
    assert!(!world.all_stopped());
    let view = Meddled::over(&world.journal);
    view.break_only(&[Verb::Append, Verb::AppendVerified, Verb::Hold]);
    let other = world.machine(view);
    let outcome = other
        .engine
        .abort(&run, &procedure, &alice(), REASON)
        .await
        .unwrap();
    assert!(world.all_stopped());
    assert!(outcome.aborted.as_ref().unwrap().stopped());
    assert!(!outcome.journalled);
}

#[tokio::test(start_paused = true)]
async fn an_abort_closes_although_the_journal_falls_silent_after_its_first_answer() {
    for failure in [Failure::Fails, Failure::Hangs] {
        let journal = Arc::new(FaultyJournal::broken_for(
            Arc::new(SharedJournal::new()),
            failure,
            0..0,
        ));
        let world = World::over(journal.clone(), 2);
        let prior = world.targets[0].snapshot();
        let procedure = staged(&world, &well());
        let stopped = world.stop_by(&procedure).await.run;
        let plan = world.engine.plan_restore(&stopped, &procedure).await.unwrap();
        let run = plan.run().clone();
        let plan = world.people.approve(plan, world.clock.time()).unwrap();
        let engine = world.engine.clone();
        let restoring = tokio::spawn(async move { engine.execute(plan).await });
        tokio::time::sleep(Duration::from_secs(90)).await;
        restoring.abort();
        settle_tasks().await;
        let other = world.machine(journal.clone());
        journal.break_after(1);
        // Nothing tells of this call any more.
        opens_after(&world, 0, &prior, Duration::from_secs(20));
        let pressed = world.clock.time();
        let watch = async {
            while !world.all_stopped() {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            world.clock.time().saturating_since(pressed)
        };
        let alice = alice();
        let (outcome, closed) = tokio::join!(
            other.engine.abort(&run, &procedure, &alice, REASON),
            tokio::time::timeout(Duration::from_secs(600), watch)
        );
        let outcome = outcome.unwrap();
        assert!(outcome.aborted.unwrap().stopped(), "{failure:?}");
        let closed = closed.unwrap();
        assert!(closed < Duration::from_secs(15), "{failure:?}: {closed:?}");
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert!(
            world.all_stopped(),
            "{failure:?}: every step may have one that lands"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_restore_of_another_target_keeps_no_abort_from_closing_what_opens_behind_it() {
    let world = World::of(2);
    let of_one = |at: usize| {
        let step = Step::new(Stop::of(&world.targets[at])).with_timeout(Duration::from_secs(60));
        Procedure::new("stop-all", vec![step]).unwrap()
    };
    let prior = world.targets[0].snapshot();
    let (stopped, other) = (
        world.stop_by(&of_one(0)).await.run,
        world.stop_by(&of_one(1)).await.run,
    );
    world.targets[0].every_restore(Fault::Fail(ErrorKind::Unavailable));
    let halted = world.restore_by(&stopped, &of_one(0)).await.unwrap();
    world.targets[0].heal();
    let restored = world.restore_by(&other, &of_one(1)).await.unwrap();
    assert_eq!(restored.status, OutcomeStatus::Verified);
    opens_after(&world, 0, &prior, Duration::from_secs(20));
    let outcome = world
        .engine
        .abort(&halted.run, &of_one(0), &alice(), REASON)
        .await
        .unwrap();
    assert!(outcome.aborted.unwrap().stopped());
    tokio::time::sleep(Duration::from_secs(120)).await;
    assert!(world.targets[0].is_stopped(), "the abort said so");
    assert!(!world.targets[1].is_stopped());
}

#[tokio::test(start_paused = true)]
async fn an_abort_closes_what_the_restore_opened_before_it_could_see_that_it_goes_back() {
    let world = World::of(2);
    let procedure = staged(&world, &well());
    let stopped = world.stop_by(&procedure).await.run;
    let plan = world.engine.plan_restore(&stopped, &procedure).await.unwrap();
    let run = plan.run().clone();
    let second = plan.steps()[1].clone();
    let plan = world.people.approve(plan, world.clock.time()).unwrap();
    let engine = world.engine.clone();
    let restoring = tokio::spawn(async move { engine.execute(plan).await });
    tokio::time::sleep(Duration::from_secs(30)).await;
    restoring.abort();
    settle_tasks().await;
    assert!(!world.targets[0].is_stopped() && world.targets[1].is_stopped());
    let view = Meddled::over(&world.journal);
    let other = world.machine(view.clone());
    // The first share is let in, all of it, after the abort has read the journal and before its entry is there.
    let (journal, target, by) = (world.journal.clone(), world.targets[1].clone(), run.clone());
    let at = world.clock.time();
    view.before(Verb::Append, async move {
        let (step, share) = (second.step, second.share.unwrap());
        let Prior::Observed { snapshot } = &second.prior else {
            panic!("{second:?}")
        };
        let action = Stop::in_parts(&target);
        let key = IdempotencyKey::for_step(&by, step);
        let ramp = action.ramp().unwrap();
        ramp.open_partly(snapshot, share, &key).await.unwrap();
        let (intent, applied) = (
            JournalEvent::Intent {
                step,
                target: target.id().clone(),
                timeout: Some(Duration::from_secs(30)),
                automated: false,
            },
            JournalEvent::Applied {
                step,
                target: target.id().clone(),
                error: None,
                unanswered: false,
            },
        );
        for event in [intent, applied] {
            let entry = JournalEntry::new(by.clone(), at, event);
            journal.append(&entry).await.unwrap();
        }
    });
    let outcome = other
        .engine
        .abort(&run, &procedure, &alice(), REASON)
        .await
        .unwrap();
    assert!(outcome.aborted.unwrap().stopped());
    assert!(world.all_stopped(), "{:?}", world.targets[1].admitted());
}

#[tokio::test(start_paused = true)]
async fn what_an_abort_could_not_close_at_once_is_closed_at_its_second_look() {
    let world = World::of(1);
    let procedure = slow_steps(&world).with_gate(gate(0, &well())).unwrap();
    let stopped = world.stop_by(&procedure).await.run;
    let plan = world.engine.plan_restore(&stopped, &procedure).await.unwrap();
    let run = plan.run().clone();
    let plan = world.people.approve(plan, world.clock.time()).unwrap();
    let engine = world.engine.clone();
    let restoring = tokio::spawn(async move { engine.execute(plan).await });
    tokio::time::sleep(Duration::from_secs(30)).await;
    restoring.abort();
    settle_tasks().await;
    assert!(!world.all_stopped());
    world.targets[0].next_apply(Fault::Fail(ErrorKind::PermissionDenied));
    let outcome = world
        .engine
        .abort(&run, &procedure, &alice(), REASON)
        .await
        .unwrap();
    assert!(outcome.aborted.unwrap().stopped());
    let said = outcome.steps[0].verdict.clone();
    assert_eq!(said, Verdict::not_yet("closed again"));
}

#[tokio::test(start_paused = true)]
async fn the_report_of_an_abort_says_what_failed_and_what_was_not_seen_to_be_closed() {
    let world = World::of(2);
    let procedure = world.procedure_with(|at, step| step.opening(at as u32));
    let stopped = world.stop_by(&procedure).await.run;
    world.targets[1].next_restore(Fault::Fail(ErrorKind::PermissionDenied));
    let halted = world.restore_by(&stopped, &procedure).await.unwrap();
    for target in &world.targets {
        target.every_observe(Fault::Fail(ErrorKind::PermissionDenied));
    }
    let outcome = world
        .engine
        .abort(&halted.run, &procedure, &alice(), REASON)
        .await
        .unwrap();
    let [opened, failed] = &outcome.steps[..] else {
        panic!("{outcome:#?}")
    };
    assert_eq!(opened.result.name(), "closed_again");
    let said = opened.verdict.reason().unwrap();
    assert!(said.starts_with("not seen to be closed again: "), "{said}");
    assert_eq!(failed.result.name(), "failed", "{failed:#?}");
    let said = failed.verdict.reason().unwrap();
    assert!(!said.starts_with("not seen to be closed again: "), "{said}");
}
