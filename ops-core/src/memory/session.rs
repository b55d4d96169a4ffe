use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;

use super::lock;
use super::plug::Plug;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Accepted, IdempotencyKey, Text, Timestamp};
use crate::ports::{Clock, SessionRevoker, SessionsSeen};

/// Sessions in memory.
#[derive(Debug, Default)]
pub struct InMemorySessions {
    users: Mutex<BTreeMap<String, User>>,
    /// Set where sessions are not counted.
    clock: Option<Arc<dyn Clock>>,
    plug: Plug,
}

#[derive(Debug, Default)]
struct User {
    given: u64,
    active: BTreeSet<u64>,
    ended_before: Option<Timestamp>,
}

impl InMemorySessions {
    /// Nobody is known. Sessions are counted.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same, as a vendor that does not count: it tells only before when a session must have begun to be ended.
    pub fn uncounted(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock: Some(clock),
            ..Self::default()
        }
    }

    /// `user` signs in once more. Gives the number of the session.
    pub fn sign_in(&self, user: impl Into<String>) -> u64 {
        let mut users = lock(&self.users);
        let user = users.entry(user.into()).or_default();
        user.given += 1;
        user.active.insert(user.given);
        user.given
    }

    /// Whether a session of `user` can be renewed.
    pub fn renews(&self, user: &str, session: u64) -> bool {
        lock(&self.users)
            .get(user)
            .is_some_and(|user| user.active.contains(&session))
    }

    /// Pulls the plug (`false`) or puts it back.
    pub fn set_reachable(&self, reachable: bool) {
        self.plug.set_reachable(reachable);
    }
}

#[async_trait]
impl SessionRevoker for InMemorySessions {
    fn directory(&self) -> &str {
        "memory"
    }

    fn limitations(&self) -> Vec<Text> {
        Vec::new()
    }

    async fn sessions(&self, user: &str) -> Result<SessionsSeen> {
        self.plug.check("read sessions")?;
        let users = lock(&self.users);
        let user = users.get(user).ok_or_else(|| unknown("read sessions"))?;
        Ok(match self.clock {
            None => SessionsSeen::counted(user.active.len() as u64),
            Some(_) => SessionsSeen::uncounted(user.ended_before),
        })
    }

    async fn revoke(&self, user: &str, _key: &IdempotencyKey) -> Result<Accepted> {
        self.plug.check("revoke sessions")?;
        let mut users = lock(&self.users);
        let user = users.get_mut(user).ok_or_else(|| unknown("revoke sessions"))?;
        user.active.clear();
        // `None` is before every time.
        user.ended_before = user
            .ended_before
            .max(self.clock.as_ref().map(|clock| clock.now()));
        Ok(Accepted::default())
    }
}

/// The user is not named: an error holds no personal data.
fn unknown(operation: &'static str) -> Error {
    Error::new(ErrorKind::NotFound, operation)
        .provider("memory")
        .context("user", "nobody of that id has signed in")
}
