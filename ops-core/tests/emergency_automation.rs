//! How much automation may stop, and that it does not act where nobody can tell what else it did.
#![allow(
    clippy::unwrap_used,
    clippy::clone_on_ref_ptr,
    reason = "a test ends at what it did not expect, and shares its doubles as ports"
)]

mod support_emergency;

use std::sync::Arc;
use std::time::Duration;

use ops_core::emergency::{Approvers, AutomationLimits, OnUnavailable, Procedure, Refusal, Rule, SafetyRule};
use ops_core::memory::InMemoryJournal;
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

#[track_caller]
fn violated(result: Result<Outcome, Refusal>) -> String {
    match result {
        Err(Refusal::Violates { rules }) => rules
            .into_iter()
            .map(|rule| rule.rule)
            .collect::<Vec<_>>()
            .join(","),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn automation_stops_so_many_targets_once_in_a_window() {
    let journal = Arc::new(InMemoryJournal::new());
    let world = World::over(journal.clone(), 3);
    let limits = AutomationLimits::default().with_targets(2);
    let small = world.procedure().with_automation(limits);
    assert_eq!(violated(automated(&world, &small).await), "automation.targets");
    let wide = world.procedure();
    let _ = automated(&world, &wide).await.unwrap();
    assert_eq!(violated(automated(&world, &wide).await), "automation.window");
    tokio::time::sleep(Duration::from_secs(3601)).await;
    let _ = automated(&world, &wide).await.unwrap();
    tokio::time::sleep(Duration::from_secs(3601)).await;
    journal.set_reachable(false);
    assert_eq!(violated(automated(&world, &wide).await), "automation.window");
    let declared = AutomationLimits::default().on_unavailable(OnUnavailable::GoAhead);
    let outcome = automated(&world, &world.procedure().with_automation(declared))
        .await
        .unwrap();
    assert!(world.all_stopped() && !outcome.journalled);
}

#[tokio::test(start_paused = true)]
async fn automation_never_takes_the_last_healthy_target() {
    let world = World::of(1);
    let of = vec![world.targets[0].id().clone()];
    let rule = Rule::new("keep", SafetyRule::KeepAtLeast { up: 0, of });
    let procedure = world.procedure().with_rule(rule).unwrap();
    assert_eq!(violated(automated(&world, &procedure).await), "keep");
    assert_eq!(world.stop_by(&procedure).await.status, OutcomeStatus::Verified);
}

#[tokio::test(start_paused = true)]
async fn what_automation_took_up_late_counts_from_when_it_acted() {
    let world = World::of(1);
    let procedure = world.procedure();
    let plan = world.engine.plan_stop(&procedure).await;
    let plan = plan
        .approve(&[], &Approvers::none(), alice(), world.clock.time())
        .unwrap();
    let run = plan.run().clone();
    world.targets[0].next_apply(Fault::Hang);
    let died = tokio::time::timeout(Duration::from_secs(1), world.engine.execute(plan)).await;
    assert!(died.is_err());
    settle_tasks().await;
    let minutes = |minutes: u64| tokio::time::sleep(Duration::from_secs(60 * minutes));
    minutes(58).await;
    let resumed = world.engine.resume(&run, &procedure, &robot()).await.unwrap();
    assert_eq!(resumed.status, OutcomeStatus::Verified);
    let again = async || {
        let plan = world.engine.plan_stop(&procedure).await;
        let now = world.clock.time();
        let plan = plan.approve(&[], &Approvers::none(), robot(), now).unwrap();
        world.engine.execute(plan).await
    };
    minutes(59).await;
    let refused = again().await.unwrap_err();
    assert!(refused.to_string().contains("automation.window"), "{refused}");
    minutes(2).await;
    assert_eq!(again().await.unwrap().status, OutcomeStatus::Verified);
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
