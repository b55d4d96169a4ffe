//! One project as the vendor keeps it. Pausing and unpausing become visible some reads after they were accepted.

use std::collections::VecDeque;

use serde_json::{Value, json};

use super::seed::ProjectSeed;

#[derive(Clone, Debug)]
pub(super) struct Project {
    pub(super) id: String,
    pub(super) team: Option<String>,
    /// `None`: never paused, so that the field is missing in answers.
    paused: Option<bool>,
    pub(super) auto_assign: bool,
    production: String,
    made: u32,
    /// In the order they were accepted.
    changes: VecDeque<Change>,
}

#[derive(Clone, Copy, Debug)]
struct Change {
    pause: bool,
    auto_assign: Option<bool>,
    in_reads: u32,
}

/// A change shows at the second read after it.
const EFFECT: u32 = 2;

impl Project {
    pub(super) fn new(seed: ProjectSeed) -> Self {
        Self {
            production: format!("dpl_{}_1", seed.id),
            id: seed.id,
            team: seed.team,
            paused: seed.paused.then_some(true),
            auto_assign: seed.auto_assign,
            made: 1,
            changes: VecDeque::new(),
        }
    }

    /// Time passes: once for each read of the project.
    pub(super) fn tick(&mut self) {
        for change in &mut self.changes {
            change.in_reads = change.in_reads.saturating_sub(1);
        }
        while let Some(change) = self.changes.pop_front_if(|change| change.in_reads == 0) {
            self.paused = Some(change.pause);
            self.auto_assign = change.auto_assign.unwrap_or(self.auto_assign);
        }
    }

    /// Accepts a pause or an unpause; `auto_assign` is what it does to that flag.
    pub(super) fn accept(&mut self, pause: bool, auto_assign: Option<bool>) {
        self.changes.push_back(Change {
            pause,
            auto_assign,
            in_reads: EFFECT,
        });
    }

    /// A push makes a deployment, which serves production only while the flag is on. Gives its id.
    pub(super) fn deploy(&mut self) -> String {
        self.made += 1;
        let id = format!("dpl_{}_{}", self.id, self.made);
        if self.auto_assign {
            self.production.clone_from(&id);
        }
        id
    }

    /// Somebody makes a new deployment serve production by hand.
    pub(super) fn promote(&mut self) {
        self.made += 1;
        self.production = format!("dpl_{}_{}", self.id, self.made);
    }

    pub(super) fn name(&self) -> String {
        format!("name-of-{}", self.id)
    }

    pub(super) fn is_paused(&self) -> bool {
        self.paused.unwrap_or(false)
    }

    pub(super) fn json(&self) -> Value {
        let mut project = json!({
            "accountId": self.team.as_deref().unwrap_or("user_1"),
            "autoAssignCustomDomains": self.auto_assign,
            "id": self.id,
            "lastRollbackTarget": null,
            "name": self.name(),
            "targets": {"production": {"id": self.production, "readyState": "READY"}},
        });
        if let Some(paused) = self.paused {
            project["paused"] = paused.into();
        }
        project
    }
}
