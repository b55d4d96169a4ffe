use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use super::Engine;
use super::execute::{Run, put_back_by};
use super::history::{ASK, PastRun};
use super::outstanding::{Call, Outstanding, leaves_open};
use super::procedure::Step;
use crate::error::Result;
use crate::model::{
    Aborted, ClosedAgain, IdempotencyKey, Observation, PlanKind, PlannedStep, Prior, RunId, Snapshot,
    StepReport, StepResult, TargetId, TargetState, Verdict,
};
use crate::ports::JournalEvent;
use crate::resilience::Deadline;

/// How often who has closed looks whether a late call has opened again.
const LOOK: Duration = Duration::from_secs(1);

impl Engine {
    /// A call of the restore that got no answer may come late, from a process that lives or from one that has died: as long as it can, the
    /// targets are looked at once a second, and closed again. If the journal does not tell of calls, every step of `begun` may have one.
    pub(super) async fn see_it_through(
        &self,
        run: &Arc<Run>,
        steps: &[PlannedStep],
        begun: &[PlannedStep],
        aborted: Aborted,
    ) -> Aborted {
        let mut closed: BTreeMap<TargetId, ClosedAgain> = aborted
            .closed
            .into_iter()
            .map(|closed| (closed.target.clone(), closed))
            .collect();
        let mut calls: Option<Vec<Call>> = None;
        loop {
            let (now, monotonic) = (self.clock.now(), self.clock.monotonic());
            let seen = match self.entries(&run.id).await {
                Ok(entries) => {
                    let past = Vec::from_iter(PastRun::read(run.id.clone(), entries));
                    let before = calls.as_deref().unwrap_or_default();
                    Outstanding::read(&past, now, monotonic).seen_before(before).calls
                }
                Err(_) => calls.unwrap_or_else(|| {
                    let assumed = begun.iter().map(|step| Call::assumed(run, step, now, monotonic));
                    assumed.collect()
                }),
            };
            let until = seen.iter().map(|call| call.until).max().unwrap_or_default();
            let left = until.saturating_sub(self.clock.monotonic());
            let open = closed.values().filter(|closed| !closed.verdict.holds());
            let mut suspects: BTreeSet<TargetId> = open.map(|closed| closed.target.clone()).collect();
            if !left.is_zero() {
                suspects.extend(seen.iter().map(|call| call.target.clone()));
                self.clock.sleep(LOOK.min(left)).await;
            }
            let again = steps.iter().filter(|step| suspects.contains(&step.target));
            for one in self.close_what_opened(run, again).await {
                closed.insert(one.target.clone(), one);
            }
            if left.is_zero() {
                return Aborted::new(aborted.cause, closed.into_values().collect());
            }
            calls = Some(seen);
        }
    }

    /// What another restore has touched since is left to that one.
    async fn close_what_opened(
        &self,
        run: &Arc<Run>,
        suspects: impl Iterator<Item = &PlannedStep>,
    ) -> Vec<ClosedAgain> {
        let suspects: Vec<_> = suspects
            .filter_map(|planned| Some((planned, run.procedure.step(&planned.target)?.clone())))
            .collect();
        let steps: Vec<_> = suspects.iter().map(|(_, step)| step.clone()).collect();
        let observed = self.observe_all(&steps).await;
        let mut open: Vec<PlannedStep> = Vec::new();
        for ((planned, step), seen) in suspects.into_iter().zip(observed) {
            if !holds(&step, &seen) {
                open.push(planned.clone());
            }
        }
        if open.is_empty() {
            return Vec::new();
        }
        let later = self.later_if_told(&run.id).await;
        open.retain(|step| {
            let taken = |past: &PastRun| past.is_restore() && past.touches(&step.target);
            !later.iter().any(taken)
        });
        self.close_again(run, &open).await
    }

    /// Closing never waits, but a restore that died may still open what was just closed: as long as its call can land, the targets are looked
    /// at once a second, and closed again.
    pub(super) async fn close_behind(&self, run: &Arc<Run>, reports: &mut BTreeMap<u32, StepReport>) {
        if !matches!(run.kind, PlanKind::Stop) || self.ledger.rests() {
            return;
        }
        let found = Deadline::after(&*self.clock, ASK)
            .bound(&*self.clock, "read journal", self.newest())
            .await;
        let past = found.unwrap_or_default();
        let found = Outstanding::read(&past, self.clock.now(), self.clock.monotonic());
        let opens = |report: &StepReport| found.last(|call| call.opens && call.target == report.target);
        let mut watched: BTreeMap<u32, Duration> = reports
            .values()
            .filter(|report| report.verdict.holds())
            .filter_map(|report| Some((report.step, opens(report)?)))
            .collect();
        let authors: BTreeSet<_> = found.calls.iter().map(|call| call.run.clone()).collect();
        while let Some(until) = watched.values().max() {
            let left = until.saturating_sub(self.clock.monotonic());
            self.clock.sleep(LOOK.min(left)).await;
            let looked_at = self.clock.monotonic();
            let looks = watched.keys().filter_map(|index| {
                let report = reports.get(index)?;
                Some((run.procedure.step(&report.target)?.clone(), report.clone()))
            });
            for (report, stands) in self.close_those_open(run, looks.collect(), &authors).await {
                if !stands {
                    watched.remove(&report.step);
                }
                reports.insert(report.step, report);
            }
            watched.retain(|_, until| looked_at < *until);
        }
    }

    /// Looks at all of them at once. `false` beside what another restore has put back since: that is no business of this stop any more.
    async fn close_those_open(
        &self,
        run: &Arc<Run>,
        looks: Vec<(Step, StepReport)>,
        authors: &BTreeSet<RunId>,
    ) -> Vec<(StepReport, bool)> {
        let steps: Vec<_> = looks.iter().map(|(step, _)| step.clone()).collect();
        let observed = self.observe_all(&steps).await;
        let open = looks.into_iter().zip(observed);
        let open: Vec<_> = open.filter(|((step, _), seen)| !holds(step, seen)).collect();
        if open.is_empty() {
            return Vec::new();
        }
        let mut later = self.later_if_told(&run.id).await;
        later.retain(|past| !authors.contains(&past.id));
        let mut tasks = JoinSet::new();
        for ((step, report), seen) in open {
            let by = later
                .iter()
                .find(|past| past.is_restore() && past.touches(&report.target));
            let by = by.map(|past| past.id.clone());
            let (engine, run) = (self.clone(), Arc::clone(run));
            tasks.spawn(async move {
                match by {
                    Some(by) => (engine.leave_open(&run, report, &by).await, false),
                    None => (engine.close_behind_again(&run, &step, report, seen).await, true),
                }
            });
        }
        let mut ended = Vec::new();
        while let Some(one) = tasks.join_next().await {
            ended.extend(one.ok());
        }
        ended
    }

    /// Somebody decided to open it: that stands, and this stop says so.
    async fn leave_open(&self, run: &Run, mut report: StepReport, by: &RunId) -> StepReport {
        let error = put_back_by(by).to_string();
        report.result = StepResult::Failed { error };
        report.verdict = Verdict::not_yet("put back meanwhile by another run");
        report.within_target = false;
        self.note_report(run, &report, None).await;
        report
    }

    async fn close_behind_again(
        &self,
        run: &Run,
        step: &Step,
        mut report: StepReport,
        seen: Result<Observation>,
    ) -> StepReport {
        let mut planned = PlannedStep::new(
            report.step,
            report.stage,
            report.target.clone(),
            report.action.clone(),
            step.action.effect(),
            report.prior.clone(),
            step.promised,
        );
        // If nothing is held any more, what serves now is what must come back.
        if let Ok(seen) = seen
            && seen.state() == TargetState::Serving
        {
            planned.prior = Prior::Observed {
                snapshot: seen.snapshot().clone(),
            };
        }
        let mut held = self.secure_prior(run, &mut planned).await;
        let (entitled, _) = self.entitle(run, step, &planned).await;
        if self.hold_ended(run, &planned).await {
            self.look_at_prior(step, &mut planned).await;
            held = self.secure_prior(run, &mut planned).await;
        }
        if !held && matches!(planned.prior, Prior::Observed { .. }) {
            report.journalled = false;
            report.prior = planned.prior;
        }
        let key = IdempotencyKey::for_step(&run.id, report.step);
        let closed = step
            .retry
            .run(&*self.clock, entitled, "stop", || async {
                step.action.apply(&key).await.map(drop)
            })
            .await;
        let error = closed.as_ref().err();
        let applied = JournalEvent::Applied {
            step: report.step,
            target: report.target.clone(),
            error: error.map(|error| self.masked(error.to_string())),
            unanswered: error.is_some_and(leaves_open),
        };
        self.note(&run.id, applied).await;
        let look = |observed: &Observation| step.action.verify(observed);
        let back = self.read_back(&*step.action, step.settle, look).await;
        report.result = StepResult::Done;
        report.verdict = match back.verdict {
            Verdict::Holds => Verdict::Holds,
            _ => Verdict::not_yet("a restore that died opened it again, and it does not close"),
        };
        report.within_target &= report.verdict.holds();
        self.note_report(run, &report, back.last.map(|last| last.snapshot().clone()))
            .await;
        report
    }

    async fn note_report(&self, run: &Run, report: &StepReport, left: Option<Snapshot>) {
        let verified = JournalEvent::Verified {
            step: report.step,
            target: report.target.clone(),
            result: report.result.clone(),
            verdict: report.verdict.clone(),
            left,
        };
        self.note(&run.id, verified).await;
    }
}

fn holds(step: &Step, seen: &Result<Observation>) -> bool {
    seen.as_ref().is_ok_and(|seen| step.action.verify(seen).holds())
}
