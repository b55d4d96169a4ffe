//! What is asked and answered, against the vendor's discovery documents where there is one: Cloud Run and Cloud Monitoring. For Pub/Sub, Cloud
//! Tasks and Cloud Scheduler there is none here; the paths and fields of these are marked unverified where they are read.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use ops_core::error::Result;
use ops_core::http::{HttpRequest, HttpResponse, HttpTransport};
use ops_core::ports::{Clock, ReadinessProbe};
use ops_core::testkit::loopback_transport;
use ops_gcp::queues::sim::{JobSeed, QueueSeed, SubscriptionSeed};
use serde_json::Value;

use super::discovery::Discovery;
use super::world::{API, REGION, World};

#[derive(Debug)]
struct Recorder {
    inner: Arc<dyn HttpTransport>,
    exchanges: Mutex<Vec<(&'static str, String, u16, Value)>>,
}

#[async_trait]
impl HttpTransport for Recorder {
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse> {
        let (method, url) = (request.method().as_str(), request.url().to_owned());
        let response = self.inner.send(request).await?;
        let exchange = (method, url, response.status(), response.json()?);
        self.exchanges.lock().unwrap().push(exchange);
        Ok(response)
    }
}

/// Everything that was asked and answered over a world with one of each.
async fn exchanges() -> Vec<(&'static str, String, u16, Value)> {
    let world = World::new().await;
    world.queues.set_page(1);
    for name in ["a", "b"] {
        world
            .queues
            .add_subscription(name, SubscriptionSeed::push_to(API));
        world.queues.publish(name, 3);
        let host = API.trim_start_matches("https://");
        world
            .queues
            .add_queue(REGION, name, QueueSeed::new().to_host(host));
        world
            .queues
            .add_queue(REGION, &format!("{name}-tasks"), QueueSeed::new());
        world
            .queues
            .create_tasks(REGION, &format!("{name}-tasks"), 2, API, None);
        let next = world.clock.now() + Duration::from_secs(60);
        world.queues.add_job(REGION, name, JobSeed::calls(API, next));
    }
    let recorder = Arc::new(Recorder {
        inner: loopback_transport(),
        exchanges: Mutex::default(),
    });
    let gcp = world.gcp_over(Arc::clone(&recorder) as _);
    let feeding = async || {
        for inspector in gcp.inspectors() {
            inspector.feeding(std::slice::from_ref(&world.api)).await;
        }
    };
    feeding().await;
    gcp.examine(&[]).await;
    world.queues.revoke("monitoring.timeSeries.list");
    feeding().await;
    std::mem::take(&mut *recorder.exchanges.lock().unwrap())
}

fn path_and_query(url: &str) -> (&str, Vec<(String, String)>) {
    let rest = url.split_once("://").unwrap().1;
    let whole = &rest[rest.find('/').unwrap()..];
    let (path, query) = whole.split_once('?').unwrap_or((whole, ""));
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    (
        path,
        pairs
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect(),
    )
}

#[tokio::test]
async fn what_is_asked_of_monitoring_and_cloud_run_keeps_the_vendors_schema() {
    let (Some(monitoring), Some(run)) = (
        Discovery::open("monitoring.v3.json"),
        Discovery::open("run.v2.json"),
    ) else {
        return;
    };
    let mut methods = BTreeSet::new();
    for (method, url, status, answer) in exchanges().await {
        let (path, query) = path_and_query(&url);
        let api = match path {
            path if path.contains("/timeSeries") => &monitoring,
            path if path.contains("/services/") => &run,
            _ => continue,
        };
        let found = api
            .method(method, path)
            .unwrap_or_else(|| panic!("the vendor has no {method} {path}"));
        assert_eq!(found.request_faults(&query, None), Vec::<String>::new(), "{url}");
        if status == 200 {
            assert_eq!(found.response_faults(&answer), Vec::<String>::new(), "{url}");
        }
        methods.insert(format!("{} {status}", found.id()));
    }
    assert_eq!(
        methods.into_iter().collect::<Vec<_>>(),
        [
            "monitoring.projects.timeSeries.list 200",
            "monitoring.projects.timeSeries.list 403",
            "run.projects.locations.services.get 200",
        ]
    );
}

/// Without a description of the others, at least this: nothing but lists is asked, and the one POST that changes nothing.
#[tokio::test]
async fn nothing_is_asked_that_could_change_anything() {
    for (method, url, ..) in exchanges().await {
        assert!(
            method == "GET" || (method == "POST" && url.ends_with(":testIamPermissions")),
            "{method} {url}"
        );
    }
}
