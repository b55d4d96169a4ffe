use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use ops_core::audit::{DrainOptions, Recorded, Spool};
use ops_core::clock::SystemClock;
use ops_core::emergency::Meter;
use ops_core::error::{Error, ErrorKind, Result};
use ops_core::memory::InMemoryAudit;
use ops_core::model::{AuditRecord, TenantId};
use ops_core::ports::{
    Appended, AuditEntry, AuditHead, AuditPage, AuditQuery, AuditReceipt, AuditStore, ChainReport, Clock as _,
};
use ops_core::testkit::ManualClock;
use ops_core::{Ops, Providers};

use super::{record, recorder, tenant};

const AMPLE: Duration = Duration::from_secs(60);

fn hurried() -> DrainOptions {
    let mut options = DrainOptions::default();
    options.gather = Duration::from_millis(1);
    options.first_delay = Duration::from_millis(1);
    options.longest_delay = Duration::from_millis(10);
    options.idle = Duration::from_millis(20);
    options
}

#[tokio::test]
async fn records_arrive_by_themselves_in_their_order_with_their_numbers() {
    let directory = tempfile::tempdir().unwrap();
    let store = Arc::new(InMemoryAudit::new());
    let recorder = recorder(
        &store,
        Spool::open(directory.path()).unwrap(),
        Arc::new(SystemClock::new()),
    );
    let drain = recorder.drain(hurried()).unwrap();
    for n in 0..50 {
        assert_eq!(recorder.record(record(n)).await, Recorded::Kept);
    }
    let status = drain.flush(AMPLE).await.unwrap();
    assert_eq!((status.depth, status.error), (0, None));
    let names = |records: Vec<(AuditReceipt, AuditRecord)>| -> Vec<_> {
        records
            .into_iter()
            .map(|(_, record)| record.resource_id)
            .collect()
    };
    let wanted: Vec<_> = (0..50).map(|n: i64| n.to_string()).collect();
    assert_eq!(names(store.chain(&tenant())), wanted);
    let origins: Vec<_> = store.origins(&tenant()).into_iter().flatten().collect();
    assert_eq!(
        origins.iter().map(|origin| origin.number).collect::<Vec<_>>(),
        (0..50).collect::<Vec<u64>>(),
        "a producer leaves no number out"
    );
    assert!(
        origins
            .iter()
            .all(|origin| origin.producer == origins[0].producer)
    );

    // Recorded in the last moment: it goes along.
    assert_eq!(recorder.record(record(50)).await, Recorded::Kept);
    let status = drain.stop(AMPLE).await.unwrap();
    assert_eq!((status.stored, status.depth), (51, 0));
    // Without a drain the store comes first again.
    assert!(matches!(recorder.record(record(51)).await, Recorded::Stored(_)));
    assert!(store.verify(&tenant()).await.unwrap().intact());
}

#[tokio::test]
async fn what_another_process_left_behind_is_brought_without_any_call() {
    let directory = tempfile::tempdir().unwrap();
    let dead = Spool::open(directory.path()).unwrap();
    dead.append(record(1)).await.unwrap();
    drop(dead);
    let store = Arc::new(InMemoryAudit::new());
    let recorder = recorder(
        &store,
        Spool::open(directory.path()).unwrap(),
        Arc::new(SystemClock::new()),
    );
    let drain = recorder.drain(hurried()).unwrap();
    while store.chain(&tenant()).is_empty() {
        tokio::task::yield_now().await;
    }
    drain.stop(AMPLE).await.unwrap();
}

#[tokio::test]
async fn while_the_store_is_down_records_wait_and_arrive_when_it_is_back() {
    let directory = tempfile::tempdir().unwrap();
    let store = Arc::new(InMemoryAudit::new());
    store.set_reachable(false);
    let recorder = recorder(
        &store,
        Spool::open(directory.path()).unwrap(),
        Arc::new(SystemClock::new()),
    );
    let drain = recorder.drain(hurried()).unwrap();
    for n in 0..10 {
        assert_eq!(recorder.record(record(n)).await, Recorded::Kept);
    }
    let late = drain.flush(Duration::from_millis(50)).await.unwrap_err();
    assert_eq!(late.kind(), ErrorKind::Timeout);
    assert!(late.to_string().contains("left: 10"), "{late}");
    let status = drain.status();
    assert!(
        status.failures > 0 && status.depth == 10 && status.bytes > 0,
        "{status:?}"
    );
    assert_eq!(status.oldest, Some(record(0).at));
    assert!(status.error.is_some_and(|said| said.contains("unavailable")));

    store.set_reachable(true);
    let status = drain.flush(AMPLE).await.unwrap();
    assert_eq!((status.stored, status.depth, status.oldest), (10, 0, None));
    assert_eq!(store.chain(&tenant()).len(), 10);
    // A handle that is dropped ends the task too.
    drop(drain);
    while recorder.record(record(99)).await == Recorded::Kept {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn depth_age_bytes_and_lag_are_metrics_while_a_drain_runs() {
    let directory = tempfile::tempdir().unwrap();
    let store = Arc::new(InMemoryAudit::new());
    store.set_reachable(false);
    let providers = Providers {
        audit: store,
        audit_spool: Some(Spool::open(directory.path()).unwrap()),
        ..Providers::in_memory()
    };
    let masker = Arc::clone(&providers.masker);
    let ops = Ops::new(providers, tenant()).with_meter(Arc::new(Meter::new(masker)));
    assert!(!ops.metrics(&[]).await.contains("ops_audit_spool_bytes"));
    let drain = ops.drain_audit(hurried()).unwrap();
    assert_eq!(ops.record(record(1)).await, Recorded::Kept);
    drain.flush(Duration::from_millis(20)).await.unwrap_err();
    let shown = ops.metrics(&[]).await;
    let value = |name: &str| -> f64 {
        let line = shown
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("no {name} in {shown}"))
            .parse()
            .unwrap()
    };
    assert_eq!(value("ops_audit_spool_records"), 1.0);
    assert!(value("ops_oldest_spooled_record_age_seconds") > 0.0);
    assert!(value("ops_audit_spool_bytes") > 100.0);
    assert!(value("ops_audit_drain_failures") >= 1.0);
    assert_eq!(value("ops_audit_drain_lag_seconds"), 0.0);
}

#[tokio::test]
async fn the_pauses_grow_while_the_store_is_down() {
    let directory = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::self_moving());
    let store = Arc::new(InMemoryAudit::new());
    store.set_reachable(false);
    let spool = Spool::open(directory.path()).unwrap();
    spool.append(record(1)).await.unwrap();
    let recorder = recorder(&store, spool, clock.clone());
    let drain = recorder.drain(DrainOptions::default()).unwrap();
    while drain.status().failures < 11 {
        tokio::task::yield_now().await;
    }
    // 0.2 + 0.4 + … + 25.6 s, then twice 30 s.
    assert!(
        clock.monotonic() >= Duration::from_secs(111),
        "{:?}",
        clock.monotonic()
    );
}

/// Takes no batch that has a certain record in it, and does not say which one it is.
#[derive(Debug, Default)]
struct Choosy(InMemoryAudit);

#[async_trait]
impl AuditStore for Choosy {
    async fn append(&self, record: &AuditRecord) -> Result<AuditReceipt> {
        self.0.append(record).await
    }
    async fn append_all(&self, entries: &[AuditEntry]) -> Result<Vec<Appended>> {
        if entries.iter().any(|entry| entry.record.resource_id == "37") {
            return Err(Error::new(ErrorKind::InvalidInput, "append audit records"));
        }
        self.0.append_all(entries).await
    }
    async fn search(&self, tenant: &TenantId, query: &AuditQuery) -> Result<AuditPage> {
        self.0.search(tenant, query).await
    }
    async fn chain(
        &self,
        tenant: &TenantId,
        after: u64,
        limit: u32,
    ) -> Result<Vec<(AuditReceipt, AuditRecord)>> {
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
async fn a_record_that_breaks_its_batch_is_found_and_set_aside_and_the_others_arrive_in_order() {
    let directory = tempfile::tempdir().unwrap();
    let spool = Spool::open(directory.path()).unwrap();
    for n in 0..100 {
        spool.append(record(n)).await.unwrap();
    }
    let store = Choosy::default();
    let delivered = spool.deliver(&store).await.unwrap();
    assert_eq!(
        (delivered.stored, delivered.refused, delivered.pending),
        (99, 1, 0)
    );
    let names: Vec<_> = store
        .0
        .chain(&tenant())
        .into_iter()
        .map(|(_, record)| record.resource_id)
        .collect();
    let wanted: Vec<_> = (0..100)
        .filter(|n| *n != 37)
        .map(|n: i64| n.to_string())
        .collect();
    assert_eq!(names, wanted);
}

#[tokio::test]
async fn two_drains_of_one_directory_bring_everything_once() {
    let directory = tempfile::tempdir().unwrap();
    let store = Arc::new(InMemoryAudit::new());
    let recorders = [0, 1].map(|_| {
        recorder(
            &store,
            Spool::open(directory.path()).unwrap(),
            Arc::new(SystemClock::new()),
        )
    });
    let drains = recorders
        .each_ref()
        .map(|recorder| recorder.drain(hurried()).unwrap());
    for n in 0..40 {
        let recorder = &recorders[usize::from(n % 2 == 1)];
        assert_eq!(recorder.record(record(n)).await, Recorded::Kept);
    }
    let mut stored = 0;
    for drain in drains {
        stored += drain.stop(AMPLE).await.unwrap().stored;
    }
    assert_eq!((stored, store.chain(&tenant()).len()), (40, 40));
}
