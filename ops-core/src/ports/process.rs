use std::collections::BTreeMap;
use std::fmt::{self, Debug};
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::error::{Error, ErrorKind, Result};
use crate::model::Timestamp;

/// One life of one process. A process that is started again has another.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ProcessId(String);

impl ProcessId {
    /// An id that nobody else has.
    pub fn generate() -> Self {
        Self(Uuid::new_v4().simple().to_string())
    }

    /// The id as it was written down.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] unless it is 1 to 64 small letters, digits and hyphens.
    pub fn new(id: impl Into<String>) -> Result<Self> {
        let id = id.into();
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if !(1..=64).contains(&id.len()) || !id.bytes().all(allowed) {
            return Err(Error::new(ErrorKind::InvalidInput, "read process id")
                .context("id", "must be 1 to 64 small letters, digits and hyphens"));
        }
        Ok(Self(id))
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for ProcessId {
    type Error = Error;
    fn try_from(id: String) -> Result<Self> {
        Self::new(id)
    }
}

impl From<ProcessId> for String {
    fn from(id: ProcessId) -> Self {
        id.0
    }
}

impl fmt::Display for ProcessId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The guarded calls of one feature in one process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct CallCount {
    /// How many were let in since the process began.
    pub total: u64,
    /// How many of them run.
    pub running: u64,
}

impl CallCount {
    /// So many, of which so many run.
    pub fn new(total: u64, running: u64) -> Self {
        Self { total, running }
    }
}

/// A process with a kill switch, and what it has applied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SwitchProcess {
    /// Which.
    pub id: ProcessId,
    /// The service it belongs to.
    pub service: String,
    /// Where it runs: the instance name that the service gave, else a short hash of the machine's name; never the name itself, which may be a
    /// person's. And the process number.
    pub instance: String,
    /// When it began.
    pub started: Timestamp,
    /// The generation of the shared store that it read last, and whose stops are in force in it; 0 before the first.
    pub generation: u64,
    /// Its features and their guarded calls.
    pub calls: BTreeMap<String, CallCount>,
    /// Whether hints were seen to arrive there; `None`: it has none, or does not know yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hints: Option<bool>,
}

impl SwitchProcess {
    /// A process that has applied nothing yet.
    pub fn new(
        id: ProcessId,
        service: impl Into<String>,
        instance: impl Into<String>,
        started: Timestamp,
    ) -> Self {
        Self {
            id,
            service: service.into(),
            instance: instance.into(),
            started,
            generation: 0,
            calls: BTreeMap::new(),
            hints: None,
        }
    }

    /// `service (instance)`: what people call it.
    pub fn name(&self) -> String {
        format!("{} ({})", self.service, self.instance)
    }
}

/// A process, and for how long nothing was heard of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Presence {
    /// What it said last.
    pub process: SwitchProcess,
    /// How long ago that was, by the registry's clock.
    pub silent_for: Duration,
}

impl Presence {
    /// `process`, silent for so long.
    pub fn new(process: SwitchProcess, silent_for: Duration) -> Self {
        Self { process, silent_for }
    }

    /// After this much silence a process is missing: three signs of life did not come.
    pub const MISSING_AFTER: Duration = Duration::from_secs(15);

    /// Whether it has not applied `generation`, the present one of the store, though it has the feature. A higher one is not that one: the
    /// store may have gone back (restored from a backup), and begun to count anew.
    pub fn owes(&self, feature: &str, generation: u64) -> bool {
        self.process.calls.contains_key(feature) && self.process.generation != generation
    }

    /// Whether nothing was heard of it for longer than [`MISSING_AFTER`](Self::MISSING_AFTER).
    pub fn is_missing(&self) -> bool {
        self.silent_for >= Self::MISSING_AFTER
    }

    /// After this much silence a process counts as gone and is not listed any more. Before, it is missing: it may come back and go on.
    pub const EXPIRES_AFTER: Duration = Duration::from_secs(60 * 60);
}

/// Knows which processes there are, and which generation of the switches each has applied.
///
/// # Contract
/// - `report` stores what a process says of itself in place of what it said before; the registry's clock, not the process's, dates it.
/// - `remove` forgets a process; one that is not known is no error.
/// - `processes` lists every process that reported within [`Presence::EXPIRES_AFTER`] and was not removed, in the order of their ids.
///
/// # Errors
/// `Unavailable`, `Timeout`; `Unexpected` for stored data that cannot be read.
///
/// # Cancellation
/// Dropping a call may leave it made; repeating is harmless.
#[async_trait]
pub trait ProcessRegistry: Debug + Send + Sync + 'static {
    /// Stores what a process says of itself: also its sign of life.
    async fn report(&self, process: &SwitchProcess) -> Result<()>;
    /// Forgets a process that has ended.
    async fn remove(&self, process: &ProcessId) -> Result<()>;
    /// The processes that there are, as far as is known.
    async fn processes(&self) -> Result<Vec<Presence>>;
}
