//! Consent does not grow: what was signed serves once, and who takes a run up may no more than who began it.
#![allow(
    clippy::unwrap_used,
    clippy::clone_on_ref_ptr,
    reason = "a test ends at what it did not expect, and shares its doubles as ports"
)]

mod support_emergency;

use std::sync::Arc;
use std::time::Duration;

use ops_core::emergency::{
    Approved, Approvers, AutomationLimits, BreakGlass, Gate, OnUnavailable, Plan, Procedure, Refusal, Rule,
    SafetyRule, Step, gave_way,
};
use ops_core::memory::{InMemoryApprovals, InMemoryHealth, InMemoryJournal};
use ops_core::model::{Actor, Outcome, OutcomeStatus, RunId, StepResult};
use ops_core::ports::{ApprovalStore, JournalEvent};
use support_emergency::{
    Failure, Fault, FaultyJournal, HOLD, Meddled, SharedJournal, Stop, Verb, World, alice, report_of, staged,
    well,
};
use tokio::sync::Barrier;

fn robot() -> Actor {
    Actor::automation("cost-guard").unwrap()
}

fn deployer() -> Actor {
    Actor::service("deployer").unwrap()
}

#[tokio::test(start_paused = true)]
async fn approvals_of_a_restore_that_failed_at_its_first_gate_are_used_up() {
    let (world, health) = (World::of(1), Arc::new(InMemoryHealth::new()));
    let staging = Gate::before_opening()
        .with_check("staging", health.clone())
        .with_patience(HOLD + Duration::from_secs(10));
    let procedure = world.procedure().with_gate(staging).unwrap();
    let stopped = world.stop_by(&procedure).await.run;
    let plan = world.engine.plan_restore(&stopped, &procedure).await.unwrap();
    let now = world.clock.time();
    let signed = [
        world.people.sign("bob", &plan, now),
        world.people.sign("carol", &plan, now),
    ];
    let approved = plan
        .approve(&signed, &world.people.approvers(), alice(), now)
        .unwrap();
    let failed = world.engine.execute(approved).await.unwrap();
    assert_eq!(failed.status, OutcomeStatus::Failed);

    // The same world, the same digest; the signatures have not run out.
    health.set(ops_core::model::Verdict::Holds);
    let plan = world.engine.plan_restore(&stopped, &procedure).await.unwrap();
    let now = world.clock.time();
    let again = plan
        .approve(&signed, &world.people.approvers(), alice(), now)
        .unwrap();
    let refused = world.engine.execute(again).await;
    assert!(
        matches!(&refused, Err(Refusal::Replayed { by }) if *by == failed.run),
        "{refused:?}"
    );
    assert!(world.all_stopped());
}

/// It hangs, and its process dies.
async fn dies<T>(work: impl Future<Output = T>) {
    let ended = tokio::time::timeout(Duration::from_secs(3), work).await;
    assert!(ended.is_err(), "it hangs");
}

/// An ungated restore that died in its second stage.
async fn ungated(world: &World, procedure: &Procedure) -> RunId {
    let stopped = world.stop_by(procedure).await.run;
    let plan = world.engine.plan_restore(&stopped, procedure).await.unwrap();
    let plan = plan.without_gates(&BreakGlass::new("hospital line is down").unwrap());
    let run = plan.run().clone();
    let plan = world.people.approve(plan, world.clock.time()).unwrap();
    world.targets[1].next_restore(support_emergency::Fault::Hang);
    dies(world.engine.execute(plan)).await;
    run
}

#[tokio::test(start_paused = true)]
async fn a_restore_without_gates_is_taken_up_by_a_person_only_and_within_15_minutes() {
    let (world, health) = (World::of(2), well());
    let before = world.bytes();
    let procedure = staged(&world, &health);
    let run = ungated(&world, &procedure).await;
    for nobody in [deployer(), robot()] {
        let refused = world.engine.resume(&run, &procedure, &nobody).await;
        assert!(
            matches!(
                refused,
                Err(Refusal::NotApproved { .. } | Refusal::AutomationMayNotRestore)
            ),
            "{refused:?}"
        );
    }
    let resumed = world.engine.resume(&run, &procedure, &alice()).await.unwrap();
    assert_eq!(resumed.status, OutcomeStatus::Verified);
    assert_eq!(world.bytes(), before);

    let (world, health) = (World::of(2), well());
    let procedure = staged(&world, &health);
    let run = ungated(&world, &procedure).await;
    tokio::time::sleep(Duration::from_secs(15 * 60)).await;
    let late = world.engine.resume(&run, &procedure, &alice()).await;
    assert!(matches!(late, Err(Refusal::Expired)), "{late:?}");
    assert!(world.targets[1].is_stopped());
}

/// The second stage of a stop breaks a rule; a person named it, and died after the first.
async fn glass_broken(world: &World) -> (RunId, Procedure) {
    let keep = SafetyRule::KeepAtLeast {
        up: 1,
        of: world.targets.iter().map(|target| target.id().clone()).collect(),
    };
    let steps = world.targets.iter().enumerate();
    let steps = steps.map(|(at, target)| Step::new(Stop::of(target)).closing(at as u32));
    let procedure = Procedure::new("stop-all", steps.collect())
        .unwrap()
        .with_rule(Rule::new("keep-one", keep).on_unavailable(OnUnavailable::Refuse))
        .unwrap();
    let plan = world.engine.plan_stop(&procedure).await;
    let run = plan.run().clone();
    let glass = BreakGlass::new("both must go, data is leaking").unwrap();
    let plan = plan
        .break_glass(glass.overriding("keep-one"), alice(), world.clock.time())
        .unwrap();
    world.targets[1].next_apply(support_emergency::Fault::Hang);
    dies(world.engine.execute(plan)).await;
    assert!(world.targets[0].is_stopped() && !world.targets[1].is_stopped());
    (run, procedure)
}

#[tokio::test(start_paused = true)]
async fn automation_that_takes_up_a_persons_stop_inherits_no_broken_glass() {
    let world = World::of(2);
    let (run, procedure) = glass_broken(&world).await;
    let by_robot = world.engine.resume(&run, &procedure, &robot()).await.unwrap();
    assert!(!world.targets[1].is_stopped(), "the last one that serves");
    let second = report_of(&by_robot, &world.targets[1]);
    assert_eq!(second.result, StepResult::Skipped);
    assert!(second.verdict.reason().unwrap().contains("keep-one"));
    let due = world.engine.reviews().await.unwrap()[0].due;
    assert_eq!(by_robot.review_due, Some(due), "the glass is broken all the same");

    let by_person = world.engine.resume(&run, &procedure, &alice()).await.unwrap();
    assert_eq!(by_person.status, OutcomeStatus::Verified);
    assert!(world.all_stopped());
}

#[tokio::test(start_paused = true)]
async fn a_plan_without_gates_that_waited_is_still_the_plan_that_was_signed() {
    let (world, health) = (World::of(2), well());
    let procedure = staged(&world, &health);
    let stopped = world.stop_by(&procedure).await.run;
    let glass = BreakGlass::new("hospital line is down").unwrap();
    let plan = world.engine.plan_restore(&stopped, &procedure).await.unwrap();
    let plan = plan.without_gates(&glass);
    let store = InMemoryApprovals::new();
    let now = world.clock.time();
    store.request(&plan.request(alice(), now)).await.unwrap();
    for name in ["bob", "carol"] {
        store.approve(&world.people.sign(name, &plan, now)).await.unwrap();
    }
    tokio::time::sleep(Duration::from_secs(60)).await;
    let approvers = world.people.approvers();
    let plan = world
        .engine
        .consented(plan, &store, &approvers, alice())
        .await
        .unwrap();
    assert!(plan.opening().gates.is_empty());
    let outcome = world.engine.execute(plan).await.unwrap();
    assert_eq!(outcome.status, OutcomeStatus::Verified);
    assert_eq!(outcome.ungated.as_deref(), Some("hospital line is down"));
}

#[tokio::test(start_paused = true)]
async fn a_restore_without_gates_opens_a_review_and_one_with_gates_does_not() {
    let (world, health) = (World::of(2), well());
    let procedure = staged(&world, &health);
    let stopped = world.stop_by(&procedure).await.run;
    let plan = world.engine.plan_restore(&stopped, &procedure).await.unwrap();
    let plan = plan.without_gates(&BreakGlass::new("hospital line is down").unwrap());
    let plan = world.people.approve(plan, world.clock.time()).unwrap();
    let outcome = world.engine.execute(plan).await.unwrap();
    let review = world.engine.reviews().await.unwrap().remove(0);
    assert_eq!((&review.run, &review.by), (&outcome.run, &alice()));
    assert_eq!(review.overrides, ["gates"]);
    assert_eq!(review.reason, "hospital line is down");
    assert_eq!(Some(review.due), outcome.review_due);
    let bob = Actor::person("bob").unwrap();
    world
        .engine
        .review(&outcome.run, &bob, "was right")
        .await
        .unwrap();

    let stopped = world.stop_by(&procedure).await.run;
    let plan = world.engine.plan_restore(&stopped, &procedure).await.unwrap();
    let plan = world.people.approve(plan, world.clock.time()).unwrap();
    let outcome = world.engine.execute(plan).await.unwrap();
    assert_eq!(outcome.review_due, None);
    assert_eq!(world.engine.reviews().await.unwrap().len(), 1);
}

async fn planned(world: &World, procedure: &Procedure, actor: Actor) -> Plan<Approved> {
    let plan = world.engine.plan_stop(procedure).await;
    plan.approve(&[], &Approvers::none(), actor, world.clock.time())
        .unwrap()
}

async fn automated(world: &World, procedure: &Procedure) -> Result<Outcome, Refusal> {
    world
        .engine
        .execute(planned(world, procedure, robot()).await)
        .await
}

/// A stop that died before its last target.
async fn died(world: &World, procedure: &Procedure, actor: Actor) -> RunId {
    let plan = planned(world, procedure, actor).await;
    let run = plan.run().clone();
    world.targets.last().unwrap().next_apply(Fault::Hang);
    dies(world.engine.execute(plan)).await;
    assert!(!world.all_stopped());
    run
}

#[track_caller]
fn violated(result: Result<Outcome, Refusal>) -> String {
    let Err(Refusal::Violates { rules }) = result else {
        panic!("{result:?}")
    };
    let names: Vec<_> = rules.into_iter().map(|rule| rule.rule).collect();
    names.join(",")
}

#[tokio::test(start_paused = true)]
async fn a_stop_that_automation_takes_up_is_judged_like_one_that_it_begins_and_counts() {
    let world = World::of(3);
    let wide = world.procedure();
    let small = world
        .procedure()
        .with_automation(AutomationLimits::default().with_targets(2));
    let run = died(&world, &small, alice()).await;
    let refused = world.engine.resume(&run, &small, &robot()).await;
    assert_eq!(violated(refused), "automation.targets");
    assert!(!world.targets[2].is_stopped());
    let resumed = world.engine.resume(&run, &wide, &robot()).await.unwrap();
    assert_eq!(resumed.status, OutcomeStatus::Verified);
    assert_eq!(violated(automated(&world, &wide).await), "automation.window");
    tokio::time::sleep(Duration::from_secs(3601)).await;
    let _ = automated(&world, &wide).await.unwrap();

    // What a person began long ago is a person's to take up.
    let world = World::of(3);
    let procedure = world.procedure();
    let run = died(&world, &procedure, alice()).await;
    tokio::time::sleep(Duration::from_secs(3601)).await;
    let late = world.engine.resume(&run, &procedure, &robot()).await;
    assert_eq!(violated(late), "automation.window");
    let resumed = world.engine.resume(&run, &procedure, &alice()).await;
    assert_eq!(resumed.unwrap().status, OutcomeStatus::Verified);
}

#[tokio::test(start_paused = true)]
async fn automation_acts_once_in_a_window_whatever_the_procedure() {
    let world = World::of(2);
    let first = Procedure::new("stop-first", vec![Step::new(Stop::of(&world.targets[0]))]).unwrap();
    let _ = automated(&world, &first).await.unwrap();
    assert_eq!(
        violated(automated(&world, &world.procedure()).await),
        "automation.window"
    );
    let run = died(&world, &world.procedure(), alice()).await;
    let refused = world.engine.resume(&run, &world.procedure(), &robot()).await;
    assert_eq!(violated(refused), "automation.window");
    assert!(!world.targets[1].is_stopped());
}

#[tokio::test(start_paused = true)]
async fn automation_takes_up_its_own_stop_that_died_as_often_as_it_dies() {
    let world = World::of(2);
    let run = died(&world, &world.procedure(), robot()).await;
    tokio::time::sleep(Duration::from_secs(7200)).await;
    world.targets[1].next_apply(Fault::Hang);
    let (engine, procedure, robot) = (world.engine.clone(), world.procedure(), robot());
    dies(engine.resume(&run, &procedure, &robot)).await;
    let resumed = engine.resume(&run, &procedure, &robot).await.unwrap();
    assert_eq!(resumed.status, OutcomeStatus::Verified);
}

#[tokio::test(start_paused = true)]
async fn what_only_the_spool_has_does_not_vouch_for_automation() {
    let journal = Arc::new(InMemoryJournal::new());
    let world = World::over(journal.clone(), 1).with_spool(Arc::new(InMemoryJournal::new()));
    journal.set_reachable(false);
    let stopped = world.stop().await;
    assert!(!stopped.journalled);
    let refused = automated(&world, &world.procedure()).await;
    assert_eq!(violated(refused), "automation.window");
}

/// Two machines that wait for each other before they announce their first run, and right after.
fn at_once(world: &World) -> [World; 2] {
    let both = Arc::new(Barrier::new(2));
    let meet = || {
        let both = both.clone();
        async move {
            both.wait().await;
        }
    };
    [(); 2].map(|()| {
        let journal = Meddled::over(&world.journal);
        journal.before(Verb::Append, meet());
        journal.after(Verb::Append, meet());
        world.machine(journal)
    })
}

#[tokio::test(start_paused = true)]
async fn of_two_automated_stops_that_are_announced_before_either_looks_again_the_older_goes_on() {
    let world = World::of(1);
    let procedure = world.procedure();
    let [one, other] = at_once(&world);
    let (first, second) = (
        planned(&one, &procedure, robot()).await,
        planned(&other, &procedure, robot()).await,
    );
    let later = second.run().clone();
    assert!(*first.run() < later);
    let (went_on, refused) = tokio::join!(one.engine.execute(first), other.engine.execute(second));
    let went_on = went_on.unwrap();
    assert_eq!(
        (went_on.status, went_on.journalled),
        (OutcomeStatus::Verified, true)
    );
    assert_eq!(violated(refused), "automation.window");
    let entries = world.engine.entries(&later).await.unwrap();
    assert!(matches!(
        entries.last().unwrap().event,
        JournalEvent::Ended {
            status: OutcomeStatus::Failed
        }
    ));
    assert!(entries.len() == 2 && gave_way(&entries), "{entries:?}");
    let entries = world.engine.entries(&went_on.run).await.unwrap();
    assert!(!gave_way(&entries));
    let again = world.engine.resume(&later, &procedure, &robot()).await;
    assert_eq!(violated(again), "automation.window", "it has not acted yet");
}

#[tokio::test(start_paused = true)]
async fn an_automated_stop_that_is_announced_late_gives_way_to_a_later_one_that_acts_or_died_undecided() {
    for dies in [false, true] {
        let world = World::of(1);
        let procedure = world.procedure();
        let (journal, others) = (Meddled::over(&world.journal), Meddled::over(&world.journal));
        let (one, other) = (world.machine(journal.clone()), world.machine(others.clone()));
        let (first, second) = (
            planned(&one, &procedure, robot()).await,
            planned(&other, &procedure, robot()).await,
        );
        let later = second.run().clone();
        if dies {
            others.after(Verb::Append, std::future::pending());
        }
        journal.before(Verb::Append, async move {
            let executed = tokio::time::timeout(Duration::from_secs(1), other.engine.execute(second));
            assert_eq!(executed.await.is_err(), dies);
        });
        assert_eq!(violated(one.engine.execute(first).await), "automation.window");
        assert_eq!(world.all_stopped(), !dies);
        let resumed = world.engine.resume(&later, &procedure, &robot()).await.unwrap();
        assert_eq!(resumed.status, OutcomeStatus::Verified, "{dies}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_person_who_takes_up_an_automated_stop_is_judged_as_a_person() {
    let world = World::of(3);
    let of = world.targets.iter().map(|target| target.id().clone()).collect();
    let steps = world.targets[..2]
        .iter()
        .map(|target| Step::new(Stop::of(target)));
    let procedure = Procedure::new("stop-two", steps.collect())
        .unwrap()
        .watching(Stop::of(&world.targets[2]))
        .with_rule(Rule::new("keep", SafetyRule::KeepAtLeast { up: 0, of }))
        .unwrap();
    let plan = planned(&world, &procedure, robot()).await;
    let run = plan.run().clone();
    world.targets[1].next_apply(Fault::Hang);
    dies(world.engine.execute(plan)).await;
    // For automation, the other one is now the last that serves.
    let third = Procedure::new("stop-third", vec![Step::new(Stop::of(&world.targets[2]))]).unwrap();
    let _ = world.stop_by(&third).await;
    let by_robot = world.engine.resume(&run, &procedure, &robot()).await.unwrap();
    assert_eq!(
        report_of(&by_robot, &world.targets[1]).result,
        StepResult::Skipped
    );
    let by_person = world.engine.resume(&run, &procedure, &alice()).await.unwrap();
    assert_eq!(by_person.status, OutcomeStatus::Verified, "{by_person:#?}");
    assert!(world.all_stopped());
}

#[tokio::test(start_paused = true)]
async fn an_automated_stop_that_gives_way_turns_no_restore_back() {
    let (world, health) = (World::of(3), well());
    let before = world.bytes();
    let procedure = staged(&world, &health);
    let stopped = world.stop_by(&procedure).await.run;
    let plan = world.engine.plan_restore(&stopped, &procedure).await.unwrap();
    let plan = world.people.approve(plan, world.clock.time()).unwrap();
    let engine = world.engine.clone();
    let restoring = tokio::spawn(async move { engine.execute(plan).await.unwrap() });
    tokio::time::sleep(HOLD + Duration::from_secs(30)).await;

    let journal = Meddled::over(&world.journal);
    let (late, other) = (
        world.machine(journal.clone()),
        world.machine(world.journal.clone()),
    );
    let third = Procedure::new("stop-third", vec![Step::new(Stop::of(&world.targets[2]))]).unwrap();
    journal.before(Verb::Append, async move {
        let _ = automated(&other, &third).await.unwrap();
    });
    assert_eq!(violated(automated(&late, &procedure).await), "automation.window");
    assert_eq!(world.engine.runs().await.unwrap().len(), 4, "it was announced");
    let restored = restoring.await.unwrap();
    assert_eq!(restored.status, OutcomeStatus::Verified, "{restored:#?}");
    assert_eq!(world.bytes()[..2], before[..2]);
}

#[tokio::test(start_paused = true)]
async fn automation_that_nobody_can_see_does_not_act() {
    let world = World::of(2);
    let journal = Meddled::over(&world.journal);
    let machine = world
        .machine(journal.clone())
        .with_spool(Arc::new(InMemoryJournal::new()));
    // It can be read, and takes no entries.
    journal.break_only(&[Verb::Append]);
    let first = Procedure::new("stop-first", vec![Step::new(Stop::of(&world.targets[0]))]).unwrap();
    assert_eq!(violated(automated(&machine, &first).await), "automation.window");
    assert!(!world.targets[0].is_stopped());
    // A person needs nobody to see it.
    let second = Procedure::new("stop-second", vec![Step::new(Stop::of(&world.targets[1]))]).unwrap();
    let stopped = machine.stop_by(&second).await;
    assert!(world.targets[1].is_stopped() && !stopped.journalled);

    // The journal, which is left alone by now, takes entries again.
    journal.break_only(&[]);
    let outcome = automated(&machine, &first).await.unwrap();
    let seen = world.journal.entries(&outcome.run).await.unwrap();
    assert!(matches!(seen[0].event, JournalEvent::Started { .. }), "{seen:?}");
    let elsewhere = automated(&world, &world.procedure()).await;
    assert_eq!(violated(elsewhere), "automation.window");
}

#[tokio::test(start_paused = true)]
async fn what_the_spool_has_of_automation_counts_even_if_it_may_go_ahead_without_the_journal() {
    for failure in [Failure::Fails, Failure::Hangs] {
        let journal = Arc::new(FaultyJournal::dead(failure));
        let world = World::over(journal, 1).with_spool(Arc::new(SharedJournal::new()));
        let declared = AutomationLimits::default().on_unavailable(OnUnavailable::GoAhead);
        let procedure = world.procedure().with_automation(declared);
        let outcome = automated(&world, &procedure).await.unwrap();
        assert!(world.all_stopped() && !outcome.journalled);
        let again = automated(&world, &procedure).await;
        assert_eq!(violated(again), "automation.window", "{failure:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_person_did_in_an_automated_stop_does_not_make_it_automations_own() {
    let world = World::of(1);
    let (procedure, journal) = (world.procedure(), Meddled::over(&world.journal));
    let machine = world.machine(journal.clone());
    let plan = planned(&machine, &procedure, robot()).await;
    let run = plan.run().clone();
    journal.after(Verb::Append, std::future::pending());
    let announced = tokio::time::timeout(Duration::from_secs(1), machine.engine.execute(plan));
    assert!(announced.await.is_err());
    world.targets[0].next_apply(Fault::Hang);
    dies(world.engine.resume(&run, &procedure, &alice())).await;
    tokio::time::sleep(Duration::from_secs(3601)).await;
    let late = world.engine.resume(&run, &procedure, &robot()).await;
    assert_eq!(violated(late), "automation.window");
}
