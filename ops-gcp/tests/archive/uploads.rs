use std::time::Duration;

use ops_core::error::ErrorKind;
use ops_core::model::Digest;
use ops_core::ports::{ArchiveHold, ArchiveUpload, EvidenceArchive as _};
use ops_core::testkit;

use super::world::{BUCKET, CHUNK, World, bring, content, name, upload};

#[tokio::test]
async fn cloud_storage_keeps_the_contract_of_an_archive() {
    let world = World::new().await;
    testkit::evidence_archive(&world.archive()).await;
    testkit::evidence_archive(&world.locking()).await;
    assert_eq!(
        world.sim.open_uploads(),
        0,
        "what was refused was thrown away too"
    );
}

/// The bounds of a chunk, where a request more or less would end an upload too early.
#[tokio::test]
async fn every_length_around_a_chunk_arrives_whole() {
    let world = World::new().await;
    let archive = world.archive();
    for bytes in [
        0,
        1,
        CHUNK - 1,
        CHUNK,
        CHUNK + 1,
        2 * CHUNK,
        2 * CHUNK + 1,
        5 * CHUNK,
    ] {
        let (at, content) = (format!("a/{bytes}"), content(bytes));
        let object = bring(&archive, &upload(&at, &content), &content).await.unwrap();
        assert_eq!(
            (object.bytes, object.crc32c),
            (bytes as u64, crc32c::crc32c(&content))
        );
        assert_eq!(world.sim.bytes(BUCKET, &at).unwrap(), content, "{bytes}");
        let read = archive.read(&name(&at), 0, u32::MAX).await.unwrap();
        assert_eq!(read, content, "{bytes}");
        assert!(
            archive
                .read(&name(&at), bytes as u64, 10)
                .await
                .unwrap()
                .is_empty()
        );
    }
}

#[tokio::test]
async fn no_object_is_there_before_all_bytes_have_the_announced_hash() {
    let world = World::new().await;
    let archive = world.archive();
    let content = content(2 * CHUNK);
    // Same length and checksum announced for bytes that have neither.
    let mut other = content.clone();
    other[7] ^= 1;
    let upload = upload("a/b", &content);
    archive.begin(&upload).await.unwrap();
    archive.put(&upload, 0, &other).await.unwrap();
    assert_eq!(
        world.sim.bytes(BUCKET, "a/b"),
        None,
        "the last bytes wait for the hash"
    );
    let refused = archive.finish(&upload).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::InvalidInput, "{refused}");
    assert_eq!(
        (world.sim.bytes(BUCKET, "a/b"), world.sim.open_uploads()),
        (None, 0)
    );
}

#[tokio::test]
async fn a_chunk_that_the_vendor_would_refuse_is_not_sent() {
    let world = World::new().await;
    let archive = world.archive();
    let content = content(3 * CHUNK);
    let upload = upload("a/b", &content);
    archive.begin(&upload).await.unwrap();
    let sent = world.sim.requests().len();
    let refused = archive.put(&upload, 0, &content[..CHUNK + 1]).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::InvalidInput, "{refused}");
    assert!(refused.to_string().contains("262144"), "{refused}");
    assert_eq!(world.sim.requests().len(), sent);
    assert_eq!(
        bring(&archive, &upload, &content).await.unwrap().bytes,
        upload.bytes
    );
}

/// The vendor may store a part of a chunk: the rest is sent again, and the hash is over what was stored.
#[tokio::test]
async fn a_chunk_of_which_only_a_part_was_stored_is_sent_on_from_there() {
    let world = World::new().await;
    let archive = world.archive();
    let content = content(4 * CHUNK + 5);
    let upload = upload("a/b", &content);
    archive.begin(&upload).await.unwrap();
    world.sim.store_at_most(Some(CHUNK));
    let stands = archive.put(&upload, 0, &content[..2 * CHUNK]).await.unwrap();
    assert_eq!(stands, CHUNK as u64);
    world.sim.store_at_most(Some(0));
    let stands = archive
        .put(&upload, stands, &content[CHUNK..2 * CHUNK])
        .await
        .unwrap();
    assert_eq!(stands, CHUNK as u64, "nothing more");
    world.sim.store_at_most(None);
    assert_eq!(archive.begin(&upload).await.unwrap(), CHUNK as u64);
    assert_eq!(
        bring(&archive, &upload, &content).await.unwrap().bytes,
        upload.bytes
    );
    assert_eq!(world.sim.bytes(BUCKET, "a/b").unwrap(), content);
}

/// 308 without a range is nothing, not everything.
#[tokio::test]
async fn an_answer_without_a_range_means_that_nothing_is_there() {
    let world = World::new().await;
    let archive = world.archive();
    let content = content(2 * CHUNK + 1);
    let upload = upload("a/b", &content);
    archive.begin(&upload).await.unwrap();
    world.sim.store_at_most(Some(0));
    assert_eq!(archive.put(&upload, 0, &content[..CHUNK]).await.unwrap(), 0);
    world.sim.store_at_most(None);
    bring(&archive, &upload, &content).await.unwrap();
    assert_eq!(world.sim.bytes(BUCKET, "a/b").unwrap(), content);
}

#[tokio::test]
async fn what_was_there_first_stays_and_is_accepted_if_it_is_the_same() {
    let world = World::new().await;
    let (one, two) = (world.archive(), world.archive());
    let content = content(CHUNK + 7);
    let same = upload("a/b", &content);
    // Both are at their last bytes.
    for archive in [&one, &two] {
        archive.begin(&same).await.unwrap();
        archive.put(&same, 0, &content).await.unwrap();
    }
    let first = one.finish(&same).await.unwrap();
    assert_eq!(two.finish(&same).await.unwrap(), first, "the same bytes: as good");

    let (first, late) = (content.clone(), vec![1; 9]);
    let (first, late_upload) = (upload("a/c", &first), upload("a/c", &late));
    one.begin(&first).await.unwrap();
    two.begin(&late_upload).await.unwrap();
    two.put(&late_upload, 0, &late).await.unwrap();
    one.put(&first, 0, &content).await.unwrap();
    one.finish(&first).await.unwrap();
    let refused = two.finish(&late_upload).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Conflict, "{refused}");
    assert_eq!(world.sim.bytes(BUCKET, "a/c").unwrap(), content);
}

/// Whoever uploaded it by other means left no hash: then the checksum must be known.
#[tokio::test]
async fn an_object_without_a_hash_is_accepted_by_its_checksum_only() {
    let world = World::new().await;
    let archive = world.archive();
    let content = content(10);
    bring(&archive, &upload("a/b", &content), &content).await.unwrap();
    let other = [2; 10];
    let wrong = ArchiveUpload::new(name("a/b"), 10, Digest::of(&other));
    assert_eq!(
        archive.begin(&wrong).await.unwrap_err().kind(),
        ErrorKind::Conflict
    );
    let right = ArchiveUpload::new(name("a/b"), 10, Digest::of(&content));
    assert_eq!(archive.begin(&right).await.unwrap(), 10);
    world.sim.damage(BUCKET, "a/b");
    let damaged = archive.begin(&upload("a/b", &content)).await.unwrap_err();
    assert_eq!(damaged.kind(), ErrorKind::Conflict, "{damaged}");
}

#[tokio::test]
async fn an_upload_that_the_vendor_forgot_begins_anew() {
    let world = World::new().await;
    let archive = world.archive();
    let content = content(3 * CHUNK);
    let upload = upload("a/b", &content);
    archive.begin(&upload).await.unwrap();
    archive.put(&upload, 0, &content[..CHUNK]).await.unwrap();
    ops_core::testkit::ManualClock::advance(&world.clock, Duration::from_secs(8 * 86_400));
    let gone = archive
        .put(&upload, CHUNK as u64, &content[CHUNK..2 * CHUNK])
        .await
        .unwrap_err();
    assert_eq!(gone.kind(), ErrorKind::Unavailable, "{gone}");
    assert_ne!(gone.retry(), ops_core::error::Retry::Never, "begin again tells");
    assert_eq!(archive.begin(&upload).await.unwrap(), 0);
    archive.put(&upload, 0, &content[..CHUNK]).await.unwrap();
    world.sim.forget_uploads();
    assert_eq!(
        archive.begin(&upload).await.unwrap(),
        0,
        "so does begin by itself"
    );
    assert_eq!(
        bring(&archive, &upload, &content).await.unwrap().bytes,
        upload.bytes
    );
}

#[tokio::test]
async fn an_object_is_held_from_its_first_moment() {
    let world = World::new().await;
    let archive = world.archive();
    let content = content(10);
    let until = ops_core::ports::Clock::now(&*world.clock) + Duration::from_secs(86_400);
    let held = upload("a/b", &content).with_hold(ArchiveHold::held().until(until));
    let object = bring(&archive, &held, &content).await.unwrap();
    assert!(object.hold.covers(&held.hold), "{object:?}");
    assert!(
        world.sim.requests().iter().all(|(method, _)| method != "PATCH"),
        "without a moment in between"
    );
    let refused = archive.delete(&name("a/b")).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::PermissionDenied);
}
