use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Mutex;

use async_trait::async_trait;
use uuid::Uuid;

use super::lock;
use super::plug::Plug;
use crate::audit::{ChainVerifier, Linker, content, page};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{AuditRecord, LegalHold, Month, TenantId, Timestamp, Withheld};
use crate::ports::{
    Appended, AuditEntry, AuditEraser, AuditHead, AuditOrigin, AuditPage, AuditPruner, AuditQuery,
    AuditReceipt, AuditStore, ChainReport, Forgotten, LegalHolds, MonthReading, MonthRemoval, TrailEntry,
    TrailMonth,
};

/// An audit trail in memory, chained and searchable as the durable ones.
#[derive(Debug, Default)]
pub struct InMemoryAudit {
    trail: Mutex<BTreeMap<TenantId, Chain>>,
    holds: Mutex<Vec<LegalHold>>,
    plug: Plug,
}

#[derive(Clone, Debug, Default)]
struct Chain {
    links: Vec<TrailEntry>,
    origins: Vec<Option<AuditOrigin>>,
    known: HashMap<Uuid, usize>,
    linker: Linker,
}

impl InMemoryAudit {
    /// An empty trail.
    pub fn new() -> Self {
        Self::default()
    }

    /// All records of `tenant`, oldest first, with their receipts; those that were removed are left out.
    pub fn chain(&self, tenant: &TenantId) -> Vec<(AuditReceipt, AuditRecord)> {
        let links = self.links(tenant).into_iter();
        links.filter_map(TrailEntry::into_record).collect()
    }

    fn links(&self, tenant: &TenantId) -> Vec<TrailEntry> {
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
        if let Some(known) = self
            .known
            .get(&record.id)
            .and_then(|place| self.links.get(*place))
        {
            match known {
                TrailEntry::Record {
                    receipt,
                    record: known,
                } if known.says_the_same(record) => {
                    return Appended::Known(receipt.clone());
                }
                TrailEntry::Removed {
                    receipt,
                    content: known,
                    ..
                } if *known == content(record) || !record.salts.is_empty() => {
                    return Appended::Known(receipt.clone());
                }
                _ => {}
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
        self.links.push(TrailEntry::Record {
            receipt: receipt.clone(),
            record: record.clone(),
        });
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
        let records = links.iter().filter_map(TrailEntry::record);
        page(records.map(|(_, record)| record), tenant, query)
    }

    async fn chain(&self, tenant: &TenantId, after: u64, limit: u32) -> Result<Vec<TrailEntry>> {
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
        let mut verifier = ChainVerifier::new();
        for entry in self.links(tenant) {
            verifier.push_entry(&entry);
        }
        Ok(verifier.finish())
    }
}

#[async_trait]
impl AuditEraser for InMemoryAudit {
    async fn forget(&self, tenant: &TenantId, person: &str) -> Result<Forgotten> {
        self.plug.check("forget person in audit trail")?;
        let mut trail = lock(&self.trail);
        let holds = self.held(tenant);
        let mut forgotten = Forgotten::default();
        let chain = trail.get_mut(tenant).into_iter();
        for entry in chain.flat_map(|chain| &mut chain.links) {
            let TrailEntry::Record { record, .. } = entry else {
                continue;
            };
            let mut without = record.clone();
            let withheld = without.forget(person);
            match holds.iter().any(|hold| hold.keeps(record)) {
                true => forgotten.held += u64::from(withheld != Withheld::Unconcerned),
                false => {
                    forgotten.count(withheld);
                    *record = without;
                }
            }
        }
        Ok(forgotten)
    }
}

#[async_trait]
impl LegalHolds for InMemoryAudit {
    async fn hold(&self, hold: &LegalHold) -> Result<()> {
        self.plug.check(HOLD)?;
        hold.check()?;
        lock(&self.holds).push(hold.clone());
        Ok(())
    }

    async fn release(&self, id: Uuid, _at: Timestamp) -> Result<Option<LegalHold>> {
        self.plug.check("release hold")?;
        let mut holds = lock(&self.holds);
        let place = holds.iter().position(|hold| hold.id == id);
        Ok(place.map(|place| holds.remove(place)))
    }

    async fn open(&self) -> Result<Vec<LegalHold>> {
        self.plug.check("list holds")?;
        Ok(lock(&self.holds).clone())
    }
}

#[async_trait]
impl AuditPruner for InMemoryAudit {
    async fn months(&self, until: Timestamp) -> Result<Vec<TrailMonth>> {
        self.plug.check("list months of the audit trail")?;
        let mut months: BTreeMap<Month, BTreeSet<TenantId>> = BTreeMap::new();
        for (tenant, chain) in &*lock(&self.trail) {
            for (_, record) in chain.links.iter().filter_map(TrailEntry::record) {
                let month = Month::of(record.at);
                if month.end() <= until {
                    months.entry(month).or_default().insert(tenant.clone());
                }
            }
        }
        let month =
            |(month, tenants): (_, BTreeSet<_>)| TrailMonth::new(month, tenants.into_iter().collect());
        Ok(months.into_iter().map(month).collect())
    }

    async fn in_month(
        &self,
        tenant: &TenantId,
        month: Month,
        after: u64,
        limit: u32,
    ) -> Result<Vec<TrailEntry>> {
        self.plug.check("read month of the audit trail")?;
        let mut links = self.links(tenant);
        links.retain(|entry| entry.sequence() > after && is_of(entry, month));
        links.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        Ok(links)
    }

    async fn holds_on(&self, tenant: &TenantId) -> Result<Vec<LegalHold>> {
        self.plug.check("list holds")?;
        Ok(self.held(tenant))
    }

    async fn prune(&self, month: Month, removals: &[MonthRemoval]) -> Result<()> {
        self.plug.check(PRUNE)?;
        let mut trail = lock(&self.trail);
        let mut after = trail.clone();
        for MonthRemoval { reading, record } in removals {
            let holds = self.held(&reading.tenant);
            let chain = after.entry(reading.tenant.clone()).or_default();
            let mut again = MonthReading::new(reading.tenant.clone());
            for entry in chain.links.iter_mut().filter(|entry| is_of(entry, month)) {
                let Some((receipt, record)) = entry.record() else {
                    continue;
                };
                let content = content(record);
                if again.push(receipt, record, &content, &holds) {
                    *entry = TrailEntry::Removed {
                        receipt: receipt.clone(),
                        id: record.id,
                        content,
                    };
                }
            }
            if again != *reading {
                return Err(Error::new(ErrorKind::Conflict, PRUNE)
                    .context("tenant", reading.tenant.as_str())
                    .context("reason", "its month is not what was read before; plan again"));
            }
            match chain.append(record, None) {
                Appended::Stored(_) | Appended::Known(_) => {}
                Appended::Refused(error) | Appended::Stuck(error) => return Err(error),
            }
        }
        *trail = after;
        Ok(())
    }
}

impl InMemoryAudit {
    fn held(&self, tenant: &TenantId) -> Vec<LegalHold> {
        let mut holds = lock(&self.holds).clone();
        holds.retain(|hold| hold.tenant == *tenant);
        holds
    }
}

/// Whether it is a record with a time in `month`.
fn is_of(entry: &TrailEntry, month: Month) -> bool {
    entry
        .record()
        .is_some_and(|(_, record)| Month::of(record.at) == month)
}

const APPEND: &str = "append audit record";
const HOLD: &str = "hold data";
const PRUNE: &str = "remove month of the audit trail";
