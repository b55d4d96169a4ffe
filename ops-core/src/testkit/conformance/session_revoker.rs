use super::{fresh, fresh_run, ok, refused};
use crate::error::ErrorKind;
use crate::model::IdempotencyKey;
use crate::ports::SessionRevoker;

/// The contract of [`SessionRevoker`]; `sign_in` opens a session of the user it is given.
///
/// # Panics
/// With the clause that `port` breaks.
pub async fn session_revoker(port: &dyn SessionRevoker, sign_in: impl Fn(&str)) {
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
    sign_in(&user);
    sign_in(&user);
    sign_in(&other);
    assert_eq!(
        ok("sessions", port.sessions(&user).await).active,
        2,
        "every session must be seen"
    );
    ok("revoke", port.revoke(&user, &key).await);
    ok("revoke again", port.revoke(&user, &key).await);
    assert_eq!(
        ok("sessions", port.sessions(&user).await).active,
        0,
        "no session must be left"
    );
    assert_eq!(
        ok("sessions", port.sessions(&other).await).active,
        1,
        "another user must keep theirs"
    );
    sign_in(&user);
    assert_eq!(
        ok("sessions", port.sessions(&user).await).active,
        1,
        "a new session must be seen"
    );
}
