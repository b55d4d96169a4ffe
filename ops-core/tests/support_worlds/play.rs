use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ops_core::emergency::{Approvers, Draft, Plan, Refusal};
use ops_core::model::{OutcomeStatus, PlannedStep, RunId, TargetState};
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;

use super::Machines;
use super::story::{Deed, Story, Trouble};
use crate::support_emergency::{Fault, Moment, Target, World, alice, settle_tasks};

/// How a story ended, to show that the interesting ends are met.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) exact: usize,
    pub(crate) refused: usize,
}

/// What is known outside of the engine: what each target was before anybody stopped it, and who else was there since.
#[derive(Debug, Default)]
struct Truth {
    /// The bytes that a restore must give, those right before the first stop that had an effect; and how often the target had been restored by then.
    before: BTreeMap<usize, (Vec<u8>, usize)>,
    touched_by_others: BTreeSet<usize>,
    /// What a stop does to a target that a dead restore had opened is named as drift: a decision too many, none too few.
    a_restore_died: bool,
    /// The runs that died on each machine.
    open: [Vec<RunId>; 2],
}

impl Truth {
    /// Called right before something stops: what serves, and no run has begun to stop, is what must come back.
    async fn about_to_stop(&mut self, machines: &Machines) {
        let held = machines.held().await;
        for (at, target) in machines.targets().iter().enumerate() {
            let is_held = held.iter().any(|held| held.snapshot.target() == target.id());
            if target.state() == TargetState::Serving && !is_held {
                self.before.insert(at, (target.bytes(), target.restored()));
                self.touched_by_others.remove(&at);
            }
        }
    }

    /// What serves and is not held any more has been put back. From now on everybody may do with it what they like.
    async fn may_be_restored(&mut self, machines: &Machines) -> Result<(), TestCaseError> {
        let held = machines.held().await;
        for (at, target) in machines.targets().iter().enumerate() {
            let is_held = held.iter().any(|held| held.snapshot.target() == target.id());
            if target.state() == TargetState::Serving && !is_held && self.before.contains_key(&at) {
                as_before(at, target, self)?;
                self.before.remove(&at);
                self.touched_by_others.remove(&at);
            }
        }
        Ok(())
    }
}

pub(crate) async fn play(story: &Story, machines: &Machines) -> Result<Seen, TestCaseError> {
    let mut truth = Truth::default();
    for deed in &story.deeds {
        carry_out(deed, machines, &mut truth).await?;
        // Nobody takes up in the same microsecond in which another died.
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    machines.targets().iter().for_each(|target| target.heal());
    restore_all(machines, &truth, story).await
}

fn stopped(machines: &Machines) -> bool {
    machines.targets().iter().all(|target| target.is_stopped())
}

async fn stop_by(machines: &Machines, machine: usize) -> OutcomeStatus {
    let world = machines.machine(machine);
    world.stop_by(&machines.procedure(machine)).await.status
}

async fn carry_out(deed: &Deed, machines: &Machines, truth: &mut Truth) -> Result<(), TestCaseError> {
    match deed {
        Deed::Stop { machine, outage } => {
            truth.about_to_stop(machines).await;
            if *outage {
                machines.break_journal();
            }
            prop_assert_eq!(stop_by(machines, *machine).await, OutcomeStatus::Verified);
            prop_assert!(stopped(machines));
            if *outage {
                machines.repair_journal(*machine).await;
            }
        }
        Deed::StopTogether { delay } => {
            truth.about_to_stop(machines).await;
            let late = async {
                tokio::time::sleep(Duration::from_millis(*delay)).await;
                stop_by(machines, 1).await
            };
            let (first, second) = tokio::join!(stop_by(machines, 0), late);
            prop_assert_eq!(first, OutcomeStatus::Verified);
            prop_assert_eq!(second, OutcomeStatus::Verified);
        }
        Deed::DieStopping {
            machine,
            at,
            moment,
            lands,
            outage,
        } => {
            truth.about_to_stop(machines).await;
            if *outage {
                machines.break_journal();
            }
            let (dying, cut) = machines.dying(*machine, *at, *moment);
            let plan = dying.engine.plan_stop(&machines.procedure(*machine)).await;
            let plan = plan
                .approve(&[], &Approvers::none(), alice(), dying.clock.time())
                .unwrap();
            let run = plan.run().clone();
            let died = tokio::select! {
                biased;
                () = cut.died() => true,
                outcome = dying.engine.execute(plan) => {
                    drop(outcome.unwrap());
                    false
                }
            };
            settle_tasks().await;
            if *outage {
                machines.repair_journal(*machine).await;
            }
            if died {
                if let Some(lands) = lands {
                    machines.lands(*machine, &run, Duration::from_secs(*lands)).await;
                }
                truth.open[*machine].push(run);
            }
        }
        Deed::TakeUp { machine, dies_at } => take_up(machines, truth, *machine, *dies_at).await?,
        Deed::DieRestoring {
            machine,
            at,
            moment,
            lands,
        } => {
            let Some(run) = machines.held_at(*machine).await.pop_first() else {
                return Ok(());
            };
            let (dying, cut) = machines.dying(*machine, *at, *moment);
            let plan = dying
                .engine
                .plan_restore(&run, &machines.procedure(*machine))
                .await;
            let now = dying.clock.time();
            let Some(plan) = plan.ok().and_then(|plan| dying.people.approve(plan, now).ok()) else {
                return Ok(());
            };
            let restore = plan.run().clone();
            tokio::select! {
                biased;
                () = cut.died() => {
                    truth.a_restore_died = true;
                    settle_tasks().await;
                    machines.lands(*machine, &restore, Duration::from_secs(*lands)).await;
                }
                outcome = dying.engine.execute(plan) => drop(outcome.unwrap()),
            }
            truth.may_be_restored(machines).await?;
        }
        Deed::LoseAnswer { target, opening } => {
            let (_, target) = machines.target(*target);
            match opening {
                true => target.next_restore(Fault::LostAnswer),
                false => target.next_apply(Fault::LostAnswer),
            }
        }
        Deed::ChangeByHand { target, field, value } => {
            let (at, target) = machines.target(*target);
            let before = target.bytes();
            target.set(field, value.clone());
            if truth.before.contains_key(&at) && target.bytes() != before {
                truth.touched_by_others.insert(at);
            }
        }
        Deed::Deploy { target } => {
            let (at, target) = machines.target(*target);
            target.deploy();
            if truth.before.contains_key(&at) {
                truth.touched_by_others.insert(at);
            }
        }
        Deed::Wait { seconds } => tokio::time::sleep(Duration::from_secs(*seconds)).await,
    }
    Ok(())
}

async fn take_up(
    machines: &Machines,
    truth: &mut Truth,
    machine: usize,
    dies_at: Option<usize>,
) -> Result<(), TestCaseError> {
    let Some(run) = truth.open[machine].last().cloned() else {
        return Ok(());
    };
    truth.about_to_stop(machines).await;
    let (dying, cut) = machines.dying(machine, dies_at.unwrap_or(usize::MAX), Moment::AfterTheWrite);
    let (procedure, actor) = (machines.procedure(machine), alice());
    tokio::select! {
        biased;
        () = cut.died() => {}
        outcome = dying.engine.resume(&run, &procedure, &actor) => match outcome {
            // What others have changed since is said, not claimed.
            Ok(outcome) if !truth.touched_by_others.is_empty() => drop(outcome),
            Ok(outcome) => prop_assert_eq!(outcome.status, OutcomeStatus::Verified),
            // Nothing was stopped.
            Err(Refusal::UnknownRun { .. } | Refusal::Superseded { .. } | Refusal::Expired) => {
                truth.may_be_restored(machines).await?;
            }
            Err(other) => return Err(TestCaseError::fail(other.to_string())),
        },
    }
    settle_tasks().await;
    Ok(())
}

/// Everybody who holds something restores it; afterwards each target is as before, or its restore was refused for a drift that was real.
async fn restore_all(machines: &Machines, truth: &Truth, story: &Story) -> Result<Seen, TestCaseError> {
    let mut refused = BTreeSet::new();
    for machine in [story.restorer, 1 - story.restorer] {
        for run in machines.held_at(machine).await {
            if !machines.held_at(machine).await.contains(&run) {
                // It went with the one before.
                continue;
            }
            let world = machines.machine(machine);
            let plan = world
                .engine
                .plan_restore(&run, &machines.procedure(machine))
                .await;
            let plan = match plan {
                // A spool that held something newer learns of the restore before this one.
                Err(Refusal::NothingHeld { .. }) if machines.trouble == Trouble::Outages => continue,
                plan => plan.map_err(|refusal| TestCaseError::fail(refusal.to_string()))?,
            };
            let plan = match world.people.approve(plan.clone(), world.clock.time()) {
                Ok(_) => plan,
                Err(Refusal::Drifted { steps }) => {
                    refused.insert(run.clone());
                    if is_half(&steps) && machines.trouble == Trouble::Apart {
                        // Half of what the other machine did; nobody should decide for it.
                        continue;
                    }
                    named_rightly(machines, truth, &steps)?;
                    plan.accepting_drift()
                }
                Err(other) => return Err(TestCaseError::fail(other.to_string())),
            };
            if open_with(machines, machine, plan, story.restore_dies).await? != OutcomeStatus::Verified {
                // What landed while it waited lies over a change by others that was decided on: it asks again, with nothing lost.
                prop_assert!(machines.trouble == Trouble::LateCalls && !truth.touched_by_others.is_empty());
                let plan = world
                    .engine
                    .plan_restore(&run, &machines.procedure(machine))
                    .await;
                let plan = plan.map_err(|refusal| TestCaseError::fail(refusal.to_string()))?;
                let plan = plan.accepting_drift();
                let second = open_with(machines, machine, plan, None).await?;
                prop_assert_eq!(second, OutcomeStatus::Verified);
            }
        }
    }
    // Whatever is still under way lands.
    tokio::time::sleep(Duration::from_secs(60)).await;
    let held = machines.held().await;
    prop_assert!(
        held.iter()
            .all(|held| refused.contains(&held.run) && machines.trouble == Trouble::Apart)
    );
    for (at, target) in machines.targets().iter().enumerate() {
        as_before(at, target, truth)?;
    }
    let mut seen = Seen::default();
    match refused.is_empty() {
        true => seen.exact += 1,
        false => seen.refused += 1,
    }
    Ok(seen)
}

fn is_half(steps: &[PlannedStep]) -> bool {
    let mut drift = steps.iter().flat_map(|step| &step.drift);
    drift.any(|difference| difference.path == "prior")
}

fn named_rightly(machines: &Machines, truth: &Truth, steps: &[PlannedStep]) -> Result<(), TestCaseError> {
    for step in steps {
        let mut targets = machines.targets().iter();
        let at = targets.position(|target| *target.id() == step.target).unwrap();
        prop_assert!(!step.drift.is_empty());
        prop_assert!(
            truth.touched_by_others.contains(&at) || truth.a_restore_died,
            "nobody else was at {}, but: {:?}",
            step.target,
            step.drift
        );
    }
    Ok(())
}

fn as_before(at: usize, target: &Target, truth: &Truth) -> Result<(), TestCaseError> {
    match truth.before.get(&at) {
        Some((_, restored)) if target.restored() == *restored && truth.touched_by_others.contains(&at) => {
            // Nobody came to act on it before the crash, so whoever was there since is the only one.
            prop_assert_ne!(
                target.state(),
                TargetState::Stopped,
                "{} is stopped for good",
                target.id()
            );
            prop_assert_ne!(target.state(), TargetState::PartlyStopped);
        }
        Some((before, _)) => prop_assert_eq!(
            String::from_utf8(target.bytes()).unwrap(),
            String::from_utf8(before.clone()).unwrap()
        ),
        None => {}
    }
    Ok(())
}

/// Carries out a restore, perhaps in a process that dies; then another takes it up, or carries out its own copy of the plan if the first
/// has left no trace.
async fn open_with(
    machines: &Machines,
    machine: usize,
    plan: Plan<Draft>,
    dies: Option<(usize, Moment)>,
) -> Result<OutcomeStatus, TestCaseError> {
    let (at, moment) = dies.unwrap_or((usize::MAX, Moment::BeforeTheWrite));
    let (dying, cut) = machines.dying(machine, at, moment);
    let world: &World = machines.machine(machine);
    let approved = |plan| world.people.approve(plan, world.clock.time()).unwrap();
    let (id, copy) = (plan.run().clone(), approved(plan.clone()));
    let plan = approved(plan);
    let ended = tokio::select! {
        biased;
        () = cut.died() => None,
        outcome = dying.engine.execute(plan) => Some(outcome.unwrap()),
    };
    settle_tasks().await;
    let outcome = match ended {
        Some(outcome) => outcome,
        None => match world
            .engine
            .resume(&id, &machines.procedure(machine), &alice())
            .await
        {
            Err(Refusal::UnknownRun { .. }) => world.engine.execute(copy).await.unwrap(),
            taken_up => taken_up.unwrap(),
        },
    };
    Ok(outcome.status)
}
