use super::{fresh, fresh_run, ok, refused};
use crate::error::ErrorKind;
use crate::model::IdempotencyKey;
use crate::ports::AccountSuspender;

/// The contract of [`AccountSuspender`].
///
/// `add_user` adds a user who can sign in, and `admits` says whether one can: what the port says is compared with it.
///
/// # Panics
/// With the clause that `port` breaks.
pub async fn account_suspender(
    port: &dyn AccountSuspender,
    add_user: impl Fn(&str) + Send + Sync,
    admits: impl Fn(&str) -> bool + Send + Sync,
) {
    assert!(
        !port.directory().trim().is_empty(),
        "the directory must have a name"
    );
    let (user, other) = (fresh("user"), fresh("other"));
    let key = IdempotencyKey::for_step(&fresh_run(), 0);
    let unknown = ErrorKind::NotFound;
    refused("account of nobody", unknown, port.account(&user).await);
    refused("suspend for nobody", unknown, port.suspend(&user, &key).await);
    refused("resume for nobody", unknown, port.resume(&user, &key).await);
    add_user(&user);
    add_user(&other);
    let is = async |of: &str, suspended: bool, clause: &str| {
        let seen = ok("account", port.account(of).await);
        assert_eq!(seen.suspended, suspended, "{clause}");
        assert_eq!(admits(of), !suspended, "in truth: {clause}");
    };
    is(&user, false, "a new account must not be suspended").await;
    ok("resume", port.resume(&user, &key).await);
    is(&user, false, "resuming what is not suspended must change nothing").await;
    for clause in [
        "suspend must keep the user out",
        "suspend again must change nothing",
    ] {
        ok("suspend", port.suspend(&user, &key).await);
        is(&user, true, clause).await;
        is(&other, false, "another account must stay as it was").await;
    }
    ok("suspend another", port.suspend(&other, &key).await);
    for clause in ["resume must let the user in", "resume again must change nothing"] {
        ok("resume", port.resume(&user, &key).await);
        is(&user, false, clause).await;
        is(&other, true, "another account must stay suspended").await;
    }
    ok("suspend once more", port.suspend(&user, &key).await);
    is(&user, true, "the same key must suspend what was resumed since").await;
}
