use std::time::Duration;

use super::{fresh, fresh_run, ok, refused};
use crate::error::ErrorKind;
use crate::model::{IdempotencyKey, Timestamp};
use crate::ports::{Clock, SessionRevoker, SessionsSeen};

/// The contract of [`SessionRevoker`], for providers that count and for those that do not.
///
/// `sign_in` opens a session of the user it is given and `renews` says whether that one can be renewed: what the port says is compared with it.
/// `clock` is the provider's; the suite sleeps 4 s by it.
///
/// # Panics
/// With the clause that `port` breaks.
pub async fn session_revoker<S>(
    port: &dyn SessionRevoker,
    clock: &dyn Clock,
    sign_in: impl Fn(&str) -> S,
    renews: impl Fn(&str, &S) -> bool,
) {
    assert!(
        !port.directory().trim().is_empty(),
        "the directory must have a name"
    );
    let (user, other) = (fresh("user"), fresh("other"));
    let key = IdempotencyKey::for_step(&fresh_run(), 0);
    refused(
        "sessions of nobody",
        ErrorKind::NotFound,
        port.sessions(&user).await,
    );
    refused(
        "revoke for nobody",
        ErrorKind::NotFound,
        port.revoke(&user, &key).await,
    );
    let sessions = [sign_in(&user), sign_in(&user)];
    let of_other = sign_in(&other);
    let seen = async |of: &str| -> SessionsSeen {
        let seen = ok("sessions", port.sessions(of).await);
        assert!(
            seen.active.is_some() || seen.ended_before.is_none_or(|at| at > Timestamp::UNIX_EPOCH),
            "a time that is none must be absent"
        );
        seen
    };
    let (before, others_before) = (seen(&user).await, seen(&other).await);
    counted(&before, 2, "every session must be seen");
    clock.sleep(PAUSE).await;
    let moment = clock.now();
    assert!(
        !before.none_left_from_before(moment),
        "sessions that were not revoked must not pass as ended"
    );

    ok("revoke", port.revoke(&user, &key).await);
    let first = seen(&user).await;
    ok("revoke again", port.revoke(&user, &key).await);
    let second = seen(&user).await;
    for seen in [&first, &second] {
        assert!(
            seen.none_left_from_before(moment),
            "after a revoke, nothing that began before may be left: {seen:?}"
        );
        counted(seen, 0, "no session must be left");
    }
    assert!(
        second.ended_before >= first.ended_before,
        "a second revoke must not move the time backwards"
    );
    assert!(
        !sessions.iter().any(|session| renews(&user, session)),
        "an ended session must not be renewed"
    );

    assert!(renews(&other, &of_other), "a session of another user must go on");
    let others = seen(&other).await;
    counted(&others, 1, "another user must keep theirs");
    assert_eq!(
        others.ended_before, others_before.ended_before,
        "nothing of another user may be ended"
    );

    clock.sleep(PAUSE).await;
    let new = sign_in(&user);
    assert!(renews(&user, &new), "who signs in again has a new session");
    let after = seen(&user).await;
    counted(&after, 1, "a new session must be seen");
    assert!(
        after.active.is_some() || !after.none_left_from_before(clock.now()),
        "a new session must not pass as ended"
    );
    ok("revoke", port.revoke(&user, &key).await);
    assert!(
        !renews(&user, &new),
        "the same key must end what began since as well"
    );
}

/// Only of a provider that counts.
#[track_caller]
fn counted(seen: &SessionsSeen, sessions: u64, clause: &str) {
    if let Some(active) = seen.active {
        assert_eq!(active, sessions, "{clause}");
    }
}

/// Vendors count whole seconds.
const PAUSE: Duration = Duration::from_secs(2);
