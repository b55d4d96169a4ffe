use std::collections::{BTreeMap, HashMap};
use std::sync::Mutex;

use async_trait::async_trait;
use uuid::Uuid;

use super::lock;
use super::plug::Plug;
use crate::audit::{Linker, page, verify};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{AuditRecord, TenantId};
use crate::ports::{
    Appended, AuditEntry, AuditEraser, AuditHead, AuditOrigin, AuditPage, AuditQuery, AuditReceipt,
    AuditStore, ChainReport, Forgotten,
};

/// An audit trail in memory, chained and searchable as the durable ones.
#[derive(Debug, Default)]
pub struct InMemoryAudit {
    trail: Mutex<BTreeMap<TenantId, Chain>>,
    plug: Plug,
}

#[derive(Debug, Default)]
struct Chain {
    links: Vec<(AuditReceipt, AuditRecord)>,
    origins: Vec<Option<AuditOrigin>>,
    known: HashMap<Uuid, usize>,
    linker: Linker,
}

impl InMemoryAudit {
    /// An empty trail.
    pub fn new() -> Self {
        Self::default()
    }

    /// All records of `tenant`, oldest first, with their receipts.
    pub fn chain(&self, tenant: &TenantId) -> Vec<(AuditReceipt, AuditRecord)> {
        lock(&self.trail)
            .get(tenant)
            .map_or_else(Vec::new, |chain| chain.links.clone())
    }

    /// Where the records of `tenant` were kept before they came here, oldest first.
    pub fn origins(&self, tenant: &TenantId) -> Vec<Option<AuditOrigin>> {
        lock(&self.trail)
            .get(tenant)
            .map_or_else(Vec::new, |chain| chain.origins.clone())
    }

    /// Pulls the plug (`false`) or puts it back.
    pub fn set_reachable(&self, reachable: bool) {
        self.plug.set_reachable(reachable);
    }
}

impl Chain {
    fn append(&mut self, record: &AuditRecord, origin: Option<AuditOrigin>) -> Appended {
        if let Some((receipt, known)) = self
            .known
            .get(&record.id)
            .and_then(|place| self.links.get(*place))
        {
            if known.says_the_same(record) {
                return Appended::Known(receipt.clone());
            }
            return Appended::Refused(
                Error::new(ErrorKind::Conflict, APPEND)
                    .provider("memory")
                    .context("record", record.id.to_string())
                    .context("cause", "the id is known with another content"),
            );
        }
        let receipt = self.linker.push(record);
        self.known.insert(record.id, self.links.len());
        self.links.push((receipt.clone(), record.clone()));
        self.origins.push(origin);
        Appended::Stored(receipt)
    }
}

#[async_trait]
impl AuditStore for InMemoryAudit {
    async fn append(&self, record: &AuditRecord) -> Result<AuditReceipt> {
        self.plug.check(APPEND)?;
        let mut trail = lock(&self.trail);
        let chain = trail.entry(record.tenant.clone()).or_default();
        match chain.append(record, None) {
            Appended::Stored(receipt) | Appended::Known(receipt) => Ok(receipt),
            Appended::Refused(error) | Appended::Stuck(error) => Err(error),
        }
    }

    async fn append_all(&self, entries: &[AuditEntry]) -> Result<Vec<Appended>> {
        self.plug.check(APPEND)?;
        let mut trail = lock(&self.trail);
        let append = |entry: &AuditEntry| {
            let chain = trail.entry(entry.record.tenant.clone()).or_default();
            chain.append(&entry.record, entry.origin)
        };
        Ok(entries.iter().map(append).collect())
    }

    async fn search(&self, tenant: &TenantId, query: &AuditQuery) -> Result<AuditPage> {
        self.plug.check("search audit records")?;
        let trail = lock(&self.trail);
        let links = trail.get(tenant).map_or(&[][..], |chain| chain.links.as_slice());
        page(links.iter().map(|(_, record)| record), tenant, query)
    }

    async fn chain(
        &self,
        tenant: &TenantId,
        after: u64,
        limit: u32,
    ) -> Result<Vec<(AuditReceipt, AuditRecord)>> {
        self.plug.check("read audit records")?;
        let trail = lock(&self.trail);
        let links = trail.get(tenant).map_or(&[][..], |chain| chain.links.as_slice());
        let behind = links.get(usize::try_from(after).unwrap_or(usize::MAX)..);
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        Ok(behind.unwrap_or_default().iter().take(limit).cloned().collect())
    }

    async fn head(&self, tenant: &TenantId) -> Result<Option<AuditHead>> {
        self.plug.check("read audit head")?;
        Ok(lock(&self.trail)
            .get(tenant)
            .and_then(|chain| chain.linker.head()))
    }

    async fn verify(&self, tenant: &TenantId) -> Result<ChainReport> {
        self.plug.check("verify audit records")?;
        Ok(verify(self.chain(tenant)))
    }
}

#[async_trait]
impl AuditEraser for InMemoryAudit {
    async fn forget(&self, tenant: &TenantId, person: &str) -> Result<Forgotten> {
        self.plug.check("forget person in audit trail")?;
        let mut trail = lock(&self.trail);
        let mut forgotten = Forgotten::default();
        for (_, record) in trail
            .get_mut(tenant)
            .into_iter()
            .flat_map(|chain| &mut chain.links)
        {
            forgotten.count(record.forget(person));
        }
        Ok(forgotten)
    }
}

const APPEND: &str = "append audit record";
