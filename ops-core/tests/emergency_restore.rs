//! A restore is exact and staged, or it is refused with the difference named.
#![allow(
    clippy::unwrap_used,
    clippy::clone_on_ref_ptr,
    reason = "a test ends at what it did not expect, and shares its doubles as ports"
)]

mod support_emergency;

use std::time::Duration;

use ops_core::emergency::{Procedure, Refusal, Step};
use ops_core::error::ErrorKind;
use ops_core::model::{OutcomeStatus, PlannedStep, Prior, RunId, StepResult, Verdict};
use ops_core::ports::Journal;
use serde_json::json;
use support_emergency::{
    Fault, Log, Meddled, SharedJournal, Stop, Target, Verb, World, alice, quick, report_of, settle_tasks,
};

fn paths(step: &PlannedStep) -> Vec<&str> {
    step.drift
        .iter()
        .map(|difference| difference.path.as_str())
        .collect()
}

#[track_caller]
fn drifted(refusal: Refusal) -> Vec<PlannedStep> {
    match refusal {
        Refusal::Drifted { steps } => steps,
        other => panic!("must be refused for drift, not: {other}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_restore_writes_back_the_exact_bytes_and_releases_them() {
    let world = World::of(5);
    let before = world.bytes();
    let stopped = world.stop().await;
    assert_ne!(world.bytes(), before);
    let restored = world.restore(&stopped.run).await.unwrap();
    assert_eq!(restored.status, OutcomeStatus::Verified);
    assert_eq!(world.bytes(), before);
    assert!(world.held().await.is_empty());
    match world.restore(&stopped.run).await.unwrap_err() {
        Refusal::NothingHeld { held_by, .. } => assert_eq!(held_by, []),
        other => panic!("{other}"),
    }
}

#[tokio::test(start_paused = true)]
async fn stages_open_one_after_the_other_in_their_own_order() {
    let log = Log::default();
    let targets = (0..3).map(|number| Target::logged(number, &log)).collect();
    let world = World::with(std::sync::Arc::new(SharedJournal::logged(&log)), targets);
    // The first is opened last.
    let procedure = world.procedure_with(|at, step| step.opening(2 - u32::try_from(at).unwrap()));
    let stopped = world.stop_by(&procedure).await;
    let restored = world.restore_by(&stopped.run, &procedure).await.unwrap();
    assert_eq!(restored.status, OutcomeStatus::Verified);
    for (earlier, later) in [(2, 1), (1, 0)] {
        let released = log.position(&format!("release test:t{earlier}"));
        assert!(
            released < log.position(&format!("reopening test:t{later}")),
            "{:#?}",
            log.lines()
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_stage_that_does_not_verify_keeps_the_next_ones_closed() {
    for fault in [
        Fault::NeverEffective,
        Fault::Fail(ErrorKind::PermissionDenied),
        Fault::Hang,
        Fault::Panic,
    ] {
        let world = World::of(4);
        let before = world.bytes();
        // 0 and 1 open first, then 2, then 3.
        let opening = |at: usize| u32::try_from(at.saturating_sub(1)).unwrap();
        let procedure = world.procedure_with(|at, step| quick(step).opening(opening(at)));
        let stopped = world.stop_by(&procedure).await;
        world.targets[1].every_restore(fault.clone());
        let halted = world.restore_by(&stopped.run, &procedure).await.unwrap();
        assert_eq!(halted.status, OutcomeStatus::Partial, "{fault:?}");
        assert_eq!(
            world.targets[0].bytes(),
            before[0],
            "its neighbour in the stage is back"
        );
        for target in &world.targets[2..] {
            assert_eq!(
                report_of(&halted, target).result,
                StepResult::Skipped,
                "{fault:?}"
            );
            assert!(target.is_stopped(), "{fault:?}");
        }
        assert!(!report_of(&halted, &world.targets[1]).verdict.holds());
        let held = world.held().await;
        let held: Vec<_> = held.iter().map(|held| held.snapshot.target().as_str()).collect();
        assert_eq!(
            held,
            ["test:t1", "test:t2", "test:t3"],
            "{fault:?}: only what verified is released"
        );

        world.targets[1].heal();
        let restored = world.restore_by(&stopped.run, &procedure).await.unwrap();
        assert_eq!(restored.status, OutcomeStatus::Verified, "{fault:?}");
        assert_eq!(restored.steps.len(), 3);
        assert_eq!(world.bytes(), before, "{fault:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_of_a_restore_is_made_good_by_the_read_back() {
    let world = World::of(2);
    let before = world.bytes();
    let stopped = world.stop().await;
    world.targets[0].every_restore(Fault::LostAnswer);
    let restored = world.restore(&stopped.run).await.unwrap();
    assert_eq!(restored.status, OutcomeStatus::Verified);
    assert_eq!(world.bytes(), before);
}

#[tokio::test(start_paused = true)]
async fn a_restore_that_cannot_be_read_back_releases_nothing() {
    let world = World::of(1);
    let stopped = world.stop().await;
    let plan = world
        .engine
        .plan_restore(&stopped.run, &world.procedure())
        .await
        .unwrap();
    let plan = world.people.approve(plan, world.clock.time()).unwrap();
    // The look before writing works, those afterwards do not: the first of the restore's two effects is number 3.
    let blind = async {
        world.targets[0].effects(3).await;
        world.targets[0].every_observe(Fault::Fail(ErrorKind::Unavailable));
    };
    let (restored, ()) = tokio::join!(world.engine.execute(plan), blind);
    let restored = restored.unwrap();
    assert_eq!(restored.status, OutcomeStatus::Unverified);
    assert!(matches!(restored.steps[0].verdict, Verdict::Unknown { .. }));
    assert_eq!(world.held().await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_restore_after_drift_is_refused_and_shows_the_difference() {
    let world = World::of(3);
    let stopped = world.stop().await;
    world.targets[1].set("ingress", json!("internal"));
    world.targets[2].deploy();
    let plan = world
        .engine
        .plan_restore(&stopped.run, &world.procedure())
        .await
        .unwrap();
    assert_eq!(paths(&plan.steps()[1]), ["ingress"]);
    let steps = drifted(world.restore(&stopped.run).await.unwrap_err());
    let found: Vec<_> = steps
        .iter()
        .map(|step| (step.target.as_str(), paths(step)))
        .collect();
    assert_eq!(
        found,
        [("test:t1", vec!["ingress"]), ("test:t2", vec!["revision"])]
    );
    assert_eq!(steps[0].drift[0].expected, Some(json!("all")));
    assert_eq!(steps[0].drift[0].found, Some(json!("internal")));
    assert!(world.all_stopped(), "nothing was opened");
    assert_eq!(world.held().await.len(), 3);
}

/// The stop was refused, and somebody else has stopped the target since: that is not ours to undo.
#[tokio::test(start_paused = true)]
async fn what_others_stopped_after_a_refused_stop_is_drift() {
    for (kind, drifts) in [(ErrorKind::PermissionDenied, true), (ErrorKind::Timeout, false)] {
        let world = World::of(2);
        world.targets[1].every_apply(Fault::Fail(kind));
        let stopped = world.stop().await;
        assert_eq!(stopped.status, OutcomeStatus::Partial, "{kind:?}");
        world.targets[1].heal();
        world.targets[1].set("mode", json!("stopped"));
        match world.restore(&stopped.run).await {
            Err(refusal) => {
                let steps = drifted(refusal);
                assert!(drifts, "{kind:?}: the call may have landed late");
                assert_eq!(steps.len(), 1);
                assert_eq!(paths(&steps[0]), ["mode"]);
                assert!(world.targets[1].is_stopped());
            }
            Ok(restored) => {
                assert!(!drifts, "{kind:?}");
                assert_eq!(restored.status, OutcomeStatus::Verified);
            }
        }
    }
    // A later stop of ours has closed it, so it is ours to open.
    let world = World::of(2);
    world.targets[1].every_apply(Fault::Fail(ErrorKind::PermissionDenied));
    let first = world.stop().await;
    world.targets[1].heal();
    let second = world.stop().await;
    assert_eq!(second.status, OutcomeStatus::Verified);
    assert!(world.all_stopped());
    let restored = world.restore(&first.run).await.unwrap();
    assert_eq!(restored.status, OutcomeStatus::Verified);
}

#[tokio::test(start_paused = true)]
async fn drift_is_accepted_only_by_those_who_saw_it() {
    let world = World::of(2);
    let before = world.bytes();
    let stopped = world.stop().await;
    world.targets[0].set("ingress", json!("internal"));
    let plan = world
        .engine
        .plan_restore(&stopped.run, &world.procedure())
        .await
        .unwrap();
    let seen = plan.digest();
    let now = world.clock.time();
    let old = [
        world.people.sign("bob", &plan, now),
        world.people.sign("carol", &plan, now),
    ];
    let accepting = plan.accepting_drift();
    assert_ne!(accepting.digest(), seen);
    let refused = accepting
        .clone()
        .approve(&old, &world.people.approvers(), alice(), now)
        .unwrap_err();
    assert!(
        matches!(refused, Refusal::NotApproved { valid: 0, .. }),
        "{refused}"
    );

    let plan = world.people.approve(accepting, now).unwrap();
    let restored = world.engine.execute(plan).await.unwrap();
    assert_eq!(restored.status, OutcomeStatus::Verified);
    assert_eq!(world.bytes(), before);
}

#[tokio::test(start_paused = true)]
async fn what_somebody_opened_again_by_hand_has_drifted() {
    let world = World::of(1);
    let stopped = world.stop().await;
    world.targets[0].set("mode", json!("by hand"));
    let steps = drifted(world.restore(&stopped.run).await.unwrap_err());
    assert_eq!(paths(&steps[0]), ["mode"]);
}

#[tokio::test(start_paused = true)]
async fn what_somebody_has_put_back_exactly_has_not_drifted() {
    let world = World::of(1);
    let before = world.bytes();
    let fields = world.targets[0].fields();
    let stopped = world.stop().await;
    fields
        .into_iter()
        .for_each(|(name, value)| world.targets[0].set(&name, value));
    let restored = world.restore(&stopped.run).await.unwrap();
    assert_eq!(restored.status, OutcomeStatus::Verified);
    assert_eq!(world.bytes(), before);
    assert!(world.held().await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn another_deployer_during_the_stop_itself_is_found_at_the_restore() {
    // The read-back of the stop held, so what the stop left behind has the new revision, too.
    let world = World::of(2);
    world.targets[1].next_apply(Fault::DeployedMeanwhile);
    let stopped = world.stop().await;
    assert_eq!(stopped.status, OutcomeStatus::Verified);
    let steps = drifted(world.restore(&stopped.run).await.unwrap_err());
    assert_eq!(steps.len(), 1);
    assert_eq!(
        (steps[0].target.as_str(), paths(&steps[0])),
        ("test:t1", vec!["revision"])
    );
}

#[tokio::test(start_paused = true)]
async fn another_deployer_between_plan_and_execution_is_refused_at_the_step() {
    for change in ["field", "witness"] {
        let world = World::of(2);
        let before = world.bytes();
        let procedure = world.procedure_with(|_, step| quick(step));
        let stopped = world.stop_by(&procedure).await;
        let plan = world.engine.plan_restore(&stopped.run, &procedure).await.unwrap();
        let plan = world.people.approve(plan, world.clock.time()).unwrap();
        match change {
            "field" => world.targets[0].set("ingress", json!("internal")),
            _ => world.targets[0].deploy(),
        }
        let restored = world.engine.execute(plan).await.unwrap();
        assert_eq!(restored.status, OutcomeStatus::Partial, "{change}");
        let refused = report_of(&restored, &world.targets[0]);
        assert!(
            matches!(&refused.result, StepResult::Failed { error } if error.contains("changed since")),
            "{refused:?}"
        );
        assert_eq!(world.targets[0].restored(), 0, "{change}: nothing was written");
        assert!(world.targets[0].is_stopped());
        assert_eq!(world.targets[1].bytes(), before[1]);
        assert_eq!(world.held().await.len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn another_deployer_between_a_crash_and_its_resume_is_refused_at_the_step() {
    let world = World::of(1);
    let before = world.bytes();
    let procedure = world.procedure_with(|_, step| quick(step));
    let stopped = world.stop_by(&procedure).await;
    let plan = world.engine.plan_restore(&stopped.run, &procedure).await.unwrap();
    let plan = world.people.approve(plan, world.clock.time()).unwrap();
    let restore = plan.run().clone();
    world.targets[0].next_restore(Fault::HangHalfway);
    tokio::select! {
        ended = world.engine.execute(plan) => panic!("must not end: {ended:?}"),
        () = world.targets[0].effects(3) => {}
    }
    support_emergency::settle_tasks().await;
    world.targets[0].deploy();
    let resumed = world.engine.resume(&restore, &procedure, &alice()).await.unwrap();
    assert_eq!(resumed.status, OutcomeStatus::Failed);
    assert!(
        resumed.steps[0].result.reason().unwrap().contains("revision"),
        "{:?}",
        resumed.steps[0]
    );
    assert_eq!(world.held().await.len(), 1);

    // A plan of its own shows it, and may accept it.
    let plan = world.engine.plan_restore(&stopped.run, &procedure).await.unwrap();
    assert!(paths(&plan.steps()[0]).contains(&"revision"));
    let plan = world
        .people
        .approve(plan.accepting_drift(), world.clock.time())
        .unwrap();
    let restored = world.engine.execute(plan).await.unwrap();
    assert_eq!(restored.status, OutcomeStatus::Verified);
    assert_eq!(world.bytes(), before);
}

#[tokio::test(start_paused = true)]
async fn a_target_whose_prior_state_was_never_known_is_never_claimed_to_be_restored() {
    let world = World::of(2);
    let before = world.bytes();
    world.targets[0].next_observe(Fault::Fail(ErrorKind::Unavailable));
    let stopped = world.stop().await;
    assert!(world.all_stopped());
    let restored = world.restore(&stopped.run).await.unwrap();
    assert_eq!(restored.status, OutcomeStatus::Partial, "{restored:#?}");
    let unknown = report_of(&restored, &world.targets[0]);
    assert!(matches!(unknown.prior, Prior::Unknown { .. }));
    assert!(matches!(unknown.verdict, Verdict::Unknown { .. }), "{unknown:?}");
    assert!(matches!(unknown.result, StepResult::Failed { .. }), "{unknown:?}");
    assert_eq!(world.targets[0].restored(), 0);
    assert_eq!(
        world.targets[1].bytes(),
        before[1],
        "the others are put back all the same"
    );
}

#[tokio::test(start_paused = true)]
async fn a_restore_needs_a_run_that_is_known_and_the_procedure_that_it_was() {
    let world = World::of(2);
    let stopped = world.stop().await;
    let unknown = RunId::new("run_unknown").unwrap();
    let refused = world
        .engine
        .plan_restore(&unknown, &world.procedure())
        .await
        .unwrap_err();
    assert!(matches!(refused, Refusal::UnknownRun { .. }), "{refused}");
    let steps = |targets: &[std::sync::Arc<Target>]| {
        targets.iter().map(|target| Step::new(Stop::of(target))).collect()
    };
    let renamed = Procedure::new("other", steps(&world.targets)).unwrap();
    let refused = world
        .engine
        .plan_restore(&stopped.run, &renamed)
        .await
        .unwrap_err();
    assert!(matches!(refused, Refusal::WrongProcedure { .. }), "{refused}");
    let smaller = Procedure::new("stop-all", steps(&world.targets[..1])).unwrap();
    let refused = world
        .engine
        .plan_restore(&stopped.run, &smaller)
        .await
        .unwrap_err();
    assert!(matches!(refused, Refusal::WrongProcedure { .. }), "{refused}");
    let refused = world
        .engine
        .resume(&stopped.run, &smaller, &alice())
        .await
        .unwrap_err();
    assert!(matches!(refused, Refusal::WrongProcedure { .. }), "{refused}");
}

#[tokio::test(start_paused = true)]
async fn a_target_that_cannot_be_read_is_not_opened_blindly() {
    let world = World::of(2);
    let stopped = world.stop().await;
    for fault in [Fault::Fail(ErrorKind::Unavailable), Fault::Hang, Fault::Panic] {
        world.targets[1].every_observe(fault.clone());
        let refused = world.restore(&stopped.run).await.unwrap_err();
        assert!(matches!(refused, Refusal::Undecided(_)), "{fault:?}: {refused}");
    }
    assert!(world.all_stopped());
}

#[tokio::test(start_paused = true)]
async fn a_stop_that_has_been_restored_is_not_taken_up_again() {
    let world = World::of(2);
    world.targets[0].every_apply(Fault::Fail(ErrorKind::Unavailable));
    let stopped = world.stop_by(&world.procedure_with(|_, step| quick(step))).await;
    assert_eq!(stopped.status, OutcomeStatus::Partial);
    world.targets[0].heal();
    let before = world.targets[0].bytes();
    let _ = world.restore(&stopped.run).await.unwrap();
    let refused = world
        .engine
        .resume(&stopped.run, &world.procedure(), &alice())
        .await
        .unwrap_err();
    assert!(matches!(refused, Refusal::Superseded { .. }), "{refused}");
    assert_eq!(world.targets[0].bytes(), before);
}

#[tokio::test(start_paused = true)]
async fn a_second_and_independent_look_confirms_and_turns_false() {
    let world = World::of(2);
    let stopped = world.stop().await;
    let restored = world.restore(&stopped.run).await.unwrap();
    let fresh = world.machine(std::sync::Arc::clone(&world.journal));
    let confirm = async || {
        fresh
            .engine
            .confirm(&restored.run, &fresh.procedure())
            .await
            .unwrap()
    };

    let confirmed = confirm().await;
    assert_eq!(confirmed.len(), 2);
    assert!(confirmed.iter().all(|one| one.verdict.holds()));

    world.targets[1].set("scaling", json!({"min": 0}));
    let confirmed = confirm().await;
    assert!(confirmed[0].verdict.holds());
    assert_eq!(confirmed[1].target, *world.targets[1].id());
    assert!(
        matches!(&confirmed[1].verdict, Verdict::NotYet { reason } if reason.contains("scaling")),
        "{confirmed:?}"
    );

    world.targets[0].every_observe(Fault::Hang);
    let began = tokio::time::Instant::now();
    let confirmed = confirm().await;
    assert!(
        matches!(confirmed[0].verdict, Verdict::Unknown { .. }),
        "{confirmed:?}"
    );
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn an_unsettled_target_is_not_confirmed() {
    let world = World::of(1);
    let stopped = world.stop().await;
    let restored = world.restore(&stopped.run).await.unwrap();
    world.targets[0].set_settled(Verdict::not_yet("rolling out"));
    let confirmed = world
        .engine
        .confirm(&restored.run, &world.procedure())
        .await
        .unwrap();
    assert!(!confirmed[0].verdict.holds());
}

#[tokio::test(start_paused = true)]
async fn a_restore_that_has_ended_asks_no_journal_any_more_and_is_kept_by_nobody() {
    let shared: std::sync::Arc<dyn Journal> = std::sync::Arc::new(SharedJournal::new());
    let journal = Meddled::over(&shared);
    let world = World::over(journal.clone(), 1);
    let stopped = world.stop().await.run;
    let action = Stop::of(&world.targets[0]);
    let kept = std::sync::Arc::downgrade(&action);
    let procedure = Procedure::new("stop-all", vec![Step::new(action)]).unwrap();
    let restored = world.restore_by(&stopped, &procedure).await.unwrap();
    assert_eq!(restored.status, OutcomeStatus::Verified);
    drop(procedure);
    settle_tasks().await;
    assert!(kept.upgrade().is_none());
    let asked = journal.calls(Verb::Entries);
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(journal.calls(Verb::Entries), asked);
}
