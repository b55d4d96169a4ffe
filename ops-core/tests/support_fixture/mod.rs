//! Journals that earlier versions wrote, with the world as it was when they were left.
#![allow(dead_code, reason = "each test file uses its own part")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ops_core::emergency::Procedure;
use ops_core::model::{OutcomeStatus, RunId};
use ops_core::ports::Journal;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::support_emergency::{Target, World, alice};

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

    /// The world as it was left, a minute later, over the journal.
    pub(crate) fn world(&self, journal: Arc<dyn Journal>) -> World {
        let targets = (0..).zip(&self.story.left);
        let targets = targets.map(|(number, fields)| Target::serving(number, fields.clone()));
        World::with(journal, targets.collect())
    }

    /// Takes up what is unfinished and puts the stop back; every target must be as it was, but for those that only a person can put back.
    pub(crate) async fn put_back(&self, world: &World) {
        let (story, procedure) = (&self.story, procedure(world));
        if let Some(run) = &story.unfinished {
            let outcome = world.engine.resume(run, &procedure, &alice()).await.unwrap();
            let expected = match (run == &story.stop, story.by_hand.is_empty()) {
                (true, _) | (false, true) => OutcomeStatus::Verified,
                (false, false) => OutcomeStatus::Partial,
            };
            assert_eq!(outcome.status, expected, "{}: {outcome:#?}", self.name);
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
            if !story.by_hand.contains(&number) {
                let before = Target::serving(number, before.clone()).bytes();
                assert_eq!(target.bytes(), before, "{}: target {number}", self.name);
            }
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
