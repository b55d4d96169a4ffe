use std::fs;
use std::sync::Arc;

use ops_core::audit::{EvidenceExport, EvidenceRequest, EvidenceVerifier, NoteSigner, archive_evidence};
use ops_core::clock::SystemClock;
use ops_core::error::ErrorKind;
use ops_core::memory::InMemoryAudit;
use ops_core::model::{Actor, AuditRecord, TenantId, Timestamp};
use ops_core::ports::{ArchiveHold, AuditStore as _, Clock as _, EvidenceArchive as _};
use ops_core::testkit::{Fault, FaultRule, ManualClock};

use super::world::{BUCKET, World};

fn actor() -> Actor {
    Actor::person("kazu").unwrap()
}

/// An export of some records in a directory of its own.
async fn exported() -> (tempfile::TempDir, NoteSigner) {
    let tenant = TenantId::new("org_a").unwrap();
    let audit = Arc::new(InMemoryAudit::new());
    for n in 0..500 {
        let at = Timestamp::from_unix_micros(1_769_731_200_000_000 + n);
        let record = AuditRecord::new(at, tenant.clone(), actor(), "read", "task", format!("t{n}"));
        audit.append(&record).await.unwrap();
    }
    let (out, signer) = (
        tempfile::tempdir().unwrap(),
        NoteSigner::generate("audit.example.com").unwrap(),
    );
    EvidenceExport::new(audit, signer.clone(), Arc::new(SystemClock::new()))
        .write(&EvidenceRequest::new(tenant, "INC-7", actor()), out.path())
        .await
        .unwrap();
    (out, signer)
}

#[tokio::test]
async fn evidence_arrives_through_failures_is_held_and_verifies_from_the_bucket() {
    let (world, (out, signer)) = (World::new().await, exported().await);
    let verifier = EvidenceVerifier::new(vec![signer.verifier().clone()]);
    let hold = ArchiveHold::held().until(world.clock.now() + std::time::Duration::from_secs(86_400));
    for fault in [Fault::Unavailable, Fault::LostAnswer] {
        world.faults.add(FaultRule::on_writes(fault, "").times(1));
    }
    let archive = world.archive();
    let clock = SystemClock::new();
    let bring = || archive_evidence(&archive, out.path(), "INC-7", &verifier, &hold, &clock);
    let files = bring().await.unwrap();
    assert_eq!(
        files.last().unwrap().name.as_str(),
        "INC-7/manifest",
        "the manifest comes last"
    );
    let there = tempfile::tempdir().unwrap();
    for file in &files {
        let refused = archive.delete(&file.name).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::PermissionDenied);
        let name = file.name.as_str().strip_prefix("INC-7/").unwrap();
        let bytes = world.sim.bytes(BUCKET, file.name.as_str()).unwrap();
        fs::write(there.path().join(name), bytes).unwrap();
    }
    assert!(verifier.verify(there.path()).unwrap().intact());

    let before = world.sim.requests().len();
    assert_eq!(bring().await.unwrap(), files);
    let written = world.sim.requests().split_off(before);
    assert!(
        written.iter().all(|(method, _)| method == "GET"),
        "what is there is not sent again: {written:?}"
    );

    world.sim.damage(BUCKET, files[0].name.as_str());
    let damaged = bring().await.unwrap_err();
    assert_eq!(damaged.kind(), ErrorKind::Conflict, "{damaged}");
}

#[tokio::test]
async fn what_was_archived_with_a_retention_is_locked_by_whoever_locks() {
    let (world, (out, signer)) = (World::new().await, exported().await);
    let verifier = EvidenceVerifier::new(vec![signer.verifier().clone()]);
    let hold = ArchiveHold::held().until(world.clock.now() + std::time::Duration::from_secs(86_400));
    let clock = SystemClock::new();
    for (archive, mode) in [(world.archive(), "Unlocked"), (world.locking(), "Locked")] {
        let files = archive_evidence(&archive, out.path(), "INC-7", &verifier, &hold, &clock).await;
        for file in files.unwrap() {
            let found = world.sim.retention_mode(BUCKET, file.name.as_str());
            assert_eq!(found.as_deref(), Some(mode), "{:?}", file.name);
        }
    }
}

#[tokio::test]
async fn an_archive_that_takes_nothing_is_given_up_and_says_how_far_it_came() {
    let (world, (out, signer)) = (World::new().await, exported().await);
    let verifier = EvidenceVerifier::new(vec![signer.verifier().clone()]);
    world.sim.store_at_most(Some(0));
    let moving = ManualClock::self_moving();
    let given_up = archive_evidence(
        &world.archive(),
        out.path(),
        "INC-7",
        &verifier,
        &ArchiveHold::held(),
        &StillUntilAsked(moving),
    )
    .await
    .unwrap_err();
    assert!(given_up.to_string().contains("0 of 3 files"), "{given_up}");
}

/// Lets short pauses pass at once, and no deadline.
#[derive(Debug)]
struct StillUntilAsked(ManualClock);

#[async_trait::async_trait]
impl ops_core::ports::Clock for StillUntilAsked {
    fn now(&self) -> Timestamp {
        self.0.now()
    }
    fn monotonic(&self) -> std::time::Duration {
        self.0.monotonic()
    }
    async fn sleep(&self, duration: std::time::Duration) {
        match duration.as_secs() < 60 {
            true => self.0.sleep(duration).await,
            false => std::future::pending().await,
        }
    }
}
