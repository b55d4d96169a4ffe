use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tracing::{Instrument as _, info};

use super::Engine;
use super::execute::{Run, panicked, skipped};
use super::gate;
use super::ledger::Recorded;
use super::opening::delay;
use super::safety::not_attempted;
use super::span::of_step;
use crate::model::{
    AbortCause, Aborted, GateReport, GateResult, Outcome, OutcomeStatus, PlanKind, PlannedGate, PlannedStep,
    StepReport,
};
use crate::ports::JournalEvent;

/// What a run has come to so far.
#[derive(Debug)]
pub(super) struct Course {
    pub(super) began: Duration,
    pub(super) reports: BTreeMap<u32, StepReport>,
    pub(super) gates: Vec<GateReport>,
    pub(super) recorded: Recorded,
    /// A step did not verify: a restore goes no further.
    halted: bool,
    /// A restore goes back.
    pub(super) back: Option<AbortCause>,
}

impl Course {
    pub(super) fn new(began: Duration, done: Vec<StepReport>, recorded: Recorded) -> Self {
        Self {
            began,
            reports: done.into_iter().map(|report| (report.step, report)).collect(),
            gates: Vec::new(),
            recorded,
            halted: false,
            back: None,
        }
    }

    fn goes_on(&self) -> bool {
        !self.halted && self.back.is_none()
    }
}

impl Engine {
    /// Runs `steps` stage by stage; `done` are the reports of steps that a crashed attempt has finished.
    pub(super) async fn carry_out(
        &self,
        run: Arc<Run>,
        steps: Vec<PlannedStep>,
        done: Vec<StepReport>,
        recorded: Recorded,
    ) -> Outcome {
        let mut course = Course::new(self.clock.monotonic(), done, recorded);
        let opens = matches!(run.kind, PlanKind::Restore { .. });
        let _sentry = self.sentry(&run);
        let mut gates: VecDeque<_> = run.opening.gates.iter().collect();
        let mut stages = BTreeMap::<u32, Vec<PlannedStep>>::new();
        for step in &steps {
            stages.entry(step.stage).or_default().push(step.clone());
        }
        for (stage, steps) in stages {
            if opens {
                self.gates_before(&run, stage, &mut gates, &mut course).await;
            }
            self.stage(&run, steps, &mut course).await;
        }
        self.gates_before(&run, u32::MAX, &mut gates, &mut course).await;
        if opens && course.back.is_none() {
            course.back = self.told_to_go_back(&run).await;
        }
        let aborted = match course.back.take() {
            None => None,
            Some(cause) => Some(self.go_back(&run, &steps, cause, &mut course).await),
        };
        self.close_behind(&run, &mut course.reports).await;
        self.end(&run, course, aborted).await
    }

    /// Passes every gate that stage `stage` waits for, and looks whether the restore may still go on.
    async fn gates_before(
        &self,
        run: &Arc<Run>,
        stage: u32,
        gates: &mut VecDeque<&PlannedGate>,
        course: &mut Course,
    ) {
        while let Some(gate) = gates.pop_front_if(|gate| gate.before <= stage) {
            if let Some(waited) = run.passed.get(&gate.gate) {
                let passed = gate::report(gate, GateResult::Passed, *waited);
                course.gates.push(passed);
                continue;
            }
            if !course.goes_on() {
                let unseen = gate::report(gate, GateResult::NotReached, Duration::ZERO);
                course.gates.push(unseen);
                continue;
            }
            let (report, back) = self.pass(run, gate, &mut course.recorded).await;
            course.gates.push(report);
            course.back = back;
        }
        // What was pressed during a stage or a gate counts before the next effect.
        if course.goes_on() && stage != u32::MAX && !course.reports.is_empty() {
            course.back = self.turned_back(run).await;
        }
    }

    async fn stage(&self, run: &Arc<Run>, steps: Vec<PlannedStep>, course: &mut Course) {
        let (done, todo): (Vec<_>, Vec<_>) = steps
            .into_iter()
            .partition(|step| course.reports.contains_key(&step.step));
        if !course.goes_on() {
            let left_out = todo.into_iter().map(|step| (step.step, skipped(step)));
            course.reports.extend(left_out);
            return;
        }
        if let Some(reason) = self.withheld(run, &todo).await {
            let withheld = todo
                .into_iter()
                .map(|step| (step.step, not_attempted(step, &reason)));
            course.reports.extend(withheld);
            return;
        }
        for (report, recorded) in self.run_stage(run, todo).await {
            if recorded != Recorded::Primary {
                course.recorded = recorded;
            }
            // Closing goes on whatever fails; opening does not.
            course.halted |= matches!(run.kind, PlanKind::Restore { .. }) && !report.verdict.holds();
            course.reports.insert(report.step, report);
        }
        let lost = |step: &PlannedStep| {
            let report = course.reports.get(&step.step);
            report.is_some_and(|report| !report.verdict.holds())
        };
        course.halted |= matches!(run.kind, PlanKind::Restore { .. }) && done.iter().any(lost);
    }

    async fn run_stage(&self, run: &Arc<Run>, steps: Vec<PlannedStep>) -> Vec<(StepReport, Recorded)> {
        let mut tasks = JoinSet::new();
        let mut planned: BTreeMap<_, _> = steps.iter().map(|step| (step.step, step.clone())).collect();
        let window = match run.kind {
            PlanKind::Restore { .. } => run.opening.jitter,
            _ => Duration::ZERO,
        };
        let of = u32::try_from(steps.len()).unwrap_or(u32::MAX);
        for (rank, step) in (0..).zip(steps) {
            let (engine, run) = (self.clone(), Arc::clone(run));
            let delay = delay(window, self.jitter_seed, &run.id, rank, of);
            let span = of_step(&run.id, &step);
            let work = async move {
                if !delay.is_zero() {
                    tokio::select! {
                        biased;
                        _ = run.way.must_go_back() => return (skipped(step), Recorded::Primary),
                        () = engine.clock.sleep(delay) => {}
                    }
                }
                engine.run_step(&run, step).await
            };
            tasks.spawn(work.instrument(span));
        }
        let mut reports = Vec::new();
        while let Some(ended) = tasks.join_next().await {
            if let Ok((report, recorded)) = ended {
                planned.remove(&report.step);
                reports.push((report, recorded));
            }
        }
        // A step that is left has panicked: a fault in a provider must not take the other targets with it.
        reports.extend(
            planned
                .into_values()
                .map(|step| (panicked(step), Recorded::Nowhere)),
        );
        reports
    }

    pub(super) async fn end(&self, run: &Run, course: Course, aborted: Option<Aborted>) -> Outcome {
        let steps: Vec<_> = course.reports.into_values().collect();
        let status = match &aborted {
            None => Outcome::status_of(&steps),
            Some(aborted) if aborted.stopped() => OutcomeStatus::Failed,
            Some(_) => OutcomeStatus::Partial,
        };
        let ended = self.note(&run.id, JournalEvent::Ended { status }).await;
        info!(?status, steps = steps.len(), "the run ended");
        Outcome {
            run: run.id.clone(),
            procedure: run.procedure.name.clone(),
            kind: run.kind.clone(),
            digest: run.digest,
            status,
            within_target: aborted.is_none() && steps.iter().all(|step| step.within_target),
            approval: run.approval.clone(),
            review_due: run.safety.review_due,
            journalled: course.recorded == Recorded::Primary && ended == Recorded::Primary,
            steps,
            gates: course.gates,
            ungated: run.opening.ungated.clone(),
            aborted,
            started_at: run.started_at,
            took: self.clock.monotonic().saturating_sub(course.began),
            audited: false,
        }
    }
}
