use std::fmt::Debug;

use async_trait::async_trait;

use crate::error::Result;
use crate::model::{Accepted, IdempotencyKey, Observation, Snapshot, TargetId, Text};

/// What a [`TrafficController`] can do, and what its stop does not cover.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TrafficCapability {
    /// Requests that the vendor has accepted before the stop may still finish.
    pub lets_running_requests_finish: bool,
    /// The stop leaves the id of its run on the target, so that another machine finds it.
    pub leaves_marker: bool,
    /// What stays reachable or running after a stop, for plan and report.
    pub limitations: Vec<Text>,
}

/// Controls whether user traffic reaches a service.
///
/// # Contract
/// - `stop` is idempotent: stopping a stopped target succeeds and changes nothing.
/// - On `Ok` the change is *accepted*; [`observe`](Self::observe) tells whether it is *effective*.
/// - `observe` asks the vendor each time, never a cache, and its snapshot holds every field that `stop` changes, the
///   vendor's side effects included.
/// - `restore` writes back exactly the snapshot's fields, whatever the state is now; repeating it is harmless.
/// - Implementations do not retry, do not audit and do not notify: the executor does.
///
/// # Errors
/// `NotFound` for an unknown target, `PermissionDenied`, `Unauthenticated`, `RateLimited`, `Unavailable`, `Timeout`,
/// `Conflict` when somebody changed the target between read and write, `Unexpected` for an answer outside the vendor's contract.
///
/// # Cancellation
/// Dropping a future may leave the change accepted: `observe` before repeating.
#[async_trait]
pub trait TrafficController: Debug + Send + Sync + 'static {
    /// What this provider can do.
    fn capability(&self) -> TrafficCapability;
    /// Reads the present state of `target`.
    async fn observe(&self, target: &TargetId) -> Result<Observation>;
    /// Stops traffic to `target`. The caller has journalled what `observe` returned.
    async fn stop(&self, target: &TargetId, key: &IdempotencyKey) -> Result<Accepted>;
    /// Writes back `prior`.
    async fn restore(&self, prior: &Snapshot, key: &IdempotencyKey) -> Result<Accepted>;
}
