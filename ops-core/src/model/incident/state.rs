use std::fmt;

use serde::{Deserialize, Serialize};

use super::{IncidentEntry, IncidentLayer};
use crate::model::{Actor, IncidentEntryId, IncidentId, RunId, Severity, TenantId, Timestamp};

/// How far an incident is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::exhaustive_enums, reason = "callers map each to an answer")]
pub enum IncidentStatus {
    /// Nobody knows why yet.
    Open,
    /// The cause is known; it is not over.
    CauseFound,
    /// It is over.
    Resolved,
}

impl IncidentStatus {
    /// `open`, `cause_found` or `resolved`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::CauseFound => "cause_found",
            Self::Resolved => "resolved",
        }
    }
}

/// An incident as its entries make it. Texts in it are masked.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Incident {
    /// Its id.
    pub id: IncidentId,
    /// What it is called.
    pub title: String,
    /// How bad it is.
    pub severity: Severity,
    /// How bad it was at worst: what its times are measured by, so that lowering it later loosens nothing.
    pub worst: Severity,
    /// Whose it is; `None`: it concerns everybody.
    pub tenant: Option<TenantId>,
    /// How far it is.
    pub status: IncidentStatus,
    /// Where the fault is; `None`: the triage has not said.
    pub layer: Option<IncidentLayer>,
    /// When it was first noticed.
    pub detected_at: Timestamp,
    /// The entry that opened it.
    pub opening: IncidentEntryId,
    /// When it was opened.
    pub opened_at: Timestamp,
    /// Who opened it.
    pub opened_by: Actor,
    /// When somebody first took it on, and who: of all who did, the earliest.
    pub acknowledged: Option<(Timestamp, Actor)>,
    /// When it was over; `None` while it is not, also after it was reopened.
    pub resolved_at: Option<Timestamp>,
    /// The runs that belong to it.
    pub runs: Vec<RunId>,
    /// Who was hit, in words.
    pub impact: Vec<String>,
    /// The cause, in words.
    pub cause: Option<String>,
    /// What ended it, in words; the last one where it was reopened.
    pub resolution: Option<String>,
    /// What keeps it from happening again.
    pub preventions: Vec<Prevention>,
    /// The number of the entry that arrived last.
    pub newest: u32,
    /// Entries that changed nothing, and why.
    pub without_effect: Vec<WithoutEffect>,
}

/// What keeps an incident from happening again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Prevention {
    /// In words.
    pub text: String,
    /// Who sees to it.
    pub owner: String,
}

impl Prevention {
    /// What is done, and who sees to it.
    pub fn new(text: impl Into<String>, owner: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            owner: owner.into(),
        }
    }
}

/// An entry that changed nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct WithoutEffect {
    /// Which entry.
    pub entry: IncidentEntryId,
    /// Its number.
    pub number: u32,
    /// Why.
    pub rule: IncidentRule,
}

impl WithoutEffect {
    /// An entry, and why it changed nothing.
    pub fn new(entry: &IncidentEntry, rule: IncidentRule) -> Self {
        Self {
            entry: entry.id.clone(),
            number: entry.number,
            rule,
        }
    }
}

/// Why a change cannot be made to an incident.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum IncidentRule {
    /// Nothing comes before it is opened.
    NotOpened,
    /// It is opened once.
    OpenedAlready,
    /// Somebody has taken it on already.
    AcknowledgedAlready,
    /// It is over already.
    ResolvedAlready,
    /// It is not over, so it cannot be reopened.
    NotResolved,
    /// It has this severity already.
    SameSeverity,
    /// The run belongs to it already.
    LinkedAlready,
    /// A newer version wrote it, and this one does not know what it means.
    UnknownChange,
}

impl IncidentRule {
    /// `not_opened`, `opened_already`, `acknowledged_already`, `resolved_already`, `not_resolved`, `same_severity`, `linked_already` or `unknown_change`.
    pub fn name(self) -> &'static str {
        match self {
            Self::NotOpened => "not_opened",
            Self::OpenedAlready => "opened_already",
            Self::AcknowledgedAlready => "acknowledged_already",
            Self::ResolvedAlready => "resolved_already",
            Self::NotResolved => "not_resolved",
            Self::SameSeverity => "same_severity",
            Self::LinkedAlready => "linked_already",
            Self::UnknownChange => "unknown_change",
        }
    }
}

impl fmt::Display for IncidentRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
