use std::collections::BTreeMap;
use std::sync::Mutex;

use async_trait::async_trait;

use super::lock;
use super::plug::Plug;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{IncidentEntry, IncidentId, IncidentSummary};
use crate::ports::{IncidentPage, IncidentQuery, IncidentStore};

/// Incidents in memory. They do not survive the process: for tests.
#[derive(Debug, Default)]
pub struct InMemoryIncidents {
    incidents: Mutex<BTreeMap<IncidentId, Kept>>,
    plug: Plug,
}

#[derive(Debug)]
struct Kept {
    entries: Vec<IncidentEntry>,
    summary: IncidentSummary,
}

impl InMemoryIncidents {
    /// No incident yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Pulls the plug (`false`) or puts it back.
    pub fn set_reachable(&self, reachable: bool) {
        self.plug.set_reachable(reachable);
    }
}

#[async_trait]
impl IncidentStore for InMemoryIncidents {
    async fn append(&self, entry: &IncidentEntry) -> Result<()> {
        self.plug.check(KEEP)?;
        entry.check()?;
        let mut incidents = lock(&self.incidents);
        let kept = incidents.get_mut(&entry.incident);
        let newest = kept.as_ref().map_or(0, |kept| kept.summary.newest);
        let conflict = || {
            Error::new(ErrorKind::Conflict, KEEP)
                .provider("memory")
                .context("newest", newest.to_string())
        };
        match (kept, IncidentSummary::of(entry)) {
            (Some(kept), _) if entry.number <= newest => match kept.entries.contains(entry) {
                true => Ok(()),
                false => Err(conflict()),
            },
            (Some(kept), None) if entry.number == newest + 1 => {
                kept.summary = kept.summary.clone().after(entry);
                kept.entries.push(entry.clone());
                Ok(())
            }
            (None, Some(summary)) => {
                let entries = vec![entry.clone()];
                incidents.insert(entry.incident.clone(), Kept { entries, summary });
                Ok(())
            }
            _ => Err(conflict()),
        }
    }

    async fn entries(&self, incident: &IncidentId) -> Result<Vec<IncidentEntry>> {
        self.plug.check("read incident")?;
        let incidents = lock(&self.incidents);
        Ok(incidents
            .get(incident)
            .map(|kept| kept.entries.clone())
            .unwrap_or_default())
    }

    async fn list(&self, query: &IncidentQuery) -> Result<IncidentPage> {
        self.plug.check("list incidents")?;
        query.check()?;
        let incidents = lock(&self.incidents);
        let shown = incidents.values().rev().map(|kept| &kept.summary);
        let shown = shown.filter(|summary| query.shows(summary));
        Ok(IncidentPage::of(
            query,
            shown.take(query.most + 1).cloned().collect(),
        ))
    }
}

const KEEP: &str = "keep incident entry";
