//! Opening is staged: shares one after the other, and starts that are spread.
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
use ops_core::model::{Lang, OutcomeStatus, Share, TargetState, Verdict};
use ops_core::ports::JournalEvent;
use serde_json::json;
use support_emergency::{Fault, HOLD, Seen, Stop, World, gate, shares, staged, well};

#[tokio::test(start_paused = true)]
async fn a_ramp_opens_share_by_share_behind_its_gate_and_only_the_whole_releases() {
    let (world, health) = (World::of(2), well());
    let before = world.bytes();
    let procedure = staged(&world, &health);
    let stopped = world.stop_by(&procedure).await.run;
    let plan = world.engine.plan_restore(&stopped, &procedure).await.unwrap();
    let lines: Vec<_> = plan
        .steps()
        .iter()
        .map(|step| (step.step, step.stage, step.share.map(Share::as_basis_points)))
        .collect();
    assert_eq!(
        lines,
        [(0, 0, None), (1, 1, Some(100)), (2, 2, Some(1000)), (3, 3, None)]
    );
    let gates: Vec<_> = plan.opening().gates.iter().map(|gate| gate.before).collect();
    assert_eq!(gates, [1, 2, 3, 4]);
    assert!(plan.steps()[1].action.get(Lang::En).contains("1 % of the users"));
    assert!(plan.promised() >= 4 * HOLD, "{:?}", plan.promised());

    let (opening, approved) = (
        world.clone(),
        world.people.approve(plan, world.clock.time()).unwrap(),
    );
    let restoring = tokio::spawn(async move { opening.engine.execute(approved).await.unwrap() });
    let mut at_minute = Vec::new();
    for _ in 0..4 {
        tokio::time::sleep(Duration::from_secs(30)).await;
        let held = world.held().await.len();
        at_minute.push((world.targets[1].admitted(), world.targets[1].state(), held));
        tokio::time::sleep(Duration::from_secs(33)).await;
    }
    let partly = TargetState::PartlyStopped;
    assert_eq!(
        at_minute,
        [
            (None, TargetState::Stopped, 1),
            (Some(100), partly, 1),
            (Some(1000), partly, 1),
            (None, TargetState::Serving, 0)
        ]
    );
    let outcome = restoring.await.unwrap();
    assert_eq!(outcome.status, OutcomeStatus::Verified, "{outcome:#?}");
    assert_eq!((outcome.steps.len(), outcome.gates.len()), (4, 4));
    assert_eq!(world.bytes(), before);
    let confirmed = world.engine.confirm(&outcome.run, &procedure).await.unwrap();
    assert_eq!(confirmed.len(), 2);
    assert!(confirmed.iter().all(|one| one.verdict.holds()));
}

#[tokio::test(start_paused = true)]
async fn a_later_stage_waits_until_the_earlier_one_is_whole() {
    let (world, health) = (World::of(2), well());
    let steps = vec![
        Step::new(Stop::in_parts(&world.targets[0])).with_ramp(shares(&[5])),
        Step::new(Stop::of(&world.targets[1])).opening(1),
    ];
    let procedure = Procedure::new("stop-all", steps)
        .unwrap()
        .with_gate(gate(1, &health))
        .unwrap();
    let stopped = world.stop_by(&procedure).await.run;
    let plan = world.engine.plan_restore(&stopped, &procedure).await.unwrap();
    let stages: Vec<_> = plan
        .steps()
        .iter()
        .map(|step| (step.target.name(), step.stage))
        .collect();
    assert_eq!(stages, [("t0", 0), ("t0", 1), ("t1", 2)]);
    assert_eq!(
        plan.opening().gates[0].before,
        3,
        "a gate after the last stage watches the whole"
    );
}

#[tokio::test(start_paused = true)]
async fn a_change_by_others_between_two_shares_is_refused_and_one_by_this_run_is_not() {
    for (deploys, by_hand) in [(true, false), (false, true)] {
        let (world, health) = (World::of(2), well());
        let procedure = staged(&world, &health);
        let stopped = world.stop_by(&procedure).await.run;
        let other = Arc::clone(&world.targets[1]);
        tokio::spawn(async move {
            // While 1 % is let in.
            tokio::time::sleep(Duration::from_secs(90)).await;
            assert_eq!(other.admitted(), Some(100));
            if deploys {
                other.deploy();
            }
            if by_hand {
                other.set("ingress", json!("none"));
            }
        });
        let outcome = world.restore_by(&stopped, &procedure).await.unwrap();
        let names: Vec<_> = outcome.steps.iter().map(|step| step.result.name()).collect();
        assert_eq!(names, ["done", "done", "failed", "skipped"], "{outcome:#?}");
        let reason = outcome.steps[2].result.reason().unwrap();
        assert!(reason.contains("changed since the plan was made"), "{reason}");
        assert_eq!(
            world.targets[1].admitted(),
            Some(100),
            "nothing was written over it"
        );
        assert_eq!(world.held().await.len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_target_that_is_as_before_already_is_not_closed_to_be_opened_in_parts() {
    let (world, health) = (World::of(2), well());
    let procedure = staged(&world, &health);
    let fields = world.targets[1].fields();
    let stopped = world.stop_by(&procedure).await.run;
    for (name, value) in fields {
        world.targets[1].set(&name, value);
    }
    let plan = world.engine.plan_restore(&stopped, &procedure).await.unwrap();
    assert!(plan.steps().iter().all(|step| step.share.is_none()), "{plan:#?}");
}

#[tokio::test(start_paused = true)]
async fn jitter_spreads_the_steps_of_a_restore_and_a_stop_never_waits() {
    let window = Duration::from_secs(40);
    let mut begun = Vec::new();
    for seed in [1, 1, 2] {
        let (mut world, seen) = (World::of(4), Seen::new());
        world.engine = world.engine.with_watch(seen.clone()).with_jitter_seed(seed);
        let procedure = world.procedure().with_jitter(window);
        let before = world.clock.time();
        let stopped = world.stop_by(&procedure).await.run;
        assert!(world.clock.time().saturating_since(before) < Duration::from_secs(1));
        let plan = world.engine.plan_restore(&stopped, &procedure).await.unwrap();
        assert!(plan.promised() >= window);
        let began = world.clock.time();
        let restored = world.restore_by(&stopped, &procedure).await.unwrap();
        assert_eq!(restored.status, OutcomeStatus::Verified);
        let entries = seen.entries();
        let intents = entries
            .iter()
            .filter(|entry| entry.run == restored.run && matches!(entry.event, JournalEvent::Intent { .. }));
        let waits: Vec<_> = intents.map(|entry| entry.at.saturating_since(began)).collect();
        for (rank, wait) in (0..).zip(&waits) {
            let part = window / 4;
            assert!(
                (part * rank..part * (rank + 1) + Duration::from_secs(1)).contains(wait),
                "{waits:?}"
            );
        }
        begun.push(waits);
    }
    // Runs differ from one another even with one seed.
    assert!(begun[0] != begun[1] && begun[1] != begun[2], "{begun:?}");
}

#[tokio::test(start_paused = true)]
async fn what_a_restore_left_at_a_share_has_not_drifted_when_it_is_restored_again() {
    let (world, health) = (World::of(2), well());
    let before = world.bytes();
    let procedure = staged(&world, &health);
    let stopped = world.stop_by(&procedure).await.run;
    // The first share is let in, the second is refused.
    world.targets[1].next_restore(Fault::Slow(Duration::from_millis(1)));
    world.targets[1].next_restore(Fault::Fail(ErrorKind::PermissionDenied));
    let halted = world.restore_by(&stopped, &procedure).await.unwrap();
    assert_ne!(halted.status, OutcomeStatus::Verified);
    assert_eq!(world.targets[1].admitted(), Some(100), "{halted:#?}");
    let plan = world.engine.plan_restore(&stopped, &procedure).await.unwrap();
    assert!(plan.steps().iter().all(|step| step.drift.is_empty()), "{plan:#?}");
    let plan = world.people.approve(plan, world.clock.time()).unwrap();
    let restored = world.engine.execute(plan).await.unwrap();
    assert_eq!(restored.status, OutcomeStatus::Verified);
    assert_eq!(world.bytes(), before);
}

#[tokio::test(start_paused = true)]
async fn what_an_abort_closed_again_has_not_drifted_whatever_it_closed_beside_it() {
    let world = World::of(2);
    // Each is left closed in its own way.
    world.targets[1].set("ingress", json!("internal"));
    let before = world.bytes();
    let health = well();
    let procedure = world.procedure().with_gate(gate(0, &health)).unwrap();
    let stopped = world.stop_by(&procedure).await.run;
    health.set(Verdict::not_yet("overloaded"));
    let restored = world.restore_by(&stopped, &procedure).await.unwrap();
    assert!(restored.aborted.unwrap().stopped());
    health.set(Verdict::Holds);
    let plan = world.engine.plan_restore(&stopped, &procedure).await.unwrap();
    assert!(plan.steps().iter().all(|step| step.drift.is_empty()), "{plan:#?}");
    let plan = world.people.approve(plan, world.clock.time()).unwrap();
    let restored = world.engine.execute(plan).await.unwrap();
    assert_eq!(restored.status, OutcomeStatus::Verified);
    assert_eq!(world.bytes(), before);
}
