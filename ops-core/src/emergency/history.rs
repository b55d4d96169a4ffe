use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::Engine;
use super::execute::Run;
use super::ledger::REST;
use super::way::aborted;
use crate::error::Result;
use crate::model::{
    ActorKind, OutcomeStatus, PlanKind, PlannedStep, Prior, RunId, Snapshot, TargetId, Timestamp, Verdict,
};
use crate::ports::{Held, JournalEntry, JournalEvent};
use crate::resilience::Deadline;

/// A run as the journal tells it.
#[derive(Clone, Debug)]
pub(super) struct PastRun {
    pub(super) id: RunId,
    plan: PlanKind,
    steps: Vec<PlannedStep>,
    after: Vec<RunId>,
    entries: Vec<JournalEntry>,
}

/// How long who closes asks the journal about other runs.
pub(super) const ASK: Duration = Duration::from_secs(2);

/// So many runs are told apart by what they knew of each other; older ones are older by any clock.
pub(super) const NEWEST: usize = 64;

/// The newest of `known`, by which a run that begins now comes after them whatever the clocks say.
pub(super) fn newest(known: &BTreeSet<RunId>) -> Vec<RunId> {
    let older = known.len().saturating_sub(NEWEST);
    known.iter().skip(older).cloned().collect()
}

impl PastRun {
    pub(super) fn read(id: RunId, entries: Vec<JournalEntry>) -> Option<Self> {
        let (plan, steps, after) = entries.iter().find_map(|entry| match &entry.event {
            JournalEvent::Started {
                plan, steps, after, ..
            } => Some((plan.clone(), steps.clone(), after.clone())),
            _ => None,
        })?;
        Some(Self {
            id,
            plan,
            steps,
            after,
            entries,
        })
    }

    pub(super) fn entries(&self) -> &[JournalEntry] {
        &self.entries
    }

    pub(super) fn has_ended(&self) -> bool {
        let ended = |entry: &JournalEntry| matches!(entry.event, JournalEvent::Ended { .. });
        self.entries.iter().any(ended)
    }

    /// How often it has announced a call on `target`.
    fn intents(&self, target: &TargetId) -> usize {
        let on = |entry: &&JournalEntry| matches!(&entry.event, JournalEvent::Intent { target: found, .. } if found == target);
        self.entries.iter().filter(on).count()
    }

    /// A run began after those that it knew. Two that did not know each other, and those of old journals, go by their ids, that is by
    /// the clocks of their machines.
    pub(super) fn began_after(&self, other: &Self) -> bool {
        if self.after.contains(&other.id) {
            return true;
        }
        !other.after.contains(&self.id) && self.id > other.id
    }

    pub(super) fn is_stop(&self) -> bool {
        matches!(self.plan, PlanKind::Stop)
    }

    pub(super) fn is_restore(&self) -> bool {
        matches!(self.plan, PlanKind::Restore { .. })
    }

    pub(super) fn is_restore_of(&self, run: &RunId) -> bool {
        matches!(&self.plan, PlanKind::Restore { of } if of == run)
    }

    /// Whether its process may be alive: it has not ended, and wrote something within `silence`.
    pub(super) fn may_go_on(&self, now: Timestamp, silence: Duration) -> bool {
        let newest = self.entries.iter().map(|entry| entry.at).max();
        !self.has_ended() && newest.is_some_and(|newest| now < newest + silence)
    }

    pub(super) fn touches(&self, target: &TargetId) -> bool {
        self.steps.iter().any(|step| step.target == *target)
    }
}

/// Whether a run ended right after it was announced: another one had taken its approvals, or automation's turn, at the same moment. There is
/// nothing to take up, to record or to tell. One that ended well has acted, and so may one that ended later: what it did in between may be in the
/// spool of its machine, and a journal that failed is left alone for 30 s.
pub fn gave_way(entries: &[JournalEntry]) -> bool {
    // A person's stop gives way to nobody, whatever its entries look like.
    let announced = |entry: &JournalEntry| {
        matches!(
            &entry.event,
            JournalEvent::Started { plan, actor, .. }
                if !matches!(plan, PlanKind::Stop) || actor.kind() == ActorKind::Automation
        )
    };
    let failed = |entry: &JournalEntry| {
        let status = OutcomeStatus::Failed;
        entry.event == JournalEvent::Ended { status }
    };
    let times = || entries.iter().map(|entry| entry.at);
    let took = times().min().zip(times().max());
    took.is_some_and(|(first, last)| last.saturating_since(first) < REST)
        && entries.iter().any(failed)
        && entries.iter().all(|entry| announced(entry) || failed(entry))
}

impl Engine {
    /// Every run that began after `run`.
    pub(super) async fn later_than(&self, run: &RunId) -> Result<Vec<PastRun>> {
        let ids = self.runs().await?;
        // What began later has a greater id, unless the clocks differ.
        let near = ids.partition_point(|id| id < run).saturating_sub(NEWEST);
        Ok(later(&self.read(ids.into_iter().skip(near)).await, run))
    }

    /// The same within 2 s, for who closes. None if the journal does not tell by then: closing does not wait for it.
    pub(super) async fn later_if_told(&self, run: &RunId) -> Vec<PastRun> {
        let later = Deadline::after(&*self.clock, ASK)
            .bound(&*self.clock, "read journal", self.later_than(run))
            .await;
        later
            .inspect_err(|error| tracing::warn!(%error, %run, "the journal does not tell what began later; closing goes on"))
            .unwrap_or_default()
    }

    /// Every run, oldest first by the clocks.
    pub(super) async fn past(&self) -> Result<Vec<PastRun>> {
        let ids = self.runs().await?;
        Ok(self.read(ids).await)
    }

    /// The newest runs.
    pub(super) async fn newest(&self) -> Result<Vec<PastRun>> {
        let ids = self.runs().await?;
        let older = ids.len().saturating_sub(NEWEST);
        Ok(self.read(ids.into_iter().skip(older)).await)
    }

    /// A run that cannot be read, or that has not really begun, is passed over: one damaged file must not keep others from being stopped or
    /// restored.
    async fn read(&self, ids: impl IntoIterator<Item = RunId>) -> Vec<PastRun> {
        let mut past = Vec::new();
        for id in ids {
            match self.entries(&id).await {
                Ok(entries) => past.extend(PastRun::read(id, entries)),
                Err(error) => tracing::warn!(%error, run = %id, "passed over a run that cannot be read"),
            }
        }
        past
    }

    /// A stop of one of `targets` that the restore `run` was not planned with, or that has gone on since. Stopping outranks restoring; a stop that
    /// gave way has stopped nothing. `None` also when the journal cannot tell.
    pub(super) async fn stopped_since(&self, run: &Run, targets: &BTreeSet<TargetId>) -> Option<RunId> {
        let mut unknown = match self.ledger.runs().await {
            Ok(read) if read.missing.is_none() => read.found,
            // No gate passes until it is known who stopped since.
            read => {
                run.way.blind.store(true, Ordering::Relaxed);
                read.map(|read| read.found).unwrap_or_default()
            }
        };
        unknown.retain(|id| *id != run.id && !run.known.contains(id));
        for id in unknown {
            let entries = self.entries(&id).await.unwrap_or_default();
            if !gave_way(&entries)
                && PastRun::read(id.clone(), entries).is_some_and(|other| {
                    other.is_stop() && targets.iter().any(|target| other.touches(target))
                })
            {
                return Some(id);
            }
        }
        for before in targets.iter().flat_map(|target| run.outstanding.went_on(target)) {
            let entries = self.entries(&before.id).await.unwrap_or_default();
            let now = PastRun::read(before.id.clone(), entries);
            let gone_on = |now: &PastRun, target| now.intents(target) > before.intents(target);
            if now.is_some_and(|now| targets.iter().any(|target| gone_on(&now, target))) {
                return Some(before.id.clone());
            }
        }
        None
    }
}

/// The runs of `past` that began after `run`; none if `run` is not among them.
pub(super) fn later(past: &[PastRun], run: &RunId) -> Vec<PastRun> {
    let Some(this) = past.iter().find(|past| past.id == *run) else {
        // It has not been announced: by the clocks.
        return past.iter().filter(|past| past.id > *run).cloned().collect();
    };
    let later = past
        .iter()
        .filter(|past| past.id != *run && past.began_after(this));
    later.cloned().collect()
}

/// The targets that a restore, of whatever run, has put back as a whole. One that was aborted has put back nothing, whatever was seen on the
/// way: an abort closes and holds again, and its entries may stand before those of the restore.
pub(super) fn put_back(later: &[PastRun]) -> BTreeSet<TargetId> {
    put_back_at(later).into_keys().collect()
}

/// The same, with when each was last seen to be.
pub(super) fn put_back_at(later: &[PastRun]) -> BTreeMap<TargetId, Timestamp> {
    let mut restored = BTreeMap::new();
    let stands = |run: &&PastRun| run.is_restore() && aborted(&run.entries).is_none();
    for run in later.iter().filter(stands) {
        let whole = |step: u32| {
            let planned = run.steps.iter().find(|planned| planned.step == step);
            planned.is_none_or(|planned| planned.share.is_none())
        };
        for entry in &run.entries {
            match &entry.event {
                JournalEvent::Verified {
                    step,
                    target,
                    verdict: Verdict::Holds,
                    ..
                } if whole(*step) => {
                    let at = restored.entry(target.clone()).or_insert(entry.at);
                    *at = entry.at.max(*at);
                }
                JournalEvent::ClosedAgain { target, .. } => {
                    restored.remove(target);
                }
                _ => {}
            }
        }
    }
    restored
}

/// The state in which the newest restore of `of` was seen to leave `target`: closed again, whatever the restore saw around that time; else at a
/// share of its ramp.
pub(super) fn left_by_restore<'a>(
    later: &'a [PastRun],
    of: &RunId,
    target: &TargetId,
) -> Option<&'a Snapshot> {
    let of_it = |run: &&PastRun| run.is_restore_of(of);
    let left = |run: &'a PastRun| {
        let newest = |closed: bool| {
            let mut entries = run.entries.iter().rev();
            entries.find_map(|entry| match &entry.event {
                JournalEvent::Verified {
                    target: found,
                    verdict: Verdict::Holds,
                    left: Some(left),
                    ..
                } if found == target && !closed => Some(left),
                JournalEvent::ClosedAgain {
                    target: found,
                    verdict: Verdict::Holds,
                    left: Some(left),
                } if found == target && closed => Some(left),
                _ => None,
            })
        };
        newest(true).or_else(|| newest(false))
    };
    later.iter().rev().filter(of_it).find_map(left)
}

/// A restore that touches one of `targets`, and did not give way.
pub(super) fn restore_touching(later: &[PastRun], targets: &[PlannedStep]) -> Option<RunId> {
    let touching = |run: &PastRun| run.is_restore() && targets.iter().any(|step| run.touches(&step.target));
    acting(later, touching)
}

/// A restore of `of` that did not give way.
pub(super) fn restore_of(later: &[PastRun], of: &RunId) -> Option<RunId> {
    acting(later, |run| run.is_restore_of(of))
}

fn acting(later: &[PastRun], wanted: impl Fn(&PastRun) -> bool) -> Option<RunId> {
    let acting = |run: &&PastRun| wanted(run) && !gave_way(&run.entries);
    later.iter().find(acting).map(|run| run.id.clone())
}

/// The newest state in which a later stop saw the target working, if it is not the held one: somebody opened the target by hand since, and
/// what is held is out of date. What is partly stopped may be the holder's own half.
pub(super) fn reopened(held: &Held, later: &[PastRun]) -> Option<(RunId, Snapshot)> {
    let seen = |run: &PastRun| {
        let step = run
            .steps
            .iter()
            .find(|step| step.target == *held.snapshot.target())?;
        match &step.prior {
            Prior::Observed { snapshot }
                if !step.partly && snapshot.restorable_bytes() != held.snapshot.restorable_bytes() =>
            {
                Some((run.id.clone(), snapshot.clone()))
            }
            _ => None,
        }
    };
    later.iter().rev().filter(|run| run.is_stop()).find_map(seen)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{AbortCause, Actor, Digest, Effect, Opening, Share, StepResult, Text};

    fn target() -> TargetId {
        TargetId::new("test:llm").unwrap()
    }

    /// A restore of one target, in as many steps as there are `shares`; each of `events` comes a second after the one before.
    fn restore(shares: &[Option<Share>], events: Vec<JournalEvent>) -> PastRun {
        let id = RunId::new("run_2").unwrap();
        let steps = (0..).zip(shares).map(|(step, share)| {
            let text = Text::new("開ける", "open");
            let mut planned = PlannedStep::new(
                step,
                0,
                target(),
                text,
                Effect::Reversible,
                Prior::Unknown {
                    reason: String::new(),
                },
                Duration::ZERO,
            );
            planned.share = *share;
            planned
        });
        let started = JournalEvent::Started {
            procedure: "emergency_stop".to_owned(),
            plan: PlanKind::Restore {
                of: RunId::new("run_1").unwrap(),
            },
            digest: Digest::from_bytes([0; 32]),
            actor: Actor::person("kazu").unwrap(),
            approval: String::new(),
            steps: steps.collect(),
            signatures: Vec::new(),
            glass: None,
            opening: Opening::default(),
            after: Vec::new(),
        };
        let entries = (0..).zip(std::iter::once(started).chain(events));
        let entries = entries.map(|(second, event)| {
            JournalEntry::new(id.clone(), Timestamp::from_unix_micros(second * 1_000_000), event)
        });
        let entries = entries.collect();
        PastRun::read(id, entries).unwrap()
    }

    fn verified(step: u32, verdict: Verdict) -> JournalEvent {
        JournalEvent::Verified {
            step,
            target: target(),
            result: StepResult::Done,
            verdict,
            left: None,
        }
    }

    fn closed_again() -> JournalEvent {
        JournalEvent::ClosedAgain {
            target: target(),
            verdict: Verdict::Holds,
            left: None,
        }
    }

    #[test]
    fn only_what_failed_at_once_and_shows_nothing_else_gave_way() {
        let ended = |status| JournalEvent::Ended { status };
        let failed = || ended(OutcomeStatus::Failed);
        for (what, events, expected) in [
            ("announced", vec![], false),
            ("lost", vec![failed()], true),
            // What it did may be in the spool of another machine.
            ("ended well", vec![ended(OutcomeStatus::Verified)], false),
            ("ended late", vec![failed(); 30], false),
            (
                "looked at a target",
                vec![verified(0, Verdict::not_yet("open")), failed()],
                false,
            ),
        ] {
            let run = restore(&[None], events);
            assert_eq!(gave_way(run.entries()), expected, "{what}");
            // What gave way has put nothing back: it keeps no other run from being taken up.
            let (of, later) = (RunId::new("run_1").unwrap(), std::slice::from_ref(&run));
            assert_eq!(restore_of(later, &of).is_none(), expected, "{what}");
            assert_eq!(restore_touching(later, &run.steps).is_none(), expected, "{what}");
        }
        for (actor, expected) in [
            (Actor::person("kazu").unwrap(), false),
            (Actor::automation("cost-guard").unwrap(), true),
        ] {
            let mut stop = restore(&[None], vec![failed()]);
            let JournalEvent::Started {
                plan, actor: began, ..
            } = &mut stop.entries[0].event
            else {
                panic!("it begins with that");
            };
            (*plan, *began) = (PlanKind::Stop, actor);
            assert_eq!(
                gave_way(stop.entries()),
                expected,
                "a stop of {:?}",
                stop.entries[0]
            );
        }
    }

    #[test]
    fn put_back_is_what_was_opened_as_a_whole_and_stayed_open() {
        let part = Share::basis_points(100).ok();
        let holds = || Verdict::Holds;
        let aborted = || JournalEvent::Aborted {
            cause: AbortCause::Stopped {
                by: RunId::new("run_3").unwrap(),
            },
        };
        for (what, shares, events, at) in [
            ("seen open", vec![None], vec![verified(0, holds())], Some(1)),
            (
                "seen twice",
                vec![None],
                vec![verified(0, holds()), verified(0, holds())],
                Some(2),
            ),
            (
                "not seen open",
                vec![None],
                vec![verified(0, Verdict::not_yet("closed"))],
                None,
            ),
            (
                "a share of it",
                vec![part, None],
                vec![verified(0, holds())],
                None,
            ),
            (
                "all of it",
                vec![part, None],
                vec![verified(0, holds()), verified(1, holds())],
                Some(2),
            ),
            // The entry of the abort may be lost: the journal was away.
            (
                "closed again",
                vec![None],
                vec![verified(0, holds()), closed_again()],
                None,
            ),
            (
                "opened after that",
                vec![None],
                vec![closed_again(), verified(0, holds())],
                Some(2),
            ),
            ("aborted", vec![None], vec![verified(0, holds()), aborted()], None),
        ] {
            let found = put_back_at(&[restore(&shares, events)]);
            let at = at.map(|second| (target(), Timestamp::from_unix_micros(second * 1_000_000)));
            assert_eq!(found, at.into_iter().collect(), "{what}");
        }
    }
}
