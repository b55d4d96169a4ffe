use tracing::{Span, debug_span, info_span};

use super::Engine;
use super::execute::Run;
use crate::model::{PlanKind, PlannedStep, RunId};

/// What everything that a run does happens in.
pub(super) fn of_run(engine: &Engine, run: &Run) -> Span {
    let procedure = engine.masked(run.procedure.name.clone());
    let kind = match run.kind {
        PlanKind::Stop => "stop",
        PlanKind::Restore { .. } => "restore",
        PlanKind::Forget { .. } => "forget",
    };
    info_span!("run", run = %run.id, kind, procedure)
}

/// What everything that a step does happens in. It names the run again: a reader may have only this line.
pub(super) fn of_step(run: &RunId, step: &PlannedStep) -> Span {
    info_span!("step", %run, step = step.step, stage = step.stage, target = %step.target)
}

/// One call of a journal.
pub(super) fn of_journal() -> Span {
    debug_span!("journal")
}

/// One look at a target.
pub(super) fn of_look(attempt: u32) -> Span {
    debug_span!("look", attempt)
}
