use std::fmt::Debug;
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::model::{
    AbortCause, Actor, BrokenGlass, Digest, Opening, OutcomeStatus, PlanKind, PlannedStep, RunId, Snapshot,
    StepResult, TargetId, Timestamp, Verdict,
};

/// What happened in a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
pub enum JournalEvent {
    /// The plan is approved and about to be carried out.
    Started {
        /// The procedure's name; a resume needs the same procedure.
        procedure: String,
        /// Stop or restore.
        plan: PlanKind,
        /// The digest that was approved.
        digest: Digest,
        /// Who started it.
        actor: Actor,
        /// How it was approved, in words: names, or the reason of a break-glass.
        approval: String,
        /// Every step with the prior state.
        steps: Vec<PlannedStep>,
        /// Fingerprints of the signatures that were needed: no other run may use them.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        signatures: Vec<Digest>,
        /// The rules that were broken on purpose: another person has to review it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        glass: Option<BrokenGlass>,
        /// For a restore: its gates and the like.
        #[serde(default, skip_serializing_if = "Opening::is_plain")]
        opening: Opening,
        /// The newest runs that the journal knew when this one was planned: the order of runs goes by this, not by the clocks of
        /// the machines. Empty in old journals.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        after: Vec<RunId>,
    },
    /// A step is about to act.
    Intent {
        /// The step.
        step: u32,
        /// Its target.
        target: TargetId,
        /// For how long from this entry on the step may issue its call; what has not taken effect by then never will. Absent in old
        /// journals: 30 s.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        timeout: Option<Duration>,
        /// Automation acts, in a run that it began or took up: the run counts as one of automation's. Old journals tell it of what was taken up
        /// only.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        automated: bool,
    },
    /// The provider accepted the step, or gave an error.
    Applied {
        /// The step.
        step: u32,
        /// Its target.
        target: TargetId,
        /// The provider's error, without secrets.
        error: Option<String>,
        /// A call of the step got no answer: it may still take effect until the timeout of the intent is over.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        unanswered: bool,
    },
    /// The read-back of a step ended.
    Verified {
        /// The step.
        step: u32,
        /// Its target.
        target: TargetId,
        /// What became of the step.
        result: StepResult,
        /// What the read-back showed.
        verdict: Verdict,
        /// The state that the step left behind.
        left: Option<Snapshot>,
    },
    /// Something happened at a gate of a restore.
    Gate {
        /// Its position in the plan.
        gate: u32,
        /// What.
        #[serde(flatten)]
        moment: GateMoment,
    },
    /// The restore goes back to stopped: everything that it has begun to open is about to be closed again.
    Aborted {
        /// Why.
        #[serde(flatten)]
        cause: AbortCause,
    },
    /// A target of an aborted restore was closed again.
    ClosedAgain {
        /// The target.
        target: TargetId,
        /// Whether the read-back showed it stopped.
        verdict: Verdict,
        /// The state that was left behind.
        left: Option<Snapshot>,
    },
    /// The run ended.
    Ended {
        /// How.
        status: OutcomeStatus,
    },
    /// The run was recorded and told. A run that ended without it died on the way there: a resume does it again.
    Published {
        /// Whether the audit store has its records; if not, they wait in the spool or are lost.
        audited: bool,
    },
    /// People gave up prior states of this run: no restore writes them back.
    Forgotten {
        /// Of which targets.
        targets: Vec<TargetId>,
        /// Who asked for it.
        by: Actor,
        /// Why.
        reason: String,
        /// Who approved it.
        persons: Vec<String>,
        /// Fingerprints of their signatures: no run may use them. Empty in old journals.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        signatures: Vec<Digest>,
    },
    /// Somebody looked at a run that broke the glass.
    Reviewed {
        /// Who.
        by: Actor,
        /// What they found.
        note: String,
    },
}

/// What happened at a gate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "moment", rename_all = "snake_case")]
#[non_exhaustive]
pub enum GateMoment {
    /// It began to look, with its hold at the beginning.
    Waiting,
    /// What it sees has changed.
    Saw {
        /// What it sees.
        seen: Verdict,
    },
    /// It let the next stage begin.
    Passed,
    /// Its patience is over.
    Failed {
        /// What was seen last.
        reason: String,
    },
}

/// One line of the journal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct JournalEntry {
    /// The run.
    pub run: RunId,
    /// When.
    pub at: Timestamp,
    /// What happened.
    #[serde(flatten)]
    pub event: JournalEvent,
}

impl JournalEntry {
    /// An entry.
    pub fn new(run: RunId, at: Timestamp, event: JournalEvent) -> Self {
        Self { run, at, event }
    }
}

/// The prior state of a target, held until a verified restore releases it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Held {
    /// The run that holds it.
    pub run: RunId,
    /// When it was taken.
    pub at: Timestamp,
    /// The prior state.
    pub snapshot: Snapshot,
}

impl Held {
    /// A held snapshot.
    pub fn new(run: RunId, at: Timestamp, snapshot: Snapshot) -> Self {
        Self { run, at, snapshot }
    }
}

/// Remembers prior states and what a run has begun, durably.
///
/// # Contract
/// - On `Ok`, `append` and `hold` survive a crash of the process and of the machine.
/// - **First writer wins:** while a snapshot of a target is held, `hold` changes nothing and returns the one that is held.
///   This is atomic across all processes that share the journal.
/// - `release` is a no-op unless `run` is the holder. Only a verified restore calls it, and people who give up what is held.
/// - Entries of a run come back in the order in which they were appended.
///
/// # Errors
/// `Unavailable`, `Timeout`; `Unexpected` for a journal that is torn or foreign. Nothing is deleted then.
///
/// # Cancellation
/// Dropping a future may leave the write made; repeating it is harmless.
#[async_trait]
pub trait Journal: Debug + Send + Sync + 'static {
    /// Adds an entry.
    async fn append(&self, entry: &JournalEntry) -> Result<()>;
    /// All entries of a run, oldest first; empty for an unknown run.
    async fn entries(&self, run: &RunId) -> Result<Vec<JournalEntry>>;
    /// All runs, oldest first.
    async fn runs(&self) -> Result<Vec<RunId>>;
    /// Holds `wanted.snapshot` for its target unless one is held already; returns the one that is held now.
    async fn hold(&self, wanted: &Held) -> Result<Held>;
    /// All held snapshots.
    async fn held(&self) -> Result<Vec<Held>>;
    /// The held snapshot of one target: one of another target that cannot be read must not hide it, wherever the two lie apart.
    async fn held_of(&self, target: &TargetId) -> Result<Option<Held>> {
        let mut held = self.held().await?;
        held.retain(|held| held.snapshot.target() == target);
        Ok(held.pop())
    }
    /// Ends the hold of `run` on `target`.
    async fn release(&self, run: &RunId, target: &TargetId) -> Result<()>;
}
