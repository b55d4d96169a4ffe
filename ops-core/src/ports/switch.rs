use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::ProcessRegistry;
use crate::error::Result;
use crate::model::{Actor, RunId, Share, Timestamp};

/// Who switched a feature off, and when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SwitchedOff {
    /// When.
    pub at: Timestamp,
    /// By whom.
    pub by: Actor,
    /// In which run, if in one.
    pub run: Option<RunId>,
    /// While it is being opened in parts: the users who may use it all the same. `None`: nobody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub admitted: Option<Share>,
}

impl SwitchedOff {
    /// Switched off by `by`, `at`.
    pub fn new(at: Timestamp, by: Actor, run: Option<RunId>) -> Self {
        Self {
            at,
            by,
            run,
            admitted: None,
        }
    }
}

/// The shared intent of the operators: which features are stopped.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SwitchState {
    /// Grows by one with each write.
    pub generation: u64,
    /// The stopped features by name; a feature that is not listed is open.
    pub stopped: BTreeMap<String, SwitchedOff>,
}

/// Keeps the [`SwitchState`] that all processes share.
///
/// # Contract
/// - `read` of a store that was never written gives generation 0 and nothing stopped.
/// - `write` succeeds only if the stored generation is `expected`; it then stores `expected + 1` and returns it, durably.
///   A lost race is [`ErrorKind::Conflict`](crate::error::ErrorKind::Conflict) and changes nothing.
/// - A write is seen by every later `read`, from every process.
///
/// # Errors
/// `Conflict`, `Unavailable`, `Timeout`; `Unexpected` for stored data that cannot be read.
///
/// # Cancellation
/// Dropping `write` may leave it made: `read` before repeating.
#[async_trait]
pub trait SwitchStore: Debug + Send + Sync + 'static {
    /// The present state.
    async fn read(&self) -> Result<SwitchState>;
    /// Replaces the stopped features, compare-and-set on the generation.
    async fn write(&self, expected: u64, stopped: &BTreeMap<String, SwitchedOff>) -> Result<u64>;
}

/// What [`SwitchHints`] tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SwitchHint {
    /// The switches may have changed: read them now.
    Changed,
    /// Hints were just seen to arrive.
    Arrive,
    /// A hint was sent and did not arrive in time, as behind a pooler that shares sessions: only polling finds a change.
    Lost,
}

/// Tells early that the switches may have changed. A hint may be lost or wrong; polling is the truth.
///
/// # Contract
/// - The first hint of a connection, and one of each half minute without another, is [`SwitchHint::Arrive`] or [`SwitchHint::Lost`], by a
///   test that goes the way of a real change.
/// - After [`SwitchHint::Lost`] it goes on: the next call tests again, not before half a minute has passed.
///
/// # Errors
/// `Unavailable`, `Timeout`: there is no connection now; the next call makes one. The caller pauses.
///
/// # Cancellation
/// Dropping `next` may lose a hint.
#[async_trait]
pub trait SwitchHints: Debug + Send + Sync + 'static {
    /// Waits for the next hint. One caller at a time.
    async fn next(&self) -> Result<SwitchHint>;
}

/// The shared side of a kill switch, as a refresher makes it in its own runtime.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_structs, reason = "made to be written out with `..`")]
pub struct SwitchLink {
    /// What all processes share.
    pub store: Arc<dyn SwitchStore>,
    /// Early news of changes; without it, polling alone finds them.
    pub hints: Option<Arc<dyn SwitchHints>>,
    /// Where this process says what it has applied; without it, nobody learns.
    pub processes: Option<Arc<dyn ProcessRegistry>>,
}

impl SwitchLink {
    /// A store without hints and acknowledgements.
    pub fn new(store: Arc<dyn SwitchStore>) -> Self {
        Self {
            store,
            hints: None,
            processes: None,
        }
    }
}
