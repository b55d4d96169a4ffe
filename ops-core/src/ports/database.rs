use std::fmt::Debug;

use async_trait::async_trait;

use crate::error::Result;
use crate::model::{Accepted, IdempotencyKey, Observation, ReadOnlyStrength, Snapshot, TargetId, Text};

/// What a [`DatabaseGuard`] can do, and what its read-only mode does not cover.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DatabaseCapability {
    /// What the mode is to withstand, and what `observe` judges by.
    pub strength: ReadOnlyStrength,
    /// Sessions opened before the switch cannot write afterwards.
    pub covers_open_sessions: bool,
    /// A session cannot lift the mode for itself.
    pub withstands_session_settings: bool,
    /// Something is thrown away that `restore` cannot bring back, such as prepared transactions.
    pub throws_away: bool,
    /// Who can still write, for plan and report.
    pub limitations: Vec<Text>,
}

/// Puts a database into read-only mode and back.
///
/// # Contract
/// - `set_read_only` is idempotent. Whether it reaches sessions that are already open, and withstands a session's own `SET`, the
///   capability says, by its [`ReadOnlyStrength`].
/// - `observe` reports `Stopped` only if all that this strength does is in force; a stronger mode in force counts too. Its snapshot
///   holds every setting and privilege that `set_read_only` of any strength changes, so that `restore` undoes a stronger one as well.
/// - `restore` works from a fresh session although new sessions are read-only by default.
/// - Writers named as exempt (the audit role) go on writing.
/// - Implementations do not retry, do not audit and do not notify.
///
/// # Errors
/// `PermissionDenied` when the role may not change the database; `Unavailable`, `Timeout`, `NotFound`.
///
/// # Cancellation
/// Dropping a future may leave the change made: `observe` before repeating.
#[async_trait]
pub trait DatabaseGuard: Debug + Send + Sync + 'static {
    /// What this provider can do.
    fn capability(&self) -> DatabaseCapability;
    /// Reads the present state of `target`.
    async fn observe(&self, target: &TargetId) -> Result<Observation>;
    /// Makes `target` read-only. The caller has journalled what `observe` returned.
    async fn set_read_only(&self, target: &TargetId, key: &IdempotencyKey) -> Result<Accepted>;
    /// Writes back `prior`.
    async fn restore(&self, prior: &Snapshot, key: &IdempotencyKey) -> Result<Accepted>;
}
