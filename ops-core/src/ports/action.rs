use std::fmt::Debug;

use async_trait::async_trait;

use crate::error::Result;
use crate::model::{Accepted, Effect, IdempotencyKey, Observation, Share, Snapshot, TargetId, Text, Verdict};

/// One thing that a procedure does to one target: the only extension point of the engine.
///
/// # Contract
/// - `observe` reads fresh evidence; the engine verifies by it, never by the answer of `apply` or `restore`.
/// - After an effective `apply`, `verify` of a fresh `observe` holds.
/// - After an effective `restore(prior)`, the fields that `observe` gives equal those of `prior`.
/// - `apply` and `restore` set a wanted state: repeating them is harmless.
/// - No retry, no journal, no audit, no notice: the engine does each of these once.
///
/// # Errors
/// As the port behind the action.
///
/// # Cancellation
/// Dropping `apply` or `restore` may leave the change accepted; the engine observes afterwards.
#[async_trait]
pub trait Action: Debug + Send + Sync + 'static {
    /// What is acted on.
    fn target(&self) -> &TargetId;
    /// What it does to the world.
    fn effect(&self) -> Effect;
    /// One line for plan, runbook, audit and notice alike.
    fn describe(&self) -> Text;
    /// One line for the way back.
    fn describe_restore(&self) -> Text;
    /// What stays possible after `apply`, known beforehand.
    fn limitations(&self) -> Vec<Text>;
    /// Reads the present state.
    async fn observe(&self) -> Result<Observation>;
    /// Judges what `observe` read: is the stopped state in force and settled? Pure.
    fn verify(&self, observed: &Observation) -> Verdict;
    /// Sets the stopped state.
    async fn apply(&self, key: &IdempotencyKey) -> Result<Accepted>;
    /// Writes back `prior`.
    async fn restore(&self, prior: &Snapshot, key: &IdempotencyKey) -> Result<Accepted>;
    /// The way back in parts, where the provider can split its users; `None`: all or nothing.
    fn ramp(&self) -> Option<&dyn Ramp>;
}

/// The way back in parts: first a share of the users, the whole by [`Action::restore`].
///
/// # Contract
/// - After an effective `open_partly(share)`, `verify_share(share)` of a fresh `observe` holds, and about `share` of the users get through:
///   the same users each time, and whoever gets through at a smaller share does so at a larger one.
/// - A partly open target is [`TargetState::PartlyStopped`](crate::model::TargetState::PartlyStopped), and [`Action::apply`] stops it again as a whole.
/// - Repeating is harmless; going back to a smaller share is allowed.
///
/// # Errors
/// As the port behind the action.
///
/// # Cancellation
/// As [`Action::restore`].
#[async_trait]
pub trait Ramp: Debug + Send + Sync {
    /// Opens for `share` of the users; `prior` is what the whole restore will write back.
    async fn open_partly(&self, prior: &Snapshot, share: Share, key: &IdempotencyKey) -> Result<Accepted>;
    /// Judges what `observe` read: is exactly this share open, and settled? Pure.
    fn verify_share(&self, observed: &Observation, share: Share) -> Verdict;
}
