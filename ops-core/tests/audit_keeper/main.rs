//! Checkpoints that are kept by themselves: what is read, what is noticed, and what is never signed over.

#![expect(clippy::unwrap_used, reason = "all of this file is test code")]

mod doubles;
mod faults;
mod looks;
mod task;

use std::path::Path;
use std::sync::Arc;

use ops_core::audit::{Checkpoint, CheckpointKeeper, Note, NoteSigner};
use ops_core::clock::SystemClock;
use ops_core::error::ErrorKind;
use ops_core::masking::BuiltinMasker;
use ops_core::memory::InMemoryAudit;
use ops_core::model::{Actor, AuditRecord, TenantId, Timestamp};
use ops_core::ports::{AuditStore, TrailEntry};

use self::doubles::{Swapped, Told};

pub(crate) fn tenant() -> TenantId {
    TenantId::new("org_soulsyncs").unwrap()
}

pub(crate) fn record(n: u8) -> AuditRecord {
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

pub(crate) fn edited(n: u8) -> AuditRecord {
    record(n).with_detail("edited", "yes")
}

pub(crate) async fn trail(records: impl IntoIterator<Item = AuditRecord>) -> InMemoryAudit {
    let store = InMemoryAudit::new();
    for record in records {
        store.append(&record).await.unwrap();
    }
    store
}

pub(crate) async fn rows(store: &InMemoryAudit) -> Vec<TrailEntry> {
    AuditStore::chain(store, &tenant(), 0, 100).await.unwrap()
}

pub(crate) fn signer() -> NoteSigner {
    NoteSigner::generate("audit.example.com").unwrap()
}

pub(crate) fn keeper(store: &Arc<Swapped>, signer: &NoteSigner) -> CheckpointKeeper {
    keeper_at(store, signer, Arc::new(SystemClock::new()))
}

pub(crate) fn keeper_at(
    store: &Arc<Swapped>,
    signer: &NoteSigner,
    clock: Arc<dyn ops_core::ports::Clock>,
) -> CheckpointKeeper {
    let store = Arc::clone(store) as Arc<dyn AuditStore>;
    CheckpointKeeper::new(store, Arc::new(BuiltinMasker::new()), clock, signer.clone())
}

pub(crate) fn in_file(file: &Path, signer: &NoteSigner) -> Checkpoint {
    let note: Note = std::fs::read_to_string(file).unwrap().parse().unwrap();
    note.verify(std::slice::from_ref(signer.verifier())).unwrap();
    note.text().parse().unwrap()
}

/// What a look says that is wrong; the file must be as it was.
pub(crate) async fn refused(keeper: &CheckpointKeeper, file: &Path) -> String {
    let before = std::fs::read(file).ok();
    let error = keeper.keep(&tenant(), file).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
    assert_eq!(std::fs::read(file).ok(), before, "never signed over");
    error.to_string()
}

/// `head`'s head over other rows.
pub(crate) async fn behind(head: &InMemoryAudit, rows: Vec<TrailEntry>) -> Told {
    Told::of(head.head(&tenant()).await.unwrap(), rows)
}
