//! Calls while a feature is open for a share of its users.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::pin::pin;

use ops_core::config::{Env, SwitchConfig};
use ops_core::guard::{Feature, KillSwitch};
use ops_core::model::{Actor, Share, Timestamp};
use ops_core::ports::{CallCount, SwitchState, SwitchedOff};

/// What the shared store says while so many percent are let in.
fn partly(generation: u64, percent: u8) -> SwitchState {
    let mut off = SwitchedOff::new(Timestamp::UNIX_EPOCH, Actor::person("alice").unwrap(), None);
    off.admitted = Some(Share::percent(percent).unwrap());
    let mut state = SwitchState::default();
    state.generation = generation;
    state.stopped.insert("brain".to_owned(), off);
    state
}

/// A switch that lets so many percent in.
fn open_for(percent: u8) -> (KillSwitch, Feature) {
    let (switch, brain) = KillSwitch::single("brain");
    switch.adopt(&partly(1, percent));
    (switch, brain)
}

/// The first user of whom that is so.
fn user(found: impl Fn(&str) -> bool) -> String {
    let mut users = (0..10_000).map(|at| format!("user-{at}"));
    users.find(|user| found(user)).unwrap()
}

#[test]
fn the_call_of_a_user_who_is_let_in_is_counted_and_no_other_begins() {
    let (switch, brain) = open_for(10);
    let within = user(|user| switch.admits(brain, user));
    let without = user(|user| !switch.admits(brain, user));
    assert!(switch.enter(brain).is_none(), "it is not open for everybody");
    assert!(switch.enter_as(brain, &without).is_none());
    let call = switch.enter_as(brain, &within).unwrap();
    assert_eq!(switch.calls()["brain"], CallCount::new(1, 1));
    switch.stop_here(brain);
    assert!(switch.enter_as(brain, &within).is_none());
    drop(call);
    assert_eq!(switch.calls()["brain"], CallCount::new(1, 0));
    let (switch, brain) = open_for(10);
    let calls = [0, 1].map(|_| switch.enter_as(brain, &within));
    assert_eq!(switch.calls()["brain"], CallCount::new(2, 2));
    drop(calls);
    assert_eq!(switch.calls()["brain"], CallCount::new(2, 0));
}

#[test]
fn nobody_is_let_in_by_a_share_where_something_else_stops_too() {
    let config = SwitchConfig::new("brain").with_env("USE_BRAIN", "false");
    let env = Env::from_pairs([("USE_BRAIN", "false")]);
    let switch = KillSwitch::configured(&[config], &env).unwrap();
    let brain = switch.feature("brain").unwrap();
    switch.adopt(&partly(1, 99));
    assert!((0..1000).all(|at| !switch.admits(brain, &format!("user-{at}"))));
}

#[tokio::test]
async fn a_user_who_is_let_in_no_longer_is_told_and_one_who_still_is_goes_on() {
    let (switch, brain) = open_for(50);
    let (fewer, _) = open_for(1);
    let stays = user(|user| fewer.admits(brain, user));
    let goes = user(|user| switch.admits(brain, user) && !fewer.admits(brain, user));
    let (mut one, mut other) = (
        pin!(switch.stopped_for(brain, &stays)),
        pin!(switch.stopped_for(brain, &goes)),
    );
    tokio::select! {
        biased;
        () = &mut one => panic!("{stays} is let in"),
        () = &mut other => panic!("{goes} is let in"),
        () = tokio::task::yield_now() => {}
    }
    switch.adopt(&partly(2, 1));
    tokio::select! {
        biased;
        () = &mut one => panic!("{stays} is still let in"),
        () = &mut other => {}
        () = tokio::task::yield_now() => panic!("{goes} is not let in any more"),
    }
    switch.stop_here(brain);
    tokio::select! {
        biased;
        () = &mut one => {}
        () = tokio::task::yield_now() => panic!("it is stopped for everybody"),
    }
}

#[test]
fn the_edge_of_a_share_is_the_same_in_every_version() {
    let within = |share: u16| {
        let (switch, brain) = KillSwitch::single("brain");
        let mut state = partly(1, 1);
        let off = state.stopped.get_mut("brain").unwrap();
        off.admitted = Some(Share::basis_points(share).unwrap());
        switch.adopt(&state);
        move |user: &str| switch.admits(brain, user)
    };
    let (one_percent, a_little_more) = (within(100), within(101));
    let first = user(|user| a_little_more(user) && !one_percent(user));
    assert_eq!(first, "user-1110");
}
