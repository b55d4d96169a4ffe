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
    /// The number of its newest entry.
    pub newest: u32,
}

impl IncidentSummary {
    /// That of an incident with this first entry; `None` if it does not open.
    pub fn of(entry: &IncidentEntry) -> Option<Self> {
        let IncidentChange::Opened {
            title,
            severity,
            tenant,
            ..
        } = &entry.change
        else {
            return None;
        };
        Some(Self {
            id: entry.incident.clone(),
            title: title.clone(),
            severity: *severity,
            tenant: tenant.clone(),
            status: IncidentStatus::Open,
            cause_known: false,
            opened_at: entry.at,
            newest: entry.number,
        })
    }

    /// With the next entry. What changes nothing counts all the same.
    #[must_use]
    pub fn after(mut self, entry: &IncidentEntry) -> Self {
        self.newest = entry.number;
        let over = self.status == IncidentStatus::Resolved;
        match &entry.change {
            IncidentChange::Severity { severity, .. } => self.severity = *severity,
            IncidentChange::Cause { .. } => {
                self.cause_known = true;
                if !over {
                    self.status = IncidentStatus::CauseFound;
                }
            }
            IncidentChange::Resolved { .. } => self.status = IncidentStatus::Resolved,
            IncidentChange::Reopened { .. } if over => self.status = self.unresolved(),
            _ => {}
        }
        self
    }

    /// Of all entries, in their order; `None` if there is none, or the first does not open.
    pub fn of_all(entries: &[IncidentEntry]) -> Option<Self> {
        let (first, rest) = entries.split_first()?;
        Some(rest.iter().fold(Self::of(first)?, Self::after))
    }

    fn unresolved(&self) -> IncidentStatus {
        if self.cause_known {
            IncidentStatus::CauseFound
        } else {
            IncidentStatus::Open
        }
    }
}
