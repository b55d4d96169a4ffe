use std::collections::BTreeMap;
use std::time::Duration;

use super::Engine;
use super::execute::Run;
use super::history::{PastRun, restore_touching};
use super::procedure::Step;
use crate::error::{Error, ErrorKind};
use crate::messages;
use crate::model::{PlanKind, PlannedStep, RunId, TargetId, Text, Timestamp};
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
    pub(super) opens: bool,
    /// When it can land no more, on the monotonic clock of this engine.
    pub(super) until: Duration,
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
pub(super) const SKEW: Duration = Duration::from_secs(5 * 60);

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
    pub(super) fn seen_before(mut self, before: &[Call]) -> Self {
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

    pub(super) fn last(&self, concerns: impl Fn(&Call) -> bool) -> Option<Duration> {
        let until = self.calls.iter().filter(|call| concerns(call));
        until.map(|call| call.until).max()
    }
}

impl Call {
    /// One that `run` may have issued just now: the journal does not tell.
    pub(super) fn assumed(run: &Run, planned: &PlannedStep, now: Timestamp, monotonic: Duration) -> Self {
        let step = run.procedure.step(&planned.target);
        let timeout = step.map_or(DEFAULT_TIMEOUT, |step| step.timeout);
        Self {
            run: run.id.clone(),
            target: planned.target.clone(),
            step: planned.step,
            at: now,
            timeout,
            opens: matches!(run.kind, PlanKind::Restore { .. }),
            until: monotonic + timeout,
        }
    }

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
                ..
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
            automated: run.automated,
        };
        (entitled, self.note(&run.id, intent).await)
    }

    /// The restore that has begun since, if this stop was taken up or lay still: going on would stop anew what was put back. `None` also
    /// when the journal does not tell within 2 s.
    pub(super) async fn put_back_meanwhile(&self, run: &Run, planned: &PlannedStep) -> Option<RunId> {
        let later = self.later_if_told(&run.id).await;
        restore_touching(&later, std::slice::from_ref(planned))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(run: &str, step: u32, at: i64, until: u64) -> Call {
        Call {
            run: RunId::new(run).unwrap(),
            target: TargetId::new("test:t0").unwrap(),
            step,
            at: Timestamp::from_unix_micros(at),
            timeout: DEFAULT_TIMEOUT,
            opens: false,
            until: Duration::from_secs(until),
        }
    }

    #[test]
    fn only_the_same_attempt_is_waited_for_from_when_it_was_first_seen() {
        let first = [call("run_a", 0, 7, 10)];
        for (again, until) in [
            (call("run_a", 0, 7, 20), 10),
            // Seen earlier than the one before says.
            (call("run_a", 0, 7, 5), 5),
            (call("run_b", 0, 7, 20), 20),
            (call("run_a", 1, 7, 20), 20),
            (call("run_a", 0, 8, 20), 20),
        ] {
            let outstanding = Outstanding {
                calls: vec![again.clone()],
                unfinished: Vec::new(),
            };
            let seen = outstanding.seen_before(&first);
            assert_eq!(seen.last(|_| true), Some(Duration::from_secs(until)), "{again:?}");
        }
    }

    #[test]
    fn the_last_of_the_calls_that_matter_is_waited_for() {
        let outstanding = Outstanding {
            calls: vec![call("run_a", 0, 7, 10), call("run_b", 0, 7, 30)],
            unfinished: Vec::new(),
        };
        assert_eq!(outstanding.last(|_| true), Some(Duration::from_secs(30)));
        assert_eq!(
            outstanding.last(|call| call.run.as_str() == "run_a"),
            Some(Duration::from_secs(10))
        );
        assert_eq!(outstanding.last(|_| false), None);
    }
}
