use std::fs::File;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use ops_core::audit::{Recorded, Spool, SpoolQuota};
use ops_core::clock::SystemClock;
use ops_core::error::{Error, ErrorKind, Result, Retry};
use ops_core::file::FileAudit;
use ops_core::memory::InMemoryAudit;
use ops_core::model::{AuditRecord, TenantId};
use ops_core::ports::{
    Appended, AuditEntry, AuditHead, AuditPage, AuditQuery, AuditReceipt, AuditStore, ChainReport, TrailEntry,
};
use ops_core::testkit::ManualClock;
use uuid::Uuid;

use super::drain::{AMPLE, hurried, once, seen};
use super::{record, tenant};

/// What is wrong with a store.
#[derive(Debug)]
pub(super) enum Trouble {
    /// It takes no batch that has this record in it, and does not say which one it is.
    Breaks(&'static str),
    /// It fails so often from now on as one does that others were faster than.
    Busy(AtomicUsize),
    Hangs,
    Panics,
    /// It answers for all but the last.
    Forgetful,
    /// The chain of this tenant takes nothing; how many of its records were given.
    Stuck(TenantId, AtomicUsize),
    /// It takes nothing, and locks this file; whether it has.
    Keeps(File, AtomicBool),
    /// It does not come back from any batch that has a record of these tenants.
    Waits(Vec<TenantId>),
    /// Each record takes it a second.
    Slow(Arc<ManualClock>),
    /// Each third batch is one too many for it. The ids of the batches that it was given, and whether it took them.
    Tires(Mutex<Vec<(Vec<Uuid>, bool)>>),
}

#[derive(Debug)]
pub(super) struct Troubled(pub(super) InMemoryAudit, pub(super) Trouble);

#[async_trait]
impl AuditStore for Troubled {
    async fn append(&self, record: &AuditRecord) -> Result<AuditReceipt> {
        self.0.append(record).await
    }
    async fn append_all(&self, entries: &[AuditEntry]) -> Result<Vec<Appended>> {
        let failed = |kind| Err(Error::new(kind, "append audit records"));
        match &self.1 {
            Trouble::Breaks(name) if entries.iter().any(|entry| entry.record.resource_id == *name) => {
                return failed(ErrorKind::InvalidInput);
            }
            Trouble::Busy(left)
                if left
                    .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1))
                    .is_ok() =>
            {
                return failed(ErrorKind::Conflict).map_err(|error| error.with_retry(Retry::Safe));
            }
            Trouble::Hangs => std::future::pending().await,
            Trouble::Waits(slow) if entries.iter().any(|entry| slow.contains(&entry.record.tenant)) => {
                std::future::pending().await
            }
            Trouble::Slow(_) if entries.len() > 59 => std::future::pending().await,
            Trouble::Slow(clock) => clock.advance(Duration::from_secs(entries.len() as u64)),
            Trouble::Stuck(tenant, given) => {
                // What comes behind is read meanwhile.
                tokio::task::yield_now().await;
                let mut answers = Vec::new();
                for entry in entries {
                    if entry.record.tenant == *tenant {
                        given.fetch_add(1, Ordering::SeqCst);
                        let error = Error::new(ErrorKind::Unexpected, "append audit records");
                        answers.push(Appended::Stuck(error));
                    } else {
                        answers.extend(self.0.append_all(std::slice::from_ref(entry)).await?);
                    }
                }
                return Ok(answers);
            }
            Trouble::Keeps(file, kept) => {
                file.lock().unwrap();
                kept.store(true, Ordering::SeqCst);
                let stuck = |_| Appended::Stuck(Error::new(ErrorKind::Unexpected, "append audit records"));
                return Ok(entries.iter().map(stuck).collect());
            }
            Trouble::Tires(given) => {
                let ids = entries.iter().map(|entry| entry.record.id).collect();
                let takes = {
                    let mut given = given.lock().unwrap();
                    let takes = given.len() % 3 != 2;
                    given.push((ids, takes));
                    takes
                };
                // What comes behind is read meanwhile.
                tokio::task::yield_now().await;
                if !takes {
                    return failed(ErrorKind::Unavailable);
                }
            }
            Trouble::Panics => panic!("a fault of the store"),
            _ => {}
        }
        let mut answers = self.0.append_all(entries).await?;
        if matches!(self.1, Trouble::Forgetful) {
            answers.pop();
        }
        Ok(answers)
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
async fn a_record_that_breaks_its_batch_is_found_and_set_aside_and_the_others_arrive_in_order() {
    let directory = tempfile::tempdir().unwrap();
    let spool = Spool::open(directory.path()).unwrap();
    for n in 0..100 {
        spool.append(record(n)).await.unwrap();
    }
    let store = Troubled(InMemoryAudit::new(), Trouble::Breaks("37"));
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
async fn what_a_store_says_that_was_only_busy_sets_no_record_aside() {
    let directory = tempfile::tempdir().unwrap();
    let spool = Spool::open(directory.path()).unwrap();
    for n in 0..10 {
        spool.append(record(n)).await.unwrap();
    }
    let store = Troubled(InMemoryAudit::new(), Trouble::Busy(AtomicUsize::new(1)));
    let delivered = spool.deliver(&store).await.unwrap();
    assert_eq!((delivered.refused, delivered.pending), (0, 10));
    assert_eq!(delivered.error.unwrap().kind(), ErrorKind::Conflict);
    let delivered = spool.deliver(&store).await.unwrap();
    assert_eq!((delivered.stored, delivered.pending), (10, 0));
}

#[tokio::test]
async fn a_store_that_hangs_panics_or_does_not_answer_for_all_leaves_the_records_where_they_are() {
    for (trouble, kind) in [
        (Trouble::Hangs, ErrorKind::Timeout),
        (Trouble::Panics, ErrorKind::Unexpected),
        (Trouble::Forgetful, ErrorKind::Unavailable),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let spool = Spool::open(directory.path())
            .unwrap()
            .with_quota(SpoolQuota::default(), Arc::new(ManualClock::self_moving()));
        for n in 0..3 {
            spool.append(record(n)).await.unwrap();
        }
        let store = Troubled(InMemoryAudit::new(), trouble);
        let delivered = spool.deliver(&store).await.unwrap();
        assert_eq!((delivered.refused, delivered.pending), (0, 3), "{:?}", store.1);
        assert_eq!(delivered.error.unwrap().kind(), kind);
        // The turn is free again for others.
        let delivered = spool.deliver(&InMemoryAudit::new()).await.unwrap();
        assert_eq!((delivered.elsewhere, delivered.stored), (false, 3));
    }
}

#[tokio::test]
async fn a_tenant_whose_chain_cannot_be_read_holds_up_no_other_and_loses_nothing() {
    let (home, directory) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let store = FileAudit::open(home.path()).unwrap();
    store.append(&record(0)).await.unwrap();
    let file = std::fs::read_dir(home.path())
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    let whole = std::fs::read(&file).unwrap();
    let mut damaged = whole.clone();
    damaged[whole.len() / 2] ^= 1;
    damaged.extend_from_slice(&whole[whole.len() - 10..]);
    std::fs::write(&file, &damaged).unwrap();
    let store = FileAudit::open(home.path()).unwrap();

    let spool = Spool::open(directory.path()).unwrap();
    let other = TenantId::new("org_b").unwrap();
    for n in 1..20 {
        let mut record = record(n);
        if n % 2 == 0 {
            record.tenant = other.clone();
        }
        spool.append(record).await.unwrap();
    }
    let delivered = spool.deliver(&store).await.unwrap();
    assert_eq!(
        (
            delivered.stored,
            delivered.stuck,
            delivered.refused,
            delivered.pending
        ),
        (9, 10, 0, 10)
    );
    assert_eq!(delivered.error.unwrap().kind(), ErrorKind::Unexpected);
    // What comes later goes the same way, and nothing is kept twice.
    let mut later = record(20);
    later.tenant = other.clone();
    spool.append(later).await.unwrap();
    spool.append(record(21)).await.unwrap();
    let delivered = spool.deliver(&store).await.unwrap();
    assert_eq!(
        (delivered.stored, delivered.stuck, delivered.pending),
        (1, 11, 11)
    );

    std::fs::write(&file, &whole).unwrap();
    let store = FileAudit::open(home.path()).unwrap();
    let delivered = spool.deliver(&store).await.unwrap();
    assert_eq!((delivered.stored, delivered.stuck, delivered.pending), (11, 0, 0));
    let chain = store.chain(&tenant(), 0, 100).await.unwrap();
    let records = chain.into_iter().filter_map(TrailEntry::into_record);
    let names: Vec<_> = records.map(|(_, record)| record.resource_id).collect();
    let wanted: Vec<_> = (0..22)
        .filter(|n| *n == 0 || n % 2 == 1)
        .map(|n: i64| n.to_string())
        .collect();
    assert_eq!(names, wanted, "in their order");
}

pub(super) fn of(tenant: &TenantId, n: i64) -> AuditRecord {
    let mut record = record(n);
    record.tenant = tenant.clone();
    record
}

#[tokio::test]
async fn a_tenant_whose_chain_takes_nothing_makes_no_other_wait() {
    let directory = tempfile::tempdir().unwrap();
    let spool = Spool::open(directory.path()).unwrap();
    let other = TenantId::new("org_b").unwrap();
    let store = Arc::new(Troubled(
        InMemoryAudit::new(),
        Trouble::Stuck(other.clone(), AtomicUsize::new(0)),
    ));
    let recorder = super::recorder(&store, spool.clone(), Arc::new(SystemClock::new()));
    spool.append(of(&other, 0)).await.unwrap();
    // Whoever waits for the stuck one waits for an hour.
    let mut options = hurried();
    options.idle = Duration::from_secs(3600);
    options.first_delay = options.idle;
    options.longest_delay = options.idle;
    let drain = recorder.drain(options).unwrap();
    seen(&drain, 1).await;
    for n in 1..20 {
        assert_eq!(recorder.record(record(n)).await, Recorded::Kept);
        assert_eq!(recorder.record(of(&other, n)).await, Recorded::Kept);
        let arrived = async {
            while store.0.chain(&tenant()).len() < usize::try_from(n).unwrap() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(AMPLE, arrived)
            .await
            .expect("the others wait for the stuck one");
    }
    // However long it is given: those apart are left.
    let late = drain.flush(Duration::from_millis(1)).await.unwrap_err();
    assert_eq!(late.kind(), ErrorKind::Timeout);
    drop(drain);

    // When its chain takes records again, they come in their order, with what was recorded meanwhile.
    spool.append(of(&other, 20)).await.unwrap();
    let delivered = once(&spool, &store.0).await;
    assert_eq!((delivered.stored, delivered.pending), (21, 0));
    let Trouble::Stuck(_, given) = &store.1 else {
        unreachable!()
    };
    assert_eq!(given.load(Ordering::SeqCst), 1, "it is given at the idle pace");
    let names: Vec<_> = store
        .0
        .chain(&other)
        .into_iter()
        .map(|(_, record)| record.resource_id)
        .collect();
    let wanted: Vec<_> = (0..21).map(|n: i64| n.to_string()).collect();
    assert_eq!(names, wanted);
}

#[tokio::test]
async fn a_slow_store_gets_everything_in_smaller_batches() {
    let directory = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::self_moving());
    let spool = Spool::open(directory.path())
        .unwrap()
        .with_quota(SpoolQuota::default(), clock.clone());
    for n in 0..300 {
        spool.append(record(n)).await.unwrap();
    }
    let store = Troubled(InMemoryAudit::new(), Trouble::Slow(clock));
    let mut late = 0;
    while spool.deliver(&store).await.unwrap().pending > 0 {
        late += 1;
        assert!(late < 20, "it never gets anything");
    }
    assert_eq!((store.0.chain(&tenant()).len(), late), (300, 3));
}

fn spool_of(directory: &tempfile::TempDir) -> Spool {
    Spool::open(directory.path())
        .unwrap()
        .with_quota(SpoolQuota::default(), Arc::new(ManualClock::self_moving()))
}

pub(super) fn names(store: &InMemoryAudit, tenant: &TenantId) -> Vec<String> {
    let chain = store.chain(tenant).into_iter();
    chain.map(|(_, record)| record.resource_id).collect()
}

#[tokio::test]
async fn tenants_whose_inserts_never_end_keep_neither_new_records_of_others_nor_those_apart() {
    let directory = tempfile::tempdir().unwrap();
    let spool = spool_of(&directory);
    let slow: Vec<_> = (0..6)
        .map(|n| TenantId::new(format!("org_slow_{n}")).unwrap())
        .collect();
    let store = Troubled(InMemoryAudit::new(), Trouble::Waits(slow.clone()));
    for n in 0..20 {
        for tenant in &slow {
            spool.append(of(tenant, n)).await.unwrap();
        }
        spool.append(record(n)).await.unwrap();
    }
    let mut deliveries = 0;
    while store.0.chain(&tenant()).len() < 20 {
        let delivered = spool.deliver(&store).await.unwrap();
        assert_eq!(delivered.refused, 0);
        deliveries += 1;
        assert!(deliveries < 30, "the others wait for the slow ones");
    }

    // The last of them is over it; the five before it are not.
    let over = slow[5].clone();
    let store = Troubled(store.0, Trouble::Waits(slow[..5].to_vec()));
    let mut deliveries = 0;
    while store.0.chain(&over).len() < 20 {
        spool.deliver(&store).await.unwrap();
        deliveries += 1;
        assert!(deliveries < 10, "what waits apart waits for the slow ones");
    }
    assert_eq!(spool.deliver(&store.0).await.unwrap().pending, 0);
    let wanted: Vec<_> = (0..20).map(|n: i64| n.to_string()).collect();
    for tenant in &slow {
        assert_eq!(names(&store.0, tenant), wanted, "in their order");
    }
}

#[tokio::test]
async fn a_store_that_hangs_for_all_sets_no_tenant_apart() {
    for tenants in [1, 3] {
        let directory = tempfile::tempdir().unwrap();
        let spool = spool_of(&directory);
        let store = Troubled(InMemoryAudit::new(), Trouble::Hangs);
        for n in 0..9 {
            let tenant = TenantId::new(format!("org_{}", n % tenants)).unwrap();
            spool.append(of(&tenant, n)).await.unwrap();
        }
        for _ in 0..12 {
            let delivered = spool.deliver(&store).await.unwrap();
            assert_eq!((delivered.stuck, delivered.pending), (0, 9), "{tenants}");
            assert_eq!(delivered.error.unwrap().kind(), ErrorKind::Timeout);
        }
        assert!(!directory.path().join("spool.jsonl").exists(), "{tenants}");
        assert_eq!(spool.deliver(&store.0).await.unwrap().stored, 9);
    }
}
