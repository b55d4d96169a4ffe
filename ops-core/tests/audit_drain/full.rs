use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use ops_core::audit::{Recorded, Spool, SpoolQuota};
use ops_core::clock::SystemClock;
use ops_core::error::ErrorKind;
use ops_core::memory::InMemoryAudit;
use ops_core::ports::Clock as _;
use ops_core::testkit::ManualClock;

use super::{acting, record, recorder, tenant};

#[tokio::test]
async fn at_the_limit_high_privilege_actions_are_refused_and_others_wait() {
    let directory = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::self_moving());
    let store = Arc::new(InMemoryAudit::new());
    store.set_reachable(false);
    let quota = SpoolQuota::of(200_000).with_wait(Duration::from_secs(7));
    let spool = Spool::open(directory.path())
        .unwrap()
        .with_quota(quota, clock.clone());
    let recorder = recorder(&store, spool.clone(), clock.clone());
    let mut kept = 0;
    let full = loop {
        match spool.append(record(kept)).await {
            Ok(()) => kept += 1,
            Err(full) => break full,
        }
    };
    assert_eq!(full.kind(), ErrorKind::RateLimited);
    assert!(full.to_string().contains("200000 bytes"), "{full}");
    assert!(
        clock.monotonic() >= Duration::from_secs(7),
        "it has waited for room"
    );
    assert!(spool.status().await.unwrap().bytes <= 200_000);

    let before = clock.monotonic();
    for action in ["delete", "update_permission", "export"] {
        let refused = recorder.record(acting(action, kept)).await;
        assert!(
            matches!(&refused, Recorded::Refused { reason } if reason.contains("make room")),
            "{refused:?}"
        );
    }
    // Not even the store's deadline has passed: nobody waits for what is refused.
    assert_eq!(clock.monotonic(), before);
    let lost = recorder.record(record(kept)).await;
    assert!(matches!(lost, Recorded::Lost { .. }), "{lost:?}");

    // A record that waits goes on as soon as there is room.
    store.set_reachable(true);
    let patient = Spool::open(directory.path()).unwrap().with_quota(
        SpoolQuota::of(200_000).with_wait(Duration::from_secs(3600)),
        Arc::new(SystemClock::new()),
    );
    let waiting = tokio::spawn(async move { patient.append(record(-1)).await });
    let delivered = spool.deliver(&*store).await.unwrap();
    waiting.await.unwrap().unwrap();
    assert!(delivered.stored >= u64::try_from(kept).unwrap());
    spool.append(acting("export", kept)).await.unwrap();
    spool.deliver(&*store).await.unwrap();
    assert_eq!(store.chain(&tenant()).len(), usize::try_from(kept).unwrap() + 2);
}

#[tokio::test]
async fn which_actions_are_refused_can_be_said() {
    let directory = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::self_moving());
    let quota = SpoolQuota::of(10).with_refused(["payout"]);
    let spool = Spool::open(directory.path())
        .unwrap()
        .with_quota(quota, clock.clone());
    let before = clock.monotonic();
    assert_eq!(
        spool.append(acting("payout", 1)).await.unwrap_err().kind(),
        ErrorKind::RateLimited
    );
    assert_eq!(clock.monotonic(), before);
    spool.append(acting("export", 1)).await.unwrap_err();
    assert!(clock.monotonic() > before, "this one has waited");
}

/// A disk of its own, as small as it is said to be.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// `None` where nobody may mount one.
    fn mount(at: &Path, size: &str) -> Option<Self> {
        mounted(
            &["-t", "tmpfs", "-o", &format!("size={size},mode=0700"), "tmpfs"],
            at,
        )
        .then(|| Self(at.to_owned()))
    }

    fn grow(&self, size: &str) {
        assert!(mounted(&["-o", &format!("remount,size={size}")], &self.0));
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

fn mounted(arguments: &[&str], at: &Path) -> bool {
    Command::new("mount")
        .args(arguments)
        .arg(at)
        .output()
        .is_ok_and(|output| output.status.success())
}

#[tokio::test]
async fn on_a_full_disk_nothing_acknowledged_is_lost_and_recording_goes_on_when_there_is_room() {
    let directory = tempfile::tempdir().unwrap();
    let Some(disk) = SmallDisk::mount(directory.path(), "300k") else {
        eprintln!(
            "LEFT OUT: nobody may mount a disk here; the writer's own tests cover a disk that says it is full"
        );
        return;
    };
    let store = Arc::new(InMemoryAudit::new());
    store.set_reachable(false);
    let spool = Spool::open(directory.path()).unwrap();
    let recorder = recorder(&store, spool.clone(), Arc::new(SystemClock::new()));
    let mut kept = 0;
    let lost = loop {
        match recorder.record(record(kept)).await {
            Recorded::Spooled { .. } => kept += 1,
            other => break other,
        }
    };
    assert!(
        matches!(&lost, Recorded::Lost { reason } if reason.contains("No space left") && reason.contains("make room")),
        "{lost:?}"
    );
    assert!(kept > 200, "{kept}");
    let refused = recorder.record(acting("delete", kept)).await;
    assert!(matches!(refused, Recorded::Refused { .. }), "{refused:?}");

    disk.grow("2m");
    for n in kept..kept + 100 {
        let recorded = recorder.record(record(n)).await;
        assert!(matches!(recorded, Recorded::Spooled { .. }), "{recorded:?}");
    }
    store.set_reachable(true);
    let delivered = recorder.deliver().await.unwrap();
    assert_eq!(
        (delivered.missing, delivered.damaged, delivered.pending),
        (0, 0, 0)
    );
    let names: Vec<_> = store
        .chain(&tenant())
        .into_iter()
        .map(|(_, record)| record.resource_id)
        .collect();
    let wanted: Vec<_> = (0..kept + 100).map(|n: i64| n.to_string()).collect();
    assert_eq!(names, wanted);
}

#[tokio::test]
async fn a_full_disk_does_not_keep_the_spool_from_emptying() {
    let directory = tempfile::tempdir().unwrap();
    let Some(_disk) = SmallDisk::mount(directory.path(), "500k") else {
        eprintln!("LEFT OUT: nobody may mount a disk here");
        return;
    };
    let spool = Spool::open(directory.path()).unwrap();
    let mut kept = 0;
    while spool.append(record(kept)).await.is_ok() {
        kept += 1;
    }
    // Not a byte is left for the note of what is delivered.
    let mut filler = std::fs::File::create(directory.path().join(".filler")).unwrap();
    while std::io::Write::write(&mut filler, &[1; 512]).is_ok_and(|written| written > 0) {}
    let store = InMemoryAudit::new();
    let delivered = spool.deliver(&store).await.unwrap();
    assert_eq!(
        (delivered.missing, delivered.damaged, delivered.refused),
        (0, 0, 0)
    );
    assert_eq!(store.chain(&tenant()).len(), usize::try_from(kept).unwrap());
    spool.append(record(kept)).await.unwrap();
    let delivered = spool.deliver(&store).await.unwrap();
    assert_eq!((delivered.missing, delivered.pending), (0, 0));
    assert_eq!(store.chain(&tenant()).len(), usize::try_from(kept).unwrap() + 1);
}
