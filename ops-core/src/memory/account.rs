use std::collections::BTreeMap;
use std::sync::Mutex;

use async_trait::async_trait;

use super::lock;
use super::plug::Plug;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Accepted, IdempotencyKey, Text};
use crate::ports::{AccountSeen, AccountSuspender};

/// Accounts in memory.
#[derive(Debug, Default)]
pub struct InMemoryAccounts {
    /// Whether each is suspended.
    users: Mutex<BTreeMap<String, bool>>,
    plug: Plug,
}

impl InMemoryAccounts {
    /// Nobody is known.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an account that is not suspended; one that is there stays as it is.
    pub fn add_user(&self, user: impl Into<String>) {
        lock(&self.users).entry(user.into()).or_default();
    }

    /// Somebody else suspends the account (`true`) or resumes it, as at the vendor's console.
    pub fn set_suspended(&self, user: &str, suspended: bool) {
        if let Some(found) = lock(&self.users).get_mut(user) {
            *found = suspended;
        }
    }

    /// Whether the user can sign in; nobody cannot.
    pub fn admits(&self, user: &str) -> bool {
        lock(&self.users).get(user) == Some(&false)
    }

    /// Pulls the plug (`false`) or puts it back.
    pub fn set_reachable(&self, reachable: bool) {
        self.plug.set_reachable(reachable);
    }

    fn with<T>(&self, user: &str, operation: &'static str, act: impl FnOnce(&mut bool) -> T) -> Result<T> {
        self.plug.check(operation)?;
        // The user is not named: an error holds no personal data.
        let unknown = || {
            Error::new(ErrorKind::NotFound, operation)
                .provider("memory")
                .context("user", "there is none of that id")
        };
        lock(&self.users).get_mut(user).map(act).ok_or_else(unknown)
    }
}

#[async_trait]
impl AccountSuspender for InMemoryAccounts {
    fn directory(&self) -> &str {
        "memory"
    }

    fn limitations(&self) -> Vec<Text> {
        Vec::new()
    }

    async fn account(&self, user: &str) -> Result<AccountSeen> {
        self.with(user, "read account", |suspended| AccountSeen::new(*suspended))
    }

    async fn suspend(&self, user: &str, _key: &IdempotencyKey) -> Result<Accepted> {
        self.with(user, "suspend account", |suspended| *suspended = true)?;
        Ok(Accepted::new())
    }

    async fn resume(&self, user: &str, _key: &IdempotencyKey) -> Result<Accepted> {
        self.with(user, "resume account", |suspended| *suspended = false)?;
        Ok(Accepted::new())
    }
}
