//! Random worlds, random operators, crashes and drift: a restore is byte-equal, or refused with the drift named.
#![allow(
    clippy::unwrap_used,
    clippy::clone_on_ref_ptr,
    reason = "a test ends at what it did not expect, and shares its doubles as ports"
)]

mod support_emergency;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ops_core::emergency::{ApprovalPolicy, Draft, Plan, Procedure, Refusal};
use ops_core::model::{OutcomeStatus, RunId, TargetState};
use ops_core::ports::Journal;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};
use serde_json::{Value, json};
use support_emergency::{
    CutJournal, LastWriterWins, Moment, SharedJournal, Target, World, alice, settle_tasks,
};

#[test]
fn a_number_is_restored_to_its_last_digit() {
    // Without its feature `float_roundtrip`, `serde_json` reads this one back as 4.818089349244125e-95.
    let fields = BTreeMap::from([("scaling".to_owned(), json!(4.818_089_349_244_124_6e-95))]);
    let story = Story {
        priors: vec![fields],
        latency: 1,
        markers: false,
        deeds: vec![Deed::Stop { machine: 0 }],
        restore_dies: None,
    };
    run(&story, Arc::new(SharedJournal::new())).unwrap();
}

/// What somebody does next.
#[derive(Clone, Debug)]
enum Deed {
    /// Stops everything from one of two machines.
    Stop { machine: usize },
    /// Two machines stop everything at the same time, the second some milliseconds later.
    StopTogether { delay: u64 },
    /// A machine begins to stop and dies at one of its writes.
    DieStopping { at: usize, moment: Moment },
    /// A machine takes up what is open, and may die at one of its writes.
    TakeUp { dies_at: Option<usize> },
    /// Somebody changes a field by hand; `field` may be one that the stop changes.
    ChangeByHand {
        target: usize,
        field: &'static str,
        value: Value,
    },
    /// Another deployer is there.
    Deploy { target: usize },
}

/// What there is before anybody does anything, and all that is done until somebody restores.
#[derive(Clone, Debug)]
struct Story {
    priors: Vec<BTreeMap<String, Value>>,
    latency: u64,
    markers: bool,
    deeds: Vec<Deed>,
    /// At which write each restore dies before it is taken up.
    restore_dies: Option<(usize, Moment)>,
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>()
            .prop_filter("JSON has no other", |value| value.is_finite())
            .prop_map(Value::from),
        "[a-zあ-ん\"\\\\\n]{0,6}".prop_map(Value::from),
    ];
    leaf.prop_recursive(2, 8, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::btree_map("[a-c.]{1,3}", inner, 0..3)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

fn prior() -> impl Strategy<Value = BTreeMap<String, Value>> {
    let mode = prop_oneof![Just(json!("automatic")), Just(json!("manual")), Just(Value::Null)];
    let others = prop::collection::btree_map(
        prop_oneof![Just("scaling"), Just("ingress"), Just("tags.x")].prop_map(str::to_owned),
        any_value(),
        0..4,
    );
    (mode, others).prop_map(|(mode, mut fields)| {
        fields.insert("mode".to_owned(), mode);
        fields
    })
}

fn moment() -> impl Strategy<Value = Moment> {
    prop_oneof![Just(Moment::BeforeTheWrite), Just(Moment::AfterTheWrite)]
}

fn deed() -> impl Strategy<Value = Deed> {
    let by_hand = prop_oneof![
        (Just("mode"), Just(json!("by hand"))),
        (Just("ingress"), any_value()),
        (Just("scaling"), any_value()),
    ];
    prop_oneof![
        3 => (0..2_usize).prop_map(|machine| Deed::Stop { machine }),
        3 => (0..40_u64).prop_map(|delay| Deed::StopTogether { delay }),
        4 => (1..20_usize, moment()).prop_map(|(at, moment)| Deed::DieStopping { at, moment }),
        3 => prop::option::of(1..20_usize).prop_map(|dies_at| Deed::TakeUp { dies_at }),
        2 => (0..4_usize, by_hand)
            .prop_map(|(target, (field, value))| Deed::ChangeByHand { target, field, value }),
        1 => (0..4_usize).prop_map(|target| Deed::Deploy { target }),
    ]
}

fn story(markers: bool) -> impl Strategy<Value = Story> {
    let priors = prop::collection::vec(prior(), 1..=4);
    let deeds = prop::collection::vec(deed(), 1..7);
    let restore_dies = prop::option::of((1..20_usize, moment()));
    (priors, 1..12_u64, deeds, restore_dies).prop_map(move |(priors, latency, deeds, restore_dies)| Story {
        priors,
        latency,
        markers,
        deeds,
        restore_dies,
    })
}

/// How a story ended, to show that the interesting ends are met.
#[derive(Debug, Default)]
struct Seen {
    exact: usize,
    refused: usize,
}

/// What is known outside of the engine: what each target was before anybody stopped it, and who else was there since.
#[derive(Debug, Default)]
struct Truth {
    /// The bytes that a restore must give: those right before the first stop that had an effect.
    before: BTreeMap<usize, Vec<u8>>,
    touched_by_others: BTreeSet<usize>,
}

impl Truth {
    /// Called right before something stops: what serves, and no run has begun to stop, is what must come back.
    async fn about_to_stop(&mut self, world: &World) {
        let held = world.held().await;
        for (at, target) in world.targets.iter().enumerate() {
            let is_held = held.iter().any(|held| held.snapshot.target() == target.id());
            if target.state() == TargetState::Serving && !is_held {
                self.before.insert(at, target.bytes());
                self.touched_by_others.remove(&at);
            }
        }
    }
}

async fn play(story: &Story, journal: Arc<dyn Journal>) -> Result<Seen, TestCaseError> {
    let targets: Vec<_> = story
        .priors
        .iter()
        .enumerate()
        .map(|(number, fields)| Target::serving(number, fields.clone()))
        .collect();
    for target in &targets {
        target.set_latency(std::time::Duration::from_millis(story.latency));
        if story.markers {
            target.leave_markers();
        }
    }
    let world = World::with(Arc::clone(&journal), targets);
    let machines = [world.clone(), world.machine(Arc::clone(&journal))];
    let mut truth = Truth::default();
    let mut open: Vec<RunId> = Vec::new();
    for deed in &story.deeds {
        carry_out(deed, &world, &machines, &mut truth, &mut open).await?;
    }
    restore_all(&world, &truth, story.restore_dies).await
}

async fn carry_out(
    deed: &Deed,
    world: &World,
    machines: &[World; 2],
    truth: &mut Truth,
    open: &mut Vec<RunId>,
) -> Result<(), TestCaseError> {
    match deed {
        Deed::Stop { machine } => {
            truth.about_to_stop(world).await;
            let outcome = machines[*machine].stop().await;
            prop_assert_eq!(outcome.status, OutcomeStatus::Verified);
            prop_assert!(world.all_stopped());
        }
        Deed::StopTogether { delay } => {
            truth.about_to_stop(world).await;
            let late = async {
                tokio::time::sleep(std::time::Duration::from_millis(*delay)).await;
                machines[1].stop().await
            };
            let (first, second) = tokio::join!(machines[0].stop(), late);
            prop_assert_eq!(first.status, OutcomeStatus::Verified);
            prop_assert_eq!(second.status, OutcomeStatus::Verified);
        }
        Deed::DieStopping { at, moment } => {
            truth.about_to_stop(world).await;
            let cut = Arc::new(CutJournal::new(Arc::clone(&world.journal), *at, *moment));
            let dying = world.machine(cut.clone());
            let plan = dying.engine.plan_stop(&dying.procedure()).await;
            let plan = plan
                .approve(&[], &Default::default(), alice(), world.clock.time())
                .unwrap();
            let run = plan.run().clone();
            tokio::select! {
                biased;
                () = cut.died() => open.push(run),
                outcome = dying.engine.execute(plan) => drop(outcome.unwrap()),
            }
            settle_tasks().await;
        }
        Deed::TakeUp { dies_at } => {
            let Some(run) = open.last().cloned() else {
                return Ok(());
            };
            truth.about_to_stop(world).await;
            let at = dies_at.unwrap_or(usize::MAX);
            let cut = Arc::new(CutJournal::new(
                Arc::clone(&world.journal),
                at,
                Moment::AfterTheWrite,
            ));
            let dying = world.machine(cut.clone());
            let (procedure, actor) = (dying.procedure(), alice());
            tokio::select! {
                biased;
                () = cut.died() => {}
                outcome = dying.engine.resume(&run, &procedure, &actor) => match outcome {
                    // What others have changed since is said, not claimed.
                    Ok(outcome) if !truth.touched_by_others.is_empty() => drop(outcome),
                    Ok(outcome) => prop_assert_eq!(outcome.status, OutcomeStatus::Verified),
                    Err(Refusal::UnknownRun { .. } | Refusal::Superseded { .. } | Refusal::Expired) => {}
                    Err(other) => return Err(TestCaseError::fail(other.to_string())),
                },
            }
            settle_tasks().await;
        }
        Deed::ChangeByHand { target, field, value } => {
            let at = target % world.targets.len();
            let before = world.targets[at].bytes();
            world.targets[at].set(field, value.clone());
            if truth.before.contains_key(&at) && world.targets[at].bytes() != before {
                truth.touched_by_others.insert(at);
            }
        }
        Deed::Deploy { target } => {
            let at = target % world.targets.len();
            world.targets[at].deploy();
            if truth.before.contains_key(&at) {
                truth.touched_by_others.insert(at);
            }
        }
    }
    Ok(())
}

/// Everybody who holds something restores it; afterwards each target is as before, or its restore was refused for a drift that was real.
async fn restore_all(
    world: &World,
    truth: &Truth,
    dies: Option<(usize, Moment)>,
) -> Result<Seen, TestCaseError> {
    let mut seen = Seen::default();
    let mut refused = BTreeSet::new();
    let runs: BTreeSet<_> = world.held().await.into_iter().map(|held| held.run).collect();
    for run in &runs {
        let plan = world.engine.plan_restore(run, &unguarded(world)).await.unwrap();
        match world.people.approve(plan.clone(), world.clock.time()) {
            Ok(_) => open_with(world, plan, dies).await?,
            Err(Refusal::Drifted { steps }) => {
                for step in &steps {
                    let at = world
                        .targets
                        .iter()
                        .position(|target| *target.id() == step.target)
                        .unwrap();
                    prop_assert!(!step.drift.is_empty());
                    prop_assert!(
                        truth.touched_by_others.contains(&at),
                        "nobody else was at {}, but: {:?}",
                        step.target,
                        step.drift
                    );
                }
                refused.insert(run.clone());
                open_with(world, plan.accepting_drift(), dies).await?;
            }
            Err(other) => return Err(TestCaseError::fail(other.to_string())),
        }
    }
    prop_assert!(world.held().await.is_empty());
    for (at, target) in world.targets.iter().enumerate() {
        match truth.before.get(&at) {
            Some(_) if target.restored() == 0 => {
                // Nobody came to act on it before the crash, so whoever was there since is the only one.
                prop_assert_ne!(
                    target.state(),
                    TargetState::Stopped,
                    "{} is stopped for good",
                    target.id()
                );
                prop_assert_ne!(target.state(), TargetState::PartlyStopped);
            }
            Some(before) => prop_assert_eq!(
                String::from_utf8(target.bytes()).unwrap(),
                String::from_utf8(before.clone()).unwrap()
            ),
            None => {}
        }
    }
    if refused.is_empty() {
        seen.exact += 1;
    } else {
        seen.refused += 1;
    }
    Ok(seen)
}

/// Signatures are slow where nothing is optimised, and not what this is about.
fn unguarded(world: &World) -> Procedure {
    world.procedure().with_restore_approval(ApprovalPolicy::of(0))
}

/// Carries out a restore, perhaps in a process that dies; then another takes it up, or carries out its own copy of the plan if the first
/// has left no trace.
async fn open_with(
    world: &World,
    plan: Plan<Draft>,
    dies: Option<(usize, Moment)>,
) -> Result<(), TestCaseError> {
    let (at, moment) = dies.unwrap_or((usize::MAX, Moment::BeforeTheWrite));
    let cut = Arc::new(CutJournal::new(Arc::clone(&world.journal), at, moment));
    let dying = world.machine(cut.clone());
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
        None => match world.engine.resume(&id, &unguarded(world), &alice()).await {
            Err(Refusal::UnknownRun { .. }) => world.engine.execute(copy).await.unwrap(),
            taken_up => taken_up.unwrap(),
        },
    };
    prop_assert_eq!(outcome.status, OutcomeStatus::Verified);
    Ok(())
}

fn run(story: &Story, journal: Arc<dyn Journal>) -> Result<Seen, TestCaseError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build();
    runtime.unwrap().block_on(play(story, journal))
}

#[test]
fn a_restore_is_exact_or_refused_in_every_world_without_markers() {
    exact_or_refused(false);
}

#[test]
fn a_restore_is_exact_or_refused_in_every_world_with_markers() {
    exact_or_refused(true);
}

fn exact_or_refused(markers: bool) {
    let seen = std::cell::RefCell::new(Seen::default());
    let config = Config {
        cases: 5_000,
        failure_persistence: None,
        ..Config::default()
    };
    let outcome = TestRunner::new(config).run(&story(markers), |story| {
        let one = run(&story, Arc::new(SharedJournal::new()))?;
        let mut seen = seen.borrow_mut();
        seen.exact += one.exact;
        seen.refused += one.refused;
        Ok(())
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
    let seen = seen.into_inner();
    assert!(
        seen.exact > 500 && seen.refused > 500,
        "both ends must be met: {seen:?}"
    );
}

#[test]
fn a_journal_in_which_the_last_writer_wins_is_caught() {
    // The negative control: without first-writer-wins some world is restored to something that it was not.
    let config = Config {
        cases: 2_000,
        failure_persistence: None,
        max_shrink_iters: 0,
        ..Config::default()
    };
    let random = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let outcome = TestRunner::new_with_rng(config, random).run(&story(false), |story| {
        run(&story, Arc::new(LastWriterWins::default())).map(drop)
    });
    match outcome {
        Err(TestError::Fail(reason, _)) => {
            assert!(
                reason.message().contains("\\\"mode\\\""),
                "must fail for bytes that differ: {reason}"
            );
        }
        other => panic!("the property must notice a journal that forgets the first snapshot: {other:?}"),
    }
}
