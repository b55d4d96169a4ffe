//! What a plan shows, and what its digest covers.
#![allow(
    clippy::unwrap_used,
    clippy::clone_on_ref_ptr,
    reason = "a test ends at what it did not expect, and shares its doubles as ports"
)]

mod support_emergency;

use std::sync::Arc;
use std::time::Duration;

use ops_core::emergency::{Approvers, Contact, Procedure, Step};
use ops_core::error::ErrorKind;
use ops_core::model::{OutcomeStatus, Prior, RunId, Verdict};
use serde_json::json;
use support_emergency::{
    Failure, Fault, FaultyJournal, SharedJournal, Stop, Target, World, alice, report_of,
};

#[tokio::test(start_paused = true)]
async fn a_plan_shows_each_step_with_the_state_that_was_observed() {
    let world = World::of(3);
    let plan = world.engine.plan_stop(&world.procedure()).await;
    assert_eq!(plan.steps().len(), 3);
    for (step, target) in plan.steps().iter().zip(&world.targets) {
        assert_eq!(step.target, *target.id());
        let snapshot = target.snapshot();
        assert_eq!(step.prior, Prior::Observed { snapshot });
    }
    assert!(
        world.journal.runs().await.unwrap().is_empty(),
        "planning writes nothing"
    );
    assert!(
        world.targets.iter().all(|target| target.applied().is_empty()),
        "planning acts on nothing"
    );
}

#[tokio::test(start_paused = true)]
async fn a_target_that_cannot_be_read_is_planned_as_unknown_and_stopped_all_the_same() {
    for fault in [
        Fault::Fail(ErrorKind::PermissionDenied),
        Fault::Hang,
        Fault::Panic,
    ] {
        let world = World::of(2);
        let blind = &world.targets[0];
        blind.next_observe(fault.clone());
        let began = tokio::time::Instant::now();
        let plan = world.engine.plan_stop(&world.procedure()).await;
        assert!(
            began.elapsed() <= Duration::from_millis(2_010),
            "{fault:?}: {:?}",
            began.elapsed()
        );
        assert!(
            matches!(plan.steps()[0].prior, Prior::Unknown { .. }),
            "{fault:?}"
        );
        assert!(
            matches!(plan.steps()[1].prior, Prior::Observed { .. }),
            "{fault:?}"
        );

        let plan = plan
            .approve(&[], &Approvers::none(), alice(), world.clock.time())
            .unwrap();
        let outcome = world.engine.execute(plan).await.unwrap();
        assert_eq!(outcome.status, OutcomeStatus::Verified, "{fault:?}");
        assert!(world.all_stopped(), "{fault:?}");
        assert!(
            !report_of(&outcome, blind).journalled,
            "nothing was held for a restore"
        );
        let held = world.held().await;
        assert_eq!(held.len(), 1);
        assert_eq!(held[0].snapshot.target(), world.targets[1].id());
    }
}

#[tokio::test(start_paused = true)]
async fn planning_with_a_journal_that_does_not_answer_takes_no_longer_than_an_observation() {
    let world = World::over(Arc::new(FaultyJournal::dead(Failure::Hangs)), 2);
    world.targets[0].every_observe(Fault::Hang);
    let began = tokio::time::Instant::now();
    let plan = world.engine.plan_stop(&world.procedure()).await;
    assert!(
        began.elapsed() <= Duration::from_millis(2_010),
        "{:?}",
        began.elapsed()
    );
    assert!(matches!(plan.steps()[1].prior, Prior::Observed { .. }));
}

#[tokio::test(start_paused = true)]
async fn the_digest_is_the_same_for_the_same_world_whenever_and_by_whom_it_is_planned() {
    let world = World::of(3);
    let first = world.engine.plan_stop(&world.procedure()).await;
    tokio::time::sleep(Duration::from_secs(3_600)).await;
    let other = world.machine(Arc::new(SharedJournal::new()));
    let second = other.engine.plan_stop(&other.procedure()).await;
    assert_ne!(first.run(), second.run());
    assert_eq!(first.digest(), second.digest());
}

#[tokio::test(start_paused = true)]
async fn the_digest_differs_as_soon_as_what_was_observed_differs() {
    let world = World::of(2);
    let mut seen = vec![world.engine.plan_stop(&world.procedure()).await.digest()];
    let mut differs = |digest, what: &str| {
        assert!(!seen.contains(&digest), "{what}");
        seen.push(digest);
    };
    world.targets[1].set("ingress", json!("internal"));
    differs(
        world.engine.plan_stop(&world.procedure()).await.digest(),
        "a field",
    );
    world.targets[1].deploy();
    differs(
        world.engine.plan_stop(&world.procedure()).await.digest(),
        "a witness",
    );
    world.targets[0].next_observe(Fault::Fail(ErrorKind::Unavailable));
    differs(
        world.engine.plan_stop(&world.procedure()).await.digest(),
        "an unknown prior state",
    );
    world.targets[0].half_stop(Some(RunId::new("run_other").unwrap()));
    differs(
        world.engine.plan_stop(&world.procedure()).await.digest(),
        "a marker",
    );
    let name = Procedure::new(
        "other",
        world
            .targets
            .iter()
            .map(|target| Step::new(Stop::of(target)))
            .collect(),
    );
    differs(
        world.engine.plan_stop(&name.unwrap()).await.digest(),
        "the procedure",
    );
}

#[tokio::test(start_paused = true)]
async fn a_stopped_target_is_planned_as_already_stopped_by_the_run_that_holds_it() {
    let world = World::of(1);
    let first = world.stop().await;
    let plan = world.engine.plan_stop(&world.procedure()).await;
    let by = Some(first.run.clone());
    assert_eq!(plan.steps()[0].prior, Prior::AlreadyStopped { by });
}

#[tokio::test(start_paused = true)]
async fn a_marker_that_is_left_on_a_serving_target_does_not_cost_it_its_prior_state() {
    // Somebody opened the target by hand and left the label of an old run on it: it serves, so what was seen is what comes back.
    let world = World::of(1);
    world.targets[0].set_marker(Some(RunId::new("run_old").unwrap()));
    let before = world.bytes();
    let outcome = world.stop().await;
    assert!(
        matches!(outcome.steps[0].prior, Prior::Observed { .. }),
        "{:?}",
        outcome.steps[0].prior
    );
    assert_eq!(outcome.steps[0].result.name(), "done");
    let _ = world.restore(&outcome.run).await.unwrap();
    assert_eq!(world.bytes(), before);
}

#[tokio::test(start_paused = true)]
async fn the_promise_of_a_plan_is_the_slowest_step_of_each_stage() {
    let world = World::of(3);
    let procedure = world.procedure_with(|at, step| {
        let stage = u32::try_from(at / 2).unwrap();
        step.closing(stage)
            .opening(stage)
            .with_promise(Duration::from_secs(10 * (at as u64 + 1)))
    });
    let plan = world.engine.plan_stop(&procedure).await;
    assert_eq!(plan.promised(), Duration::from_secs(20 + 30));

    // A restore spreads the steps of each stage over a window of its own.
    let procedure = procedure.with_jitter(Duration::from_secs(40));
    let stopped = world.stop_by(&procedure).await;
    assert_eq!(stopped.promised(), Duration::from_secs(20 + 30));
    let plan = world.engine.plan_restore(&stopped.run, &procedure).await.unwrap();
    assert_eq!(plan.promised(), Duration::from_secs(20 + 40 + 30 + 40));
}

#[test]
fn a_procedure_needs_steps_on_different_targets() {
    assert_eq!(
        Procedure::new("none", Vec::new()).unwrap_err().kind(),
        ErrorKind::InvalidConfig
    );
    let target = Target::numbered(0);
    let twice = vec![Step::new(Stop::of(&target)), Step::new(Stop::of(&target))];
    assert_eq!(
        Procedure::new("twice", twice).unwrap_err().kind(),
        ErrorKind::InvalidConfig
    );
}

#[tokio::test(start_paused = true)]
async fn an_unsettled_target_is_not_reported_as_stopped() {
    let world = World::of(1);
    world.targets[0].set_settled(Verdict::not_yet("the vendor is still rolling out"));
    let outcome = world.stop().await;
    assert_eq!(outcome.status, OutcomeStatus::Unverified);
    assert_eq!(outcome.steps[0].verdict.name(), "not_yet");
}

#[tokio::test(start_paused = true)]
async fn what_was_planned_a_moment_ago_is_stopped_without_another_look() {
    let world = World::of(1);
    tokio::time::sleep(Duration::from_secs(60)).await;
    let plan = world.engine.plan_stop(&world.procedure()).await;
    let plan = plan
        .approve(&[], &Approvers::none(), alice(), world.clock.time())
        .unwrap();
    world.targets[0].next_observe(Fault::Hang);
    let began = tokio::time::Instant::now();
    let effect = async {
        world.targets[0].effects(1).await;
        began.elapsed()
    };
    let (outcome, effect) = tokio::join!(world.engine.execute(plan), effect);
    assert!(effect < Duration::from_secs(1), "{effect:?}");
    assert_eq!(outcome.unwrap().status, OutcomeStatus::Verified);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_read_again_before_a_stop_comes_back_as_it_was_planned() {
    for fault in [Fault::Fail(ErrorKind::Unavailable), Fault::Hang] {
        let world = World::of(1);
        let before = world.bytes();
        let plan = world.engine.plan_stop(&world.procedure()).await;
        let plan = plan
            .approve(&[], &Approvers::none(), alice(), world.clock.time())
            .unwrap();
        tokio::time::sleep(Duration::from_secs(60)).await;
        world.targets[0].next_observe(fault.clone());
        let stopped = world.engine.execute(plan).await.unwrap();
        assert!(stopped.steps[0].journalled, "{fault:?}");
        let restored = world.restore(&stopped.run).await.unwrap();
        assert_eq!(restored.status, OutcomeStatus::Verified, "{fault:?}");
        assert_eq!(world.bytes(), before, "{fault:?}");
    }
}

#[test]
fn a_contact_has_the_number_that_it_was_given() {
    use secrecy::ExposeSecret;
    let contact = Contact::new("#emergency");
    assert!(contact.phone().is_none());
    let contact = contact.with_phone("03-0000-0000".into());
    assert_eq!(contact.phone().unwrap().expose_secret(), "03-0000-0000");
}
