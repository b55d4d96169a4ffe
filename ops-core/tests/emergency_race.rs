//! Stopping outranks restoring, and what was done once is looked at again.
#![allow(
    clippy::unwrap_used,
    clippy::clone_on_ref_ptr,
    reason = "a test ends at what it did not expect, and shares its doubles as ports"
)]

mod support_emergency;

use std::sync::Arc;
use std::time::Duration;

use ops_core::emergency::{Procedure, Refusal, Step, gave_way};
use ops_core::error::ErrorKind;
use ops_core::model::{OutcomeStatus, TargetState};
use serde_json::json;
use support_emergency::{Fault, Meddled, Stop, Verb, World, alice, settle_tasks};

#[tokio::test(start_paused = true)]
async fn a_stop_during_a_restore_wins_at_every_moment() {
    // Each call takes one second, so that the second stop comes before, between and after the calls of the restore.
    for quarter in 0..40 {
        let world = World::of(2);
        let before = world.bytes();
        let first = world.stop().await;
        world
            .targets
            .iter()
            .for_each(|target| target.set_latency(Duration::from_secs(1)));
        let (opening, other) = (world.clone(), world.machine(Arc::clone(&world.journal)));
        let run = first.run.clone();
        let restoring = tokio::spawn(async move { opening.restore(&run).await });
        tokio::time::sleep(Duration::from_millis(250 * quarter)).await;
        let began_after = restoring.is_finished();
        let second = other.stop().await;
        let restored = restoring.await.unwrap();
        settle_tasks().await;

        assert_eq!(second.status, OutcomeStatus::Verified, "{quarter}");
        assert!(world.all_stopped(), "{quarter}: the stop said so");
        if !began_after && let Ok(restored) = &restored {
            let stop_began_before_the_end =
                restored.status != OutcomeStatus::Verified || world.held().await.len() == 2;
            assert!(stop_began_before_the_end, "{quarter}: {restored:?}");
        }
        // Somebody owes the prior state, and it is still the one from before everything.
        world
            .targets
            .iter()
            .for_each(|target| target.set_latency(Duration::ZERO));
        for run in [&second.run, &first.run] {
            let _ = world.restore(run).await;
        }
        assert_eq!(world.bytes(), before, "{quarter}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_old_restore_is_not_taken_up_over_a_newer_stop() {
    let world = World::of(1);
    let first = world.stop().await;
    world.targets[0].next_restore(Fault::Fail(ErrorKind::PermissionDenied));
    let failed = world.restore(&first.run).await.unwrap();
    assert_ne!(failed.status, OutcomeStatus::Verified);
    assert_eq!(
        world.restore(&first.run).await.unwrap().status,
        OutcomeStatus::Verified
    );
    let _ = world.stop().await;
    let refused = world
        .engine
        .resume(&failed.run, &world.procedure(), &alice())
        .await;
    assert!(matches!(refused, Err(Refusal::Superseded { .. })), "{refused:?}");
    assert!(world.all_stopped());
}

#[tokio::test(start_paused = true)]
async fn a_restore_is_not_taken_up_after_its_approval_has_run_out() {
    for (left, expired) in [(Duration::from_millis(1), false), (Duration::ZERO, true)] {
        let world = World::of(1);
        let first = world.stop().await;
        world.targets[0].next_restore(Fault::Fail(ErrorKind::PermissionDenied));
        let failed = world.restore(&first.run).await.unwrap();
        let plan = world.engine.plan_restore(&first.run, &world.procedure()).await;
        let until = failed.started_at + plan.unwrap().policy().valid_for;
        tokio::time::advance(until.saturating_since(world.clock.time()) - left).await;
        let resumed = world
            .engine
            .resume(&failed.run, &world.procedure(), &alice())
            .await;
        if expired {
            assert!(matches!(resumed, Err(Refusal::Expired)), "{resumed:?}");
            assert!(world.all_stopped());
        } else {
            assert_eq!(resumed.unwrap().status, OutcomeStatus::Verified);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_resumed_stop_does_not_claim_what_no_longer_holds() {
    let world = World::of(2);
    let stopped = world.stop().await;
    world.targets[0].set("mode", json!("by hand"));
    assert_eq!(world.targets[0].state(), TargetState::Serving);
    let resumed = world
        .engine
        .resume(&stopped.run, &world.procedure(), &alice())
        .await
        .unwrap();
    assert_eq!(resumed.status, OutcomeStatus::Unverified);
    let verdicts: Vec<_> = resumed.steps.iter().map(|step| step.verdict.name()).collect();
    assert_eq!(verdicts, ["not_yet", "holds"]);
}

#[tokio::test(start_paused = true)]
async fn a_stop_of_what_has_yet_to_open_turns_a_restore_round_before_its_next_stage() {
    let world = World::of(2);
    let procedure = world.procedure_with(|at, step| step.opening(u32::try_from(at).unwrap()));
    let stopped = world.stop_by(&procedure).await.run;
    let view = Meddled::over(&world.journal);
    let opening = world.machine(view.clone());
    let plan = opening.engine.plan_restore(&stopped, &procedure).await.unwrap();
    let plan = world.people.approve(plan, world.clock.time()).unwrap();
    // The first target is open and released.
    let other = world.machine(Arc::clone(&world.journal));
    let second = Step::new(Stop::of(&world.targets[1]));
    let second = Procedure::new("stop-one", vec![second]).unwrap();
    view.after(Verb::Release, async move {
        assert_eq!(other.stop_by(&second).await.status, OutcomeStatus::Verified);
    });
    let began = world.clock.time();
    let outcome = opening.engine.execute(plan).await.unwrap();
    let took = world.clock.time().saturating_since(began);
    assert!(took < Duration::from_millis(500), "{took:?}");
    let aborted = outcome.aborted.unwrap();
    assert!(aborted.stopped(), "{aborted:?}");
    assert!(world.all_stopped());
    assert_eq!(world.targets[1].restored(), 0);
}

#[tokio::test(start_paused = true)]
async fn of_two_restores_that_take_the_same_approvals_at_the_same_moment_one_goes_on() {
    let world = World::of(1);
    let before = world.bytes();
    let stopped = world.stop().await.run;
    let view = Meddled::over(&world.journal);
    let late = world.machine(view.clone());
    let procedure = world.procedure();
    let plan = world.engine.plan_restore(&stopped, &procedure).await.unwrap();
    let other = late.engine.plan_restore(&stopped, &procedure).await.unwrap();
    let (first, second) = (plan.run().clone(), other.run().clone());
    let now = world.clock.time();
    let signed = ["bob", "carol"].map(|name| world.people.sign(name, &plan, now));
    let approvers = world.people.approvers();
    let plan = plan.approve(&signed, &approvers, alice(), now).unwrap();
    let other = other.approve(&signed, &approvers, alice(), now).unwrap();
    let engine = world.engine.clone();
    // The other one has asked whether they were used, and is about to begin.
    view.before(Verb::Append, async move {
        let restored = engine.execute(plan).await.unwrap();
        assert_eq!(restored.status, OutcomeStatus::Verified);
    });
    let refused = late.engine.execute(other).await.unwrap_err();
    assert!(
        matches!(&refused, Refusal::Replayed { by } if *by == first),
        "{refused}"
    );
    assert_eq!((world.bytes(), world.targets[0].restored()), (before, 1));
    assert!(gave_way(&world.engine.entries(&second).await.unwrap()));
    let resumed = world.engine.resume(&second, &procedure, &alice()).await;
    assert!(matches!(resumed, Err(Refusal::Expired)), "{resumed:?}");
}
