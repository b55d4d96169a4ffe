use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Difference, RunId, Share, Snapshot, TargetId, Text};

/// What an action does to the world.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Effect {
    /// Reads only.
    Observe,
    /// Changes something that `restore` puts back exactly.
    Reversible,
    /// Changes something that cannot be put back.
    Irreversible,
}

/// What a plan is for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum PlanKind {
    /// Stops targets.
    Stop,
    /// Puts back what `run` changed.
    Restore {
        /// The run whose snapshots are written back.
        of: RunId,
    },
    /// Gives up prior states that nobody will put back. Only asked for and approved, never carried out as a run.
    Forget {
        /// The run that holds them.
        of: RunId,
        /// Why.
        reason: String,
    },
}

/// The state of a target before a step, as far as it could be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "prior", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Prior {
    /// The target was working; this is what a restore writes back.
    Observed {
        /// The restorable state.
        snapshot: Snapshot,
    },
    /// The target was stopped (wholly or by another run's marker) before this plan: never a restorable prior.
    AlreadyStopped {
        /// The run that stopped it, where it left a marker or a journal entry.
        by: Option<RunId>,
    },
    /// The state could not be read in time; the stop goes ahead, a restore needs a human.
    Unknown {
        /// Why not.
        reason: String,
    },
}

/// One step of a plan, with everything that a person approves.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PlannedStep {
    /// Position in the plan, from 0.
    pub step: u32,
    /// The stage; stages run one after the other, steps of a stage at the same time.
    pub stage: u32,
    /// What is acted on.
    pub target: TargetId,
    /// What is done, in words.
    pub action: Text,
    /// What it does to the world.
    pub effect: Effect,
    /// For a stop: the state before. For a restore: the state to write back.
    pub prior: Prior,
    /// For a restore: the state that was found when the plan was made.
    pub found: Option<Snapshot>,
    /// For a restore: how `found` differs from what the stop left behind. Not empty: needs a decision.
    pub drift: Vec<Difference>,
    /// Limitations that the approver must know.
    pub caveats: Vec<Text>,
    /// How fast this step promises to be.
    pub promised: Duration,
    /// For a restore in parts: the share of the users that this step lets in. `None`: all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share: Option<Share>,
    /// For a stop: the prior state was a partly stopped one, of which nobody knows whose it is. A restore of it needs a decision. For a
    /// restore: `found` is a partly stopped one, which a call that is still under way may complete.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub partly: bool,
}

impl PlannedStep {
    /// A step without drift and caveats.
    pub fn new(
        step: u32,
        stage: u32,
        target: TargetId,
        action: Text,
        effect: Effect,
        prior: Prior,
        promised: Duration,
    ) -> Self {
        Self {
            step,
            stage,
            target,
            action,
            effect,
            prior,
            found: None,
            drift: Vec::new(),
            caveats: Vec::new(),
            promised,
            share: None,
            partly: false,
        }
    }
}
