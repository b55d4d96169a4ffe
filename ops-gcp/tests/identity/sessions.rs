//! What is ended, and what is known of it.

use std::sync::Arc;
use std::time::Duration;

use ops_core::actions::RevokeSessions;
use ops_core::error::ErrorKind;
use ops_core::ports::{Action, Clock, SessionRevoker};
use ops_core::testkit::{self, Fault, FaultRule, ManualClock, loopback_transport};

use super::world::{EMAIL, USER, World};

#[tokio::test]
async fn identity_toolkit_keeps_the_contract_of_a_session_revoker() {
    let world = World::new().await;
    for tenant in [None, Some("org-a1b2c")] {
        let mut users = world.users();
        world.sim.add_user(tenant, "somebody", EMAIL);
        if let Some(tenant) = tenant {
            users = users.with_tenant(tenant).unwrap();
        }
        testkit::session_revoker(
            &users,
            &*world.clock,
            |user| {
                world.sim.add_user(tenant, user, EMAIL);
                world.sim.sign_in(tenant, user).unwrap()
            },
            |user, session| world.sim.renew(tenant, user, &mut session.clone()),
        )
        .await;
    }
}

/// A token of the very second of the revocation has `auth_time` equal to the time of the call cut to seconds: only the next second ends it.
#[tokio::test]
async fn a_sign_in_of_the_very_second_is_ended() {
    for micros in [0, 1, 999_999] {
        let world = World::new().await;
        world.clock.advance(Duration::from_micros(micros));
        let session = world.sign_in();
        assert!(world.renews(&session));
        let revoke = world.revoke();
        revoke.apply(&world.key()).await.unwrap();
        assert!(!world.renews(&session), "{micros}");
        assert!(world.holds(&revoke).await, "{micros}");
        let now = world.clock.now().as_unix_micros() / 1_000_000;
        // One for the second that has begun, one because the vendor's date is cut to seconds.
        assert_eq!(world.sim.valid_since(None, USER), Some(now + 2));
    }
}

#[tokio::test]
async fn the_time_never_moves_backwards() {
    let world = World::new().await;
    let later = world.clock.now().as_unix_micros() / 1_000_000 + 30;
    world.sim.set_valid_since(None, USER, Some(later));
    let revoke = world.revoke();
    revoke.apply(&world.key()).await.unwrap();
    assert_eq!(world.sim.valid_since(None, USER), Some(later));
    assert_eq!(world.sim.writes(), 0, "nothing is to be written");
    assert!(world.holds(&revoke).await);
}

/// A machine whose clock is behind would leave sign-ins of the time between alive: the vendor's `Date` counts.
#[tokio::test]
async fn a_machine_whose_clock_is_behind_ends_what_the_vendor_has_seen() {
    let world = World::new().await;
    let ours = Arc::new(ManualClock::self_moving());
    world.clock.advance(Duration::from_secs(300));
    let session = world.sign_in();
    let users = world.users_over(loopback_transport(), Arc::clone(&ours) as _);
    let revoke = RevokeSessions::new(Arc::new(users), USER, ours.now()).unwrap();
    revoke.apply(&world.key()).await.unwrap();
    assert!(!world.renews(&session));
    assert!(world.holds(&revoke).await);
}

/// A time that somebody else wrote is compared with the decision by one clock: else a write that fails would be taken for done.
#[tokio::test]
async fn a_machine_whose_clock_is_behind_does_not_take_an_older_time_for_its_own() {
    let world = World::new().await;
    let ours = Arc::new(ManualClock::new(world.clock.now()));
    world.clock.advance(Duration::from_secs(100));
    let now = world.clock.now().as_unix_micros() / 1_000_000;
    world.sim.set_valid_since(None, USER, Some(now - 50));
    let session = world.sign_in();
    let users = world.users_over(loopback_transport(), Arc::clone(&ours) as _);
    let revoke = RevokeSessions::new(Arc::new(users), USER, ours.now()).unwrap();
    world
        .faults
        .add(FaultRule::on_writes(Fault::Forbidden, "identitytoolkit"));
    assert!(revoke.apply(&world.key()).await.is_err());
    assert!(world.renews(&session) && !world.holds(&revoke).await);
}

/// Whose clock is ahead locks nobody out: sign-ins have the vendor's time.
#[tokio::test]
async fn a_machine_whose_clock_is_ahead_writes_the_vendors_time() {
    let world = World::new().await;
    let ours = Arc::new(ManualClock::new(world.clock.now() + Duration::from_secs(3_600)));
    let before = world.sign_in();
    let users = world.users_over(loopback_transport(), Arc::clone(&ours) as _);
    let revoke = RevokeSessions::new(Arc::new(users), USER, ours.now()).unwrap();
    revoke.apply(&world.key()).await.unwrap();
    assert!(!world.renews(&before) && world.holds(&revoke).await);
    world.clock.advance(Duration::from_secs(3));
    assert!(world.renews(&world.sign_in()), "a new sign-in goes on");
}

/// A date that cannot be would be written to the account for good.
#[tokio::test]
async fn a_date_that_cannot_be_is_not_written() {
    let world = World::new().await;
    for away in [100 * 365 * 86_400, 86_402] {
        let ours = ManualClock::new(world.clock.now() - Duration::from_secs(away));
        let users = world.users_over(loopback_transport(), Arc::new(ours));
        let refused = users.revoke(USER, &world.key()).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Unexpected, "{refused}");
        assert!(refused.to_string().contains("clock"), "{refused}");
    }
    assert_eq!(world.sim.writes(), 0);
}

#[tokio::test]
async fn a_user_who_never_had_a_time_is_not_taken_for_stopped() {
    let world = World::new().await;
    world.sim.set_valid_since(None, USER, None);
    let session = world.sign_in();
    let revoke = world.revoke();
    assert!(!world.holds(&revoke).await);
    revoke.apply(&world.key()).await.unwrap();
    assert!(world.holds(&revoke).await && !world.renews(&session));
}

#[tokio::test]
async fn the_same_id_in_two_tenants_is_two_users() {
    let world = World::new().await;
    let (one, two) = (Some("org-one"), Some("org-two"));
    for tenant in [one, two] {
        world.sim.add_user(tenant, USER, EMAIL);
    }
    let sessions = [None, one, two].map(|tenant| world.sim.sign_in(tenant, USER).unwrap());
    world.clock.advance(Duration::from_secs(5));
    let users = world.users().with_tenant("org-one").unwrap();
    let revoke = RevokeSessions::new(Arc::new(users), USER, world.clock.now()).unwrap();
    revoke.apply(&world.key()).await.unwrap();
    assert!(world.holds(&revoke).await);
    let renewed = [None, one, two]
        .into_iter()
        .zip(sessions)
        .map(|(tenant, mut session)| world.sim.renew(tenant, USER, &mut session));
    assert_eq!(renewed.collect::<Vec<_>>(), [true, false, true]);

    let targets = [
        world.users(),
        world.users().with_tenant("org-one").unwrap(),
        world.users().with_tenant("org-two").unwrap(),
    ]
    .map(|users| {
        let action = RevokeSessions::new(Arc::new(users), USER, world.clock.now()).unwrap();
        action.target().as_str().to_owned()
    });
    assert_eq!(targets[0], format!("sessions:gcip/soul-kun/-/{USER}"));
    assert_eq!(targets[1], format!("sessions:gcip/soul-kun/org-one/{USER}"));
    assert_ne!(targets[1], targets[2]);
}

/// "Lookup of an unknown uid: 200 without `users`."
#[tokio::test]
async fn nobody_is_not_found_and_a_user_of_a_tenant_is_nobody_outside_of_it() {
    let world = World::new().await;
    world.sim.add_user(Some("org-one"), "u-of-one", EMAIL);
    for id in ["u-unknown", "u-of-one"] {
        let users = world.users();
        let kinds = [
            users.sessions(id).await.unwrap_err().kind(),
            users.revoke(id, &world.key()).await.unwrap_err().kind(),
        ];
        assert_eq!(kinds, [ErrorKind::NotFound; 2], "{id}");
    }
    assert_eq!(world.sim.writes(), 0);
}

/// An ID token lives for an hour and the vendor cannot take it back: only a backend that asks refuses it.
#[tokio::test]
async fn tokens_that_were_given_out_are_told_until_they_end() {
    let world = World::new().await;
    let session = world.sign_in();
    let revoke = world.revoke();
    revoke.apply(&world.key()).await.unwrap();
    let seen = world.users().sessions(USER).await.unwrap();
    let (since, until) = (seen.ended_before.unwrap(), seen.tokens_until.unwrap());
    // The one in our time and rather early, the other rather late.
    let between = until.saturating_since(since + Duration::from_secs(3_600));
    assert!(until >= since + Duration::from_secs(3_600) && between <= Duration::from_secs(2));
    let observed = revoke.observe().await.unwrap();
    assert_eq!(observed.caveats().len(), 1);
    assert_eq!(SessionRevoker::limitations(&world.users()).len(), 3);

    let accepted = |asks| world.sim.accepts(None, USER, &session, asks);
    assert!(accepted(false), "a backend that does not ask");
    assert!(!accepted(true), "a backend that asks");
    world.clock.advance(until.saturating_since(world.clock.now()));
    assert!(!accepted(false), "by then it has ended");
}
