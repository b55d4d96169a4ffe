use std::collections::BTreeSet;
use std::time::Duration;

use sha2::{Digest as _, Sha256};

use super::glass::BreakGlass;
use super::plan::{Draft, Plan};
use super::procedure::{Procedure, Step};
use crate::masking::target_named;
use crate::messages;
use crate::model::{Opening, PlanKind, PlannedGate, PlannedStep, Prior, RunId};

impl Procedure {
    /// The stages of a restore: a step for each share of a ramp, and the gates between.
    ///
    /// `planned` has the opening stage of each step; what can only be put back by hand comes last.
    pub(super) fn in_stages(&self, planned: Vec<PlannedStep>) -> (Vec<PlannedStep>, Opening) {
        let stages: BTreeSet<u32> = self.steps.iter().map(|step| step.opening).collect();
        let (by_hand, planned): (Vec<_>, Vec<_>) = planned
            .into_iter()
            .partition(|step| !matches!(step.prior, Prior::Observed { .. }));
        let mut steps = Vec::new();
        let mut gates = Vec::new();
        let mut gate = |after: Option<u32>, before: u32| {
            if let Some(gate) = self.gates.iter().find(|gate| gate.after == after) {
                gates.push((before, gate));
            }
        };
        gate(None, 0);
        let mut shift = 0;
        for opening in stages {
            let first = opening + shift;
            let mut longest = 0;
            for step in planned.iter().filter(|planned| planned.stage == opening) {
                let parts = self.in_parts(step, first);
                longest = longest.max(parts.len().saturating_sub(1));
                steps.extend(parts);
            }
            let longest = u32::try_from(longest).unwrap_or(u32::MAX);
            (first..=first + longest).for_each(|stage| gate(Some(opening), stage + 1));
            shift += longest;
        }
        let last = steps.iter().map(|step| step.stage).max();
        let opened: BTreeSet<u32> = steps.iter().map(|step| step.stage).collect();
        // A gate between stages of which this plan has neither is not its business.
        gates.retain(|(before, _)| {
            last.is_some_and(|last| last >= *before)
                || before.checked_sub(1).is_some_and(|stage| opened.contains(&stage))
        });
        let after_all = last.map_or(0, |last| last + 1);
        steps.extend(by_hand.into_iter().map(|step| PlannedStep {
            stage: after_all,
            ..step
        }));
        steps.sort_by_key(|step| step.stage);
        number(&mut steps);
        let gates = (0..).zip(gates).map(|(number, (before, gate))| {
            let checks: Vec<_> = gate.checks.iter().map(|(name, _)| name.clone()).collect();
            let action = messages::gate(&checks, gate.hold, gate.patience);
            let mut planned = PlannedGate::new(number, before, action, checks, gate.hold);
            planned.every = gate.every;
            planned.patience = gate.patience;
            planned
        });
        let opening = Opening {
            gates: gates.collect(),
            jitter: self.jitter,
            ungated: None,
        };
        (steps, opening)
    }

    /// A step for each share, then the whole. What is already as before has nothing to let in by parts.
    fn in_parts(&self, planned: &PlannedStep, first: u32) -> Vec<PlannedStep> {
        let as_before = match (&planned.prior, &planned.found) {
            (Prior::Observed { snapshot }, Some(found)) => {
                snapshot.restorable_bytes() == found.restorable_bytes()
            }
            _ => false,
        };
        let step = self
            .steps
            .iter()
            .find(|step| *step.action.target() == planned.target);
        let ramp = step.map_or(&[][..], |step| if as_before { &[] } else { &step.ramp });
        let mut parts = Vec::new();
        for (stage, share) in (first..).zip(ramp) {
            let mut part = PlannedStep {
                stage,
                share: Some(*share),
                action: messages::in_part(&planned.action, *share),
                ..planned.clone()
            };
            if !parts.is_empty() {
                part.drift.clear();
            }
            parts.push(part);
        }
        let mut whole = planned.clone();
        whole.stage = first + u32::try_from(parts.len()).unwrap_or(u32::MAX);
        if !parts.is_empty() {
            // Shown, and decided on, once.
            whole.drift.clear();
        }
        parts.push(whole);
        parts
    }
}

impl Plan<Draft> {
    /// Takes gates and shares out of the plan of a restore: everything opens as fast as the read-backs allow. Part of the digest, so that
    /// whoever approves knows; the approvals are needed all the same. Only a person may carry it out, within 15 minutes, and another one has to review
    /// it. A stop has none: nothing changes.
    #[must_use]
    pub fn without_gates(self, glass: &BreakGlass) -> Self {
        self.ungated(glass.reason())
    }

    pub(super) fn ungated(self, reason: &str) -> Self {
        if !matches!(self.kind(), PlanKind::Restore { .. }) {
            return self;
        }
        self.reopened(|steps, opening| {
            let mut drifts: Vec<_> = steps
                .iter()
                .filter(|step| step.share.is_some())
                .cloned()
                .collect();
            steps.retain(|step| step.share.is_none());
            for step in steps.iter_mut() {
                let first = drifts.iter_mut().find(|part| part.target == step.target);
                if let Some(first) = first.filter(|first| !first.drift.is_empty()) {
                    step.drift = std::mem::take(&mut first.drift);
                }
            }
            number(steps);
            opening.gates.clear();
            opening.ungated = Some(reason.to_owned());
        })
    }
}

fn number(steps: &mut [PlannedStep]) {
    for (index, step) in (0..).zip(steps) {
        step.step = index;
    }
}

/// How long the step of that rank among `of` waits before it begins: somewhere in its own part of the window.
pub(super) fn delay(window: Duration, seed: u64, run: &RunId, rank: u32, of: u32) -> Duration {
    let mut hash = Sha256::new();
    hash.update(seed.to_be_bytes());
    hash.update(run.as_str());
    hash.update(rank.to_be_bytes());
    let bytes: [u8; 32] = hash.finalize().into();
    let drawn = bytes
        .iter()
        .take(4)
        .fold(0_u32, |drawn, byte| drawn << 8 | u32::from(*byte));
    let within = f64::from(drawn) / (f64::from(u32::MAX) + 1.0);
    window.mul_f64((f64::from(rank) + within) / f64::from(of.max(1)))
}

impl Step {
    /// What is wrong with its ramp.
    pub(super) fn ramp_fault(&self) -> Option<String> {
        if self.ramp.is_empty() {
            return None;
        }
        let target = target_named(self.action.target());
        if self.action.ramp().is_none() {
            return Some(format!("{target} cannot be opened in parts; remove its ramp"));
        }
        let rising = self.ramp.windows(2).all(|pair| pair[0] < pair[1]);
        let whole = self.ramp.contains(&crate::model::Share::ALL);
        (!rising || whole).then(|| {
            format!("the ramp of {target} must rise from share to share and end below 100 %; the whole follows by itself")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jitter_spreads_the_steps_over_the_window_and_is_the_same_each_time() {
        let (window, run) = (Duration::from_secs(10), RunId::new("run-1").unwrap());
        for seed in 0..200 {
            let delays: Vec<_> = (0..5).map(|rank| delay(window, seed, &run, rank, 5)).collect();
            for (rank, found) in (0..).zip(&delays) {
                let part = Duration::from_secs(2 * rank)..Duration::from_secs(2 * (rank + 1));
                assert!(part.contains(found), "{seed} {rank}: {found:?}");
            }
            let again: Vec<_> = (0..5).map(|rank| delay(window, seed, &run, rank, 5)).collect();
            assert_eq!(delays, again);
        }
        let other = RunId::new("run-2").unwrap();
        assert_ne!(delay(window, 0, &run, 0, 1), delay(window, 0, &other, 0, 1));
        assert_ne!(delay(window, 0, &run, 0, 1), delay(window, 1, &run, 0, 1));
        assert_eq!(delay(Duration::ZERO, 0, &run, 0, 1), Duration::ZERO);
    }
}
