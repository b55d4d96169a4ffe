use std::collections::{BTreeMap, BTreeSet};

use super::drift::drift;
use super::forget::forgotten;
use super::history::{self, PastRun, later, left_by_restore, put_back, reopened};
use super::outstanding::Outstanding;
use super::plan::{Draft, Plan};
use super::procedure::{Procedure, Step};
use super::{Engine, Refusal};
use crate::error::{Error, ErrorKind, Result};
use crate::masking::target_named;
use crate::model::{
    Difference, PlanKind, PlannedStep, Prior, RunId, Snapshot, TargetId, TargetState, Timestamp,
};
use crate::ports::{Held, JournalEntry, JournalEvent};

impl Engine {
    /// Plans to put back what `run` changed.
    ///
    /// Each target is compared with what the stop left behind; the difference is the drift, and a plan with drift is only approved after
    /// [`Plan::accepting_drift`]. A target whose prior state was never known is part of the plan, last, and fails: it must be
    /// restored by hand. A target whose prior state another run holds is left to that run.
    ///
    /// # Errors
    /// [`Refusal::UnknownRun`], [`Refusal::WrongProcedure`], [`Refusal::NothingHeld`], or [`Refusal::Undecided`] when the journal or a
    /// target cannot be read.
    pub async fn plan_restore(&self, run: &RunId, procedure: &Procedure) -> Result<Plan<Draft>, Refusal> {
        let seen_at = self.clock.monotonic();
        self.try_to_catch_up().await;
        let known: BTreeSet<RunId> = self.runs().await?.into_iter().collect();
        let entries = self.entries(run).await?;
        let begun = started(run, &entries, procedure)?;
        let (held, unreadable) = self.ledger.held_among(begun).await?;
        let began = entries.iter().map(|entry| entry.at).min();
        let seen_first = began.unwrap_or(Timestamp::UNIX_EPOCH);
        let past = self.past().await?;
        let later = later(&past, run);
        let mut done = put_back(&later);
        done.extend(forgotten(&entries));
        let mut reopened_by_me = Vec::new();
        for other in held.iter().filter(|held| held.run != *run) {
            let after = history::later(&past, &other.run);
            if let Some((_, snapshot)) = reopened(other, &after).filter(|(seen_by, _)| seen_by == run) {
                reopened_by_me.push(Held::new(run.clone(), other.at, snapshot));
            }
        }
        // The holder's state is out of date: this run saw the target working in another one.
        let held: Vec<Held> = held
            .into_iter()
            .map(|held| {
                let newer = reopened_by_me
                    .iter()
                    .find(|newer| newer.snapshot.target() == held.snapshot.target());
                newer.cloned().unwrap_or(held)
            })
            .collect();
        let owed = owed(run, &entries, begun, &held, &done);
        let owed = without(owed, unreadable, begun);
        if owed.is_empty() {
            return Err(Refusal::NothingHeld {
                run: run.clone(),
                held_by: held.iter().map(|held| held.run.clone()).collect(),
            });
        }
        let mut todo: Vec<(u32, &Step, Owed)> = Vec::new();
        for owed in owed {
            let step = procedure
                .steps
                .iter()
                .find(|step| step.action.target() == owed.target());
            let step = step.ok_or_else(|| Refusal::WrongProcedure {
                what: format!("it has no target {}", target_named(owed.target())),
            })?;
            todo.push((step.opening, step, owed));
        }
        todo.sort_by_key(|(stage, ..)| *stage);
        let steps: Vec<_> = todo.iter().map(|(_, step, _)| (*step).clone()).collect();
        let observed = self.observe_all(&steps).await;
        let mut planned = Vec::new();
        for (index, ((stage, step, owed), observed)) in (0..).zip(todo.into_iter().zip(observed)) {
            planned.push(match owed {
                Owed::ByHand { reason, .. } => planned_step(index, stage, step, Prior::Unknown { reason }),
                Owed::WriteBack { .. } if observed.as_ref().is_err_and(is_gone) => {
                    let reason = "the target is gone; its prior state stays held".to_owned();
                    planned_step(index, stage, step, Prior::Unknown { reason })
                }
                Owed::WriteBack { prior } => {
                    let observed = observed
                        .map_err(|error| error.context("target", target_named(step.action.target())))?;
                    let left = left_by_restore(&later, run, step.action.target())
                        .or_else(|| left_by(&entries, step.action.target()))
                        // If all was refused, whatever is there is of others.
                        .or_else(|| refused(&entries, &later, step.action.target()).then_some(&prior));
                    let mut planned = planned_step(
                        index,
                        stage,
                        step,
                        Prior::Observed {
                            snapshot: prior.clone(),
                        },
                    );
                    planned.drift = drift(&prior, &observed, left);
                    let held = Held::new(run.clone(), seen_first, prior.clone());
                    if let Some((_, seen)) = reopened(&held, &later) {
                        // What would be written back is not what was there last.
                        planned.drift.extend(prior.differences(&seen));
                    }
                    if partly(begun, &prior) {
                        planned.drift.push(Difference {
                            path: "prior".to_owned(),
                            expected: Some("a state of its own".into()),
                            found: Some("partly stopped, before this run, by nobody knows whom".into()),
                        });
                    }
                    planned.found = Some(observed.snapshot().clone());
                    planned.partly = observed.state() == TargetState::PartlyStopped;
                    planned.caveats = observed.caveats().to_vec();
                    planned
                }
            });
        }
        let (planned, opening) = procedure.in_stages(planned);
        let mut calls = Outstanding::read(&past, self.clock.now(), seen_at).calls;
        calls.retain(|call| planned.iter().any(|step| step.target == call.target));
        let kind = PlanKind::Restore { of: run.clone() };
        Ok(Plan::draft(
            RunId::generate(self.clock.now()),
            procedure.clone(),
            kind,
            planned,
            seen_at,
        )
        .knowing(known)
        .opening_with(opening)
        .awaiting(calls))
    }
}

/// Whether the prior state was seen partly stopped, without a mark of who did that: on a machine with a journal of its own that may be
/// half of another run.
fn partly(begun: &[PlannedStep], prior: &Snapshot) -> bool {
    let same = |step: &&PlannedStep| matches!(&step.prior, Prior::Observed { snapshot } if snapshot == prior);
    begun.iter().find(same).is_some_and(|step| step.partly)
}

fn is_gone(error: &Error) -> bool {
    error.kind() == ErrorKind::NotFound
}

/// What a run still has to put back.
#[derive(Debug)]
pub(super) enum Owed {
    WriteBack { prior: Snapshot },
    ByHand { target: TargetId, reason: String },
}

impl Owed {
    pub(super) fn target(&self) -> &TargetId {
        match self {
            Self::WriteBack { prior } => prior.target(),
            Self::ByHand { target, .. } => target,
        }
    }
}

pub(super) fn owed(
    run: &RunId,
    entries: &[JournalEntry],
    begun: &[PlannedStep],
    held: &[Held],
    done: &BTreeSet<TargetId>,
) -> Vec<Owed> {
    let touched = |target: &TargetId| {
        entries.iter().any(
            |entry| matches!(&entry.event, JournalEvent::Intent { target: found, .. } if found == target),
        )
    };
    let owed = |step: &PlannedStep| {
        let holder = held.iter().find(|held| *held.snapshot.target() == step.target);
        match (holder, &step.prior) {
            (Some(held), _) if held.run == *run => Some(Owed::WriteBack {
                prior: held.snapshot.clone(),
            }),
            (Some(_), _) => None,
            _ if done.contains(&step.target) || !touched(&step.target) => None,
            // No journal took the hold, but the plan is in the journal.
            (None, Prior::Observed { snapshot }) => Some(Owed::WriteBack {
                prior: snapshot.clone(),
            }),
            (None, Prior::Unknown { reason }) => {
                let reason = format!("it was not known before the stop: {reason}");
                Some(Owed::ByHand {
                    target: step.target.clone(),
                    reason,
                })
            }
            (None, Prior::AlreadyStopped { .. }) => None,
        }
    };
    begun.iter().filter_map(owed).collect()
}

/// A held state that cannot be read is no reason to guess, and none to leave other targets stopped: a person must look at that one.
fn without(owed: Vec<Owed>, unreadable: BTreeMap<TargetId, String>, begun: &[PlannedStep]) -> Vec<Owed> {
    let mine = |target: &TargetId| {
        let step = begun.iter().find(|step| step.target == *target);
        step.is_some_and(|step| !matches!(step.prior, Prior::AlreadyStopped { .. }))
    };
    let readable = |owed: &Owed| !unreadable.contains_key(owed.target());
    let mut owed: Vec<_> = owed.into_iter().filter(readable).collect();
    let by_hand = unreadable.into_iter().filter(|(target, _)| mine(target));
    owed.extend(by_hand.map(|(target, reason)| Owed::ByHand { target, reason }));
    owed
}

/// The steps that the run began with, if `procedure` is the one it was.
pub(super) fn started<'a>(
    run: &RunId,
    entries: &'a [JournalEntry],
    procedure: &Procedure,
) -> Result<&'a [PlannedStep], Refusal> {
    let found = entries.iter().find_map(|entry| match &entry.event {
        JournalEvent::Started { procedure, steps, .. } => Some((procedure, steps)),
        _ => None,
    });
    let (name, steps) = found.ok_or_else(|| Refusal::UnknownRun { run: run.clone() })?;
    if *name != procedure.name {
        return Err(Refusal::WrongProcedure {
            what: format!("the run was of {name}, not of {}", procedure.name),
        });
    }
    Ok(steps)
}

/// The state that the stop was last seen to leave behind.
fn left_by<'a>(entries: &'a [JournalEntry], wanted: &TargetId) -> Option<&'a Snapshot> {
    entries.iter().rev().find_map(|entry| match &entry.event {
        JournalEvent::Verified {
            target,
            left: Some(left),
            verdict,
            ..
        } if target == wanted && verdict.holds() => Some(left),
        _ => None,
    })
}

/// Whether every call on `wanted` that the run and the later ones announced was answered, with an error: nothing of what is there is theirs.
fn refused(entries: &[JournalEntry], later: &[PastRun], wanted: &TargetId) -> bool {
    let mut runs = later.iter().map(PastRun::entries).chain([entries]);
    let mut any = false;
    let all = runs.all(|entries| {
        let mut pending = BTreeSet::new();
        for entry in entries {
            match &entry.event {
                JournalEvent::Intent { step, target, .. } if target == wanted => {
                    any = true;
                    if !pending.insert(*step) {
                        return false;
                    }
                }
                JournalEvent::Applied {
                    step,
                    target,
                    error,
                    unanswered,
                } if target == wanted => {
                    if error.is_none() || *unanswered {
                        return false;
                    }
                    pending.remove(step);
                }
                _ => {}
            }
        }
        pending.is_empty()
    });
    any && all
}

fn planned_step(index: u32, stage: u32, step: &Step, prior: Prior) -> PlannedStep {
    let action = &step.action;
    PlannedStep::new(
        index,
        stage,
        action.target().clone(),
        action.describe_restore(),
        action.effect(),
        prior,
        step.promised,
    )
}
