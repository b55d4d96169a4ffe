use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Aborted, Digest, GateReport, PlanKind, Prior, RunId, Share, TargetId, Text, Timestamp, Verdict};

/// What became of one step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "result", rename_all = "snake_case")]
#[non_exhaustive]
pub enum StepResult {
    /// Applied by this run.
    Done,
    /// It was so before; the call was repeated all the same where that is harmless.
    AlreadyDone,
    /// The provider refused, or the state is known not to be the wanted one.
    Failed {
        /// What the provider said, without secrets.
        error: String,
    },
    /// The call may or may not have had its effect, and the read-back could not tell.
    Unknown {
        /// What was seen.
        reason: String,
    },
    /// Not attempted, because an earlier step failed.
    Skipped,
    /// Opened by this run, and closed again when it went back.
    ClosedAgain {
        /// Why it went back.
        reason: String,
    },
}

impl StepResult {
    /// `done`, `already_done`, `failed`, `unknown`, `skipped` or `closed_again`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::AlreadyDone => "already_done",
            Self::Failed { .. } => "failed",
            Self::Unknown { .. } => "unknown",
            Self::Skipped => "skipped",
            Self::ClosedAgain { .. } => "closed_again",
        }
    }

    /// What went wrong.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Failed { error } => Some(error),
            Self::Unknown { reason } | Self::ClosedAgain { reason } => Some(reason),
            _ => None,
        }
    }
}

/// The report of one step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct StepReport {
    /// Position in the plan, from 0.
    pub step: u32,
    /// The stage it ran in.
    pub stage: u32,
    /// What was acted on.
    pub target: TargetId,
    /// What was done, in words.
    pub action: Text,
    /// What became of it.
    pub result: StepResult,
    /// What the read-back showed.
    pub verdict: Verdict,
    /// From the first attempt to the verdict.
    pub elapsed: Duration,
    /// How fast the step promised to be; zero in what versions before this field wrote.
    #[serde(default, skip_serializing_if = "Duration::is_zero")]
    pub promised: Duration,
    /// Whether `elapsed` kept the promise of the plan.
    pub within_target: bool,
    /// Whether the prior state was durable before the first effect. If not: `prior` here is the only copy.
    pub journalled: bool,
    /// The state before, as planned.
    pub prior: Prior,
    /// Limitations that hold although the step succeeded.
    pub caveats: Vec<Text>,
    /// For a restore in parts: the share of the users that the step was to let in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share: Option<Share>,
}

impl StepReport {
    /// Adds what an observation says, each once.
    pub(crate) fn add_caveats(&mut self, caveats: &[Text]) {
        for caveat in caveats {
            if !self.caveats.contains(caveat) {
                self.caveats.push(caveat.clone());
            }
        }
    }
}

/// How a run ended, over all its steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(
    clippy::exhaustive_enums,
    reason = "callers map each to an exit code or an answer"
)]
pub enum OutcomeStatus {
    /// Every step is done and its read-back shows it.
    Verified,
    /// Every step was accepted, but not every read-back shows it.
    Unverified,
    /// Some steps hold, others failed or are unknown.
    Partial,
    /// No step holds.
    Failed,
}

/// What a run did. Never a bare success: every step says what its read-back showed.
#[must_use = "an outcome says what failed"]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Outcome {
    /// The run.
    pub run: RunId,
    /// The procedure that was run.
    pub procedure: String,
    /// Stop or restore.
    #[serde(flatten)]
    pub kind: PlanKind,
    /// The digest of the plan that was approved.
    pub digest: Digest,
    /// How it was approved, in words.
    pub approval: String,
    /// When the broken glass must be reviewed; `None`: the rules were kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub review_due: Option<Timestamp>,
    /// The sum of the steps.
    pub status: OutcomeStatus,
    /// Every step of the plan, in its order.
    pub steps: Vec<StepReport>,
    /// For a restore: what became of its gates.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gates: Vec<GateReport>,
    /// For a restore without gates and ramps: why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ungated: Option<String>,
    /// For a restore that went back to stopped: why, and what is closed again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aborted: Option<Aborted>,
    /// When execution began.
    pub started_at: Timestamp,
    /// From the beginning to the last verdict.
    pub took: Duration,
    /// Whether every step kept its promise.
    pub within_target: bool,
    /// Whether the primary journal took every entry. If not, entries are in the local spool or lost; the steps say which.
    pub journalled: bool,
    /// Whether the audit store has the records of this run. `false` until the spool has been delivered.
    pub audited: bool,
}

impl Outcome {
    /// How fast the whole promised to be: the slowest step of each stage. [`took`](Self::took) minus this is by how much it was missed.
    pub fn promised(&self) -> Duration {
        let mut stages = BTreeMap::<u32, Duration>::new();
        for step in &self.steps {
            let slowest = stages.entry(step.stage).or_default();
            *slowest = step.promised.max(*slowest);
        }
        stages.values().sum()
    }

    /// The sum of `steps`.
    pub fn status_of(steps: &[StepReport]) -> OutcomeStatus {
        let good = |step: &&StepReport| matches!(step.result, StepResult::Done | StepResult::AlreadyDone);
        let verified = steps
            .iter()
            .filter(|step| good(step) && step.verdict.holds())
            .count();
        let accepted = steps.iter().filter(good).count();
        match (verified, accepted) {
            (verified, _) if verified == steps.len() => OutcomeStatus::Verified,
            (_, accepted) if accepted == steps.len() => OutcomeStatus::Unverified,
            (_, 0) => OutcomeStatus::Failed,
            _ => OutcomeStatus::Partial,
        }
    }
}
