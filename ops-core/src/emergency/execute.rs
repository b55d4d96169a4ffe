use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::conclude::{Seen, stopped_again};
use super::history::newest;
use super::ledger::{Recorded, worse};
use super::outstanding::{Outstanding, leaves_open};
use super::plan::{Approved, Plan};
use super::procedure::{Procedure, Step};
use super::safety::Safety;
use super::span::of_run;
use super::verify::{ReadBack, restored};
use super::way::Way;
use super::{Engine, Refusal};
use crate::error::{Error, ErrorKind, Result, Retry};
use crate::failpoint::fail_point;
use crate::model::{
    ActorKind, BrokenGlass, Digest, IdempotencyKey, Observation, Opening, Outcome, OutcomeStatus, PlanKind,
    PlannedStep, Prior, RunId, Snapshot, StepReport, StepResult, TargetId, Timestamp, Verdict,
};
use crate::ports::{JournalEntry, JournalEvent};
use crate::resilience::Deadline;
use tracing::{Instrument as _, info};

/// What all steps of a run share.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) id: RunId,
    pub(super) procedure: Procedure,
    pub(super) kind: PlanKind,
    pub(super) digest: Digest,
    pub(super) started_at: Timestamp,
    pub(super) approval: String,
    /// Steps whose intent is in the journal already: a crashed attempt may have changed their target.
    pub(super) begun: BTreeSet<u32>,
    /// The runs that a restore was planned with; a stop that is not among them is newer.
    pub(super) known: BTreeSet<RunId>,
    pub(super) safety: Safety,
    /// What it acts on.
    pub(super) targets: BTreeSet<TargetId>,
    pub(super) opening: Opening,
    /// The gates that a crashed attempt has passed for good, with how long they took.
    pub(super) passed: BTreeMap<u32, Duration>,
    pub(super) way: Way,
    /// When the targets were last looked at, on the monotonic clock.
    pub(super) seen_at: Duration,
    /// Taken up after a crash.
    pub(super) resumed: bool,
    /// Automation acts in it.
    pub(super) automated: bool,
    /// For a restore: what may still land on its targets.
    pub(super) outstanding: Outstanding,
}

/// For how long the prior states of a plan are taken to be those before the first effect. A restore checks them in any case.
const FRESH: Duration = Duration::from_secs(5);

impl Engine {
    /// Carries out a plan. Consumes it: a plan runs once.
    ///
    /// A stop runs every step of a stage at the same time and goes on whatever fails; a restore goes on only while everything verifies.
    /// A restore passes its gates on the way; where it must not go on, it goes back to stopped, and the outcome says why.
    /// A stop whose plan has waited for approval observes the prior states again.
    /// Neither the audit store nor a notifier is asked.
    ///
    /// # Errors
    /// [`Refusal::Expired`] when the approval has run out, [`Refusal::Replayed`], [`Refusal::Violates`], [`Refusal::Undecided`] for a restore that
    /// no journal takes, or whose approvals the journal cannot vouch for. Nothing has been done then.
    ///
    /// # Cancellation
    /// Dropping the future stops waiting; steps that have begun may take effect. [`resume`](Self::resume) takes the run up.
    pub async fn execute(&self, plan: Plan<Approved>) -> Result<Outcome, Refusal> {
        let started_at = self.clock.now();
        if plan.authority().until <= started_at {
            return Err(Refusal::Expired);
        }
        let signed_after = plan.authority().until - plan.policy().valid_for;
        let mut looks = plan.looks().clone();
        let mut known = plan.known();
        let (mut seen_at, calls) = (plan.seen_at(), plan.calls());
        let age = self.clock.monotonic().saturating_sub(seen_at);
        let (id, procedure, kind, mut steps, digest, mut opening, authority) = plan.into_parts();
        let mut approval = self.masked(authority.approval.clone());
        opening.ungated = opening.ungated.map(|reason| self.masked(reason));
        if matches!(kind, PlanKind::Stop) && age > FRESH {
            seen_at = self.clock.monotonic();
            let none = BTreeSet::new();
            let since;
            (steps, looks, since) = tokio::join!(
                self.look_again(&procedure, steps, &none),
                self.look_around(&procedure),
                self.runs()
            );
            // It comes after what has begun since it was planned, a restore among it.
            known.extend(since.unwrap_or_default());
        }
        let mut safety = match kind {
            PlanKind::Stop => self.permit(&id, &procedure, &steps, looks, &authority).await?,
            _ => Safety::of(&authority, &steps),
        };
        let signatures = &authority.signatures;
        if !self.first_use(&id, &kind, signatures, signed_after).await? {
            approval.push_str(" (the journal could not tell whether these approvals were used before)");
        }
        let glass = authority.glass.as_ref();
        let glass =
            glass.map(|glass| BrokenGlass::new(self.masked(glass.reason.clone()), glass.overrides.clone()));
        safety.review_due = glass.as_ref().map(|_| started_at + self.review_due);
        let started = JournalEvent::Started {
            procedure: procedure.name.clone(),
            plan: kind.clone(),
            digest,
            actor: authority
                .actor
                .renamed(&self.masked(authority.actor.id().to_owned())),
            approval: approval.clone(),
            steps: steps.clone(),
            signatures: signatures.clone(),
            glass,
            opening: opening.clone(),
            after: newest(&known),
        };
        if matches!(kind, PlanKind::Restore { .. }) {
            self.ledger.try_again();
        }
        let automated = authority.actor.kind() == ActorKind::Automation;
        let announcer = match automated {
            true => self.asking_anew(),
            false => self.clone(),
        };
        let recorded = announcer.note(&id, started).await;
        if matches!(kind, PlanKind::Restore { .. }) && recorded == Recorded::Nowhere {
            // Opening can wait; closing cannot.
            return Err(Refusal::Undecided(
                Error::new(ErrorKind::Unavailable, "restore").context("journal", "no journal takes entries"),
            ));
        }
        let lost = match kind {
            PlanKind::Restore { .. } => match self.first_use(&id, &kind, signatures, signed_after).await {
                Err(refusal @ Refusal::Replayed { .. }) => Some(refusal),
                _ => None,
            },
            _ if automated => {
                let taken = self.gives_way(&id, &procedure.automation, recorded).await;
                taken.map(|rule| Refusal::Violates { rules: vec![rule] })
            }
            _ => None,
        };
        if let Some(refusal) = lost {
            // Another run took the same approvals, or automation's turn, at the same moment.
            let status = OutcomeStatus::Failed;
            announcer.note(&id, JournalEvent::Ended { status }).await;
            return Err(refusal);
        }
        let outstanding = match kind {
            PlanKind::Restore { .. } => self.outstanding(&calls).await,
            _ => Outstanding::default(),
        };
        let run = Arc::new(Run {
            id,
            procedure,
            kind,
            digest,
            started_at,
            approval,
            begun: BTreeSet::new(),
            known,
            safety,
            targets: steps.iter().map(|step| step.target.clone()).collect(),
            opening,
            passed: BTreeMap::new(),
            way: Way::new(BTreeMap::new()),
            seen_at,
            resumed: false,
            automated,
            outstanding,
        });
        let span = of_run(self, &run);
        // Whoever announced it: its journal has not rested since before, so that what failed at once has acted nowhere, unless it refused single
        // entries.
        Ok(announcer
            .carry_out(run, steps, Vec::new(), recorded)
            .instrument(span)
            .await)
    }

    pub(super) async fn run_step(&self, run: &Run, mut planned: PlannedStep) -> (StepReport, Recorded) {
        let began = self.clock.monotonic();
        let (index, target) = (planned.step, planned.target.clone());
        let Some(step) = run.procedure.step(&target) else {
            let error = "the procedure has no such target".to_owned();
            return (
                report(
                    planned,
                    StepResult::Failed { error },
                    Verdict::unknown("not attempted"),
                    Duration::ZERO,
                    true,
                ),
                Recorded::Primary,
            );
        };
        let waited = self.let_land(run, &target).await;
        self.refresh(run, step, &mut planned).await;
        let mut journalled = self.secure_prior(run, &mut planned).await;
        let (mut entitled, mut recorded) = self.entitle(run, step, &planned).await;
        if self.hold_ended(run, &planned).await {
            self.look_at_prior(step, &mut planned).await;
            journalled = self.secure_prior(run, &mut planned).await;
        }
        let lay_still = entitled.remaining(&*self.clock) < step.timeout / 2;
        if lay_still {
            let (again, noted) = self.entitle(run, step, &planned).await;
            (entitled, recorded) = (again, worse(recorded, noted));
        }
        let put_back = match run.kind {
            PlanKind::Stop if lay_still || run.resumed => self.put_back_meanwhile(run, &planned).await,
            _ => None,
        };

        let key = IdempotencyKey::for_step(&run.id, index);
        let unanswered = AtomicBool::new(false);
        let call = Attempt {
            key: &key,
            entitled,
            waited,
            unanswered: &unanswered,
        };
        fail_point!("step.apply.before");
        let applied = match put_back {
            Some(by) => Err(put_back_by(&by)),
            None => self.act(run, step, &planned, call).await,
        };
        fail_point!("step.apply.after");
        let error = applied.as_ref().err().map(|error| self.masked(error.to_string()));
        recorded = worse(
            recorded,
            self.note(
                &run.id,
                JournalEvent::Applied {
                    step: index,
                    target: target.clone(),
                    error,
                    unanswered: unanswered.load(Ordering::Relaxed),
                },
            )
            .await,
        );

        // A definite refusal changed nothing: one look is enough.
        let settle = match &applied {
            Err(error) if error.kind() == ErrorKind::RateLimited => Duration::ZERO,
            Err(error)
                if error.retry() == Retry::Never
                    && !matches!(error.kind(), ErrorKind::Conflict | ErrorKind::Unexpected) =>
            {
                Duration::ZERO
            }
            _ => step.settle,
        };
        let back = match (&run.kind, &planned.prior) {
            (PlanKind::Restore { .. }, Prior::Observed { snapshot }) => {
                let looked = self.read_back(&*step.action, settle, |observed| {
                    opened(step, &planned, snapshot, observed)
                });
                tokio::select! {
                    biased;
                    // Whether it holds does not matter any more.
                    _ = run.way.must_go_back() => ReadBack {
                        verdict: Verdict::unknown("not looked at: the restore goes back"),
                        last: None,
                    },
                    back = looked => back,
                }
            }
            (PlanKind::Restore { .. }, _) => {
                let verdict = Verdict::unknown("the prior state is not known: restore by hand");
                ReadBack { verdict, last: None }
            }
            _ => {
                self.read_back(&*step.action, settle, |observed| step.action.verify(observed))
                    .await
            }
        };
        let result = match judge(&planned, applied.err(), &back) {
            StepResult::Failed { error } => StepResult::Failed {
                error: self.masked(error),
            },
            StepResult::Unknown { reason } => StepResult::Unknown {
                reason: self.masked(reason),
            },
            result => result,
        };
        let ReadBack { verdict, last } = back;
        let verdict = match verdict {
            Verdict::Holds => Verdict::Holds,
            Verdict::NotYet { reason } => Verdict::not_yet(self.masked(reason)),
            Verdict::Unknown { reason } => Verdict::unknown(self.masked(reason)),
        };
        let left = last.as_ref().map(|last| last.snapshot().clone());
        if let (Some(_), Verdict::Holds, Some(left)) = (planned.share, &verdict, &left) {
            run.way.leave(&planned.target, left.clone());
        }
        let seen = Seen {
            result,
            verdict,
            left,
        };
        let (result, verdict, concluded) = self.conclude(run, step, &planned, &key, seen).await;
        recorded = worse(recorded, concluded);
        let mut report = report(
            planned,
            result,
            verdict,
            self.clock.monotonic().saturating_sub(began),
            journalled,
        );
        info!(
            result = report.result.name(),
            verdict = report.verdict.name(),
            "the step ended"
        );
        if let Some(last) = last {
            report.add_caveats(last.caveats());
        }
        (report, recorded)
    }

    async fn act(&self, run: &Run, step: &Step, planned: &PlannedStep, call: Attempt<'_>) -> Result<()> {
        let (clock, action, deadline, key) = (&*self.clock, &*step.action, call.entitled, call.key);
        let answered = |result: Result<()>| {
            let open = result.as_ref().is_err_and(leaves_open);
            call.unanswered.fetch_or(open, Ordering::Relaxed);
            result
        };
        match (&run.kind, &planned.prior) {
            (PlanKind::Restore { .. }, Prior::Observed { snapshot }) => {
                if self.told_to_go_back(run).await.is_some() {
                    return Err(going_back());
                }
                let targets = BTreeSet::from([planned.target.clone()]);
                if let Some(newer) = self.stopped_since(run, &targets).await {
                    return Err(stopped_again(&newer));
                }
                self.refuse_late_drift(run, step, planned, call.waited).await?;
                let restored = step
                    .retry
                    .run(clock, deadline, "restore", || async {
                        if run.way.goes_back() {
                            return Err(going_back());
                        }
                        answered(match (planned.share, action.ramp()) {
                            (None, _) => action.restore(snapshot, key).await.map(drop),
                            (Some(share), Some(ramp)) => {
                                ramp.open_partly(snapshot, share, key).await.map(drop)
                            }
                            (Some(_), None) => Err(Error::new(ErrorKind::Unsupported, "open in part")),
                        })
                    })
                    .await;
                answered(restored)
            }
            (PlanKind::Restore { .. }, _) => {
                Err(Error::new(ErrorKind::InvalidInput, "restore")
                    .context("prior", "not known: restore by hand"))
            }
            _ => {
                let stopped = step
                    .retry
                    .run(clock, deadline, "stop", || async {
                        answered(action.apply(key).await.map(drop))
                    })
                    .await;
                answered(stopped)
            }
        }
    }

    /// Nothing raw reaches the journal.
    pub(super) fn masked(&self, text: String) -> String {
        match &self.masker {
            Some(masker) => masker.mask(&text).into_owned(),
            None => text,
        }
    }

    pub(super) async fn note(&self, run: &RunId, event: JournalEvent) -> Recorded {
        self.ledger
            .append(&JournalEntry::new(run.clone(), self.clock.now(), event))
            .await
    }
}

/// Whether a step of a restore is done: the share that it was to let in, or the whole.
pub(super) fn opened(
    step: &Step,
    planned: &PlannedStep,
    prior: &Snapshot,
    observed: &Observation,
) -> Verdict {
    match (planned.share, step.action.ramp()) {
        (None, _) => restored(prior, observed),
        (Some(share), Some(ramp)) => ramp.verify_share(observed, share),
        (Some(_), None) => Verdict::unknown("it cannot be opened in parts"),
    }
}

/// What one step may do, and until when.
#[derive(Clone, Copy, Debug)]
struct Attempt<'a> {
    key: &'a IdempotencyKey,
    entitled: Deadline,
    /// The step has waited for the call of another run.
    waited: bool,
    unanswered: &'a AtomicBool,
}

fn going_back() -> Error {
    Error::new(ErrorKind::Conflict, "restore").context("cause", "the restore goes back")
}

pub(super) fn put_back_by(restore: &RunId) -> Error {
    Error::new(ErrorKind::Conflict, "stop").context("put back meanwhile by", restore.to_string())
}

/// Success is what the read-back shows; without it, the error of the call decides between "failed" and "unknown".
fn judge(planned: &PlannedStep, error: Option<Error>, back: &ReadBack) -> StepResult {
    let was_so = matches!(planned.prior, Prior::AlreadyStopped { .. });
    match (error, &back.verdict) {
        (_, Verdict::Holds) if was_so => StepResult::AlreadyDone,
        (_, Verdict::Holds) | (None, _) => StepResult::Done,
        (Some(error), _)
            if matches!(error.kind(), ErrorKind::Timeout | ErrorKind::Unavailable) && back.last.is_none() =>
        {
            StepResult::Unknown {
                reason: error.to_string(),
            }
        }
        (Some(error), _) => StepResult::Failed {
            error: error.to_string(),
        },
    }
}

pub(super) fn report(
    planned: PlannedStep,
    result: StepResult,
    verdict: Verdict,
    elapsed: Duration,
    journalled: bool,
) -> StepReport {
    StepReport {
        step: planned.step,
        stage: planned.stage,
        target: planned.target,
        action: planned.action,
        promised: planned.promised,
        within_target: verdict.holds() && elapsed <= planned.promised,
        result,
        verdict,
        elapsed,
        journalled,
        prior: planned.prior,
        caveats: planned.caveats,
        share: planned.share,
    }
}

pub(super) fn skipped(planned: PlannedStep) -> StepReport {
    report(
        planned,
        StepResult::Skipped,
        Verdict::unknown("not attempted"),
        Duration::ZERO,
        true,
    )
}

pub(super) fn panicked(planned: PlannedStep) -> StepReport {
    let reason = "the provider ended unexpectedly; look at the target".to_owned();
    report(
        planned,
        StepResult::Unknown {
            reason: reason.clone(),
        },
        Verdict::unknown(reason),
        Duration::ZERO,
        false,
    )
}
