use std::time::Duration;

use ops_core::error::ErrorKind;
use ops_core::ports::{ArchiveHold, Clock as _, EvidenceArchive as _};

use super::world::{BUCKET, World, bring, content, name, upload};

async fn with_object() -> World {
    let world = World::new().await;
    let content = content(10);
    bring(&world.archive(), &upload("a/b", &content), &content)
        .await
        .unwrap();
    world
}

#[tokio::test]
async fn retention_keeps_until_its_time_by_the_vendors_clock() {
    let world = with_object().await;
    let archive = world.archive();
    let until = world.clock.now() + Duration::from_micros(86_400_000_001);
    archive
        .hold(&name("a/b"), &ArchiveHold::default().until(until))
        .await
        .unwrap();
    let told = archive.observe(&name("a/b")).await.unwrap().unwrap().hold;
    assert!(
        told.covers(&ArchiveHold::default().until(until)),
        "rounded away from us: {told:?}"
    );
    let refused = archive.delete(&name("a/b")).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::PermissionDenied);
    assert!(refused.to_string().contains("retained_until"), "{refused}");
    world.clock.advance(Duration::from_secs(86_402));
    archive.delete(&name("a/b")).await.unwrap();
    assert_eq!(archive.observe(&name("a/b")).await.unwrap(), None);
}

#[tokio::test]
async fn what_is_held_already_is_not_written_again() {
    let world = with_object().await;
    let archive = world.archive();
    // The vendor is given the next whole second: asking again asks for no less.
    let hold = ArchiveHold::held().until(world.clock.now() + Duration::from_micros(86_400_000_001));
    archive.hold(&name("a/b"), &hold).await.unwrap();
    let before = world.sim.requests().len();
    archive.hold(&name("a/b"), &hold).await.unwrap();
    assert_eq!(world.sim.requests().len(), before + 1, "one read");
}

#[tokio::test]
async fn an_unlocked_retention_is_locked_where_it_is_asked_for_and_never_unlocked() {
    let world = with_object().await;
    let until = world.clock.now() + Duration::from_secs(86_400);
    let hold = ArchiveHold::default().until(until);
    world.archive().hold(&name("a/b"), &hold).await.unwrap();
    assert!(world.locking().capability().locks_retention && !world.archive().capability().locks_retention);
    world.locking().hold(&name("a/b"), &hold).await.unwrap();
    // Locked now: longer by whoever does not lock stays locked, and nothing else is accepted.
    let longer = ArchiveHold::default().until(until + Duration::from_secs(60));
    world.archive().hold(&name("a/b"), &longer).await.unwrap();
    let refused = world.locking().hold(&name("a/b"), &hold).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::PermissionDenied, "{refused}");
}

#[tokio::test]
async fn a_bucket_that_keeps_longer_is_told_and_is_not_weakened() {
    let world = with_object().await;
    let archive = world.archive();
    world.sim.keep_all(BUCKET, 30 * 86_400);
    let soon = world.clock.now() + Duration::from_secs(3_600);
    let hold = ArchiveHold::held().until(soon);
    archive.hold(&name("a/b"), &hold).await.unwrap();
    let told = archive.observe(&name("a/b")).await.unwrap().unwrap().hold;
    assert!(
        told.retained_until.unwrap() > soon + Duration::from_secs(29 * 86_400),
        "{told:?}"
    );
    // Only its own time is ours to ask for.
    archive
        .hold(&name("a/b"), &ArchiveHold::default().until(soon))
        .await
        .unwrap();
    world.clock.advance(Duration::from_secs(7_200));
    let refused = archive.delete(&name("a/b")).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::PermissionDenied, "the bucket keeps it");
}

/// The bucket needs no object retention for what it keeps by itself.
#[tokio::test]
async fn what_the_bucket_keeps_as_long_is_not_written_to_the_object() {
    let world = with_object().await;
    world.sim.set_object_retention(BUCKET, false);
    world.sim.keep_all(BUCKET, 30 * 86_400);
    for archive in [world.archive(), world.locking()] {
        let kept = archive.observe(&name("a/b")).await.unwrap().unwrap().hold;
        archive
            .hold(&name("a/b"), &kept.and(&ArchiveHold::held()))
            .await
            .unwrap();
        archive.hold(&name("a/b"), &kept).await.unwrap();
    }
}

#[tokio::test]
async fn a_hold_of_somebody_else_is_not_called_lifted() {
    let world = with_object().await;
    let archive = world.archive();
    archive.hold(&name("a/b"), &ArchiveHold::held()).await.unwrap();
    world.sim.set_event_based_hold(BUCKET, "a/b", true);
    let refused = archive
        .hold(&name("a/b"), &ArchiveHold::default())
        .await
        .unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Conflict, "{refused}");
    assert_eq!(
        archive.delete(&name("a/b")).await.unwrap_err().kind(),
        ErrorKind::PermissionDenied
    );
}

/// Whoever lifts the event-based hold knows nothing of ours.
#[tokio::test]
async fn a_hold_that_is_asked_for_stays_when_the_event_based_one_goes() {
    let world = with_object().await;
    let archive = world.archive();
    world.sim.set_event_based_hold(BUCKET, "a/b", true);
    archive.hold(&name("a/b"), &ArchiveHold::held()).await.unwrap();
    world.sim.set_event_based_hold(BUCKET, "a/b", false);
    assert_eq!(
        archive.observe(&name("a/b")).await.unwrap().unwrap().hold,
        ArchiveHold::held()
    );
    archive.hold(&name("a/b"), &ArchiveHold::default()).await.unwrap();
    archive.delete(&name("a/b")).await.unwrap();
}

/// Else the union of both would ask for a temporary hold that nobody wanted, and for what the vendor refuses.
#[tokio::test]
async fn a_retention_beside_an_event_based_hold_is_refused_before_anything_is_written() {
    let world = with_object().await;
    world.sim.set_event_based_hold(BUCKET, "a/b", true);
    let until = world.clock.now() + Duration::from_secs(86_400);
    let asked = ArchiveHold::default().until(until);
    for archive in [world.archive(), world.locking()] {
        let there = archive.observe(&name("a/b")).await.unwrap().unwrap().hold;
        let before = world.sim.requests().len();
        let refused = archive.hold(&name("a/b"), &there.and(&asked)).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Conflict, "{refused}");
        assert!(refused.to_string().contains("event-based hold"), "{refused}");
        assert_eq!(world.sim.requests().len(), before + 1, "one read");
    }
    world.sim.set_event_based_hold(BUCKET, "a/b", false);
    let left = world.archive().observe(&name("a/b")).await.unwrap().unwrap().hold;
    assert_eq!(left, ArchiveHold::default());
    world.archive().hold(&name("a/b"), &asked).await.unwrap();
}

#[tokio::test]
async fn a_bucket_without_object_retention_says_what_is_missing() {
    let world = World::new().await;
    world.sim.add_bucket(BUCKET, false);
    let content = content(10);
    let until = world.clock.now() + Duration::from_secs(86_400);
    let upload = upload("a/b", &content).with_hold(ArchiveHold::held().until(until));
    let refused = world.archive().begin(&upload).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::InvalidInput);
    assert!(refused.to_string().contains("object retention"), "{refused}");
    world.sim.remove_bucket(BUCKET);
    let refused = world.archive().begin(&upload).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::NotFound);
    assert!(refused.to_string().contains("make the bucket"), "{refused}");
}
