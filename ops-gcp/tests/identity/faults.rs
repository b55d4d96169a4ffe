//! What fails is told by its kind, and never taken for a stop.

use ops_core::error::ErrorKind;
use ops_core::ports::{Action, SessionRevoker};
use ops_core::testkit::{Fault, FaultRule};

use super::world::{EMAIL, USER, World};

const SUBJECT: &str = "identitytoolkit";

#[tokio::test]
async fn each_fault_has_its_kind_and_hides_who_it_is_about() {
    for (fault, kind) in [
        (Fault::TooManyRequests, ErrorKind::RateLimited),
        (Fault::Unavailable, ErrorKind::Unavailable),
        (Fault::Refused, ErrorKind::Unavailable),
        (Fault::Forbidden, ErrorKind::PermissionDenied),
    ] {
        let world = World::new().await;
        let session = world.sign_in();
        let revoke = world.revoke();
        world.faults.add(FaultRule::on_all(fault, SUBJECT));
        let errors = [
            revoke.observe().await.unwrap_err(),
            revoke.apply(&world.key()).await.unwrap_err(),
        ];
        world.faults.clear();
        world.faults.add(FaultRule::on_writes(fault, SUBJECT));
        let written = revoke.apply(&world.key()).await.unwrap_err();
        for error in errors.into_iter().chain([written]) {
            assert_eq!(error.kind(), kind, "{fault:?}: {error}");
            let shown = format!("{error} {error:?}");
            for hidden in [EMAIL, USER, "t0ken-s3cret"] {
                assert!(!shown.contains(hidden), "{shown}");
            }
        }
        assert!(!world.holds(&revoke).await, "{fault:?}: nothing was done");
        assert!(world.renews(&session));

        world.faults.clear();
        revoke.apply(&world.key()).await.unwrap();
        assert!(world.holds(&revoke).await && !world.renews(&session));
    }
}

/// The answer is lost, the effect is not: it is read, and a repetition does no harm.
#[tokio::test]
async fn a_lost_answer_is_an_error_and_the_next_look_tells_what_it_did() {
    let world = World::new().await;
    let session = world.sign_in();
    let revoke = world.revoke();
    world
        .faults
        .add(FaultRule::on_writes(Fault::LostAnswer, SUBJECT).times(1));
    let error = revoke.apply(&world.key()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    assert!(world.holds(&revoke).await && !world.renews(&session));
    let since = world.sim.valid_since(None, USER);
    revoke.apply(&world.key()).await.unwrap();
    assert_eq!(world.sim.valid_since(None, USER), since);
}

/// An update that is answered with 200 and does nothing: the answer of a write proves nothing.
#[tokio::test]
async fn an_accepted_update_without_effect_is_no_stop() {
    let world = World::new().await;
    let session = world.sign_in();
    let revoke = world.revoke();
    world.faults.add(FaultRule::on_writes(Fault::NeverEnds, SUBJECT));
    revoke.apply(&world.key()).await.unwrap();
    assert_eq!(world.sim.writes(), 1);
    assert!(!world.holds(&revoke).await && world.renews(&session));
}

#[tokio::test]
async fn each_call_needs_its_permission() {
    for (permission, reads) in [
        ("firebaseauth.users.get", false),
        ("firebaseauth.users.update", true),
    ] {
        let world = World::new().await;
        world.sim.revoke(permission);
        let users = world.users();
        assert_eq!(users.sessions(USER).await.is_ok(), reads, "{permission}");
        let error = users.revoke(USER, &world.key()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{permission}");
        assert_eq!(world.sim.writes(), 0);
    }
}

#[tokio::test]
async fn what_is_shown_of_the_provider_holds_no_secret() {
    let world = World::new().await;
    let shown = format!("{:?}", world.users());
    assert!(
        !shown.contains("t0ken-s3cret") && !shown.contains(EMAIL),
        "{shown}"
    );
}
