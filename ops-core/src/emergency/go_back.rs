use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tokio::task::JoinSet;

use super::Engine;
use super::execute::Run;
use super::ledger::{Recorded, worse};
use super::procedure::Step;
use super::stages::Course;
use crate::messages;
use crate::model::{
    AbortCause, Aborted, ClosedAgain, IdempotencyKey, Lang, PlanKind, PlannedStep, Prior, StepResult,
    TargetId, Verdict,
};
use crate::ports::{Held, JournalEvent};
use crate::resilience::Deadline;

impl Engine {
    /// Closes again what the restore has begun to open. Nothing keeps it from doing so: no gate, no approval, no jitter, no journal.
    pub(super) async fn go_back(
        &self,
        run: &Arc<Run>,
        steps: &[PlannedStep],
        cause: AbortCause,
        course: &mut Course,
    ) -> Aborted {
        let event = JournalEvent::Aborted { cause: cause.clone() };
        course.recorded = worse(course.recorded, self.note(&run.id, event).await);
        self.close_begun(run, steps, cause, course).await
    }

    /// Closes what has begun, sees to it that it stays closed, and says so in the reports.
    pub(super) async fn close_begun(
        &self,
        run: &Arc<Run>,
        steps: &[PlannedStep],
        cause: AbortCause,
        course: &mut Course,
    ) -> Aborted {
        let begun = |step: &&PlannedStep| {
            let report = course.reports.get(&step.step);
            run.begun.contains(&step.step)
                || report.is_some_and(|report| report.result != StepResult::Skipped)
        };
        let begun: Vec<_> = steps.iter().filter(begun).cloned().collect();
        let closed = self.close_again(run, &begun).await;
        let aborted = Aborted::new(cause, closed);
        let aborted = self.see_it_through(run, steps, &begun, aborted).await;
        let reason = messages::abort_cause(&aborted.cause).get(Lang::En).to_owned();
        for step in &begun {
            let Some(closed) = aborted.closed.iter().find(|closed| closed.target == step.target) else {
                continue;
            };
            let Some(report) = course.reports.get_mut(&step.step) else {
                continue;
            };
            report.journalled = closed.held;
            report.within_target = false;
            report.verdict = match &closed.verdict {
                Verdict::Holds => Verdict::not_yet("closed again"),
                _ if matches!(report.result, StepResult::Failed { .. }) => closed.verdict.clone(),
                verdict => {
                    let why = verdict.reason().unwrap_or("");
                    Verdict::unknown(format!("not seen to be closed again: {why}"))
                }
            };
            if !matches!(report.result, StepResult::Failed { .. }) {
                let reason = reason.clone();
                report.result = StepResult::ClosedAgain { reason };
            }
        }
        aborted
    }

    /// Closes the targets of `steps`, in the order in which a stop does.
    pub(super) async fn close_again(&self, run: &Arc<Run>, steps: &[PlannedStep]) -> Vec<ClosedAgain> {
        let mut stages = BTreeMap::<u32, Vec<(Step, PlannedStep)>>::new();
        let mut seen = BTreeSet::new();
        for planned in steps {
            if let Some(step) = run.procedure.step(&planned.target)
                && seen.insert(&planned.target)
            {
                let stage = stages.entry(step.closing).or_default();
                stage.push((step.clone(), planned.clone()));
            }
        }
        let mut closed = Vec::new();
        for stage in stages.into_values() {
            let mut left: BTreeSet<TargetId> =
                stage.iter().map(|(_, planned)| planned.target.clone()).collect();
            let mut tasks = JoinSet::new();
            for (step, planned) in stage {
                let (engine, run) = (self.clone(), Arc::clone(run));
                tasks.spawn(async move { engine.close_one_again(&run, &step, &planned).await });
            }
            while let Some(ended) = tasks.join_next().await {
                if let Ok(one) = ended {
                    left.remove(&one.target);
                    closed.push(one);
                }
            }
            let panicked = || Verdict::unknown("the provider ended unexpectedly; look at the target");
            closed.extend(
                left.into_iter()
                    .map(|target| ClosedAgain::new(target, panicked(), false)),
            );
        }
        closed.sort_by(|left, right| left.target.cmp(&right.target));
        closed
    }

    async fn close_one_again(&self, run: &Run, step: &Step, planned: &PlannedStep) -> ClosedAgain {
        let (clock, action) = (&*self.clock, &*step.action);
        let held = self.hold_again(run, planned).await;
        let of = match &run.kind {
            PlanKind::Restore { of } => of,
            _ => &run.id,
        };
        let key = IdempotencyKey::for_closing_again(of, &run.id, planned.step);
        let deadline = Deadline::after(clock, step.timeout);
        let called = step
            .retry
            .run(clock, deadline, "stop", || async {
                action.apply(&key).await.map(drop)
            })
            .await;
        let back = self
            .read_back(action, step.settle, |observed| action.verify(observed))
            .await;
        let verdict = match (back.verdict, called) {
            (Verdict::Holds, _) => Verdict::Holds,
            (Verdict::NotYet { reason }, Ok(())) => Verdict::not_yet(self.masked(reason)),
            (Verdict::Unknown { reason }, Ok(())) => Verdict::unknown(self.masked(reason)),
            (Verdict::NotYet { .. }, Err(error)) => Verdict::not_yet(self.masked(error.to_string())),
            (Verdict::Unknown { .. }, Err(error)) => Verdict::unknown(self.masked(error.to_string())),
        };
        let event = JournalEvent::ClosedAgain {
            target: planned.target.clone(),
            verdict: verdict.clone(),
            left: back.last.map(|last| last.snapshot().clone()),
        };
        let noted = self.note(&run.id, event).await;
        tracing::debug!(target = %planned.target, noted = noted != Recorded::Nowhere, "closed again");
        ClosedAgain::new(planned.target.clone(), verdict, held)
    }

    /// Makes the prior state durable again, for the run that held it first and before the target is closed. If another run holds one
    /// by now, that one is the truth. `false`: no journal took it.
    async fn hold_again(&self, run: &Run, planned: &PlannedStep) -> bool {
        match (&run.kind, &planned.prior) {
            (PlanKind::Restore { of }, Prior::Observed { snapshot }) => {
                let held = Held::new(of.clone(), self.clock.now(), snapshot.clone());
                self.ledger.hold(&held).await.is_some()
            }
            // It was never known, so it is not lost either.
            _ => true,
        }
    }
}
