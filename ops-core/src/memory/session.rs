use std::collections::BTreeMap;
use std::sync::Mutex;

use async_trait::async_trait;

use super::lock;
use super::plug::Plug;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Accepted, IdempotencyKey, Text};
use crate::ports::{SessionRevoker, SessionsSeen};

/// Sessions in memory.
#[derive(Debug, Default)]
pub struct InMemorySessions {
    users: Mutex<BTreeMap<String, u64>>,
    plug: Plug,
}

impl InMemorySessions {
    /// Nobody is known.
    pub fn new() -> Self {
        Self::default()
    }

    /// `user` signs in once more.
    pub fn sign_in(&self, user: impl Into<String>) {
        *lock(&self.users).entry(user.into()).or_default() += 1;
    }

    /// Pulls the plug (`false`) or puts it back.
    pub fn set_reachable(&self, reachable: bool) {
        self.plug.set_reachable(reachable);
    }
}

#[async_trait]
impl SessionRevoker for InMemorySessions {
    fn limitations(&self) -> Vec<Text> {
        Vec::new()
    }

    async fn sessions(&self, user: &str) -> Result<SessionsSeen> {
        self.plug.check("read sessions")?;
        let active = lock(&self.users)
            .get(user)
            .copied()
            .ok_or_else(|| unknown("read sessions"))?;
        Ok(SessionsSeen {
            active,
            tokens_until: None,
        })
    }

    async fn revoke(&self, user: &str, _key: &IdempotencyKey) -> Result<Accepted> {
        self.plug.check("revoke sessions")?;
        match lock(&self.users).get_mut(user) {
            Some(sessions) => *sessions = 0,
            None => return Err(unknown("revoke sessions")),
        }
        Ok(Accepted::default())
    }
}

/// The user is not named: an error holds no personal data.
fn unknown(operation: &'static str) -> Error {
    Error::new(ErrorKind::NotFound, operation)
        .provider("memory")
        .context("user", "nobody of that id has signed in")
}
