use std::sync::Arc;

use async_trait::async_trait;

use crate::error::{Error, ErrorKind, Result};
use crate::model::{Accepted, Effect, IdempotencyKey, Observation, Snapshot, TargetId, Text, Verdict};
use crate::ports::{Action, Ramp};

/// An action that is applied only while others are read to be in force: a closing stage that fails keeps none from running, and here
/// it must.
#[derive(Debug)]
pub(super) struct Follows {
    action: Arc<dyn Action>,
    first: Vec<Arc<dyn Action>>,
}

impl Follows {
    pub(super) fn new(action: Arc<dyn Action>, first: Vec<Arc<dyn Action>>) -> Self {
        Self { action, first }
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Action for Follows {
    fn target(&self) -> &TargetId {
        self.action.target()
    }

    fn effect(&self) -> Effect {
        self.action.effect()
    }

    fn describe(&self) -> Text {
        self.action.describe()
    }

    fn describe_restore(&self) -> Text {
        self.action.describe_restore()
    }

    fn limitations(&self) -> Vec<Text> {
        self.action.limitations()
    }

    async fn observe(&self) -> Result<Observation> {
        self.action.observe().await
    }

    fn verify(&self, observed: &Observation) -> Verdict {
        self.action.verify(observed)
    }

    async fn apply(&self, key: &IdempotencyKey) -> Result<Accepted> {
        for first in &self.first {
            let verdict = first.verify(&first.observe().await?);
            if !verdict.holds() {
                return Err(Error::new(ErrorKind::InvalidInput, "roll back")
                    .context("must be back first", first.target().to_string()));
            }
        }
        self.action.apply(key).await
    }

    async fn restore(&self, prior: &Snapshot, key: &IdempotencyKey) -> Result<Accepted> {
        self.action.restore(prior, key).await
    }

    fn ramp(&self) -> Option<&dyn Ramp> {
        self.action.ramp()
    }
}
