use serde::{Deserialize, Serialize};

use super::{IncidentChange, IncidentEntry, IncidentStatus};
use crate::model::{IncidentId, Severity, TenantId, Timestamp};

/// What a list shows of an incident. A store keeps it beside the entries, so that a list reads a row an incident and not every entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct IncidentSummary {
    /// Its id.
    pub id: IncidentId,
    /// What it is called, masked.
    pub title: String,
    /// How bad it is.
    pub severity: Severity,
    /// Whose it is; `None`: it concerns everybody.
    pub tenant: Option<TenantId>,
    /// How far it is.
    pub status: IncidentStatus,
    /// Whether a cause was named.
    pub cause_known: bool,
    /// When it was opened.
    pub opened_at: Timestamp,
    /// The number of the entry that arrived last.
    pub newest: u32,
}

impl IncidentSummary {
    /// Of all entries of an incident, as they are kept; `None` if there is none, or the first does not open.
    pub fn of_all(entries: &[IncidentEntry]) -> Option<Self> {
        let first = entries.first()?;
        let IncidentChange::Opened {
            title,
            severity,
            tenant,
            ..
        } = &first.change
        else {
            return None;
        };
        let mut summary = Self {
            id: first.incident.clone(),
            title: title.clone(),
            severity: *severity,
            tenant: tenant.clone(),
            status: IncidentStatus::Open,
            cause_known: false,
            opened_at: first.at,
            newest: first.number,
        };
        let mut over = false;
        for entry in IncidentEntry::in_order(entries) {
            summary.newest = summary.newest.max(entry.number);
            // What breaks a rule says again what is so already: the last one decides all the same.
            match &entry.change {
                IncidentChange::Severity { severity, .. } => summary.severity = *severity,
                IncidentChange::Cause { .. } => summary.cause_known = true,
                IncidentChange::Resolved { .. } => over = true,
                IncidentChange::Reopened { .. } => over = false,
                _ => {}
            }
        }
        summary.status = match (over, summary.cause_known) {
            (true, _) => IncidentStatus::Resolved,
            (false, true) => IncidentStatus::CauseFound,
            (false, false) => IncidentStatus::Open,
        };
        Some(summary)
    }
}
