use super::stoppable::Stoppable;
use super::{fresh, fresh_run, ok, refused};
use crate::error::ErrorKind;
use crate::model::{IdempotencyKey, TargetId};
use crate::ports::TrafficController;

/// The contract of [`TrafficController`]. `target` must be serving, and is so again afterwards.
///
/// # Panics
/// With the clause that `port` breaks.
pub async fn traffic_controller(port: &dyn TrafficController, target: &TargetId) {
    Stoppable::Traffic(port, target)
        .stops_and_restores_exactly()
        .await;

    let nowhere = ok(
        "a target id",
        TargetId::new(format!("{}:{}", target.system(), fresh("none"))),
    );
    refused(
        "observe of an unknown target",
        ErrorKind::NotFound,
        port.observe(&nowhere).await,
    );
    let key = IdempotencyKey::for_step(&fresh_run(), 0);
    refused(
        "stop of an unknown target",
        ErrorKind::NotFound,
        port.stop(&nowhere, &key).await,
    );
}
