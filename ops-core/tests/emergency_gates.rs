//! Opening is gated: health is seen to hold, or the restore goes back.
#![allow(
    clippy::unwrap_used,
    clippy::clone_on_ref_ptr,
    reason = "a test ends at what it did not expect, and shares its doubles as ports"
)]

mod support_emergency;

use std::sync::Arc;
use std::time::Duration;

use ops_core::emergency::{Gate, Procedure, Refusal, Step};
use ops_core::memory::InMemoryHealth;
use ops_core::model::{AbortCause, GateResult, Outcome, OutcomeStatus, RunId, Share, StepResult, Verdict};
use ops_core::ports::{GateMoment, JournalEvent};
use support_emergency::{
    Failure, FaultyJournal, HOLD, Seen, SharedJournal, Stop, World, alice, gate, shares, well,
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
        Step::new(Stop::in_parts(target)).with_ramp(shares(&[10, 10])),
        "must rise",
    );
    refused(
        Step::new(Stop::in_parts(target)).with_ramp([Share::ALL]),
        "below 100 %",
    );

    let splits = [Stop::of(target), Stop::in_parts(target)].map(|action| Step::new(action).splits());
    assert_eq!(splits, [false, true]);

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
    // A name stands for one probe in the whole procedure: that is how a run that is taken up finds it.
    let gated = || {
        let procedure = world.procedure_with(|_, step| step.opening(1));
        procedure.with_gate(Gate::before_opening().with_check("api", health.clone()))
    };
    let other = gated()
        .unwrap()
        .with_gate(gate(1, &well()))
        .unwrap_err()
        .to_string();
    for part in [
        "health check api after stage 1",
        "before opening",
        "give each a name of its own",
    ] {
        assert!(other.contains(part), "{other}");
    }
    gated().unwrap().with_gate(gate(1, &health)).unwrap();
    refused(gate(0, &health).with_every(Duration::ZERO), "more often");
    let twice = world
        .procedure()
        .with_gate(gate(0, &health))
        .unwrap()
        .with_gate(gate(0, &health));
    assert!(twice.unwrap_err().to_string().contains("two gates"));
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

#[tokio::test(start_paused = true)]
async fn a_gate_gives_up_once_no_further_look_fits_into_its_patience() {
    let (world, health) = (World::of(1), well());
    health.set(Verdict::not_yet("overloaded"));
    let every = Duration::from_secs(5);
    let gate = gate(0, &health)
        .with_hold(every)
        .with_every(every)
        .with_patience(HOLD);
    let procedure = world.procedure().with_gate(gate).unwrap();
    let stopped = world.stop_by(&procedure).await.run;
    let restored = world.restore_by(&stopped, &procedure).await.unwrap();
    let gate = &restored.gates[0];
    assert!(matches!(gate.result, GateResult::Failed { .. }), "{gate:?}");
    assert_eq!(gate.waited, HOLD - every, "the next look would come too late");
    let entries = world.engine.entries(&restored.run).await.unwrap();
    let seen = entries.iter().find_map(|entry| match &entry.event {
        JournalEvent::Gate {
            moment: GateMoment::Saw { seen },
            ..
        } => Some(seen.clone()),
        _ => None,
    });
    assert_eq!(seen, Some(Verdict::not_yet("api: overloaded")));
    assert!(restored.aborted.unwrap().stopped());
}
