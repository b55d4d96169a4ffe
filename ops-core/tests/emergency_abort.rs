//! Closing is instant: a restore goes back to stopped at any moment, and a later one is exact all the same.
#![allow(
    clippy::unwrap_used,
    clippy::clone_on_ref_ptr,
    reason = "a test ends at what it did not expect, and shares its doubles as ports"
)]

mod support_emergency;

use std::sync::Arc;
use std::time::Duration;

use ops_core::emergency::{Contact, Procedure, Refusal, Step};
use ops_core::error::ErrorKind;
use ops_core::memory::{InMemoryAudit, InMemoryNotifier};
use ops_core::model::{
    AbortCause, Actor, GateResult, Lang, Outcome, OutcomeStatus, RunId, StepResult, TenantId, Timestamp,
    Verdict,
};
use ops_core::ports::{AuditQuery, AuditStore, JournalEvent};
use ops_core::{Ops, Providers};
use support_emergency::{
    Failure, Fault, FaultyJournal, Log, SharedJournal, Stop, Target, World, alice, settle_tasks, staged, well,
};
use tokio::task::JoinHandle;

const REASON: &str = "the line is still bad";

/// A stopped world whose restore runs since a moment, with its run.
async fn restoring(world: &World, procedure: &Procedure) -> (RunId, RunId, JoinHandle<Outcome>) {
    let stopped = world.stop_by(procedure).await.run;
    let plan = world.engine.plan_restore(&stopped, procedure).await.unwrap();
    let run = plan.run().clone();
    let (engine, plan) = (
        world.engine.clone(),
        world.people.approve(plan, world.clock.time()).unwrap(),
    );
    let task = tokio::spawn(async move { engine.execute(plan).await.unwrap() });
    (stopped, run, task)
}

async fn assert_stopped_and_restorable(world: &World, stopped: &RunId, before: &[Vec<u8>], what: &str) {
    assert!(world.all_stopped(), "{what}");
    let held = world.held().await;
    assert!(held.iter().all(|held| held.run == *stopped), "{what}: {held:?}");
    let held: Vec<_> = held.iter().map(|held| held.snapshot.restorable_bytes()).collect();
    assert_eq!(
        held, before,
        "{what}: what is held is what was there before everything"
    );
    let restored = world.restore_by(stopped, &staged(world, &well())).await.unwrap();
    assert_eq!(restored.status, OutcomeStatus::Verified, "{what}");
    assert_eq!(world.bytes(), before, "{what}");
    assert!(world.held().await.is_empty(), "{what}");
}

#[tokio::test(start_paused = true)]
async fn an_abort_closes_at_once_whatever_the_restore_waits_for() {
    // In the first gate, at 1 %, at 10 %, and in the gate behind the whole.
    for seconds in [20, 80, 140, 200] {
        for here in [true, false] {
            let world = World::of(2);
            let before = world.bytes();
            let procedure = staged(&world, &well());
            let (stopped, run, restoring) = restoring(&world, &procedure).await;
            tokio::time::sleep(Duration::from_secs(seconds)).await;
            assert!(!world.all_stopped());
            let other = world.machine(Arc::clone(&world.journal));
            let by = if here { &world } else { &other };
            let pressed = world.clock.time();
            let outcome = by.engine.abort(&run, &procedure, &alice(), REASON).await.unwrap();
            assert!(world.all_stopped());
            assert!(world.clock.time().saturating_since(pressed) < Duration::from_secs(1));
            assert!(outcome.aborted.as_ref().unwrap().stopped());

            let restored = restoring.await.unwrap();
            let noticed = world.clock.time().saturating_since(pressed);
            assert!(noticed < Duration::from_millis(1500), "{noticed:?}");
            for outcome in [&outcome, &restored] {
                assert_eq!(outcome.status, OutcomeStatus::Failed, "{outcome:#?}");
                let cause = &outcome.aborted.as_ref().unwrap().cause;
                assert_eq!(
                    *cause,
                    AbortCause::Asked {
                        by: alice(),
                        reason: REASON.to_owned()
                    }
                );
            }
            assert!(
                restored
                    .gates
                    .iter()
                    .any(|gate| gate.result == GateResult::Interrupted)
            );
            let what = format!("{seconds} s, here: {here}");
            assert_stopped_and_restorable(&world, &stopped, &before, &what).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_prior_state_is_held_again_before_the_target_is_closed_again() {
    let log = Log::default();
    let targets = (0..2).map(|number| Target::logged(number, &log)).collect();
    let world = World::with(Arc::new(SharedJournal::logged(&log)), targets);
    let procedure = staged(&world, &well());
    let (_, run, restoring) = restoring(&world, &procedure).await;
    tokio::time::sleep(Duration::from_secs(20)).await;
    let so_far = log.lines().len();
    let other = world.machine(Arc::clone(&world.journal));
    let _ = other
        .engine
        .abort(&run, &procedure, &alice(), REASON)
        .await
        .unwrap();
    let lines = log.lines().split_off(so_far);
    let at = |wanted: &str| {
        lines
            .iter()
            .position(|line| line == wanted)
            .unwrap_or_else(|| panic!("{wanted}: {lines:#?}"))
    };
    assert!(at("aborted") < at("hold test:t0"));
    assert!(at("hold test:t0") < at("begun test:t0"));
    assert!(at("stopped test:t0") < at("closed again test:t0"));
    assert!(
        !lines.contains(&"begun test:t1".to_owned()),
        "what was never opened is not touched"
    );
    let _ = restoring.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_abort_may_be_repeated_and_a_resume_of_an_aborted_restore_never_opens() {
    let world = World::of(2);
    let before = world.bytes();
    let procedure = staged(&world, &well());
    let (stopped, run, restoring) = restoring(&world, &procedure).await;
    tokio::time::sleep(Duration::from_secs(90)).await;
    restoring.abort();
    settle_tasks().await;
    let fresh = world.machine(Arc::clone(&world.journal));
    for _ in 0..3 {
        let outcome = fresh
            .engine
            .abort(&run, &procedure, &alice(), REASON)
            .await
            .unwrap();
        assert!(outcome.aborted.unwrap().stopped());
        assert!(world.all_stopped());
    }
    // Automation may close, and time does not run out for closing.
    tokio::time::advance(Duration::from_secs(3600)).await;
    world.targets[0].set("mode", "by hand".into());
    let robot = Actor::automation("alerts").unwrap();
    let resumed = fresh.engine.resume(&run, &procedure, &robot).await.unwrap();
    assert_eq!(resumed.status, OutcomeStatus::Failed);
    assert_stopped_and_restorable(&world, &stopped, &before, "resumed").await;
    // What has been restored since is not closed by an old abort.
    let late = fresh.engine.abort(&run, &procedure, &alice(), REASON).await;
    assert!(matches!(late, Err(Refusal::Superseded { .. })), "{late:?}");
    assert_eq!(world.bytes(), before);
}

#[tokio::test(start_paused = true)]
async fn only_a_restore_that_is_not_complete_is_aborted() {
    let world = World::of(2);
    let procedure = staged(&world, &well());
    let stopped = world.stop_by(&procedure).await.run;
    let refused = world.engine.abort(&stopped, &procedure, &alice(), REASON).await;
    assert!(matches!(refused, Err(Refusal::NotARestore { .. })), "{refused:?}");
    let restored = world.restore_by(&stopped, &procedure).await.unwrap();
    let refused = world
        .engine
        .abort(&restored.run, &procedure, &alice(), REASON)
        .await;
    assert!(matches!(refused, Err(Refusal::Completed { .. })), "{refused:?}");
    let unknown = RunId::generate(Timestamp::UNIX_EPOCH);
    let refused = world.engine.abort(&unknown, &procedure, &alice(), REASON).await;
    assert!(matches!(refused, Err(Refusal::UnknownRun { .. })), "{refused:?}");
    assert!(world.targets.iter().all(|target| !target.is_stopped()));
}

#[tokio::test(start_paused = true)]
async fn an_abort_in_the_same_process_needs_no_journal() {
    for failure in [Failure::Fails, Failure::Hangs] {
        let journal = Arc::new(FaultyJournal::broken_for(
            Arc::new(SharedJournal::new()),
            failure,
            0..0,
        ));
        let world = World::over(journal.clone(), 2);
        let before = world.bytes();
        let procedure = staged(&world, &well());
        let (stopped, run, restoring) = restoring(&world, &procedure).await;
        tokio::time::sleep(Duration::from_secs(90)).await;
        journal.break_now();
        let refused = world.engine.abort(&run, &procedure, &alice(), REASON).await;
        assert!(matches!(refused, Err(Refusal::Undecided(_))), "{refused:?}");
        let restored = restoring.await.unwrap();
        assert!(world.all_stopped());
        let aborted = restored.aborted.as_ref().unwrap();
        assert!(aborted.stopped());
        assert!(
            matches!(&aborted.cause, AbortCause::Asked { by, .. } if *by == alice()),
            "{failure:?}: it was told, and did not wait for its gate: {:?}",
            aborted.cause
        );
        assert!(!restored.journalled && restored.steps.iter().any(|step| !step.journalled));
        journal.repair();
        tokio::time::sleep(Duration::from_secs(60)).await;
        // Target 0 was released and could not be held again: its prior state is in the outcome, and in the journal of the stop.
        let report = restored.steps.iter().find(|step| !step.journalled).unwrap();
        assert!(
            serde_json::to_string(&report.prior)
                .unwrap()
                .contains("automatic")
        );
        let _ = world
            .engine
            .abort(&run, &procedure, &alice(), REASON)
            .await
            .unwrap();
        assert_stopped_and_restorable(&world, &stopped, &before, "repaired").await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_newer_stop_of_one_target_is_noticed_in_a_hold_and_turns_the_whole_restore_round() {
    for seconds in [20, 90, 200] {
        let world = World::of(2);
        let before = world.bytes();
        let procedure = staged(&world, &well());
        let (stopped, _, restoring) = restoring(&world, &procedure).await;
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        let other = world.machine(Arc::clone(&world.journal));
        let one = Procedure::new("stop-one", vec![Step::new(Stop::in_parts(&world.targets[1]))]).unwrap();
        let pressed = world.clock.time();
        let newer = other.stop_by(&one).await;
        assert_eq!(newer.status, OutcomeStatus::Verified);
        let restored = restoring.await.unwrap();
        let noticed = world.clock.time().saturating_since(pressed);
        assert!(noticed < Duration::from_millis(1500), "{seconds}: {noticed:?}");
        assert!(world.all_stopped(), "{seconds}");
        assert_eq!(restored.status, OutcomeStatus::Failed);
        let cause = restored.aborted.unwrap().cause;
        assert_eq!(
            cause,
            AbortCause::Stopped {
                by: newer.run.clone()
            }
        );

        // First writer wins: what the newer stop took of the whole target is the truth, what it found partly open is none.
        let held = world.held().await;
        let holders: Vec<_> = held.iter().map(|held| held.run.clone()).collect();
        let second = if seconds == 200 { &newer.run } else { &stopped };
        assert_eq!(holders, [stopped.clone(), second.clone()], "{seconds}");
        for run in [&newer.run, &stopped] {
            let by = if *run == newer.run { &one } else { &procedure };
            let _ = world.restore_by(run, by).await;
        }
        assert_eq!(world.bytes(), before, "{seconds}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_under_way_does_not_leave_its_target_open() {
    // The restore lives; its call takes 10 s and lands after the abort has closed everything.
    for dies in [false, true] {
        let world = World::of(2);
        let before = world.bytes();
        let procedure = staged(&world, &well());
        let stopped = world.stop_by(&procedure).await.run;
        let plan = world.engine.plan_restore(&stopped, &procedure).await.unwrap();
        let run = plan.run().clone();
        let slow = Duration::from_secs(4);
        world.targets[0].set_latency(slow);
        let (engine, plan) = (
            world.engine.clone(),
            world.people.approve(plan, world.clock.time()).unwrap(),
        );
        let restoring = tokio::spawn(async move { engine.execute(plan).await.unwrap() });
        tokio::time::sleep(slow + Duration::from_secs(1)).await;
        if dies {
            restoring.abort();
            // What the dead process had asked for comes late.
            let target = Arc::clone(&world.targets[0]);
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_secs(9)).await;
                target.set("mode", "automatic".into());
            });
        }
        let other = world.machine(Arc::clone(&world.journal));
        let outcome = other
            .engine
            .abort(&run, &procedure, &alice(), REASON)
            .await
            .unwrap();
        assert!(outcome.aborted.unwrap().stopped(), "dies: {dies}");
        assert!(world.all_stopped(), "dies: {dies}");
        if !dies {
            let restored = restoring.await.unwrap();
            assert!(restored.aborted.unwrap().stopped());
        }
        tokio::time::sleep(Duration::from_secs(60)).await;
        world.targets[0].set_latency(Duration::from_millis(5));
        assert_stopped_and_restorable(&world, &stopped, &before, &format!("dies: {dies}")).await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_closed_again_is_named_and_the_outcome_is_partial() {
    let world = World::of(2);
    let procedure = staged(&world, &well());
    let (stopped, run, restoring) = restoring(&world, &procedure).await;
    tokio::time::sleep(Duration::from_secs(90)).await;
    world.targets[0].every_apply(Fault::Fail(ErrorKind::PermissionDenied));
    let other = world.machine(Arc::clone(&world.journal));
    let outcome = other
        .engine
        .abort(&run, &procedure, &alice(), REASON)
        .await
        .unwrap();
    assert_eq!(outcome.status, OutcomeStatus::Partial);
    let aborted = outcome.aborted.unwrap();
    assert!(!aborted.stopped());
    let open: Vec<_> = aborted
        .closed
        .iter()
        .filter(|closed| !closed.verdict.holds())
        .collect();
    assert_eq!(open.len(), 1);
    assert_eq!(open[0].target, *world.targets[0].id());
    assert!(open[0].held, "its prior state is held all the same");
    assert_eq!(restoring.await.unwrap().status, OutcomeStatus::Partial);
    world.targets[0].heal();
    let outcome = other
        .engine
        .abort(&run, &procedure, &alice(), REASON)
        .await
        .unwrap();
    assert!(outcome.aborted.unwrap().stopped() && world.all_stopped());
    assert!(world.held().await.iter().all(|held| held.run == stopped));
}

#[tokio::test(start_paused = true)]
async fn a_failed_step_that_halted_a_restore_can_be_taken_back() {
    let world = World::of(2);
    let before = world.bytes();
    let procedure = staged(&world, &well());
    let stopped = world.stop_by(&procedure).await.run;
    world.targets[1].next_restore(Fault::Fail(ErrorKind::PermissionDenied));
    let halted = world.restore_by(&stopped, &procedure).await.unwrap();
    assert_eq!(halted.status, OutcomeStatus::Partial);
    assert!(halted.aborted.is_none() && !world.targets[0].is_stopped());
    let outcome = world
        .engine
        .abort(&halted.run, &procedure, &alice(), REASON)
        .await
        .unwrap();
    assert!(outcome.aborted.unwrap().stopped());
    assert_eq!(outcome.steps[3].result, StepResult::Skipped);
    assert_stopped_and_restorable(&world, &stopped, &before, "halted").await;
}

#[tokio::test(start_paused = true)]
async fn an_abort_wakes_a_step_from_its_jitter_and_from_its_read_back() {
    for settles in [true, false] {
        let world = World::of(2);
        let before = world.bytes();
        let procedure = world.procedure().with_jitter(Duration::from_secs(3600));
        let procedure = if settles {
            procedure
        } else {
            world.procedure_with(|_, step| step.with_settle(Duration::from_secs(600)))
        };
        let stopped = world.stop_by(&procedure).await.run;
        let plan = world.engine.plan_restore(&stopped, &procedure).await.unwrap();
        let run = plan.run().clone();
        if !settles {
            world
                .targets
                .iter()
                .for_each(|target| target.every_restore(Fault::NeverEffective));
        }
        let (engine, plan) = (
            world.engine.clone(),
            world.people.approve(plan, world.clock.time()).unwrap(),
        );
        let restoring = tokio::spawn(async move { engine.execute(plan).await.unwrap() });
        tokio::time::sleep(Duration::from_secs(5)).await;
        let pressed = world.clock.time();
        let outcome = world
            .engine
            .abort(&run, &procedure, &alice(), REASON)
            .await
            .unwrap();
        let restored = restoring.await.unwrap();
        assert!(
            world.clock.time().saturating_since(pressed) < Duration::from_secs(2),
            "settles: {settles}"
        );
        assert!(outcome.aborted.unwrap().stopped() && restored.aborted.unwrap().stopped());
        world.targets.iter().for_each(|target| target.heal());
        assert!(world.all_stopped());
        let _ = world.restore(&stopped).await.unwrap();
        assert_eq!(world.bytes(), before);
    }
}

#[tokio::test(start_paused = true)]
async fn an_abort_is_journalled_with_who_and_why() {
    let world = World::of(2);
    let procedure = staged(&world, &well());
    let (_, run, restoring) = restoring(&world, &procedure).await;
    tokio::time::sleep(Duration::from_secs(90)).await;
    let _ = world
        .engine
        .abort(&run, &procedure, &alice(), REASON)
        .await
        .unwrap();
    let _ = restoring.await.unwrap();
    let entries = world.engine.entries(&run).await.unwrap();
    let asked = |event: &JournalEvent| matches!(event, JournalEvent::Aborted { cause: AbortCause::Asked { by, reason } } if by.id() == "alice" && reason == REASON);
    assert!(entries.iter().any(|entry| asked(&entry.event)));
    let closed = entries.iter().filter(|entry| {
        matches!(
            &entry.event,
            JournalEvent::ClosedAgain {
                verdict: Verdict::Holds,
                ..
            }
        )
    });
    assert!(closed.count() >= 2);
}

#[tokio::test(start_paused = true)]
async fn an_aborted_restore_is_recorded_told_and_never_called_a_success() {
    let (audit, notifier) = (Arc::new(InMemoryAudit::new()), Arc::new(InMemoryNotifier::new()));
    let world = World::of(2);
    let providers = Providers {
        journal: Arc::clone(&world.journal),
        clock: world.clock.clone(),
        audit: audit.clone(),
        notifier: notifier.clone(),
        ..Providers::in_memory()
    };
    let tenant = TenantId::new("org_a").unwrap();
    let ops = Ops::new(providers, tenant.clone());
    let procedure = staged(&world, &well()).with_contact(Contact::new("#emergency"));
    let stopped = ops.stop(&procedure, alice()).await.unwrap().outcome.run;
    let plan = ops.engine().plan_restore(&stopped, &procedure).await.unwrap();
    let run = plan.run().clone();
    let plan = world.people.approve(plan, world.clock.time()).unwrap();
    let (opening, by) = (ops.clone(), alice());
    let restoring = tokio::spawn(async move { opening.carry_out(plan, &by).await.unwrap() });
    tokio::time::sleep(Duration::from_secs(20)).await;
    // A reason is masked before it can reach the journal.
    let reason = "call me: 090-1234-5678";
    let report = ops.abort(&run, &procedure, &alice(), reason).await.unwrap();
    let restored = restoring.await.unwrap();
    for report in [&report, &restored] {
        assert_eq!(report.outcome.status, OutcomeStatus::Failed);
        assert!(report.outcome.audited && report.outcome.aborted.as_ref().unwrap().stopped());
    }
    let page = audit.search(&tenant, &AuditQuery::default()).await.unwrap();
    let text = serde_json::to_string(&page.records).unwrap();
    assert!(text.contains("aborted by alice"), "{text}");
    let told = notifier.sent();
    let notice = told.last().unwrap();
    assert!(notice.subject.get(Lang::Ja).contains("失敗"), "{notice:?}");
    assert!(
        notice.body.get(Lang::Ja).contains("中止: alice が中止した"),
        "{notice:?}"
    );
    let english = notice.body.get(Lang::En);
    assert!(
        english.contains("everything that was opened is closed again"),
        "{notice:?}"
    );
    let journal = serde_json::to_string(&ops.engine().entries(&run).await.unwrap()).unwrap();
    assert!(
        !format!("{text}{journal}{told:?}").contains("090-1234"),
        "{journal}"
    );
}
