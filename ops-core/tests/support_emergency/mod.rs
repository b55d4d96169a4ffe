//! A small world whose faults are scripted: targets, journals, a clock on tokio's (paused) time, and persons who approve.
#![allow(dead_code, unused_imports, reason = "each test file uses its own part")]

mod clock;
mod journal;
mod log;
mod meddled;
mod people;
mod staged;
mod target;

use std::sync::Arc;
use std::time::Duration;

use ops_core::emergency::{Approvers, Engine, Procedure, Refusal, Step};
use ops_core::model::{Outcome, RunId, Snapshot, StepReport, Verdict};
use ops_core::ports::{Action, Held, Journal};

pub(crate) use self::clock::VirtualClock;
pub(crate) use self::journal::{CutJournal, Failure, FaultyJournal, LastWriterWins, Moment, SharedJournal};
pub(crate) use self::log::Log;
pub(crate) use self::meddled::{Meddled, Verb};
pub(crate) use self::people::{People, alice};
pub(crate) use self::staged::{HOLD, Seen, gate, shares, staged, staged_with, well};
pub(crate) use self::target::{Fault, Stop, Target};

/// One engine on one machine over some targets.
#[derive(Clone, Debug)]
pub(crate) struct World {
    pub(crate) clock: Arc<VirtualClock>,
    pub(crate) journal: Arc<dyn Journal>,
    pub(crate) targets: Vec<Arc<Target>>,
    pub(crate) engine: Engine,
    pub(crate) people: People,
}

impl World {
    /// So many targets that serve, each in its own way, over a fresh journal in memory.
    pub(crate) fn of(count: usize) -> Self {
        Self::over(Arc::new(SharedJournal::new()), count)
    }

    /// The same over a given journal.
    pub(crate) fn over(journal: Arc<dyn Journal>, count: usize) -> Self {
        let targets = (0..count).map(Target::numbered).collect();
        Self::with(journal, targets)
    }

    pub(crate) fn with(journal: Arc<dyn Journal>, targets: Vec<Arc<Target>>) -> Self {
        let clock = Arc::new(VirtualClock::new());
        let engine = Engine::new(Arc::clone(&journal), clock.clone());
        Self {
            clock,
            journal,
            targets,
            engine,
            people: People::new(),
        }
    }

    /// Another machine: the same targets and clock, its own engine over `journal`.
    pub(crate) fn machine(&self, journal: Arc<dyn Journal>) -> Self {
        let engine = Engine::new(Arc::clone(&journal), self.clock.clone());
        Self {
            journal,
            engine,
            ..self.clone()
        }
    }

    /// The same machine with a wall clock that is wrong by so many seconds.
    pub(crate) fn with_clock_off_by(mut self, off: i64) -> Self {
        self.clock = Arc::new(self.clock.off_by(off));
        self.engine = Engine::new(Arc::clone(&self.journal), self.clock.clone());
        self
    }

    pub(crate) fn with_spool(mut self, spool: Arc<dyn Journal>) -> Self {
        self.engine = self.engine.with_spool(spool);
        self
    }

    /// A procedure with a step for each target; the names are the same on all machines.
    pub(crate) fn procedure(&self) -> Procedure {
        self.procedure_with(|_, step| step)
    }

    pub(crate) fn procedure_with(&self, settings: impl Fn(usize, Step) -> Step) -> Procedure {
        let steps = self.targets.iter().enumerate();
        let steps = steps.map(|(at, target)| settings(at, Step::new(Stop::of(target))));
        Procedure::new("stop-all", steps.collect()).unwrap()
    }

    /// Plans and carries out the stop of everything.
    pub(crate) async fn stop(&self) -> Outcome {
        self.stop_by(&self.procedure()).await
    }

    pub(crate) async fn stop_by(&self, procedure: &Procedure) -> Outcome {
        let plan = self.engine.plan_stop(procedure).await;
        let now = self.clock.time();
        let plan = plan.approve(&[], &Approvers::none(), alice(), now).unwrap();
        self.engine.execute(plan).await.unwrap()
    }

    /// Plans, has approved and carries out the restore of `run`.
    pub(crate) async fn restore(&self, run: &RunId) -> Result<Outcome, Refusal> {
        self.restore_by(run, &self.procedure()).await
    }

    pub(crate) async fn restore_by(&self, run: &RunId, procedure: &Procedure) -> Result<Outcome, Refusal> {
        let plan = self.engine.plan_restore(run, procedure).await?;
        let plan = self.people.approve(plan, self.clock.time())?;
        self.engine.execute(plan).await
    }

    /// The bytes of every target, by which "exactly as before" is judged.
    pub(crate) fn bytes(&self) -> Vec<Vec<u8>> {
        self.targets.iter().map(|target| target.bytes()).collect()
    }

    pub(crate) fn all_stopped(&self) -> bool {
        self.targets.iter().all(|target| target.is_stopped())
    }

    pub(crate) async fn held(&self) -> Vec<Held> {
        let mut held = self.journal.held().await.unwrap();
        held.sort_by(|a, b| a.snapshot.target().cmp(b.snapshot.target()));
        held
    }
}

/// The report of one target.
#[track_caller]
pub(crate) fn report_of<'a>(outcome: &'a Outcome, target: &Target) -> &'a StepReport {
    let report = outcome.steps.iter().find(|step| step.target == *target.id());
    report.unwrap_or_else(|| panic!("the outcome must name {}", target.id()))
}

/// Short enough that a test of a target that never settles stays short, too.
pub(crate) fn quick(step: Step) -> Step {
    step.with_timeout(Duration::from_secs(3))
        .with_settle(Duration::from_secs(2))
}

/// Lets tasks that were cancelled end.
pub(crate) async fn settle_tasks() {
    for _ in 0..64 {
        tokio::task::yield_now().await;
    }
}
