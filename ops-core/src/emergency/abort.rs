use std::sync::Arc;
use std::time::Duration;

use super::execute::Run;
use super::history::restore_touching;
use super::ledger::Recorded;
use super::procedure::Procedure;
use super::recover::taken_up;
use super::stages::Course;
use super::way::aborted;
use super::{Engine, Refusal};
use crate::model::{
    AbortCause, Actor, Outcome, OutcomeStatus, PlanKind, PlannedStep, RunId, StepReport, StepResult, Verdict,
};
use crate::ports::{JournalEntry, JournalEvent};

impl Engine {
    /// Turns a restore round: everything that it has begun to open is closed again, and its prior state is held again by the run that had stopped it.
    /// Works while the restore runs, here or in another process, and after it has died; repeating it is harmless. Needs no approval: closing never does.
    ///
    /// A restore that runs here is told before anything can wait. Success is [`Aborted::stopped`](crate::model::Aborted::stopped) of the outcome; its status is never a success.
    ///
    /// # Errors
    /// [`Refusal::UnknownRun`], [`Refusal::WrongProcedure`], [`Refusal::NotARestore`], [`Refusal::Completed`] when it has put everything back,
    /// [`Refusal::Superseded`] when one of its targets was restored again since, [`Refusal::Undecided`] when the journal cannot be read: a stop does without.
    /// If the journal does not tell within 2 s what was restored since, it closes.
    ///
    /// # Cancellation
    /// As [`execute`](Self::execute).
    pub async fn abort(
        &self,
        run: &RunId,
        procedure: &Procedure,
        actor: &Actor,
        reason: &str,
    ) -> Result<Outcome, Refusal> {
        let cause = AbortCause::Asked {
            by: actor.renamed(&self.masked(actor.id().to_owned())),
            reason: self.masked(reason.to_owned()),
        };
        self.underway.go_back(run, &cause);
        let entries = self.entries(run).await?;
        let (record, steps) = taken_up(run, &entries, procedure)?;
        if !matches!(record.kind, PlanKind::Restore { .. }) {
            return Err(Refusal::NotARestore { run: run.clone() });
        }
        if let Some(by) = restore_touching(&self.later_if_told(run).await, &steps) {
            return Err(Refusal::Superseded { by });
        }
        let completed = entries.iter().any(|entry| {
            matches!(
                entry.event,
                JournalEvent::Ended {
                    status: OutcomeStatus::Verified
                }
            )
        });
        if completed && aborted(&entries).is_none() {
            return Err(Refusal::Completed { run: run.clone() });
        }
        let mut recorded = Recorded::Primary;
        if aborted(&entries).is_none() {
            let event = JournalEvent::Aborted { cause: cause.clone() };
            recorded = self.note(run, event).await;
        }
        self.take_back(run, procedure, recorded, cause, entries).await
    }

    /// Closes what an aborted restore has begun to open. Its entries are read again after `aborted` is among them: what begins later sees that.
    /// A journal that takes nothing, or tells no more, keeps nothing open.
    pub(super) async fn take_back(
        &self,
        run: &RunId,
        procedure: &Procedure,
        recorded: Recorded,
        cause: AbortCause,
        mut entries: Vec<JournalEntry>,
    ) -> Result<Outcome, Refusal> {
        let mut newer = self.entries(run).await.unwrap_or_default();
        newer.retain(|entry| !entries.contains(entry));
        entries.extend(newer);
        let (record, steps) = taken_up(run, &entries, procedure)?;
        let cause = aborted(&entries).unwrap_or(cause);
        let run = Arc::new(record);
        let mut course = Course::new(self.clock.monotonic(), Vec::new(), recorded);
        let reports = steps
            .iter()
            .map(|step| (step.step, reported(step, &run, &entries)));
        course.reports = reports.collect();
        let aborted = self.close_begun(&run, &steps, cause, &mut course).await;
        Ok(self.end(&run, course, Some(aborted)).await)
    }
}

/// What the journal says of a step of an aborted restore, before it is closed again.
fn reported(step: &PlannedStep, run: &Run, entries: &[JournalEntry]) -> StepReport {
    let last = entries.iter().rev().find_map(|entry| match &entry.event {
        JournalEvent::Verified {
            step: found,
            result,
            verdict,
            ..
        } if *found == step.step => Some((result.clone(), verdict.clone())),
        _ => None,
    });
    let (result, verdict) = match last {
        Some(last) => last,
        None if run.begun.contains(&step.step) => (
            StepResult::Unknown {
                reason: "the restore was cut off".to_owned(),
            },
            Verdict::unknown("the restore was cut off"),
        ),
        None => (StepResult::Skipped, Verdict::unknown("not attempted")),
    };
    super::execute::report(step.clone(), result, verdict, Duration::ZERO, true)
}
