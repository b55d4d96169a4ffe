//! Journals that earlier versions wrote, with the world as it was when they were left.
#![allow(dead_code, reason = "each test file uses its own part")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ops_core::emergency::{Procedure, Step};
use ops_core::memory::InMemoryHealth;
use ops_core::model::{OutcomeStatus, RunId};
use ops_core::ports::Journal;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::support_emergency::{Stop, Target, World, alice, gate, shares, well};

/// The fields of a target.
pub(crate) type Fields = BTreeMap<String, Value>;

/// What was there when a journal was left, beside the journal itself.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Story {
    /// What happened, in one line.
    pub(crate) what: String,
    /// The stop that has to be put back.
    pub(crate) stop: RunId,
    /// The run that has to be taken up first, if any.
    pub(crate) unfinished: Option<RunId>,
    /// The targets before the stop, in their order.
    pub(crate) before: Vec<Fields>,
    /// The targets when the journal was left.
    pub(crate) left: Vec<Fields>,
    /// The numbers of targets whose prior state was never known: only a person can put them back.
    #[serde(default)]
    pub(crate) by_hand: Vec<usize>,
    /// The numbers of targets of which people have said that nobody will put them back: they stay as they were left.
    #[serde(default)]
    pub(crate) given_up: Vec<usize>,
    /// The run that has to be taken up was going back to stopped: it closes, and is put back by another restore.
    #[serde(default)]
    pub(crate) goes_back: bool,
    /// It was of the procedure with gates and a ramp.
    #[serde(default)]
    pub(crate) gated: bool,
}

/// A journal as rows of the tables in PostgreSQL.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Rows {
    pub(crate) entries: Vec<EntryRow>,
    pub(crate) holds: Vec<HoldRow>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct EntryRow {
    pub(crate) run: String,
    pub(crate) entry: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct HoldRow {
    pub(crate) target: String,
    pub(crate) run: String,
    pub(crate) at_micros: i64,
    pub(crate) snapshot: String,
    pub(crate) released: bool,
}

/// One journal of one version.
#[derive(Clone, Debug)]
pub(crate) struct Fixture {
    pub(crate) name: String,
    pub(crate) folder: PathBuf,
    pub(crate) story: Story,
}

impl Fixture {
    /// All journals of all versions, in the order of their names.
    pub(crate) fn all() -> Vec<Self> {
        let mut found = Vec::new();
        for version in folders(&root()) {
            for folder in folders(&version) {
                let story = fs::read_to_string(folder.join(STORY)).unwrap();
                let name = folder.strip_prefix(root()).unwrap().display().to_string();
                found.push(Self {
                    name,
                    story: serde_json::from_str(&story).unwrap(),
                    folder,
                });
            }
        }
        found
    }

    pub(crate) fn rows(&self) -> Rows {
        serde_json::from_str(&fs::read_to_string(self.folder.join(ROWS)).unwrap()).unwrap()
    }

    /// A copy of the journal's files that a test may write to.
    pub(crate) fn copy_files(&self, to: &Path) {
        for part in folders(&self.folder.join(FILES)) {
            let copy = to.join(part.file_name().unwrap());
            fs::create_dir_all(&copy).unwrap();
            for file in fs::read_dir(&part).unwrap() {
                let file = file.unwrap();
                fs::copy(file.path(), copy.join(file.file_name())).unwrap();
            }
        }
    }

    /// The world as it was left, over the journal.
    pub(crate) fn world(&self, journal: Arc<dyn Journal>) -> World {
        let targets = (0..).zip(&self.story.left);
        let targets = targets.map(|(number, fields)| Target::serving(number, fields.clone()));
        World::with(journal, targets.collect())
    }

    /// Takes up what is unfinished and puts the stop back; every target must be as it was, but for those that only a person can put back.
    pub(crate) async fn put_back(&self, world: &World) {
        let story = &self.story;
        let procedure = match story.gated {
            true => gated(world, &well()),
            false => procedure(world),
        };
        if let Some(run) = &story.unfinished {
            let outcome = world.engine.resume(run, &procedure, &alice()).await.unwrap();
            let expected = match (run == &story.stop, story.by_hand.is_empty()) {
                _ if story.goes_back => OutcomeStatus::Failed,
                (true, _) | (false, true) => OutcomeStatus::Verified,
                (false, false) => OutcomeStatus::Partial,
            };
            assert_eq!(outcome.status, expected, "{}: {outcome:#?}", self.name);
            if story.goes_back {
                assert!(
                    outcome.aborted.unwrap().stopped() && world.all_stopped(),
                    "{}",
                    self.name
                );
            }
        }
        let held = world.held().await;
        if held.iter().any(|held| held.run == story.stop) {
            let outcome = world.restore_by(&story.stop, &procedure).await.unwrap();
            let expected = match story.by_hand.is_empty() {
                true => OutcomeStatus::Verified,
                false => OutcomeStatus::Partial,
            };
            assert_eq!(outcome.status, expected, "{}: {outcome:#?}", self.name);
        }
        for (number, (target, before)) in world.targets.iter().zip(&story.before).enumerate() {
            if story.by_hand.contains(&number) {
                continue;
            }
            let expected = match story.given_up.contains(&number) {
                true => &story.left[number],
                false => before,
            };
            let expected = Target::serving(number, expected.clone()).bytes();
            assert_eq!(target.bytes(), expected, "{}: target {number}", self.name);
        }
        assert!(world.held().await.is_empty(), "{}", self.name);
        assert!(
            world.engine.runs().await.unwrap().contains(&story.stop),
            "{}",
            self.name
        );
    }
}

/// Two stages each way.
pub(crate) fn procedure(world: &World) -> Procedure {
    let stage = |at: usize| u32::from(at == 2);
    world.procedure_with(|at, step| step.closing(stage(at)).opening(1 - stage(at)))
}

/// The same, with starts that are spread, a gate after each opening stage, and target 0 let in for 1 % of the users first.
pub(crate) fn gated(world: &World, health: &Arc<InMemoryHealth>) -> Procedure {
    let stage = |at: usize| u32::from(at == 2);
    let steps = world.targets.iter().enumerate().map(|(at, target)| {
        let step = Step::new(Stop::in_parts(target));
        let step = step.closing(stage(at)).opening(1 - stage(at));
        match at {
            0 => step.with_ramp(shares(&[1])),
            _ => step,
        }
    });
    let procedure = Procedure::new("stop-all", steps.collect()).unwrap();
    // Short: rows are put back in real time.
    let gate = |stage| {
        gate(stage, health)
            .with_hold(Duration::from_millis(200))
            .with_every(Duration::from_millis(100))
            .with_patience(Duration::from_secs(10))
    };
    let procedure = procedure.with_jitter(Duration::from_millis(20));
    procedure.with_gate(gate(0)).unwrap().with_gate(gate(1)).unwrap()
}

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../ops-core/tests/fixtures/journal")
}

fn folders(of: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(of).unwrap().map(|entry| entry.unwrap().path());
    let mut folders: Vec<_> = entries.filter(|path| path.is_dir()).collect();
    folders.sort();
    folders
}

pub(crate) const STORY: &str = "story.json";
pub(crate) const ROWS: &str = "rows.json";
pub(crate) const FILES: &str = "files";
