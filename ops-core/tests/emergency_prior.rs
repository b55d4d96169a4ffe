//! What comes back is what was there right before the first effect, however long a stop takes to come to it.
#![allow(
    clippy::unwrap_used,
    clippy::clone_on_ref_ptr,
    reason = "a test ends at what it did not expect, and shares its doubles as ports"
)]

mod support_emergency;

use std::time::Duration;

use ops_core::emergency::{Approved, Approvers, Plan, Procedure};
use ops_core::error::ErrorKind;
use ops_core::model::{OutcomeStatus, Prior, StepResult};
use serde_json::json;
use support_emergency::{Fault, World, alice, report_of, settle_tasks};

/// Longer than a plan is taken to be true.
const LONG: Duration = Duration::from_secs(20);

fn one_by_one(world: &World) -> Procedure {
    world.procedure_with(|at, step| step.closing(u32::try_from(at).unwrap()))
}

async fn approved(world: &World, procedure: &Procedure) -> Plan<Approved> {
    let plan = world.engine.plan_stop(procedure).await;
    plan.approve(&[], &Approvers::none(), alice(), world.clock.time())
        .unwrap()
}

#[tokio::test(start_paused = true)]
async fn what_is_changed_by_hand_while_an_earlier_stage_closes_is_what_comes_back() {
    let world = World::of(2);
    let procedure = one_by_one(&world);
    world.targets[0].next_apply(Fault::Slow(LONG));
    let by_hand = async {
        tokio::time::sleep(LONG / 2).await;
        world.targets[1].set("scaling", json!({"min": 7}));
        world.bytes()[1].clone()
    };
    let (stopped, before) = tokio::join!(world.stop_by(&procedure), by_hand);
    assert_eq!(stopped.status, OutcomeStatus::Verified);
    let restored = world.restore_by(&stopped.run, &procedure).await.unwrap();
    assert_eq!(restored.status, OutcomeStatus::Verified);
    assert_eq!(world.targets[1].bytes(), before);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_read_when_its_stage_comes_is_put_back_as_it_was_planned() {
    for fault in [Fault::Fail(ErrorKind::Unavailable), Fault::Hang, Fault::Panic] {
        let world = World::of(2);
        let before = world.bytes();
        let procedure = one_by_one(&world);
        let plan = approved(&world, &procedure).await;
        world.targets[0].next_apply(Fault::Slow(LONG));
        world.targets[1].next_observe(fault.clone());
        let stopped = world.engine.execute(plan).await.unwrap();
        assert_eq!(stopped.status, OutcomeStatus::Verified, "{fault:?}");
        let late = report_of(&stopped, &world.targets[1]);
        assert!(late.journalled, "{fault:?}: {late:?}");
        let restored = world.restore_by(&stopped.run, &procedure).await.unwrap();
        assert_eq!(restored.status, OutcomeStatus::Verified, "{fault:?}");
        assert_eq!(world.bytes(), before, "{fault:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_dead_stop_had_half_closed_is_not_looked_at_again_however_late_its_stage_comes() {
    let world = World::of(2);
    let (before, snapshot) = (world.bytes(), world.targets[1].snapshot());
    let procedure = one_by_one(&world);
    let plan = approved(&world, &procedure).await;
    let run = plan.run().clone();
    world.targets[0].next_apply(Fault::Fail(ErrorKind::PermissionDenied));
    world.targets[1].next_apply(Fault::HangHalfway);
    let died = tokio::time::timeout(Duration::from_secs(3), world.engine.execute(plan)).await;
    assert!(died.is_err(), "the second call hangs");
    settle_tasks().await;

    world.targets[0].next_apply(Fault::Slow(LONG));
    let resumed = world.engine.resume(&run, &procedure, &alice()).await.unwrap();
    assert_eq!(resumed.status, OutcomeStatus::Verified);
    let second = report_of(&resumed, &world.targets[1]);
    assert_eq!(second.prior, Prior::Observed { snapshot }, "not its own half");
    let restored = world.restore_by(&run, &procedure).await.unwrap();
    assert_eq!(restored.status, OutcomeStatus::Verified);
    assert_eq!(world.bytes(), before);
}

#[tokio::test(start_paused = true)]
async fn a_stop_that_another_one_has_overtaken_owes_nothing() {
    let world = World::of(1);
    let before = world.bytes();
    let overtaken = approved(&world, &world.procedure()).await;
    let first = world.stop().await.run;
    let second = world.engine.execute(overtaken).await.unwrap();
    assert_eq!(second.status, OutcomeStatus::Verified);
    let report = &second.steps[0];
    let by = Some(first.clone());
    assert_eq!(report.prior, Prior::AlreadyStopped { by });
    assert_eq!(report.result, StepResult::AlreadyDone);
    let _ = world.restore(&first).await.unwrap();
    assert_eq!(world.bytes(), before);
}
