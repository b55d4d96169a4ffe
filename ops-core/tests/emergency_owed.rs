//! What a restore plans to put back, and what it leaves to a person.
#![allow(
    clippy::unwrap_used,
    clippy::clone_on_ref_ptr,
    reason = "a test ends at what it did not expect, and shares its doubles as ports"
)]

mod support_emergency;

use ops_core::emergency::Refusal;
use ops_core::error::ErrorKind;
use ops_core::model::{OutcomeStatus, PlannedStep, Prior, StepResult};
use serde_json::json;
use support_emergency::{Fault, World, report_of, staged, well};

fn drifted(step: &PlannedStep) -> Vec<&str> {
    let paths = step.drift.iter().map(|difference| difference.path.as_str());
    paths.collect()
}

#[tokio::test(start_paused = true)]
async fn a_target_that_is_gone_keeps_no_other_stopped_and_its_prior_state_stays_held() {
    let world = World::of(2);
    let before = world.bytes();
    let stopped = world.stop().await.run;
    world.targets[0].every_observe(Fault::Fail(ErrorKind::NotFound));
    let restored = world.restore(&stopped).await.unwrap();
    assert_eq!(restored.status, OutcomeStatus::Partial, "{restored:#?}");
    let gone = report_of(&restored, &world.targets[0]);
    assert!(
        matches!(&gone.prior, Prior::Unknown { reason } if reason.contains("gone")),
        "{gone:?}"
    );
    assert!(matches!(gone.result, StepResult::Failed { .. }), "{gone:?}");
    assert_eq!(world.targets[1].bytes(), before[1]);

    // Somebody makes it again.
    world.targets[0].heal();
    let restored = world.restore(&stopped).await.unwrap();
    assert_eq!(restored.status, OutcomeStatus::Verified);
    assert_eq!(world.bytes(), before);
}

#[tokio::test(start_paused = true)]
async fn what_nobody_knows_who_had_half_stopped_is_put_back_only_by_those_who_saw_that() {
    let world = World::of(2);
    world.targets[0].half_stop(None);
    let before = world.bytes();
    let stopped = world.stop().await.run;
    let plan = || async {
        let planned = world.engine.plan_restore(&stopped, &world.procedure()).await;
        planned.unwrap()
    };
    let shown = plan().await;
    let shown: Vec<_> = shown.steps().iter().map(drifted).collect();
    assert_eq!(shown, [vec!["prior"], vec![]]);
    let refused = world.people.approve(plan().await, world.clock.time());
    assert!(matches!(refused, Err(Refusal::Drifted { .. })), "{refused:?}");

    let accepted = plan().await.accepting_drift();
    let accepted = world.people.approve(accepted, world.clock.time()).unwrap();
    let _ = world.engine.execute(accepted).await.unwrap();
    assert_eq!(world.bytes(), before);
}

#[tokio::test(start_paused = true)]
async fn a_target_is_compared_with_what_the_stop_left_of_it_and_not_of_another() {
    let world = World::of(3);
    for (at, target) in world.targets.iter().enumerate() {
        target.set("ingress", json!(format!("network {at}")));
    }
    let stopped = world.stop().await.run;
    let plan = world
        .engine
        .plan_restore(&stopped, &world.procedure())
        .await
        .unwrap();
    for step in plan.steps() {
        assert_eq!(drifted(step), Vec::<&str>::new(), "{}", step.target);
    }
}

#[tokio::test(start_paused = true)]
async fn a_run_that_owes_nothing_names_the_run_that_does() {
    let world = World::of(1);
    let first = world.stop().await.run;
    let second = world.stop().await.run;
    let refused = world.restore(&second).await.unwrap_err();
    assert!(
        matches!(&refused, Refusal::NothingHeld { run, held_by } if *run == second && *held_by == [first]),
        "{refused:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn what_was_changed_by_hand_is_shown_once_and_before_the_first_share() {
    let world = World::of(2);
    let procedure = staged(&world, &well());
    let stopped = world.stop_by(&procedure).await.run;
    world.targets[1].set("ingress", json!("by hand"));
    let plan = world.engine.plan_restore(&stopped, &procedure).await.unwrap();
    let shown: Vec<_> = plan.steps().iter().map(drifted).collect();
    assert_eq!(shown, [vec![], vec!["ingress"], vec![], vec![]]);
}
