use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;

use crate::error::{Error, ErrorKind, Result};
use crate::messages;
use crate::model::{
    Accepted, Effect, IdempotencyKey, Observation, Snapshot, TargetId, TargetState, Text, Verdict,
};
use crate::ports::{AccountSuspender, Action, Ramp};

/// Suspends the account of a user.
///
/// Its snapshot holds whether the account was suspended before. The way back leaves one that was so suspended, and resumes one that was not. What
/// others have changed meanwhile is a drift, as with every target.
#[derive(Clone, Debug)]
pub struct SuspendAccount {
    accounts: Arc<dyn AccountSuspender>,
    user: String,
    target: TargetId,
}

impl SuspendAccount {
    /// Suspends the account of `user`, an id of the directory.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] for an id that cannot be part of a target id.
    pub fn new(accounts: Arc<dyn AccountSuspender>, user: impl Into<String>) -> Result<Self> {
        let user = user.into();
        let target = TargetId::new(format!("account:{}/{user}", accounts.directory()))?;
        Ok(Self {
            accounts,
            user,
            target,
        })
    }

    /// Whether the account was suspended when `prior` was taken.
    fn was_suspended(&self, prior: &Snapshot) -> Result<bool> {
        let ours = prior.format() == FORMAT && *prior.target() == self.target;
        match prior.field(SUSPENDED) {
            Some(Value::Bool(suspended)) if ours => Ok(*suspended),
            _ => Err(Error::new(ErrorKind::InvalidInput, "restore account").context(
                "snapshot",
                format!("must be of this account, in the format {FORMAT}"),
            )),
        }
    }
}

#[async_trait]
impl Action for SuspendAccount {
    fn target(&self) -> &TargetId {
        &self.target
    }

    fn effect(&self) -> Effect {
        Effect::Reversible
    }

    fn describe(&self) -> Text {
        messages::suspend_account(&self.user)
    }

    fn describe_restore(&self) -> Text {
        messages::restore_account(&self.user)
    }

    fn limitations(&self) -> Vec<Text> {
        self.accounts.limitations()
    }

    async fn observe(&self) -> Result<Observation> {
        let seen = self.accounts.account(&self.user).await?;
        let state = match seen.suspended {
            true => TargetState::Stopped,
            false => TargetState::Serving,
        };
        let snapshot = Snapshot::new(self.target.clone(), FORMAT).with_field(SUSPENDED, seen.suspended);
        Ok(Observation::new(snapshot, state))
    }

    fn verify(&self, observed: &Observation) -> Verdict {
        observed.stopped()
    }

    async fn apply(&self, key: &IdempotencyKey) -> Result<Accepted> {
        self.accounts.suspend(&self.user, key).await
    }

    async fn restore(&self, prior: &Snapshot, key: &IdempotencyKey) -> Result<Accepted> {
        match self.was_suspended(prior)? {
            true => self.accounts.suspend(&self.user, key).await,
            false => self.accounts.resume(&self.user, key).await,
        }
    }

    fn ramp(&self) -> Option<&dyn Ramp> {
        None
    }
}

const FORMAT: &str = "account/1";
const SUSPENDED: &str = "suspended";
