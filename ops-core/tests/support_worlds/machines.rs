use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use ops_core::emergency::{ApprovalPolicy, Procedure, Step};
use ops_core::error::Result;
use ops_core::model::{
    Accepted, Effect, IdempotencyKey, Observation, PlanKind, RunId, Snapshot, TargetId, TargetState, Text,
    Verdict,
};
use ops_core::ports::{Action, Held, Journal, JournalEntry, JournalEvent, Ramp};
use serde_json::json;

use super::story::{Story, Trouble};
use crate::support_emergency::{CutJournal, Failure, FaultyJournal, SharedJournal, Stop, Target, World};

/// Two machines over the same targets.
#[derive(Debug)]
pub(crate) struct Machines {
    each: [World; 2],
    journals: [Arc<dyn Journal>; 2],
    spools: Option<[Arc<dyn Journal>; 2]>,
    shared: Arc<FaultyJournal>,
    /// The clock of each is wrong by so many seconds.
    off: [i64; 2],
    pub(crate) trouble: Trouble,
    /// The negative control: machine 1 takes what is stopped for a prior state.
    pub(crate) stopped_is_a_prior: bool,
}

impl Machines {
    pub(crate) fn of(story: &Story, journal: Arc<dyn Journal>) -> Self {
        let numbered = story.priors.iter().enumerate();
        let targets: Vec<_> = numbered
            .map(|(number, fields)| Target::serving(number, fields.clone()))
            .collect();
        for target in &targets {
            target.set_latency(Duration::from_millis(story.latency));
            if story.markers {
                target.leave_markers();
            }
        }
        let shared = Arc::new(FaultyJournal::broken_for(journal, Failure::Fails, 0..0));
        let journals: [Arc<dyn Journal>; 2] = match story.trouble {
            Trouble::Apart => [shared.clone(), Arc::new(SharedJournal::new())],
            _ => [shared.clone(), shared.clone()],
        };
        let spools = (story.trouble == Trouble::Outages).then(|| {
            let spool = || Arc::new(SharedJournal::new()) as Arc<dyn Journal>;
            [spool(), spool()]
        });
        let world = World::with(journals[0].clone(), targets);
        let mut machines = Self {
            each: [world.clone(), world],
            journals,
            spools,
            shared,
            off: [0, story.off],
            trouble: story.trouble,
            stopped_is_a_prior: false,
        };
        machines.each = [0, 1].map(|machine| machines.process(machine, machines.journals[machine].clone()));
        machines
    }

    fn process(&self, machine: usize, journal: Arc<dyn Journal>) -> World {
        let world = self.each[0].machine(journal).with_clock_off_by(self.off[machine]);
        match &self.spools {
            Some(spools) => world.with_spool(spools[machine].clone()),
            None => world,
        }
    }

    pub(crate) fn machine(&self, machine: usize) -> &World {
        &self.each[machine]
    }

    pub(crate) fn targets(&self) -> &[Arc<Target>] {
        &self.each[0].targets
    }

    pub(crate) fn target(&self, number: usize) -> (usize, &Arc<Target>) {
        let at = number % self.targets().len();
        (at, &self.targets()[at])
    }

    /// A process on a machine that dies at this write.
    pub(crate) fn dying(
        &self,
        machine: usize,
        at: usize,
        moment: crate::support_emergency::Moment,
    ) -> (World, Arc<CutJournal>) {
        let cut = Arc::new(CutJournal::new(self.journals[machine].clone(), at, moment));
        // Its clock is that of its machine.
        let mut world = self.process(machine, cut.clone());
        world.clock = self.each[machine].clock.clone();
        (world, cut)
    }

    /// Signatures are slow where nothing is optimised, and not what this is about.
    pub(crate) fn procedure(&self, machine: usize) -> Procedure {
        let world = &self.each[machine];
        let procedure = match self.stopped_is_a_prior && machine == 1 {
            false => world.procedure(),
            true => {
                let steps = world
                    .targets
                    .iter()
                    .map(|target| Step::new(Arc::new(Blind(Stop::of(target)))));
                Procedure::new("stop-all", steps.collect()).unwrap()
            }
        };
        procedure.with_restore_approval(ApprovalPolicy::of(0))
    }

    pub(crate) fn break_journal(&self) {
        self.shared.break_now();
    }

    /// The journal is back; when the machine asks it again, what its spool has is copied.
    pub(crate) async fn repair_journal(&self, machine: usize) {
        self.shared.repair();
        tokio::time::sleep(Duration::from_secs(31)).await;
        let _ = self
            .process(machine, self.journals[machine].clone())
            .engine
            .catch_up()
            .await
            .unwrap();
    }

    /// What any of the two holds.
    pub(crate) async fn held(&self) -> Vec<Held> {
        let mut held = self.each[0].engine.held().await.unwrap();
        held.extend(self.each[1].engine.held().await.unwrap());
        held
    }

    pub(crate) async fn held_at(&self, machine: usize) -> BTreeSet<RunId> {
        let held = self.each[machine].engine.held().await.unwrap();
        held.into_iter().map(|held| held.run).collect()
    }

    /// The calls of a dead run that nobody heard an answer to land so much later.
    pub(crate) async fn lands(&self, machine: usize, run: &RunId, delay: Duration) {
        let entries = self.each[machine].engine.entries(run).await.unwrap();
        for (target, prior) in pending(&entries) {
            let found = self.targets().iter().find(|found| *found.id() == target);
            let (action, key) = (Stop::of(found.unwrap()), IdempotencyKey::for_step(run, 0));
            tokio::spawn(async move {
                tokio::time::sleep(delay).await;
                let _ = match prior {
                    Some(prior) => action.restore(&prior, &key).await,
                    None => action.apply(&key).await,
                };
            });
        }
    }
}

/// The targets of announced calls without an answer; with what a restore writes back.
fn pending(entries: &[JournalEntry]) -> Vec<(TargetId, Option<Snapshot>)> {
    let steps = entries.iter().find_map(|entry| match &entry.event {
        JournalEvent::Started { plan, steps, .. } => Some((matches!(plan, PlanKind::Restore { .. }), steps)),
        _ => None,
    });
    let Some((opens, steps)) = steps else {
        return Vec::new();
    };
    let answered = |step: u32| {
        let applied = |entry: &JournalEntry| matches!(entry.event, JournalEvent::Applied { step: found, .. } if found == step);
        entries.iter().any(applied)
    };
    let announced = |step: u32| {
        let intent = |entry: &JournalEntry| matches!(entry.event, JournalEvent::Intent { step: found, .. } if found == step);
        entries.iter().any(intent)
    };
    let open = steps
        .iter()
        .filter(|step| announced(step.step) && !answered(step.step));
    let open = open.filter_map(|step| match (&step.prior, opens) {
        (ops_core::model::Prior::Observed { snapshot }, true) => {
            Some((step.target.clone(), Some(snapshot.clone())))
        }
        (_, true) => None,
        _ => Some((step.target.clone(), None)),
    });
    open.collect()
}

/// Cannot tell what is stopped from what serves when it looks for a prior state.
#[derive(Debug)]
struct Blind(Arc<dyn Action>);

#[async_trait::async_trait]
impl Action for Blind {
    fn target(&self) -> &TargetId {
        self.0.target()
    }

    fn effect(&self) -> Effect {
        self.0.effect()
    }

    fn describe(&self) -> Text {
        self.0.describe()
    }

    fn describe_restore(&self) -> Text {
        self.0.describe_restore()
    }

    fn limitations(&self) -> Vec<Text> {
        self.0.limitations()
    }

    async fn observe(&self) -> Result<Observation> {
        let seen = self.0.observe().await?;
        Ok(Observation::new(seen.snapshot().clone(), TargetState::Serving))
    }

    fn verify(&self, observed: &Observation) -> Verdict {
        match observed.snapshot().field("mode") == Some(&json!("stopped")) {
            true => Verdict::Holds,
            false => Verdict::not_yet("serves"),
        }
    }

    async fn apply(&self, key: &IdempotencyKey) -> Result<Accepted> {
        self.0.apply(key).await
    }

    async fn restore(&self, prior: &Snapshot, key: &IdempotencyKey) -> Result<Accepted> {
        self.0.restore(prior, key).await
    }

    fn ramp(&self) -> Option<&dyn Ramp> {
        None
    }
}
