//! A person opens without gates and shares, and says so.
#![allow(
    clippy::unwrap_used,
    clippy::clone_on_ref_ptr,
    reason = "a test ends at what it did not expect, and shares its doubles as ports"
)]

mod support_emergency;

use std::sync::Arc;
use std::time::Duration;

use ops_core::emergency::{Approvers, BreakGlass, Refusal};
use ops_core::memory::InMemoryHealth;
use ops_core::model::{Actor, OutcomeStatus};
use ops_core::ports::JournalEvent;
use serde_json::json;
use support_emergency::{World, alice, staged, well};

#[tokio::test(start_paused = true)]
async fn a_person_with_a_broken_glass_goes_without_gates_and_says_so_everywhere() {
    let (world, health) = (World::of(2), Arc::new(InMemoryHealth::new()));
    let before = world.bytes();
    let procedure = staged(&world, &health);
    let stopped = world.stop_by(&procedure).await.run;
    let glass = BreakGlass::new("hospital line is down").unwrap();
    let gated = world.engine.plan_restore(&stopped, &procedure).await.unwrap();
    let plan = gated.clone().without_gates(&glass);
    let other = gated
        .clone()
        .without_gates(&BreakGlass::new("another reason").unwrap());
    assert!(plan.digest() != gated.digest() && plan.digest() != other.digest());
    assert!(plan.opening().gates.is_empty() && plan.steps().iter().all(|step| step.share.is_none()));

    // Two persons, as ever; what they signed for the gated plan does not count.
    let now = world.clock.time();
    let signed = [
        world.people.sign("bob", &gated, now),
        world.people.sign("carol", &gated, now),
    ];
    let refused = plan
        .clone()
        .approve(&signed, &world.people.approvers(), alice(), now);
    assert!(
        matches!(
            refused,
            Err(Refusal::NotApproved {
                needed: 2,
                valid: 0,
                ..
            })
        ),
        "{refused:?}"
    );
    let signed = [
        world.people.sign("bob", &plan, now),
        world.people.sign("carol", &plan, now),
    ];
    for nobody in [
        Actor::service("deployer").unwrap(),
        Actor::automation("alerts").unwrap(),
    ] {
        let refused = plan
            .clone()
            .approve(&signed, &world.people.approvers(), nobody, now);
        assert!(refused.is_err(), "{refused:?}");
    }
    let approved = plan
        .approve(&signed, &world.people.approvers(), alice(), now)
        .unwrap();

    let outcome = world.engine.execute(approved).await.unwrap();
    assert_eq!(outcome.status, OutcomeStatus::Verified);
    assert_eq!(outcome.steps.len(), 2);
    assert!(outcome.took < Duration::from_secs(5), "{:?}", outcome.took);
    assert_eq!(outcome.ungated.as_deref(), Some("hospital line is down"));
    assert!(
        outcome
            .approval
            .contains("approved by bob, carol; break-glass without gates: hospital line is down")
    );
    assert_eq!(health.looks(), 0);
    assert_eq!(world.bytes(), before);
    let entries = world.engine.entries(&outcome.run).await.unwrap();
    let JournalEvent::Started { opening, .. } = &entries[0].event else {
        panic!("{entries:?}");
    };
    assert_eq!(opening.ungated.as_deref(), Some("hospital line is down"));

    // The glass stays open for 15 minutes, however long the signatures count.
    let stopped = world.stop_by(&procedure).await.run;
    let plan = world.engine.plan_restore(&stopped, &procedure).await.unwrap();
    let plan = plan.without_gates(&glass);
    let approved = world.people.approve(plan, world.clock.time()).unwrap();
    tokio::time::advance(Duration::from_secs(15 * 60)).await;
    let late = world.engine.execute(approved).await;
    assert!(matches!(late, Err(Refusal::Expired)), "{late:?}");
}

#[tokio::test(start_paused = true)]
async fn a_stop_has_no_gates_to_go_without() {
    let (world, health) = (World::of(2), well());
    let plan = world.engine.plan_stop(&staged(&world, &health)).await;
    assert!(plan.opening().is_plain());
    let digest = plan.digest();
    let plan = plan.without_gates(&BreakGlass::new("no reason at all").unwrap());
    assert_eq!(plan.digest(), digest);
    let approved = plan.approve(
        &[],
        &Approvers::none(),
        Actor::automation("alerts").unwrap(),
        world.clock.time(),
    );
    assert!(approved.is_ok());
}

#[tokio::test(start_paused = true)]
async fn without_gates_and_shares_what_was_changed_by_hand_is_still_named_at_its_target() {
    let (world, health) = (World::of(2), well());
    let procedure = staged(&world, &health);
    let stopped = world.stop_by(&procedure).await.run;
    world.targets[1].set("ingress", json!("by hand"));
    let plan = world.engine.plan_restore(&stopped, &procedure).await.unwrap();
    let plan = plan.without_gates(&BreakGlass::new("hospital line is down").unwrap());
    let drifts = plan
        .steps()
        .iter()
        .map(|step| (&step.target, !step.drift.is_empty()));
    let targets = world.targets.iter().map(|target| target.id());
    assert_eq!(Vec::from_iter(drifts), Vec::from_iter(targets.zip([false, true])));
}
