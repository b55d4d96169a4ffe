use std::collections::BTreeMap;
use std::fmt::Debug;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

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
