//! What is asked and answered, against the vendor's discovery documents where there is one: Cloud Run and Cloud Monitoring. For Pub/Sub, Cloud
//! Tasks and Cloud Scheduler there is none here; the paths and fields of these are marked unverified where they are read.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use ops_core::ports::{Clock, ReadinessProbe};
use ops_gcp::queues::sim::{JobSeed, QueueSeed, SubscriptionSeed};

use super::discovery::Discovery;
use super::exchange::{Exchange, Recorder};
use super::world::{API, REGION, World};

/// Everything that was asked and answered over a world with one of each.
async fn exchanges() -> Vec<Exchange> {
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
    let recorder = Recorder::new();
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
    recorder.take()
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
    for exchange in exchanges().await {
        let Exchange {
            method, path, status, ..
        } = &exchange;
        let api = match path {
            path if path.contains("/timeSeries") => &monitoring,
            path if path.contains("/services/") => &run,
            _ => continue,
        };
        let found = api
            .method(method, path)
            .unwrap_or_else(|| panic!("the vendor has no {method} {path}"));
        let faults = found.request_faults(&exchange.query, None);
        assert_eq!(faults, Vec::<String>::new(), "{path}");
        if *status == 200 {
            assert_eq!(
                found.response_faults(&exchange.answer()),
                Vec::<String>::new(),
                "{path}"
            );
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
    for Exchange { method, path, .. } in exchanges().await {
        assert!(
            method == "GET" || (method == "POST" && path.ends_with(":testIamPermissions")),
            "{method} {path}"
        );
    }
}
