//! Ends between the store's commit and the note that the spool is delivered.

use std::env;
use std::process::Command;

use ops_core::audit::Spool;
use ops_core::config::Env;
use ops_core::file::FileAudit;
use ops_core::ports::AuditStore;

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
        spool.deliver(&store).await.unwrap();
    });
}

#[tokio::test]
async fn a_crash_between_the_commit_and_the_note_of_it_stores_nothing_twice() {
    let folder = tempfile::tempdir().unwrap();
    let spool = Spool::open(folder.path().join("spool")).unwrap();
    // More than one batch: it dies behind the first, then behind the second.
    spool.append(record(0)).await.unwrap();
    // Many at a time share a disk write; on one thread they are given in their order.
    let mut kept = tokio::task::JoinSet::new();
    for n in 1..5000 {
        let spool = spool.clone();
        kept.spawn(async move { spool.append(record(n)).await.unwrap() });
    }
    kept.join_all().await;
    drop(spool);
    for points in [
        "audit.deliver.stored=return",
        "audit.deliver.stored=1*off->return",
    ] {
        let output = Command::new(env::current_exe().unwrap())
            .args(["--exact", "crash::child", "--nocapture"])
            .env(FOLDER, folder.path())
            .env("FAILPOINTS", points)
            .output()
            .unwrap();
        assert!(!output.status.success(), "the child must have died: {output:?}");
    }
    let spool = Spool::open(folder.path().join("spool")).unwrap();
    let store = FileAudit::open(folder.path().join("audit")).unwrap();
    let delivered = spool.deliver(&store).await.unwrap();
    assert_eq!(
        (delivered.missing, delivered.refused, delivered.pending),
        (0, 0, 0)
    );
    let chain = store.chain(&tenant(), 0, 10_000).await.unwrap();
    let names: Vec<_> = chain.into_iter().map(|(_, record)| record.resource_id).collect();
    let wanted: Vec<_> = (0..5000).map(|n: i64| n.to_string()).collect();
    assert_eq!(names, wanted);
    assert!(store.verify(&tenant()).await.unwrap().intact());
}
