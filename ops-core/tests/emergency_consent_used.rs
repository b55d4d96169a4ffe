//! Which approvals count for a plan: none of another undertaking, and none that was used, however long it is valid.
#![allow(
    clippy::unwrap_used,
    clippy::clone_on_ref_ptr,
    reason = "a test ends at what it did not expect, and shares its doubles as ports"
)]

mod support_emergency;

use std::time::Duration;

use ops_core::emergency::{ApprovalPolicy, BreakGlass, Procedure, Refusal, Step};
use ops_core::memory::InMemoryApprovals;
use ops_core::model::Approval;
use ops_core::ports::ApprovalStore;
use support_emergency::{Meddled, Stop, Verb, World, alice};

const HOUR: Duration = Duration::from_secs(3600);

#[tokio::test(start_paused = true)]
async fn what_was_approved_for_another_procedure_is_no_earlier_state_of_this_plan() {
    let world = World::of(2);
    let of = |name: &str, at: usize| {
        let procedure = Procedure::new(name, vec![Step::new(Stop::of(&world.targets[at]))]).unwrap();
        procedure.with_stop_approval(ApprovalPolicy::of(1))
    };
    let store = InMemoryApprovals::new();
    let other = world.engine.plan_stop(&of("stop-other", 1)).await;
    let now = world.clock.time();
    store.request(&other.request(alice(), now)).await.unwrap();
    store
        .approve(&world.people.sign("bob", &other, now))
        .await
        .unwrap();
    let plan = world.engine.plan_stop(&of("stop-this", 0)).await;
    let approvers = world.people.approvers();
    let refused = world.engine.consented(plan, &store, &approvers, alice()).await;
    assert!(
        matches!(refused, Err(Refusal::NotApproved { valid: 0, .. })),
        "{refused:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn an_approval_that_is_valid_for_a_day_is_good_for_one_run_all_day() {
    let world = World::of(1);
    let mut policy = ApprovalPolicy::of(1);
    policy.valid_for = 24 * HOUR;
    let procedure = world.procedure().with_stop_approval(policy);
    let approvers = world.people.approvers();
    let plan = world.engine.plan_stop(&procedure).await;
    let now = world.clock.time();
    let signed = Approval::sign("bob", plan.digest(), now + 20 * HOUR, world.people.key("bob"));
    let store = InMemoryApprovals::new();
    store.request(&plan.request(alice(), now)).await.unwrap();
    store.approve(&signed).await.unwrap();
    let signed = [signed];
    let plan = plan.approve(&signed, &approvers, alice(), now).unwrap();
    let first = world.engine.execute(plan).await.unwrap().run;
    let _ = world.restore_by(&first, &procedure).await.unwrap();
    tokio::time::advance(5 * HOUR).await;

    // The same world, so the same digest.
    let plan = world.engine.plan_stop(&procedure).await;
    let again = world
        .engine
        .consented(plan.clone(), &store, &approvers, alice())
        .await;
    assert!(
        matches!(&again, Err(Refusal::Replayed { by }) if *by == first),
        "{again:?}"
    );
    let plan = plan
        .approve(&signed, &approvers, alice(), world.clock.time())
        .unwrap();
    let again = world.engine.execute(plan).await;
    assert!(
        matches!(&again, Err(Refusal::Replayed { by }) if *by == first),
        "{again:?}"
    );
    assert!(!world.all_stopped());
}

#[tokio::test(start_paused = true)]
async fn a_reason_of_ten_characters_breaks_the_glass_and_what_it_overrides_is_said() {
    assert!(BreakGlass::new("nine char").is_err());
    let glass = BreakGlass::new("ten chars!").unwrap();
    let world = World::of(1);
    let plan = world.engine.plan_stop(&world.procedure()).await;
    let plan = plan.break_glass(glass, alice(), world.clock.time()).unwrap();
    let outcome = world.engine.execute(plan).await.unwrap();
    assert_eq!(outcome.approval, "break-glass: ten chars! (overrides: nothing)");
}

#[tokio::test(start_paused = true)]
async fn a_run_of_the_last_day_that_cannot_be_read_may_have_used_an_approval_that_is_valid_for_a_day() {
    let world = World::of(1);
    let mut policy = ApprovalPolicy::restore();
    policy.valid_for = 24 * HOUR;
    let procedure = world.procedure().with_restore_approval(policy);
    let stopped = world.stop_by(&procedure).await.run;
    let view = Meddled::over(&world.journal);
    let machine = world.machine(view.clone());
    let plan = machine.engine.plan_restore(&stopped, &procedure).await.unwrap();
    let now = world.clock.time();
    let sign = |name| Approval::sign(name, plan.digest(), now + 24 * HOUR, world.people.key(name));
    let signed = ["bob", "carol"].map(sign);
    let approvers = world.people.approvers();
    let plan = plan.approve(&signed, &approvers, alice(), now).unwrap();
    view.break_only(&[Verb::Entries]);
    let refused = machine.engine.execute(plan).await;
    assert!(matches!(refused, Err(Refusal::Undecided(_))), "{refused:?}");
    assert!(world.all_stopped());
}

#[tokio::test(start_paused = true)]
async fn consent_is_taken_for_a_plan_of_five_seconds_ago_and_for_none_older() {
    for (late, taken) in [(0, true), (1, false)] {
        let world = World::of(1);
        let procedure = world.procedure().with_stop_approval(ApprovalPolicy::of(1));
        let planned = world.clock.time();
        let plan = world.engine.plan_stop(&procedure).await;
        let now = world.clock.time();
        let store = InMemoryApprovals::new();
        store.request(&plan.request(alice(), now)).await.unwrap();
        store
            .approve(&world.people.sign("bob", &plan, now))
            .await
            .unwrap();
        world.targets[0].deploy();
        let age = Duration::from_millis(5000 + late);
        tokio::time::advance(age - now.saturating_since(planned)).await;
        let approvers = world.people.approvers();
        let consent = world.engine.consented(plan, &store, &approvers, alice()).await;
        assert_eq!(consent.is_ok(), taken, "{late} ms: {consent:?}");
        let changed = matches!(consent, Err(Refusal::Changed { .. }));
        assert_eq!(changed, !taken, "{late} ms: {consent:?}");
    }
}
