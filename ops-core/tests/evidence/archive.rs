use std::fs;
use std::sync::Arc;
use std::time::Duration;

use ops_core::audit::{
    Checkpoint, EvidenceVerifier, Note, NoteSigner, Tree, archive_checkpoint, archive_evidence, leaf_hash,
};
use ops_core::error::ErrorKind;
use ops_core::file::DirectoryArchive;
use ops_core::memory::{InMemoryArchive, InMemorySessions};
use ops_core::model::{Digest, Timestamp};
use ops_core::ports::{ArchiveHold, ArchiveName, ArchiveUpload, EvidenceArchive};
use ops_core::testkit::{self, ManualClock};

use super::support::{LOG, export, request, signer, tenant, trail, verify};

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
    let files = archive_evidence(&archive, out.path(), "INC-7", &verifier, &hold, &*clock())
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
    let again = archive_evidence(&archive, out.path(), "INC-7", &verifier, &hold, &*clock())
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
    let files = archive_evidence(&archive, out.path(), "INC-7", &verifier, &hold, &*clock)
        .await
        .unwrap();
    archive.damage(&files[0].name);
    let damaged = archive_evidence(&archive, out.path(), "INC-7", &verifier, &hold, &*clock)
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
    let refused = archive_evidence(
        &archive,
        out.path(),
        "INC-7",
        &verifier,
        &ArchiveHold::held(),
        &*clock(),
    )
    .await;
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

/// A checkpoint over these records, by these keys.
fn checkpoint(records: &[&str], signers: &[&NoteSigner]) -> Note {
    let tree: Tree = records
        .iter()
        .map(|record| leaf_hash(record.as_bytes()))
        .collect();
    Checkpoint::of(LOG, &tenant(), &tree)
        .unwrap()
        .sign(signers)
        .unwrap()
}

#[tokio::test]
async fn an_archive_keeps_the_first_checkpoint_of_each_length_and_shows_two_trails() {
    let (archive, clock, hold) = (InMemoryArchive::new(clock()), clock(), ArchiveHold::held());
    let (old, new) = (signer(), signer());
    let keys = [old.verifier().clone(), new.verifier().clone()];
    let keep = |note: Note| {
        let (archive, clock, hold, keys) = (&archive, &*clock, &hold, &keys);
        async move { archive_checkpoint(archive, "checkpoints", &note, keys, hold, clock).await }
    };
    let first = keep(checkpoint(&["a", "b"], &[&old])).await.unwrap();
    assert_eq!(first.name.as_str(), format!("checkpoints/{LOG}/org_a/{:020}", 2));
    assert!(first.object.hold.held);
    assert_eq!(
        keep(checkpoint(&["a", "b"], &[&old])).await.unwrap(),
        first,
        "once more"
    );
    // Keys were changed since: the trail is the same, and the first signature stays.
    assert_eq!(keep(checkpoint(&["a", "b"], &[&new])).await.unwrap(), first);
    let there = archive.read(&first.name, 0, 4096).await.unwrap();
    assert_eq!(there, checkpoint(&["a", "b"], &[&old]).to_string().into_bytes());

    let forked = keep(checkpoint(&["a", "B"], &[&old])).await.unwrap_err();
    assert_eq!(forked.kind(), ErrorKind::Conflict);
    assert!(
        forked.to_string().contains("another one of this length"),
        "{forked}"
    );
    keep(checkpoint(&["a", "b", "c"], &[&new])).await.unwrap();

    let stranger = keep(checkpoint(&["a", "b", "c", "d"], &[&signer()]))
        .await
        .unwrap_err();
    assert_eq!(
        stranger.kind(),
        ErrorKind::PermissionDenied,
        "signed by nobody who is known"
    );
}

#[tokio::test]
async fn what_somebody_else_put_in_the_place_of_a_checkpoint_is_none() {
    let (archive, clock, hold) = (InMemoryArchive::new(clock()), clock(), ArchiveHold::held());
    let signer = signer();
    let keys = [signer.verifier().clone()];
    let planted = [
        checkpoint(&["a"], &[&self::signer()]).to_string().into_bytes(),
        b"rubbish".to_vec(),
        checkpoint(&["a"], &[&signer]).to_string().into_bytes(),
    ];
    for (n, content) in planted.iter().enumerate() {
        let folder = format!("c{n}");
        let name = ArchiveName::new(format!("{folder}/{LOG}/org_a/{:020}", 1)).unwrap();
        let upload = ArchiveUpload::new(name.clone(), content.len() as u64, Digest::of(content));
        archive.begin(&upload).await.unwrap();
        archive.put(&upload, 0, content).await.unwrap();
        archive.finish(&upload).await.unwrap();
        let note = checkpoint(&["a"], &[&signer]);
        let kept = archive_checkpoint(&archive, &folder, &note, &keys, &hold, &*clock).await;
        match n {
            2 => assert!(kept.unwrap().object.hold.held, "the right one is held now"),
            _ => assert_eq!(kept.unwrap_err().kind(), ErrorKind::Conflict, "{n}"),
        }
    }
}

/// Takes nothing, and says so politely.
#[derive(Debug)]
struct Full(InMemoryArchive);

#[async_trait::async_trait]
impl EvidenceArchive for Full {
    fn capability(&self) -> ops_core::ports::ArchiveCapability {
        self.0.capability()
    }
    async fn begin(&self, upload: &ArchiveUpload) -> ops_core::error::Result<u64> {
        self.0.begin(upload).await
    }
    async fn put(&self, _: &ArchiveUpload, offset: u64, _: &[u8]) -> ops_core::error::Result<u64> {
        Ok(offset)
    }
    async fn finish(
        &self,
        upload: &ArchiveUpload,
    ) -> ops_core::error::Result<ops_core::ports::ArchivedObject> {
        self.0.finish(upload).await
    }
    async fn observe(
        &self,
        name: &ArchiveName,
    ) -> ops_core::error::Result<Option<ops_core::ports::ArchivedObject>> {
        self.0.observe(name).await
    }
    async fn read(&self, name: &ArchiveName, offset: u64, most: u32) -> ops_core::error::Result<Vec<u8>> {
        self.0.read(name, offset, most).await
    }
    async fn hold(&self, name: &ArchiveName, hold: &ArchiveHold) -> ops_core::error::Result<()> {
        self.0.hold(name, hold).await
    }
    async fn delete(&self, name: &ArchiveName) -> ops_core::error::Result<()> {
        self.0.delete(name).await
    }
}

#[tokio::test]
async fn an_archive_that_takes_nothing_is_given_up() {
    let archive = Full(InMemoryArchive::new(clock()));
    let signer = signer();
    let keys = [signer.verifier().clone()];
    let note = checkpoint(&["a"], &[&signer]);
    let moving = ManualClock::self_moving();
    let given_up = archive_checkpoint(&archive, "c", &note, &keys, &ArchiveHold::held(), &moving).await;
    assert_eq!(given_up.unwrap_err().kind(), ErrorKind::Unavailable);
}

/// What was kept before stays kept, whatever is asked for later.
#[tokio::test]
async fn archiving_again_takes_no_hold_away_and_adds_what_is_asked() {
    let (clock, signer) = (clock(), signer());
    let archive = InMemoryArchive::new(Arc::<ManualClock>::clone(&clock));
    let keys = [signer.verifier().clone()];
    let note = checkpoint(&["a"], &[&signer]);
    let later = ops_core::ports::Clock::now(&*clock) + Duration::from_secs(60);
    let keep = |hold: ArchiveHold| {
        let (archive, keys, note, clock) = (&archive, &keys, &note, &*clock);
        async move {
            archive_checkpoint(archive, "c", note, keys, &hold, clock)
                .await
                .unwrap()
                .object
                .hold
        }
    };
    assert_eq!(keep(ArchiveHold::held()).await, ArchiveHold::held());
    let both = ArchiveHold::held().until(later);
    assert_eq!(
        keep(ArchiveHold::default().until(later)).await,
        both,
        "the hold stays"
    );
    let name = ArchiveName::new(format!("c/{LOG}/org_a/{:020}", 1)).unwrap();
    archive
        .hold(&name, &ArchiveHold::default().until(later))
        .await
        .unwrap();
    assert_eq!(
        keep(ArchiveHold::held()).await,
        both,
        "a hold beside a retention that was not asked for"
    );
}

/// An upload that died between its hold and its object.
#[tokio::test]
async fn a_hold_without_an_object_keeps_the_object_that_comes_and_is_no_object() {
    let home = tempfile::tempdir().unwrap();
    let archive = DirectoryArchive::open(home.path(), clock()).unwrap();
    let name = ArchiveName::new("INC-7/part-1").unwrap();
    let bring = async || {
        let upload = ArchiveUpload::new(name.clone(), 1, Digest::of(b"x"));
        archive.begin(&upload).await.unwrap();
        archive.put(&upload, 0, b"x").await.unwrap();
        archive.finish(&upload).await.unwrap().hold
    };
    bring().await;
    archive.hold(&name, &ArchiveHold::held()).await.unwrap();
    fs::remove_file(archive.path(&name)).unwrap();
    archive.delete(&name).await.unwrap();
    assert_eq!(archive.observe(&name).await.unwrap(), None);
    assert!(bring().await.held, "what was to be held is");
}
