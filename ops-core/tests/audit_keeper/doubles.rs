use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use ops_core::error::{Error, ErrorKind, Result};
use ops_core::model::{AuditRecord, TenantId};
use ops_core::ports::{
    Appended, ArchiveHold, ArchiveName, AuditEntry, AuditHead, AuditPage, AuditQuery, AuditReceipt,
    AuditStore, ChainReport, EvidenceArchive, TrailEntry,
};

/// A store whose trail is swapped for another one; it counts the entries that are read.
#[derive(Debug)]
pub(crate) struct Swapped {
    store: Mutex<Arc<dyn AuditStore>>,
    read: AtomicU64,
}

impl Swapped {
    pub(crate) fn new(store: impl AuditStore) -> Arc<Self> {
        Arc::new(Self {
            store: Mutex::new(Arc::new(store)),
            read: AtomicU64::new(0),
        })
    }

    pub(crate) fn swap(&self, store: impl AuditStore) {
        *self.store.lock().unwrap() = Arc::new(store);
    }

    fn now(&self) -> Arc<dyn AuditStore> {
        Arc::clone(&self.store.lock().unwrap())
    }

    /// How many entries were read since the last call.
    pub(crate) fn read(&self) -> u64 {
        self.read.swap(0, Ordering::AcqRel)
    }
}

#[async_trait]
impl AuditStore for Swapped {
    async fn append(&self, record: &AuditRecord) -> Result<AuditReceipt> {
        self.now().append(record).await
    }

    async fn append_all(&self, entries: &[AuditEntry]) -> Result<Vec<Appended>> {
        self.now().append_all(entries).await
    }

    async fn search(&self, tenant: &TenantId, query: &AuditQuery) -> Result<AuditPage> {
        self.now().search(tenant, query).await
    }

    async fn chain(&self, tenant: &TenantId, after: u64, limit: u32) -> Result<Vec<TrailEntry>> {
        let page = self.now().chain(tenant, after, limit).await?;
        self.read.fetch_add(page.len() as u64, Ordering::AcqRel);
        Ok(page)
    }

    async fn head(&self, tenant: &TenantId) -> Result<Option<AuditHead>> {
        self.now().head(tenant).await
    }

    async fn verify(&self, tenant: &TenantId) -> Result<ChainReport> {
        self.now().verify(tenant).await
    }
}

/// A store that says what it is told to: a head, another one once it was read, and rows; or an error.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) before: Option<AuditHead>,
    after: Option<AuditHead>,
    rows: Vec<TrailEntry>,
    fails: Option<ErrorKind>,
    read: AtomicBool,
}

impl Told {
    /// `head` over `rows`: somebody changed one of them and not the other.
    pub(crate) fn of(head: Option<AuditHead>, rows: Vec<TrailEntry>) -> Self {
        Self {
            before: head.clone(),
            after: head,
            rows,
            fails: None,
            read: AtomicBool::new(false),
        }
    }

    /// A store that fails.
    pub(crate) fn failing(kind: ErrorKind) -> Self {
        Self {
            fails: Some(kind),
            ..Self::of(None, Vec::new())
        }
    }

    fn answers(&self) -> Result<()> {
        self.fails.map_or(Ok(()), |kind| Err(Error::new(kind, "read")))
    }
}

#[async_trait]
impl AuditStore for Told {
    async fn append(&self, _: &AuditRecord) -> Result<AuditReceipt> {
        Err(Error::new(ErrorKind::Unsupported, "append"))
    }

    async fn append_all(&self, _: &[AuditEntry]) -> Result<Vec<Appended>> {
        Err(Error::new(ErrorKind::Unsupported, "append"))
    }

    async fn search(&self, _: &TenantId, _: &AuditQuery) -> Result<AuditPage> {
        Err(Error::new(ErrorKind::Unsupported, "search"))
    }

    async fn chain(&self, _: &TenantId, after: u64, limit: u32) -> Result<Vec<TrailEntry>> {
        self.answers()?;
        self.read.store(true, Ordering::Release);
        let behind = self.rows.iter().skip(usize::try_from(after).unwrap());
        Ok(behind.take(usize::try_from(limit).unwrap()).cloned().collect())
    }

    async fn head(&self, _: &TenantId) -> Result<Option<AuditHead>> {
        self.answers()?;
        let was_read = self.read.load(Ordering::Acquire);
        Ok(if was_read { &self.after } else { &self.before }.clone())
    }

    async fn verify(&self, _: &TenantId) -> Result<ChainReport> {
        Err(Error::new(ErrorKind::Unsupported, "verify"))
    }
}

/// An archive that never answers.
#[derive(Debug)]
pub(crate) struct Silent;

#[async_trait]
impl EvidenceArchive for Silent {
    fn capability(&self) -> ops_core::ports::ArchiveCapability {
        ops_core::ports::ArchiveCapability::default()
    }

    async fn begin(&self, _: &ops_core::ports::ArchiveUpload) -> Result<u64> {
        std::future::pending().await
    }

    async fn put(&self, _: &ops_core::ports::ArchiveUpload, _: u64, _: &[u8]) -> Result<u64> {
        std::future::pending().await
    }

    async fn finish(&self, _: &ops_core::ports::ArchiveUpload) -> Result<ops_core::ports::ArchivedObject> {
        std::future::pending().await
    }

    async fn observe(&self, _: &ArchiveName) -> Result<Option<ops_core::ports::ArchivedObject>> {
        std::future::pending().await
    }

    async fn read(&self, _: &ArchiveName, _: u64, _: u32) -> Result<Vec<u8>> {
        std::future::pending().await
    }

    async fn hold(&self, _: &ArchiveName, _: &ArchiveHold) -> Result<()> {
        std::future::pending().await
    }

    async fn delete(&self, _: &ArchiveName) -> Result<()> {
        std::future::pending().await
    }
}
