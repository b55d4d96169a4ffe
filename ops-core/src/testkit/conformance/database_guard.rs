use super::stoppable::Stoppable;
use super::{fresh, fresh_run, ok, refused};
use crate::error::ErrorKind;
use crate::model::{IdempotencyKey, TargetId};
use crate::ports::DatabaseGuard;

/// The contract of [`DatabaseGuard`], as far as the port alone can show it. `target` must be writable, and is so again
/// afterwards. That a session which was open before cannot write is for each provider's own tests.
///
/// # Panics
/// With the clause that `port` breaks.
pub async fn database_guard(port: &dyn DatabaseGuard, target: &TargetId) {
    Stoppable::Database(port, target)
        .stops_and_restores_exactly()
        .await;

    let nowhere = ok(
        "a target id",
        TargetId::new(format!("{}:{}", target.system(), fresh("none"))),
    );
    refused(
        "observe of an unknown database",
        ErrorKind::NotFound,
        port.observe(&nowhere).await,
    );
    let key = IdempotencyKey::for_step(&fresh_run(), 0);
    refused(
        "set_read_only of an unknown database",
        ErrorKind::NotFound,
        port.set_read_only(&nowhere, &key).await,
    );
}
