//! Opening is staged and gated: gates, ramps, jitter, and the fast path of a person.
#![allow(
    clippy::unwrap_used,
    clippy::clone_on_ref_ptr,
    reason = "a test ends at what it did not expect, and shares its doubles as ports"
)]

mod support_emergency;

use std::sync::Arc;
use std::time::Duration;

use ops_core::emergency::{Approvers, BreakGlass, Gate, Procedure, Refusal, Step};
use ops_core::memory::InMemoryHealth;
use ops_core::model::{
    AbortCause, Actor, GateResult, Lang, Outcome, OutcomeStatus, RunId, Share, StepResult, TargetState,
    Verdict,
};
use ops_core::ports::{GateMoment, JournalEvent};
use serde_json::json;
use support_emergency::{
    Failure, FaultyJournal, HOLD, Seen, SharedJournal, Stop, World, alice, gate, shares, staged, well,
};

/// Sets the health after so long.
fn later(health: &Arc<InMemoryHealth>, after: Duration, verdict: Verdict) {
    let health = Arc::clone(health);
    tokio::spawn(async move {
        tokio::time::sleep(after).await;
        health.set(verdict);
    });
}

/// Two targets, the second opens after a gate.
fn two_stages(world: &World, health: &Arc<InMemoryHealth>) -> Procedure {
    let procedure = world.procedure_with(|at, step| step.opening(at as u32));
    procedure.with_gate(gate(0, health)).unwrap()
}

/// How long the only gate took.
#[track_caller]
fn waited(outcome: &Outcome) -> Duration {
    assert_eq!(outcome.gates.len(), 1, "{outcome:#?}");
    assert_eq!(outcome.gates[0].result, GateResult::Passed, "{outcome:#?}");
    outcome.gates[0].waited
}

#[tokio::test(start_paused = true)]
async fn the_next_stage_begins_when_health_has_held_for_the_time() {
    let (world, health, seen) = (World::of(2), well(), Seen::new());
    let before = world.bytes();
    let stopped = world.stop().await.run;
    let mut world = world;
    world.engine = world.engine.with_watch(seen.clone());
    let procedure = two_stages(&world, &health);
    let outcome = world.restore_by(&stopped, &procedure).await.unwrap();
    assert_eq!(outcome.status, OutcomeStatus::Verified);
    assert!(
        (HOLD..HOLD + Duration::from_secs(6)).contains(&waited(&outcome)),
        "{outcome:?}"
    );
    assert_eq!(world.bytes(), before);
    assert!(world.held().await.is_empty());
    let at = |step: u32| {
        let entries = seen.entries();
        let intent = entries
            .iter()
            .find(|entry| matches!(&entry.event, JournalEvent::Intent { step: found, .. } if *found == step));
        intent.unwrap().at
    };
    assert!(at(1) >= at(0) + HOLD);
}

#[tokio::test(start_paused = true)]
async fn what_is_sick_or_silent_starts_the_hold_anew() {
    for verdict in [Verdict::not_yet("overloaded"), Verdict::unknown("no answer")] {
        let (world, health) = (World::of(2), well());
        let stopped = world.stop().await.run;
        later(&health, Duration::from_secs(50), verdict.clone());
        later(&health, Duration::from_secs(57), Verdict::Holds);
        let procedure = two_stages(&world, &health);
        let outcome = world.restore_by(&stopped, &procedure).await.unwrap();
        assert_eq!(outcome.status, OutcomeStatus::Verified);
        assert!(
            waited(&outcome) >= Duration::from_secs(55) + HOLD,
            "{verdict:?}: {outcome:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn one_look_is_no_hold_and_no_data_is_no_health() {
    for verdict in [
        None,
        Some(Verdict::not_yet("overloaded")),
        Some(Verdict::unknown("no answer")),
    ] {
        let (world, health) = (World::of(2), Arc::new(InMemoryHealth::new()));
        let before = world.bytes();
        let stopped = world.stop().await.run;
        // Well for all but the last second of the hold, again and again.
        let flapping = Arc::clone(&health);
        let verdict = verdict.unwrap_or(Verdict::unknown("nothing has been reported yet"));
        let sick = verdict.clone();
        tokio::spawn(async move {
            loop {
                flapping.set(sick.clone());
                tokio::time::sleep(Duration::from_secs(6)).await;
                flapping.set(Verdict::Holds);
                tokio::time::sleep(HOLD - Duration::from_secs(1)).await;
            }
        });
        let procedure = two_stages(&world, &health);
        let outcome = world.restore_by(&stopped, &procedure).await.unwrap();
        assert_eq!(outcome.status, OutcomeStatus::Failed, "{outcome:#?}");
        assert!(matches!(&outcome.gates[0].result, GateResult::Failed { .. }));
        assert!(world.all_stopped());
        let names: Vec<_> = outcome.steps.iter().map(|step| step.result.name()).collect();
        assert_eq!(names, ["closed_again", "skipped"]);

        let held = world.held().await;
        assert!(
            held.iter().all(|held| held.run == stopped),
            "by the run that stopped it"
        );
        let held: Vec<_> = held.iter().map(|held| held.snapshot.restorable_bytes()).collect();
        assert_eq!(held, before, "the state from before everything");
        assert_eq!(
            world.restore(&stopped).await.unwrap().status,
            OutcomeStatus::Verified
        );
        assert_eq!(world.bytes(), before);
    }
}

#[tokio::test(start_paused = true)]
async fn a_gate_that_fails_is_named_with_its_reason_everywhere() {
    let (world, health) = (World::of(2), Arc::new(InMemoryHealth::new()));
    let stopped = world.stop().await.run;
    health.set(Verdict::not_yet("p95 of 4 s"));
    let procedure = two_stages(&world, &health);
    let outcome = world.restore_by(&stopped, &procedure).await.unwrap();
    let aborted = outcome.aborted.clone().unwrap();
    assert_eq!(
        aborted.cause,
        AbortCause::Gate {
            gate: 0,
            reason: "api: p95 of 4 s".to_owned()
        }
    );
    assert!(aborted.stopped() && aborted.closed.len() == 1 && aborted.closed[0].held);
    assert!(!outcome.within_target);
    let StepResult::ClosedAgain { reason } = &outcome.steps[0].result else {
        panic!("{outcome:#?}");
    };
    assert!(reason.contains("gate 1 failed: api: p95 of 4 s"), "{reason}");
    let entries = world.engine.entries(&outcome.run).await.unwrap();
    let failed = |event: &JournalEvent| matches!(event, JournalEvent::Gate { gate: 0, moment: GateMoment::Failed { reason } } if reason == "api: p95 of 4 s");
    assert!(entries.iter().any(|entry| failed(&entry.event)));
    // It gave up when its patience was over, not before.
    assert!(
        outcome.gates[0].waited >= Duration::from_secs(590),
        "{:?}",
        outcome.gates[0].waited
    );
    assert!(outcome.gates[0].waited <= Duration::from_secs(601));
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_hangs_or_panics_is_no_health() {
    #[derive(Debug)]
    struct Broken(bool);
    #[async_trait::async_trait]
    impl ops_core::ports::HealthProbe for Broken {
        async fn check(&self) -> Verdict {
            assert!(self.0, "a probe's own fault, injected by the test");
            std::future::pending().await
        }
    }
    for hangs in [true, false] {
        let (world, health) = (World::of(1), well());
        let stopped = world.stop().await.run;
        let gate = gate(0, &health).with_check("broken", Arc::new(Broken(hangs)));
        let procedure = world.procedure().with_gate(gate).unwrap();
        let outcome = world.restore_by(&stopped, &procedure).await.unwrap();
        assert_eq!(outcome.status, OutcomeStatus::Failed);
        assert!(world.all_stopped() && world.held().await.len() == 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_staging_check_that_fails_opens_nothing_at_all() {
    let (world, health) = (World::of(2), Arc::new(InMemoryHealth::new()));
    let stopped = world.stop().await.run;
    let staging = Gate::before_opening().with_check("staging", health.clone());
    let procedure = world.procedure().with_gate(staging).unwrap();
    let outcome = world.restore_by(&stopped, &procedure).await.unwrap();
    assert_eq!(outcome.status, OutcomeStatus::Failed);
    assert!(
        outcome
            .steps
            .iter()
            .all(|step| step.result == StepResult::Skipped)
    );
    assert!(outcome.aborted.unwrap().closed.is_empty());
    assert!(
        world
            .targets
            .iter()
            .all(|target| target.restored() == 0 && target.applied().len() == 1)
    );
    assert_eq!(world.held().await.len(), 2);

    health.set(Verdict::Holds);
    let outcome = world.restore_by(&stopped, &procedure).await.unwrap();
    assert_eq!(outcome.status, OutcomeStatus::Verified);
}

#[tokio::test(start_paused = true)]
async fn a_journal_that_cannot_be_read_lets_no_gate_pass() {
    let journal = Arc::new(FaultyJournal::broken_for(
        Arc::new(SharedJournal::new()),
        Failure::Fails,
        0..0,
    ));
    let (world, health) = (World::over(journal.clone(), 2), well());
    let stopped = world.stop().await.run;
    let procedure = two_stages(&world, &health);
    let (broken, repaired) = (Duration::from_secs(20), Duration::from_secs(90));
    tokio::spawn(async move {
        tokio::time::sleep(broken).await;
        journal.break_now();
        tokio::time::sleep(repaired - broken).await;
        journal.repair();
    });
    let outcome = world.restore_by(&stopped, &procedure).await.unwrap();
    assert!(
        waited(&outcome) >= repaired + HOLD - Duration::from_secs(6),
        "{outcome:#?}"
    );
    assert!(!outcome.journalled);
}

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

#[test]
fn what_cannot_be_split_or_watched_is_refused_when_the_procedure_is_built() {
    let world = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap()
        .block_on(async { World::of(1) });
    let target = &world.targets[0];
    let refused = |step: Step, why: &str| {
        let error = Procedure::new("p", vec![step]).unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
    };
    refused(
        Step::new(Stop::of(target)).with_ramp(shares(&[1])),
        "cannot be opened in parts",
    );
    refused(
        Step::new(Stop::in_parts(target)).with_ramp(shares(&[10, 1])),
        "must rise",
    );
    refused(
        Step::new(Stop::in_parts(target)).with_ramp([Share::ALL]),
        "below 100 %",
    );

    let health = well();
    let refused = |gate: Gate, why: &str| {
        let error = world.procedure().with_gate(gate).unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
    };
    refused(Gate::after(0), "has no health check");
    refused(gate(3, &health), "in which nothing opens");
    refused(
        gate(0, &health).with_check("api", health.clone()),
        "two health checks of one name",
    );
    refused(gate(0, &health).with_patience(HOLD), "more patience");
    refused(gate(0, &health).with_every(Duration::ZERO), "more often");
    let twice = world
        .procedure()
        .with_gate(gate(0, &health))
        .unwrap()
        .with_gate(gate(0, &health));
    assert!(twice.unwrap_err().to_string().contains("two gates"));
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

    let outcome = world.engine.execute(approved.clone()).await.unwrap();
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
async fn a_run_is_resumed_only_with_the_health_checks_it_was_approved_with() {
    let (world, health) = (World::of(2), well());
    let stopped = world.stop().await.run;
    let procedure = two_stages(&world, &health);
    let plan = world.engine.plan_restore(&stopped, &procedure).await.unwrap();
    let run: RunId = plan.run().clone();
    let plan = world.people.approve(plan, world.clock.time()).unwrap();
    tokio::select! {
        _ = world.engine.execute(plan) => panic!("there is a gate"),
        () = tokio::time::sleep(Duration::from_secs(10)) => {}
    }
    let without = world.engine.resume(&run, &world.procedure(), &alice()).await;
    assert!(
        matches!(&without, Err(Refusal::WrongProcedure { what }) if what.contains("api")),
        "{without:?}"
    );
    let resumed = world.engine.resume(&run, &procedure, &alice()).await.unwrap();
    assert_eq!(resumed.status, OutcomeStatus::Verified);
    assert!(waited(&resumed) >= HOLD, "the hold starts anew");
}
