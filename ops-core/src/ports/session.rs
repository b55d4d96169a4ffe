use std::fmt::Debug;

use async_trait::async_trait;

use crate::error::Result;
use crate::model::{Accepted, IdempotencyKey, Text, Timestamp};

/// What is open in the name of a user, as far as the provider can tell. The default says that nothing is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SessionsSeen {
    /// Sessions that can be used or renewed; `None` where the provider does not count them, which is not zero.
    pub active: Option<u64>,
    /// No session that began before this, by our clock, can be renewed: a provider whose clock is another one converts, rather to a time that is too early. `None` where it
    /// keeps no such time, or has none of this user.
    pub ended_before: Option<Timestamp>,
    /// Until when tokens that were given out before may still be accepted, where nobody can take them back.
    pub tokens_until: Option<Timestamp>,
    /// What else the operator must be told of this user.
    pub caveats: Vec<Text>,
}

impl SessionsSeen {
    /// So many sessions are active.
    pub fn counted(active: u64) -> Self {
        Self {
            active: Some(active),
            ..Self::default()
        }
    }

    /// Sessions are not counted; those that began before `moment` are ended, `None`: none is known to be.
    pub fn uncounted(moment: Option<Timestamp>) -> Self {
        Self {
            ended_before: moment,
            ..Self::default()
        }
    }

    /// Tokens that were given out before may be accepted until then.
    #[must_use]
    pub fn with_tokens_until(mut self, until: Option<Timestamp>) -> Self {
        self.tokens_until = until;
        self
    }

    /// Adds what the operator must be told.
    #[must_use]
    pub fn with_caveat(mut self, caveat: Text) -> Self {
        self.caveats.push(caveat);
        self
    }

    /// Whether the provider says that no session that began before `moment` is left. What it does not know is not ended.
    pub fn none_left_from_before(&self, moment: Timestamp) -> bool {
        self.active == Some(0) || self.ended_before.is_some_and(|ended| ended >= moment)
    }
}

/// Ends the sessions of a user.
///
/// # Contract
/// - After an effective `revoke`, no session that was there before can be used or renewed; tokens that nobody can take back are told by
///   [`SessionsSeen::tokens_until`].
/// - `revoke` is idempotent, and `ended_before` never moves backwards. A user who signs in again has a new session: to keep them out is the matter of
///   [`AccountSuspender`](super::AccountSuspender).
/// - `sessions` asks each time, never a cache. It alone proves what `revoke` did.
/// - `sessions` tells `active` or `ended_before`, or both: a provider that can tell neither cannot be verified.
///
/// # Errors
/// `NotFound` for an unknown user, `PermissionDenied`, `Unavailable`, `Timeout`.
///
/// # Cancellation
/// Dropping `revoke` may leave the sessions ended.
#[async_trait]
pub trait SessionRevoker: Debug + Send + Sync + 'static {
    /// Which directory the users are of. The same id in another directory is another person: it is part of the target id.
    fn directory(&self) -> &str;
    /// What stays possible after `revoke`, for plan and report.
    fn limitations(&self) -> Vec<Text>;
    /// What is open in the name of `user`.
    async fn sessions(&self, user: &str) -> Result<SessionsSeen>;
    /// Ends all of it.
    async fn revoke(&self, user: &str, key: &IdempotencyKey) -> Result<Accepted>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_is_not_ended() {
        let moment = Timestamp::from_unix_micros(1_000_000);
        let just_before = Timestamp::from_unix_micros(999_999);
        assert!(!SessionsSeen::default().none_left_from_before(moment));
        assert!(!SessionsSeen::uncounted(None).none_left_from_before(moment));
        assert!(!SessionsSeen::uncounted(Some(just_before)).none_left_from_before(moment));
        assert!(SessionsSeen::uncounted(Some(moment)).none_left_from_before(moment));
        assert!(!SessionsSeen::counted(1).none_left_from_before(moment));
        assert!(SessionsSeen::counted(0).none_left_from_before(moment));
    }
}
