//! What is asked and answered, against the vendor's discovery document. It has no sessions of uploads: those are as the vendor's pages have them.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use ops_core::error::Result;
use ops_core::http::{HttpRequest, HttpResponse, HttpTransport};
use ops_core::ports::{ArchiveHold, Clock as _, EvidenceArchive as _};
use ops_core::testkit::loopback_transport;
use serde_json::Value;

use super::discovery::Discovery;
use super::world::{CHUNK, World, bring, content, name, upload};

#[derive(Debug)]
struct Exchange {
    method: &'static str,
    url: String,
    body: Vec<u8>,
    status: u16,
    answer: Vec<u8>,
}

#[derive(Debug)]
struct Recorder {
    inner: Arc<dyn HttpTransport>,
    exchanges: Mutex<Vec<Exchange>>,
}

#[async_trait]
impl HttpTransport for Recorder {
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse> {
        let (method, url) = (request.method().as_str(), request.url().to_owned());
        let body = request.body().to_vec();
        let response = self.inner.send(request).await?;
        self.exchanges.lock().unwrap().push(Exchange {
            method,
            url,
            body,
            status: response.status(),
            answer: response.body().to_vec(),
        });
        Ok(response)
    }
}

/// Everything that an archive asks.
async fn exchanges() -> Vec<Exchange> {
    let world = World::new().await;
    let recorder = Arc::new(Recorder {
        inner: loopback_transport(),
        exchanges: Mutex::default(),
    });
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
    std::mem::take(&mut *recorder.exchanges.lock().unwrap())
}

fn path_and_query(url: &str) -> (&str, Vec<(String, String)>) {
    let rest = url.split_once("://").unwrap().1;
    let whole = &rest[rest.find('/').unwrap()..];
    let (path, query) = whole.split_once('?').unwrap_or((whole, ""));
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    (path, pairs.map(owned).collect())
}

#[tokio::test]
async fn every_request_and_answer_keeps_the_vendors_schema() {
    let Some(storage) = Discovery::open("storage.v1.json") else {
        return;
    };
    let mut methods = BTreeSet::new();
    for exchange in exchanges().await {
        let (path, query) = path_and_query(&exchange.url);
        if query.iter().any(|(name, _)| name == "upload_id") {
            methods.insert(format!("session {} {}", exchange.method, exchange.status));
            continue;
        }
        let found = storage
            .method(exchange.method, path)
            .unwrap_or_else(|| panic!("the vendor has no {} {path}", exchange.method));
        let json = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).ok();
        assert_eq!(
            found.request_faults(&query, json(&exchange.body).as_ref()),
            Vec::<String>::new(),
            "{}",
            exchange.url
        );
        let is_object = exchange.status == 200
            && !query
                .iter()
                .any(|(name, _)| name == "alt" || name == "uploadType");
        if is_object {
            let answer = json(&exchange.answer).unwrap();
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
