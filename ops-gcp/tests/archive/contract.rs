//! What is asked and answered, against the vendor's discovery document. It has no sessions of uploads: those are as the vendor's pages have them.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use ops_core::ports::{ArchiveHold, Clock as _, EvidenceArchive as _};

use super::discovery::Discovery;
use super::exchange::{Exchange, Recorder};
use super::world::{CHUNK, World, bring, content, name, upload};

/// Everything that an archive asks.
async fn exchanges() -> Vec<Exchange> {
    let world = World::new().await;
    let recorder = Recorder::new();
    let archive = world.archive_over(Arc::clone(&recorder) as _);
    let content = content(2 * CHUNK);
    let until = world.clock.now() + Duration::from_secs(60);
    let held = upload("INC-7/part-1", &content).with_hold(ArchiveHold::held().until(until));
    bring(&archive, &held, &content).await.unwrap();
    let at = name("INC-7/part-1");
    archive.read(&at, 0, 10).await.unwrap();
    let longer = ArchiveHold::default().until(until + Duration::from_secs(60));
    archive.hold(&at, &longer).await.unwrap();
    world.clock.advance(Duration::from_secs(200));
    archive.delete(&at).await.unwrap();
    archive.observe(&at).await.unwrap();
    archive.examine().await;
    // Thrown away.
    let other = upload("a/b", b"good");
    archive.begin(&other).await.unwrap();
    archive.put(&other, 0, b"evil").await.unwrap();
    archive.finish(&other).await.unwrap_err();
    recorder.take()
}

#[tokio::test]
async fn every_request_and_answer_keeps_the_vendors_schema() {
    let Some(storage) = Discovery::open("storage.v1.json") else {
        return;
    };
    let mut methods = BTreeSet::new();
    for exchange in exchanges().await {
        let (path, query) = (&exchange.path, &exchange.query);
        if query.iter().any(|(name, _)| name == "upload_id") {
            methods.insert(format!("session {} {}", exchange.method, exchange.status));
            continue;
        }
        let found = storage
            .method(exchange.method, path)
            .unwrap_or_else(|| panic!("the vendor has no {} {path}", exchange.method));
        assert_eq!(
            found.request_faults(query, exchange.body().as_ref()),
            Vec::<String>::new(),
            "{path}"
        );
        let is_object = exchange.status == 200
            && !query
                .iter()
                .any(|(name, _)| name == "alt" || name == "uploadType");
        if is_object {
            let answer = exchange.answer();
            assert_eq!(found.response_faults(&answer), Vec::<String>::new(), "{answer}");
        }
        methods.insert(format!("{} {}", found.id(), exchange.status));
    }
    assert_eq!(
        methods.into_iter().collect::<Vec<_>>(),
        [
            "session DELETE 499",
            "session PUT 200",
            "session PUT 308",
            "storage.buckets.testIamPermissions 200",
            "storage.objects.delete 204",
            "storage.objects.get 200",
            "storage.objects.get 206",
            "storage.objects.get 404",
            "storage.objects.insert 200",
            "storage.objects.patch 200",
        ]
    );
}
