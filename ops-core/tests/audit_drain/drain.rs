use std::fs::File;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use ops_core::audit::{Delivered, Drain, DrainOptions, Recorded, Spool};
use ops_core::clock::SystemClock;
use ops_core::emergency::Meter;
use ops_core::error::ErrorKind;
use ops_core::memory::InMemoryAudit;
use ops_core::model::AuditRecord;
use ops_core::ports::{AuditReceipt, AuditStore, Clock as _};
use ops_core::testkit::ManualClock;
use ops_core::{Ops, Providers};

use super::troubled::{Trouble, Troubled};
use super::{record, recorder, tenant};

pub(super) const AMPLE: Duration = Duration::from_secs(60);

pub(super) fn hurried() -> DrainOptions {
    let mut options = DrainOptions::default();
    options.gather = Duration::from_millis(1);
    options.first_delay = Duration::from_millis(1);
    options.longest_delay = Duration::from_millis(10);
    options.idle = Duration::from_millis(20);
    options
}

/// Returns when the drain has seen so many records that wait.
pub(super) async fn seen(drain: &Drain, depth: u64) {
    while drain.status().depth != depth {
        tokio::task::yield_now().await;
    }
}

/// Returns when the store has refused something: records may come while a look that found nothing counts what waits.
async fn failed(drain: &Drain) {
    while drain.status().failures == 0 {
        tokio::task::yield_now().await;
    }
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
    seen(&drain, 10).await;
    failed(&drain).await;
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
    seen(&drain, 1).await;
    failed(&drain).await;
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

/// A drain with one record for a store that is down, and its clock.
async fn with_a_dead_store(directory: &Path) -> (Arc<ManualClock>, Drain) {
    let clock = Arc::new(ManualClock::self_moving());
    let store = Arc::new(InMemoryAudit::new());
    store.set_reachable(false);
    let spool = Spool::open(directory).unwrap();
    spool.append(record(1)).await.unwrap();
    let recorder = recorder(&store, spool, clock.clone());
    (clock, recorder.drain(DrainOptions::default()).unwrap())
}

#[tokio::test]
async fn the_pauses_grow_while_the_store_is_down() {
    let directory = tempfile::tempdir().unwrap();
    let (clock, drain) = with_a_dead_store(directory.path()).await;
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

#[tokio::test]
async fn a_look_that_another_process_had_the_turn_for_makes_no_pause_short_again() {
    let directory = tempfile::tempdir().unwrap();
    let (clock, drain) = with_a_dead_store(directory.path()).await;
    while drain.status().failures < 9 {
        tokio::task::yield_now().await;
    }
    let turn = File::options()
        .write(true)
        .open(directory.path().join("deliver.lock"));
    let turn = turn.unwrap();
    while turn.try_lock().is_err() {
        tokio::task::yield_now().await;
    }
    let (failures, taken) = (drain.status().failures, clock.monotonic());
    while clock.monotonic() < taken + Duration::from_secs(60) {
        tokio::task::yield_now().await;
    }
    let status = drain.status();
    assert_eq!(status.failures, failures);
    assert!(status.error.is_some(), "nobody has asked the store since");
    let given = clock.monotonic();
    turn.unlock().unwrap();
    while drain.status().failures < failures + 3 {
        tokio::task::yield_now().await;
    }
    // Two pauses of 30 s lie between the three, or one of 25.6 s and one of 30 s.
    assert!(clock.monotonic() >= given + Duration::from_secs(55));
}

#[tokio::test]
async fn the_pauses_grow_too_when_only_what_waits_apart_is_left_for_a_store_that_is_down() {
    let directory = tempfile::tempdir().unwrap();
    let spool = Spool::open(directory.path()).unwrap();
    spool.append(record(1)).await.unwrap();
    let stuck = Troubled(
        InMemoryAudit::new(),
        Trouble::Stuck(tenant(), AtomicUsize::new(0)),
    );
    let delivered = spool.deliver(&stuck).await.unwrap();
    assert_eq!((delivered.stuck, delivered.pending), (1, 1));

    let clock = Arc::new(ManualClock::self_moving());
    let store = Arc::new(InMemoryAudit::new());
    store.set_reachable(false);
    let recorder = recorder(&store, spool, clock.clone());
    let drain = recorder.drain(DrainOptions::default()).unwrap();
    let failed = async {
        while drain.status().failures < 11 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(AMPLE, failed)
        .await
        .expect("nobody counts that the store is down");
    assert!(
        clock.monotonic() >= Duration::from_secs(111),
        "{:?}",
        clock.monotonic()
    );
}

#[tokio::test]
async fn nobody_else_has_the_turn_while_the_work_of_a_dropped_delivery_goes_on() {
    let directory = tempfile::tempdir().unwrap();
    let spool = Spool::open(directory.path()).unwrap();
    spool.append(record(1)).await.unwrap();
    let file = directory.path().join("spool.jsonl");
    let file = File::options().append(true).create(true).open(file).unwrap();
    let store = Troubled(InMemoryAudit::new(), Trouble::Keeps(file, AtomicBool::new(false)));
    let Trouble::Keeps(file, kept) = &store.1 else {
        unreachable!()
    };
    {
        let mut delivering = pin!(spool.deliver(&store));
        while !kept.load(Ordering::SeqCst) {
            tokio::select! {
                biased;
                _ = &mut delivering => {}
                () = tokio::task::yield_now() => {}
            }
        }
    }
    // It waits for the file, where the record is to be kept apart.
    assert!(spool.deliver(&store.0).await.unwrap().elsewhere);
    file.unlock().unwrap();
    let delivered = once(&spool, &store.0).await;
    assert_eq!(
        (delivered.stored, delivered.missing, delivered.pending),
        (1, 0, 0)
    );
}

/// A delivery, once nobody else has the turn.
pub(super) async fn once(spool: &Spool, store: &InMemoryAudit) -> Delivered {
    loop {
        let delivered = spool.deliver(store).await.unwrap();
        if !delivered.elsewhere {
            return delivered;
        }
        tokio::task::yield_now().await;
    }
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
