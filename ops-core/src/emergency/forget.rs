use std::collections::BTreeSet;
use std::time::Duration;

use serde::Serialize;

use super::consent::changed;
use super::history::{PastRun, later, put_back};
use super::ledger::Recorded;
use super::outstanding::Outstanding;
use super::restore::{Owed, owed};
use super::{ApprovalPolicy, Approvers, Engine, Refusal};
use crate::error::{Error, ErrorKind, Result};
use crate::masking::target_named;
use crate::model::{
    Actor, ActorKind, Approval, ApprovalRequest, Digest, Opening, PlanKind, PlannedStep, Prior, RunId,
    TargetId, Timestamp,
};
use crate::ports::{JournalEntry, JournalEvent};

/// Prior states of a run that nobody will put back: the target is gone, or was put in order by hand. To be approved like a restore.
#[derive(Clone, Debug, PartialEq)]
pub struct Forgetting {
    run: RunId,
    procedure: String,
    steps: Vec<PlannedStep>,
    reason: String,
    policy: ApprovalPolicy,
}

impl Forgetting {
    /// Asks for other approvals than two persons': those of this site's restores. One other person has to agree in any case: nothing brings back
    /// what was given up.
    #[must_use]
    pub fn with_policy(mut self, policy: ApprovalPolicy) -> Self {
        self.policy = policy;
        self.policy.persons = self.policy.persons.max(1);
        self
    }

    /// The run that holds them.
    pub fn run(&self) -> &RunId {
        &self.run
    }

    /// Its procedure.
    pub fn procedure(&self) -> &str {
        &self.procedure
    }

    /// The targets, with the prior states that are given up.
    pub fn steps(&self) -> &[PlannedStep] {
        &self.steps
    }

    /// What an approval signs: the run, the reason, and every prior state.
    pub fn digest(&self) -> Digest {
        Digest::of_plan(
            &self.procedure,
            &self.kind(),
            &self.steps,
            false,
            &Opening::default(),
        )
    }

    /// How many persons must agree; unless set otherwise, as many as for a restore.
    pub fn policy(&self) -> &ApprovalPolicy {
        &self.policy
    }

    /// What others are asked to approve.
    pub fn request(&self, asked_by: Actor, now: Timestamp) -> ApprovalRequest {
        ApprovalRequest::new(
            self.procedure.clone(),
            self.kind(),
            self.steps.clone(),
            (false, Opening::default()),
            asked_by,
            (now, now + self.policy().valid_for),
        )
    }

    fn kind(&self) -> PlanKind {
        PlanKind::Forget {
            of: self.run.clone(),
            reason: self.reason.clone(),
        }
    }
}

/// What was given up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Forgotten {
    /// The run.
    pub run: RunId,
    /// Its procedure.
    pub procedure: String,
    /// The targets of which nothing is held any more.
    pub targets: Vec<TargetId>,
    /// Those whose hold the journal did not end, and why: forget them again.
    pub still_held: Vec<(TargetId, String)>,
    /// Who approved.
    pub persons: Vec<String>,
    /// Why, masked.
    pub reason: String,
}

impl Engine {
    /// Looks up what `run` would still put back on `targets`, or on all of its targets if none is named. Acts on nothing.
    ///
    /// A run that goes on, or that a restore puts back, would hold or write anew what is forgotten: it has to end first. One that wrote nothing for a
    /// day counts as dead, because its procedure, and so its resume, may be gone for good.
    ///
    /// # Errors
    /// [`Refusal::UnknownRun`]; [`Refusal::NothingHeld`] when it owes nothing there; [`Refusal::Undecided`] when the journal cannot be read, a
    /// target is none of the run's, `reason` is empty, the run or a restore of it has not ended, or a call on a target may still take effect.
    pub async fn plan_forget(
        &self,
        run: &RunId,
        targets: &BTreeSet<TargetId>,
        reason: &str,
    ) -> Result<Forgetting, Refusal> {
        let invalid = |part, what: &str| {
            Err(Refusal::Undecided(
                Error::new(ErrorKind::InvalidInput, FORGET).context(part, what),
            ))
        };
        if reason.trim().is_empty() {
            return invalid("reason", "is empty: say why nobody will put it back");
        }
        self.try_to_catch_up().await;
        let entries = self.entries(run).await?;
        let begun = entries.iter().find_map(|entry| match &entry.event {
            JournalEvent::Started { procedure, steps, .. } => Some((procedure, steps)),
            _ => None,
        });
        let (procedure, begun) = begun.ok_or_else(|| Refusal::UnknownRun { run: run.clone() })?;
        let of_run = |target: &&TargetId| begun.iter().any(|step| step.target == **target);
        if let Some(other) = targets.iter().find(|target| !of_run(target)) {
            return invalid(
                "target",
                &format!("the run has no target {}", target_named(other)),
            );
        }
        let past = self.past().await?;
        self.at_rest(&past, run, targets)?;
        let (held, _) = self.ledger.held_among(begun).await?;
        let mut done = put_back(&later(&past, run));
        done.extend(forgotten(&entries));
        let mut steps = Vec::new();
        for owed in owed(run, &entries, begun, &held, &done) {
            let wanted = targets.is_empty() || targets.contains(owed.target());
            let Some(step) = begun
                .iter()
                .find(|step| step.target == *owed.target())
                .filter(|_| wanted)
            else {
                continue;
            };
            let mut step = step.clone();
            if let Owed::WriteBack { prior } = owed {
                step.prior = Prior::Observed { snapshot: prior };
            }
            steps.push(step);
        }
        if steps.is_empty() {
            let held_by = held
                .into_iter()
                .map(|held| held.run)
                .filter(|other| other != run)
                .collect();
            return Err(Refusal::NothingHeld {
                run: run.clone(),
                held_by,
            });
        }
        Ok(Forgetting {
            run: run.clone(),
            procedure: procedure.clone(),
            steps,
            reason: self.masked(reason.trim().to_owned()),
            policy: ApprovalPolicy::restore(),
        })
    }

    /// Gives up the prior states: no restore will write them back, and the next stop holds what it sees then. They stay in the journal for the record.
    ///
    /// # Errors
    /// [`Refusal::NotApproved`] unless a person asks and enough others have signed; [`Refusal::Replayed`] when another run used a signature;
    /// [`Refusal::Changed`] when it is not what was planned any more;
    /// [`Refusal::Undecided`] when no journal takes the entry. Nothing has been done then.
    ///
    /// # Cancellation
    /// Dropping the future may leave some of them given up; forgetting again gives up the rest.
    pub async fn forget(
        &self,
        plan: &Forgetting,
        approvals: &[Approval],
        approvers: &Approvers,
        actor: &Actor,
    ) -> Result<Forgotten, Refusal> {
        let policy = plan.policy();
        if actor.kind() != ActorKind::Person {
            return Err(Refusal::NotApproved {
                needed: policy.persons,
                valid: 0,
                faults: vec!["only a person may give up what was there before a stop".to_owned()],
            });
        }
        let now = self.clock.now();
        let consent = approvers.consent(plan.digest(), policy, approvals, actor, now)?;
        let signed_after = now - policy.valid_for;
        self.first_use(&plan.run, &plan.kind(), &consent.signatures, signed_after)
            .await?;
        let targets: BTreeSet<_> = plan.steps.iter().map(|step| step.target.clone()).collect();
        let now = self.plan_forget(&plan.run, &targets, &plan.reason).await?;
        if now.digest() != plan.digest() {
            return Err(Refusal::Changed {
                steps: changed(&plan.steps, &now.steps),
            });
        }
        let event = JournalEvent::Forgotten {
            targets: targets.iter().cloned().collect(),
            by: actor.renamed(&self.masked(actor.id().to_owned())),
            reason: plan.reason.clone(),
            persons: consent.persons.clone(),
            signatures: consent.signatures,
        };
        if self.note(&plan.run, event).await == Recorded::Nowhere {
            return Err(Refusal::Undecided(
                Error::new(ErrorKind::Unavailable, FORGET).context("journal", "no journal takes entries"),
            ));
        }
        let (mut released, mut still_held) = (Vec::new(), Vec::new());
        for target in targets {
            match self.ledger.release(&plan.run, &target).await {
                Ok(()) => released.push(target),
                Err(error) => still_held.push((target, self.masked(error.to_string()))),
            }
        }
        Ok(Forgotten {
            run: plan.run.clone(),
            procedure: plan.procedure.clone(),
            targets: released,
            still_held,
            persons: consent.persons,
            reason: plan.reason.clone(),
        })
    }

    /// Whether nothing of `run` is under way on `targets`; all of them if none is named.
    fn at_rest(&self, past: &[PastRun], run: &RunId, targets: &BTreeSet<TargetId>) -> Result<()> {
        let now = self.clock.now();
        let busy = |what: &'static str, remedy: &'static str| {
            Error::new(ErrorKind::Conflict, FORGET)
                .context("run", what)
                .context("remedy", remedy)
        };
        let own = |other: &&PastRun| other.id == *run || other.is_restore_of(run);
        if past
            .iter()
            .filter(own)
            .any(|other| other.may_go_on(now, DEAD_AFTER))
        {
            return Err(busy(
                "it, or a restore of it, has not ended",
                "resume or abort it, or wait for a day after its last entry",
            ));
        }
        let touched = |target: &TargetId| {
            let of_run = |other: &PastRun| other.id == *run && other.touches(target);
            targets.contains(target) || targets.is_empty() && past.iter().any(of_run)
        };
        let outstanding = Outstanding::read(past, now, self.clock.monotonic());
        if outstanding.calls.iter().any(|call| touched(&call.target)) {
            return Err(busy(
                "a call on a target may still take effect",
                "try again in a few minutes",
            ));
        }
        Ok(())
    }
}

/// No run is alive that wrote nothing for so long.
const DEAD_AFTER: Duration = Duration::from_secs(24 * 3600);

/// The targets of a run of which nothing is owed any more because people said so.
pub(super) fn forgotten(entries: &[JournalEntry]) -> impl Iterator<Item = TargetId> {
    entries
        .iter()
        .filter_map(|entry| match &entry.event {
            JournalEvent::Forgotten { targets, .. } => Some(targets),
            _ => None,
        })
        .flatten()
        .cloned()
}

const FORGET: &str = "forget";
