//! Approvals from elsewhere, used once; rules that a stop keeps; broken glass and its review; limits of automation.
#![allow(
    clippy::unwrap_used,
    clippy::clone_on_ref_ptr,
    reason = "a test ends at what it did not expect, and shares its doubles as ports"
)]

mod support_emergency;

use std::sync::Arc;
use std::time::Duration;

use ops_core::emergency::{
    ApprovalPolicy, Approvers, BreakGlass, Procedure, Refusal, Rule, SafetyRule, Step,
};
use ops_core::error::ErrorKind;
use ops_core::memory::{InMemoryApprovals, InMemoryJournal};
use ops_core::model::{Actor, IdempotencyKey, Lang, Outcome, OutcomeStatus, RunId, StepResult, Window};
use ops_core::ports::{ApprovalStore, JournalEntry, JournalEvent};
use support_emergency::{Fault, Stop, World, alice, report_of};

fn robot() -> Actor {
    Actor::automation("cost-guard").unwrap()
}

fn bob() -> Actor {
    Actor::person("bob").unwrap()
}

fn approved_stop(world: &World) -> Procedure {
    world.procedure().with_stop_approval(ApprovalPolicy::of(1))
}

/// A store that has what Bob and Carol signed of the stop.
async fn signed(world: &World, procedure: &Procedure) -> InMemoryApprovals {
    let store = InMemoryApprovals::new();
    let plan = world.engine.plan_stop(procedure).await;
    let now = world.clock.time();
    store.request(&plan.request(alice(), now)).await.unwrap();
    for name in ["bob", "carol"] {
        store.approve(&world.people.sign(name, &plan, now)).await.unwrap();
    }
    store
}

async fn stop_with(
    world: &World,
    procedure: &Procedure,
    store: &InMemoryApprovals,
) -> Result<Outcome, Refusal> {
    let plan = world.engine.plan_stop(procedure).await;
    let approvers = world.people.approvers();
    let plan = world.engine.consented(plan, store, &approvers, alice()).await?;
    world.engine.execute(plan).await
}

#[tokio::test(start_paused = true)]
async fn approvals_from_another_process_are_taken_from_the_store() {
    let world = World::of(2);
    let procedure = approved_stop(&world);
    let store = signed(&world, &procedure).await;
    let outcome = stop_with(&world, &procedure, &store).await.unwrap();
    assert_eq!(
        (outcome.status, outcome.approval.as_str()),
        (OutcomeStatus::Verified, "approved by bob, carol")
    );
}

#[tokio::test(start_paused = true)]
async fn a_world_that_changed_after_the_approval_is_named() {
    let world = World::of(2);
    let procedure = approved_stop(&world);
    let store = signed(&world, &procedure).await;
    world.targets[1].deploy();
    let refused = stop_with(&world, &procedure, &store).await.unwrap_err();
    let Refusal::Changed { steps } = refused else {
        panic!("{refused}")
    };
    assert_eq!(steps.len(), 1);
    assert_eq!(steps[0].target, *world.targets[1].id());
    assert!(!steps[0].drift.is_empty());
    assert!(!world.targets[0].is_stopped() && !world.targets[1].is_stopped());
}

#[tokio::test(start_paused = true)]
async fn a_prior_state_that_cannot_be_read_any_more_is_named_and_one_that_is_the_same_is_not() {
    let world = World::of(2);
    let by_hand = IdempotencyKey::for_step(&RunId::generate(world.clock.time()), 0);
    Stop::of(&world.targets[0]).apply(&by_hand).await.unwrap();
    let store = signed(&world, &approved_stop(&world)).await;
    world.targets[1].every_observe(Fault::Fail(ErrorKind::PermissionDenied));
    // Another version of the program promises something else.
    let slower = world.procedure_with(|_, step| step.with_promise(Duration::from_secs(300)));
    let slower = slower.with_stop_approval(ApprovalPolicy::of(1));
    let refused = stop_with(&world, &slower, &store).await.unwrap_err();
    let Refusal::Changed { steps } = refused else {
        panic!("{refused}")
    };
    let named = |at: usize| -> Vec<_> {
        let drift = steps[at].drift.iter();
        drift
            .map(|one| (one.path.as_str(), one.expected.clone(), one.found.clone()))
            .collect()
    };
    assert_eq!(steps.len(), 2);
    assert_eq!(named(0), [], "stopped before and now");
    let (observed, unknown) = (Some("observed".into()), Some("unknown".into()));
    assert_eq!(named(1), [("prior", observed, unknown)]);
}

#[tokio::test(start_paused = true)]
async fn a_step_that_was_approved_and_is_gone_is_named_and_so_is_one_that_is_new() {
    let world = World::of(3);
    let steps = |targets: &[usize]| {
        let steps = targets.iter().map(|at| Step::new(Stop::of(&world.targets[*at])));
        let procedure = Procedure::new("stop-all", steps.collect()).unwrap();
        procedure.with_stop_approval(ApprovalPolicy::of(1))
    };
    let store = signed(&world, &steps(&[0, 1])).await;
    let refused = stop_with(&world, &steps(&[0, 2]), &store).await.unwrap_err();
    let Refusal::Changed { steps } = refused else {
        panic!("{refused}")
    };
    let named: Vec<_> = steps
        .iter()
        .map(|step| {
            assert_eq!((step.drift.len(), step.drift[0].path.as_str()), (1, "step"));
            let there = |value: &Option<serde_json::Value>| value.clone().unwrap().as_bool().unwrap();
            let (approved, found) = (there(&step.drift[0].expected), there(&step.drift[0].found));
            (step.target.clone(), approved, found)
        })
        .collect();
    let (gone, new) = (world.targets[1].id(), world.targets[2].id());
    assert_eq!(named, [(new.clone(), false, true), (gone.clone(), true, false)]);
}

#[tokio::test(start_paused = true)]
async fn a_plan_that_waited_is_observed_again_before_consent_is_taken() {
    let world = World::of(1);
    let procedure = approved_stop(&world);
    let store = signed(&world, &procedure).await;
    let plan = world.engine.plan_stop(&procedure).await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    world.targets[0].deploy();
    let approvers = world.people.approvers();
    let refused = world
        .engine
        .consented(plan, &store, &approvers, alice())
        .await
        .unwrap_err();
    assert!(matches!(refused, Refusal::Changed { .. }), "{refused}");
}

#[tokio::test(start_paused = true)]
async fn an_approval_is_good_for_one_run() {
    let world = World::of(1);
    let procedure = approved_stop(&world);
    let store = signed(&world, &procedure).await;
    let first = stop_with(&world, &procedure, &store).await.unwrap();
    let same = world
        .engine
        .resume(&first.run, &procedure, &alice())
        .await
        .unwrap();
    assert_eq!(same.status, OutcomeStatus::Verified, "the same run is no replay");
    let _ = world.restore_by(&first.run, &procedure).await.unwrap();
    // The same world, so the same digest and valid signatures.
    let refused = stop_with(&world, &procedure, &store).await.unwrap_err();
    let Refusal::Replayed { by } = refused else {
        panic!("{refused}")
    };
    assert_eq!(by, first.run);
    assert!(!world.targets[0].is_stopped());
    // Somebody who signs anew is somebody who was asked anew.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let plan = world.engine.plan_stop(&procedure).await;
    let again = world.people.sign("bob", &plan, world.clock.time());
    store.approve(&again).await.unwrap();
    let second = stop_with(&world, &procedure, &store).await.unwrap();
    assert_eq!(second.approval, "approved by bob");
}

#[tokio::test(start_paused = true)]
async fn when_the_journal_cannot_tell_a_stop_goes_ahead_and_says_so_and_a_restore_is_refused() {
    let journal = Arc::new(InMemoryJournal::new());
    let world = World::over(journal.clone(), 1);
    let procedure = approved_stop(&world);
    let store = signed(&world, &procedure).await;
    let approvers = world.people.approvers();

    let stopped = world.stop().await;
    let plan = world
        .engine
        .plan_restore(&stopped.run, &world.procedure())
        .await
        .unwrap();
    let plan = world.people.approve(plan, world.clock.time()).unwrap();
    journal.set_reachable(false);
    let refused = world.engine.execute(plan).await.unwrap_err();
    assert!(matches!(refused, Refusal::Undecided(_)), "{refused}");
    journal.set_reachable(true);
    let _ = world.restore(&stopped.run).await.unwrap();

    let plan = world.engine.plan_stop(&procedure).await;
    let plan = world
        .engine
        .consented(plan, &store, &approvers, alice())
        .await
        .unwrap();
    journal.set_reachable(false);
    let outcome = world.engine.execute(plan).await.unwrap();
    assert!(world.all_stopped());
    assert!(
        outcome.approval.contains("could not tell"),
        "{}",
        outcome.approval
    );
}

#[tokio::test(start_paused = true)]
async fn a_stop_that_needs_nobody_does_not_ask_the_store() {
    let world = World::of(1);
    let store = InMemoryApprovals::new();
    store.set_reachable(false);
    let outcome = stop_with(&world, &world.procedure(), &store).await.unwrap();
    assert_eq!(outcome.status, OutcomeStatus::Verified);
    let refused = stop_with(&world, &approved_stop(&world), &store)
        .await
        .unwrap_err();
    assert!(
        refused.to_string().contains("approvals cannot be read"),
        "{refused}"
    );
}

/// Two targets, of which the second is only watched; one of them must stay up.
fn guarded(world: &World) -> Procedure {
    let keep = SafetyRule::KeepAtLeast {
        up: 1,
        of: world.targets.iter().map(|target| target.id().clone()).collect(),
    };
    Procedure::new("stop-all", vec![Step::new(Stop::of(&world.targets[0]))])
        .unwrap()
        .watching(Stop::of(&world.targets[1]))
        .with_rule(Rule::new("keep-one", keep))
        .unwrap()
}

#[tokio::test(start_paused = true)]
async fn the_last_healthy_target_is_kept_unless_a_broken_glass_names_the_rule() {
    let world = World::of(2);
    let procedure = guarded(&world);
    let glass = || BreakGlass::new("both must go, data is leaking").unwrap();
    let now = world.clock.time();
    // While the other one serves, the stop is allowed; nothing is done to it.
    let plan = world.engine.plan_stop(&procedure).await;
    plan.approve(&[], &Approvers::none(), alice(), now).unwrap();

    let other = Procedure::new("stop-other", vec![Step::new(Stop::of(&world.targets[1]))]).unwrap();
    let _ = world.stop_by(&other).await;
    let plan = world
        .engine
        .plan_stop(&procedure.clone().with_stop_approval(ApprovalPolicy::of(1)))
        .await;
    for (refused, names) in [
        (
            plan.clone().break_glass(glass(), alice(), now),
            vec!["approvals", "keep-one"],
        ),
        (
            plan.clone()
                .break_glass(glass().overriding("approvals"), alice(), now),
            vec!["keep-one"],
        ),
        (
            plan.clone().approve(&[], &Approvers::none(), alice(), now),
            vec!["keep-one"],
        ),
    ] {
        let Err(Refusal::Violates { rules }) = refused else {
            panic!("{refused:?}")
        };
        assert_eq!(
            rules.iter().map(|rule| rule.rule.as_str()).collect::<Vec<_>>(),
            names
        );
    }
    let unknown = plan
        .clone()
        .break_glass(glass().overriding("keep-two"), alice(), now);
    assert!(matches!(unknown, Err(Refusal::UnknownRule { .. })), "{unknown:?}");
    let named = glass().overriding("approvals").overriding("keep-one");
    let broken = plan.break_glass(named, alice(), now).unwrap();
    assert_eq!(
        world.engine.execute(broken).await.unwrap().status,
        OutcomeStatus::Verified
    );
}

#[tokio::test(start_paused = true)]
async fn each_rule_has_a_name_of_its_own_by_which_it_is_overridden() {
    let world = World::of(1);
    let rule = |name: &str| Rule::new(name, SafetyRule::AtMost { targets: 1 });
    let procedure = world.procedure().with_rule(rule("few")).unwrap();
    for taken in ["few", "approvals"] {
        let refused = procedure.clone().with_rule(rule(taken)).unwrap_err();
        assert!(refused.to_string().contains("taken"), "{refused}");
    }
    let both = procedure.with_rule(rule("fewer")).unwrap();
    assert_eq!(both.rules().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_plan_shows_that_a_target_which_it_does_not_stop_must_be_stopped_first() {
    let world = World::of(2);
    let stopped = world.targets[1].id().clone();
    let procedure = Procedure::new("stop-all", vec![Step::new(Stop::of(&world.targets[0]))])
        .unwrap()
        .watching(Stop::of(&world.targets[1]))
        .with_rule(Rule::new("queue-first", SafetyRule::Requires { stopped }))
        .unwrap();
    let shown = || async {
        let plan = world.engine.plan_stop(&procedure).await;
        let broken = plan.broken_rules(&alice(), world.clock.time());
        Vec::from_iter(broken.into_iter().map(|broken| broken.rule))
    };
    assert_eq!(shown().await, ["queue-first"]);
    let other = Procedure::new("stop-other", vec![Step::new(Stop::of(&world.targets[1]))]).unwrap();
    let _ = world.stop_by(&other).await;
    assert_eq!(shown().await, Vec::<String>::new());
    assert_eq!(world.stop_by(&procedure).await.status, OutcomeStatus::Verified);
}

#[tokio::test(start_paused = true)]
async fn a_rule_that_is_broken_after_the_plan_was_approved_refuses_before_the_first_effect() {
    let world = World::of(2);
    let plan = world.engine.plan_stop(&guarded(&world)).await;
    let plan = plan
        .approve(&[], &Approvers::none(), alice(), world.clock.time())
        .unwrap();
    let other = Procedure::new("stop-other", vec![Step::new(Stop::of(&world.targets[1]))]).unwrap();
    let _ = world.stop_by(&other).await;
    tokio::time::sleep(Duration::from_secs(10)).await;
    let refused = world.engine.execute(plan).await.unwrap_err();
    assert!(matches!(refused, Refusal::Violates { .. }), "{refused}");
    let text = refused.text();
    for lang in [Lang::En, Lang::Ja] {
        assert!(text.get(lang).contains("keep-one"), "{text:?}");
    }
    assert!(!world.targets[0].is_stopped());
}

#[tokio::test(start_paused = true)]
async fn a_rule_that_is_broken_before_a_later_stage_holds_that_stage_back() {
    let world = World::of(2);
    let now = world.clock.time();
    let window = Window::Once {
        start: now + Duration::from_secs(1),
        end: now + Duration::from_secs(600),
    };
    let procedure = world
        .procedure_with(|at, step| step.closing(u32::try_from(at).unwrap()))
        .with_rule(Rule::new("not-during:batch", SafetyRule::NotDuring { window }))
        .unwrap();
    let plan = world.engine.plan_stop(&procedure).await;
    let plan = plan.approve(&[], &Approvers::none(), alice(), now).unwrap();
    // The first stage takes longer than until the window opens.
    world.targets[0].set_latency(Duration::from_millis(1500));
    let outcome = world.engine.execute(plan).await.unwrap();
    assert!(world.targets[0].is_stopped() && !world.targets[1].is_stopped());
    let second = report_of(&outcome, &world.targets[1]);
    assert_eq!(second.result, StepResult::Skipped);
    assert!(second.verdict.reason().unwrap().contains("not-during:batch"));
    assert_eq!(outcome.status, OutcomeStatus::Partial);
}

#[tokio::test(start_paused = true)]
async fn the_rules_of_a_stop_hold_no_restore_back() {
    let world = World::of(2);
    let before = world.bytes();
    let now = world.clock.time();
    let window = Window::Once {
        start: now + Duration::from_secs(60),
        end: now + Duration::from_secs(6000),
    };
    let procedure = world
        .procedure_with(|at, step| step.opening(u32::try_from(at).unwrap()))
        .with_rule(Rule::new("not-during:batch", SafetyRule::NotDuring { window }))
        .unwrap();
    let stopped = world.stop_by(&procedure).await.run;
    tokio::time::sleep(Duration::from_secs(120)).await;
    let restored = world.restore_by(&stopped, &procedure).await.unwrap();
    assert_eq!(restored.status, OutcomeStatus::Verified);
    assert_eq!(world.bytes(), before);
}

#[tokio::test(start_paused = true)]
async fn rules_that_have_just_been_judged_do_not_delay_the_first_effect() {
    let world = World::of(2);
    let plan = world.engine.plan_stop(&guarded(&world)).await;
    let plan = plan
        .approve(&[], &Approvers::none(), alice(), world.clock.time())
        .unwrap();
    world.targets[1].next_observe(Fault::Hang);
    let began = tokio::time::Instant::now();
    let effect = async {
        world.targets[0].effects(1).await;
        began.elapsed()
    };
    let (outcome, effect) = tokio::join!(world.engine.execute(plan), effect);
    assert_eq!(outcome.unwrap().status, OutcomeStatus::Verified);
    assert!(effect < Duration::from_secs(1), "{effect:?}");
}

#[tokio::test(start_paused = true)]
async fn a_broken_glass_stays_open_for_review_until_another_person_has_looked() {
    let world = World::of(1);
    let now = world.clock.time();
    let plan = world.engine.plan_stop(&approved_stop(&world)).await;
    let glass = BreakGlass::new("the approver is on a plane")
        .unwrap()
        .overriding("approvals");
    let outcome = world
        .engine
        .execute(plan.break_glass(glass, alice(), now).unwrap())
        .await
        .unwrap();
    let open = || async { world.engine.reviews().await.unwrap() };

    let review = open().await.remove(0);
    assert_eq!((&review.run, review.reviewed.is_none()), (&outcome.run, true));
    assert_eq!(review.overrides, ["approvals"]);
    assert_eq!(Some(review.due), outcome.review_due);
    let three_days = Duration::from_secs(3 * 24 * 3600);
    assert!(
        !review.is_overdue(review.at + three_days)
            && review.is_overdue(review.at + three_days + Duration::from_secs(1))
    );

    for (by, note) in [(alice(), "fine"), (robot(), "fine"), (bob(), " ")] {
        let refused = world.engine.review(&outcome.run, &by, note).await.unwrap_err();
        assert!(matches!(refused, Refusal::NoReview { .. }), "{refused}");
    }
    assert!(open().await[0].reviewed.is_none());
    // Nor does a note that got into the journal some other way.
    for by in [alice(), robot()] {
        let note = "fine".to_owned();
        let noted = JournalEvent::Reviewed { by, note };
        let entry = JournalEntry::new(outcome.run.clone(), world.clock.time(), noted);
        world.journal.append(&entry).await.unwrap();
    }
    assert!(open().await[0].reviewed.is_none());
    world
        .engine
        .review(&outcome.run, &bob(), "was right to do so")
        .await
        .unwrap();
    assert_eq!(open().await[0].reviewed.as_ref().unwrap().0, bob());
}
