use std::collections::BTreeSet;

use super::Engine;
use super::execute::Run;
use super::history::{PastRun, later};
use super::ledger::{Recorded, worse};
use super::procedure::Step;
use crate::error::{Error, ErrorKind};
use crate::failpoint::fail_point;
use crate::model::{
    IdempotencyKey, PlanKind, PlannedStep, Prior, RunId, Snapshot, StepResult, TargetId, Verdict,
};
use crate::ports::{Held, JournalEvent};
use crate::resilience::Deadline;

/// What the read-back of a step showed.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) result: StepResult,
    pub(super) verdict: Verdict,
    pub(super) left: Option<Snapshot>,
}

impl Engine {
    /// Journals what was seen. A share releases nothing, and nothing is released any more when the restore goes back. A whole restore that verified releases the prior state, unless the target was stopped again meanwhile: stopping
    /// outranks restoring, so it closes again what the other run has seen closed.
    pub(super) async fn conclude(
        &self,
        run: &Run,
        step: &Step,
        planned: &PlannedStep,
        key: &IdempotencyKey,
        seen: Seen,
    ) -> (StepResult, Verdict, Recorded) {
        let target = &planned.target;
        let opened = match (&run.kind, &planned.prior) {
            (PlanKind::Restore { of }, Prior::Observed { snapshot })
                if seen.verdict.holds()
                    && planned.share.is_none()
                    && self.told_to_go_back(run).await.is_none() =>
            {
                Some((of, snapshot))
            }
            _ => None,
        };
        let Some((of, snapshot)) = opened else {
            let recorded = self.note_verified(run, planned, &seen).await;
            return (seen.result, seen.verdict, recorded);
        };
        let mut recorded = Recorded::Primary;
        let targets = BTreeSet::from([target.clone()]);
        let mut newer = self.stopped_since(run, &targets).await;
        if newer.is_none() {
            recorded = self.note_verified(run, planned, &seen).await;
            recorded = worse(recorded, self.release(run, of, target).await);
            newer = self.stopped_since(run, &targets).await;
            // An abort may have held it again before it was released: it is about to be closed, or is closed already.
            let overtaken = newer.is_some() || self.told_to_go_back(run).await.is_some();
            let held = Held::new(of.clone(), self.clock.now(), snapshot.clone());
            if overtaken && self.ledger.hold(&held).await.is_none() {
                recorded = Recorded::Nowhere;
            }
            if newer.is_none() {
                return (seen.result, seen.verdict, recorded);
            }
        }
        let error = newer
            .map(|newer| stopped_again(&newer).to_string())
            .unwrap_or_default();
        let seen = Seen {
            result: StepResult::Failed { error },
            verdict: self.give_way(step, key).await,
            ..seen
        };
        recorded = worse(recorded, self.note_verified(run, planned, &seen).await);
        (seen.result, seen.verdict, recorded)
    }

    async fn note_verified(&self, run: &Run, planned: &PlannedStep, seen: &Seen) -> Recorded {
        let verified = JournalEvent::Verified {
            step: planned.step,
            target: planned.target.clone(),
            result: seen.result.clone(),
            verdict: seen.verdict.clone(),
            left: seen.left.clone(),
        };
        self.note(&run.id, verified).await
    }

    async fn release(&self, run: &Run, of: &RunId, target: &TargetId) -> Recorded {
        let mut released = self.ledger.release(of, target).await;
        let held = self.ledger.held_of(target).await.unwrap_or_default();
        if let Some(older) = held.filter(|held| held.run != *of && run.known.contains(&held.run))
            && self.is_out_of_date(&older, run, of).await
        {
            released = released.and(self.ledger.release(&older.run, target).await);
        }
        match released {
            Ok(()) => Recorded::Primary,
            Err(error) => {
                tracing::error!(%error, %target, "restored, but the journal still holds the prior state");
                Recorded::Nowhere
            }
        }
    }

    /// Whether what an older run still holds was planned over by this restore of `of`, and nobody has stopped the target since. `false` also when the
    /// journal does not tell: a hold too many is shown as drift, one too few is lost.
    async fn is_out_of_date(&self, held: &Held, run: &Run, of: &RunId) -> bool {
        let Ok(past) = self.past().await else {
            return false;
        };
        let told = |id: &RunId| past.iter().any(|past| past.id == *id);
        let later = later(&past, of);
        let stopped = |past: &PastRun| past.is_stop() && past.touches(held.snapshot.target());
        told(&held.run)
            && told(of)
            && !later.iter().any(|past| past.id == held.run)
            && !later
                .iter()
                .any(|past| !run.known.contains(&past.id) && stopped(past))
    }

    async fn give_way(&self, step: &Step, key: &IdempotencyKey) -> Verdict {
        let (clock, action) = (&*self.clock, &*step.action);
        let deadline = Deadline::after(clock, step.timeout);
        fail_point!("step.close_again.before");
        let closed = step
            .retry
            .run(clock, deadline, "stop", || async {
                action.apply(key).await.map(drop)
            })
            .await;
        fail_point!("step.close_again.after");
        match closed {
            Ok(()) => Verdict::not_yet("stopped again meanwhile, and closed again by this run"),
            Err(error) => Verdict::unknown(format!(
                "stopped again meanwhile; closing it failed: {}",
                self.masked(error.to_string())
            )),
        }
    }
}

pub(super) fn stopped_again(by: &RunId) -> Error {
    Error::new(ErrorKind::Conflict, "restore").context("stopped again by", by.to_string())
}
