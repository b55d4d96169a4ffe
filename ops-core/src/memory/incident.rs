use std::collections::BTreeMap;
use std::sync::Mutex;

use async_trait::async_trait;

use super::lock;
use super::plug::Plug;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{IncidentEntry, IncidentId, IncidentSummary};
use crate::ports::{IncidentOutbox, IncidentPage, IncidentQuery, IncidentStore};

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
    /// Where how many of them are.
    mark: Option<(String, usize)>,
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
        match kept {
            Some(kept) if entry.number <= newest => match kept.entries.contains(entry) {
                true => Ok(()),
                false => Err(conflict()),
            },
            Some(kept) if entry.number == newest + 1 => {
                kept.entries.push(entry.clone());
                if let Some(summary) = IncidentSummary::of_all(&kept.entries) {
                    kept.summary = summary;
                }
                Ok(())
            }
            Some(_) => Err(conflict()),
            None => {
                let entries = vec![entry.clone()];
                let summary = IncidentSummary::of_all(&entries).ok_or_else(conflict)?;
                let kept = Kept {
                    entries,
                    summary,
                    mark: None,
                };
                incidents.insert(entry.incident.clone(), kept);
                Ok(())
            }
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

#[async_trait]
impl IncidentOutbox for InMemoryIncidents {
    async fn waiting(&self, place: &str) -> Result<Vec<IncidentId>> {
        self.plug.check("list incidents")?;
        let incidents = lock(&self.incidents);
        let waits = |kept: &Kept| {
            let there = kept.mark.as_ref().filter(|(marked, _)| marked == place);
            there.is_none_or(|(_, entries)| *entries < kept.entries.len())
        };
        let waiting = incidents.iter().filter(|(_, kept)| waits(kept));
        Ok(waiting.map(|(id, _)| id.clone()).collect())
    }

    async fn every(&self) -> Result<Vec<IncidentId>> {
        self.plug.check("list incidents")?;
        Ok(lock(&self.incidents).keys().cloned().collect())
    }

    async fn mark(&self, place: &str, incident: &IncidentId, entries: usize) -> Result<()> {
        self.plug.check(MARK)?;
        let mut incidents = lock(&self.incidents);
        match incidents.get_mut(incident) {
            Some(kept) if entries <= kept.entries.len() => kept.mark = Some((place.to_owned(), entries)),
            _ => {
                return Err(Error::new(ErrorKind::InvalidInput, MARK)
                    .provider("memory")
                    .context("entries", "there are fewer"));
            }
        }
        Ok(())
    }
}

const MARK: &str = "mark incident";
const KEEP: &str = "keep incident entry";
