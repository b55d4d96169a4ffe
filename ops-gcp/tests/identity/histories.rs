//! Whatever happens in whatever order, a verdict is never better than the truth.

use std::sync::Arc;
use std::time::Duration;

use ops_core::actions::{RevokeSessions, SuspendAccount};
use ops_core::ports::{Action, Clock};
use ops_core::testkit::{Fault, FaultRule, ManualClock, loopback_transport};

use super::world::{USER, World};

/// Numbers that look like chance and are the same each time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

#[tokio::test]
async fn no_session_from_before_is_alive_when_it_is_said_that_none_is() {
    let mut held = 0;
    for seed in 0..60 {
        let mut dice = Dice(seed);
        let world = World::new().await;
        // Our clock may be ahead of the vendor's or behind it.
        let ours = Arc::new(ManualClock::new(world.clock.now() - Duration::from_secs(150)));
        ours.advance(Duration::from_millis(dice.roll(300_000)));
        let users = Arc::new(world.users_over(loopback_transport(), Arc::clone(&ours) as _));
        let suspend = SuspendAccount::new(Arc::clone(&users) as _, USER).unwrap();
        let mut sessions = Vec::new();
        let mut revoke = RevokeSessions::new(Arc::clone(&users) as _, USER, ours.now()).unwrap();
        let mut before = ours.now();
        for _ in 0..25 {
            match dice.roll(9) {
                0 | 1 => {
                    // By our clock, as the decision: theirs may be another one.
                    let at = ours.now();
                    sessions.extend(world.sim.sign_in(None, USER).map(|session| (at, session)));
                }
                2 => {
                    before = ours.now();
                    revoke = RevokeSessions::new(Arc::clone(&users) as _, USER, before).unwrap();
                }
                3 => drop(revoke.apply(&world.key()).await),
                4 => drop(suspend.apply(&world.key()).await),
                5 => world.sim.set_disabled(None, USER, dice.roll(2) == 0),
                6 => {
                    // Somebody else writes what they like, also an earlier time.
                    let now = world.clock.now().as_unix_micros() / 1_000_000;
                    let since = now - 10 + i64::try_from(dice.roll(12)).unwrap();
                    world.sim.set_valid_since(None, USER, Some(since));
                }
                7 => {
                    let faults = [
                        Fault::NeverEnds,
                        Fault::LostAnswer,
                        Fault::Unavailable,
                        Fault::Refused,
                    ];
                    let fault = faults[usize::try_from(dice.roll(4)).unwrap()];
                    world.faults.clear();
                    world
                        .faults
                        .add(FaultRule::on_writes(fault, "identitytoolkit").times(1));
                }
                _ => {
                    let pause = Duration::from_millis(dice.roll(2_500));
                    world.clock.advance(pause);
                    ours.advance(pause);
                }
            }
            let out = world.sim.is_disabled(None, USER);
            assert_eq!(world.holds(&suspend).await, out, "seed {seed}");
            if !world.holds(&revoke).await {
                continue;
            }
            // While the account is disabled nothing is renewed anyhow: what counts is what would be.
            world.sim.set_disabled(None, USER, false);
            for (at, session) in sessions.iter().filter(|(at, _)| *at < before) {
                held += 1;
                assert!(!world.renews(session), "seed {seed}: of {at}, before {before}");
            }
            world.sim.set_disabled(None, USER, out);
        }
    }
    assert!(held > 100, "only {held} sessions were looked at");
}

/// A revocation that succeeded leaves no session that was there, whichever clock is ahead, unless somebody else writes.
#[tokio::test]
async fn a_revocation_that_succeeded_leaves_nothing_and_the_time_only_grows() {
    for seed in 0..40 {
        let mut dice = Dice(seed + 1_000);
        let world = World::new().await;
        let ours = Arc::new(ManualClock::new(world.clock.now() - Duration::from_secs(150)));
        ours.advance(Duration::from_millis(dice.roll(300_000)));
        let users = Arc::new(world.users_over(loopback_transport(), Arc::clone(&ours) as _));
        let mut sessions = Vec::new();
        let mut since = world.sim.valid_since(None, USER);
        for _ in 0..20 {
            match dice.roll(3) {
                0 => sessions.extend(world.sim.sign_in(None, USER)),
                1 => {
                    let revoke = RevokeSessions::new(Arc::clone(&users) as _, USER, ours.now()).unwrap();
                    revoke.apply(&world.key()).await.unwrap();
                    assert!(
                        !sessions.iter().any(|session| world.renews(session)),
                        "seed {seed}"
                    );
                    let now = world.sim.valid_since(None, USER);
                    assert!(now >= since, "seed {seed}: {now:?} after {since:?}");
                    since = now;
                }
                _ => {
                    let pause = Duration::from_millis(dice.roll(2_500));
                    world.clock.advance(pause);
                    ours.advance(pause);
                }
            }
        }
    }
}
