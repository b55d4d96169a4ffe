use std::time::Duration;

use serde::Serialize;

use crate::guard::SwitchSource;

/// How well a process knows what the others have decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct SwitchHealth {
    /// How long ago the shared store was read; `None`: never since the start.
    pub since_contact: Option<Duration>,
    /// The generation in force.
    pub generation: u64,
    /// Where it comes from.
    pub source: SwitchSource,
    /// Whether hints arrive; `None`: there are none, or it is not known. Without them polling carries the bound alone.
    pub hints: Option<bool>,
    /// Why they cannot be listened for now.
    pub hint_fault: Option<String>,
    /// The features that stop unless there is contact again, and when; zero: stopped for that reason.
    pub stops_in: Vec<(String, Duration)>,
    /// The store's generation went back, as after a restore from a backup: it stops, and opens nothing until it has passed `generation`.
    pub went_back: bool,
    /// What failed last; `None` after a success.
    pub fault: Option<String>,
    /// Why this process cannot say what it has applied; `None` after a success, and where nobody is to be told. While it cannot, whoever
    /// stops something does not see this process at all.
    pub report_fault: Option<String>,
    /// Why what the shared store says cannot be kept in, or read from, the file for a restart; `None` after a success.
    pub last_known_fault: Option<String>,
}
