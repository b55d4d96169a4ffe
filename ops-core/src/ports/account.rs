use std::fmt::Debug;

use async_trait::async_trait;

use crate::error::Result;
use crate::model::{Accepted, IdempotencyKey, Text};

/// What an account of a user is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AccountSeen {
    /// The user can neither sign in nor go on, whoever suspended the account.
    pub suspended: bool,
}

impl AccountSeen {
    /// An account that is suspended, or is not.
    pub fn new(suspended: bool) -> Self {
        Self { suspended }
    }
}

/// Suspends the account of a user: nobody signs in with it, until it is resumed.
///
/// This is another thing than ending sessions ([`SessionRevoker`](super::SessionRevoker)): a user whose sessions were ended signs in again, and a session that was not
/// ended may go on when the account is resumed.
///
/// # Contract
/// - After an effective `suspend`, the user cannot sign in; after an effective `resume`, they can. `account` alone proves either.
/// - `suspend` and `resume` are idempotent and change nothing else of the account, and nothing of another.
/// - `account` asks each time, never a cache.
/// - Nothing tells who suspended an account: the caller keeps what it was like before.
///
/// # Errors
/// `NotFound` for an unknown user, `PermissionDenied`, `Unavailable`, `Timeout`.
///
/// # Cancellation
/// Dropping `suspend` or `resume` may leave the account changed.
#[async_trait]
pub trait AccountSuspender: Debug + Send + Sync + 'static {
    /// Which directory the users are of. The same id in another directory is another person: it is part of the target id.
    fn directory(&self) -> &str;
    /// What stays possible after `suspend`, for plan and report.
    fn limitations(&self) -> Vec<Text>;
    /// What the account of `user` is like.
    async fn account(&self, user: &str) -> Result<AccountSeen>;
    /// Keeps the user out.
    async fn suspend(&self, user: &str, key: &IdempotencyKey) -> Result<Accepted>;
    /// Lets the user in again.
    async fn resume(&self, user: &str, key: &IdempotencyKey) -> Result<Accepted>;
}
