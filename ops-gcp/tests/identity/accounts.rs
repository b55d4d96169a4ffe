//! An account is kept out and let in again, and it is read whether it is.

use std::sync::Arc;
use std::time::Duration;

use ops_core::actions::{RevokeSessions, SuspendAccount};
use ops_core::error::ErrorKind;
use ops_core::ports::{AccountSuspender, Action, Clock};
use ops_core::testkit::{self, Fault, FaultRule};

use super::world::{EMAIL, USER, World};

const SUBJECT: &str = "identitytoolkit";

fn suspend(world: &World) -> SuspendAccount {
    SuspendAccount::new(Arc::new(world.users()), USER).unwrap()
}

#[tokio::test]
async fn identity_toolkit_keeps_the_contract_of_an_account_suspender() {
    let world = World::new().await;
    for tenant in [None, Some("org-a1b2c")] {
        let mut users = world.users();
        world.sim.add_user(tenant, "somebody", EMAIL);
        if let Some(tenant) = tenant {
            users = users.with_tenant(tenant).unwrap();
        }
        testkit::account_suspender(
            &users,
            |user| world.sim.add_user(tenant, user, EMAIL),
            |user| world.sim.sign_in(tenant, user).is_some(),
        )
        .await;
    }
    testkit::action(&suspend(&world)).await;
}

#[tokio::test]
async fn the_same_id_in_another_tenant_is_another_account() {
    let world = World::new().await;
    world.sim.add_user(Some("org-one"), USER, EMAIL);
    let users = world.users().with_tenant("org-one").unwrap();
    let action = SuspendAccount::new(Arc::new(users), USER).unwrap();
    assert_eq!(
        action.target().as_str(),
        format!("account:gcip/soul-kun/org-one/{USER}")
    );
    action.apply(&world.key()).await.unwrap();
    assert!(world.sim.is_disabled(Some("org-one"), USER));
    assert!(!world.sim.is_disabled(None, USER));
    assert_ne!(action.target(), suspend(&world).target());
}

/// Ending sessions and suspending the account change nothing of each other.
#[tokio::test]
async fn a_suspension_leaves_the_time_and_a_revocation_leaves_the_account() {
    let world = World::new().await;
    let since = world.sim.valid_since(None, USER);
    let action = suspend(&world);
    let prior = action.observe().await.unwrap();
    action.apply(&world.key()).await.unwrap();
    assert_eq!(world.sim.valid_since(None, USER), since);
    world.revoke().apply(&world.key()).await.unwrap();
    assert!(world.sim.is_disabled(None, USER));
    let since = world.sim.valid_since(None, USER);
    action.restore(prior.snapshot(), &world.key()).await.unwrap();
    assert!(!world.sim.is_disabled(None, USER));
    assert_eq!(world.sim.valid_since(None, USER), since);
}

/// What is said of the incident: a session that began after the revocation rests with the account, and goes on with it.
#[tokio::test]
async fn a_session_that_was_not_ended_goes_on_when_the_account_is_resumed() {
    let world = World::new().await;
    world.revoke().apply(&world.key()).await.unwrap();
    world.clock.advance(Duration::from_secs(2));
    let between = world.sign_in();
    let action = suspend(&world);
    let prior = action.observe().await.unwrap();
    action.apply(&world.key()).await.unwrap();
    assert!(!world.renews(&between));
    assert!(world.sim.accepts(None, USER, &between, false), "a token lives on");
    assert!(!world.sim.accepts(None, USER, &between, true));
    action.restore(prior.snapshot(), &world.key()).await.unwrap();
    assert!(world.renews(&between));

    // The remedy: revoke once more before it is resumed.
    action.apply(&world.key()).await.unwrap();
    let again = RevokeSessions::new(Arc::new(world.users()), USER, world.clock.now()).unwrap();
    again.apply(&world.key()).await.unwrap();
    action.restore(prior.snapshot(), &world.key()).await.unwrap();
    assert!(!world.renews(&between));
}

#[tokio::test]
async fn what_is_so_already_is_not_written() {
    let world = World::new().await;
    let (users, key) = (world.users(), world.key());
    users.resume(USER, &key).await.unwrap();
    assert_eq!(world.sim.writes(), 0);
    for _ in 0..2 {
        users.suspend(USER, &key).await.unwrap();
    }
    assert_eq!(world.sim.writes(), 1);
}

#[tokio::test]
async fn each_fault_has_its_kind_and_is_no_suspension() {
    for (fault, kind) in [
        (Fault::TooManyRequests, ErrorKind::RateLimited),
        (Fault::Unavailable, ErrorKind::Unavailable),
        (Fault::Refused, ErrorKind::Unavailable),
        (Fault::Forbidden, ErrorKind::PermissionDenied),
    ] {
        let world = World::new().await;
        let action = suspend(&world);
        world.faults.add(FaultRule::on_writes(fault, SUBJECT));
        let error = action.apply(&world.key()).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{fault:?}");
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains(EMAIL) && !shown.contains(USER), "{shown}");
        assert!(!world.holds(&action).await && !world.sim.is_disabled(None, USER));
    }
}

#[tokio::test]
async fn a_lost_answer_is_found_out_and_an_empty_one_is_too() {
    let world = World::new().await;
    let action = suspend(&world);
    world
        .faults
        .add(FaultRule::on_writes(Fault::NeverEnds, SUBJECT).times(1));
    action.apply(&world.key()).await.unwrap();
    assert!(!world.holds(&action).await, "accepted, and nothing was done");
    world
        .faults
        .add(FaultRule::on_writes(Fault::LostAnswer, SUBJECT).times(1));
    let error = action.apply(&world.key()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(
        world.holds(&action).await,
        "the answer is lost, the effect is not"
    );
}

/// Somebody else enables the account right after us: the look afterwards says so.
#[tokio::test]
async fn an_account_that_is_enabled_right_afterwards_is_not_suspended() {
    let world = World::new().await;
    let action = suspend(&world);
    world
        .faults
        .add(FaultRule::on_writes(Fault::Drift, SUBJECT).times(1));
    action.apply(&world.key()).await.unwrap();
    assert!(!world.holds(&action).await);
}
