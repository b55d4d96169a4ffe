use std::time::Duration;

use super::plan::{Approved, Draft, Plan};
use super::{Approvers, Engine, Refusal};
use crate::model::{Actor, ApprovalRequest, Difference, Digest, PlanKind, PlannedStep, Prior, Timestamp};
use crate::ports::{ApprovalStore, ApprovalsFound};
use crate::resilience::Deadline;

/// How long a store of approvals may take.
const STORE_BUDGET: Duration = Duration::from_secs(2);

/// A plan that is older is observed again before consent is taken for it.
const FRESH: Duration = Duration::from_secs(5);

impl Plan<Draft> {
    /// What others are asked to approve; it is of use as long as an approval that is given now.
    pub fn request(&self, asked_by: Actor, now: Timestamp) -> ApprovalRequest {
        ApprovalRequest::new(
            self.procedure().name(),
            self.kind().clone(),
            self.steps().to_vec(),
            (self.accepts_drift(), self.opening().clone()),
            asked_by,
            (now, now + self.policy().valid_for),
        )
    }
}

impl Engine {
    /// Approves `plan` by what `store` has brought from other processes. Everything is checked here; a plan older than 5 s is observed again.
    /// If nobody must approve, the store is not asked.
    ///
    /// # Errors
    /// [`Refusal::Changed`] when what was approved is not what is there now, and else as [`Plan::approve`]. A store that cannot be read within
    /// 2 s counts as one without approvals.
    pub async fn consented(
        &self,
        plan: Plan<Draft>,
        store: &dyn ApprovalStore,
        approvers: &Approvers,
        actor: Actor,
    ) -> Result<Plan<Approved>, Refusal> {
        let plan = self.looked_at_again(plan).await?;
        let now = self.clock.now();
        if plan.policy().persons == 0 {
            return plan.approve(&[], approvers, actor, now);
        }
        let (mut found, missing) = self.found(store, plan.digest()).await;
        let mut replayed = None;
        // If the journal cannot tell, carrying it out decides.
        if let Ok(spent) = self.spent(plan.run(), now - plan.policy().valid_for).await {
            found.approvals.retain(|approval| {
                let by = spent.get(&approval.fingerprint());
                replayed = replayed.take().or(by.cloned());
                by.is_none()
            });
        }
        let draft = plan.clone();
        match plan.approve(&found.approvals, approvers, actor.clone(), now) {
            Err(Refusal::NotApproved {
                needed,
                valid,
                mut faults,
            }) => {
                if let Some(by) = replayed {
                    return Err(Refusal::Replayed { by });
                }
                if let Some(steps) = self.approved_before(&draft, store, approvers, &actor, now).await {
                    return Err(Refusal::Changed { steps });
                }
                faults.extend(missing);
                faults.extend(
                    found
                        .passed_over
                        .iter()
                        .map(|what| format!("{what} is no approval")),
                );
                Err(Refusal::NotApproved {
                    needed,
                    valid,
                    faults,
                })
            }
            other => other,
        }
    }

    async fn looked_at_again(&self, plan: Plan<Draft>) -> Result<Plan<Draft>, Refusal> {
        if self.clock.monotonic().saturating_sub(plan.seen_at()) <= FRESH {
            return Ok(plan);
        }
        let fresh = match plan.kind() {
            PlanKind::Restore { of } => self.plan_restore(of, plan.procedure()).await?,
            _ => self.plan_stop(plan.procedure()).await,
        };
        let fresh = if plan.accepts_drift() {
            fresh.accepting_drift()
        } else {
            fresh
        };
        let fresh = match &plan.opening().ungated {
            Some(reason) => fresh.ungated(reason),
            None => fresh,
        };
        if fresh.digest() == plan.digest() {
            return Ok(fresh);
        }
        Err(Refusal::Changed {
            steps: changed(plan.steps(), fresh.steps()),
        })
    }

    async fn found(&self, store: &dyn ApprovalStore, digest: Digest) -> (ApprovalsFound, Option<String>) {
        let deadline = Deadline::after(&*self.clock, STORE_BUDGET);
        match deadline
            .bound(&*self.clock, "read approvals", store.approvals(digest))
            .await
        {
            Ok(found) => (found, None),
            Err(error) => (
                ApprovalsFound::default(),
                Some(format!(
                    "approvals cannot be read: {}",
                    self.masked(error.to_string())
                )),
            ),
        }
    }

    /// How the world differs from the newest state in which enough persons approved the same undertaking.
    async fn approved_before(
        &self,
        plan: &Plan<Draft>,
        store: &dyn ApprovalStore,
        approvers: &Approvers,
        actor: &Actor,
        now: Timestamp,
    ) -> Option<Vec<PlannedStep>> {
        let deadline = Deadline::after(&*self.clock, STORE_BUDGET);
        let open = deadline
            .bound(&*self.clock, "list requests", store.open(now))
            .await
            .ok()?;
        let alike = open.into_iter().filter(|request| {
            request.procedure == plan.procedure().name()
                && request.plan == *plan.kind()
                && request.digest != plan.digest()
                && request.is_genuine()
        });
        for request in alike.take(MOST_COMPARED) {
            let (found, _) = self.found(store, request.digest).await;
            if approvers
                .consent(request.digest, plan.policy(), &found.approvals, actor, now)
                .is_ok()
            {
                return Some(changed(&request.steps, plan.steps()));
            }
        }
        None
    }
}

/// Of the requests for the same undertaking, the newest few.
const MOST_COMPARED: usize = 4;

/// The steps of either side that are not the same in both; their drift is what was approved against what is there.
pub(super) fn changed(approved: &[PlannedStep], found: &[PlannedStep]) -> Vec<PlannedStep> {
    let mut changed = Vec::new();
    for step in found {
        let before = approved.iter().find(|other| other.target == step.target);
        if before == Some(step) {
            continue;
        }
        let mut step = step.clone();
        step.drift = before.map_or_else(
            || vec![difference("step", false, true)],
            |before| differences(before, &step),
        );
        changed.push(step);
    }
    for step in approved {
        if !found.iter().any(|other| other.target == step.target) {
            let mut step = step.clone();
            step.drift = vec![difference("step", true, false)];
            changed.push(step);
        }
    }
    changed
}

fn differences(approved: &PlannedStep, found: &PlannedStep) -> Vec<Difference> {
    let mut all = match (&approved.prior, &found.prior) {
        (Prior::Observed { snapshot: one }, Prior::Observed { snapshot: other }) => one.differences(other),
        (one, other) if one == other => Vec::new(),
        (one, other) => vec![difference("prior", state(one), state(other))],
    };
    if let (Some(one), Some(other)) = (&approved.found, &found.found) {
        all.extend(one.differences(other));
    }
    all
}

fn state(prior: &Prior) -> &'static str {
    match prior {
        Prior::Observed { .. } => "observed",
        Prior::AlreadyStopped { .. } => "already stopped",
        Prior::Unknown { .. } => "unknown",
    }
}

fn difference(
    path: &str,
    expected: impl Into<serde_json::Value>,
    found: impl Into<serde_json::Value>,
) -> Difference {
    Difference {
        path: path.to_owned(),
        expected: Some(expected.into()),
        found: Some(found.into()),
    }
}
