use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ops_core::audit::{CheckpointStatus, CheckpointTask, NoteSigner};
use ops_core::clock::SystemClock;
use ops_core::error::ErrorKind;
use ops_core::memory::InMemoryArchive;
use ops_core::model::{TenantId, Timestamp};
use ops_core::ports::{ArchiveHold, AuditStore as _, Clock as _};
use ops_core::testkit::ManualClock;

use super::doubles::{Silent, Swapped, Told};
use super::{edited, in_file, keeper, keeper_at, record, signer, tenant, trail};

/// The file of a tenant whose name begins so.
fn kept(directory: &Path, begins: &str) -> std::path::PathBuf {
    let names = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut ours = names.filter(|path| path.file_name().unwrap().to_string_lossy().starts_with(begins));
    ours.next().unwrap()
}

async fn until(task: &CheckpointTask, met: impl Fn(&CheckpointStatus) -> bool + Send + Sync) {
    tokio::time::timeout(Duration::from_secs(30), async {
        while !met(&task.status()) {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await
    .unwrap_or_else(|_| unreachable!("{:?}", task.status()));
}

const EVERY: Duration = Duration::from_millis(5);

const LONG: Duration = Duration::from_secs(30);

#[tokio::test]
async fn a_task_signs_at_once_again_and_again_and_at_the_end() {
    let home = tempfile::tempdir().unwrap();
    let signer = signer();
    let store = Swapped::new(trail((0..9).map(record)).await);
    let other = TenantId::new("Org/B").unwrap();
    let task = keeper(&store, &signer)
        .start(home.path().join("kept"), [tenant(), other], EVERY)
        .unwrap();
    let second = keeper(&store, &signer).start(home.path().join("kept"), [tenant()], EVERY);
    assert_eq!(second.unwrap_err().kind(), ErrorKind::Conflict);

    until(&task, |status| status.looks > 0).await;
    let file = kept(&home.path().join("kept"), "org_soulsyncs");
    assert_eq!(in_file(&file, &signer).size, 9);
    assert_eq!(
        in_file(&kept(&home.path().join("kept"), "%4frg%2f%42"), &signer).size,
        0
    );
    store.append(&record(9)).await.unwrap();
    until(&task, |status| status.signed == 3).await;
    assert_eq!(in_file(&file, &signer).size, 10);

    store.append(&record(10)).await.unwrap();
    let status = task.stop(LONG).await;
    assert_eq!(in_file(&file, &signer).size, 11, "what came last");
    assert_eq!((status.faults.len(), status.failures, status.error), (0, 0, None));
    assert!(status.whole.is_some());
    // Whoever comes next may keep them here.
    let next = keeper(&store, &signer).start(home.path().join("kept"), [tenant()], EVERY);
    drop(next.unwrap());
}

#[tokio::test]
async fn a_task_that_is_told_to_end_needs_no_interval() {
    let home = tempfile::tempdir().unwrap();
    let signer = signer();
    let store = Swapped::new(trail((0..9).map(record)).await);
    let task = keeper(&store, &signer)
        .start(home.path(), [tenant()], Duration::from_secs(3_600))
        .unwrap();
    until(&task, |status| status.looks == 1).await;
    store.append(&record(9)).await.unwrap();
    assert_eq!(task.stop(LONG).await.signed, 2);
    let none = keeper(&store, &signer).start(home.path(), [tenant()], Duration::ZERO);
    assert_eq!(none.unwrap_err().kind(), ErrorKind::InvalidConfig);
    let unfit = NoteSigner::generate("audit/example").map(|signer| keeper(&store, &signer));
    if let Ok(unfit) = unfit {
        assert!(unfit.start(home.path(), [tenant()], EVERY).is_err());
    }
}

#[tokio::test]
async fn a_task_tells_of_what_is_wrong_until_it_is_mended() {
    let home = tempfile::tempdir().unwrap();
    let signer = signer();
    let store = Swapped::new(trail((0..9).map(record)).await);
    let task = keeper(&store, &signer)
        .start(home.path(), [tenant()], EVERY)
        .unwrap();
    until(&task, |status| status.whole.is_some()).await;
    assert!(task.status().metrics().contains("ops_audit_trails_faulty 0\n"));

    store.swap(trail((0..8).map(record)).await);
    until(&task, |status| status.faults.len() == 1).await;
    let status = task.status();
    assert!(status.faults[&tenant()].contains("fewer records"), "{status:?}");
    assert!(
        status.metrics().contains("ops_audit_trails_faulty 1\n"),
        "{}",
        status.metrics()
    );
    assert!(status.error.is_some());

    // A store that is away says nothing about the trail.
    let away = trail([]).await;
    away.set_reachable(false);
    store.swap(away);
    let failures = task.status().failures;
    until(&task, |status| status.failures > failures + 2).await;
    let status = task.status();
    assert!(
        status.faults[&tenant()].contains("fewer records"),
        "what was found holds: {status:?}"
    );
    assert!(!status.error.unwrap().contains("fewer records"));

    store.swap(trail((0..10).map(record)).await);
    until(&task, |status| status.error.is_none()).await;
    let status = task.stop(LONG).await;
    assert!(status.faults.is_empty());
    assert_eq!(in_file(&kept(home.path(), "org_soulsyncs"), &signer).size, 10);
}

#[tokio::test]
async fn a_task_counts_another_trail_in_the_archive_as_a_fault() {
    let home = tempfile::tempdir().unwrap();
    let signer = signer();
    let clock = Arc::new(SystemClock::new());
    let archive = Arc::new(InMemoryArchive::new(clock));
    let of = |store: &Arc<Swapped>| {
        keeper(store, &signer).with_archive(Arc::clone(&archive) as _, "seen", ArchiveHold::held())
    };
    let ours = Swapped::new(trail((0..9).map(record)).await);
    let kept = of(&ours).keep(&tenant(), home.path().join("a")).await.unwrap();
    assert!(kept.archived.unwrap().is_ok());

    let theirs = Swapped::new(trail((0..8).map(record).chain([edited(8)])).await);
    let task = of(&theirs)
        .start(home.path().join("b"), [tenant()], EVERY)
        .unwrap();
    until(&task, |status| !status.faults.is_empty()).await;
    // The archive has none of the next length: that hides nothing.
    theirs.append(&record(9)).await.unwrap();
    let looks = task.status().looks;
    until(&task, |status| status.looks > looks + 2).await;
    let status = task.stop(LONG).await;
    assert!(
        status.faults[&tenant()].contains("another one of this length"),
        "{status:?}"
    );
    assert_eq!((status.archived, status.signed), (0, 0));
    let files = std::fs::read_dir(home.path().join("b")).unwrap();
    assert_eq!(files.count(), 1, "the lock, and no checkpoint of another trail");
}

#[tokio::test]
async fn a_store_that_is_in_the_way_is_no_fault_and_one_that_makes_no_sense_is() {
    let signer = signer();
    for (kind, faults) in [
        (ErrorKind::Conflict, 0),
        (ErrorKind::Timeout, 0),
        (ErrorKind::PermissionDenied, 0),
        (ErrorKind::Unexpected, 1),
    ] {
        let home = tempfile::tempdir().unwrap();
        let store = Swapped::new(Told::failing(kind));
        let task = keeper(&store, &signer)
            .start(home.path(), [tenant()], EVERY)
            .unwrap();
        until(&task, |status| status.looks > 1).await;
        let status = task.stop(LONG).await;
        assert_eq!(status.faults.len(), faults, "{kind:?}: {status:?}");
        assert!(status.error.is_some() && status.failures > 1 && status.whole.is_none());
    }
}

#[tokio::test]
async fn a_task_says_that_it_began_and_that_its_file_was_changed() {
    let home = tempfile::tempdir().unwrap();
    let signer = signer();
    let store = Swapped::new(trail((0..9).map(record)).await);
    let empty = TenantId::new("org_empty").unwrap();
    let task = keeper(&store, &signer)
        .start(home.path(), [tenant(), empty], EVERY)
        .unwrap();
    until(&task, |status| status.looks > 0).await;
    assert_eq!(
        task.status().begun,
        1,
        "one without a record has nothing to be compared"
    );
    let file = kept(home.path(), "org_soulsyncs");
    for text in [
        super::signer().verifier().to_string().into_bytes(),
        vec![0xff, 0xfe],
    ] {
        let good = std::fs::read(&file).unwrap();
        std::fs::write(&file, text).unwrap();
        until(&task, |status| status.faults.len() == 1).await;
        std::fs::write(&file, good).unwrap();
        until(&task, |status| status.faults.is_empty()).await;
    }
    drop(task);
}

#[tokio::test]
async fn an_archive_that_hangs_is_waited_for_two_minutes_once_a_look() {
    let (home, signer) = (tempfile::tempdir().unwrap(), signer());
    let store = Swapped::new(trail((0..9).map(record)).await);
    let clock = Arc::new(ManualClock::new(Timestamp::UNIX_EPOCH));
    let tenants = ["org_soulsyncs", "org_b", "org_c"].map(|name| TenantId::new(name).unwrap());
    let keeper = keeper_at(&store, &signer, Arc::clone(&clock) as _).with_archive(
        Arc::new(Silent),
        "seen",
        ArchiveHold::held(),
    );
    let task = keeper
        .start(home.path(), tenants, Duration::from_secs(9_999))
        .unwrap();
    let begun = clock.now();
    tokio::time::timeout(LONG, async {
        while task.status().looks == 0 {
            clock.advance(Duration::from_secs(1));
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await
    .unwrap();
    assert!(clock.now().saturating_since(begun) < Duration::from_secs(200));
    let status = task.status();
    assert_eq!(
        (status.signed, status.archived, status.failures),
        (3, 0, 1),
        "{status:?}"
    );
    for begins in ["org_soulsyncs", "org_b", "org_c"] {
        kept(home.path(), begins);
    }
    // The last look waits for the archive again, and is cut off.
    assert!(task.is_running());
    let ends = task.stop(Duration::from_secs(5));
    let passes = async {
        loop {
            clock.advance(Duration::from_secs(1));
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    let status = tokio::select! { status = ends => status, () = passes => unreachable!() };
    assert!(status.error.unwrap().contains("did not come to its end"));
    tokio::time::sleep(Duration::from_millis(20)).await;
    let again = super::keeper(&store, &signer).start(home.path(), [tenant()], LONG);
    drop(again.unwrap());
}

#[tokio::test]
async fn what_cannot_be_named_is_said_at_the_start_and_long_names_are_files() {
    let (home, signer) = (tempfile::tempdir().unwrap(), signer());
    let store = Swapped::new(trail([]).await);
    let odd = TenantId::new("org:a").unwrap();
    let clock = Arc::new(SystemClock::new());
    let archived = keeper(&store, &signer).with_archive(
        Arc::new(InMemoryArchive::new(clock)),
        "seen",
        ArchiveHold::held(),
    );
    let error = archived.start(home.path(), [odd.clone()], EVERY).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    let long = TenantId::new("X".repeat(100)).unwrap();
    let task = keeper(&store, &signer)
        .start(home.path(), [odd, long], EVERY)
        .unwrap();
    until(&task, |status| status.whole.is_some()).await;
    assert_eq!(task.stop(LONG).await.failures, 0);
}
