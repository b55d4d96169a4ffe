use std::vec::IntoIter;

use async_trait::async_trait;

use crate::error::Result;
use crate::model::AuditRecord;
use crate::ports::{AuditReceipt, EvidenceFilter, TrailEntry, TrailExtent, TrailSnapshot};

/// A snapshot that is held in memory, for stores that have all records at hand.
#[derive(Debug)]
pub(crate) struct HeldTrail {
    extent: TrailExtent,
    entries: IntoIter<(AuditReceipt, AuditRecord)>,
}

impl HeldTrail {
    pub(crate) fn new(
        chain: Vec<(AuditReceipt, AuditRecord)>,
        filter: &EvidenceFilter,
        store: &'static str,
    ) -> Self {
        let query = filter.query();
        let matching = chain.iter().filter(|(_, record)| query.matches(record)).count();
        Self {
            extent: TrailExtent::new(
                chain.last().map(|(receipt, _)| receipt.clone()),
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
        let batch = self.entries.by_ref().take(BATCH);
        Ok(batch
            .map(|(receipt, record)| TrailEntry::Record { receipt, record })
            .collect())
    }
}

const BATCH: usize = 1000;
