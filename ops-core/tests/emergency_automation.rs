//! How much automation may stop, and that it does not act where nobody can tell what else it did.
#![allow(
    clippy::unwrap_used,
    clippy::clone_on_ref_ptr,
    reason = "a test ends at what it did not expect, and shares its doubles as ports"
)]

mod support_emergency;

use std::time::Duration;

use ops_core::emergency::{Approvers, AutomationLimits, Procedure, Refusal};
use ops_core::model::{Actor, Outcome, OutcomeStatus, RunId};
use ops_core::ports::{JournalEntry, JournalEvent};
use support_emergency::{Fault, Meddled, Verb, World, alice, settle_tasks};

fn robot() -> Actor {
    Actor::automation("cost-guard").unwrap()
}

async fn automated(world: &World, procedure: &Procedure) -> Result<Outcome, Refusal> {
    let plan = world.engine.plan_stop(procedure).await;
    let plan = plan.approve(&[], &Approvers::none(), robot(), world.clock.time())?;
    world.engine.execute(plan).await
}

#[tokio::test(start_paused = true)]
async fn automation_does_not_act_while_the_journal_takes_entries_and_tells_nothing() {
    let world = World::of(1);
    let view = Meddled::over(&world.journal);
    view.break_only(&[Verb::Runs]);
    let machine = world.machine(view);
    let refused = automated(&machine, &machine.procedure()).await.unwrap_err();
    assert!(refused.to_string().contains("automation.window"), "{refused}");
    assert!(!world.all_stopped());
}

#[tokio::test(start_paused = true)]
async fn automation_may_take_down_as_many_targets_as_its_limit_says() {
    for (targets, may) in [(2, true), (1, false)] {
        let world = World::of(2);
        let limits = AutomationLimits::default().with_targets(targets);
        let outcome = automated(&world, &world.procedure().with_automation(limits)).await;
        assert_eq!(outcome.is_ok(), may, "{targets}: {outcome:?}");
        assert_eq!(world.all_stopped(), may, "{targets}");
    }
}

/// A person's stop that died in its call, and when it began.
async fn died(world: &World) -> (RunId, Duration) {
    let plan = world.engine.plan_stop(&world.procedure()).await;
    let now = world.clock.time();
    let plan = plan.approve(&[], &Approvers::none(), alice(), now).unwrap();
    let run = plan.run().clone();
    world.targets[0].next_apply(Fault::Hang);
    let died = tokio::time::timeout(Duration::from_secs(1), world.engine.execute(plan)).await;
    assert!(died.is_err());
    settle_tasks().await;
    (run, world.clock.time().saturating_since(now))
}

#[tokio::test(start_paused = true)]
async fn automation_takes_up_what_a_person_began_an_hour_ago_and_nothing_older() {
    for (late, may) in [(0, true), (1, false)] {
        let world = World::of(1);
        let (run, since) = died(&world).await;
        tokio::time::advance(Duration::from_secs(3600) + Duration::from_millis(late) - since).await;
        let taken_up = world.engine.resume(&run, &world.procedure(), &robot()).await;
        assert_eq!(taken_up.is_ok(), may, "{late} ms: {taken_up:?}");
        if let Err(refused) = taken_up {
            let refused = refused.to_string();
            assert!(refused.contains("more than 60 min ago"), "{refused}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_refusal_of_a_second_automated_stop_says_how_long_the_window_is() {
    let world = World::of(1);
    let first = automated(&world, &world.procedure()).await.unwrap();
    assert_eq!(first.status, OutcomeStatus::Verified);
    let refused = automated(&world, &world.procedure()).await.unwrap_err();
    let said = refused.to_string();
    assert!(said.contains(first.run.as_str()), "{said}");
    assert!(said.contains("less than 60 min ago"), "{said}");
}

#[tokio::test(start_paused = true)]
async fn the_next_automated_stop_is_let_through_when_the_window_is_over_and_not_before() {
    for (early, may) in [(1, false), (0, true)] {
        let world = World::of(1);
        let first = automated(&world, &world.procedure()).await.unwrap().run;
        let entries = world.engine.entries(&first).await.unwrap();
        let acted = |entry: &&JournalEntry| matches!(entry.event, JournalEvent::Intent { .. });
        let acted = entries.iter().filter(acted).map(|entry| entry.at).max().unwrap();
        let over = acted + Duration::from_secs(3600);
        let left = |until| over.saturating_since(world.clock.time()) - Duration::from_millis(until);
        tokio::time::advance(left(1000)).await;
        let plan = world.engine.plan_stop(&world.procedure()).await;
        let now = world.clock.time();
        let plan = plan.approve(&[], &Approvers::none(), robot(), now).unwrap();
        tokio::time::advance(left(early)).await;
        let second = world.engine.execute(plan).await;
        assert_eq!(second.is_ok(), may, "{early} ms: {second:?}");
    }
}
