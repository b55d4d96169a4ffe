//! Damaged, foreign and newer files in a journal: a clear error, nothing deleted, every other run put back, a stop that goes ahead.
#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::clone_on_ref_ptr,
    reason = "a test ends at what it did not expect, and shares its doubles as ports"
)]

mod support_emergency;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ops_core::emergency::ApprovalPolicy;
use ops_core::error::ErrorKind;
use ops_core::file::FileJournal;
use ops_core::model::{OutcomeStatus, Prior, RunId, StepResult};
use ops_core::ports::Journal;
use support_emergency::{Failure, FaultyJournal, SharedJournal, World};

fn open(directory: &Path) -> Arc<FileJournal> {
    Arc::new(FileJournal::open(directory).unwrap())
}

fn run_file(directory: &Path, run: &RunId) -> PathBuf {
    directory.join(format!("runs/{run}.jsonl"))
}

fn with_checksum(json: &str) -> String {
    format!("{:08x} {json}\n", crc32c::crc32c(json.as_bytes()))
}

/// What the file of a run may have become, and what the error must say besides the file.
fn damages(whole: &[u8]) -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let text = String::from_utf8(whole.to_vec()).unwrap();
    let rest = text.split_once('\n').unwrap().1;
    let newer = with_checksum(r#"{"format":"ops-journal/2"}"#) + rest;
    let other = with_checksum(r#"{"format":"ops-audit/1"}"#) + rest;
    let mut flipped = whole.to_vec();
    flipped[whole.len() / 3] ^= 1;
    let middle = text.lines().next().unwrap().len() + 20;
    let mut binary = whole.to_vec();
    binary[middle] = 0xff;
    let huge = format!("{}\n{rest}", "x".repeat(4 << 20));
    vec![
        (
            "a newer version",
            newer.into_bytes(),
            "line: 1, fault: a newer version wrote it (ops-journal/2",
        ),
        (
            "another format",
            other.into_bytes(),
            "line: 1, fault: is not the format ops-journal/1: move it",
        ),
        ("a flipped bit", flipped, "does not fit its checksum"),
        ("not UTF-8", binary, "is not UTF-8"),
        (
            "a huge line",
            huge.into_bytes(),
            "line: 1, fault: has no checksum",
        ),
    ]
}

#[tokio::test(start_paused = true)]
async fn a_damaged_run_is_named_and_kept_and_every_other_run_is_put_back() {
    for number in 0..5 {
        let directory = tempfile::tempdir().unwrap();
        let world = World::over(open(directory.path()), 2);
        let before = world.bytes();
        let first = world.procedure_with(|_, step| step);
        let stopped = world.stop_by(&first).await.run;
        let _ = world.restore(&stopped).await.unwrap();
        let file = run_file(directory.path(), &stopped);
        let (what, bytes, said) = damages(&fs::read(&file).unwrap()).remove(number);
        fs::write(&file, &bytes).unwrap();

        let error = world.journal.entries(&stopped).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unexpected, "{what}");
        assert!(error.to_string().contains(said), "{what}: {error}");
        assert!(error.to_string().contains(stopped.as_str()), "{what}: {error}");

        let second = world.stop().await;
        assert_eq!(second.status, OutcomeStatus::Verified, "{what}");
        let restored = world.restore(&second.run).await.unwrap();
        assert_eq!(restored.status, OutcomeStatus::Verified, "{what}");
        assert_eq!(world.bytes(), before, "{what}");
        assert_eq!(fs::read(&file).unwrap(), bytes, "{what}: nothing is deleted");
    }
}

#[tokio::test(start_paused = true)]
async fn any_cut_of_the_file_of_a_run_leaves_whole_entries_and_its_targets_are_put_back() {
    let directory = tempfile::tempdir().unwrap();
    let world = World::over(open(directory.path()), 2);
    let stopped = world.stop().await.run;
    let file = run_file(directory.path(), &stopped);
    let whole = fs::read(&file).unwrap();
    let entries = world.journal.entries(&stopped).await.unwrap();
    for cut in 0..=whole.len() {
        fs::write(&file, &whole[..cut]).unwrap();
        let left = world.journal.entries(&stopped).await.unwrap();
        assert_eq!(left, entries[..left.len()], "cut at {cut}");
        let complete = whole[..cut].iter().filter(|byte| **byte == b'\n').count();
        assert_eq!(left.len(), complete.saturating_sub(1), "cut at {cut}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_held_state_that_cannot_be_read_leaves_only_its_own_target_to_a_person() {
    type Damage = fn(&Path);
    let damages: [(&str, Damage); 5] = [
        ("empty", |file| fs::write(file, "").unwrap()),
        ("cut", |file| {
            let whole = fs::read(file).unwrap();
            fs::write(file, &whole[..whole.len() / 2]).unwrap();
        }),
        ("newer", |file| {
            let text = with_checksum(r#"{"format":"ops-held/2","what":"is new"}"#);
            fs::write(file, text).unwrap();
        }),
        ("not UTF-8", |file| fs::write(file, [0xff, 0xfe, b'\n']).unwrap()),
        ("another target's", |file| {
            let others = file.parent().unwrap().read_dir().unwrap();
            let mut others = others.map(|entry| entry.unwrap().path());
            let is_other = |path: &PathBuf| path != file && path.extension().is_some_and(|end| end == "json");
            fs::copy(others.find(is_other).unwrap(), file).unwrap();
        }),
    ];
    for (what, damage) in damages {
        let directory = tempfile::tempdir().unwrap();
        let world = World::over(open(directory.path()), 3);
        let before = world.bytes();
        let stopped = world.stop().await.run;
        let name = ops_core::model::Digest::of(world.targets[1].id().as_str().as_bytes());
        let file = directory.path().join(format!("held/{name}.json"));
        damage(&file);
        let damaged = fs::read(&file).unwrap();

        // The list as a whole says so; a stop does not mind.
        assert_eq!(
            world.journal.held().await.unwrap_err().kind(),
            ErrorKind::Unexpected,
            "{what}"
        );
        assert_eq!(world.stop().await.status, OutcomeStatus::Verified, "{what}");

        let restored = world.restore(&stopped).await.unwrap();
        assert_eq!(restored.status, OutcomeStatus::Partial, "{what}: {restored:#?}");
        for number in [0, 2] {
            assert_eq!(world.targets[number].bytes(), before[number], "{what}");
        }
        let left = support_emergency::report_of(&restored, &world.targets[1]);
        assert!(
            matches!(left.result, StepResult::Failed { .. }),
            "{what}: {left:?}"
        );
        let Prior::Unknown { reason } = &left.prior else {
            panic!("{what}: {left:?}");
        };
        assert!(reason.contains(&name.to_string()), "{what}: {reason}");
        assert!(world.targets[1].is_stopped(), "{what}: it is not guessed");
        assert_eq!(fs::read(&file).unwrap(), damaged, "{what}: nothing is deleted");
    }
}

#[tokio::test(start_paused = true)]
async fn of_what_a_run_had_found_stopped_it_owes_nothing_even_if_a_held_state_is_damaged() {
    let directory = tempfile::tempdir().unwrap();
    let world = World::over(open(directory.path()), 3);
    world.targets[0].set("mode", "stopped".into());
    let stopped = world.stop().await.run;
    for target in &world.targets[..2] {
        let name = ops_core::model::Digest::of(target.id().as_str().as_bytes());
        fs::write(directory.path().join(format!("held/{name}.json")), "").unwrap();
    }
    let plan = world.engine.plan_restore(&stopped, &world.procedure()).await;
    let plan = plan.unwrap();
    let owed = |step: &ops_core::model::PlannedStep| {
        let by_hand = matches!(step.prior, Prior::Unknown { .. });
        (step.target.clone(), by_hand)
    };
    let owed: Vec<_> = plan.steps().iter().map(owed).collect();
    let ids = [2, 1].map(|number: usize| world.targets[number].id().clone());
    assert_eq!(owed, Vec::from_iter(ids.into_iter().zip([false, true])));
}

#[tokio::test(start_paused = true)]
async fn a_directory_or_a_dangling_link_in_place_of_a_run_hides_no_other_run() {
    let directory = tempfile::tempdir().unwrap();
    let world = World::over(open(directory.path()), 2);
    let before = world.bytes();
    fs::create_dir(directory.path().join("runs/run_a.jsonl")).unwrap();
    fs::create_dir(directory.path().join("runs/folder")).unwrap();
    std::os::unix::fs::symlink("nowhere", directory.path().join("runs/run_b.jsonl")).unwrap();
    let stopped = world.stop().await;
    assert_eq!(stopped.status, OutcomeStatus::Verified);
    assert!(stopped.journalled);
    let restored = world.restore(&stopped.run).await.unwrap();
    assert_eq!(restored.status, OutcomeStatus::Verified);
    assert_eq!(world.bytes(), before);
    assert!(directory.path().join("runs/run_a.jsonl").is_dir());
}

#[tokio::test(start_paused = true)]
async fn a_stop_goes_ahead_when_a_directory_lies_where_the_journal_would_write() {
    let directory = tempfile::tempdir().unwrap();
    let spool = tempfile::tempdir().unwrap();
    let world = World::over(open(directory.path()), 2).with_spool(open(spool.path()));
    let before = world.bytes();
    fs::remove_dir(directory.path().join("runs")).unwrap();
    fs::write(directory.path().join("runs"), "a file").unwrap();
    // Where persons must approve, the journal has to vouch for them.
    let procedure = world.procedure().with_restore_approval(ApprovalPolicy::of(0));
    let stopped = world.stop_by(&procedure).await;
    assert_eq!(stopped.status, OutcomeStatus::Verified);
    assert!(!stopped.journalled, "only the spool has it");
    let restored = world.restore_by(&stopped.run, &procedure).await.unwrap();
    assert_eq!(restored.status, OutcomeStatus::Verified);
    assert_eq!(world.bytes(), before);
    assert_eq!(
        fs::read_to_string(directory.path().join("runs")).unwrap(),
        "a file"
    );
}

/// A journal that was away, its spool, and a stop that only the spool has.
async fn stopped_in_an_outage() -> (World, Arc<SharedJournal>, Arc<SharedJournal>, RunId) {
    let (shared, spool) = (Arc::new(SharedJournal::new()), Arc::new(SharedJournal::new()));
    let dead = Arc::new(FaultyJournal::dead(Failure::Fails));
    let away = World::over(dead, 2).with_spool(spool.clone());
    let run = away.stop().await.run;
    let back = away.machine(shared.clone()).with_spool(spool.clone());
    (back, shared, spool, run)
}

#[tokio::test(start_paused = true)]
async fn what_the_spool_has_is_copied_once_and_another_machine_can_then_restore_it() {
    let (here, shared, spool, run) = stopped_in_an_outage().await;
    let entries = spool.entries(&run).await.unwrap();
    assert!(shared.runs().await.unwrap().is_empty());
    assert_eq!(here.engine.catch_up().await.unwrap(), entries.len() + 2);
    assert_eq!(
        here.engine.catch_up().await.unwrap(),
        0,
        "nothing is copied twice"
    );
    assert_eq!(shared.entries(&run).await.unwrap(), entries);
    assert_eq!(
        here.engine.entries(&run).await.unwrap(),
        entries,
        "and nothing is read twice"
    );
    assert!(spool.held().await.unwrap().is_empty(), "a held state moves");

    let there = here.machine(shared.clone());
    let restored = there.restore(&run).await.unwrap();
    assert_eq!(restored.status, OutcomeStatus::Verified);
    assert!(there.targets.iter().all(|target| !target.is_stopped()));
    // What is restored there is not held again from here.
    assert_eq!(here.engine.catch_up().await.unwrap(), 0);
    assert!(here.engine.held().await.unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_held_state_of_the_spool_that_was_restored_elsewhere_is_not_held_again() {
    let (here, shared, spool, run) = stopped_in_an_outage().await;
    // As if this process had died between the copy of a held state and its release from the spool.
    let held = spool.held().await.unwrap();
    let _ = here.engine.catch_up().await.unwrap();
    for held in &held {
        spool.hold(held).await.unwrap();
    }
    let there = here.machine(shared.clone());
    let _ = there.restore(&run).await.unwrap();
    assert_eq!(here.engine.catch_up().await.unwrap(), 0);
    assert!(spool.held().await.unwrap().is_empty());
    assert!(shared.held().await.unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_held_state_of_another_run_in_the_journal_is_never_replaced_by_that_of_the_spool() {
    let (here, shared, spool, _run) = stopped_in_an_outage().await;
    let mine = spool.held().await.unwrap().remove(0);
    let mut theirs = mine.clone();
    theirs.run = RunId::new("run_theirs").unwrap();
    shared.hold(&theirs).await.unwrap();
    let _ = here.engine.catch_up().await.unwrap();
    assert!(shared.held().await.unwrap().contains(&theirs));
    assert_eq!(spool.held().await.unwrap(), [mine], "both stay");
}

#[tokio::test(start_paused = true)]
async fn a_damaged_hold_in_the_spool_leaves_its_target_to_a_person_though_the_journal_has_one() {
    // Nobody knows which of the two came first.
    let spool = tempfile::tempdir().unwrap();
    let world = World::over(Arc::new(SharedJournal::new()), 2).with_spool(open(spool.path()));
    let before = world.bytes();
    let stopped = world.stop().await.run;
    let name = ops_core::model::Digest::of(world.targets[1].id().as_str().as_bytes());
    fs::write(
        spool.path().join(format!("held/{name}.json")),
        [0xff, 0xfe, b'\n'],
    )
    .unwrap();
    let restored = world.restore(&stopped).await.unwrap();
    assert_eq!(restored.status, OutcomeStatus::Partial, "{restored:#?}");
    assert_eq!(world.targets[0].bytes(), before[0]);
    assert!(world.targets[1].is_stopped(), "it is not guessed");
}
