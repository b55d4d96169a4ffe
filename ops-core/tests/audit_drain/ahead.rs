use std::sync::Mutex;

use async_trait::async_trait;
use ops_core::audit::Spool;
use ops_core::error::{Error, ErrorKind, Result};
use ops_core::memory::InMemoryAudit;
use ops_core::model::{AuditRecord, TenantId};
use ops_core::ports::{
    Appended, AuditEntry, AuditHead, AuditPage, AuditQuery, AuditReceipt, AuditStore, ChainReport, TrailEntry,
};
use uuid::Uuid;

use super::{record, tenant};

/// Each third batch is one too many for it. It keeps what it was given, and whether it took it.
#[derive(Debug, Default)]
struct Tired(InMemoryAudit, Mutex<Vec<(Vec<Uuid>, bool)>>);

#[async_trait]
impl AuditStore for Tired {
    async fn append(&self, record: &AuditRecord) -> Result<AuditReceipt> {
        self.0.append(record).await
    }
    async fn append_all(&self, entries: &[AuditEntry]) -> Result<Vec<Appended>> {
        let ids = entries.iter().map(|entry| entry.record.id).collect();
        let takes = {
            let mut given = self.1.lock().unwrap();
            let takes = given.len() % 3 != 2;
            given.push((ids, takes));
            takes
        };
        // What comes behind is read meanwhile.
        tokio::task::yield_now().await;
        match takes {
            true => self.0.append_all(entries).await,
            false => Err(Error::new(ErrorKind::Unavailable, "append audit records")),
        }
    }
    async fn search(&self, tenant: &TenantId, query: &AuditQuery) -> Result<AuditPage> {
        self.0.search(tenant, query).await
    }
    async fn chain(&self, tenant: &TenantId, after: u64, limit: u32) -> Result<Vec<TrailEntry>> {
        AuditStore::chain(&self.0, tenant, after, limit).await
    }
    async fn head(&self, tenant: &TenantId) -> Result<Option<AuditHead>> {
        self.0.head(tenant).await
    }
    async fn verify(&self, tenant: &TenantId) -> Result<ChainReport> {
        self.0.verify(tenant).await
    }
}

#[tokio::test]
async fn what_is_read_while_the_store_works_is_given_once_and_in_its_order() {
    let directory = tempfile::tempdir().unwrap();
    let spool = Spool::open(directory.path()).unwrap();
    let tasks: Vec<_> = (0..3000)
        .map(|n| {
            let spool = spool.clone();
            tokio::spawn(async move { spool.append(record(n)).await })
        })
        .collect();
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    let wanted: Vec<_> = spool
        .pending()
        .await
        .unwrap()
        .iter()
        .map(|record| record.id)
        .collect();
    let store = Tired::default();
    while spool.deliver(&store).await.unwrap().pending > 0 {}

    let mut at = 0;
    let given = store.1.lock().unwrap().clone();
    assert!(given.len() > 4, "some were refused, and given again");
    for (ids, taken) in given {
        assert_eq!(wanted[at..at + ids.len()], ids, "behind {at}");
        if taken {
            at += ids.len();
        }
    }
    assert_eq!(at, wanted.len());
    let chain = store.0.chain(&tenant());
    assert!(chain.iter().map(|(_, record)| record.id).eq(wanted));
}
