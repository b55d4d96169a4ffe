//! Every schedule of two operators, crashes, lost replies and late calls: no restore claims to be exact and is not.
//!
//! A state is the whole world: targets, journals, what each operator does next, and the calls whose reply nobody hears, which may land at any
//! moment. `Broken` leaves out one rule at a time; each of these must be caught.

use std::io::Write as _;

use stateright::{Checker, Model, Property};

/// How a target is set. Its prior state is its number, counted from 1.
type Setting = usize;
const STOPPED: Setting = 0;
/// What a stop has half done.
const HALF: Setting = 99;

/// The one rule that is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Broken {
    Nothing,
    /// The prior state is journalled when the call has been answered.
    SnapshotInMemory,
    /// A later snapshot of a target replaces an earlier one.
    LastWriterWins,
    /// A restore acts while the call of a stop may still land.
    NoLateCallRule,
    /// A target that is seen stopped is taken for a prior state.
    StoppedIsAPrior,
    /// So is one that is half stopped, without anybody's decision.
    HalfIsAPrior,
}

/// Two operators stop all targets; either may die and be taken up; then one of them restores.
#[derive(Clone, Debug)]
struct Emergency {
    targets: usize,
    /// Each operator has a journal of their own.
    apart: bool,
    /// The target has room for a mark of who stopped it.
    marks: bool,
    crashes: u8,
    broken: Broken,
}

/// Where an operator is with one target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum At {
    Start,
    Seen(Setting),
    /// The prior state, if there was any, and the intent are in the journal.
    Announced(Setting),
    Called(Setting),
    Stopped,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Operator {
    alive: bool,
    at: Vec<At>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct World {
    now: Vec<Setting>,
    /// What each journal holds of each target.
    held: Vec<Vec<Option<Setting>>>,
    operators: [Operator; 2],
    /// Target and caller of stops whose reply nobody hears.
    late: Vec<(usize, usize)>,
    crashes: u8,
    /// Who restores.
    restoring: Option<usize>,
    /// What a restore said is exactly as before.
    claimed: Vec<Option<Setting>>,
    refused: bool,
    /// A call landed after the claim of somebody whose journal tells of it.
    undone: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Act {
    Observe(usize, usize),
    Announce(usize, usize),
    Call(usize, usize),
    TakeHalfEffect(usize, usize),
    Answer(usize, usize),
    LoseReply(usize, usize),
    Die(usize),
    TakeUp(usize),
    Land(usize),
    BeginRestore(usize),
    PutBack(usize, usize),
    Refuse,
}

fn prior(target: usize) -> Setting {
    target + 1
}

impl Emergency {
    fn journal(&self, operator: usize) -> usize {
        if self.apart { operator } else { 0 }
    }

    fn hold(&self, world: &mut World, operator: usize, target: usize, seen: Setting) {
        let already_stopped = seen == STOPPED && self.broken != Broken::StoppedIsAPrior;
        if already_stopped || seen == HALF && self.marks {
            return;
        }
        let held = &mut world.held[self.journal(operator)][target];
        if held.is_none() || self.broken == Broken::LastWriterWins {
            *held = Some(seen);
        }
    }

    fn stop_step(&self, world: &mut World, act: Act, who: usize, target: usize) {
        let next = match (act, world.operators[who].at[target]) {
            (Act::Observe(..), _) => At::Seen(world.now[target]),
            (Act::Announce(..), At::Seen(seen)) => {
                if self.broken != Broken::SnapshotInMemory {
                    self.hold(world, who, target, seen);
                }
                At::Announced(seen)
            }
            (Act::Call(..), At::Announced(seen)) => At::Called(seen),
            (Act::TakeHalfEffect(..), at) => {
                world.now[target] = HALF;
                at
            }
            (_, At::Called(seen)) => {
                world.now[target] = STOPPED;
                if self.broken == Broken::SnapshotInMemory {
                    self.hold(world, who, target, seen);
                }
                if act == Act::LoseReply(who, target) {
                    // It is called again, and the first call is still under way.
                    world.late.push((target, who));
                }
                At::Stopped
            }
            (_, at) => at,
        };
        world.operators[who].at[target] = next;
    }

    fn die(&self, world: &mut World, who: usize) {
        world.crashes += 1;
        let operator = &mut world.operators[who];
        operator.alive = false;
        for (target, at) in operator.at.iter_mut().enumerate() {
            if matches!(at, At::Called(_)) {
                world.late.push((target, who));
            }
            if *at != At::Stopped {
                *at = At::Start;
            }
        }
    }

    fn restore_acts(&self, world: &World, who: usize, acts: &mut Vec<Act>) {
        let journal = self.journal(who);
        for (target, held) in world.held[journal].iter().enumerate() {
            let Some(held) = held else { continue };
            let may_land = |(on, by): &(usize, usize)| *on == target && self.journal(*by) == journal;
            if *held == HALF && self.broken != Broken::HalfIsAPrior {
                acts.push(Act::Refuse);
            } else if self.broken == Broken::NoLateCallRule || !world.late.iter().any(may_land) {
                acts.push(Act::PutBack(who, target));
            }
        }
        if world.held[journal].iter().all(Option::is_none) && world.claimed.iter().all(Option::is_none) {
            acts.push(Act::Refuse);
        }
        if world.refused {
            acts.retain(|act| *act != Act::Refuse);
        }
    }

    fn stop_acts(&self, world: &World, who: usize, acts: &mut Vec<Act>) {
        let operator = &world.operators[who];
        if !operator.alive {
            acts.push(Act::TakeUp(who));
            return;
        }
        let Some(target) = operator.at.iter().position(|at| *at != At::Stopped) else {
            return;
        };
        match operator.at[target] {
            At::Start => acts.push(Act::Observe(who, target)),
            At::Seen(_) => acts.push(Act::Announce(who, target)),
            At::Announced(_) => acts.push(Act::Call(who, target)),
            At::Called(_) => {
                acts.extend([Act::Answer(who, target), Act::LoseReply(who, target)]);
                if world.now[target] == prior(target) {
                    acts.push(Act::TakeHalfEffect(who, target));
                }
            }
            At::Stopped => {}
        }
        if world.crashes < self.crashes {
            acts.push(Act::Die(who));
        }
    }
}

impl Operator {
    fn has_stopped(&self) -> bool {
        self.alive && self.at.iter().all(|at| *at == At::Stopped)
    }
}

impl Model for Emergency {
    type State = World;
    type Action = Act;

    fn init_states(&self) -> Vec<World> {
        let operator = Operator {
            alive: true,
            at: vec![At::Start; self.targets],
        };
        vec![World {
            now: (0..self.targets).map(prior).collect(),
            held: vec![vec![None; self.targets]; if self.apart { 2 } else { 1 }],
            operators: [operator.clone(), operator],
            late: Vec::new(),
            crashes: 0,
            restoring: None,
            claimed: vec![None; self.targets],
            refused: false,
            undone: false,
        }]
    }

    fn actions(&self, world: &World, acts: &mut Vec<Act>) {
        acts.extend((0..world.late.len()).map(Act::Land));
        if let Some(who) = world.restoring {
            self.restore_acts(world, who, acts);
            return;
        }
        (0..2).for_each(|who| self.stop_acts(world, who, acts));
        // Nobody need take up a stop that died before somebody restores.
        if world
            .operators
            .iter()
            .all(|operator| !operator.alive || operator.has_stopped())
        {
            acts.extend([Act::BeginRestore(0), Act::BeginRestore(1)]);
        }
    }

    fn next_state(&self, world: &World, act: Act) -> Option<World> {
        let mut next = world.clone();
        match act {
            Act::Die(who) => self.die(&mut next, who),
            Act::TakeUp(who) => next.operators[who].alive = true,
            Act::BeginRestore(who) => next.restoring = Some(who),
            Act::Refuse => next.refused = true,
            Act::Land(at) => {
                let (target, by) = next.late.remove(at);
                next.now[target] = STOPPED;
                let told = |who| self.journal(who) == self.journal(by);
                next.undone |= next.restoring.is_some_and(told) && next.claimed[target].is_some();
            }
            Act::PutBack(who, target) => {
                let held = next.held[self.journal(who)][target].take()?;
                next.now[target] = held;
                next.claimed[target] = Some(held);
            }
            Act::Observe(who, target)
            | Act::Announce(who, target)
            | Act::Call(who, target)
            | Act::TakeHalfEffect(who, target)
            | Act::Answer(who, target)
            | Act::LoseReply(who, target) => self.stop_step(&mut next, act, who, target),
        }
        next.late.sort_unstable();
        next.late.dedup();
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut properties = vec![
            Property::always(WRONG, |_, world: &World| {
                let mut claims = world.claimed.iter().enumerate();
                claims.all(|(target, claimed)| claimed.is_none_or(|claimed| claimed == prior(target)))
                    && !world.undone
            }),
            Property::always(LOST, |model: &Self, world: &World| {
                (0..model.targets).all(|target| {
                    let as_before = Some(prior(target));
                    world.held.iter().any(|journal| journal[target] == as_before)
                        || world.claimed[target].is_some()
                        || world.now[target] == prior(target)
                })
            }),
            Property::sometimes(WHOLE, |_, world: &World| {
                world.claimed.iter().all(Option::is_some)
            }),
            Property::sometimes(LATE, |_, world: &World| {
                world.restoring.is_some() && !world.late.is_empty()
            }),
            Property::eventually(ENDS, |_, world: &World| {
                let abandoned =
                    world.restoring.is_some() && world.operators.iter().any(|operator| !operator.alive);
                abandoned || world.operators.iter().all(Operator::has_stopped)
            }),
        ];
        if self.apart {
            properties.push(Property::sometimes(REFUSED, |_, world: &World| world.refused));
        }
        properties
    }
}

const WRONG: &str = "no restore claims what is not so";
const LOST: &str = "no prior state is lost";
const WHOLE: &str = "everything can be put back";
const REFUSED: &str = "a restore is refused";
const LATE: &str = "a restore meets a late call";
const ENDS: &str = "a stop that is taken up stops every target";

fn holds(targets: usize, apart: bool, marks: bool, crashes: u8) {
    let model = Emergency {
        targets,
        apart,
        marks,
        crashes,
        broken: Broken::Nothing,
    };
    let checker = model.clone().checker().spawn_bfs().join();
    let states = checker.unique_state_count();
    // Past the harness, which shows nothing of a test that passes.
    let _ = writeln!(std::io::stderr(), "{states:>8} states: {model:?}");
    checker.assert_properties();
}

fn fails(apart: bool, broken: Broken, property: &'static str) {
    let model = Emergency {
        targets: 2,
        apart,
        marks: false,
        crashes: 1,
        broken,
    };
    let checker = model.checker().spawn_bfs().join();
    let found = checker.discovery(property);
    assert!(found.is_some(), "{broken:?} must break: {property}");
}

#[test]
fn two_operators_with_one_journal_never_claim_a_wrong_restore() {
    for marks in [false, true] {
        holds(2, false, marks, 2);
        holds(3, false, marks, 1);
    }
}

#[test]
fn two_operators_with_a_journal_each_never_claim_a_wrong_restore() {
    for marks in [false, true] {
        holds(2, true, marks, 2);
        holds(3, true, marks, 1);
    }
}

#[test]
fn a_snapshot_that_is_journalled_after_the_call_is_caught() {
    fails(false, Broken::SnapshotInMemory, LOST);
}

#[test]
fn a_journal_in_which_the_last_writer_wins_is_caught() {
    fails(false, Broken::LastWriterWins, LOST);
}

#[test]
fn a_restore_that_does_not_wait_for_late_calls_is_caught() {
    fails(false, Broken::NoLateCallRule, WRONG);
}

#[test]
fn a_stopped_target_taken_for_a_prior_state_is_caught() {
    fails(true, Broken::StoppedIsAPrior, WRONG);
}

#[test]
fn half_a_stop_taken_for_a_prior_state_is_caught() {
    fails(true, Broken::HalfIsAPrior, WRONG);
}
