use std::collections::{BTreeMap, HashMap};
use std::sync::Mutex;

use async_trait::async_trait;
use uuid::Uuid;

use super::lock;
use super::plug::Plug;
use crate::audit::{link, page, verify};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{AuditRecord, TenantId};
use crate::ports::{AuditPage, AuditQuery, AuditReceipt, AuditStore, ChainReport};

/// An audit trail in memory, chained and searchable as the durable ones.
#[derive(Debug, Default)]
pub struct InMemoryAudit {
    trail: Mutex<Trail>,
    plug: Plug,
}

#[derive(Debug, Default)]
struct Trail {
    chains: BTreeMap<TenantId, Vec<(AuditReceipt, AuditRecord)>>,
    known: HashMap<Uuid, (AuditReceipt, AuditRecord)>,
}

impl InMemoryAudit {
    /// An empty trail.
    pub fn new() -> Self {
        Self::default()
    }

    /// All records of `tenant`, oldest first, with their receipts.
    pub fn chain(&self, tenant: &TenantId) -> Vec<(AuditReceipt, AuditRecord)> {
        lock(&self.trail).chains.get(tenant).cloned().unwrap_or_default()
    }

    /// Pulls the plug (`false`) or puts it back.
    pub fn set_reachable(&self, reachable: bool) {
        self.plug.set_reachable(reachable);
    }
}

#[async_trait]
impl AuditStore for InMemoryAudit {
    async fn append(&self, record: &AuditRecord) -> Result<AuditReceipt> {
        self.plug.check("append audit record")?;
        let mut trail = lock(&self.trail);
        if let Some((receipt, known)) = trail.known.get(&record.id) {
            if known == record {
                return Ok(receipt.clone());
            }
            return Err(Error::new(ErrorKind::Conflict, "append audit record")
                .provider("memory")
                .context("record", record.id.to_string())
                .context("cause", "the id is known with another content"));
        }
        let chain = trail.chains.entry(record.tenant.clone()).or_default();
        let (sequence, previous) = match chain.last() {
            Some((last, _)) => (last.sequence + 1, Some(last.hash)),
            None => (1, None),
        };
        let receipt = AuditReceipt::new(sequence, link(previous.as_ref(), sequence, record));
        chain.push((receipt.clone(), record.clone()));
        trail.known.insert(record.id, (receipt.clone(), record.clone()));
        Ok(receipt)
    }

    async fn search(&self, tenant: &TenantId, query: &AuditQuery) -> Result<AuditPage> {
        self.plug.check("search audit records")?;
        let trail = lock(&self.trail);
        let chain = trail.chains.get(tenant).map_or(&[][..], Vec::as_slice);
        page(chain.iter().map(|(_, record)| record), tenant, query)
    }

    async fn chain(
        &self,
        tenant: &TenantId,
        after: u64,
        limit: u32,
    ) -> Result<Vec<(AuditReceipt, AuditRecord)>> {
        self.plug.check("read audit records")?;
        let chain = self.chain(tenant).into_iter();
        Ok(chain
            .filter(|(receipt, _)| receipt.sequence > after)
            .take(usize::try_from(limit).unwrap_or(usize::MAX))
            .collect())
    }

    async fn verify(&self, tenant: &TenantId) -> Result<ChainReport> {
        self.plug.check("verify audit records")?;
        Ok(verify(self.chain(tenant)))
    }
}
