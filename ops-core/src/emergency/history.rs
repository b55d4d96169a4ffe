use std::collections::BTreeSet;

use super::Engine;
use super::execute::Run;
use crate::error::Result;
use crate::model::{PlanKind, PlannedStep, Prior, RunId, Snapshot, TargetId, Timestamp, Verdict};
use crate::ports::{Held, JournalEntry, JournalEvent};

/// A run as the journal tells it.
#[derive(Debug)]
pub(super) struct PastRun {
    pub(super) id: RunId,
    plan: PlanKind,
    steps: Vec<PlannedStep>,
    entries: Vec<JournalEntry>,
}

impl PastRun {
    fn read(id: RunId, entries: Vec<JournalEntry>) -> Option<Self> {
        let (plan, steps) = entries.iter().find_map(|entry| match &entry.event {
            JournalEvent::Started { plan, steps, .. } => Some((plan.clone(), steps.clone())),
            _ => None,
        })?;
        Some(Self {
            id,
            plan,
            steps,
            entries,
        })
    }

    fn is_stop(&self) -> bool {
        matches!(self.plan, PlanKind::Stop)
    }

    fn is_restore(&self) -> bool {
        matches!(self.plan, PlanKind::Restore { .. })
    }

    fn touches(&self, target: &TargetId) -> bool {
        self.steps.iter().any(|step| step.target == *target)
    }
}

impl Engine {
    /// Every run that began after `run`; ids sort by time. A run that cannot be read, or that has not really begun, is passed over:
    /// one damaged file must not keep others from being stopped or restored.
    pub(super) async fn later_than(&self, run: &RunId) -> Result<Vec<PastRun>> {
        self.past(Some(run)).await
    }

    async fn past(&self, after: Option<&RunId>) -> Result<Vec<PastRun>> {
        let mut past = Vec::new();
        let mut ids = self.runs().await?;
        ids.retain(|id| after.is_none_or(|after| id > after));
        for id in ids {
            match self.entries(&id).await {
                Ok(entries) => past.extend(PastRun::read(id, entries)),
                Err(error) => tracing::warn!(%error, run = %id, "passed over a run that cannot be read"),
            }
        }
        Ok(past)
    }

    /// A stop of one of `targets` that the restore `run` was not planned with. Stopping outranks restoring. `None` also when the journal cannot
    /// tell.
    pub(super) async fn stopped_since(&self, run: &Run, targets: &BTreeSet<TargetId>) -> Option<RunId> {
        let mut unknown = self.runs().await.unwrap_or_default();
        unknown.retain(|id| *id != run.id && !run.known.contains(id));
        for id in unknown {
            let entries = self.entries(&id).await.unwrap_or_default();
            if PastRun::read(id.clone(), entries)
                .is_some_and(|other| other.is_stop() && targets.iter().any(|target| other.touches(target)))
            {
                return Some(id);
            }
        }
        None
    }

    /// The targets that a restore, of whatever run, has put back since.
    pub(super) async fn restored_since(&self, since: Timestamp) -> Result<BTreeSet<TargetId>> {
        let restores = self.past(None).await?.into_iter().filter(PastRun::is_restore);
        let mut restored = BTreeSet::new();
        for run in restores {
            let whole = |step: u32| {
                let planned = run.steps.iter().find(|planned| planned.step == step);
                planned.is_none_or(|planned| planned.share.is_none())
            };
            for entry in run.entries.iter().filter(|entry| entry.at >= since) {
                match &entry.event {
                    JournalEvent::Verified {
                        step,
                        target,
                        verdict: Verdict::Holds,
                        ..
                    } if whole(*step) => restored.insert(target.clone()),
                    JournalEvent::ClosedAgain { target, .. } => restored.remove(target),
                    _ => continue,
                };
            }
        }
        Ok(restored)
    }
}

/// The state in which the newest restore of `of` was seen to leave `target`: at a share of its ramp, or closed again.
pub(super) fn left_by_restore<'a>(
    later: &'a [PastRun],
    of: &RunId,
    target: &TargetId,
) -> Option<&'a Snapshot> {
    let of_it = |run: &&PastRun| matches!(&run.plan, PlanKind::Restore { of: found } if found == of);
    let mut entries = later.iter().filter(of_it).flat_map(|run| &run.entries).rev();
    entries.find_map(|entry| match &entry.event {
        JournalEvent::Verified {
            target: found,
            verdict: Verdict::Holds,
            left: Some(left),
            ..
        }
        | JournalEvent::ClosedAgain {
            target: found,
            verdict: Verdict::Holds,
            left: Some(left),
        } if found == target => Some(left),
        _ => None,
    })
}

/// A restore that touches one of `targets`.
pub(super) fn restore_touching(later: &[PastRun], targets: &[PlannedStep]) -> Option<RunId> {
    let touching = |run: &&PastRun| run.is_restore() && targets.iter().any(|step| run.touches(&step.target));
    later.iter().find(touching).map(|run| run.id.clone())
}

/// A restore of `of`.
pub(super) fn restore_of(later: &[PastRun], of: &RunId) -> Option<RunId> {
    let same = |run: &&PastRun| matches!(&run.plan, PlanKind::Restore { of: other } if other == of);
    later.iter().find(same).map(|run| run.id.clone())
}

/// The newest state in which a later stop saw the target working, if it is not the held one: somebody opened the target by hand after the
/// holder's run had ended, and what is held is out of date.
pub(super) fn reopened(held: &Held, holder: &[JournalEntry], later: &[PastRun]) -> Option<(RunId, Snapshot)> {
    let ended = holder
        .iter()
        .find(|entry| matches!(entry.event, JournalEvent::Ended { .. }))?
        .at;
    let seen = |run: &PastRun| {
        let began = run.entries.first()?.at;
        let step = run
            .steps
            .iter()
            .find(|step| step.target == *held.snapshot.target())?;
        match &step.prior {
            Prior::Observed { snapshot }
                if began >= ended && snapshot.restorable_bytes() != held.snapshot.restorable_bytes() =>
            {
                Some((run.id.clone(), snapshot.clone()))
            }
            _ => None,
        }
    };
    later.iter().rev().filter(|run| run.is_stop()).find_map(seen)
}
