//! Ends between any two steps of a delivery: the store's commit, what is kept aside, the place, the segments that are removed.

use std::env;
use std::path::Path;
use std::process::Command;

use ops_core::audit::Spool;
use ops_core::config::Env;
use ops_core::file::FileAudit;
use ops_core::ports::{AuditStore, TrailEntry};

use super::{record, tenant};

const FOLDER: &str = "OPS_TEST_DRAIN_OF_CHILD";

/// What the child does: it delivers, and dies where the variable `FAILPOINTS` says.
#[test]
fn child() {
    let Some(folder) = Env::process().text(FOLDER) else {
        return;
    };
    let _scenario = fail::FailScenario::setup();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let folder = std::path::PathBuf::from(folder);
        let spool = Spool::open(folder.join("spool")).unwrap();
        let store = FileAudit::open(folder.join("audit")).unwrap();
        let _ = spool.deliver(&store).await;
    });
}

/// What a process leaves behind: two segments, so that a delivery has two batches and one to remove.
async fn leave_behind(folder: &Path, first: i64) {
    let spool = Spool::open(folder.join("spool")).unwrap();
    spool.append(record(first)).await.unwrap();
    // Many at a time share a disk write; on one thread they are given in their order.
    let mut kept = tokio::task::JoinSet::new();
    for n in 1..EACH {
        let spool = spool.clone();
        kept.spawn(async move { spool.append(record(first + n)).await.unwrap() });
    }
    kept.join_all().await;
}

const EACH: i64 = 600;

#[tokio::test]
async fn a_crash_between_any_two_steps_of_a_delivery_loses_nothing_and_stores_nothing_twice() {
    let folder = tempfile::tempdir().unwrap();
    let points = [
        "audit.deliver.stored=return",
        "audit.deliver.stored=1*off->return",
        "audit.deliver.kept=return",
        "audit.deliver.kept=1*off->return",
        "audit.place.named=return",
        "audit.place.named=1*off->return",
        "audit.place.synced=return",
        "audit.place.synced=1*off->return",
        "audit.segment.removed=return",
        // The last one, before the rest of the directory.
        "audit.segment.removed=1*off->return",
    ];
    let mut wanted = Vec::new();
    for (first, point) in (0..).step_by(10_000).zip(points) {
        leave_behind(folder.path(), first).await;
        wanted.extend((first..first + EACH).map(|n| n.to_string()));
        let output = Command::new(env::current_exe().unwrap())
            .args(["--exact", "crash::child", "--nocapture"])
            .env(FOLDER, folder.path())
            .env("FAILPOINTS", point)
            .output()
            .unwrap();
        let died = std::os::unix::process::ExitStatusExt::signal(&output.status);
        assert_eq!(died, Some(ABORT), "{point}: {output:?}");
        let spool = Spool::open(folder.path().join("spool")).unwrap();
        let store = FileAudit::open(folder.path().join("audit")).unwrap();
        let delivered = spool.deliver(&store).await.unwrap();
        assert_eq!(
            (
                delivered.missing,
                delivered.damaged,
                delivered.refused,
                delivered.pending
            ),
            (0, 0, 0, 0),
            "{point}"
        );
    }
    let store = FileAudit::open(folder.path().join("audit")).unwrap();
    let chain = store.chain(&tenant(), 0, 10_000).await.unwrap();
    let records = chain.into_iter().filter_map(TrailEntry::into_record);
    let names: Vec<_> = records.map(|(_, record)| record.resource_id).collect();
    assert_eq!(names, wanted);
    assert!(store.verify(&tenant()).await.unwrap().intact());
}

/// The signal of `abort`.
const ABORT: i32 = 6;
