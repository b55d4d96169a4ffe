use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{Difference, Opening, RunId, Share, Snapshot, TargetId, Text};
use crate::error::{Error, ErrorKind, Result};

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

/// SHA-256 over the content of a plan: what it does, to what, and the state it was decided on.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// The digest of `parts`, one behind the other.
    pub(crate) fn of_parts(parts: &[&[u8]]) -> Self {
        let mut hash = Sha256::new();
        for part in parts {
            hash.update(part);
        }
        Self(hash.finalize().into())
    }

    /// A digest that was computed elsewhere.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The digest of a plan: what is approved, and nothing else of it.
    pub fn of_plan(
        procedure: &str,
        plan: &PlanKind,
        steps: &[PlannedStep],
        accept_drift: bool,
        opening: &Opening,
    ) -> Self {
        // Serialising these values cannot fail: no map has keys other than strings.
        let plan = ("ops-plan/1", procedure, plan, steps, accept_drift);
        let bytes = if opening.is_plain() {
            serde_json::to_vec(&plan)
        } else {
            serde_json::to_vec(&(plan, opening))
        };
        Self::of(&bytes.unwrap_or_default())
    }

    /// The 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}

impl FromStr for Digest {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = || {
            Error::new(ErrorKind::InvalidInput, "read digest")
                .context("digest", "must be 64 hexadecimal digits")
        };
        if text.len() != 64 || !text.is_ascii() {
            return Err(wrong());
        }
        let mut bytes = [0; 32];
        for (position, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&text[2 * position..2 * position + 2], 16).map_err(|_| wrong())?;
        }
        Ok(Self(bytes))
    }
}

impl TryFrom<String> for Digest {
    type Error = Error;
    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        digest.to_string()
    }
}
