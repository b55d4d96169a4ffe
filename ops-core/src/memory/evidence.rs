use async_trait::async_trait;

use super::InMemoryAudit;
use crate::audit::HeldTrail;
use crate::error::Result;
use crate::model::TenantId;
use crate::ports::{AuditStore, EvidenceFilter, EvidenceSource, TrailSnapshot};

#[async_trait]
impl EvidenceSource for InMemoryAudit {
    async fn snapshot(&self, tenant: &TenantId, filter: &EvidenceFilter) -> Result<Box<dyn TrailSnapshot>> {
        let chain = AuditStore::chain(self, tenant, 0, u32::MAX).await?;
        Ok(Box::new(HeldTrail::new(chain, filter, "memory/1")))
    }
}
