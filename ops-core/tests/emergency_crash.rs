//! A process that dies at any of its journal writes, or between an effect and its entry, is taken up and the world put back exactly.
#![allow(
    clippy::unwrap_used,
    clippy::clone_on_ref_ptr,
    reason = "a test ends at what it did not expect, and shares its doubles as ports"
)]

mod support_emergency;

use std::sync::Arc;
use std::time::Duration;

use ops_core::emergency::{Approved, Plan, Refusal};
use ops_core::file::FileJournal;
use ops_core::model::{Outcome, OutcomeStatus, RunId};
use ops_core::ports::Journal;
use support_emergency::{CutJournal, Fault, Moment, SharedJournal, Target, World, alice, settle_tasks};
use tempfile::TempDir;

const TARGETS: usize = 3;
/// Started, then hold, intent, applied, verified for each target, then ended.
const STOP_WRITES: usize = 1 + 4 * TARGETS + 1;
/// Started, then intent, applied, verified, release for each target, then ended.
const RESTORE_WRITES: usize = 1 + 4 * TARGETS + 1;

const MOMENTS: [Moment; 2] = [Moment::BeforeTheWrite, Moment::AfterTheWrite];

/// Where a journal is kept; opening it again is what a new process does.
#[derive(Debug)]
enum Place {
    Memory(Arc<SharedJournal>),
    Directory(TempDir),
}

impl Place {
    fn memory() -> Self {
        Self::Memory(Arc::default())
    }

    fn directory() -> Self {
        Self::Directory(tempfile::tempdir().unwrap())
    }

    fn open(&self) -> Arc<dyn Journal> {
        match self {
            Self::Memory(journal) => journal.clone(),
            Self::Directory(directory) => Arc::new(FileJournal::open(directory.path()).unwrap()),
        }
    }
}

/// Two stages each way, so that a crash between stages is met, too.
fn procedure(world: &World) -> ops_core::emergency::Procedure {
    let stage = |at: usize| u32::from(at == 2);
    world.procedure_with(|at, step| step.closing(stage(at)).opening(1 - stage(at)))
}

/// Carries out `plan` in a process that dies with `journal`; `None` when it died.
async fn until_death(world: &World, journal: &CutJournal, plan: Plan<Approved>) -> Option<Outcome> {
    let ended = tokio::select! {
        biased;
        () = journal.died() => None,
        ended = world.engine.execute(plan) => Some(ended.unwrap()),
    };
    settle_tasks().await;
    ended
}

async fn stop_plan(world: &World) -> Plan<Approved> {
    let plan = world.engine.plan_stop(&procedure(world)).await;
    plan.approve(&[], &Default::default(), alice(), world.clock.time())
        .unwrap()
}

async fn restore_plan(world: &World, run: &RunId) -> Result<Plan<Approved>, Refusal> {
    let plan = world.engine.plan_restore(run, &procedure(world)).await?;
    world.people.approve(plan, world.clock.time())
}

/// What an operator does after a crash of a stop: take it up, or stop again if it never began. Gives the run that is stopped now.
async fn take_up_stop(world: &World, run: &RunId) -> RunId {
    let outcome = match world.engine.resume(run, &procedure(world), &alice()).await {
        Ok(outcome) => outcome,
        Err(Refusal::UnknownRun { .. }) => world.stop_by(&procedure(world)).await,
        Err(other) => panic!("{other}"),
    };
    assert_eq!(outcome.status, OutcomeStatus::Verified, "{outcome:#?}");
    assert_eq!(outcome.steps.len(), TARGETS);
    assert!(world.all_stopped());
    outcome.run
}

/// What an operator does after a crash of a restore: take it up, or plan it again if it never began.
async fn take_up_restore(world: &World, stopped: &RunId, restore: &RunId) {
    let outcome = match world.engine.resume(restore, &procedure(world), &alice()).await {
        Err(Refusal::UnknownRun { .. }) => {
            let plan = restore_plan(world, stopped).await.unwrap();
            world.engine.execute(plan).await.unwrap()
        }
        taken_up => taken_up.unwrap(),
    };
    assert_eq!(outcome.status, OutcomeStatus::Verified, "{outcome:#?}");
    assert_eq!(outcome.steps.len(), TARGETS);
}

async fn assert_as_before(world: &World, before: &[Vec<u8>], what: &str) {
    assert_eq!(world.bytes(), before, "{what}");
    assert!(world.held().await.is_empty(), "{what}: nothing is held any more");
}

async fn stop_dies_at_every_write(place: fn() -> Place, what: &str) -> usize {
    let mut points = 0;
    for moment in MOMENTS {
        for at in 1.. {
            let place = place();
            let world = World::over(place.open(), TARGETS);
            let before = world.bytes();
            let cut = Arc::new(CutJournal::new(place.open(), at, moment));
            let dying = world.machine(cut.clone());
            let plan = stop_plan(&dying).await;
            let run = plan.run().clone();
            let what = format!("{what}: stop dies at write {at}, {moment:?}");
            let ended = until_death(&dying, &cut, plan).await;

            let fresh = world.machine(place.open());
            let stopped = take_up_stop(&fresh, &run).await;
            let held = fresh.held().await;
            let held: Vec<_> = held.iter().map(|held| held.snapshot.restorable_bytes()).collect();
            assert_eq!(held, before, "{what}: what is held is what was there");
            let restored = fresh.restore_by(&stopped, &procedure(&fresh)).await.unwrap();
            assert_eq!(restored.status, OutcomeStatus::Verified, "{what}");
            assert_as_before(&fresh, &before, &what).await;
            if ended.is_some() {
                assert_eq!(cut.writes(), STOP_WRITES, "{what}");
                break;
            }
            points += 1;
        }
    }
    points
}

async fn restore_dies_at_every_write(place: fn() -> Place, what: &str) -> usize {
    let mut points = 0;
    for moment in MOMENTS {
        for at in 1.. {
            let place = place();
            let world = World::over(place.open(), TARGETS);
            let before = world.bytes();
            let stopped = world.stop_by(&procedure(&world)).await.run;
            let cut = Arc::new(CutJournal::new(place.open(), at, moment));
            let dying = world.machine(cut.clone());
            let plan = restore_plan(&dying, &stopped).await.unwrap();
            let restore = plan.run().clone();
            let what = format!("{what}: restore dies at write {at}, {moment:?}");
            let ended = until_death(&dying, &cut, plan).await;

            let fresh = world.machine(place.open());
            take_up_restore(&fresh, &stopped, &restore).await;
            assert_as_before(&fresh, &before, &what).await;
            let confirmed = match fresh.engine.confirm(&restore, &procedure(&fresh)).await {
                Err(Refusal::UnknownRun { .. }) => Vec::new(),
                confirmed => confirmed.unwrap(),
            };
            assert!(confirmed.iter().all(|one| one.verdict.holds()), "{what}");
            if ended.is_some() {
                assert_eq!(cut.writes(), RESTORE_WRITES, "{what}");
                break;
            }
            points += 1;
        }
    }
    points
}

#[tokio::test(start_paused = true)]
async fn a_stop_that_dies_at_any_write_is_taken_up_and_restored_exactly() {
    let points = stop_dies_at_every_write(Place::memory, "memory").await;
    assert!(points >= 2 * STOP_WRITES, "only {points} points");
}

#[tokio::test(start_paused = true)]
async fn a_stop_that_dies_at_any_write_is_taken_up_from_the_files_of_its_journal() {
    let points = stop_dies_at_every_write(Place::directory, "files").await;
    assert!(points >= 2 * STOP_WRITES, "only {points} points");
}

#[tokio::test(start_paused = true)]
async fn a_restore_that_dies_at_any_write_is_taken_up_and_is_exact() {
    let points = restore_dies_at_every_write(Place::memory, "memory").await;
    assert!(points >= 2 * RESTORE_WRITES, "only {points} points");
}

#[tokio::test(start_paused = true)]
async fn a_restore_that_dies_at_any_write_is_taken_up_from_the_files_of_its_journal() {
    let points = restore_dies_at_every_write(Place::directory, "files").await;
    assert!(points >= 2 * RESTORE_WRITES, "only {points} points");
}

#[tokio::test(start_paused = true)]
async fn a_stop_that_died_is_restored_exactly_without_being_taken_up() {
    for moment in MOMENTS {
        for at in 1..=STOP_WRITES {
            let place = Place::memory();
            let world = World::over(place.open(), TARGETS);
            let before = world.bytes();
            let cut = Arc::new(CutJournal::new(place.open(), at, moment));
            let dying = world.machine(cut.clone());
            let plan = stop_plan(&dying).await;
            let run = plan.run().clone();
            assert!(until_death(&dying, &cut, plan).await.is_none());

            let what = format!("write {at}, {moment:?}");
            let fresh = world.machine(place.open());
            match restore_plan(&fresh, &run).await {
                Ok(plan) => {
                    let restored = fresh.engine.execute(plan).await.unwrap();
                    assert_eq!(restored.status, OutcomeStatus::Verified, "{what}");
                }
                Err(Refusal::UnknownRun { .. } | Refusal::NothingHeld { .. }) => {}
                Err(other) => panic!("{what}: {other}"),
            }
            assert_as_before(&fresh, &before, &what).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_stop_that_dies_again_while_it_is_taken_up_is_restored_exactly() {
    let mut pairs = 0;
    for (first, second) in
        (1..=STOP_WRITES).flat_map(|first| (1..=STOP_WRITES).map(move |second| (first, second)))
    {
        for moment in MOMENTS {
            let place = Place::memory();
            let world = World::over(place.open(), TARGETS);
            let before = world.bytes();
            let cut = Arc::new(CutJournal::new(place.open(), first, moment));
            let dying = world.machine(cut.clone());
            let plan = stop_plan(&dying).await;
            let run = plan.run().clone();
            assert!(until_death(&dying, &cut, plan).await.is_none());

            let cut = Arc::new(CutJournal::new(place.open(), second, moment));
            let dying = world.machine(cut.clone());
            let (procedure, actor) = (procedure(&dying), alice());
            tokio::select! {
                biased;
                () = cut.died() => pairs += 1,
                _ = dying.engine.resume(&run, &procedure, &actor) => {}
            }
            settle_tasks().await;

            let fresh = world.machine(place.open());
            let stopped = take_up_stop(&fresh, &run).await;
            let _ = fresh.restore_by(&stopped, &procedure).await.unwrap();
            assert_as_before(&fresh, &before, &format!("{first} then {second}, {moment:?}")).await;
        }
    }
    assert!(
        pairs >= STOP_WRITES * STOP_WRITES / 2,
        "only {pairs} pairs of crashes were met"
    );
}

#[tokio::test(start_paused = true)]
async fn after_a_stop_that_died_another_run_may_stop_and_both_are_restored_exactly() {
    for moment in MOMENTS {
        for at in 1..=STOP_WRITES {
            let place = Place::memory();
            let world = World::over(place.open(), TARGETS);
            let before = world.bytes();
            let cut = Arc::new(CutJournal::new(place.open(), at, moment));
            let dying = world.machine(cut.clone());
            let plan = stop_plan(&dying).await;
            assert!(until_death(&dying, &cut, plan).await.is_none());

            let what = format!("write {at}, {moment:?}");
            let other = world.machine(place.open());
            let second = other.stop_by(&procedure(&other)).await;
            assert_eq!(second.status, OutcomeStatus::Verified, "{what}");
            let held = other.held().await;
            let bytes: Vec<_> = held.iter().map(|held| held.snapshot.restorable_bytes()).collect();
            assert_eq!(bytes, before, "{what}");
            for run in held
                .into_iter()
                .map(|held| held.run)
                .collect::<std::collections::BTreeSet<_>>()
            {
                let restored = other.restore_by(&run, &procedure(&other)).await.unwrap();
                assert_eq!(restored.status, OutcomeStatus::Verified, "{what}");
            }
            assert_as_before(&other, &before, &what).await;
        }
    }
}

/// The process dies when target 1 has had so many effects; a stop and a restore have two each.
async fn dies_in_the_effect(world: &World, target: &Target, effects: usize, plan: Plan<Approved>) {
    tokio::select! {
        ended = world.engine.execute(plan) => panic!("must not end: {ended:?}"),
        () = target.effects(effects) => {}
    }
    settle_tasks().await;
}

#[tokio::test(start_paused = true)]
async fn a_stop_that_dies_in_or_right_after_its_effect_is_restored_exactly() {
    for fault in [Fault::HangHalfway, Fault::HangAfterEffect] {
        let effects = if matches!(fault, Fault::HangHalfway) { 1 } else { 2 };
        for take_up in [true, false] {
            let world = World::of(TARGETS);
            let before = world.bytes();
            world.targets[1].next_apply(fault.clone());
            let plan = stop_plan(&world).await;
            let run = plan.run().clone();
            dies_in_the_effect(&world, &world.targets[1], effects, plan).await;
            let fresh = world.machine(Arc::clone(&world.journal));
            if take_up {
                assert_eq!(take_up_stop(&fresh, &run).await, run);
            }
            let plan = restore_plan(&fresh, &run).await.unwrap();
            let restored = fresh.engine.execute(plan).await.unwrap();
            assert_eq!(restored.status, OutcomeStatus::Verified, "{fault:?}");
            assert_as_before(&fresh, &before, &format!("{fault:?}, taken up: {take_up}")).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_restore_that_dies_in_or_right_after_its_effect_is_taken_up_and_is_exact() {
    for fault in [Fault::HangHalfway, Fault::HangAfterEffect] {
        let effects = if matches!(fault, Fault::HangHalfway) { 3 } else { 4 };
        let world = World::of(TARGETS);
        let before = world.bytes();
        let stopped = world.stop_by(&procedure(&world)).await.run;
        world.targets[1].next_restore(fault.clone());
        let plan = restore_plan(&world, &stopped).await.unwrap();
        let restore = plan.run().clone();
        dies_in_the_effect(&world, &world.targets[1], effects, plan).await;
        let fresh = world.machine(Arc::clone(&world.journal));
        take_up_restore(&fresh, &stopped, &restore).await;
        assert_as_before(&fresh, &before, &format!("{fault:?}")).await;
    }
}

#[tokio::test(start_paused = true)]
async fn taking_up_what_has_ended_well_does_nothing_again() {
    let world = World::of(TARGETS);
    let stopped = world.stop().await;
    let applied: Vec<_> = world
        .targets
        .iter()
        .map(|target| target.applied().len())
        .collect();
    let again = world
        .engine
        .resume(&stopped.run, &world.procedure(), &alice())
        .await
        .unwrap();
    assert_eq!(again.status, OutcomeStatus::Verified);
    // How long a step took is told by its entries.
    for (first, again) in stopped.steps.iter().zip(&again.steps) {
        assert!(again.within_target && again.elapsed > Duration::ZERO && again.elapsed <= first.elapsed);
    }
    let now: Vec<_> = world
        .targets
        .iter()
        .map(|target| target.applied().len())
        .collect();
    assert_eq!(now, applied);
}
