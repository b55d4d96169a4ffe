use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tracing::Instrument as _;

use super::outstanding::Call;
use super::procedure::{Procedure, Step};
use super::safety::Looks;
use super::{ApprovalPolicy, Engine};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{
    Actor, BrokenGlass, Digest, Observation, Opening, PlanKind, PlannedStep, Prior, RunId, TargetState, Text,
    Timestamp,
};
use crate::ports::{Action, Held};
use crate::resilience::Deadline;

/// A plan that shows what would be done; nothing can be done with it yet.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Draft;

/// A plan that may be carried out, once, until its approval runs out; hence no copy of it.
#[derive(Debug)]
pub struct Approved {
    pub(super) actor: Actor,
    pub(super) approval: String,
    pub(super) until: Timestamp,
    /// Fingerprints of the signatures that were needed.
    pub(super) signatures: Vec<Digest>,
    pub(super) glass: Option<BrokenGlass>,
}

/// What a procedure would do to the world as it was observed.
///
/// The digest covers the steps and the observed prior states, not the run and not the time, so that two machines that see the
/// same world get the same digest, and an approval is void as soon as the world differs.
#[derive(Clone, Debug)]
pub struct Plan<S> {
    run: RunId,
    procedure: Procedure,
    kind: PlanKind,
    steps: Vec<PlannedStep>,
    digest: Digest,
    accept_drift: bool,
    opening: Opening,
    /// When the targets were observed, on the engine's monotonic clock.
    seen_at: Duration,
    /// The runs that the journal knew when it was planned.
    known: BTreeSet<RunId>,
    /// For a stop: what the rules look at besides the prior states.
    looks: Looks,
    /// For a restore: calls of other runs that may still take effect. Not part of the digest: they pass.
    calls: Vec<Call>,
    state: S,
}

impl<S> Plan<S> {
    /// The run that carrying it out will be.
    pub fn run(&self) -> &RunId {
        &self.run
    }

    /// Stop or restore.
    pub fn kind(&self) -> &PlanKind {
        &self.kind
    }

    /// The procedure.
    pub fn procedure(&self) -> &Procedure {
        &self.procedure
    }

    /// The steps with what was observed.
    pub fn steps(&self) -> &[PlannedStep] {
        &self.steps
    }

    /// What approvals are bound to.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// Who must agree.
    pub fn policy(&self) -> &ApprovalPolicy {
        match self.kind {
            PlanKind::Stop => &self.procedure.stop_approval,
            _ => &self.procedure.restore_approval,
        }
    }

    pub(super) fn seen_at(&self) -> Duration {
        self.seen_at
    }

    pub(super) fn looks(&self) -> &Looks {
        &self.looks
    }

    /// Gates, jitter and the reason of a fast path.
    pub fn opening(&self) -> &Opening {
        &self.opening
    }

    /// For a restore: what it waits for before it acts, a line for each call of another run that may still take effect.
    pub fn waits(&self) -> Vec<Text> {
        self.calls.iter().map(Call::describe).collect()
    }

    /// How fast the whole promises to be: the slowest step of each stage, and the jitter and the holds of a restore. A gate at which health does not hold at
    /// once takes longer, up to its patience.
    pub fn promised(&self) -> Duration {
        let mut stages = std::collections::BTreeMap::<u32, Duration>::new();
        for step in &self.steps {
            let slowest = stages.entry(step.stage).or_default();
            *slowest = step.promised.max(*slowest);
        }
        let jitter = self.opening.jitter * u32::try_from(stages.len()).unwrap_or(u32::MAX);
        let holds: Duration = self.opening.gates.iter().map(|gate| gate.hold).sum();
        stages.values().sum::<Duration>() + jitter + holds
    }
}

impl Plan<Draft> {
    pub(super) fn draft(
        run: RunId,
        procedure: Procedure,
        kind: PlanKind,
        steps: Vec<PlannedStep>,
        seen_at: Duration,
    ) -> Self {
        let mut plan = Self {
            run,
            procedure,
            kind,
            steps,
            digest: Digest::of(b""),
            accept_drift: false,
            opening: Opening::default(),
            seen_at,
            known: BTreeSet::new(),
            looks: Looks::default(),
            calls: Vec::new(),
            state: Draft,
        };
        plan.digest = plan.compute_digest();
        plan
    }

    pub(super) fn opening_with(mut self, opening: Opening) -> Self {
        self.opening = opening;
        self.digest = self.compute_digest();
        self
    }

    /// Changes how a restore opens.
    pub(super) fn reopened(mut self, change: impl FnOnce(&mut Vec<PlannedStep>, &mut Opening)) -> Self {
        change(&mut self.steps, &mut self.opening);
        self.digest = self.compute_digest();
        self
    }

    pub(super) fn knowing(mut self, known: BTreeSet<RunId>) -> Self {
        self.known = known;
        self
    }

    pub(super) fn looking_at(mut self, looks: Looks) -> Self {
        self.looks = looks;
        self
    }

    pub(super) fn awaiting(mut self, calls: Vec<Call>) -> Self {
        self.calls = calls;
        self
    }

    /// Decides that what others changed since the stop may be overwritten by the restore. Part of the digest.
    #[must_use]
    pub fn accepting_drift(mut self) -> Self {
        self.accept_drift = true;
        self.digest = self.compute_digest();
        self
    }

    pub(super) fn accepts_drift(&self) -> bool {
        self.accept_drift
    }

    pub(super) fn into_approved(self, state: Approved) -> Plan<Approved> {
        let Self {
            run,
            procedure,
            kind,
            steps,
            digest,
            accept_drift,
            opening,
            seen_at,
            known,
            calls,
            looks,
            state: Draft,
        } = self;
        Plan {
            run,
            procedure,
            kind,
            steps,
            digest,
            accept_drift,
            opening,
            seen_at,
            known,
            calls,
            looks,
            state,
        }
    }

    fn compute_digest(&self) -> Digest {
        Digest::of_plan(
            &self.procedure.name,
            &self.kind,
            &self.steps,
            self.accept_drift,
            &self.opening,
        )
    }
}

/// What carrying a plan out consumes.
type Parts = (
    RunId,
    Procedure,
    PlanKind,
    Vec<PlannedStep>,
    Digest,
    Opening,
    Approved,
);

impl Plan<Approved> {
    pub(super) fn authority(&self) -> &Approved {
        &self.state
    }

    pub(super) fn known(&self) -> BTreeSet<RunId> {
        self.known.clone()
    }

    pub(super) fn calls(&self) -> Vec<Call> {
        self.calls.clone()
    }

    pub(super) fn into_parts(self) -> Parts {
        (
            self.run,
            self.procedure,
            self.kind,
            self.steps,
            self.digest,
            self.opening,
            self.state,
        )
    }
}

/// How long a stop waits for the prior state; after that it goes ahead without.
pub(super) const OBSERVE_BUDGET: Duration = Duration::from_secs(2);

impl Engine {
    /// Observes every target at the same time and plans the stop. Acts on nothing and cannot fail: a target that cannot be read within
    /// 2 s is planned with an unknown prior state.
    pub async fn plan_stop(&self, procedure: &Procedure) -> Plan<Draft> {
        let seen_at = self.clock.monotonic();
        let (held, known, observed, looks) = tokio::join!(
            self.held(),
            self.runs(),
            self.observe_all(&procedure.steps),
            self.look_around(procedure)
        );
        let held = held.unwrap_or_default();
        let steps = (0..).zip(procedure.steps.iter().zip(observed));
        let steps = steps
            .map(|(index, (step, observed))| {
                let observed = observed.map_err(|error| self.masked(error.to_string()));
                planned_stop(index, step, observed, &held)
            })
            .collect();
        Plan::draft(
            RunId::generate(self.clock.now()),
            procedure.clone(),
            PlanKind::Stop,
            steps,
            seen_at,
        )
        .looking_at(looks)
        .knowing(known.unwrap_or_default().into_iter().collect())
    }

    /// Observes again what has not `begun`, because somebody may have changed it since the stop was planned: what a restore writes
    /// back is the state right before the first effect. What cannot be read now stays as it was planned.
    pub(super) async fn look_again(
        &self,
        procedure: &Procedure,
        mut steps: Vec<PlannedStep>,
        begun: &BTreeSet<u32>,
    ) -> Vec<PlannedStep> {
        let todo = steps.iter_mut().filter(|planned| {
            !begun.contains(&planned.step) || matches!(planned.prior, Prior::Unknown { .. })
        });
        let (planned, todo): (Vec<_>, Vec<_>) = todo
            .filter_map(|planned| {
                let step = procedure
                    .steps
                    .iter()
                    .find(|step| *step.action.target() == planned.target);
                step.map(|step| (planned, step.clone()))
            })
            .unzip();
        let (held, observed) = tokio::join!(self.held(), self.observe_all(&todo));
        let held = held.unwrap_or_default();
        for ((planned, step), observed) in planned.into_iter().zip(&todo).zip(observed) {
            // What has begun without being known counts only while nothing of it shows.
            let untouched = !begun.contains(&planned.step)
                || observed
                    .as_ref()
                    .is_ok_and(|observed| observed.state() == TargetState::Serving);
            let observed = observed.map_err(|error| self.masked(error.to_string()));
            let seen = planned_stop(planned.step, step, observed, &held);
            if untouched && !matches!(seen.prior, Prior::Unknown { .. }) {
                planned.prior = seen.prior;
                planned.partly = seen.partly;
            }
        }
        steps
    }

    pub(super) async fn observe_all(&self, steps: &[Step]) -> Vec<Result<Observation>> {
        let mut tasks = JoinSet::new();
        for (index, step) in steps.iter().enumerate() {
            let (action, clock) = (Arc::clone(&step.action), Arc::clone(&self.clock));
            let look = async move {
                let budget = Deadline::after(&*clock, OBSERVE_BUDGET);
                (index, budget.bound(&*clock, "observe", action.observe()).await)
            };
            tasks.spawn(look.in_current_span());
        }
        let mut observed: Vec<_> = steps
            .iter()
            .map(|_| Err(Error::new(ErrorKind::Unexpected, "observe").context("cause", "cut off")))
            .collect();
        while let Some(ended) = tasks.join_next().await {
            if let Ok((index, result)) = ended {
                observed[index] = result;
            }
        }
        observed
    }
}

pub(super) fn planned_stop(
    index: u32,
    step: &Step,
    observed: Result<Observation, String>,
    held: &[Held],
) -> PlannedStep {
    let action = &step.action;
    let holder = held
        .iter()
        .find(|held| held.snapshot.target() == action.target())
        .map(|held| held.run.clone());
    let mut caveats = action.limitations();
    let mut partly = false;
    let prior = match observed {
        Err(reason) => Prior::Unknown { reason },
        Ok(observation) => {
            caveats.extend_from_slice(observation.caveats());
            let marker = observation.marker().cloned();
            match observation.state() {
                TargetState::Stopped => Prior::AlreadyStopped {
                    by: holder.or(marker),
                },
                // What another run has half done is no prior state of ours; a marker left on a target that serves says nothing.
                // What is partly open while a prior state is held has been left there by a run, too: at a share of its ramp, say.
                TargetState::PartlyStopped if marker.is_some() || holder.is_some() => Prior::AlreadyStopped {
                    by: holder.or(marker),
                },
                state => {
                    partly = matches!(state, TargetState::PartlyStopped);
                    Prior::Observed {
                        snapshot: observation.snapshot().clone(),
                    }
                }
            }
        }
    };
    let mut planned = PlannedStep::new(
        index,
        step.closing,
        action.target().clone(),
        action.describe(),
        action.effect(),
        prior,
        step.promised,
    );
    planned.caveats = caveats;
    planned.partly = partly;
    planned
}

impl Procedure {
    pub(super) fn action(&self, target: &crate::model::TargetId) -> Option<&Arc<dyn Action>> {
        self.steps
            .iter()
            .find(|step| step.action.target() == target)
            .map(|step| &step.action)
    }
}
