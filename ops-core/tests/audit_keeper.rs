//! Checkpoints that are kept by themselves: what is read, what is noticed, and what is never signed over.

#![expect(clippy::unwrap_used, reason = "all of this file is test code")]

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use ops_core::audit::{
    Checkpoint, CheckpointKeeper, CheckpointStatus, CheckpointTask, Growth, Note, NoteSigner, content,
};
use ops_core::clock::SystemClock;
use ops_core::error::{Error, ErrorKind, Result};
use ops_core::masking::BuiltinMasker;
use ops_core::memory::{InMemoryArchive, InMemoryAudit};
use ops_core::model::{Actor, AuditRecord, Digest, TenantId, Timestamp};
use ops_core::ports::{
    Appended, ArchiveHold, ArchiveName, AuditEntry, AuditHead, AuditPage, AuditQuery, AuditReceipt,
    AuditStore, ChainReport, Clock as _, EvidenceArchive, TrailEntry,
};
use ops_core::testkit::ManualClock;

/// A store whose trail is swapped for another one; it counts the entries that are read.
#[derive(Debug)]
struct Swapped {
    store: Mutex<Arc<dyn AuditStore>>,
    read: AtomicU64,
}

impl Swapped {
    fn new(store: impl AuditStore) -> Arc<Self> {
        Arc::new(Self {
            store: Mutex::new(Arc::new(store)),
            read: AtomicU64::new(0),
        })
    }

    fn swap(&self, store: impl AuditStore) {
        *self.store.lock().unwrap() = Arc::new(store);
    }

    fn now(&self) -> Arc<dyn AuditStore> {
        Arc::clone(&self.store.lock().unwrap())
    }

    /// How many entries were read since the last call.
    fn read(&self) -> u64 {
        self.read.swap(0, Ordering::AcqRel)
    }
}

#[async_trait]
impl AuditStore for Swapped {
    async fn append(&self, record: &AuditRecord) -> Result<AuditReceipt> {
        self.now().append(record).await
    }

    async fn append_all(&self, entries: &[AuditEntry]) -> Result<Vec<Appended>> {
        self.now().append_all(entries).await
    }

    async fn search(&self, tenant: &TenantId, query: &AuditQuery) -> Result<AuditPage> {
        self.now().search(tenant, query).await
    }

    async fn chain(&self, tenant: &TenantId, after: u64, limit: u32) -> Result<Vec<TrailEntry>> {
        let page = self.now().chain(tenant, after, limit).await?;
        self.read.fetch_add(page.len() as u64, Ordering::AcqRel);
        Ok(page)
    }

    async fn head(&self, tenant: &TenantId) -> Result<Option<AuditHead>> {
        self.now().head(tenant).await
    }

    async fn verify(&self, tenant: &TenantId) -> Result<ChainReport> {
        self.now().verify(tenant).await
    }
}

/// The head of one trail over the entries of another: somebody changed rows and nothing else.
#[derive(Debug)]
struct Behind {
    head: InMemoryAudit,
    rows: Vec<TrailEntry>,
    /// Whose head it tells, whoever is asked for.
    of: TenantId,
}

fn behind(head: InMemoryAudit, rows: Vec<TrailEntry>) -> Behind {
    let of = tenant();
    Behind { head, rows, of }
}

#[async_trait]
impl AuditStore for Behind {
    async fn append(&self, _: &AuditRecord) -> Result<AuditReceipt> {
        Err(Error::new(ErrorKind::Unsupported, "append"))
    }

    async fn append_all(&self, _: &[AuditEntry]) -> Result<Vec<Appended>> {
        Err(Error::new(ErrorKind::Unsupported, "append"))
    }

    async fn search(&self, tenant: &TenantId, query: &AuditQuery) -> Result<AuditPage> {
        self.head.search(tenant, query).await
    }

    async fn chain(&self, _: &TenantId, after: u64, limit: u32) -> Result<Vec<TrailEntry>> {
        let behind = self.rows.iter().skip(usize::try_from(after).unwrap());
        Ok(behind.take(usize::try_from(limit).unwrap()).cloned().collect())
    }

    async fn head(&self, _: &TenantId) -> Result<Option<AuditHead>> {
        self.head.head(&self.of).await
    }

    async fn verify(&self, tenant: &TenantId) -> Result<ChainReport> {
        self.head.verify(tenant).await
    }
}

fn tenant() -> TenantId {
    TenantId::new("org_soulsyncs").unwrap()
}

fn record(n: u8) -> AuditRecord {
    let at = Timestamp::from_unix_micros(1_769_731_200_000_000 + i64::from(n));
    let mut record = AuditRecord::new(
        at,
        tenant(),
        Actor::person("kazu").unwrap(),
        "export",
        "audit_log",
        n.to_string(),
    );
    record.id = uuid::Uuid::from_u128(u128::from(n));
    record
}

fn edited(n: u8) -> AuditRecord {
    record(n).with_detail("edited", "yes")
}

async fn trail(records: impl IntoIterator<Item = AuditRecord>) -> InMemoryAudit {
    let store = InMemoryAudit::new();
    for record in records {
        store.append(&record).await.unwrap();
    }
    store
}

fn signer() -> NoteSigner {
    NoteSigner::generate("audit.example.com").unwrap()
}

fn keeper(store: &Arc<Swapped>, signer: &NoteSigner) -> CheckpointKeeper {
    keeper_at(store, signer, Arc::new(SystemClock::new()))
}

fn keeper_at(
    store: &Arc<Swapped>,
    signer: &NoteSigner,
    clock: Arc<dyn ops_core::ports::Clock>,
) -> CheckpointKeeper {
    let store = Arc::clone(store) as Arc<dyn AuditStore>;
    CheckpointKeeper::new(store, Arc::new(BuiltinMasker::new()), clock, signer.clone())
}

fn in_file(file: &Path, signer: &NoteSigner) -> Checkpoint {
    let note: Note = std::fs::read_to_string(file).unwrap().parse().unwrap();
    note.verify(std::slice::from_ref(signer.verifier())).unwrap();
    note.text().parse().unwrap()
}

/// What a look says that is wrong; the file must be as it was.
async fn refused(keeper: &CheckpointKeeper, file: &Path) -> String {
    let before = std::fs::read(file).ok();
    let error = keeper.keep(&tenant(), file).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
    assert_eq!(std::fs::read(file).ok(), before, "never signed over");
    error.to_string()
}

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
        behind(trail((0..9).map(self::record)).await, rows)
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
        store.swap(behind(head, rows));
        let found = refused(&keeper, &file).await;
        assert!(found.contains(said), "{said}: {found}");
    }
}

type Beheaded = fn(AuditHead) -> Option<AuditHead>;

/// What a store says of its head, changed.
#[derive(Debug)]
struct Headed {
    store: InMemoryAudit,
    head: Beheaded,
}

#[async_trait]
impl AuditStore for Headed {
    async fn append(&self, record: &AuditRecord) -> Result<AuditReceipt> {
        self.store.append(record).await
    }

    async fn append_all(&self, entries: &[AuditEntry]) -> Result<Vec<Appended>> {
        self.store.append_all(entries).await
    }

    async fn search(&self, tenant: &TenantId, query: &AuditQuery) -> Result<AuditPage> {
        self.store.search(tenant, query).await
    }

    async fn chain(&self, tenant: &TenantId, after: u64, limit: u32) -> Result<Vec<TrailEntry>> {
        AuditStore::chain(&self.store, tenant, after, limit).await
    }

    async fn head(&self, tenant: &TenantId) -> Result<Option<AuditHead>> {
        Ok(self.store.head(tenant).await?.and_then(self.head))
    }

    async fn verify(&self, tenant: &TenantId) -> Result<ChainReport> {
        self.store.verify(tenant).await
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
        let store = Swapped::new(Headed { store, head });
        let found = refused(&keeper(&store, &signer), &file).await;
        assert!(found.contains(said), "{said}: {found}");
        assert!(!file.exists());
    }
}

/// A trail that becomes another one as soon as it is read.
#[derive(Debug)]
struct Moving {
    before: InMemoryAudit,
    after: (InMemoryAudit, Vec<TrailEntry>),
    read: AtomicU64,
}

#[async_trait]
impl AuditStore for Moving {
    async fn append(&self, record: &AuditRecord) -> Result<AuditReceipt> {
        self.before.append(record).await
    }

    async fn append_all(&self, entries: &[AuditEntry]) -> Result<Vec<Appended>> {
        self.before.append_all(entries).await
    }

    async fn search(&self, tenant: &TenantId, query: &AuditQuery) -> Result<AuditPage> {
        self.before.search(tenant, query).await
    }

    async fn chain(&self, _: &TenantId, after: u64, limit: u32) -> Result<Vec<TrailEntry>> {
        self.read.fetch_add(1, Ordering::AcqRel);
        let behind = self.after.1.iter().skip(usize::try_from(after).unwrap());
        Ok(behind.take(usize::try_from(limit).unwrap()).cloned().collect())
    }

    async fn head(&self, tenant: &TenantId) -> Result<Option<AuditHead>> {
        match self.read.load(Ordering::Acquire) {
            0 => self.before.head(tenant).await,
            _ => self.after.0.head(tenant).await,
        }
    }

    async fn verify(&self, tenant: &TenantId) -> Result<ChainReport> {
        self.before.verify(tenant).await
    }
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
    let store = Swapped::new(Moving {
        before: trail((0..9).map(record)).await,
        after: (after, left),
        read: AtomicU64::new(0),
    });
    let kept = keeper(&store, &signer).keep(&tenant(), &file).await.unwrap();
    assert_eq!(kept.checkpoint.size, 10);
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
async fn a_tree_beside_the_chain_that_is_another_one_is_noticed() {
    let home = tempfile::tempdir().unwrap();
    let (file, signer) = (home.path().join("seen"), signer());
    let head = trail((0..8).map(record).chain([edited(8)])).await;
    let rows = rows(&trail((0..9).map(record)).await).await;
    let store = Swapped::new(behind(head, rows));
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
        store.swap(behind(head, rows));
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
    let store = Swapped::new(Behind { head, rows, of });
    let found = refused(&keeper(&store, &signer), &file).await;
    assert!(found.contains("another tenant"), "{found}");
}

#[tokio::test]
async fn what_comes_while_it_reads_is_for_the_next_look() {
    let home = tempfile::tempdir().unwrap();
    let (file, signer) = (home.path().join("seen"), signer());
    let after = trail((0..12).map(record)).await;
    let rows = rows(&after).await;
    let store = Swapped::new(Moving {
        before: trail((0..9).map(record)).await,
        after: (after, rows),
        read: AtomicU64::new(0),
    });
    let keeper = keeper(&store, &signer);
    assert_eq!(keeper.keep(&tenant(), &file).await.unwrap().checkpoint.size, 9);
    store.swap(trail((0..12).map(record)).await);
    let next = keeper.keep(&tenant(), &file).await.unwrap();
    assert_eq!((next.growth, next.checkpoint.size), (Growth::Grown, 12));
}

async fn rows(store: &InMemoryAudit) -> Vec<TrailEntry> {
    AuditStore::chain(store, &tenant(), 0, 100).await.unwrap()
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

/// A store that says the same of everything.
#[derive(Debug)]
struct Saying(ErrorKind);

#[async_trait]
impl AuditStore for Saying {
    async fn append(&self, _: &AuditRecord) -> Result<AuditReceipt> {
        Err(Error::new(self.0, "append"))
    }

    async fn append_all(&self, _: &[AuditEntry]) -> Result<Vec<Appended>> {
        Err(Error::new(self.0, "append"))
    }

    async fn search(&self, _: &TenantId, _: &AuditQuery) -> Result<AuditPage> {
        Err(Error::new(self.0, "search"))
    }

    async fn chain(&self, _: &TenantId, _: u64, _: u32) -> Result<Vec<TrailEntry>> {
        Err(Error::new(self.0, "read"))
    }

    async fn head(&self, _: &TenantId) -> Result<Option<AuditHead>> {
        Err(Error::new(self.0, "read"))
    }

    async fn verify(&self, _: &TenantId) -> Result<ChainReport> {
        Err(Error::new(self.0, "verify"))
    }
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
        let store = Swapped::new(Saying(kind));
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
        self::signer().verifier().to_string().into_bytes(),
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

/// An archive that never answers.
#[derive(Debug)]
struct Silent;

#[async_trait]
impl EvidenceArchive for Silent {
    fn capability(&self) -> ops_core::ports::ArchiveCapability {
        ops_core::ports::ArchiveCapability::default()
    }

    async fn begin(&self, _: &ops_core::ports::ArchiveUpload) -> Result<u64> {
        std::future::pending().await
    }

    async fn put(&self, _: &ops_core::ports::ArchiveUpload, _: u64, _: &[u8]) -> Result<u64> {
        std::future::pending().await
    }

    async fn finish(&self, _: &ops_core::ports::ArchiveUpload) -> Result<ops_core::ports::ArchivedObject> {
        std::future::pending().await
    }

    async fn observe(&self, _: &ArchiveName) -> Result<Option<ops_core::ports::ArchivedObject>> {
        std::future::pending().await
    }

    async fn read(&self, _: &ArchiveName, _: u64, _: u32) -> Result<Vec<u8>> {
        std::future::pending().await
    }

    async fn hold(&self, _: &ArchiveName, _: &ArchiveHold) -> Result<()> {
        std::future::pending().await
    }

    async fn delete(&self, _: &ArchiveName) -> Result<()> {
        std::future::pending().await
    }
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
    let again = self::keeper(&store, &signer).start(home.path(), [tenant()], LONG);
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
