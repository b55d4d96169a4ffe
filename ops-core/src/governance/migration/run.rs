use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use serde::Serialize;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::owed::{give_up, settle, take_up};
use super::plan::{MigrationPlan, PlannedMigration};
use crate::audit::{Recorded, Recorder};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Actor, AuditOutcome, AuditRecord, MigrationStep, StepDone, TenantId};
use crate::ports::{Clock, HealthProbe, MigrationExecutor, Touch};
use crate::resilience::{Deadline, RetryPolicy};

/// How a run treats those who use the database meanwhile.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct RunPolicy {
    /// How long a statement may wait for its lock, while others queue behind it. Default: 2 s.
    pub lock_timeout: Duration,
    /// With so many sessions behind it a statement gives up. Default: 5.
    pub max_waiters: u32,
    /// How often and how fast a step is tried again. Default: 20 times, pauses from 1 s to 15 s with jitter.
    pub retry: RetryPolicy,
    /// How often a reader and a writer touch each table. Default: 200 ms.
    pub beat: Duration,
    /// How long the database is watched afterwards. Default: 15 minutes.
    pub watch: Duration,
    /// How often, meanwhile. Default: 10 s.
    pub watch_every: Duration,
}

impl Default for RunPolicy {
    fn default() -> Self {
        let retry = RetryPolicy {
            attempts: 20,
            first_delay: Duration::from_secs(1),
            longest_delay: Duration::from_secs(15),
        };
        Self {
            lock_timeout: Duration::from_secs(2),
            max_waiters: 5,
            retry,
            beat: Duration::from_millis(200),
            watch: Duration::from_secs(15 * 60),
            watch_every: Duration::from_secs(10),
        }
    }
}

/// Restarts the application when the schema is new.
#[async_trait]
pub trait RestartHook: std::fmt::Debug + Send + Sync + 'static {
    /// Restarts it, and returns when it is up.
    async fn restart(&self) -> Result<()>;
}

/// Runs planned migrations.
///
/// Every step is recorded in the audit trail; what becomes of a record never holds up the run. A run that died is taken up by
/// planning and running again: steps that are done are not repeated, and what it still owed after the last step (restart, watch) is done
/// also where nothing is pending any more.
#[derive(Clone, Debug)]
pub struct MigrationRunner {
    executor: Arc<dyn MigrationExecutor>,
    recorder: Recorder,
    clock: Arc<dyn Clock>,
    tenant: TenantId,
    policy: RunPolicy,
    restart: Option<Arc<dyn RestartHook>>,
    probes: Vec<(String, Arc<dyn HealthProbe>)>,
}

/// How a run went.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct RunReport {
    /// The end.
    pub status: RunStatus,
    /// Each step that was reached.
    pub steps: Vec<StepRun>,
    /// The longest that a reader and a writer of each touched table had to wait, in milliseconds.
    pub stalls: BTreeMap<String, Stall>,
    /// Why it ended early.
    pub failure: Option<String>,
    /// What the watch saw.
    pub watch: Vec<String>,
    /// Whether every step is in the audit trail by now.
    pub audited: bool,
}

/// The end of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RunStatus {
    /// Every step is done, and the watch saw nothing.
    Done,
    /// A step failed; those before it are done.
    Failed,
    /// Every step is done, and the application could not be restarted.
    NotRestarted,
    /// Every step is done, and something is wrong since: decide about the way back.
    Unhealthy,
    /// Every step is done, and there was nothing to look at: no table that others use, and no probe.
    Unwatched,
}

/// One step of a run.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct StepRun {
    /// The migration's version.
    pub migration: String,
    /// From 1.
    pub position: u32,
    /// What became of it; `None`: it failed.
    pub done: Option<StepDone>,
    /// How often it was tried.
    pub attempts: u32,
    /// All tries and pauses together, in milliseconds.
    pub took_ms: u64,
}

/// The longest waits for a table, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Stall {
    /// Of a reader.
    pub read_ms: u64,
    /// Of a writer.
    pub write_ms: u64,
    /// How often each was tried.
    pub beats: u32,
    /// How often one failed or had to give up.
    pub missed: u32,
}

/// The longest that a heartbeat waits for its lock.
const PATIENCE: Duration = Duration::from_secs(30);
/// A step may last: an index of a large table does.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

impl MigrationRunner {
    /// A runner with the default policy, without restart and probes.
    pub fn new(
        executor: Arc<dyn MigrationExecutor>,
        recorder: Recorder,
        clock: Arc<dyn Clock>,
        tenant: TenantId,
    ) -> Self {
        Self {
            executor,
            recorder,
            clock,
            tenant,
            policy: RunPolicy::default(),
            restart: None,
            probes: Vec::new(),
        }
    }

    /// Sets the policy.
    #[must_use]
    pub fn with_policy(mut self, policy: RunPolicy) -> Self {
        self.policy = policy;
        self
    }

    /// Restarts the application after the last step.
    #[must_use]
    pub fn with_restart(mut self, restart: Arc<dyn RestartHook>) -> Self {
        self.restart = Some(restart);
        self
    }

    /// Asks `probe` while watching.
    #[must_use]
    pub fn with_probe(mut self, name: impl Into<String>, probe: Arc<dyn HealthProbe>) -> Self {
        self.probes.push((name.into(), probe));
        self
    }

    /// Runs `plan`, of the way up or of the [way back](crate::governance::migration::BackPlan), to its end or to the first step that fails, restarts, watches.
    ///
    /// # Cancellation
    /// Dropping the future leaves a step done or not; planning and running again goes on from there.
    pub async fn run(&self, plan: &MigrationPlan, actor: &Actor) -> RunReport {
        let mut report = RunReport {
            status: RunStatus::Done,
            steps: Vec::new(),
            stalls: BTreeMap::new(),
            failure: None,
            watch: Vec::new(),
            audited: true,
        };
        if let Err(error) = self.run_into(plan, actor, &mut report).await {
            report.status = RunStatus::Failed;
            report.failure = Some(error.to_string());
        }
        report
    }

    async fn run_into(&self, plan: &MigrationPlan, actor: &Actor, report: &mut RunReport) -> Result<()> {
        let executor = &*self.executor;
        let Some(mut taken) = take_up(executor, plan, self.restart.is_some()).await? else {
            return Ok(());
        };
        for migration in &plan.migrations {
            if let Err(error) = self.migrate(migration, actor, report).await {
                let nothing_done = report.steps.iter().all(|step| step.done.is_none());
                if plan.back && nothing_done {
                    give_up(executor, plan, &taken, &error).await;
                }
                return Err(error);
            }
        }
        let owed = &mut taken.owed;
        if let (Some(restart), false) = (&self.restart, owed.restarted) {
            match restart.restart().await {
                Ok(()) => owed.restarted = true,
                Err(error) => {
                    report.status = RunStatus::NotRestarted;
                    report.failure = Some(error.to_string());
                }
            }
            // Whoever takes it up may restart once more; that harms less than never.
            settle(executor, &plan.scope, owed, Some(owed)).await;
        } else if owed.wants_restart && !owed.restarted {
            report.status = RunStatus::NotRestarted;
            report.failure =
                Some("a run before this one owes a restart, and nothing was given that restarts".to_owned());
        }
        let looked = self.look_after(plan, &owed.touched, report).await;
        if report.status == RunStatus::Done {
            report.status = match (report.watch.is_empty(), looked) {
                (false, _) => RunStatus::Unhealthy,
                (true, false) => RunStatus::Unwatched,
                (true, true) => RunStatus::Done,
            };
        }
        if report.status != RunStatus::NotRestarted {
            // What is left there makes the next run watch once more.
            settle(executor, &plan.scope, owed, None).await;
        }
        Ok(())
    }

    async fn migrate(
        &self,
        migration: &PlannedMigration,
        actor: &Actor,
        report: &mut RunReport,
    ) -> Result<()> {
        let (stop, beating) = self.begin_to_beat(&migration.touched);
        let mut result = Ok(());
        for step in &migration.steps {
            let (run, outcome) = self.step(step).await;
            let ended = match &outcome {
                Ok(_) => AuditOutcome::Succeeded,
                Err(_) => AuditOutcome::Failed,
            };
            report.audited &= self
                .record(step, &run, ended, actor, outcome.as_ref().err())
                .await;
            report.steps.push(run);
            if let Err(error) = outcome {
                result = Err(error);
                break;
            }
        }
        let _ = stop.send(true);
        for (table, stall) in beating.join_all().await {
            let worst = report.stalls.entry(table).or_default();
            worst.read_ms = worst.read_ms.max(stall.read_ms);
            worst.write_ms = worst.write_ms.max(stall.write_ms);
            worst.beats += stall.beats;
            worst.missed += stall.missed;
        }
        result
    }

    async fn step(&self, step: &MigrationStep) -> (StepRun, Result<StepDone>) {
        let began = self.clock.monotonic();
        let attempts = AtomicU32::new(0);
        let deadline = Deadline::after(&*self.clock, LONGEST);
        let policy = &self.policy;
        let outcome = policy
            .retry
            .run(&*self.clock, deadline, "run a step of a migration", || {
                attempts.fetch_add(1, Ordering::Relaxed);
                self.executor
                    .execute(step, policy.lock_timeout, policy.max_waiters)
            })
            .await;
        let run = StepRun {
            migration: step.migration.clone(),
            position: step.position,
            done: outcome.as_ref().ok().copied(),
            attempts: attempts.load(Ordering::Relaxed),
            took_ms: millis(self.clock.monotonic().saturating_sub(began)),
        };
        (run, outcome)
    }

    /// A reader and a writer of each table, until told to stop.
    fn begin_to_beat(&self, tables: &[String]) -> (watch::Sender<bool>, JoinSet<(String, Stall)>) {
        let (stop, stopped) = watch::channel(false);
        let mut beating = JoinSet::new();
        for table in tables {
            for touch in [Touch::Read, Touch::Write] {
                let (executor, clock) = (Arc::clone(&self.executor), Arc::clone(&self.clock));
                let (table, mut stopped, pause) = (table.clone(), stopped.clone(), self.policy.beat);
                beating.spawn(async move {
                    let mut stall = Stall::default();
                    while !*stopped.borrow() {
                        beat(&*executor, &*clock, &table, touch, &mut stall).await;
                        tokio::select! {
                            _ = stopped.changed() => {}
                            () = clock.sleep(pause) => {}
                        }
                    }
                    (table, stall)
                });
            }
        }
        (stop, beating)
    }

    /// Looks at tables and probes for as long as the policy says, or until something is wrong; the tool's own table is looked at too.
    /// False if there was nothing to look at.
    async fn look_after(&self, plan: &MigrationPlan, touched: &[String], report: &mut RunReport) -> bool {
        let both = touched
            .iter()
            .flat_map(|table| [(table, Touch::Read), (table, Touch::Write)]);
        let own = (!plan.scope.is_empty()).then_some((&plan.scope, Touch::Read));
        let touches: Vec<_> = both.chain(own).collect();
        let deadline = Deadline::after(&*self.clock, self.policy.watch);
        // One look at least, and one at the end.
        loop {
            let mut looked = !self.probes.is_empty();
            for (table, touch) in &touches {
                match self.executor.touch(table, *touch, self.policy.lock_timeout).await {
                    Ok(()) => looked = true,
                    // The migration itself has dropped or renamed it, or made of it what no session can lock.
                    Err(error)
                        if matches!(error.kind(), ErrorKind::InvalidConfig | ErrorKind::Unsupported)
                            && **table != plan.scope => {}
                    Err(error) => report.watch.push(format!("{table}: {error}")),
                }
            }
            for (name, probe) in &self.probes {
                let verdict = probe.check().await;
                if !verdict.holds() {
                    let reason = verdict.reason().unwrap_or("not healthy");
                    report.watch.push(format!("{name}: {reason}"));
                }
            }
            if !looked && report.watch.is_empty() {
                return false;
            }
            if deadline.passed(&*self.clock) || !report.watch.is_empty() {
                return true;
            }
            let pause = self.policy.watch_every.min(deadline.remaining(&*self.clock));
            self.clock.sleep(pause).await;
        }
    }

    /// Whether the record is where it belongs.
    async fn record(
        &self,
        step: &MigrationStep,
        run: &StepRun,
        outcome: AuditOutcome,
        actor: &Actor,
        error: Option<&Error>,
    ) -> bool {
        let place = format!("{}:{}/{}", step.migration, step.position, step.of);
        let mut record = AuditRecord::new(
            self.clock.now(),
            self.tenant.clone(),
            actor.clone(),
            "migration.step",
            "migration",
            place,
        )
        .with_outcome(outcome)
        .with_detail("digest", &step.digest)
        .with_detail("attempts", run.attempts.to_string())
        .with_detail("took_ms", run.took_ms.to_string());
        match run.done {
            Some(StepDone::Before) => record = record.with_detail("done", "before"),
            Some(StepDone::Missing) => record = record.with_detail("done", "missing"),
            _ => {}
        }
        if step.back.is_some() {
            record = record.with_detail("way", "back");
        }
        if let Some(error) = error {
            record = record.with_detail("error", error.to_string());
        }
        matches!(self.recorder.record(record).await, Recorded::Stored(_))
    }
}

async fn beat(
    executor: &dyn MigrationExecutor,
    clock: &dyn Clock,
    table: &str,
    touch: Touch,
    stall: &mut Stall,
) {
    let began = clock.monotonic();
    let touched = executor.touch(table, touch, PATIENCE).await;
    let waited = millis(clock.monotonic().saturating_sub(began));
    stall.beats += 1;
    match touch {
        Touch::Read => stall.read_ms = stall.read_ms.max(waited),
        Touch::Write => stall.write_ms = stall.write_ms.max(waited),
    }
    if touched.is_err() {
        stall.missed += 1;
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
