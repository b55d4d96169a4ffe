use std::fs;
use std::sync::Arc;
use std::time::Duration;

use ops_core::audit::{EvidenceVerifier, archive_evidence};
use ops_core::error::ErrorKind;
use ops_core::file::DirectoryArchive;
use ops_core::memory::{InMemoryArchive, InMemorySessions};
use ops_core::model::{Digest, Timestamp};
use ops_core::ports::{ArchiveHold, ArchiveName, ArchiveUpload, EvidenceArchive};
use ops_core::testkit::{self, ManualClock};

use super::support::{export, request, signer, trail, verify};

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::new(Timestamp::from_unix_micros(
        1_769_800_000_000_000,
    )))
}

#[tokio::test]
async fn the_archives_and_the_sessions_keep_their_contracts() {
    testkit::evidence_archive(&InMemoryArchive::new(clock())).await;
    let home = tempfile::tempdir().unwrap();
    testkit::evidence_archive(&DirectoryArchive::open(home.path(), clock()).unwrap()).await;
    let clock = Arc::new(ManualClock::self_moving());
    for sessions in [
        InMemorySessions::new(),
        InMemorySessions::uncounted(Arc::<ManualClock>::clone(&clock)),
    ] {
        testkit::session_revoker(
            &sessions,
            &*clock,
            |user| sessions.sign_in(user),
            |user, session| sessions.renews(user, *session),
        )
        .await;
    }
}

#[tokio::test]
async fn evidence_is_held_in_the_archive_and_verifies_from_there() {
    let (audit, signer, out) = (trail(20).await, signer(), tempfile::tempdir().unwrap());
    export(&audit, &signer, &request(), out.path()).await.unwrap();
    let verifier = EvidenceVerifier::new(vec![signer.verifier().clone()]);
    let home = tempfile::tempdir().unwrap();
    let archive = DirectoryArchive::open(home.path(), clock()).unwrap();
    let hold = ArchiveHold::held();
    let files = archive_evidence(&archive, out.path(), "INC-7", &verifier, &hold)
        .await
        .unwrap();
    assert_eq!(
        files.last().unwrap().name.as_str(),
        "INC-7/manifest",
        "the manifest comes last"
    );
    for file in &files {
        let refused = archive.delete(&file.name).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::PermissionDenied);
        assert!(
            fs::metadata(archive.path(&file.name))
                .unwrap()
                .permissions()
                .readonly()
        );
    }
    let there = archive.path(&files[0].name);
    assert!(verify(&signer, there.parent().unwrap()).intact());
    let again = archive_evidence(&archive, out.path(), "INC-7", &verifier, &hold)
        .await
        .unwrap();
    assert_eq!(again, files, "what is there is not sent again");
}

#[tokio::test]
async fn an_upload_that_was_cut_goes_on_in_another_process() {
    let home = tempfile::tempdir().unwrap();
    let content = vec![7; 10_000];
    let upload = ArchiveUpload::new(ArchiveName::new("a/b").unwrap(), 10_000, Digest::of(&content));
    {
        let archive = DirectoryArchive::open(home.path(), clock()).unwrap();
        assert_eq!(archive.begin(&upload).await.unwrap(), 0);
        archive.put(&upload, 0, &content[..4000]).await.unwrap();
    }
    let archive = DirectoryArchive::open(home.path(), clock()).unwrap();
    assert!(archive.capability().resumes_across_processes);
    assert_eq!(archive.begin(&upload).await.unwrap(), 4000);
    archive.put(&upload, 4000, &content[4000..]).await.unwrap();
    assert_eq!(
        archive.finish(&upload).await.unwrap().crc32c,
        crc32c::crc32c(&content)
    );
}

#[tokio::test]
async fn retention_ends_with_its_time_and_a_damaged_copy_is_noticed() {
    let clock = clock();
    let archive = InMemoryArchive::new(Arc::<ManualClock>::clone(&clock));
    let (audit, signer, out) = (trail(5).await, signer(), tempfile::tempdir().unwrap());
    export(&audit, &signer, &request(), out.path()).await.unwrap();
    let verifier = EvidenceVerifier::new(vec![signer.verifier().clone()]);
    let until = ops_core::ports::Clock::now(&*clock) + Duration::from_secs(60);
    let hold = ArchiveHold::default().until(until);
    let files = archive_evidence(&archive, out.path(), "INC-7", &verifier, &hold)
        .await
        .unwrap();
    archive.damage(&files[0].name);
    let damaged = archive_evidence(&archive, out.path(), "INC-7", &verifier, &hold)
        .await
        .unwrap_err();
    assert_eq!(damaged.kind(), ErrorKind::Conflict, "{damaged}");
    clock.advance(Duration::from_secs(61));
    archive.delete(&files[0].name).await.unwrap();
}

#[tokio::test]
async fn files_that_were_changed_are_not_archived() {
    let (audit, signer, out) = (trail(5).await, signer(), tempfile::tempdir().unwrap());
    export(&audit, &signer, &request(), out.path()).await.unwrap();
    fs::write(out.path().join("part-00001.zst"), b"no part").unwrap();
    let archive = InMemoryArchive::new(clock());
    let verifier = EvidenceVerifier::new(vec![signer.verifier().clone()]);
    let refused = archive_evidence(&archive, out.path(), "INC-7", &verifier, &ArchiveHold::held()).await;
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::Conflict);
}

#[test]
fn no_name_leaves_the_archive() {
    for name in ["", "/a", "a/", "a//b", "../a", "a/..", "a/.b", "a b", "a\\b"] {
        assert!(ArchiveName::new(name).is_err(), "{name}");
    }
    assert!(ArchiveName::new("INC-7/part-00001.zst").is_ok());
}

#[tokio::test]
async fn the_longest_name_can_be_held_and_a_hold_of_before_still_holds() {
    let home = tempfile::tempdir().unwrap();
    let archive = DirectoryArchive::open(home.path(), clock()).unwrap();
    let long = ArchiveName::new(format!("{}/{}", "A".repeat(100), "B".repeat(99))).unwrap();
    for name in [long, ArchiveName::new("INC-7/part-1").unwrap()] {
        let upload = ArchiveUpload::new(name.clone(), 1, Digest::of(b"x"));
        archive.begin(&upload).await.unwrap();
        archive.put(&upload, 0, b"x").await.unwrap();
        archive.finish(&upload).await.unwrap();
        archive.hold(&name, &ArchiveHold::held()).await.unwrap();
        let refused = archive.delete(&name).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::PermissionDenied);
    }
    // As the version before named the note.
    let held = fs::read_dir(home.path().join("holds")).unwrap();
    for note in held.flatten() {
        fs::rename(note.path(), home.path().join("holds/%49%4e%43-7%2fpart-1")).unwrap();
    }
    let name = ArchiveName::new("INC-7/part-1").unwrap();
    let refused = archive.delete(&name).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::PermissionDenied);
    archive.hold(&name, &ArchiveHold::default()).await.unwrap();
    archive.delete(&name).await.unwrap();
    assert_eq!(archive.observe(&name).await.unwrap(), None);
}
