use std::sync::Arc;

use async_trait::async_trait;

use crate::error::Result;
use crate::messages;
use crate::model::{Accepted, Effect, IdempotencyKey, Observation, Snapshot, TargetId, Text, Verdict};
use crate::ports::{Action, Ramp, TrafficController};

/// Stops all traffic to one service.
#[derive(Clone, Debug)]
pub struct StopTraffic {
    controller: Arc<dyn TrafficController>,
    target: TargetId,
    name: String,
}

impl StopTraffic {
    /// Stops `target` through `controller`; `name` is what people call it.
    pub fn new(controller: Arc<dyn TrafficController>, target: TargetId, name: impl Into<String>) -> Self {
        Self {
            controller,
            target,
            name: name.into(),
        }
    }
}

#[async_trait]
impl Action for StopTraffic {
    fn target(&self) -> &TargetId {
        &self.target
    }

    fn effect(&self) -> Effect {
        Effect::Reversible
    }

    fn describe(&self) -> Text {
        messages::stop_service(&self.name)
    }

    fn describe_restore(&self) -> Text {
        messages::restore_service(&self.name)
    }

    fn limitations(&self) -> Vec<Text> {
        self.controller.capability().limitations
    }

    async fn observe(&self) -> Result<Observation> {
        self.controller.observe(&self.target).await
    }

    fn verify(&self, observed: &Observation) -> Verdict {
        observed.stopped()
    }

    async fn apply(&self, key: &IdempotencyKey) -> Result<Accepted> {
        self.controller.stop(&self.target, key).await
    }

    async fn restore(&self, prior: &Snapshot, key: &IdempotencyKey) -> Result<Accepted> {
        self.controller.restore(prior, key).await
    }

    fn ramp(&self) -> Option<&dyn Ramp> {
        None
    }
}
