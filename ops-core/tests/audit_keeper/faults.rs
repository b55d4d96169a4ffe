use std::sync::Arc;
use std::time::Duration;

use ops_core::audit::{Growth, content};
use ops_core::memory::InMemoryAudit;
use ops_core::model::{AuditRecord, Digest, TenantId, Timestamp};
use ops_core::ports::{AuditHead, AuditReceipt, AuditStore, TrailEntry};
use ops_core::testkit::ManualClock;

use super::doubles::{Swapped, Told};
use super::{behind, edited, in_file, keeper, keeper_at, record, refused, rows, signer, tenant, trail};

type Beheaded = fn(AuditHead) -> Option<AuditHead>;

#[tokio::test]
async fn what_was_signed_is_held_against_the_trail() {
    let home = tempfile::tempdir().unwrap();
    let (file, signer) = (home.path().join("seen"), signer());
    let store = Swapped::new(trail((0..9).map(record)).await);
    keeper(&store, &signer).keep(&tenant(), &file).await.unwrap();

    let cases: [(InMemoryAudit, &str); 4] = [
        (trail((0..8).map(record)).await, "fewer records than were signed"),
        (trail([]).await, "fewer records than were signed"),
        // As long, and longer.
        (
            trail((0..8).map(record).chain([edited(8)])).await,
            "not the one that was signed",
        ),
        (
            trail([edited(0)].into_iter().chain((1..12).map(record))).await,
            "not the one that was signed",
        ),
    ];
    for (changed, said) in cases {
        store.swap(changed);
        // By one that reads all, and by one that goes on from what it read.
        let fresh = refused(&keeper(&store, &signer), &file).await;
        assert!(fresh.contains(said), "{fresh}");
        store.swap(trail((0..9).map(record)).await);
    }
}

#[tokio::test]
async fn one_that_goes_on_notices_a_trail_that_was_computed_anew() {
    let signer = signer();
    let changed = [
        trail((0..8).map(record)).await,
        trail((0..8).map(record).chain([edited(8)])).await,
        trail([edited(0)].into_iter().chain((1..9).map(record))).await,
        trail([edited(0)].into_iter().chain((1..12).map(record))).await,
    ];
    for changed in changed {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("seen");
        let store = Swapped::new(trail((0..9).map(record)).await);
        let keeper = keeper(&store, &signer);
        keeper.keep(&tenant(), &file).await.unwrap();
        store.swap(changed);
        refused(&keeper, &file).await;
        // And again: what it knew is not forgotten by that.
        refused(&keeper, &file).await;
    }
}

#[tokio::test]
async fn a_file_that_is_put_back_or_gone_hides_nothing_from_one_who_saw_more() {
    let home = tempfile::tempdir().unwrap();
    let (file, signer) = (home.path().join("seen"), signer());
    let store = Swapped::new(trail((0..5).map(record)).await);
    let keeper = keeper(&store, &signer);
    keeper.keep(&tenant(), &file).await.unwrap();
    let older = std::fs::read(&file).unwrap();
    for n in 5..9 {
        store.append(&record(n)).await.unwrap();
    }
    keeper.keep(&tenant(), &file).await.unwrap();

    store.swap(trail((0..5).map(record)).await);
    std::fs::write(&file, older).unwrap();
    for _ in 0..2 {
        assert!(refused(&keeper, &file).await.contains("fewer records"));
    }
    std::fs::remove_file(&file).unwrap();
    assert!(refused(&keeper, &file).await.contains("fewer records"));

    store.swap(trail((0..9).map(record)).await);
    let mended = keeper.keep(&tenant(), &file).await.unwrap();
    assert_eq!((mended.growth, in_file(&file, &signer).size), (Growth::Same, 9));
}

#[tokio::test]
async fn a_row_that_was_edited_under_its_head_is_noticed_when_all_is_read() {
    let (home, signer) = (tempfile::tempdir().unwrap(), signer());
    let file = home.path().join("seen");
    let clock = Arc::new(ManualClock::new(Timestamp::UNIX_EPOCH));
    let store = Swapped::new(trail((0..9).map(record)).await);
    let day = Duration::from_secs(24 * 3_600);
    let keeper = keeper_at(&store, &signer, Arc::clone(&clock) as _);
    keeper.keep(&tenant(), &file).await.unwrap();
    let changed = || async {
        let mut rows = rows(&trail((0..9).map(record)).await).await;
        let TrailEntry::Record { record, .. } = &mut rows[4] else {
            unreachable!()
        };
        record.action.push('x');
        behind(&trail((0..9).map(super::record)).await, rows).await
    };
    store.swap(changed().await);
    clock.advance(day - Duration::from_secs(1));
    let unread = keeper.keep(&tenant(), &file).await.unwrap();
    assert_eq!(
        unread.growth,
        Growth::Same,
        "what was read is not read again within the day"
    );
    clock.advance(Duration::from_secs(1));
    let found = refused(&keeper, &file).await;
    assert!(found.contains("position: 5"), "{found}");
    // At once by one that reads all each time.
    let strict = keeper_at(&store, &signer, clock).whole_every(Duration::ZERO);
    refused(&strict, &file).await;
}

#[tokio::test]
async fn an_end_that_was_cut_off_or_changed_under_its_head_is_noticed_at_once() {
    let signer = signer();
    let whole = rows(&trail((0..9).map(record)).await).await;
    let mut last = rows(&trail((0..8).map(record).chain([edited(8)])).await).await;
    let mut twice = whole.clone();
    twice.push(whole[8].clone());
    let cases = [
        (whole[..7].to_vec(), "is missing"),
        (Vec::new(), "is missing"),
        (std::mem::take(&mut last), "not what was read there"),
        (twice, "stands behind the end"),
    ];
    for (rows, said) in cases {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("seen");
        let store = Swapped::new(trail((0..9).map(record)).await);
        let keeper = keeper(&store, &signer);
        keeper.keep(&tenant(), &file).await.unwrap();
        let head = trail((0..9).map(record)).await;
        store.swap(behind(&head, rows).await);
        let found = refused(&keeper, &file).await;
        assert!(found.contains(said), "{said}: {found}");
    }
}

#[tokio::test]
async fn a_head_that_is_not_that_of_its_rows_is_not_signed() {
    let cases: [(Beheaded, &str); 4] = [
        (|_| None, "behind the end"),
        (
            |head| Some(AuditHead::new(AuditReceipt::new(9, Digest::of(b"x")), head.peaks)),
            "in its head",
        ),
        (
            |head| {
                Some(AuditHead::new(
                    AuditReceipt::new(8, head.receipt.hash),
                    head.peaks,
                ))
            },
            "none of this length",
        ),
        (
            |head| {
                Some(AuditHead::new(
                    head.receipt,
                    vec![Digest::of(b"x"), Digest::of(b"y")],
                ))
            },
            "hash tree",
        ),
    ];
    for (head, said) in cases {
        let home = tempfile::tempdir().unwrap();
        let (file, signer) = (home.path().join("seen"), signer());
        let store = trail((0..9).map(record)).await;
        let head = store.head(&tenant()).await.unwrap().and_then(head);
        let store = Swapped::new(Told::of(head, rows(&store).await));
        let found = refused(&keeper(&store, &signer), &file).await;
        assert!(found.contains(said), "{said}: {found}");
        assert!(!file.exists());
    }
}

#[tokio::test]
async fn a_tree_beside_the_chain_that_is_another_one_is_noticed() {
    let home = tempfile::tempdir().unwrap();
    let (file, signer) = (home.path().join("seen"), signer());
    let head = trail((0..8).map(record).chain([edited(8)])).await;
    let rows = rows(&trail((0..9).map(record)).await).await;
    let store = Swapped::new(behind(&head, rows).await);
    let found = refused(&keeper(&store, &signer), &file).await;
    assert!(found.contains("hash tree"), "{found}");
}

#[tokio::test]
async fn what_does_not_fit_its_chain_is_named_by_its_position() {
    type Tampered = fn(&mut Vec<TrailEntry>);
    let change = |n: usize, rows: &mut Vec<TrailEntry>, with: AuditRecord| {
        let TrailEntry::Record { record, .. } = &mut rows[n] else {
            unreachable!()
        };
        *record = with;
    };
    let foreign = || {
        let mut record = record(4);
        record.tenant = TenantId::new("org_b").unwrap();
        record
    };
    let signer = signer();
    let cases: [(&str, Tampered); 4] = [
        ("position: 4", |rows| drop(rows.remove(3))),
        ("position: 4", |rows| rows.swap(3, 4)),
        ("position: 4", |rows| rows.insert(3, rows[2].clone())),
        ("position: 10", |rows| drop(rows.pop())),
    ];
    let good = rows(&trail((0..10).map(record)).await).await;
    let mut all = Vec::new();
    for (said, tamper) in cases {
        let mut rows = good.clone();
        tamper(&mut rows);
        all.push((said, rows));
    }
    for (said, with) in [("position: 5", edited(4)), ("position: 5", foreign())] {
        let mut rows = good.clone();
        change(4, &mut rows, with);
        all.push((said, rows));
    }
    let mut gone = good.clone();
    gone[6] = TrailEntry::Removed {
        receipt: good[6].record().unwrap().0.clone(),
        content: content(&record(6)),
        id: record(6).id,
    };
    all.push(("no record of the trail says so", gone));
    for (said, rows) in all {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("seen");
        let head = trail((0..10).map(record)).await;
        let store = Swapped::new(trail((0..2).map(record)).await);
        let keeper = keeper(&store, &signer);
        keeper.keep(&tenant(), &file).await.unwrap();
        store.swap(behind(&head, rows).await);
        let found = refused(&keeper, &file).await;
        assert!(found.contains(said), "{said}: {found}");
    }
}

#[tokio::test]
async fn a_trail_that_is_another_tenants_as_a_whole_is_not_signed() {
    let home = tempfile::tempdir().unwrap();
    let (file, signer) = (home.path().join("seen"), signer());
    let of = TenantId::new("org_b").unwrap();
    let theirs = (0..9).map(|n| {
        let mut record = record(n);
        record.tenant = TenantId::new("org_b").unwrap();
        record
    });
    let head = trail(theirs).await;
    let rows = AuditStore::chain(&head, &of, 0, 100).await.unwrap();
    let head = head.head(&of).await.unwrap();
    let store = Swapped::new(Told::of(head, rows));
    let found = refused(&keeper(&store, &signer), &file).await;
    assert!(found.contains("another tenant"), "{found}");
}
