//! Recording while the audit store is away, and what arrives when it is back.

#![expect(clippy::unwrap_used, reason = "all of this file is test code")]

mod files;

use std::future::pending;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use ops_core::audit::{Recorded, Recorder, Spool};
use ops_core::clock::SystemClock;
use ops_core::error::{Error, ErrorKind, Result};
use ops_core::masking::BuiltinMasker;
use ops_core::memory::InMemoryAudit;
use ops_core::model::{Actor, AuditRecord, TenantId, Timestamp};
use ops_core::ports::{
    Appended, AuditEntry, AuditHead, AuditPage, AuditQuery, AuditReceipt, AuditStore, ChainReport, TrailEntry,
};

fn tenant() -> TenantId {
    TenantId::new("org_a").unwrap()
}

fn record(n: i64) -> AuditRecord {
    let actor = Actor::person("kazu").unwrap();
    let at = Timestamp::from_unix_micros(1_769_731_200_000_000 + n);
    AuditRecord::new(at, tenant(), actor, "emergency.stop", "cloud-run", n.to_string())
}

fn recorder<S: AuditStore>(store: &Arc<S>) -> Recorder {
    let store = Arc::clone(store) as Arc<dyn AuditStore>;
    Recorder::new(
        store,
        Arc::new(BuiltinMasker::new()),
        Arc::new(SystemClock::new()),
    )
}

#[tokio::test]
async fn records_made_during_an_outage_arrive_once_and_in_order() {
    let directory = tempfile::tempdir().unwrap();
    let store = Arc::new(InMemoryAudit::new());
    let recorder = recorder(&store).with_spool(Spool::open(directory.path()).unwrap());

    assert!(matches!(recorder.record(record(0)).await, Recorded::Stored(_)));
    store.set_reachable(false);
    for n in 1..4 {
        let recorded = recorder.record(record(n)).await;
        assert!(
            matches!(&recorded, Recorded::Spooled { reason } if reason.contains("unavailable")),
            "{recorded:?}"
        );
    }
    let delivered = recorder.deliver().await.unwrap();
    assert_eq!((delivered.stored, delivered.pending), (0, 3));
    assert_eq!(delivered.error.unwrap().kind(), ErrorKind::Unavailable);

    store.set_reachable(true);
    // Another process, after this one was killed.
    let spool = Spool::open(directory.path()).unwrap();
    assert_eq!(spool.pending().await.unwrap().len(), 3);
    let delivered = spool.deliver(&*store).await.unwrap();
    assert_eq!((delivered.stored, delivered.pending), (3, 0));
    assert_eq!(recorder.deliver().await.unwrap().stored, 0);

    let chain = store.chain(&tenant());
    let order: Vec<_> = chain
        .iter()
        .map(|(_, record)| record.resource_id.as_str())
        .collect();
    assert_eq!(order, ["0", "1", "2", "3"]);
    assert!(store.verify(&tenant()).await.unwrap().intact());
}

/// Stores every record and loses every answer, like a connection that breaks after the commit.
#[derive(Debug, Default)]
struct LosesAnswers {
    inner: InMemoryAudit,
    lose: AtomicUsize,
}

#[async_trait]
impl AuditStore for LosesAnswers {
    async fn append(&self, record: &AuditRecord) -> Result<AuditReceipt> {
        let receipt = self.inner.append(record).await?;
        let lost = self
            .lose
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        match lost {
            Ok(_) => Err(Error::new(ErrorKind::Timeout, "append audit record")),
            Err(_) => Ok(receipt),
        }
    }
    async fn append_all(&self, entries: &[AuditEntry]) -> Result<Vec<Appended>> {
        let answers = self.inner.append_all(entries).await?;
        let lost = self
            .lose
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        match lost {
            Ok(_) => Err(Error::new(ErrorKind::Timeout, "append audit records")),
            Err(_) => Ok(answers),
        }
    }
    async fn head(&self, tenant: &TenantId) -> Result<Option<AuditHead>> {
        self.inner.head(tenant).await
    }
    async fn search(&self, tenant: &TenantId, query: &AuditQuery) -> Result<AuditPage> {
        self.inner.search(tenant, query).await
    }
    async fn chain(&self, tenant: &TenantId, after: u64, limit: u32) -> Result<Vec<TrailEntry>> {
        AuditStore::chain(&self.inner, tenant, after, limit).await
    }
    async fn verify(&self, tenant: &TenantId) -> Result<ChainReport> {
        self.inner.verify(tenant).await
    }
}

#[tokio::test]
async fn a_lost_answer_stores_nothing_twice() {
    let directory = tempfile::tempdir().unwrap();
    let store = Arc::new(LosesAnswers::default());
    store.lose.store(3, Ordering::SeqCst);
    let recorder = recorder(&store).with_spool(Spool::open(directory.path()).unwrap());
    assert!(matches!(
        recorder.record(record(1)).await,
        Recorded::Spooled { .. }
    ));
    assert!(matches!(
        recorder.record(record(2)).await,
        Recorded::Spooled { .. }
    ));
    assert_eq!(recorder.deliver().await.unwrap().pending, 2);
    assert_eq!(recorder.deliver().await.unwrap().pending, 0);
    assert_eq!(store.inner.chain(&tenant()).len(), 2);
}

/// Never answers.
#[derive(Debug)]
struct Hangs;

#[async_trait]
impl AuditStore for Hangs {
    async fn append(&self, _: &AuditRecord) -> Result<AuditReceipt> {
        pending().await
    }
    async fn append_all(&self, _: &[AuditEntry]) -> Result<Vec<Appended>> {
        pending().await
    }
    async fn head(&self, _: &TenantId) -> Result<Option<AuditHead>> {
        pending().await
    }
    async fn search(&self, _: &TenantId, _: &AuditQuery) -> Result<AuditPage> {
        pending().await
    }
    async fn chain(&self, _: &TenantId, _: u64, _: u32) -> Result<Vec<TrailEntry>> {
        pending().await
    }
    async fn verify(&self, _: &TenantId) -> Result<ChainReport> {
        pending().await
    }
}

#[tokio::test]
async fn a_store_that_hangs_is_left_at_the_deadline() {
    let directory = tempfile::tempdir().unwrap();
    let spool = Spool::open(directory.path()).unwrap();
    let recorder = recorder(&Arc::new(Hangs))
        .with_spool(spool.clone())
        .with_deadline(Duration::from_millis(5));
    let recorded = recorder.record(record(1)).await;
    assert!(
        matches!(&recorded, Recorded::Spooled { reason } if reason.contains("timed out")),
        "{recorded:?}"
    );
    let waiting = spool.pending().await.unwrap();
    assert_eq!(waiting.len(), 1);
    assert_eq!(waiting[0].resource_id, "1");
}

#[tokio::test]
async fn without_a_spool_a_record_is_said_to_be_lost() {
    let store = Arc::new(InMemoryAudit::new());
    store.set_reachable(false);
    let recorder = recorder(&store);
    let recorded = recorder.record(record(1)).await;
    assert!(
        matches!(&recorded, Recorded::Lost { reason } if reason.contains("no spool")),
        "{recorded:?}"
    );
    assert_eq!(recorder.deliver().await.unwrap().stored, 0);
}

#[tokio::test]
async fn a_conflict_is_set_aside_with_its_reason_and_does_not_hold_up_the_rest() {
    let directory = tempfile::tempdir().unwrap();
    let spool = Spool::open(directory.path()).unwrap();
    let store = InMemoryAudit::new();
    let known = record(1);
    store.append(&known).await.unwrap();
    let changed = known.with_detail("reason", "another");
    spool.append(changed.clone()).await.unwrap();
    spool.append(record(2)).await.unwrap();

    let delivered = spool.deliver(&store).await.unwrap();
    assert_eq!(
        (delivered.stored, delivered.refused, delivered.pending),
        (1, 1, 0)
    );
    let aside = std::fs::read_to_string(directory.path().join("refused.jsonl")).unwrap();
    assert!(aside.contains(&changed.id.to_string()) && aside.contains("conflict"));
}

#[tokio::test]
async fn two_records_of_one_id_both_reach_the_store() {
    let directory = tempfile::tempdir().unwrap();
    let spool = Spool::open(directory.path()).unwrap();
    let first = record(1);
    spool.append(first.clone()).await.unwrap();
    spool.append(first.clone()).await.unwrap();
    spool
        .append(first.with_detail("reason", "another"))
        .await
        .unwrap();
    let delivered = spool.deliver(&InMemoryAudit::new()).await.unwrap();
    assert_eq!(
        (delivered.stored, delivered.refused, delivered.pending),
        (2, 1, 0)
    );
}

#[tokio::test]
async fn nothing_raw_reaches_store_or_spool() {
    let directory = tempfile::tempdir().unwrap();
    let store = Arc::new(InMemoryAudit::new());
    let recorder = recorder(&store).with_spool(Spool::open(directory.path()).unwrap());
    let raw = AuditRecord::new(
        Timestamp::from_unix_micros(1),
        tenant(),
        Actor::person("tanaka@example.com").unwrap(),
        "export",
        "user",
        "tanaka@example.com",
    )
    .with_detail("氏名", "田中太郎")
    .with_detail("reason", "田中太郎様 (090-1234-5678) から")
    .with_detail("count", "3");

    let _ = recorder.record(raw.clone()).await;
    store.set_reachable(false);
    let mut second = raw;
    second.id = record(9).id;
    let _ = recorder.record(second).await;

    let (_, stored) = store.chain(&tenant()).remove(0);
    assert_eq!(stored.actor, Actor::person("t***@example.com").unwrap());
    assert_eq!(stored.resource_id, "t***@example.com");
    assert_eq!(stored.details["氏名"], "田中 *");
    assert_eq!(stored.details["reason"], "田中 *様 (090-****-5678) から");
    assert_eq!(stored.details["count"], "3");
    let mut files = 0;
    for segment in segments(directory.path()) {
        let spooled = std::fs::read(segment).unwrap();
        let spooled = String::from_utf8_lossy(&spooled);
        assert!(spooled.contains("t***@example.com"));
        for personal in ["tanaka", "太郎", "1234"] {
            assert!(!spooled.contains(personal), "{personal}");
        }
        files += 1;
    }
    assert_eq!(files, 1);
}

/// The segments of all processes, oldest first.
fn segments(spool: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for process in std::fs::read_dir(spool).unwrap().flatten() {
        for file in std::fs::read_dir(process.path()).into_iter().flatten().flatten() {
            if file.path().extension().is_some_and(|end| end == "segment") {
                found.push(file.path());
            }
        }
    }
    found.sort();
    found
}

/// A spool of `n` records whose process is gone.
async fn left_behind(directory: &Path, n: i64) -> PathBuf {
    let spool = Spool::open(directory).unwrap();
    for n in 0..n {
        spool.append(record(n)).await.unwrap();
    }
    drop(spool);
    segments(directory).remove(0)
}

/// Where the last frame of a segment begins: the last byte that is not zero belongs to it.
fn end_of(bytes: &[u8]) -> usize {
    bytes.iter().rposition(|byte| *byte != 0).unwrap() + 1
}

async fn delivered_names(spool: &Spool) -> (ops_core::audit::Delivered, Vec<String>) {
    let store = InMemoryAudit::new();
    let delivered = spool.deliver(&store).await.unwrap();
    let chain = store.chain(&tenant());
    let names = chain
        .iter()
        .map(|(_, record)| record.resource_id.clone())
        .collect();
    (delivered, names)
}

#[tokio::test]
async fn many_callers_are_answered_and_the_state_is_said() {
    let directory = tempfile::tempdir().unwrap();
    let spool = Spool::open(directory.path()).unwrap();
    let callers = (0..64).map(|n| {
        let spool = spool.clone();
        tokio::spawn(async move { spool.append(record(n)).await })
    });
    for caller in callers.collect::<Vec<_>>() {
        caller.await.unwrap().unwrap();
    }
    let status = spool.status().await.unwrap();
    assert_eq!(status.records, 64);
    assert!(status.oldest.is_some_and(|oldest| oldest <= record(63).at));
    assert!((1..=64).contains(&status.writes), "{status:?}");
    assert!(status.bytes > 64 * 100);
    let (delivered, names) = delivered_names(&spool).await;
    assert_eq!((delivered.stored, delivered.missing, names.len()), (64, 0, 64));
    assert_eq!(spool.status().await.unwrap().records, 0);
    // The process lives on and goes on appending.
    spool.append(record(100)).await.unwrap();
    assert_eq!(delivered_names(&spool).await.1, ["100"]);
}
