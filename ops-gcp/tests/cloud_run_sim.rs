//! The traps of the Cloud Run Admin API, one by one, as the simulated control plane keeps them.
#![expect(clippy::unwrap_used, reason = "a test ends where its world cannot be built")]

use std::sync::Arc;

use ops_core::http::{HttpRequest, Method};
use ops_core::model::TargetId;
use ops_core::testkit::{Faults, LoopbackServer, loopback_transport};
use ops_gcp::run::sim::{CloudRunSim, Scaling, ServiceSeed};
use secrecy::SecretString;
use serde_json::{Value, json};

const SERVICE: &str = "/v2/projects/soul-kun/locations/asia-northeast1/services/api";
const LATEST: &str = "TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST";
const REVISION: &str = "TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION";

#[derive(Debug)]
struct World {
    sim: Arc<CloudRunSim>,
    target: TargetId,
    server: LoopbackServer,
}

impl World {
    async fn with(seed: ServiceSeed) -> Self {
        let sim = CloudRunSim::new(Faults::new());
        let target = sim
            .add_service("soul-kun", "asia-northeast1", "api", seed)
            .unwrap();
        Self {
            server: LoopbackServer::start(Arc::clone(&sim) as _).await.unwrap(),
            sim,
            target,
        }
    }

    async fn send(&self, method: Method, path: &str, body: Option<&Value>) -> (u16, Value) {
        let url = format!("{}{path}", self.server.base_url());
        let mut request = HttpRequest::new(method, url).with_bearer(&SecretString::from("any"));
        if let Some(body) = body {
            request = request.with_json(body).unwrap();
        }
        let response = loopback_transport().send(request).await.unwrap();
        (response.status(), response.json().unwrap())
    }

    async fn read(&self) -> Value {
        self.send(Method::Get, SERVICE, None).await.1
    }

    async fn patch(&self, mask: &str, body: Value) -> (u16, Value) {
        let path = format!("{SERVICE}?updateMask={mask}");
        self.send(Method::Patch, &path, Some(&body)).await
    }

    /// Patches, and reads until the change is in force.
    async fn change(&self, mask: &str, body: Value) -> Value {
        let (status, answer) = self.patch(mask, body).await;
        assert_eq!(status, 200, "{answer}");
        self.settle().await
    }

    async fn settle(&self) -> Value {
        let mut service = self.read().await;
        for _ in 0..10 {
            if service.get("reconciling").is_none() {
                break;
            }
            service = self.read().await;
        }
        assert!(service.get("reconciling").is_none(), "{service}");
        service
    }
}

fn stop() -> Value {
    json!({"scaling": {"scalingMode": "MANUAL", "manualInstanceCount": 0}})
}

const STOP_MASK: &str = "scaling.scalingMode,scaling.manualInstanceCount";

/// `etag` "may be used to detect modification conflict during updates".
#[tokio::test]
async fn a_stale_etag_is_refused_and_a_fresh_one_is_not() {
    let world = World::with(ServiceSeed::new()).await;
    let mut body = stop();
    body["etag"] = world.read().await["etag"].clone();
    world.sim.deploy(&world.target).unwrap();
    let (status, answer) = world.patch(STOP_MASK, body.clone()).await;
    assert_eq!(
        (status, answer["error"]["status"].as_str()),
        (409, Some("ABORTED"))
    );
    body["etag"] = world.read().await["etag"].clone();
    assert_eq!(world.patch(STOP_MASK, body).await.0, 200);
}

/// A PATCH without a mask replaces the whole service: what is not sent falls back to its default.
#[tokio::test]
async fn without_a_mask_everything_is_replaced() {
    let seed = ServiceSeed::new()
        .ingress("INGRESS_TRAFFIC_INTERNAL_ONLY")
        .label("team", "brain")
        .automatic(1, 3)
        .revision("api-00001", 100);
    let world = World::with(seed).await;
    let template = world.read().await["template"].clone();
    let (status, _) = world
        .send(Method::Patch, SERVICE, Some(&json!({"template": template})))
        .await;
    assert_eq!(status, 200);
    let service = world.settle().await;
    assert_eq!(service["ingress"], "INGRESS_TRAFFIC_ALL");
    assert_eq!(service["traffic"], json!([{"type": LATEST, "percent": 100}]));
    assert!(service.get("labels").is_none() && service["scaling"].get("maxInstanceCount").is_none());
    // With a mask, the same body changes the masked field only.
    let world = World::with(ServiceSeed::new().label("team", "brain")).await;
    let service = world
        .change("ingress", json!({"ingress": "INGRESS_TRAFFIC_NONE"}))
        .await;
    assert_eq!(service["labels"]["team"], "brain");
    assert_eq!(world.sim.probe(&world.target), 404);
}

#[tokio::test]
async fn a_masked_field_that_is_not_sent_is_cleared() {
    let world = World::with(ServiceSeed::new().automatic(2, 5)).await;
    let service = world
        .change("scaling", json!({"scaling": {"minInstanceCount": 2}}))
        .await;
    assert_eq!(service["scaling"]["minInstanceCount"], 2);
    assert!(service["scaling"].get("maxInstanceCount").is_none());
}

#[tokio::test]
async fn unknown_names_and_wrong_types_are_refused_and_change_nothing() {
    let world = World::with(ServiceSeed::new()).await;
    let before = world.sim.raw(&world.target);
    for (mask, body) in [
        ("scaling.scaling_mode", stop()),
        ("scale", stop()),
        ("scaling", json!({"scale": {}})),
        ("scaling", json!({"scaling": {"manualInstances": 0}})),
        // Enums travel as strings in this API's JSON.
        ("scaling", json!({"scaling": {"scalingMode": 2}})),
        ("scaling", json!({"scaling": {"scalingMode": "OFF"}})),
        ("scaling", json!({"scaling": {"minInstanceCount": "2"}})),
        ("scaling", json!({"scaling": {"minInstanceCount": -1}})),
        (
            "scaling",
            json!({"scaling": {"minInstanceCount": 5, "maxInstanceCount": 2}}),
        ),
        ("ingress", json!({"ingress": "NONE"})),
        ("labels", json!({"labels": {"a": 1}})),
        ("labels", json!({"labels": {"run.googleapis.com/x": "y"}})),
        ("traffic", json!({"traffic": {}})),
        ("traffic", json!({"traffic": [{"percent": 100, "weight": 1}]})),
        (
            "scaling",
            json!({"name": "projects/p/locations/r/services/other"}),
        ),
        ("scaling", json!([])),
        ("scaling&colour=red", stop()),
    ] {
        let (status, answer) = world.patch(mask, body).await;
        assert_eq!(status, 400, "{mask}: {answer}");
        assert_eq!(answer["error"]["status"], "INVALID_ARGUMENT");
    }
    assert_eq!(world.sim.raw(&world.target), before);
}

/// Nothing can be stopped by the traffic list: the percents must add up to 100, and an empty list is 100 % to the latest.
#[tokio::test]
async fn the_traffic_list_cannot_stop_a_service() {
    let world = World::with(ServiceSeed::new().revision("api-00001", 100)).await;
    for traffic in [
        json!([{"type": LATEST, "percent": 0}]),
        json!([{"type": REVISION, "revision": "api-00001", "percent": 99}]),
        json!([{"type": REVISION, "revision": "api-00001", "percent": 60}, {"type": LATEST, "percent": 60}]),
        json!([{"type": REVISION, "revision": "gone-00001", "percent": 100}]),
        json!([{"type": LATEST, "percent": 100, "tag": "a"}, {"type": LATEST, "tag": "a"}]),
    ] {
        assert_eq!(world.patch("traffic", json!({"traffic": traffic})).await.0, 400);
    }
    let service = world.change("traffic", json!({"traffic": []})).await;
    assert_eq!(service["traffic"], json!([{"type": LATEST, "percent": 100}]));
    assert_eq!(world.sim.probe(&world.target), 200);
}

/// A maximum of 0 is the default value, and so "no maximum".
#[tokio::test]
async fn a_maximum_of_zero_stops_nothing() {
    let world = World::with(ServiceSeed::new().automatic(None, 3)).await;
    let body = json!({"scaling": {"scalingMode": "AUTOMATIC", "maxInstanceCount": 0}});
    world.change("scaling", body).await;
    assert_eq!(world.sim.probe(&world.target), 200);
}

/// Automatic to manual: "service-level minimum and maximum instances are unset".
#[tokio::test]
async fn going_to_manual_forgets_the_limits() {
    let world = World::with(ServiceSeed::new().automatic(2, 20)).await;
    let service = world.change(STOP_MASK, stop()).await;
    assert_eq!(
        service["scaling"],
        json!({"scalingMode": "MANUAL", "manualInstanceCount": 0})
    );
    assert_eq!(world.sim.probe(&world.target), 503);
}

/// Manual to automatic with one limit: "specifying only one returns an error".
#[tokio::test]
async fn going_back_with_one_limit_is_refused() {
    let world = World::with(ServiceSeed::new().manual(0)).await;
    for limits in [json!({"minInstanceCount": 2}), json!({"maxInstanceCount": 9})] {
        let mut scaling = limits;
        scaling["scalingMode"] = json!("AUTOMATIC");
        assert_eq!(world.patch("scaling", json!({"scaling": scaling})).await.0, 400);
    }
    let both = json!({"scalingMode": "AUTOMATIC", "minInstanceCount": 2, "maxInstanceCount": 9});
    world.change("scaling", json!({"scaling": both})).await;
    // In automatic mode one limit is fine.
    let service = world
        .change("scaling", json!({"scaling": {"maxInstanceCount": 9}}))
        .await;
    assert!(service["scaling"].get("minInstanceCount").is_none());
}

/// Manual to automatic without limits: they "inherit the manual instance count".
#[tokio::test]
async fn going_back_without_limits_inherits_the_manual_count() {
    let world = World::with(ServiceSeed::new().manual(3)).await;
    let body = json!({"scaling": {"scalingMode": "AUTOMATIC"}});
    let service = world.change("scaling.scalingMode", body.clone()).await;
    assert_eq!(service["scaling"]["minInstanceCount"], 3);
    assert_eq!(service["scaling"]["maxInstanceCount"], 3);
    // After a stop that count is zero: users stay out, and the zeros read like "no limits".
    world
        .sim
        .set_scaling_by_hand(&world.target, Scaling::Manual(0))
        .unwrap();
    let service = world.change("scaling.scalingMode", body).await;
    assert!(service["scaling"].get("maxInstanceCount").is_none());
    assert_eq!(world.sim.probe(&world.target), 503);
}

/// While `reconciling`, `observedGeneration` and `trafficStatuses` show the former state; generations are strings.
#[tokio::test]
async fn a_change_takes_some_reads_to_come_into_force() {
    let world = World::with(ServiceSeed::new().revision("api-00001", 100)).await;
    let body = json!({"traffic": [{"type": LATEST, "percent": 100}]});
    let (_, operation) = world.patch("traffic", body).await;
    assert_eq!(operation["done"], false);
    let name = operation["name"].as_str().unwrap();

    let service = world.read().await;
    assert_eq!(service["reconciling"], true);
    assert_eq!(
        (
            service["generation"].as_str(),
            service["observedGeneration"].as_str()
        ),
        (Some("2"), Some("1"))
    );
    assert_eq!(service["terminalCondition"]["state"], "CONDITION_RECONCILING");
    assert_eq!(service["trafficStatuses"][0]["revision"], "api-00001");

    let path = format!("/v2/{name}");
    assert_eq!(world.send(Method::Get, &path, None).await.1["done"], false);
    let (_, ended) = world.send(Method::Get, &path, None).await;
    assert_eq!(ended["done"], true);
    assert_eq!(ended["response"]["observedGeneration"], "2");
    let service = world.read().await;
    assert_eq!(service["terminalCondition"]["state"], "CONDITION_SUCCEEDED");
    assert_eq!(service["trafficStatuses"][0]["revision"], "api-00002");
}

/// After a failed reconciliation the traffic in force is that of the former serving state.
#[tokio::test]
async fn after_a_failure_the_former_state_serves() {
    let world = World::with(ServiceSeed::new()).await;
    world.sim.fail_next_change(&world.target, 9);
    let service = world.change(STOP_MASK, stop()).await;
    assert_eq!(service["terminalCondition"]["state"], "CONDITION_FAILED");
    assert_eq!(service["scaling"]["scalingMode"], "MANUAL");
    assert_ne!(service["observedGeneration"], service["generation"]);
    assert_eq!(world.sim.probe(&world.target), 200);
}

/// Revisions that are active only because of a tag are not stopped; a tagged revision with a share of the traffic is.
#[tokio::test]
async fn tags_answer_although_the_service_is_stopped() {
    let seed = ServiceSeed::new()
        .latest(100)
        .tag("old", "api-00001")
        .tag("live", "api-00002");
    let world = World::with(seed).await;
    world.change(STOP_MASK, stop()).await;
    assert_eq!(world.sim.probe(&world.target), 503);
    assert_eq!(world.sim.probe_tag(&world.target, "old"), 200);
    assert_eq!(world.sim.probe_tag(&world.target, "live"), 503);
    assert_eq!(world.sim.probe_tag(&world.target, "none"), 404);
}

#[tokio::test]
async fn strangers_are_refused() {
    let world = World::with(ServiceSeed::new()).await;
    let url = format!("{}{SERVICE}", world.server.base_url());
    let response = loopback_transport()
        .send(HttpRequest::new(Method::Get, url))
        .await
        .unwrap();
    assert_eq!(response.status(), 401);
    for (path, status) in [
        (SERVICE.replace("api", "gone"), 404),
        (SERVICE.replace("soul-kun", "other-project"), 403),
        (SERVICE.replace("/services/api", "/operations/sim-9"), 404),
        ("/v1/anything".to_owned(), 404),
    ] {
        assert_eq!(world.send(Method::Get, &path, None).await.0, status, "{path}");
    }
}

#[tokio::test]
async fn a_seed_that_the_vendor_would_refuse_is_refused() {
    let sim = CloudRunSim::new(Faults::new());
    for seed in [
        ServiceSeed::new().latest(50),
        ServiceSeed::new().revision("gone-00001", 100),
        ServiceSeed::new().automatic(5, 2),
        ServiceSeed::new().ingress("ALL"),
    ] {
        assert!(sim.add_service("p", "r", "s", seed).is_err());
    }
    assert!(sim.add_service("p", "r", "..", ServiceSeed::new()).is_err());
}
