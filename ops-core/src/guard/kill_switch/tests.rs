use super::*;
use crate::model::{Actor, Timestamp};
use crate::ports::SwitchedOff;

fn state(generation: u64, stopped: &[&str]) -> SwitchState {
    let off = SwitchedOff::new(Timestamp::UNIX_EPOCH, Actor::person("alice").unwrap(), None);
    let stopped = stopped
        .iter()
        .map(|name| ((*name).to_owned(), off.clone()))
        .collect();
    SwitchState { generation, stopped }
}

#[test]
fn a_local_stop_outlives_a_store_that_has_not_heard_of_it() {
    let switch = KillSwitch::new(["brain", "search"]).unwrap();
    let (brain, search) = (
        switch.feature("brain").unwrap(),
        switch.feature("search").unwrap(),
    );
    switch.stop_here(brain);
    let read = |state| switch.adopt_shared(&state, Some(&switch.moment()));
    read(state(5, &["search"]));
    assert!(!switch.allows(brain) && !switch.allows(search));
    read(state(6, &["brain"]));
    assert!(!switch.allows(brain) && switch.allows(search));
    read(state(7, &[]));
    assert!(
        switch.allows(brain),
        "opened by a newer generation after the store had shown the stop"
    );
}

#[test]
fn an_older_generation_opens_nothing() {
    let switch = KillSwitch::new(["brain"]).unwrap();
    let brain = switch.feature("brain").unwrap();
    switch.adopt(&state(2, &["brain"]));
    switch.adopt(&state(1, &[]));
    assert!(!switch.allows(brain));
}

#[test]
fn opening_here_leaves_what_the_store_stops() {
    let switch = KillSwitch::new(["brain", "search"]).unwrap();
    let (brain, search) = (
        switch.feature("brain").unwrap(),
        switch.feature("search").unwrap(),
    );
    switch.adopt(&state(1, &["search"]));
    switch.stop_here(brain);
    switch.stop_here(search);
    switch.open_here(brain);
    switch.open_here(search);
    assert!(switch.allows(brain) && !switch.allows(search));
}

#[test]
fn stops_from_many_threads_are_never_lost_to_an_adoption() {
    let names: Vec<_> = (0..32).map(|at| format!("f{at}")).collect();
    let switch = KillSwitch::new(names.clone()).unwrap();
    std::thread::scope(|scope| {
        for name in &names {
            scope.spawn(|| switch.stop_here(switch.feature(name).unwrap()));
        }
        scope.spawn(|| (0..1000).for_each(|generation| switch.adopt(&state(generation, &[]))));
    });
    assert!(
        names
            .iter()
            .all(|name| !switch.allows(switch.feature(name).unwrap()))
    );
}

#[test]
fn refuses_more_features_than_bits() {
    assert!(KillSwitch::new((0..64).map(|at| at.to_string())).is_err());
    assert!(KillSwitch::new(["a", "a"]).is_err());
}
