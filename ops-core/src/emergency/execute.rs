use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::task::JoinSet;

use super::conclude::{Seen, stopped_again};
use super::history::newest;
use super::ledger::Recorded;
use super::outstanding::{Outstanding, leaves_open};
use super::plan::{Approved, OBSERVE_BUDGET, Plan, planned_stop};
use super::procedure::{Procedure, Step};
use super::restore::{drift, is_witness};
use super::verify::{ReadBack, restored};
use super::{Engine, Refusal};
use crate::error::{Error, ErrorKind, Result, Retry};
use crate::model::{
    Digest, IdempotencyKey, Outcome, PlanKind, PlannedStep, Prior, RunId, StepReport, StepResult, Timestamp,
    Verdict,
};
use crate::ports::{Held, JournalEntry, JournalEvent};
use crate::resilience::Deadline;

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
    /// When the targets were last looked at, on the monotonic clock.
    pub(super) seen_at: Duration,
    /// Taken up after a crash.
    pub(super) resumed: bool,
    /// For a restore: what may still land on its targets.
    pub(super) outstanding: Outstanding,
}

/// For how long the prior states of a plan are taken to be those before the first effect. A restore checks them in any case.
const FRESH: Duration = Duration::from_secs(5);

/// How old they may be when a step begins: two journals that hang use up most of it, a stage before this one or a process that lay still
/// more.
const STALE: Duration = Duration::from_secs(15);

impl Engine {
    /// Carries out a plan. Consumes it: a plan runs once.
    ///
    /// A stop runs every step of a stage at the same time and goes on whatever fails; a restore goes on only while everything verifies.
    /// A stop whose plan has waited for approval observes the prior states again.
    /// Neither the audit store nor a notifier is asked.
    ///
    /// # Errors
    /// [`Refusal::Expired`] when the approval has run out. Nothing has been done then.
    ///
    /// # Cancellation
    /// Dropping the future stops waiting; steps that have begun may take effect. [`resume`](Self::resume) takes the run up.
    pub async fn execute(&self, plan: Plan<Approved>) -> Result<Outcome, Refusal> {
        let started_at = self.clock.now();
        if plan.authority().until <= started_at {
            return Err(Refusal::Expired);
        }
        let authority = plan.authority().clone();
        let approval = self.masked(authority.approval);
        let known = plan.known();
        let (mut seen_at, calls) = (plan.seen_at(), plan.calls());
        let age = self.clock.monotonic().saturating_sub(seen_at);
        let (id, procedure, kind, mut steps, digest) = plan.into_parts();
        if matches!(kind, PlanKind::Stop) && age > FRESH {
            seen_at = self.clock.monotonic();
            steps = self.look_again(&procedure, steps, &BTreeSet::new()).await;
        }
        let started = JournalEvent::Started {
            procedure: procedure.name.clone(),
            plan: kind.clone(),
            digest,
            actor: authority
                .actor
                .renamed(&self.masked(authority.actor.id().to_owned())),
            approval: approval.clone(),
            steps: steps.clone(),
            after: newest(&known),
        };
        if matches!(kind, PlanKind::Restore { .. }) {
            self.ledger.try_again();
        }
        let recorded = self.note(&id, started).await;
        if matches!(kind, PlanKind::Restore { .. }) && recorded == Recorded::Nowhere {
            // Opening can wait; closing cannot.
            return Err(Refusal::Undecided(
                Error::new(ErrorKind::Unavailable, "restore").context("journal", "no journal takes entries"),
            ));
        }
        let outstanding = match kind {
            PlanKind::Restore { .. } => self.outstanding(&calls).await,
            PlanKind::Stop => Outstanding::default(),
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
            seen_at,
            resumed: false,
            outstanding,
        });
        Ok(self.carry_out(run, steps, Vec::new(), recorded).await)
    }

    /// Runs `steps` stage by stage; `done` are the reports of steps that a crashed attempt has finished.
    pub(super) async fn carry_out(
        &self,
        run: Arc<Run>,
        steps: Vec<PlannedStep>,
        done: Vec<StepReport>,
        recorded: Recorded,
    ) -> Outcome {
        let began = self.clock.monotonic();
        let mut recorded = recorded;
        let mut reports: BTreeMap<u32, StepReport> =
            done.into_iter().map(|report| (report.step, report)).collect();
        let mut stages = BTreeMap::<u32, Vec<PlannedStep>>::new();
        for step in steps {
            stages.entry(step.stage).or_default().push(step);
        }
        let mut halted = false;
        for steps in stages.into_values() {
            let todo: Vec<_> = steps
                .into_iter()
                .filter(|step| !reports.contains_key(&step.step))
                .collect();
            if halted {
                reports.extend(todo.into_iter().map(|step| (step.step, skipped(step))));
                continue;
            }
            for (report, step_recorded) in self.run_stage(&run, todo).await {
                if step_recorded != Recorded::Primary {
                    recorded = step_recorded;
                }
                // Closing goes on whatever fails; opening does not.
                halted |= matches!(run.kind, PlanKind::Restore { .. }) && !report.verdict.holds();
                reports.insert(report.step, report);
            }
        }
        self.close_behind(&run, &mut reports).await;
        let steps: Vec<_> = reports.into_values().collect();
        let status = Outcome::status_of(&steps);
        let ended = self.note(&run.id, JournalEvent::Ended { status }).await;
        Outcome {
            run: run.id.clone(),
            procedure: run.procedure.name.clone(),
            kind: run.kind.clone(),
            digest: run.digest,
            status,
            within_target: steps.iter().all(|step| step.within_target),
            approval: run.approval.clone(),
            journalled: recorded == Recorded::Primary && ended == Recorded::Primary,
            steps,
            started_at: run.started_at,
            took: self.clock.monotonic().saturating_sub(began),
            audited: false,
        }
    }

    async fn run_stage(&self, run: &Arc<Run>, steps: Vec<PlannedStep>) -> Vec<(StepReport, Recorded)> {
        let mut tasks = JoinSet::new();
        let mut planned: BTreeMap<_, _> = steps.iter().map(|step| (step.step, step.clone())).collect();
        for step in steps {
            let (engine, run) = (self.clone(), Arc::clone(run));
            tasks.spawn(async move { engine.run_step(&run, step).await });
        }
        let mut reports = Vec::new();
        while let Some(ended) = tasks.join_next().await {
            if let Ok((report, recorded)) = ended {
                planned.remove(&report.step);
                reports.push((report, recorded));
            }
        }
        // A step that is left has panicked: a fault in a provider must not take the other targets with it.
        reports.extend(
            planned
                .into_values()
                .map(|step| (panicked(step), Recorded::Nowhere)),
        );
        reports
    }

    async fn run_step(&self, run: &Run, mut planned: PlannedStep) -> (StepReport, Recorded) {
        let began = self.clock.monotonic();
        let (index, target) = (planned.step, planned.target.clone());
        let Some(step) = run
            .procedure
            .steps
            .iter()
            .find(|step| *step.action.target() == target)
        else {
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
        let applied = match put_back {
            Some(by) => Err(put_back_by(&by)),
            None => self.act(run, step, &planned, call).await,
        };
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
                self.read_back(&*step.action, settle, |observed| restored(snapshot, observed))
                    .await
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
        if let Some(last) = last {
            for caveat in last.caveats() {
                if !report.caveats.contains(caveat) {
                    report.caveats.push(caveat.clone());
                }
            }
        }
        (report, recorded)
    }

    /// Makes the prior state durable before the first effect. `false`: the plan in hand is the only copy.
    ///
    /// If another run holds a prior state of the target, that one is the truth, and this run has nothing to put back.
    async fn secure_prior(&self, run: &Run, planned: &mut PlannedStep) -> bool {
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
    async fn refresh(&self, run: &Run, step: &Step, planned: &mut PlannedStep) {
        let old = self.clock.monotonic().saturating_sub(run.seen_at) > STALE;
        let untouched = !run.begun.contains(&planned.step) && matches!(planned.prior, Prior::Observed { .. });
        if matches!(run.kind, PlanKind::Stop) && old && untouched {
            self.look_at_prior(step, planned).await;
        }
    }

    /// Whether a restore has ended the hold under a stop that has just announced its call. A restore looks for such calls after its release,
    /// so one of the two sees the other. `false` also when the journal does not tell.
    async fn hold_ended(&self, run: &Run, planned: &PlannedStep) -> bool {
        let relies = matches!(
            planned.prior,
            Prior::Observed { .. } | Prior::AlreadyStopped { by: Some(_) }
        );
        if !matches!(run.kind, PlanKind::Stop) || !relies || self.ledger.rests() {
            return false;
        }
        let held = self.held().await;
        held.is_ok_and(|held| !held.iter().any(|held| *held.snapshot.target() == planned.target))
    }

    /// Takes what is seen within 2 s for the prior state, if anything is.
    async fn look_at_prior(&self, step: &Step, planned: &mut PlannedStep) {
        let observed = Deadline::after(&*self.clock, OBSERVE_BUDGET)
            .bound(&*self.clock, "observe", step.action.observe())
            .await;
        let observed = observed.map_err(|error| self.masked(error.to_string()));
        let seen = planned_stop(planned.step, step, observed, &[]);
        if !matches!(seen.prior, Prior::Unknown { .. }) {
            planned.prior = seen.prior;
        }
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
                if let Some(newer) = self.stopped_since(run, &planned.target).await {
                    return Err(stopped_again(&newer));
                }
                let begun = run.begun.contains(&planned.step);
                self.refuse_late_drift(step, planned, begun, call.waited).await?;
                let restored = step
                    .retry
                    .run(clock, deadline, "restore", || async {
                        answered(action.restore(snapshot, key).await.map(drop))
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

    /// Approving takes time: what was approved must still be what is there. If a crashed attempt has begun to write the fields, the
    /// witnesses still tell whether somebody else was there.
    async fn refuse_late_drift(
        &self,
        step: &Step,
        planned: &PlannedStep,
        begun: bool,
        waited: bool,
    ) -> Result<()> {
        let Some(found) = &planned.found else {
            return Ok(());
        };
        let now = Deadline::after(&*self.clock, step.timeout)
            .bound(&*self.clock, "observe", step.action.observe())
            .await?;
        if let Prior::Observed { snapshot } = &planned.prior
            && waited
            && drift(snapshot, &now, None).is_empty()
        {
            // What was waited for has landed.
            return Ok(());
        }
        let differences = found.differences(now.snapshot());
        let by_others = |path: &str| !begun || is_witness(found, now.snapshot(), path);
        let Some(first) = differences.iter().find(|difference| by_others(&difference.path)) else {
            return Ok(());
        };
        Err(Error::new(ErrorKind::Conflict, "restore")
            .context("changed since the plan was made", first.path.clone()))
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

/// What one step may do, and until when.
#[derive(Clone, Copy, Debug)]
struct Attempt<'a> {
    key: &'a IdempotencyKey,
    entitled: Deadline,
    /// The step has waited for the call of another run.
    waited: bool,
    unanswered: &'a AtomicBool,
}

fn put_back_by(restore: &RunId) -> Error {
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

fn report(
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
        within_target: verdict.holds() && elapsed <= planned.promised,
        result,
        verdict,
        elapsed,
        journalled,
        prior: planned.prior,
        caveats: planned.caveats,
    }
}

fn skipped(planned: PlannedStep) -> StepReport {
    report(
        planned,
        StepResult::Skipped,
        Verdict::unknown("not attempted"),
        Duration::ZERO,
        true,
    )
}

fn panicked(planned: PlannedStep) -> StepReport {
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

pub(super) fn worse(first: Recorded, second: Recorded) -> Recorded {
    match (first, second) {
        (Recorded::Nowhere, _) | (_, Recorded::Nowhere) => Recorded::Nowhere,
        (Recorded::Spool, _) | (_, Recorded::Spool) => Recorded::Spool,
        _ => Recorded::Primary,
    }
}
