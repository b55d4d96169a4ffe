use std::fmt::Debug;

use async_trait::async_trait;

use crate::error::Result;
use crate::model::{Accepted, IdempotencyKey, Text, Timestamp};

/// What is open in the name of a user.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SessionsSeen {
    /// Sessions that can be used or renewed.
    pub active: u64,
    /// Until when tokens that were given out before may still be accepted, where nobody can take them back.
    pub tokens_until: Option<Timestamp>,
}

/// Ends the sessions of a user.
///
/// # Contract
/// - After an effective `revoke`, no session that was there before can be used or renewed; tokens that nobody can take back are told by
///   [`SessionsSeen::tokens_until`].
/// - `revoke` is idempotent. A user who signs in again has a new session: to keep them out is another matter.
/// - `sessions` asks each time, never a cache.
///
/// # Errors
/// `NotFound` for an unknown user, `PermissionDenied`, `Unavailable`, `Timeout`.
///
/// # Cancellation
/// Dropping `revoke` may leave the sessions ended.
#[async_trait]
pub trait SessionRevoker: Debug + Send + Sync + 'static {
    /// What stays possible after `revoke`, for plan and report.
    fn limitations(&self) -> Vec<Text>;
    /// What is open in the name of `user`.
    async fn sessions(&self, user: &str) -> Result<SessionsSeen>;
    /// Ends all of it.
    async fn revoke(&self, user: &str, key: &IdempotencyKey) -> Result<Accepted>;
}
