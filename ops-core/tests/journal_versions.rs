//! Journals that earlier versions left behind are taken up and put back by this one.
#![allow(
    clippy::unwrap_used,
    clippy::clone_on_ref_ptr,
    reason = "a test ends at what it did not expect, and shares its doubles as ports"
)]

mod support_emergency;
mod support_fixture;

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ops_core::config::Env;
use ops_core::error::ErrorKind;
use ops_core::file::FileJournal;
use ops_core::model::RunId;
use ops_core::ports::{Held, Journal, JournalEntry, JournalEvent};
use support_emergency::{CutJournal, Fault, Moment, World, settle_tasks};
use support_fixture::{EntryRow, FILES, Fixture, HoldRow, ROWS, Rows, STORY, Story, procedure, root};

const TARGETS: usize = 3;

#[tokio::test(start_paused = true)]
async fn the_files_of_every_earlier_version_are_taken_up_and_put_back_exactly() {
    let fixtures = Fixture::all();
    assert!(fixtures.len() >= 8, "only {} fixtures", fixtures.len());
    for fixture in fixtures {
        let directory = tempfile::tempdir().unwrap();
        fixture.copy_files(directory.path());
        let world = fixture.world(Arc::new(FileJournal::open(directory.path()).unwrap()));
        tokio::time::advance(Duration::from_secs(60)).await;
        fixture.put_back(&world).await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_rows_of_a_fixture_are_those_of_its_files() {
    for fixture in Fixture::all() {
        let directory = tempfile::tempdir().unwrap();
        fixture.copy_files(directory.path());
        let journal = FileJournal::open(directory.path()).unwrap();
        let rows = fixture.rows();
        let mut entries = Vec::new();
        for run in journal.runs().await.unwrap() {
            entries.extend(journal.entries(&run).await.unwrap());
        }
        let of_rows: Vec<JournalEntry> = rows
            .entries
            .iter()
            .map(|row| serde_json::from_str(&row.entry).unwrap())
            .collect();
        assert_eq!(of_rows, entries, "{}", fixture.name);
        let open = rows.holds.iter().filter(|row| !row.released).count();
        assert_eq!(open, journal.held().await.unwrap().len(), "{}", fixture.name);
    }
}

/// `OPS_WRITE_FIXTURES=v2` writes what this version leaves behind; see the README of the fixtures.
#[tokio::test(start_paused = true)]
async fn this_version_leaves_behind_what_it_can_take_up() {
    let asked = Env::process().text("OPS_WRITE_FIXTURES");
    let kept = asked.map(|version| root().join(version));
    let temporary = tempfile::tempdir().unwrap();
    let root = kept.as_deref().unwrap_or(temporary.path());
    for (name, what, cut) in STOPS {
        let (files, world) = fresh(root, name);
        let before = world.targets.iter().map(|target| target.fields()).collect();
        let stop = stop_cut_at(&world, *cut).await;
        let story = story(&world, what, &stop, Some(&stop), before);
        keep(root, name, story, files).await;
    }

    let (files, world) = fresh(root, "5-stop-finished");
    let before = world.targets.iter().map(|target| target.fields()).collect();
    let stop = world.stop_by(&procedure(&world)).await.run;
    publish(&world, &stop).await;
    let what = "a stop to its end";
    keep(
        root,
        "5-stop-finished",
        story(&world, what, &stop, None, before),
        files,
    )
    .await;

    let (files, world) = fresh(root, "6-restore-killed-half-way");
    let before = world.targets.iter().map(|target| target.fields()).collect();
    let stop = world.stop_by(&procedure(&world)).await.run;
    publish(&world, &stop).await;
    let restore = restore_cut_at(&world, &stop, 6).await;
    let what = "a restore, killed when its first stage was put back and its second was not";
    let told = story(&world, what, &stop, Some(&restore), before);
    keep(root, "6-restore-killed-half-way", told, files).await;

    let (files, world) = fresh(root, "7-finished-pair");
    let before = world.targets.iter().map(|target| target.fields()).collect();
    let stop = world.stop_by(&procedure(&world)).await.run;
    publish(&world, &stop).await;
    let restore = world.restore_by(&stop, &procedure(&world)).await.unwrap().run;
    publish(&world, &restore).await;
    let what = "a stop and its restore, both to their ends";
    keep(
        root,
        "7-finished-pair",
        story(&world, what, &stop, None, before),
        files,
    )
    .await;

    let (files, world) = fresh(root, "8-stopped-twice-one-unread");
    let before = world.targets.iter().map(|target| target.fields()).collect();
    world.targets[1].next_observe(Fault::Fail(ErrorKind::Unavailable));
    let stop = world.stop_by(&procedure(&world)).await.run;
    let _ = world.stop_by(&procedure(&world)).await;
    let what = "a stop that could not read target 1 before, and a second stop of what is stopped";
    let mut told = story(&world, what, &stop, None, before);
    told.by_hand = vec![1];
    keep(root, "8-stopped-twice-one-unread", told, files).await;
}

/// Name, what happened, and after which write the process is killed: `started`, two holds and two intents, two `applied`.
const STOPS: &[(&str, &str, usize)] = &[
    ("1-stop-killed-after-started", "a stop, killed after `started`", 1),
    (
        "2-stop-killed-after-hold",
        "a stop, killed when the first prior state was held",
        2,
    ),
    ("3-stop-killed-after-intent", "a stop, killed after `intent`", 5),
    ("4-stop-killed-after-applied", "a stop, killed after `applied`", 7),
];

fn fresh(root: &Path, name: &str) -> (Arc<FileJournal>, World) {
    let files = Arc::new(FileJournal::open(root.join(name).join(FILES)).unwrap());
    (files.clone(), World::over(files, TARGETS))
}

async fn stop_cut_at(world: &World, write: usize) -> RunId {
    let cut = Arc::new(CutJournal::new(
        world.journal.clone(),
        write,
        Moment::AfterTheWrite,
    ));
    let dying = world.machine(cut.clone());
    let plan = dying.engine.plan_stop(&procedure(&dying)).await;
    let plan = dying.people.approve(plan, dying.clock.time()).unwrap();
    let run = plan.run().clone();
    tokio::select! {
        biased;
        () = cut.died() => {}
        ended = dying.engine.execute(plan) => panic!("must die: {ended:?}"),
    }
    settle_tasks().await;
    run
}

async fn restore_cut_at(world: &World, stop: &RunId, write: usize) -> RunId {
    let cut = Arc::new(CutJournal::new(
        world.journal.clone(),
        write,
        Moment::AfterTheWrite,
    ));
    let dying = world.machine(cut.clone());
    let plan = dying.engine.plan_restore(stop, &procedure(&dying)).await.unwrap();
    let plan = dying.people.approve(plan, dying.clock.time()).unwrap();
    let run = plan.run().clone();
    tokio::select! {
        biased;
        () = cut.died() => {}
        ended = dying.engine.execute(plan) => panic!("must die: {ended:?}"),
    }
    settle_tasks().await;
    run
}

/// As the pipeline does when a run has been recorded.
async fn publish(world: &World, run: &RunId) {
    let event = JournalEvent::Published { audited: true };
    let entry = JournalEntry::new(run.clone(), world.clock.time(), event);
    world.journal.append(&entry).await.unwrap();
}

fn story(
    world: &World,
    what: &str,
    stop: &RunId,
    unfinished: Option<&RunId>,
    before: Vec<support_fixture::Fields>,
) -> Story {
    Story {
        what: what.to_owned(),
        stop: stop.clone(),
        unfinished: unfinished.cloned(),
        before,
        left: world.targets.iter().map(|target| target.fields()).collect(),
        by_hand: Vec::new(),
    }
}

/// Writes story and rows beside the files, and sees that this version can put back what it has left.
async fn keep(root: &Path, name: &str, story: Story, files: Arc<FileJournal>) {
    let folder = root.join(name);
    let mut rows = Rows::default();
    for run in files.runs().await.unwrap() {
        rows.entries
            .extend(files.entries(&run).await.unwrap().iter().map(|entry| EntryRow {
                run: entry.run.to_string(),
                entry: serde_json::to_string(entry).unwrap(),
            }));
    }
    rows.holds
        .extend(files.held().await.unwrap().iter().map(|held| row(held, false)));
    for file in fs::read_dir(folder.join(FILES).join("released")).unwrap() {
        let line = fs::read_to_string(file.unwrap().path()).unwrap();
        let file: serde_json::Value = serde_json::from_str(line.split_once(' ').unwrap().1).unwrap();
        let held: Held = serde_json::from_value(file["held"].clone()).unwrap();
        rows.holds.push(row(&held, true));
    }
    let _ = fs::remove_file(folder.join(FILES).join("held/.release"));
    fs::write(
        folder.join(ROWS),
        serde_json::to_string_pretty(&rows).unwrap() + "\n",
    )
    .unwrap();
    fs::write(
        folder.join(STORY),
        serde_json::to_string_pretty(&story).unwrap() + "\n",
    )
    .unwrap();

    let fixture = Fixture {
        name: name.to_owned(),
        folder,
        story,
    };
    let directory = tempfile::tempdir().unwrap();
    fixture.copy_files(directory.path());
    let world = fixture.world(Arc::new(FileJournal::open(directory.path()).unwrap()));
    tokio::time::advance(Duration::from_secs(60)).await;
    fixture.put_back(&world).await;
}

fn row(held: &Held, released: bool) -> HoldRow {
    HoldRow {
        target: held.snapshot.target().to_string(),
        run: held.run.to_string(),
        at_micros: held.at.as_unix_micros(),
        snapshot: serde_json::to_string(&held.snapshot).unwrap(),
        released,
    }
}
