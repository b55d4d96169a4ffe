//! Journals that earlier versions left behind are taken up and put back by this one.
#![allow(
    clippy::unwrap_used,
    clippy::clone_on_ref_ptr,
    reason = "a test ends at what it did not expect, and shares its doubles as ports"
)]

mod support_emergency;
mod support_fixture;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ops_core::config::Env;
use ops_core::emergency::{BreakGlass, FAIL_POINTS, Procedure};
use ops_core::error::ErrorKind;
use ops_core::file::FileJournal;
use ops_core::model::{Actor, Approval, OutcomeStatus, RunId, TargetState, Verdict};
use ops_core::ports::{Held, Journal, JournalEntry, JournalEvent};
use support_emergency::{CutJournal, Fault, Moment, World, alice, settle_tasks, well};
use support_fixture::{EntryRow, FILES, Fixture, HoldRow, ROWS, Rows, STORY, Story, gated, procedure, root};

const TARGETS: usize = 3;

#[tokio::test(start_paused = true)]
async fn the_files_of_every_earlier_version_are_taken_up_and_put_back_exactly() {
    let fixtures = Fixture::all();
    assert!(fixtures.len() >= 23, "only {} fixtures", fixtures.len());
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

/// Each kind of entry has fail points of its name; what is not known here is new, and needs a version in which it occurs.
#[test]
fn every_kind_of_entry_and_every_later_field_occurs_in_a_fixture() {
    let rows: Vec<_> = Fixture::all()
        .iter()
        .flat_map(|fixture| fixture.rows().entries)
        .collect();
    let told: Vec<serde_json::Value> = rows
        .iter()
        .map(|row| serde_json::from_str(&row.entry).unwrap())
        .collect();
    let found: BTreeSet<_> = told
        .iter()
        .map(|entry| entry["event"].as_str().unwrap())
        .collect();
    let mut kinds: BTreeSet<&str> = FAIL_POINTS.iter().filter_map(|point| kind(point)).collect();
    for no_entry in ["hold", "apply", "release", "close_again"] {
        assert!(kinds.remove(no_entry), "{no_entry}");
    }
    assert_eq!(found, kinds);
    for part in [
        "/after/0",
        "/cause",
        "/glass/overrides/0",
        "/left",
        "/opening/gates/0",
        "/opening/jitter",
        "/opening/ungated",
        "/signatures/0",
        "/steps/1/share",
        "/timeout",
        "/unanswered",
    ] {
        let has = |entry: &serde_json::Value| entry.pointer(part).is_some_and(|found| !found.is_null());
        assert!(told.iter().any(has), "{part}");
    }
    for moment in ["waiting", "saw", "passed", "failed"] {
        assert!(told.iter().any(|entry| entry["moment"] == moment), "{moment}");
    }
}

fn kind(point: &str) -> Option<&str> {
    let point = point.strip_suffix(".before")?;
    point.strip_prefix("run.").or_else(|| point.strip_prefix("step."))
}

/// `OPS_WRITE_FIXTURES=v3` writes what this version leaves behind; see the README of the fixtures.
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
    let restore = restore_cut_at(&world, &stop, &procedure(&world), None, 6).await;
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

    through_gates(root).await;
    by_decision(root).await;
}

/// Started; then intent, applied, verified and release of target 2, and three entries of the gate; the same of target 1 and, but for a release, of
/// the first share of target 0; waiting and saw of the next gate.
const IN_THE_SECOND_GATE: usize = 1 + 4 + 3 + 4 + 3 + 2;

/// Aborted; holds and closings of targets 0 and 1.
const HALF_CLOSED: usize = 1 + 2 + 2;

async fn through_gates(root: &Path) {
    let name = "9-restore-killed-in-a-gate";
    let (files, world) = fresh(root, name);
    let before = world.targets.iter().map(|target| target.fields()).collect();
    let (stop, restore) = killed_in_a_gate(&world).await;
    let what = "a restore, killed in the gate after it had let 1 % of the users into target 0";
    let mut told = story(&world, what, &stop, Some(&restore), before);
    told.gated = true;
    keep(root, name, told, files).await;

    let name = "10-abort-killed-half-way";
    let (files, world) = fresh(root, name);
    let before = world.targets.iter().map(|target| target.fields()).collect();
    let (stop, restore) = killed_in_a_gate(&world).await;
    let cut = Arc::new(CutJournal::new(
        world.journal.clone(),
        HALF_CLOSED,
        Moment::AfterTheWrite,
    ));
    let dying = world.machine(cut.clone());
    let (closing, by) = (gated(&world, &well()), alice());
    tokio::select! {
        biased;
        () = cut.died() => {}
        ended = dying.engine.abort(&restore, &closing, &by, "the line is still bad") => panic!("must die: {ended:?}"),
    }
    settle_tasks().await;
    let states: Vec<_> = world.targets.iter().map(|target| target.state()).collect();
    assert_eq!(
        states,
        [TargetState::Stopped, TargetState::Stopped, TargetState::Serving]
    );
    let what =
        "an abort of such a restore, killed when targets 0 and 1 were closed again and target 2 was not";
    let mut told = story(&world, what, &stop, Some(&restore), before);
    (told.gated, told.goes_back) = (true, true);
    keep(root, name, told, files).await;

    let name = "11-turned-round-by-a-gate";
    let (files, world) = fresh(root, name);
    let before = world.targets.iter().map(|target| target.fields()).collect();
    let health = well();
    let opening = gated(&world, &health);
    let stop = world.stop_by(&opening).await.run;
    publish(&world, &stop).await;
    health.set(Verdict::not_yet("overloaded"));
    let turned = world.restore_by(&stop, &opening).await.unwrap();
    assert_eq!(turned.status, OutcomeStatus::Failed, "{turned:#?}");
    publish(&world, &turned.run).await;
    let what = "a restore that its first gate turned round, to its end";
    let mut told = story(&world, what, &stop, None, before);
    told.gated = true;
    keep(root, name, told, files).await;

    let name = "12-ungated-restore-killed-half-way";
    let (files, world) = fresh(root, name);
    let before = world.targets.iter().map(|target| target.fields()).collect();
    let opening = gated(&world, &well());
    let stop = world.stop_by(&opening).await.run;
    publish(&world, &stop).await;
    let glass = BreakGlass::new("a hospital is waiting").unwrap();
    let restore = restore_cut_at(&world, &stop, &opening, Some(&glass), 6).await;
    let what = "a restore without its gates, killed when its first stage was put back and its second was not";
    let mut told = story(&world, what, &stop, Some(&restore), before);
    told.gated = true;
    keep(root, name, told, files).await;
}

async fn by_decision(root: &Path) {
    let name = "13-glass-broken-and-reviewed";
    let (files, world) = fresh(root, name);
    let before = world.targets.iter().map(|target| target.fields()).collect();
    let plan = world.engine.plan_stop(&procedure(&world)).await;
    let glass = BreakGlass::new("nobody else can be reached").unwrap();
    let plan = plan.break_glass(glass.overriding("approvals"), alice(), world.clock.time());
    let stop = world.engine.execute(plan.unwrap()).await.unwrap().run;
    publish(&world, &stop).await;
    let bob = Actor::person("bob").unwrap();
    world.engine.review(&stop, &bob, "it was right").await.unwrap();
    let what = "a stop without the approvals that it needed, reviewed";
    keep(root, name, story(&world, what, &stop, None, before), files).await;

    let name = "14-one-of-three-forgotten";
    let (files, world) = fresh(root, name);
    let before = world.targets.iter().map(|target| target.fields()).collect();
    let stop = world.stop_by(&procedure(&world)).await.run;
    publish(&world, &stop).await;
    let gone = BTreeSet::from([world.targets[1].id().clone()]);
    let plan = world.engine.plan_forget(&stop, &gone, "the service was deleted");
    let plan = plan.await.unwrap();
    let until = world.clock.time() + Duration::from_secs(600);
    let approvals =
        ["bob", "carol"].map(|name| Approval::sign(name, plan.digest(), until, world.people.key(name)));
    let approvers = world.people.approvers();
    let forgotten = world.engine.forget(&plan, &approvals, &approvers, &alice()).await;
    assert_eq!(forgotten.unwrap().targets.len(), 1);
    let what = "a stop of which target 1 was given up";
    let mut told = story(&world, what, &stop, None, before);
    told.given_up = vec![1];
    keep(root, name, told, files).await;

    let name = "15-stop-with-a-lost-answer";
    let (files, world) = fresh(root, name);
    let before = world.targets.iter().map(|target| target.fields()).collect();
    world.targets[0].next_apply(Fault::LostAnswer);
    let stopped = world.stop_by(&procedure(&world)).await;
    assert_eq!(stopped.status, OutcomeStatus::Verified, "{stopped:#?}");
    publish(&world, &stopped.run).await;
    let what = "a stop, one call of which took effect without an answer";
    let told = story(&world, what, &stopped.run, None, before);
    keep(root, name, told, files).await;
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

/// A stop, and a restore of it that died where target 0 is open in part.
async fn killed_in_a_gate(world: &World) -> (RunId, RunId) {
    let opening = gated(world, &well());
    let stop = world.stop_by(&opening).await.run;
    publish(world, &stop).await;
    let restore = restore_cut_at(world, &stop, &opening, None, IN_THE_SECOND_GATE).await;
    assert_eq!(world.targets[0].admitted(), Some(100));
    assert_eq!(world.targets[1].state(), TargetState::Serving);
    (stop, restore)
}

async fn restore_cut_at(
    world: &World,
    stop: &RunId,
    procedure: &Procedure,
    ungated: Option<&BreakGlass>,
    write: usize,
) -> RunId {
    let cut = Arc::new(CutJournal::new(
        world.journal.clone(),
        write,
        Moment::AfterTheWrite,
    ));
    let dying = world.machine(cut.clone());
    let mut plan = dying.engine.plan_restore(stop, procedure).await.unwrap();
    if let Some(glass) = ungated {
        plan = plan.without_gates(glass);
    }
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
        given_up: Vec::new(),
        goes_back: false,
        gated: false,
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
