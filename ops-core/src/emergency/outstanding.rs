use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::Engine;
use super::execute::Run;
use super::history::{PastRun, restore_touching};
use super::procedure::Step;
use crate::error::{Error, ErrorKind};
use crate::messages;
use crate::model::{
    IdempotencyKey, PlanKind, PlannedStep, RunId, StepReport, StepResult, TargetId, Text, Timestamp, Verdict,
};
use crate::ports::JournalEvent;
use crate::resilience::Deadline;

/// A call that the journal does not show to be answered: its process died, still waits, or gave up waiting. It may yet take effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Call {
    pub(super) run: RunId,
    pub(super) target: TargetId,
    step: u32,
    at: Timestamp,
    timeout: Duration,
    opens: bool,
    /// When it can land no more, on the monotonic clock of this engine.
    until: Duration,
}

/// What may still change the targets of a run, besides itself.
#[derive(Clone, Debug, Default)]
pub(super) struct Outstanding {
    pub(super) calls: Vec<Call>,
    /// Stops that have not ended, as they were when this was read: their processes may still be alive.
    unfinished: Vec<PastRun>,
}

/// The timeout of a step whose intent does not tell.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);

/// By how much the clocks of two machines may differ. A call is waited for from when it was first seen, on the clock of who waits, unless it
/// is older than its timeout by more than this.
const SKEW: Duration = Duration::from_secs(5 * 60);

/// How long a stop that has closed everything asks the journal what may still open.
const ASK: Duration = Duration::from_secs(2);

impl Outstanding {
    /// `now` on both clocks.
    pub(super) fn read(past: &[PastRun], now: Timestamp, monotonic: Duration) -> Self {
        let calls = past.iter().flat_map(|run| unanswered(run, monotonic));
        let unfinished = past.iter().filter(|run| run.is_stop() && !run.has_ended());
        Self {
            calls: calls.filter(|call| now < call.at + call.timeout + SKEW).collect(),
            unfinished: unfinished.cloned().collect(),
        }
    }

    /// A call that was seen before is waited for from then.
    fn seen_before(mut self, before: &[Call]) -> Self {
        for call in &mut self.calls {
            let same =
                |other: &&Call| other.run == call.run && other.step == call.step && other.at == call.at;
            if let Some(first) = before.iter().find(same) {
                call.until = call.until.min(first.until);
            }
        }
        self
    }

    /// The stops of `target` that had not ended.
    pub(super) fn went_on<'a>(&'a self, target: &'a TargetId) -> impl Iterator<Item = &'a PastRun> {
        self.unfinished.iter().filter(move |run| run.touches(target))
    }

    fn last(&self, concerns: impl Fn(&Call) -> bool) -> Option<Duration> {
        let until = self.calls.iter().filter(|call| concerns(call));
        until.map(|call| call.until).max()
    }
}

impl Call {
    /// One line for who approves a restore.
    pub(super) fn describe(&self) -> Text {
        messages::waits_for_call(&self.target, &self.run, self.timeout)
    }
}

/// The calls of a run that got no answer. Each intent stands for one attempt; a resume makes another one.
fn unanswered(run: &PastRun, monotonic: Duration) -> Vec<Call> {
    let mut pending = BTreeMap::<u32, Call>::new();
    let mut lost = Vec::new();
    for entry in run.entries() {
        match &entry.event {
            JournalEvent::Intent {
                step,
                target,
                timeout,
            } => {
                let timeout = timeout.unwrap_or(DEFAULT_TIMEOUT);
                let call = Call {
                    run: run.id.clone(),
                    target: target.clone(),
                    step: *step,
                    at: entry.at,
                    timeout,
                    opens: run.is_restore(),
                    until: monotonic + timeout,
                };
                lost.extend(pending.insert(*step, call));
            }
            JournalEvent::Applied { step, unanswered, .. } => {
                lost.extend(pending.remove(step).filter(|_| *unanswered));
            }
            _ => {}
        }
    }
    lost.extend(pending.into_values());
    lost
}

/// Whether a call that ended so may have taken effect, or yet will.
pub(super) fn leaves_open(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Timeout | ErrorKind::Unavailable | ErrorKind::Unexpected
    )
}

impl Engine {
    /// What may still land, read after the run has been announced: who begins later sees the announcement.
    pub(super) async fn outstanding(&self, before: &[Call]) -> Outstanding {
        if self.ledger.rests() {
            return Outstanding {
                calls: before.to_vec(),
                unfinished: Vec::new(),
            };
        }
        match self.past().await {
            Ok(past) => {
                Outstanding::read(&past, self.clock.now(), self.clock.monotonic()).seen_before(before)
            }
            Err(error) => {
                tracing::warn!(%error, "the journal does not tell which calls may still land");
                Outstanding {
                    calls: before.to_vec(),
                    unfinished: Vec::new(),
                }
            }
        }
    }

    /// Opening can wait: a restore acts once no other call can land on `target` any more. `true` when it waited.
    pub(super) async fn let_land(&self, run: &Run, target: &TargetId) -> bool {
        if !matches!(run.kind, PlanKind::Restore { .. }) {
            return false;
        }
        let until = run.outstanding.last(|call| call.target == *target);
        let left = until.unwrap_or_default().saturating_sub(self.clock.monotonic());
        if !left.is_zero() {
            tokio::select! {
                biased;
                _ = run.way.must_go_back() => {}
                () = self.clock.sleep(left) => {}
            }
        }
        until.is_some()
    }

    /// Announces a call and says until when it may be issued. The time it takes to announce it counts.
    pub(super) async fn entitle(
        &self,
        run: &Run,
        step: &Step,
        planned: &PlannedStep,
    ) -> (Deadline, super::ledger::Recorded) {
        let entitled = Deadline::after(&*self.clock, step.timeout);
        let intent = JournalEvent::Intent {
            step: planned.step,
            target: planned.target.clone(),
            timeout: Some(step.timeout),
        };
        (entitled, self.note(&run.id, intent).await)
    }

    /// The restore that has begun since, if this stop was taken up or lay still: going on would stop anew what was put back. `None` also
    /// when the journal does not tell within 2 s.
    pub(super) async fn put_back_meanwhile(&self, run: &Run, planned: &PlannedStep) -> Option<RunId> {
        let later = Deadline::after(&*self.clock, ASK)
            .bound(&*self.clock, "read journal", self.later_than(&run.id))
            .await;
        restore_touching(&later.unwrap_or_default(), std::slice::from_ref(planned))
    }

    /// Closing never waits, but a restore that died may still open what was just closed: when its call can land no more, the targets are
    /// looked at again, and closed again.
    pub(super) async fn close_behind(&self, run: &Run, reports: &mut BTreeMap<u32, StepReport>) {
        if !matches!(run.kind, PlanKind::Stop) || self.ledger.rests() {
            return;
        }
        let found = Deadline::after(&*self.clock, ASK)
            .bound(&*self.clock, "read journal", self.newest())
            .await;
        let past = found.unwrap_or_default();
        let found = Outstanding::read(&past, self.clock.now(), self.clock.monotonic());
        let closed: BTreeSet<_> = reports
            .values()
            .filter(|report| report.verdict.holds())
            .map(|report| report.target.clone())
            .collect();
        let Some(until) = found.last(|call| call.opens && closed.contains(&call.target)) else {
            return;
        };
        let left = until.saturating_sub(self.clock.monotonic());
        self.clock.sleep(left).await;
        for report in reports.values_mut() {
            let opens = |call: &Call| call.opens && call.target == report.target;
            let step = run
                .procedure
                .steps
                .iter()
                .find(|step| *step.action.target() == report.target);
            if let Some(step) = step.filter(|_| report.verdict.holds() && found.last(opens).is_some()) {
                self.look_and_close(run, step, report).await;
            }
        }
    }

    async fn look_and_close(&self, run: &Run, step: &Step, report: &mut StepReport) {
        let look = |observed: &crate::model::Observation| step.action.verify(observed);
        if let Ok(observed) = self.look(&*step.action).await
            && look(&observed).holds()
        {
            return;
        }
        let planned = PlannedStep::new(
            report.step,
            report.stage,
            report.target.clone(),
            report.action.clone(),
            step.action.effect(),
            report.prior.clone(),
            step.promised,
        );
        let (entitled, _) = self.entitle(run, step, &planned).await;
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
        let back = self.read_back(&*step.action, step.settle, look).await;
        report.result = StepResult::Done;
        report.verdict = match back.verdict {
            Verdict::Holds => Verdict::Holds,
            _ => Verdict::not_yet("a restore that died opened it again, and it does not close"),
        };
        report.within_target &= report.verdict.holds();
        let verified = JournalEvent::Verified {
            step: report.step,
            target: report.target.clone(),
            result: report.result.clone(),
            verdict: report.verdict.clone(),
            left: back.last.map(|last| last.snapshot().clone()),
        };
        self.note(&run.id, verified).await;
    }
}
