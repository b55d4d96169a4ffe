use std::time::Duration;

use super::Engine;
use super::execute::Run;
use super::plan::{OBSERVE_BUDGET, planned_stop};
use super::procedure::Step;
use crate::model::{PlanKind, PlannedStep, Prior};
use crate::ports::Held;
use crate::resilience::{Deadline, caught};

/// How old the prior states may be when a step begins: two journals that hang use up most of it, a stage before this one or a process that lay
/// still more.
const STALE: Duration = Duration::from_secs(15);

impl Engine {
    /// Makes the prior state durable before the first effect. `false`: the plan in hand is the only copy.
    ///
    /// If another run holds a prior state of the target, that one is the truth, and this run has nothing to put back.
    pub(super) async fn secure_prior(&self, run: &Run, planned: &mut PlannedStep) -> bool {
        match (&run.kind, &planned.prior) {
            (PlanKind::Stop, Prior::Observed { snapshot }) => {
                let wanted = Held::new(run.id.clone(), self.clock.now(), snapshot.clone());
                let held = self.ledger.hold(&wanted).await;
                if let Some(other) = held.as_ref().filter(|held| held.run != run.id)
                    && other.snapshot.restorable_bytes() == snapshot.restorable_bytes()
                {
                    planned.prior = Prior::AlreadyStopped {
                        by: Some(other.run.clone()),
                    };
                }
                held.is_some()
            }
            (PlanKind::Stop, Prior::Unknown { .. }) => false,
            _ => true,
        }
    }

    /// What is held must be the state right before the first effect: a stop looks again at a target that it saw too long ago.
    pub(super) async fn refresh(&self, run: &Run, step: &Step, planned: &mut PlannedStep) {
        let old = self.clock.monotonic().saturating_sub(run.seen_at) > STALE;
        let untouched = !run.begun.contains(&planned.step) && matches!(planned.prior, Prior::Observed { .. });
        if matches!(run.kind, PlanKind::Stop) && old && untouched {
            self.look_at_prior(step, planned).await;
        }
    }

    /// Whether a restore has ended the hold under a stop that has just announced its call. A restore looks for such calls after its release,
    /// so one of the two sees the other. `false` also when the journal does not tell.
    pub(super) async fn hold_ended(&self, run: &Run, planned: &PlannedStep) -> bool {
        let relies = matches!(
            planned.prior,
            Prior::Observed { .. } | Prior::AlreadyStopped { by: Some(_) }
        );
        if !matches!(run.kind, PlanKind::Stop) || !relies || self.ledger.rests() {
            return false;
        }
        // Of this target alone: with all that is held, each step of a large stop would read the files of all others.
        let held = self.ledger.held_of(&planned.target).await;
        held.is_ok_and(|held| held.is_none())
    }

    /// Takes what is seen within 2 s for the prior state, if anything is; a provider that fails or panics leaves what was planned.
    pub(super) async fn look_at_prior(&self, step: &Step, planned: &mut PlannedStep) {
        let observed = Deadline::after(&*self.clock, OBSERVE_BUDGET)
            .bound(&*self.clock, "observe", caught("observe", step.action.observe()))
            .await;
        let observed = observed.map_err(|error| self.masked(error.to_string()));
        let seen = planned_stop(planned.step, step, observed, &[]);
        if !matches!(seen.prior, Prior::Unknown { .. }) {
            planned.prior = seen.prior;
        }
    }
}
