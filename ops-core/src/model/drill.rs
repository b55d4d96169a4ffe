use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{
    Digest, OutcomeStatus, PlannedStep, Prior, RunId, StepReport, StepResult, TargetId, Text, Timestamp,
    Verdict,
};

/// What a drill found: the evidence that a procedure stops, and puts back exactly.
///
/// Everything in it was measured or read; whether the drill was passed is computed from it by [`verdict`](Self::verdict).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct DrillReport {
    /// The run that stopped; the name of the report.
    pub run: RunId,
    /// The run that restored; `None` if the restore was refused.
    pub restore_run: Option<RunId>,
    /// The procedure.
    pub procedure: String,
    /// What it was drilled on, in the words of whoever drilled it: simulated vendors, in memory, probes only.
    pub world: String,
    /// When the plan was made.
    pub started_at: Timestamp,
    /// When the last read of the confirmation ended.
    pub ended_at: Timestamp,
    /// What was approved for the stop.
    pub stop_digest: Digest,
    /// What was approved for the restore.
    pub restore_digest: Option<Digest>,
    /// How both were approved, in words.
    pub approvals: Vec<String>,
    /// Public halves of the keys that were made for this drill and thrown away. Not empty: no person has approved it.
    pub throw_away_keys: Vec<String>,
    /// How the stop ended.
    pub stopped: OutcomeStatus,
    /// How the restore ended; `None` if it was refused.
    pub restored: Option<OutcomeStatus>,
    /// Why the restore was refused.
    pub restore_refused: Option<String>,
    /// From the beginning of the stop to its last verdict.
    pub stop_took: Duration,
    /// How fast the stop promises to be.
    pub stop_promised: Duration,
    /// From the beginning of the restore to its last verdict.
    pub restore_took: Option<Duration>,
    /// The steps of the stop.
    pub stop_steps: Vec<DrilledStep>,
    /// The steps of the restore.
    pub restore_steps: Vec<DrilledStep>,
    /// What a second read through fresh clients showed, a target each.
    pub confirmed: Vec<DrilledTarget>,
    /// Whether the primary journal took every entry of both runs.
    pub journalled: bool,
    /// Whether the audit store has the records of both runs.
    pub audited: bool,
    /// Whether the audit chain is intact and has a record of every step of both runs.
    pub audit_verified: bool,
    /// What was made to go wrong, and which rules of a simulation were broken.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub injected: Vec<String>,
    /// What took part, in which version.
    pub versions: BTreeMap<String, String>,
}

/// One step of a drill.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct DrilledStep {
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
    /// How fast it promises to be.
    pub promised: Duration,
    /// From the first attempt to the verdict.
    pub took: Duration,
    /// Whether it kept its promise.
    pub within_target: bool,
    /// SHA-256 of the state before, as far as it can be restored; `None`: not known, or it was stopped before.
    pub prior_digest: Option<Digest>,
    /// Whether the prior state was durable before the first effect.
    pub journalled: bool,
}

/// One target after the restore, read once more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct DrilledTarget {
    /// The target.
    pub target: TargetId,
    /// Whether it is exactly as before the stop, and effectively so.
    pub exact: bool,
    /// Why not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen: Option<String>,
    /// Dotted paths of the fields that differ; their values are in the journal.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub differences: Vec<String>,
}

/// How a drill ended: the first thing that was not as it must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::exhaustive_enums, reason = "callers map each to an answer")]
pub enum DrillVerdict {
    /// Stopped, restored exactly, recorded.
    Passed,
    /// Not every target was seen to be stopped.
    NotStopped,
    /// The restore was refused.
    RestoreRefused,
    /// Not every target was seen to be restored.
    NotRestored,
    /// A second read found a target that is not exactly as before.
    NotExact,
    /// Journal or audit trail do not have all of it.
    NotRecorded,
}

impl DrillVerdict {
    /// Stopped, restored exactly, recorded.
    pub fn passed(self) -> bool {
        self == Self::Passed
    }

    /// `passed`, `not_stopped`, `restore_refused`, `not_restored`, `not_exact` or `not_recorded`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::NotStopped => "not_stopped",
            Self::RestoreRefused => "restore_refused",
            Self::NotRestored => "not_restored",
            Self::NotExact => "not_exact",
            Self::NotRecorded => "not_recorded",
        }
    }
}

impl DrillReport {
    /// The judgement, from the facts of the report.
    pub fn verdict(&self) -> DrillVerdict {
        if self.stopped != OutcomeStatus::Verified {
            return DrillVerdict::NotStopped;
        }
        match self.restored {
            None => return DrillVerdict::RestoreRefused,
            Some(OutcomeStatus::Verified) => {}
            Some(_) => return DrillVerdict::NotRestored,
        }
        if !self.restored_exactly() {
            return DrillVerdict::NotExact;
        }
        if !(self.journalled && self.audited && self.audit_verified) {
            return DrillVerdict::NotRecorded;
        }
        DrillVerdict::Passed
    }

    /// Whether a second read found every target of the stop exactly as before.
    pub fn restored_exactly(&self) -> bool {
        let exact = |step: &DrilledStep| {
            let mut seen = self.confirmed.iter().filter(|seen| seen.target == step.target);
            seen.next().is_some_and(|seen| seen.exact) && seen.next().is_none()
        };
        !self.stop_steps.is_empty() && self.stop_steps.iter().all(exact)
    }

    /// Whether every step of the stop kept its promise.
    pub fn within_target(&self) -> bool {
        self.stop_steps.iter().all(|step| step.within_target)
    }

    /// The step of the stop that took longest.
    pub fn slowest(&self) -> Option<&DrilledStep> {
        self.stop_steps.iter().max_by_key(|step| step.took)
    }

    /// SHA-256 over the report as JSON: what the audit trail keeps of it.
    pub fn digest(&self) -> Digest {
        // Serialising cannot fail: no map has keys other than strings.
        Digest::of(&serde_json::to_vec(self).unwrap_or_default())
    }
}

impl DrilledStep {
    /// What `report` says of the step that was `planned`.
    pub fn new(planned: &PlannedStep, report: &StepReport) -> Self {
        let prior_digest = match &report.prior {
            Prior::Observed { snapshot } => Some(Digest::of(&snapshot.restorable_bytes())),
            _ => None,
        };
        Self {
            step: report.step,
            stage: report.stage,
            target: report.target.clone(),
            action: report.action.clone(),
            result: report.result.clone(),
            verdict: report.verdict.clone(),
            promised: planned.promised,
            took: report.elapsed,
            within_target: report.within_target,
            prior_digest,
            journalled: report.journalled,
        }
    }
}

/// What a plan shows of the last drill of its procedure.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct LastDrill {
    /// The run that stopped.
    pub run: RunId,
    /// When it began.
    pub at: Timestamp,
    /// What it was drilled on.
    pub world: String,
    /// How it ended.
    pub verdict: DrillVerdict,
    /// How long the stop took.
    pub took: Duration,
    /// The step that took longest, and how long.
    pub slowest: Option<(TargetId, Duration)>,
}

impl LastDrill {
    /// What is shown of `report`.
    pub fn of(report: &DrillReport) -> Self {
        Self {
            run: report.run.clone(),
            at: report.started_at,
            world: report.world.clone(),
            verdict: report.verdict(),
            took: report.stop_took,
            slowest: report.slowest().map(|step| (step.target.clone(), step.took)),
        }
    }
}
