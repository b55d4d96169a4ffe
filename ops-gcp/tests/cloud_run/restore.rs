use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use ops_core::error::{Error, ErrorKind, Result};
use ops_core::http::{HttpRequest, HttpResponse, HttpTransport, Method};
use ops_core::model::{RunId, Snapshot, TargetState};
use ops_core::ports::TrafficController;
use ops_core::testkit::loopback_transport;
use ops_gcp::run::sim::ServiceSeed;

use super::world::{World, key};

/// The prior settings that a restore has to bring back, each a case of its own in the vendor's rules.
fn prior_settings() -> Vec<(&'static str, ServiceSeed)> {
    let split = ServiceSeed::new()
        .revisions(4)
        .revision("api-00003", 60)
        .revision("api-00002", 40)
        .tag("canary", "api-00004")
        .tag("old", "api-00001");
    vec![
        ("both limits", ServiceSeed::new().automatic(2, 20)),
        ("only a minimum", ServiceSeed::new().automatic(3, None)),
        ("only a maximum", ServiceSeed::new().automatic(None, 7)),
        ("no limits", ServiceSeed::new()),
        ("three by hand", ServiceSeed::new().manual(3)),
        ("split traffic with tags", split.clone()),
        ("split traffic, one limit", split.automatic(None, 5)),
        (
            "latest, spelled out",
            ServiceSeed::new().automatic(1, 1).latest(100),
        ),
        (
            "latest beside a pinned revision",
            ServiceSeed::new()
                .latest(90)
                .revision("api-00001", 10)
                .automatic(1, None),
        ),
        (
            "not public",
            ServiceSeed::new().ingress("INGRESS_TRAFFIC_INTERNAL_ONLY"),
        ),
        (
            "labelled",
            ServiceSeed::new().label("team", "brain").label("env", "prod"),
        ),
    ]
}

#[tokio::test]
async fn every_prior_setting_comes_back_exactly() {
    for (case, seed) in prior_settings() {
        let world = World::new().await;
        let target = world.add(seed);
        let users_before = world.sim.probe(&target);
        let labels_before = world.sim.raw(&target)["labels"].clone();
        let prior = world.observe(&target).await;
        assert_eq!(prior.state(), TargetState::Serving, "{case}");
        assert!(prior.settled().holds(), "{case}");

        world.cloud_run().stop(&target, &key("run-1")).await.unwrap();
        let stopped = world.observe(&target).await;
        assert!(stopped.stopped().holds(), "{case}: {:?}", stopped.stopped());
        assert_eq!(stopped.marker().map(RunId::as_str), Some("run-1"), "{case}");
        assert_ne!(world.sim.probe(&target), 200, "{case}");

        // What the journal does with it.
        let bytes = serde_json::to_vec(prior.snapshot()).unwrap();
        let journalled: Snapshot = serde_json::from_slice(&bytes).unwrap();
        world
            .cloud_run()
            .restore(&journalled, &key("run-1"))
            .await
            .unwrap();
        let restored = world.observe(&target).await;
        assert!(restored.settled().holds(), "{case}: {:?}", restored.settled());
        assert_eq!(prior.snapshot().differences(restored.snapshot()), [], "{case}");
        assert_eq!(
            prior.snapshot().restorable_bytes(),
            restored.snapshot().restorable_bytes(),
            "{case}"
        );
        assert_eq!(restored.marker(), None, "{case}");
        assert_eq!(world.sim.raw(&target)["labels"], labels_before, "{case}");
        assert_eq!(world.sim.probe(&target), users_before, "{case}");
    }
}

#[tokio::test]
async fn a_restore_of_everything_that_changed_since_comes_back_exactly_too() {
    let world = World::new().await;
    let split = ServiceSeed::new()
        .revision("api-00001", 100)
        .tag("next", "api-00002")
        .automatic(None, 9);
    let target = world.add(split);
    let prior = world.observe(&target).await;
    // Somebody changed traffic and ingress as well, and has not stopped anything.
    world.add(
        ServiceSeed::new()
            .latest(100)
            .ingress("INGRESS_TRAFFIC_NONE")
            .manual(4),
    );
    world
        .cloud_run()
        .restore(prior.snapshot(), &key("run-1"))
        .await
        .unwrap();
    let restored = world.observe(&target).await;
    assert_eq!(prior.snapshot().differences(restored.snapshot()), []);
    assert_eq!(world.sim.probe(&target), 200);
}

/// A traffic entry for the latest revision must not come back as the revision that it meant at the time.
#[tokio::test]
async fn latest_stays_latest() {
    let world = World::new().await;
    let target = world.add(ServiceSeed::new().latest(100));
    let prior = world.observe(&target).await;
    world.cloud_run().stop(&target, &key("run-1")).await.unwrap();
    world
        .cloud_run()
        .restore(prior.snapshot(), &key("run-1"))
        .await
        .unwrap();
    assert_eq!(
        world.sim.raw(&target)["traffic"][0]["type"],
        "TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST"
    );
    world.sim.deploy(&target).unwrap();
    assert_eq!(
        world.sim.raw(&target)["trafficStatuses"][0]["revision"],
        "api-00003"
    );
}

#[tokio::test]
async fn a_repeated_restore_writes_nothing() {
    let world = World::new().await;
    let target = world.add(ServiceSeed::new().automatic(None, 4));
    let prior = world.observe(&target).await;
    world.cloud_run().stop(&target, &key("run-1")).await.unwrap();
    for expected in [3, 3] {
        world
            .cloud_run()
            .restore(prior.snapshot(), &key("run-1"))
            .await
            .unwrap();
        assert_eq!(world.writes(), expected);
    }
}

/// A crash between the two writes of a restore leaves a stand-in limit; the next attempt removes it.
#[tokio::test]
async fn a_restore_that_stopped_half_way_is_finished_by_the_next() {
    let world = World::new().await;
    let target = world.add(ServiceSeed::new().automatic(None, 9));
    let prior = world.observe(&target).await;
    world.cloud_run().stop(&target, &key("run-1")).await.unwrap();
    let cut = Arc::new(CutAfter::writes(1));
    let error = world
        .cloud_run_over(cut)
        .restore(prior.snapshot(), &key("run-1"))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    let half_way = world.observe(&target).await;
    assert_eq!(
        half_way.snapshot().field("scaling").unwrap()["minInstanceCount"],
        1
    );
    assert!(
        half_way.marker().is_some(),
        "an unfinished restore keeps the marker"
    );

    world
        .cloud_run()
        .restore(prior.snapshot(), &key("run-1"))
        .await
        .unwrap();
    let restored = world.observe(&target).await;
    assert_eq!(prior.snapshot().differences(restored.snapshot()), []);
    assert_eq!(restored.marker(), None);
}

/// Without both limits in the first write, a service that comes from manual scaling inherits the manual count of zero.
#[tokio::test]
async fn the_way_back_to_no_limits_does_not_inherit_the_zero_of_the_stop() {
    let world = World::new().await;
    let target = world.add(ServiceSeed::new());
    let prior = world.observe(&target).await;
    world.cloud_run().stop(&target, &key("run-1")).await.unwrap();
    world
        .cloud_run()
        .restore(prior.snapshot(), &key("run-1"))
        .await
        .unwrap();
    assert_eq!(world.sim.probe(&target), 200);
}

#[tokio::test]
async fn a_deployment_in_between_shows_in_the_witness_and_not_in_the_fields() {
    let world = World::new().await;
    let target = world.add(ServiceSeed::new().automatic(1, 2));
    let before = world.observe(&target).await;
    world.sim.deploy(&target).unwrap();
    let after = world.observe(&target).await;
    let paths: Vec<_> = before
        .snapshot()
        .differences(after.snapshot())
        .into_iter()
        .map(|difference| difference.path)
        .collect();
    assert_eq!(paths, ["latest_created_revision", "template_sha256"]);
    assert_eq!(
        before.snapshot().restorable_bytes(),
        after.snapshot().restorable_bytes()
    );
}

/// The network goes away after so many writes have ended: nothing but reads gets through any more.
#[derive(Debug)]
struct CutAfter {
    inner: Arc<dyn HttpTransport>,
    writes_left: Mutex<u32>,
}

impl CutAfter {
    fn writes(writes: u32) -> Self {
        Self {
            inner: loopback_transport(),
            writes_left: Mutex::new(writes),
        }
    }
}

#[async_trait]
impl HttpTransport for CutAfter {
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse> {
        if request.method() == Method::Patch {
            let mut left = self.writes_left.lock().unwrap();
            if *left == 0 {
                return Err(Error::new(ErrorKind::Unavailable, "send request"));
            }
            *left -= 1;
        }
        self.inner.send(request).await
    }
}
