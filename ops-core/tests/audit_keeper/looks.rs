use std::sync::Arc;
use std::time::Duration;

use ops_core::audit::{Checkpoint, Growth, NoteSigner, content};
use ops_core::error::ErrorKind;
use ops_core::memory::{InMemoryArchive, InMemoryAudit};
use ops_core::model::{TenantId, Timestamp};
use ops_core::ports::{ArchiveHold, ArchiveName, AuditStore, EvidenceArchive as _, TrailEntry};
use ops_core::testkit::ManualClock;

use super::doubles::{Swapped, Told};
use super::{behind, in_file, keeper, keeper_at, record, rows, signer, tenant, trail};

#[tokio::test]
async fn each_look_reads_what_came_since_and_signs_it() {
    let home = tempfile::tempdir().unwrap();
    let (file, signer) = (home.path().join("seen"), signer());
    let store = Swapped::new(trail((0..20).map(record)).await);
    let keeper = keeper(&store, &signer);

    let first = keeper.keep(&tenant(), &file).await.unwrap();
    assert_eq!(
        (first.growth, first.checkpoint.size, store.read()),
        (Growth::First, 20, 20)
    );
    assert_eq!(in_file(&file, &signer), first.checkpoint);
    assert!(first.archived.is_none(), "there is no archive");

    let same = keeper.keep(&tenant(), &file).await.unwrap();
    assert_eq!(
        (same.growth, same.note, store.read()),
        (Growth::Same, first.note, 1)
    );

    for n in 20..23 {
        store.append(&record(n)).await.unwrap();
    }
    let grown = keeper.keep(&tenant(), &file).await.unwrap();
    assert_eq!(
        (grown.growth, grown.checkpoint.size, store.read()),
        (Growth::Grown, 23, 4)
    );
    assert_eq!(in_file(&file, &signer), grown.checkpoint);
    let whole = ops_core::audit::tree(&*store, &tenant(), None).await.unwrap();
    assert_eq!(grown.checkpoint.root, whole.root());
}

#[tokio::test]
async fn another_process_goes_on_from_the_file() {
    let home = tempfile::tempdir().unwrap();
    let (file, signer) = (home.path().join("seen"), signer());
    let store = Swapped::new(trail((0..5).map(record)).await);
    keeper(&store, &signer).keep(&tenant(), &file).await.unwrap();
    store.append(&record(5)).await.unwrap();
    store.read();
    let next = keeper(&store, &signer).keep(&tenant(), &file).await.unwrap();
    assert_eq!(
        (next.growth, next.checkpoint.size, store.read()),
        (Growth::Grown, 6, 6)
    );
}

#[tokio::test]
async fn an_outage_costs_no_second_reading_of_all() {
    let home = tempfile::tempdir().unwrap();
    let (file, signer) = (home.path().join("seen"), signer());
    let store = Swapped::new(trail((0..9).map(record)).await);
    let keeper = keeper(&store, &signer);
    keeper.keep(&tenant(), &file).await.unwrap();
    let away = trail([]).await;
    away.set_reachable(false);
    store.swap(away);
    let error = keeper.keep(&tenant(), &file).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    store.swap(trail((0..11).map(record)).await);
    store.read();
    keeper.keep(&tenant(), &file).await.unwrap();
    assert_eq!(store.read(), 3, "the last one and the two behind it");
}

#[tokio::test]
async fn what_comes_while_it_reads_is_for_the_next_look() {
    let home = tempfile::tempdir().unwrap();
    let (file, signer) = (home.path().join("seen"), signer());
    let after = trail((0..12).map(record)).await;
    let rows = rows(&after).await;
    let store = Swapped::new(moving(&trail((0..9).map(record)).await, &after, rows).await);
    let keeper = keeper(&store, &signer);
    assert_eq!(keeper.keep(&tenant(), &file).await.unwrap().checkpoint.size, 9);
    store.swap(trail((0..12).map(record)).await);
    let next = keeper.keep(&tenant(), &file).await.unwrap();
    assert_eq!((next.growth, next.checkpoint.size), (Growth::Grown, 12));
}

#[tokio::test]
async fn retention_while_it_reads_is_no_fault() {
    let home = tempfile::tempdir().unwrap();
    let (file, signer) = (home.path().join("seen"), signer());
    let mut told = record(9);
    told.action = "audit.prune".to_owned();
    for (name, value) in [("first", "3"), ("last", "3"), ("removed", "1")] {
        told = told.with_detail(name, value);
    }
    let after = trail((0..9).map(record).chain([told])).await;
    let mut left = rows(&after).await;
    left[2] = TrailEntry::Removed {
        receipt: left[2].receipt().unwrap().clone(),
        content: content(&record(2)),
        id: record(2).id,
    };
    let store = Swapped::new(moving(&trail((0..9).map(record)).await, &after, left).await);
    let kept = keeper(&store, &signer).keep(&tenant(), &file).await.unwrap();
    assert_eq!(kept.checkpoint.size, 10);
}

#[tokio::test]
async fn a_file_that_is_not_ours_is_left_alone() {
    let home = tempfile::tempdir().unwrap();
    let (file, ours) = (home.path().join("seen"), signer());
    let store = Swapped::new(trail((0..9).map(record)).await);
    let tree = ops_core::audit::tree(&*store, &tenant(), None).await.unwrap();
    let note = |log: &str, tenant: &str, by: &NoteSigner| {
        let tenant = TenantId::new(tenant).unwrap();
        Checkpoint::of(log, &tenant, &tree)
            .unwrap()
            .sign(&[by])
            .unwrap()
            .to_string()
    };
    for (text, kind) in [
        (
            note("audit.example.com", "org_soulsyncs", &signer()),
            ErrorKind::PermissionDenied,
        ),
        (note("audit.example.com", "org_b", &ours), ErrorKind::InvalidInput),
        (
            note("another.example.com", "org_soulsyncs", &ours),
            ErrorKind::InvalidInput,
        ),
        ("my notes\n".to_owned(), ErrorKind::InvalidInput),
        (String::new(), ErrorKind::InvalidInput),
    ] {
        std::fs::write(&file, &text).unwrap();
        let error = keeper(&store, &ours).keep(&tenant(), &file).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{text:?}: {error}");
        assert!(error.to_string().contains("seen"), "names the file: {error}");
        assert_eq!(std::fs::read_to_string(&file).unwrap(), text);
    }
}

#[tokio::test]
async fn a_new_key_signs_anew_and_an_old_one_counts_only_if_it_is_known() {
    let home = tempfile::tempdir().unwrap();
    let (file, old, new) = (home.path().join("seen"), signer(), signer());
    let store = Swapped::new(trail((0..9).map(record)).await);
    keeper(&store, &old).keep(&tenant(), &file).await.unwrap();
    let unknown = keeper(&store, &new).keep(&tenant(), &file).await.unwrap_err();
    assert_eq!(unknown.kind(), ErrorKind::PermissionDenied);

    let both = keeper(&store, &old).with_signer(new.clone());
    let same = both.keep(&tenant(), &file).await.unwrap();
    assert_eq!(same.growth, Growth::Same);
    in_file(&file, &old);
    in_file(&file, &new);

    let known = keeper(&store, &new).with_keys([old.verifier().clone()]);
    store.append(&record(9)).await.unwrap();
    known.keep(&tenant(), &file).await.unwrap();
    assert_eq!(in_file(&file, &new).size, 10);
}

#[tokio::test]
async fn an_archive_gets_each_checkpoint_once_and_what_it_missed_later() {
    let home = tempfile::tempdir().unwrap();
    let (file, signer) = (home.path().join("seen"), signer());
    let store = Swapped::new(trail((0..9).map(record)).await);
    let clock = Arc::new(ManualClock::new(Timestamp::UNIX_EPOCH));
    let archive = Arc::new(InMemoryArchive::new(Arc::clone(&clock) as _));
    let keeper = keeper_at(&store, &signer, Arc::clone(&clock) as _).with_archive(
        Arc::clone(&archive) as _,
        "checkpoints",
        ArchiveHold::held(),
    );
    let name = |size: u64| {
        let name = format!("checkpoints/audit.example.com/org_soulsyncs/{size:020}");
        ArchiveName::new(name).unwrap()
    };

    archive.set_reachable(false);
    let ours = tenant();
    let look = keeper.keep(&ours, &file);
    let waits = async {
        loop {
            clock.advance(Duration::from_secs(30));
            tokio::task::yield_now().await;
        }
    };
    let alone = tokio::select! { kept = look => kept.unwrap(), () = waits => unreachable!() };
    assert!(alone.archived.unwrap().is_err());
    assert_eq!(in_file(&file, &signer).size, 9, "signed all the same");

    archive.set_reachable(true);
    let later = keeper.keep(&tenant(), &file).await.unwrap();
    assert_eq!(later.growth, Growth::Same);
    assert_eq!(later.archived.unwrap().unwrap().name, name(9));
    assert!(keeper.keep(&tenant(), &file).await.unwrap().archived.is_none());

    store.append(&record(9)).await.unwrap();
    let grown = keeper.keep(&tenant(), &file).await.unwrap();
    assert_eq!(grown.archived.unwrap().unwrap().name, name(10));
    let there = archive.read(&name(10), 0, 9_999).await.unwrap();
    assert_eq!(there, std::fs::read(&file).unwrap());
    assert!(
        archive
            .observe(&name(10))
            .await
            .unwrap()
            .unwrap()
            .hold
            .covers(&ArchiveHold::held())
    );
}

/// The head of one trail until it is read, then that of `after`.
async fn moving(before: &InMemoryAudit, after: &InMemoryAudit, rows: Vec<TrailEntry>) -> Told {
    let mut told = behind(after, rows).await;
    told.before = before.head(&tenant()).await.unwrap();
    told
}
