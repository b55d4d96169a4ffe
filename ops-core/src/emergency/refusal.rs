use std::fmt;

use crate::error::Error;
use crate::model::{PlannedStep, RunId};

/// Why a plan is not made or not carried out. Nothing has been changed.
#[derive(Debug)]
#[non_exhaustive]
pub enum Refusal {
    /// Not enough valid approvals.
    NotApproved {
        /// How many different persons must agree.
        needed: usize,
        /// How many do.
        valid: usize,
        /// What is wrong with the others, a line each.
        faults: Vec<String>,
    },
    /// The approval has run out.
    Expired,
    /// Somebody changed targets since the stop; the steps show the difference.
    Drifted {
        /// The steps whose target is not as the stop left it.
        steps: Vec<PlannedStep>,
    },
    /// No prior state of this run is held: it was restored, or another run holds it.
    NothingHeld {
        /// The run.
        run: RunId,
        /// The runs that hold its targets.
        held_by: Vec<RunId>,
    },
    /// The journal does not know the run.
    UnknownRun {
        /// The run.
        run: RunId,
    },
    /// The procedure at hand is not the one of the run.
    WrongProcedure {
        /// What does not fit.
        what: String,
    },
    /// Automation may stop, never restore.
    AutomationMayNotRestore,
    /// A later run has restored: going on would stop again, or open what was stopped anew.
    Superseded {
        /// The restore.
        by: RunId,
    },
    /// It could not be found out whether it may be done.
    Undecided(Error),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotApproved {
                needed,
                valid,
                faults,
            } => {
                write!(f, "{needed} persons must approve, {valid} did")?;
                faults.iter().try_for_each(|fault| write!(f, "; {fault}"))
            }
            Self::Expired => write!(f, "the approval has run out"),
            Self::Drifted { steps } => {
                write!(f, "changed since the stop:")?;
                steps.iter().try_for_each(|step| write!(f, " {}", step.target))
            }
            Self::NothingHeld { run, held_by } if held_by.is_empty() => write!(
                f,
                "{run} holds no prior state: it was restored already, or stopped nothing"
            ),
            Self::NothingHeld { run, held_by } => {
                write!(f, "{run} holds no prior state; restore")?;
                held_by.iter().try_for_each(|holder| write!(f, " {holder}"))
            }
            Self::UnknownRun { run } => write!(f, "the journal does not know {run}"),
            Self::WrongProcedure { what } => write!(f, "not the procedure of this run: {what}"),
            Self::AutomationMayNotRestore => write!(f, "automation may stop, never restore"),
            Self::Superseded { by } => write!(f, "{by} has restored since; begin anew instead"),
            Self::Undecided(error) => write!(f, "could not find out: {error}"),
        }
    }
}

impl std::error::Error for Refusal {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Undecided(error) => Some(error),
            _ => None,
        }
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::Undecided(error)
    }
}
