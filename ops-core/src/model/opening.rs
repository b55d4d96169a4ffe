use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Actor, RunId, TargetId, Text, Verdict};

/// How a restore opens, besides its steps. Part of what is approved.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Opening {
    /// What must be seen between the stages, in the order in which it is asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gates: Vec<PlannedGate>,
    /// Over how long the steps of a stage begin.
    #[serde(default, skip_serializing_if = "Duration::is_zero")]
    pub jitter: Duration,
    /// Why a person goes without gates and ramps. `None`: nobody does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ungated: Option<String>,
}

impl Opening {
    /// Whether there is nothing in it: the stages follow one another as soon as they verify.
    pub fn is_plain(&self) -> bool {
        self.gates.is_empty() && self.jitter.is_zero() && self.ungated.is_none()
    }
}

/// One gate of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PlannedGate {
    /// Position in the plan, from 0.
    pub gate: u32,
    /// The stage that waits for it, and all later ones; one more than the last stage: the run's end waits for it.
    pub before: u32,
    /// What it is about, in words.
    pub action: Text,
    /// The names of the health checks, all of which must hold.
    pub checks: Vec<String>,
    /// For how long without a break.
    pub hold: Duration,
    /// How often it looks.
    pub every: Duration,
    /// When it gives up.
    pub patience: Duration,
}

impl PlannedGate {
    /// A gate that looks every 5 s and gives up after 10 minutes.
    pub fn new(gate: u32, before: u32, action: Text, checks: Vec<String>, hold: Duration) -> Self {
        Self {
            gate,
            before,
            action,
            checks,
            hold,
            every: Duration::from_secs(5),
            patience: Duration::from_secs(600),
        }
    }
}

/// What became of one gate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct GateReport {
    /// Position in the plan, from 0.
    pub gate: u32,
    /// What it is about, in words.
    pub action: Text,
    /// How it ended.
    #[serde(flatten)]
    pub result: GateResult,
    /// How long it took.
    pub waited: Duration,
}

/// How a gate ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "result", rename_all = "snake_case")]
#[non_exhaustive]
pub enum GateResult {
    /// Health held for as long as it had to.
    Passed,
    /// It did not, and patience ran out.
    Failed {
        /// What was seen last.
        reason: String,
    },
    /// The restore went back before the gate had ended.
    Interrupted,
    /// The restore did not come so far.
    NotReached,
}

impl GateResult {
    /// `passed`, `failed`, `interrupted` or `not_reached`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed { .. } => "failed",
            Self::Interrupted => "interrupted",
            Self::NotReached => "not_reached",
        }
    }
}

/// Why a restore goes back to stopped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "cause", rename_all = "snake_case")]
#[non_exhaustive]
pub enum AbortCause {
    /// A gate did not pass.
    Gate {
        /// Its position in the plan, from 0.
        gate: u32,
        /// What was seen last.
        reason: String,
    },
    /// Somebody has stopped a target anew.
    Stopped {
        /// The run.
        by: RunId,
    },
    /// Somebody aborted it.
    Asked {
        /// Who.
        by: Actor,
        /// Why.
        reason: String,
    },
}

/// A restore that went back to stopped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Aborted {
    /// Why.
    #[serde(flatten)]
    pub cause: AbortCause,
    /// Every target that it had begun to open.
    pub closed: Vec<ClosedAgain>,
}

impl Aborted {
    /// For this cause, with what was closed.
    pub fn new(cause: AbortCause, closed: Vec<ClosedAgain>) -> Self {
        Self { cause, closed }
    }

    /// Whether everything is seen to be closed again.
    pub fn stopped(&self) -> bool {
        self.closed.iter().all(|closed| closed.verdict.holds())
    }
}

/// One target that was closed again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ClosedAgain {
    /// The target.
    pub target: TargetId,
    /// Whether it is seen to be stopped.
    pub verdict: Verdict,
    /// Whether its prior state was held again before it was closed. If not: the step's `prior` is the only copy.
    pub held: bool,
}

impl ClosedAgain {
    /// A target, what was seen of it, and whether its prior state is held.
    pub fn new(target: TargetId, verdict: Verdict, held: bool) -> Self {
        Self {
            target,
            verdict,
            held,
        }
    }
}
