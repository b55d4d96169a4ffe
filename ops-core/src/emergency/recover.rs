use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::execute::Run;
use super::history::{restore_of, restore_touching};
use super::ledger::Recorded;
use super::outstanding::Outstanding;
use super::procedure::Procedure;
use super::restore::started;
use super::verify::restored;
use super::{Engine, Refusal};
use crate::model::{
    Actor, ActorKind, Outcome, PlanKind, PlannedStep, Prior, RunId, StepReport, Timestamp, Verdict,
};
use crate::ports::{JournalEntry, JournalEvent};

impl Engine {
    /// Takes up a run after a crash, or a run that did not verify: steps that were seen to hold are looked at once more, all others are
    /// carried out again with the prior state of the journal; what had not begun is observed again. What was approved once need not be approved again.
    ///
    /// # Errors
    /// [`Refusal::UnknownRun`], [`Refusal::WrongProcedure`], [`Refusal::AutomationMayNotRestore`], [`Refusal::Expired`] for a restore whose
    /// approval is too old, [`Refusal::Superseded`] when one of its targets has been restored by a later run, [`Refusal::Undecided`] when
    /// the journal cannot be read.
    ///
    /// # Cancellation
    /// As [`execute`](Self::execute).
    pub async fn resume(
        &self,
        run: &RunId,
        procedure: &Procedure,
        actor: &Actor,
    ) -> Result<Outcome, Refusal> {
        let entries = self.entries(run).await?;
        let mut steps = started(run, &entries, procedure)?.to_vec();
        if let Some(step) = steps.iter().find(|step| procedure.action(&step.target).is_none()) {
            return Err(Refusal::WrongProcedure {
                what: format!("it has no target {}", step.target),
            });
        }
        let begin = entries.iter().find_map(|entry| match &entry.event {
            JournalEvent::Started {
                plan,
                digest,
                approval,
                after,
                ..
            } => Some((plan.clone(), *digest, approval.clone(), after.clone(), entry.at)),
            _ => None,
        });
        let Some((kind, digest, approval, after, started_at)) = begin else {
            return Err(Refusal::UnknownRun { run: run.clone() });
        };
        let later = self.later_than(run).await?;
        let superseded = match &kind {
            PlanKind::Restore { of } => {
                if actor.kind() == ActorKind::Automation {
                    return Err(Refusal::AutomationMayNotRestore);
                }
                if started_at + procedure.restore_approval.valid_for <= self.clock.now() {
                    return Err(Refusal::Expired);
                }
                restore_of(&later, of)
            }
            _ => restore_touching(&later, &steps),
        };
        if let Some(by) = superseded {
            return Err(Refusal::Superseded { by });
        }
        let done = self
            .look_at_finished(procedure, &kind, finished(&steps, &entries))
            .await;
        if let PlanKind::Restore { of } = &kind {
            // The crash may have come between the read-back and the release.
            for report in done.iter().filter(|report| report.verdict.holds()) {
                self.ledger.release(of, &report.target).await?;
            }
        }
        let begun: BTreeSet<u32> = begun_at(&entries).into_keys().collect();
        if matches!(kind, PlanKind::Stop) {
            steps = self.look_again(procedure, steps, &begun).await;
        }
        let seen_at = self.clock.monotonic();
        let known = known_at_first(self.runs().await?, run, after);
        let outstanding = match kind {
            PlanKind::Restore { .. } => self.outstanding(&[]).await,
            PlanKind::Stop => Outstanding::default(),
        };
        let run = Run {
            id: run.clone(),
            procedure: procedure.clone(),
            kind,
            digest,
            started_at,
            approval,
            begun,
            known,
            seen_at,
            resumed: true,
            outstanding,
        };
        Ok(self
            .carry_out(Arc::new(run), steps, done, Recorded::Primary)
            .await)
    }
}

impl Engine {
    /// What held once may hold no longer: success is what a read-back shows now.
    async fn look_at_finished(
        &self,
        procedure: &Procedure,
        kind: &PlanKind,
        mut done: Vec<StepReport>,
    ) -> Vec<StepReport> {
        let steps: Vec<_> = done
            .iter()
            .filter_map(|report| {
                procedure
                    .steps
                    .iter()
                    .find(|step| *step.action.target() == report.target)
            })
            .cloned()
            .collect();
        let observed = self.observe_all(&steps).await;
        for ((report, step), observed) in done.iter_mut().zip(&steps).zip(observed) {
            report.verdict = match (observed, kind, &report.prior) {
                (Err(error), ..) => Verdict::unknown(error.to_string()),
                (Ok(observed), PlanKind::Restore { .. }, Prior::Observed { snapshot }) => {
                    restored(snapshot, &observed)
                }
                (Ok(observed), ..) => step.action.verify(&observed),
            };
            report.within_target &= report.verdict.holds();
        }
        done
    }
}

/// The runs that a run was planned with: those that it names, and what is older than all of these. Old journals name none, and ids sort by
/// the time of their making.
fn known_at_first(runs: Vec<RunId>, run: &RunId, after: Vec<RunId>) -> BTreeSet<RunId> {
    let oldest = after.iter().min().unwrap_or(run).clone();
    let older = runs.into_iter().filter(|id| *id < oldest);
    older.chain(after).collect()
}

/// When each step that has begun did so first.
fn begun_at(entries: &[JournalEntry]) -> BTreeMap<u32, Timestamp> {
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
            within_target: elapsed <= planned.promised,
            journalled: !matches!(planned.prior, Prior::Unknown { .. }),
            prior: planned.prior.clone(),
            caveats: planned.caveats.clone(),
        })
    };
    steps.iter().filter_map(report).collect()
}
