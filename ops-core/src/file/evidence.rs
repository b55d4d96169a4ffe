use async_trait::async_trait;

use super::FileAudit;
use crate::audit::HeldTrail;
use crate::error::Result;
use crate::model::TenantId;
use crate::ports::{AuditStore, EvidenceFilter, EvidenceSource, TrailSnapshot};

/// The snapshot is held in memory, as whatever this store reads. A line that cannot be read is an error: keep a copy of the file itself then.
#[async_trait]
impl EvidenceSource for FileAudit {
    async fn snapshot(&self, tenant: &TenantId, filter: &EvidenceFilter) -> Result<Box<dyn TrailSnapshot>> {
        let chain = AuditStore::chain(self, tenant, 0, u32::MAX).await?;
        Ok(Box::new(HeldTrail::new(chain, filter, "file/1")))
    }
}
