use std::fmt::Display;

use thiserror::Error as ThisError;

use super::Violation;
use crate::error::Error;
use crate::model::{PlannedStep, RunId};

/// Why a plan is not made or not carried out. Nothing has been changed.
#[derive(Debug, ThisError)]
#[non_exhaustive]
pub enum Refusal {
    /// Not enough valid approvals.
    #[error("{needed} persons must approve, {valid} did{}", listed("; ", faults))]
    NotApproved {
        /// How many different persons must agree.
        needed: usize,
        /// How many do.
        valid: usize,
        /// What is wrong with the others, a line each.
        faults: Vec<String>,
    },
    /// The approval has run out.
    #[error("the approval has run out")]
    Expired,
    /// Somebody changed targets since the stop; the steps show the difference.
    #[error("changed since the stop:{}", listed(" ", steps.iter().map(|step| &step.target)))]
    Drifted {
        /// The steps whose target is not as the stop left it.
        steps: Vec<PlannedStep>,
    },
    /// No prior state of this run is held: it was restored, or another run holds it.
    #[error("{run} holds no prior state{}", elsewhere(held_by))]
    NothingHeld {
        /// The run.
        run: RunId,
        /// The runs that hold its targets.
        held_by: Vec<RunId>,
    },
    /// The journal does not know the run.
    #[error("the journal does not know {run}")]
    UnknownRun {
        /// The run.
        run: RunId,
    },
    /// The procedure at hand is not the one of the run.
    #[error("not the procedure of this run: {what}")]
    WrongProcedure {
        /// What does not fit.
        what: String,
    },
    /// Automation may stop, never restore.
    #[error("automation may stop, never restore")]
    AutomationMayNotRestore,
    /// A later run has restored: going on would stop again, or open what was stopped anew.
    #[error("{by} has restored since; begin anew instead")]
    Superseded {
        /// The restore.
        by: RunId,
    },
    /// What was approved is not what is there; the drift of each step is how it differs from the approved request.
    #[error("changed since it was approved:{}", listed(" ", steps.iter().map(|step| &step.target)))]
    Changed {
        /// The steps that differ.
        steps: Vec<PlannedStep>,
    },
    /// An approval is good for one run.
    #[error("{by} has used these approvals already; ask for new ones")]
    Replayed {
        /// The run that used them.
        by: RunId,
    },
    /// The stop would break rules. A person may go ahead by breaking the glass and naming each of them.
    #[error("breaks a rule:{}", listed(" ", rules))]
    Violates {
        /// What to name.
        rules: Vec<Violation>,
    },
    /// A broken glass names a rule that the procedure does not have.
    #[error("there is no rule {name}; the rules are{}", listed(" ", known))]
    UnknownRule {
        /// The unknown name.
        name: String,
        /// The names that there are.
        known: Vec<String>,
    },
    /// The run has no review that this actor may close.
    #[error("cannot be reviewed: {what}")]
    NoReview {
        /// Why not.
        what: String,
    },
    /// A stop is not aborted: restore it.
    #[error("{run} is no restore; only a restore is aborted")]
    NotARestore {
        /// The run.
        run: RunId,
    },
    /// The restore has put everything back: to stop it now is a new stop.
    #[error("{run} has put everything back; stop anew instead")]
    Completed {
        /// The restore.
        run: RunId,
    },
    /// It could not be found out whether it may be done.
    #[error("could not find out: {0}")]
    Undecided(#[from] Error),
}

/// Each item behind `separator`.
fn listed<T: Display>(separator: &str, items: impl IntoIterator<Item = T>) -> String {
    items
        .into_iter()
        .map(|item| format!("{separator}{item}"))
        .collect()
}

fn elsewhere(held_by: &[RunId]) -> String {
    match held_by {
        [] => ": it was restored already, or stopped nothing".to_owned(),
        holders => format!("; restore{}", listed(" ", holders)),
    }
}

impl Refusal {
    /// The rule that refused, as a word for metrics.
    pub fn name(&self) -> &'static str {
        match self {
            Self::NotApproved { .. } => "not_approved",
            Self::Expired => "expired",
            Self::Drifted { .. } => "drifted",
            Self::NothingHeld { .. } => "nothing_held",
            Self::UnknownRun { .. } => "unknown_run",
            Self::WrongProcedure { .. } => "wrong_procedure",
            Self::AutomationMayNotRestore => "automation",
            Self::Superseded { .. } => "superseded",
            Self::Undecided(_) => "undecided",
            #[allow(
                unreachable_patterns,
                reason = "a rule that has no word yet is counted all the same"
            )]
            _ => "other",
        }
    }
}
