mod evidence;
mod feature_stop;
mod metrics;

use std::sync::Arc;
use std::time::Duration;

use tracing::Instrument as _;

use crate::audit::{CheckpointKeeper, Delivered, Drain, DrainOptions, NoteSigner, Recorded, Recorder};
use crate::emergency::{
    Approved, Approvers, Contact, Draft, Engine, Forgetting, Forgotten, Meter, Plan, Procedure, Refusal,
    Review, Watch,
};
use crate::error::{Error, ErrorKind, Result};
use crate::masking::LeakAlarm;
use crate::model::{Actor, Approval, AuditRecord, Outcome, RunId, TenantId};
use crate::pipeline::{Publisher, Report};
use crate::providers::Providers;

pub use self::evidence::DrillProof;
pub use self::feature_stop::FeatureStop;

/// The handle that an application holds: plans, stops, restores, records and tells. Cheap to clone.
///
/// A unit test in the style of an application, with nothing but this process:
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use std::sync::Arc;
/// use ops_core::{Ops, Providers, actions::StopTraffic, memory::InMemoryTraffic, procedures::api_stop};
/// use ops_core::model::{Actor, TargetId, TenantId};
///
/// let traffic = Arc::new(InMemoryTraffic::new());
/// let target = TargetId::new("memory:chat-api")?;
/// traffic.add_service(target.clone());
/// let ops = Ops::new(Providers::in_memory(), TenantId::new("org_soulsyncs")?);
/// let stop = api_stop("api-stop", vec![Arc::new(StopTraffic::new(traffic.clone(), target.clone(), "chat-api"))], |step| step)?;
///
/// let report = ops.stop(&stop, Actor::person("alice")?).await?;
/// assert!(report.outcome.audited && report.outcome.steps[0].verdict.holds());
/// assert!(!traffic.probe(&target));
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct Ops {
    engine: Engine,
    recorder: Arc<Recorder>,
    publisher: Publisher,
    providers: Providers,
    meter: Option<Arc<Meter>>,
    leaks: Option<LeakAlarm>,
}

impl Ops {
    /// A handle over `providers`, recording for `tenant`.
    pub fn new(providers: Providers, tenant: TenantId) -> Self {
        let mut engine = Engine::new(Arc::clone(&providers.journal), Arc::clone(&providers.clock))
            .with_masker(Arc::clone(&providers.masker));
        if let Some(spool) = &providers.journal_spool {
            engine = engine.with_spool(Arc::clone(spool));
        }
        let mut recorder = Recorder::new(
            Arc::clone(&providers.audit),
            Arc::clone(&providers.masker),
            Arc::clone(&providers.clock),
        );
        if let Some(spool) = &providers.audit_spool {
            recorder = recorder.with_spool(spool.clone());
        }
        let recorder = Arc::new(recorder);
        let publisher = Publisher::new(
            Arc::clone(&recorder),
            Arc::clone(&providers.notifier),
            Arc::clone(&providers.masker),
            Arc::clone(&providers.clock),
            tenant,
        );
        Self {
            engine,
            recorder,
            publisher,
            providers,
            meter: None,
            leaks: None,
        }
    }

    /// Adds somebody who sees every journal entry as it is made.
    #[must_use]
    pub fn with_watch(mut self, watch: Arc<dyn Watch>) -> Self {
        self.engine = self.engine.with_watch(watch);
        self
    }

    /// The engine, for plans, runs and read-backs.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The parts it is made of.
    pub fn providers(&self) -> &Providers {
        &self.providers
    }

    /// Whose systems these are.
    pub fn tenant(&self) -> &TenantId {
        self.publisher.tenant()
    }

    /// Observes and plans a stop; acts on nothing.
    pub async fn plan(&self, procedure: &Procedure) -> Plan<Draft> {
        self.engine.plan_stop(procedure).await
    }

    /// Plans, carries out, records and tells: the big red button for procedures whose stop needs no approval.
    ///
    /// # Errors
    /// [`Refusal::NotApproved`] when the procedure's stop does need approval.
    pub async fn stop(&self, procedure: &Procedure, actor: Actor) -> Result<Report, Refusal> {
        let plan = self.engine.plan_stop(procedure).await;
        let now = self.providers.clock.now();
        let plan = self.counted(plan.approve(&[], &Approvers::none(), actor.clone(), now))?;
        self.carry_out(plan, &actor).await
    }

    /// Carries out an approved plan, records and tells.
    ///
    /// # Errors
    /// As [`Engine::execute`].
    ///
    /// # Cancellation
    /// Dropping the future stops nothing: the run goes on in a task of its own, so that a caller who hangs up cannot cut a stop short.
    pub async fn carry_out(&self, plan: Plan<Approved>, actor: &Actor) -> Result<Report, Refusal> {
        let contacts = plan.procedure().contacts().to_vec();
        let (ops, actor) = (self.clone(), actor.clone());
        detached(async move {
            let outcome = ops.counted(ops.engine.execute(plan).await)?;
            Ok(ops.publish(outcome, &actor, &contacts).await)
        })
        .await
    }

    /// Takes up a run after a crash, records and tells.
    ///
    /// # Errors
    /// As [`Engine::resume`].
    ///
    /// # Cancellation
    /// As [`carry_out`](Self::carry_out).
    pub async fn resume(&self, run: &RunId, procedure: &Procedure, actor: &Actor) -> Result<Report, Refusal> {
        let (ops, run, procedure, actor) = (self.clone(), run.clone(), procedure.clone(), actor.clone());
        detached(async move {
            let outcome = ops.counted(ops.engine.resume(&run, &procedure, &actor).await)?;
            Ok(ops.publish(outcome, &actor, procedure.contacts()).await)
        })
        .await
    }

    /// Turns a restore round: closes again what it has opened, records and tells. See [`Engine::abort`]; a restore that runs in this process is told before
    /// anything can wait.
    ///
    /// # Errors
    /// As [`Engine::abort`].
    ///
    /// # Cancellation
    /// As [`carry_out`](Self::carry_out).
    pub async fn abort(
        &self,
        run: &RunId,
        procedure: &Procedure,
        actor: &Actor,
        reason: &str,
    ) -> Result<Report, Refusal> {
        let (ops, run, procedure) = (self.clone(), run.clone(), procedure.clone());
        let (actor, reason) = (actor.clone(), reason.to_owned());
        detached(async move {
            let outcome = ops.engine.abort(&run, &procedure, &actor, &reason).await?;
            Ok(ops.publish(outcome, &actor, procedure.contacts()).await)
        })
        .await
    }

    async fn publish(&self, outcome: Outcome, actor: &Actor, contacts: &[Contact]) -> Report {
        let report = self.publisher.publish(outcome, actor, contacts).await;
        self.engine
            .published(&report.outcome.run, report.outcome.audited)
            .await;
        report
    }

    /// Closes the review of a broken glass, and records it.
    ///
    /// # Errors
    /// As [`Engine::review`].
    pub async fn review(&self, run: &RunId, by: &Actor, note: &str) -> Result<(Review, Recorded), Refusal> {
        let review = self.engine.review(run, by, note).await?;
        let record = self.publisher.review_record(&review, by, note);
        Ok((review, self.recorder.record_in_store(record).await))
    }

    /// Gives up prior states that nobody will put back, and records it for each target.
    ///
    /// # Errors
    /// As [`Engine::forget`].
    pub async fn forget(
        &self,
        plan: &Forgetting,
        approvals: &[Approval],
        approvers: &Approvers,
        actor: &Actor,
    ) -> Result<(Forgotten, Vec<Recorded>), Refusal> {
        let forgotten = self.engine.forget(plan, approvals, approvers, actor).await?;
        let mut recorded = Vec::new();
        for record in self.publisher.forget_records(&forgotten, actor) {
            recorded.push(self.recorder.record_in_store(record).await);
        }
        Ok((forgotten, recorded))
    }

    /// How long after a broken glass its review is due. Default: 3 days.
    #[must_use]
    pub fn with_review_due(mut self, due: Duration) -> Self {
        self.engine = self.engine.with_review_due(due);
        self
    }

    /// Masks and records something that is not part of a run.
    pub async fn record(&self, record: AuditRecord) -> Recorded {
        self.recorder.record(record).await
    }

    /// What it records with, for who records or forgets beside it.
    pub fn recorder(&self) -> &Recorder {
        &self.recorder
    }

    /// Starts the task that brings audit records from the spool to the store by itself: what a service does once when it begins. While the handle is
    /// held, [`record`](Self::record) goes to the spool first and needs no store. What a stop records still goes to the store first, so that its outcome
    /// says truly whether it is there.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use std::time::Duration;
    /// use ops_core::audit::{DrainOptions, Recorded};
    /// use ops_core::model::{Actor, AuditRecord, TenantId, Timestamp};
    /// use ops_core::{Ops, Providers};
    ///
    /// # let directory = tempfile::tempdir()?;
    /// let tenant = TenantId::new("org_soulsyncs")?;
    /// let ops = Ops::new(Providers::in_directory(directory.path())?, tenant.clone());
    /// let drain = ops.drain_audit(DrainOptions::default())?;
    ///
    /// let now = Timestamp::from_unix_micros(1_769_731_200_000_000);
    /// let record = AuditRecord::new(now, tenant, Actor::person("kazu")?, "export", "audit_log", "2026-01");
    /// assert_eq!(ops.record(record).await, Recorded::Kept);
    /// // On the way out:
    /// let status = drain.stop(Duration::from_secs(5)).await?;
    /// assert_eq!((status.stored, status.depth), (1, 0));
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::InvalidConfig`] without a spool.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn drain_audit(&self, options: DrainOptions) -> Result<Drain> {
        self.recorder.drain(options)
    }

    /// What signs checkpoints of the trail with `signer`, compares each with the one before, and keeps it; [`CheckpointKeeper::start`] makes a task of it.
    pub fn checkpoint_keeper(&self, signer: NoteSigner) -> CheckpointKeeper {
        let Providers {
            audit, masker, clock, ..
        } = &self.providers;
        CheckpointKeeper::new(Arc::clone(audit), Arc::clone(masker), Arc::clone(clock), signer)
    }

    /// Delivers audit records that are in the spool.
    ///
    /// # Errors
    /// The spool's own. What the store did not take stays in the spool; [`Delivered`] says how much and why.
    pub async fn deliver_audit(&self) -> Result<Delivered> {
        self.recorder.deliver().await
    }
}

/// Runs `work` to its end even if nobody waits for it any more.
async fn detached(
    work: impl Future<Output = Result<Report, Refusal>> + Send + 'static,
) -> Result<Report, Refusal> {
    match tokio::spawn(work.in_current_span()).await {
        Ok(result) => result,
        Err(_) => Err(Error::new(ErrorKind::Unexpected, "carry out")
            .context("cause", "the run ended unexpectedly; resume it")
            .into()),
    }
}
