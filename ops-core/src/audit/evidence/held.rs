use std::vec::IntoIter;

use async_trait::async_trait;

use crate::error::Result;
use crate::ports::{EvidenceFilter, TrailEntry, TrailExtent, TrailSnapshot};

/// A snapshot that is held in memory, for stores that have all records at hand.
#[derive(Debug)]
pub(crate) struct HeldTrail {
    extent: TrailExtent,
    entries: IntoIter<TrailEntry>,
}

impl HeldTrail {
    pub(crate) fn new(chain: Vec<TrailEntry>, filter: &EvidenceFilter, store: &'static str) -> Self {
        let query = filter.query();
        let matching = chain
            .iter()
            .filter_map(TrailEntry::record)
            .filter(|(_, record)| query.matches(record))
            .count();
        Self {
            extent: TrailExtent::new(
                chain.last().and_then(TrailEntry::receipt).cloned(),
                u64::try_from(matching).unwrap_or(u64::MAX),
                store,
            ),
            entries: chain.into_iter(),
        }
    }
}

#[async_trait]
impl TrailSnapshot for HeldTrail {
    fn extent(&self) -> &TrailExtent {
        &self.extent
    }

    async fn next(&mut self) -> Result<Vec<TrailEntry>> {
        Ok(self.entries.by_ref().take(BATCH).collect())
    }
}

const BATCH: usize = 1000;
