use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::approve::persons_only;
use super::execute::{Run, opened};
use super::glass::BREAK_GLASS_VALID;
use super::history::{NEWEST, gave_way, restore_of, restore_touching};
use super::ledger::Recorded;
use super::outstanding::Outstanding;
use super::procedure::Procedure;
use super::restore::started;
use super::safety::Safety;
use super::span::of_run;
use super::way::{Way, aborted};
use super::{Engine, Refusal};
use crate::masking::target_named;
use crate::model::{
    Actor, ActorKind, Digest, Outcome, PlanKind, PlannedStep, Prior, RunId, Snapshot, StepReport, TargetId,
    TargetState, Timestamp, Verdict,
};
use crate::ports::{GateMoment, JournalEntry, JournalEvent};
use crate::resilience::Deadline;
use tracing::Instrument as _;

impl Engine {
    /// Takes up a run after a crash, or a run that did not verify: steps that were seen to hold are looked at once more, all others are
    /// carried out again with the prior state of the journal; what had not begun is observed again. A restore goes on at the stage where it was, and a gate that had not let a stage begin starts
    /// its hold anew; a restore that was going back to stopped goes back. What was approved once need not be approved again.
    ///
    /// # Errors
    /// [`Refusal::UnknownRun`], [`Refusal::WrongProcedure`], [`Refusal::AutomationMayNotRestore`], [`Refusal::NotApproved`] for a restore without
    /// gates that nobody in person takes up, [`Refusal::Violates`] for automation that would take up more of a stop than it may begin, [`Refusal::Expired`] for a restore whose approval is too old, or that gave way to another one, [`Refusal::Replayed`] when another run has used its approvals, [`Refusal::Superseded`] when one of
    /// its targets has been restored by a later run, [`Refusal::Undecided`] when the journal cannot be read. A run that only closes asks no
    /// more than its own entries: if the journal does not tell within 2 s what was restored since, it closes.
    ///
    /// # Cancellation
    /// As [`execute`](Self::execute).
    pub async fn resume(
        &self,
        run: &RunId,
        procedure: &Procedure,
        actor: &Actor,
    ) -> Result<Outcome, Refusal> {
        let mut entries = self.entries(run).await?;
        let closes = only_closes(&entries);
        if !closes {
            self.try_to_catch_up().await;
            entries = self.entries(run).await?;
        }
        let (mut record, mut steps) = taken_up(run, &entries, procedure)?;
        let later = match closes {
            true => self.later_if_told(run).await,
            false => self.later_than(run).await?,
        };
        let superseded = match &record.kind {
            PlanKind::Restore { .. } if aborted(&entries).is_some() => restore_touching(&later, &steps),
            PlanKind::Restore { of } => {
                if actor.kind() == ActorKind::Automation {
                    return Err(Refusal::AutomationMayNotRestore);
                }
                if gave_way(&entries) {
                    // Its approvals went to another run, or to none: it is planned anew.
                    return Err(Refusal::Expired);
                }
                let mut valid_for = procedure.restore_approval.valid_for;
                if record.opening.ungated.is_some() {
                    // The glass is no more broken by who takes it up.
                    if actor.kind() != ActorKind::Person {
                        return Err(persons_only(&procedure.restore_approval));
                    }
                    valid_for = valid_for.min(BREAK_GLASS_VALID);
                }
                if record.started_at + valid_for <= self.clock.now() {
                    return Err(Refusal::Expired);
                }
                // A newer stop, or an abort, would not be seen.
                self.ledger.entries(run).await?.whole()?;
                let signed_after = record.started_at - procedure.restore_approval.valid_for;
                let signatures = signatures(&entries);
                self.first_use(run, &record.kind, &signatures, signed_after)
                    .await?;
                restore_of(&later, of)
            }
            _ => restore_touching(&later, &steps),
        };
        if let Some(by) = superseded {
            return Err(Refusal::Superseded { by });
        }
        // The rules are those for who acts now: what holds automation back holds no person back.
        record.safety.actor = actor.kind();
        if actor.kind() == ActorKind::Automation {
            // What a person broke on purpose stays a person's decision.
            record.safety.overrides.clear();
            record.automated = true;
            if matches!(record.kind, PlanKind::Stop) {
                let rules = self.beyond_taking_up(&record, &entries, &steps).await;
                if !rules.is_empty() {
                    return Err(Refusal::Violates { rules });
                }
            }
        }
        if let Some(cause) = aborted(&entries) {
            // Once turned round, it only closes.
            let outcome = self.take_back(run, procedure, Recorded::Primary, cause, entries);
            return self.then_catch_up(outcome.await).await;
        }
        let done = self
            .look_at_finished(&record, &steps, finished(&steps, &entries))
            .await;
        if let PlanKind::Restore { of } = &record.kind {
            // The crash may have come between the read-back and the release.
            let whole = |report: &&StepReport| report.share.is_none() && report.verdict.holds();
            for report in done.iter().filter(whole) {
                self.ledger.release(of, &report.target).await?;
            }
        }
        if matches!(record.kind, PlanKind::Stop) {
            steps = self.look_again(procedure, steps, &record.begun).await;
            steps = self.look_at_unheld(procedure, steps, &record.begun).await;
        }
        record.seen_at = self.clock.monotonic();
        if matches!(record.kind, PlanKind::Restore { .. }) {
            record.known = known_at_first(self.runs().await?, run, after(&entries));
            record.outstanding = self.outstanding(&[]).await;
        }
        if record.safety.broken_glass {
            record.safety.review_due = Some(record.started_at + self.review_due);
        }
        record.safety.steps.clone_from(&steps);
        let span = of_run(self, &record);
        let outcome = self
            .carry_out(Arc::new(record), steps, done, Recorded::Primary)
            .instrument(span)
            .await;
        match closes {
            true => self.then_catch_up(Ok(outcome)).await,
            false => Ok(outcome),
        }
    }

    /// What closes copies the spool when everything is closed, and not for long.
    async fn then_catch_up(&self, outcome: Result<Outcome, Refusal>) -> Result<Outcome, Refusal> {
        let copied = Deadline::after(&*self.clock, CATCH_UP)
            .bound(&*self.clock, "copy spool", self.catch_up())
            .await;
        if let Err(error) = copied {
            tracing::warn!(%error, "the spool was not copied to the journal; both are read together");
        }
        outcome
    }

    /// A target that a stop had begun, that serves and of which nothing is held, was not touched, or was put back by somebody whom the journal does not
    /// show: what serves now is what must come back.
    async fn look_at_unheld(
        &self,
        procedure: &Procedure,
        mut steps: Vec<PlannedStep>,
        begun: &BTreeSet<u32>,
    ) -> Vec<PlannedStep> {
        let Ok(held) = self.held().await else {
            return steps;
        };
        let unheld = |target: &TargetId| held.iter().all(|held| held.snapshot.target() != target);
        let relies = |planned: &PlannedStep| {
            begun.contains(&planned.step)
                && unheld(&planned.target)
                && !matches!(planned.prior, Prior::Unknown { .. })
        };
        let (planned, looks): (Vec<_>, Vec<_>) = steps
            .iter_mut()
            .filter(|planned| relies(planned))
            .filter_map(|planned| {
                let step = procedure.step(&planned.target)?.clone();
                Some((planned, step))
            })
            .unzip();
        let observed = self.observe_all(&looks).await;
        for (planned, seen) in planned.into_iter().zip(observed) {
            if let Ok(seen) = seen
                && seen.state() == TargetState::Serving
            {
                planned.prior = Prior::Observed {
                    snapshot: seen.snapshot().clone(),
                };
            }
        }
        steps
    }
}

/// How long a run that only closes copies the spool afterwards.
const CATCH_UP: Duration = Duration::from_secs(10);

/// Whether nothing that the run still does can open: a stop, and a restore that was turned round.
fn only_closes(entries: &[JournalEntry]) -> bool {
    let stops = entries.iter().any(|entry| {
        matches!(
            &entry.event,
            JournalEvent::Started {
                plan: PlanKind::Stop,
                ..
            }
        )
    });
    stops || aborted(entries).is_some()
}

/// A run as its journal tells it, and its steps.
pub(super) fn taken_up(
    run: &RunId,
    entries: &[JournalEntry],
    procedure: &Procedure,
) -> Result<(Run, Vec<PlannedStep>), Refusal> {
    let steps = started(run, entries, procedure)?.to_vec();
    if let Some(step) = steps.iter().find(|step| procedure.action(&step.target).is_none()) {
        return Err(Refusal::WrongProcedure {
            what: format!("it has no target {}", target_named(&step.target)),
        });
    }
    let cannot_split = |step: &&PlannedStep| {
        let action = procedure.action(&step.target);
        step.share.is_some() && action.is_some_and(|action| action.ramp().is_none())
    };
    if let Some(step) = steps.iter().find(cannot_split) {
        return Err(Refusal::WrongProcedure {
            what: format!("{} cannot be opened in parts", target_named(&step.target)),
        });
    }
    let begin = entries.iter().find_map(|entry| match &entry.event {
        JournalEvent::Started {
            plan,
            digest,
            approval,
            opening,
            actor,
            glass,
            ..
        } => Some((
            (plan.clone(), *digest, approval.clone(), opening.clone(), entry.at),
            (actor.kind(), glass.clone()),
        )),
        _ => None,
    });
    let Some(((kind, digest, approval, opening, started_at), (began_by, glass))) = begin else {
        return Err(Refusal::UnknownRun { run: run.clone() });
    };
    for gate in &opening.gates {
        if let Err(name) = procedure.probes(gate) {
            return Err(Refusal::WrongProcedure {
                what: format!("it has no health check {name}"),
            });
        }
    }
    let begun: BTreeSet<u32> = begun_at(entries).into_keys().collect();
    let furthest = steps
        .iter()
        .filter(|step| begun.contains(&step.step))
        .map(|step| step.stage)
        .max();
    let passed = opening
        .gates
        .iter()
        .filter(|gate| furthest.is_some_and(|stage| stage >= gate.before))
        .map(|gate| (gate.gate, waited(gate.gate, entries)))
        .collect();
    let run = Run {
        id: run.clone(),
        procedure: procedure.clone(),
        kind,
        digest,
        started_at,
        approval,
        begun,
        known: BTreeSet::new(),
        safety: Safety::again(began_by, glass, &steps),
        targets: steps.iter().map(|step| step.target.clone()).collect(),
        opening,
        passed,
        way: Way::new(left_at_shares(&steps, entries)),
        seen_at: Duration::ZERO,
        resumed: true,
        automated: false,
        outstanding: Outstanding::default(),
    };
    Ok((run, steps))
}

/// The fingerprints of the approvals that a run began with.
fn signatures(entries: &[JournalEntry]) -> Vec<Digest> {
    let begin = entries.iter().find_map(|entry| match &entry.event {
        JournalEvent::Started { signatures, .. } => Some(signatures.clone()),
        _ => None,
    });
    begin.unwrap_or_default()
}

/// How long a gate took that has let a stage begin.
fn waited(gate: u32, entries: &[JournalEntry]) -> Duration {
    let at = |wanted: GateMoment| {
        let mut found = entries.iter().rev().filter(|entry| {
            matches!(&entry.event, JournalEvent::Gate { gate: of, moment } if *of == gate && *moment == wanted)
        });
        found.next().map(|entry| entry.at)
    };
    match (at(GateMoment::Waiting), at(GateMoment::Passed)) {
        (Some(began), Some(ended)) => ended.saturating_since(began),
        _ => Duration::ZERO,
    }
}

/// What the newest finished share of each target was seen to leave.
fn left_at_shares(steps: &[PlannedStep], entries: &[JournalEntry]) -> BTreeMap<TargetId, Snapshot> {
    let shares: BTreeSet<u32> = steps
        .iter()
        .filter(|step| step.share.is_some())
        .map(|step| step.step)
        .collect();
    let left = entries.iter().filter_map(|entry| match &entry.event {
        JournalEvent::Verified {
            step,
            target,
            verdict: Verdict::Holds,
            left: Some(left),
            ..
        } if shares.contains(step) => Some((target.clone(), left.clone())),
        _ => None,
    });
    left.collect()
}

impl Engine {
    /// What held once may hold no longer: success is what a read-back shows now. Of a share that a later step of its target has begun to
    /// change, nothing can be seen any more.
    async fn look_at_finished(
        &self,
        run: &Run,
        planned: &[PlannedStep],
        mut done: Vec<StepReport>,
    ) -> Vec<StepReport> {
        let passed_by = |report: &StepReport| {
            let later = |step: &&PlannedStep| step.target == report.target && step.step > report.step;
            planned
                .iter()
                .filter(later)
                .any(|step| run.begun.contains(&step.step))
        };
        let look: Vec<_> = done
            .iter_mut()
            .filter(|report| !passed_by(report))
            .filter_map(|report| {
                let step = run.procedure.step(&report.target)?.clone();
                let planned = planned.iter().find(|planned| planned.step == report.step)?;
                Some((report, step, planned))
            })
            .collect();
        let steps: Vec<_> = look.iter().map(|(_, step, _)| step.clone()).collect();
        let observed = self.observe_all(&steps).await;
        for ((report, step, planned), observed) in look.into_iter().zip(observed) {
            if let Ok(observed) = &observed {
                report.add_caveats(observed.caveats());
            }
            report.verdict = match (observed, &run.kind, &planned.prior) {
                (Err(error), ..) => Verdict::unknown(error.to_string()),
                (Ok(observed), PlanKind::Restore { .. }, Prior::Observed { snapshot }) => {
                    opened(&step, planned, snapshot, &observed)
                }
                (Ok(observed), ..) => step.action.verify(&observed),
            };
            report.within_target &= report.verdict.holds();
        }
        done
    }
}

/// The newest runs that the journal knew when the run was planned.
fn after(entries: &[JournalEntry]) -> Vec<RunId> {
    let begin = entries.iter().find_map(|entry| match &entry.event {
        JournalEvent::Started { after, .. } => Some(after.clone()),
        _ => None,
    });
    begin.unwrap_or_default()
}

/// The runs that a run was planned with: those that it names. If these are as many as a run names, or none, as in old journals, also what is
/// older than all of them: ids sort by the time of their making. Else what is older began later, by a clock that is behind.
fn known_at_first(runs: Vec<RunId>, run: &RunId, after: Vec<RunId>) -> BTreeSet<RunId> {
    if (1..NEWEST).contains(&after.len()) {
        return after.into_iter().collect();
    }
    let oldest = after.iter().min().unwrap_or(run).clone();
    let older = runs.into_iter().filter(|id| *id < oldest);
    older.chain(after).collect()
}

/// When each step that has begun did so first.
pub(super) fn begun_at(entries: &[JournalEntry]) -> BTreeMap<u32, Timestamp> {
    let mut begun = BTreeMap::new();
    for entry in entries {
        if let JournalEvent::Intent { step, .. } = &entry.event {
            begun.entry(*step).or_insert(entry.at);
        }
    }
    begun
}

/// The reports of the steps whose last read-back held.
fn finished(steps: &[PlannedStep], entries: &[JournalEntry]) -> Vec<StepReport> {
    let begun = begun_at(entries);
    let report = |planned: &PlannedStep| {
        let (at, result, verdict) = entries.iter().rev().find_map(|entry| match &entry.event {
            JournalEvent::Verified {
                step,
                result,
                verdict,
                ..
            } if *step == planned.step => Some((entry.at, result, verdict)),
            _ => None,
        })?;
        if !verdict.holds() {
            return None;
        }
        let elapsed = at.saturating_since(*begun.get(&planned.step).unwrap_or(&at));
        Some(StepReport {
            step: planned.step,
            stage: planned.stage,
            target: planned.target.clone(),
            action: planned.action.clone(),
            result: result.clone(),
            verdict: verdict.clone(),
            elapsed,
            promised: planned.promised,
            within_target: elapsed <= planned.promised,
            journalled: !matches!(planned.prior, Prior::Unknown { .. }),
            prior: planned.prior.clone(),
            caveats: planned.caveats.clone(),
            share: planned.share,
        })
    };
    steps.iter().filter_map(report).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_knew_those_that_it_names_and_what_is_older_only_where_it_may_have_left_some_out() {
        let id = |n: usize| RunId::new(format!("run_{n:03}")).unwrap();
        let runs = || (1..=200).map(id).collect::<Vec<_>>();
        for (named, known) in [(0, 99), (1, 1), (NEWEST - 1, NEWEST - 1), (NEWEST, 99)] {
            // Those right before the run, the hundredth.
            let after: Vec<_> = (100 - named..100).map(id).collect();
            let found = known_at_first(runs(), &id(100), after);
            assert_eq!(found.len(), known, "{named} named");
            assert!(found.iter().all(|known| *known < id(100)), "{named} named");
        }
    }
}
