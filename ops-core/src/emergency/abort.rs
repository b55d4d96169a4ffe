use std::collections::{BTreeMap, BTreeSet};
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
    AbortCause, Aborted, Actor, Outcome, OutcomeStatus, PlanKind, PlannedStep, RunId, StepReport, StepResult,
    Timestamp, Verdict,
};
use crate::ports::{JournalEntry, JournalEvent};
use crate::resilience::Deadline;

/// How often an abort looks whether a call of the restore is still under way.
const LOOK: Duration = Duration::from_secs(1);

impl Engine {
    /// Turns a restore round: everything that it has begun to open is closed again, and its prior state is held again by the run that had stopped it.
    /// Works while the restore runs, here or in another process, and after it has died; repeating it is harmless. Needs no approval: closing never does.
    ///
    /// A restore that runs here is told before anything can wait. Success is [`Aborted::stopped`] of the outcome; its status is never a success.
    ///
    /// # Errors
    /// [`Refusal::UnknownRun`], [`Refusal::WrongProcedure`], [`Refusal::NotARestore`], [`Refusal::Completed`] when it has put everything back,
    /// [`Refusal::Superseded`] when one of its targets was restored again since, [`Refusal::Undecided`] when the journal cannot be read: a stop does without.
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
        if let Some(by) = restore_touching(&self.later_than(run).await?, &steps) {
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
        self.take_back(run, procedure, recorded).await
    }

    /// Closes what an aborted restore has begun to open. Its entries are read after `aborted` is among them: what begins later sees that.
    pub(super) async fn take_back(
        &self,
        run: &RunId,
        procedure: &Procedure,
        recorded: Recorded,
    ) -> Result<Outcome, Refusal> {
        let entries = self.entries(run).await?;
        let (record, steps) = taken_up(run, &entries, procedure)?;
        let cause = aborted(&entries).ok_or_else(|| Refusal::UnknownRun { run: run.clone() })?;
        let run = Arc::new(record);
        let mut course = Course::new(self.clock.monotonic(), Vec::new(), recorded);
        let reports = steps
            .iter()
            .map(|step| (step.step, reported(step, &run, &entries)));
        course.reports = reports.collect();
        let aborted = self.close_begun(&run, &steps, cause, &mut course).await;
        let aborted = self.see_it_through(&run, &steps, aborted).await;
        Ok(self.end(&run, course, Some(aborted)).await)
    }

    /// A call of the restore that was under way may come late, from a process that lives or from one that has died: as long as it can, looks on.
    async fn see_it_through(&self, run: &Arc<Run>, steps: &[PlannedStep], aborted: Aborted) -> Aborted {
        let clock = &*self.clock;
        let timeout = |step: &PlannedStep| {
            let step = run.procedure.step(&step.target);
            step.map_or(Duration::ZERO, |step| step.timeout)
        };
        let longest = steps.iter().map(timeout).max().unwrap_or_default();
        let deadline = Deadline::after(clock, longest);
        let mut waited = false;
        while !deadline.passed(clock) {
            let entries = self.entries(&run.id).await.unwrap_or_default();
            let calls = under_way(&entries);
            let may_come = |step: &PlannedStep| {
                let began = calls.get(&step.step);
                began.is_some_and(|at| *at + timeout(step) > clock.now())
            };
            if !steps.iter().any(may_come) {
                break;
            }
            waited = true;
            clock.sleep(LOOK.min(deadline.remaining(clock))).await;
        }
        if !waited && aborted.stopped() {
            return aborted;
        }
        let mut again = BTreeSet::new();
        for closed in &aborted.closed {
            let Some(step) = run.procedure.step(&closed.target) else {
                continue;
            };
            let look = self.look(&*step.action).await;
            if !look.is_ok_and(|observed| step.action.verify(&observed).holds()) {
                again.insert(closed.target.clone());
            }
        }
        let again: Vec<_> = steps
            .iter()
            .filter(|step| again.contains(&step.target))
            .cloned()
            .collect();
        let mut closed = self.close_again(run, &again).await;
        let kept = aborted
            .closed
            .into_iter()
            .filter(|one| !again.iter().any(|step| step.target == one.target));
        closed.extend(kept);
        closed.sort_by(|left, right| left.target.cmp(&right.target));
        Aborted::new(aborted.cause, closed)
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

/// When each call began that is not known to have ended.
fn under_way(entries: &[JournalEntry]) -> BTreeMap<u32, Timestamp> {
    let mut calls = BTreeMap::new();
    for entry in entries {
        match &entry.event {
            JournalEvent::Intent { step, .. } => {
                calls.insert(*step, entry.at);
            }
            JournalEvent::Applied { step, .. } | JournalEvent::Verified { step, .. } => {
                calls.remove(step);
            }
            _ => {}
        }
    }
    calls
}
