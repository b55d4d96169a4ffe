use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::support_emergency::Moment;

/// What a world has besides races, crashes and changes by hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    Nothing,
    /// Calls of the dead land late, answers are lost, and the clock of the second machine is wrong by minutes.
    LateCalls,
    /// The journal that the machines share fails now and then; each has a spool.
    Outages,
    /// Each machine has a journal of its own.
    Apart,
}

/// What somebody does next.
#[derive(Clone, Debug)]
pub(crate) enum Deed {
    /// Stops everything from one of two machines.
    Stop { machine: usize, outage: bool },
    /// Two machines stop everything at the same time, the second some milliseconds later.
    StopTogether { delay: u64 },
    /// A machine begins to stop and dies at one of its writes; its calls land so many seconds later.
    DieStopping {
        machine: usize,
        at: usize,
        moment: Moment,
        lands: Option<u64>,
        outage: bool,
    },
    /// A machine takes up what is open there, and may die at one of its writes.
    TakeUp { machine: usize, dies_at: Option<usize> },
    /// A machine begins to restore what is held first and dies; its calls land so many seconds later.
    DieRestoring {
        machine: usize,
        at: usize,
        moment: Moment,
        lands: u64,
    },
    /// The answer to the next call that stops or opens a target is lost.
    LoseAnswer { target: usize, opening: bool },
    /// Somebody changes a field by hand; `field` may be one that the stop changes.
    ChangeByHand {
        target: usize,
        field: &'static str,
        value: Value,
    },
    /// Another deployer is there.
    Deploy { target: usize },
    /// Nobody does anything for so many seconds.
    Wait { seconds: u64 },
}

/// What there is before anybody does anything, and all that is done until somebody restores.
#[derive(Clone, Debug)]
pub(crate) struct Story {
    pub(crate) trouble: Trouble,
    pub(crate) priors: Vec<BTreeMap<String, Value>>,
    pub(crate) latency: u64,
    pub(crate) markers: bool,
    /// By how many seconds the clock of machine 1 is wrong.
    pub(crate) off: i64,
    pub(crate) deeds: Vec<Deed>,
    /// Who restores first.
    pub(crate) restorer: usize,
    /// At which write each restore dies before it is taken up.
    pub(crate) restore_dies: Option<(usize, Moment)>,
}

impl Story {
    /// One target that is stopped, and nothing else.
    pub(crate) fn of_one_stop(fields: BTreeMap<String, Value>) -> Self {
        Self {
            trouble: Trouble::Nothing,
            priors: vec![fields],
            latency: 1,
            markers: false,
            off: 0,
            deeds: vec![Deed::Stop {
                machine: 0,
                outage: false,
            }],
            restorer: 0,
            restore_dies: None,
        }
    }
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
    leaf.prop_recursive(2, 6, 3, |inner| {
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

fn deed(trouble: Trouble) -> BoxedStrategy<Deed> {
    let (late, outages) = (trouble == Trouble::LateCalls, trouble == Trouble::Outages);
    let outage = move || any::<bool>().prop_map(move |outage| outage && outages);
    let lands = move || prop::option::of(0..30_u64).prop_map(move |lands| lands.filter(|_| late));
    let stops = prop_oneof![
        3 => (0..2_usize, outage()).prop_map(|(machine, outage)| Deed::Stop { machine, outage }),
        3 => (0..40_u64).prop_map(|delay| Deed::StopTogether { delay }),
        4 => (0..2_usize, 1..16_usize, moment(), lands(), outage()).prop_map(
            |(machine, at, moment, lands, outage)| Deed::DieStopping { machine, at, moment, lands, outage }
        ),
        3 => (0..2_usize, prop::option::of(1..16_usize))
            .prop_map(|(machine, dies_at)| Deed::TakeUp { machine, dies_at }),
    ];
    if trouble == Trouble::Apart {
        return stops.boxed();
    }
    let by_hand = prop_oneof![
        (Just("mode"), Just(json!("by hand"))),
        (Just("ingress"), any_value()),
        (Just("scaling"), any_value()),
    ];
    let others = prop_oneof![
        2 => (0..4_usize, by_hand)
            .prop_map(|(target, (field, value))| Deed::ChangeByHand { target, field, value }),
        1 => (0..4_usize).prop_map(|target| Deed::Deploy { target }),
    ];
    if !late {
        return prop_oneof![4 => stops, 1 => others].boxed();
    }
    let lost = prop_oneof![
        2 => (0..4_usize, any::<bool>()).prop_map(|(target, opening)| Deed::LoseAnswer { target, opening }),
        1 => (0..45_u64).prop_map(|seconds| Deed::Wait { seconds }),
        1 => (0..2_usize, 1..12_usize, moment(), 0..30_u64).prop_map(
            |(machine, at, moment, lands)| Deed::DieRestoring { machine, at, moment, lands }
        ),
    ];
    prop_oneof![6 => stops, 1 => others, 3 => lost].boxed()
}

pub(crate) fn story(trouble: Trouble, markers: bool) -> impl Strategy<Value = Story> {
    let off = prop_oneof![Just(-240_i64), Just(0), Just(240)]
        .prop_map(move |off| if trouble == Trouble::LateCalls { off } else { 0 });
    let priors = prop::collection::vec(prior(), 1..=3);
    let deeds = prop::collection::vec(deed(trouble), 1..7);
    let restore_dies = prop::option::of((1..16_usize, moment()));
    (priors, 1..12_u64, off, deeds, 0..2_usize, restore_dies).prop_map(
        move |(priors, latency, off, deeds, restorer, restore_dies)| Story {
            trouble,
            priors,
            latency,
            markers,
            off,
            deeds,
            restorer,
            restore_dies,
        },
    )
}
