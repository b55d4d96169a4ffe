use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;

use crate::error::Result;
use crate::messages;
use crate::model::{
    Accepted, Effect, IdempotencyKey, Observation, Snapshot, TargetId, TargetState, Text, Verdict,
};
use crate::ports::{Action, Ramp};

/// An action that observes its real target and only records what it would do: permissions to read, reachability and the plan are
/// drilled, and nothing is changed.
///
/// After a recorded `apply` it shows what it read as stopped, so that the rest of the path is walked too. It cannot show that a
/// stop would work, and its limitations say so. Give it a journal and an audit trail of their own: a held state that nothing was
/// stopped for would be in the way of the real stop.
#[derive(Debug)]
pub struct Rehearsal {
    action: Arc<dyn Action>,
    closed: AtomicBool,
    recorded: Mutex<Vec<Rehearsed>>,
}

/// A call that was recorded instead of made.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Rehearsed {
    /// The stop.
    Apply {
        /// Of which run and step.
        key: IdempotencyKey,
    },
    /// The way back.
    Restore {
        /// Of which run and step.
        key: IdempotencyKey,
        /// What would have been written.
        prior: Snapshot,
    },
}

impl Rehearsal {
    /// Records instead of `action`.
    pub fn new(action: Arc<dyn Action>) -> Self {
        Self {
            action,
            closed: AtomicBool::new(false),
            recorded: Mutex::default(),
        }
    }

    /// The calls so far, oldest first.
    pub fn recorded(&self) -> Vec<Rehearsed> {
        self.recorded
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn record(&self, call: Rehearsed, closed: bool) -> Accepted {
        self.recorded
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(call);
        self.closed.store(closed, Ordering::SeqCst);
        Accepted::with_receipt("recorded, not done")
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Action for Rehearsal {
    fn target(&self) -> &TargetId {
        self.action.target()
    }

    fn effect(&self) -> Effect {
        Effect::Observe
    }

    fn describe(&self) -> Text {
        self.action.describe()
    }

    fn describe_restore(&self) -> Text {
        self.action.describe_restore()
    }

    fn limitations(&self) -> Vec<Text> {
        let mut limitations = self.action.limitations();
        limitations.push(messages::only_recorded());
        limitations
    }

    async fn observe(&self) -> Result<Observation> {
        let seen = self.action.observe().await?;
        if !self.closed.load(Ordering::SeqCst) {
            return Ok(seen);
        }
        let shown = Observation::new(seen.snapshot().clone(), TargetState::Stopped);
        let shown = shown.with_marker(seen.marker().cloned());
        Ok(seen
            .caveats()
            .iter()
            .cloned()
            .chain([messages::only_recorded()])
            .fold(shown, Observation::with_caveat))
    }

    fn verify(&self, observed: &Observation) -> Verdict {
        observed.stopped()
    }

    async fn apply(&self, key: &IdempotencyKey) -> Result<Accepted> {
        Ok(self.record(Rehearsed::Apply { key: key.clone() }, true))
    }

    async fn restore(&self, prior: &Snapshot, key: &IdempotencyKey) -> Result<Accepted> {
        let (key, prior) = (key.clone(), prior.clone());
        Ok(self.record(Rehearsed::Restore { key, prior }, false))
    }

    fn ramp(&self) -> Option<&dyn Ramp> {
        // A part that is only recorded would be judged by what is really open.
        None
    }
}
