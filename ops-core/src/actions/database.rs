use std::sync::Arc;

use async_trait::async_trait;

use crate::error::Result;
use crate::messages;
use crate::model::{Accepted, Effect, IdempotencyKey, Observation, Snapshot, TargetId, Text, Verdict};
use crate::ports::{Action, DatabaseGuard, Ramp};

/// Makes one database read-only.
#[derive(Clone, Debug)]
pub struct MakeReadOnly {
    guard: Arc<dyn DatabaseGuard>,
    target: TargetId,
}

impl MakeReadOnly {
    /// Makes `target` read-only through `guard`.
    pub fn new(guard: Arc<dyn DatabaseGuard>, target: TargetId) -> Self {
        Self { guard, target }
    }
}

#[async_trait]
impl Action for MakeReadOnly {
    fn target(&self) -> &TargetId {
        &self.target
    }

    fn effect(&self) -> Effect {
        match self.guard.capability().throws_away {
            true => Effect::Irreversible,
            false => Effect::Reversible,
        }
    }

    fn describe(&self) -> Text {
        messages::read_only(self.target.name(), self.guard.capability().strength)
    }

    fn describe_restore(&self) -> Text {
        messages::read_write(self.target.name())
    }

    fn limitations(&self) -> Vec<Text> {
        self.guard.capability().limitations
    }

    async fn observe(&self) -> Result<Observation> {
        self.guard.observe(&self.target).await
    }

    fn verify(&self, observed: &Observation) -> Verdict {
        observed.stopped()
    }

    async fn apply(&self, key: &IdempotencyKey) -> Result<Accepted> {
        self.guard.set_read_only(&self.target, key).await
    }

    async fn restore(&self, prior: &Snapshot, key: &IdempotencyKey) -> Result<Accepted> {
        self.guard.restore(prior, key).await
    }

    fn ramp(&self) -> Option<&dyn Ramp> {
        None
    }
}
