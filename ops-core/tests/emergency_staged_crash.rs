//! A staged restore that dies at any of its journal writes is taken up, or aborted, and the world is put back exactly either way.
#![allow(
    clippy::unwrap_used,
    clippy::clone_on_ref_ptr,
    reason = "a test ends at what it did not expect, and shares its doubles as ports"
)]

mod support_emergency;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ops_core::emergency::{Approved, Engine, Plan, Procedure, Refusal};
use ops_core::file::FileJournal;
use ops_core::memory::InMemoryHealth;
use ops_core::model::{Outcome, OutcomeStatus, RunId, Verdict};
use ops_core::ports::{GateMoment, Journal, JournalEntry, JournalEvent};
use support_emergency::{
    CutJournal, Moment, Seen, SharedJournal, World, alice, settle_tasks, staged_with, well,
};
use tempfile::TempDir;

/// Started; then for each of the four steps intent, applied, verified; a release for each of the two targets; waiting, saw and passed for each of
/// the four gates; ended.
const WRITES: usize = 1 + 4 * 3 + 2 + 4 * 3 + 1;

const MOMENTS: [Moment; 2] = [Moment::BeforeTheWrite, Moment::AfterTheWrite];
const REASON: &str = "the line is still bad";

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

/// Short holds: every second of them is read from the journal in each of hundreds of worlds.
fn gated(world: &World, health: &Arc<InMemoryHealth>) -> Procedure {
    let second = Duration::from_secs(1);
    staged_with(world, health, |gate| {
        gate.with_hold(3 * second)
            .with_every(second)
            .with_patience(10 * second)
    })
}

fn procedure(world: &World) -> Procedure {
    gated(world, &well())
}

async fn restore_plan(world: &World, run: &RunId) -> Result<Plan<Approved>, Refusal> {
    let plan = world.engine.plan_restore(run, &procedure(world)).await?;
    world.people.approve(plan, world.clock.time())
}

/// `None` when the process died.
async fn until_death<T>(journal: &CutJournal, work: impl Future<Output = T>) -> Option<T> {
    let ended = tokio::select! {
        biased;
        () = journal.died() => None,
        ended = work => Some(ended),
    };
    settle_tasks().await;
    ended
}

/// A stopped world, and a restore of it that died at write `at`, if it did.
struct Died {
    place: Place,
    world: World,
    before: Vec<Vec<u8>>,
    stopped: RunId,
    restore: RunId,
    ended: Option<Outcome>,
    writes: usize,
}

async fn restore_dies(place: Place, at: usize, moment: Moment) -> Died {
    let world = World::over(place.open(), 2);
    let before = world.bytes();
    let stopped = world.stop_by(&procedure(&world)).await.run;
    let cut = Arc::new(CutJournal::new(place.open(), at, moment));
    let dying = world.machine(cut.clone());
    let plan = restore_plan(&dying, &stopped).await.unwrap();
    let restore = plan.run().clone();
    let ended = until_death(&cut, dying.engine.execute(plan)).await;
    Died {
        place,
        world,
        before,
        stopped,
        restore,
        ended: ended.map(Result::unwrap),
        writes: cut.writes(),
    }
}

async fn assert_as_before(world: &World, before: &[Vec<u8>], what: &str) {
    assert_eq!(world.bytes(), before, "{what}");
    assert!(world.held().await.is_empty(), "{what}: nothing is held any more");
}

/// Everything is stopped, held as before everything by the run that stopped it, and is restored exactly.
async fn assert_stopped_and_restorable(world: &World, stopped: &RunId, before: &[Vec<u8>], what: &str) {
    assert!(world.all_stopped(), "{what}");
    let held = world.held().await;
    assert!(held.iter().all(|held| held.run == *stopped), "{what}");
    let held: Vec<_> = held.iter().map(|held| held.snapshot.restorable_bytes()).collect();
    assert_eq!(held, before, "{what}: what is held is what was there");
    let plan = restore_plan(world, stopped)
        .await
        .unwrap_or_else(|refusal| panic!("{what}: {refusal}"));
    let restored = world.engine.execute(plan).await.unwrap();
    assert_eq!(restored.status, OutcomeStatus::Verified, "{what}: {restored:#?}");
    assert_as_before(world, before, what).await;
}

/// At how many points it died, and at how many of them while a share of the users was let in.
async fn taken_up_at_every_write(place: fn() -> Place, what: &str) -> (usize, usize) {
    let (mut points, mut in_part) = (0, 0);
    for moment in MOMENTS {
        for at in 1.. {
            let what = format!("{what}: restore dies at write {at}, {moment:?}");
            let died = restore_dies(place(), at, moment).await;
            in_part += usize::from(died.world.targets[1].admitted().is_some());
            let fresh = died.world.machine(died.place.open());
            let outcome = match fresh
                .engine
                .resume(&died.restore, &procedure(&fresh), &alice())
                .await
            {
                Err(Refusal::UnknownRun { .. }) => {
                    let plan = restore_plan(&fresh, &died.stopped).await.unwrap();
                    fresh.engine.execute(plan).await.unwrap()
                }
                taken_up => taken_up.unwrap_or_else(|refusal| panic!("{what}: {refusal}")),
            };
            assert_eq!(outcome.status, OutcomeStatus::Verified, "{what}: {outcome:#?}");
            assert_eq!((outcome.steps.len(), outcome.gates.len()), (4, 4), "{what}");
            assert_as_before(&fresh, &died.before, &what).await;
            let entries = fresh.engine.entries(&outcome.run).await.unwrap();
            // Step n opens in stage n, behind gate n - 1.
            let waits_again = |at: usize, gate: u32| {
                let begun = |entry: &JournalEntry| matches!(entry.event, JournalEvent::Intent { step, .. } if step > gate);
                entries[..at].iter().any(begun)
            };
            for (at, entry) in entries.iter().enumerate() {
                if let JournalEvent::Gate {
                    gate,
                    moment: GateMoment::Waiting,
                } = entry.event
                {
                    assert!(
                        !waits_again(at, gate),
                        "{what}: gate {gate} has let a stage begin"
                    );
                }
            }
            if died.ended.is_some() {
                assert_eq!(died.writes, WRITES, "{what}");
                break;
            }
            points += 1;
        }
    }
    (points, in_part)
}

/// From the effect of the first share to the intent of the whole: applied, verified, three entries of the gate and the next intent, of each share.
const IN_PART: usize = 2 * 6;

#[tokio::test(start_paused = true)]
async fn a_staged_restore_that_dies_at_any_write_is_taken_up_and_is_exact() {
    let points = taken_up_at_every_write(Place::memory, "memory").await;
    assert_eq!(points, (2 * WRITES, 2 * IN_PART));
}

#[tokio::test(start_paused = true)]
async fn a_staged_restore_that_dies_at_any_write_is_taken_up_from_the_files_of_its_journal() {
    let points = taken_up_at_every_write(Place::directory, "files").await;
    assert_eq!(points, (2 * WRITES, 2 * IN_PART));
}

#[tokio::test(start_paused = true)]
async fn a_staged_restore_that_died_at_any_write_is_aborted_and_a_later_one_is_exact() {
    for moment in MOMENTS {
        for at in 1..=WRITES {
            let what = format!("dies at write {at}, {moment:?}, then is aborted");
            let died = restore_dies(Place::memory(), at, moment).await;
            let fresh = died.world.machine(died.place.open());
            match fresh
                .engine
                .abort(&died.restore, &procedure(&fresh), &alice(), REASON)
                .await
            {
                Ok(outcome) => assert!(outcome.aborted.unwrap().stopped(), "{what}"),
                Err(Refusal::UnknownRun { .. }) => {}
                // It has put everything back; only its caller has not heard of it.
                Err(Refusal::Completed { .. }) if at == WRITES => continue,
                Err(other) => panic!("{what}: {other}"),
            }
            assert_stopped_and_restorable(&fresh, &died.stopped, &died.before, &what).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_restore_that_lives_is_aborted_at_any_write_and_a_later_one_is_exact() {
    let mut aborted = 0;
    for here in [true, false] {
        for at in 1..=WRITES {
            let what = format!("aborted at entry {at}, here: {here}");
            let world = World::of(2);
            let before = world.bytes();
            let stopped = world.stop_by(&procedure(&world)).await.run;
            let (pressed, wake) = (
                Arc::new(AtomicBool::new(false)),
                Arc::new(tokio::sync::Notify::new()),
            );
            let (flag, bell) = (pressed.clone(), wake.clone());
            let seen = Seen::calling(move |count| {
                if count == at && !flag.swap(true, Ordering::SeqCst) {
                    bell.notify_one();
                }
            });
            let engine: Engine = world.engine.clone().with_watch(seen);
            let plan = restore_plan(&world, &stopped).await.unwrap();
            let restore = plan.run().clone();
            let opening = engine.clone();
            let restoring = tokio::spawn(async move { opening.execute(plan).await.unwrap() });
            tokio::select! {
                () = wake.notified() => {}
                () = tokio::time::sleep(Duration::from_secs(3600)) => {}
            }
            let by = if here {
                engine
            } else {
                world.machine(Arc::clone(&world.journal)).engine
            };
            match by.abort(&restore, &procedure(&world), &alice(), REASON).await {
                Ok(outcome) => assert!(outcome.aborted.unwrap().stopped(), "{what}"),
                Err(Refusal::Completed { .. }) => {
                    assert_eq!(restoring.await.unwrap().status, OutcomeStatus::Verified);
                    continue;
                }
                Err(other) => panic!("{what}: {other}"),
            }
            aborted += 1;
            let outcome = restoring.await.unwrap();
            assert_ne!(outcome.status, OutcomeStatus::Verified, "{what}");
            assert_stopped_and_restorable(&world, &stopped, &before, &what).await;
        }
    }
    assert!(
        aborted >= 2 * (1 + 4 * 3 + 4 * 3 - 1),
        "only {aborted} moments were met"
    );
}

#[tokio::test(start_paused = true)]
async fn an_abort_that_dies_at_any_of_its_writes_is_repeated_or_resumed_and_a_later_restore_is_exact() {
    let mut points = 0;
    // Dies in the first gate, at 1 %, at 10 %, and in the last gate.
    for opened in [7, 14, 20, 27] {
        for moment in MOMENTS {
            for at in 1.. {
                let what = format!("opened {opened}, abort dies at write {at}, {moment:?}");
                let died = restore_dies(Place::memory(), opened, Moment::AfterTheWrite).await;
                assert!(died.ended.is_none(), "{what}");
                let cut = Arc::new(CutJournal::new(died.place.open(), at, moment));
                let dying = died.world.machine(cut.clone());
                let (closing, by) = (procedure(&dying), alice());
                let ended = until_death(&cut, dying.engine.abort(&died.restore, &closing, &by, REASON)).await;

                let fresh = died.world.machine(died.place.open());
                let aborted = {
                    let entries = fresh.engine.entries(&died.restore).await.unwrap();
                    entries
                        .iter()
                        .any(|entry| matches!(entry.event, ops_core::ports::JournalEvent::Aborted { .. }))
                };
                let outcome = if aborted && at % 2 == 0 {
                    fresh.engine.resume(&died.restore, &closing, &by).await.unwrap()
                } else {
                    fresh
                        .engine
                        .abort(&died.restore, &closing, &by, REASON)
                        .await
                        .unwrap()
                };
                assert!(outcome.aborted.unwrap().stopped(), "{what}");
                assert_stopped_and_restorable(&fresh, &died.stopped, &died.before, &what).await;
                if ended.is_some() {
                    break;
                }
                points += 1;
            }
        }
    }
    assert!(points >= 4 * 2 * 4, "only {points} points");
}

#[tokio::test(start_paused = true)]
async fn a_gate_that_fails_and_dies_while_it_closes_is_taken_up_and_closes() {
    let mut points = 0;
    for moment in MOMENTS {
        for at in 1.. {
            let what = format!("dies at write {at}, {moment:?}");
            let place = Place::memory();
            let world = World::over(place.open(), 2);
            let before = world.bytes();
            let stopped = world.stop_by(&procedure(&world)).await.run;
            let cut = Arc::new(CutJournal::new(place.open(), at, moment));
            let dying = world.machine(cut.clone());
            let sick = well();
            sick.set(Verdict::not_yet("overloaded"));
            let plan = dying
                .engine
                .plan_restore(&stopped, &gated(&dying, &sick))
                .await
                .unwrap();
            let restore = plan.run().clone();
            let plan = dying.people.approve(plan, dying.clock.time()).unwrap();
            let ended = until_death(&cut, dying.engine.execute(plan)).await;
            let fresh = world.machine(place.open());
            let outcome = match fresh
                .engine
                .resume(&restore, &gated(&fresh, &sick), &alice())
                .await
            {
                Err(Refusal::UnknownRun { .. }) => {
                    let plan = fresh
                        .engine
                        .plan_restore(&stopped, &gated(&fresh, &sick))
                        .await
                        .unwrap();
                    let plan = fresh.people.approve(plan, fresh.clock.time()).unwrap();
                    fresh.engine.execute(plan).await.unwrap()
                }
                taken_up => taken_up.unwrap(),
            };
            assert!(outcome.aborted.unwrap().stopped(), "{what}");
            assert_stopped_and_restorable(&fresh, &stopped, &before, &what).await;
            if ended.is_some() {
                break;
            }
            points += 1;
        }
    }
    assert!(points >= 2 * 10, "only {points} points");
}
