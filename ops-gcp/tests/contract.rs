//! Every request of the client, and every answer of the simulation, against the vendor's discovery document.
#![expect(clippy::unwrap_used, reason = "a test ends where its world cannot be built")]

mod discovery;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use ops_core::error::Result;
use ops_core::http::{HttpRequest, HttpResponse, HttpTransport, Method};
use ops_core::model::{IdempotencyKey, RunId};
use ops_core::ports::{Inventory, ReadinessProbe, TrafficController};
use ops_core::testkit::{Fault, FaultRule, Faults, LoopbackServer, ManualClock, loopback_transport};
use ops_gcp::auth::StaticToken;
use ops_gcp::run::sim::{CloudRunSim, ServiceSeed};
use ops_gcp::run::{CloudRunInventory, CloudRunTraffic, RESTORABLE, UNTOUCHED, VOLATILE, WITNESSED};
use secrecy::SecretString;
use serde_json::{Value, json};

use self::discovery::{Discovery, Way};

const SERVICE: &str = "GoogleCloudRunV2Service";
const PATH: &str = "/v2/projects/soul-kun/locations/asia-northeast1/services/api";

#[tokio::test]
async fn every_request_and_every_answer_keeps_the_vendors_schema() {
    let Some(api) = Discovery::open("run.v2.json") else {
        return;
    };
    let split = ServiceSeed::new()
        .revision("api-00001", 70)
        .latest(30)
        .tag("old", "api-00001");
    let seeds = [
        ServiceSeed::new().automatic(2, 20).label("team", "brain"),
        ServiceSeed::new().automatic(3, None),
        ServiceSeed::new().automatic(None, 7).environment("KEY", "value"),
        ServiceSeed::new().manual(3),
        split.ingress("INGRESS_TRAFFIC_INTERNAL_ONLY"),
    ];
    let mut methods = BTreeSet::new();
    for seed in seeds {
        for exchange in a_stop_and_a_restore(seed).await {
            methods.insert(exchange.check(&api));
        }
    }
    assert_eq!(
        methods.into_iter().collect::<Vec<_>>(),
        [
            "run.projects.locations.operations.get 200",
            "run.projects.locations.services.get 200",
            "run.projects.locations.services.patch 200",
            "run.projects.locations.services.patch 400",
            "run.projects.locations.services.patch 403",
            "run.projects.locations.services.patch 409",
            "run.projects.locations.services.patch 429",
            "run.projects.locations.services.patch 503",
        ]
    );
}

/// What the doctor sends is a read, or the one POST that the vendor documents as changing nothing.
#[tokio::test]
async fn what_the_doctor_asks_keeps_the_vendors_schema_too() {
    let Some(api) = Discovery::open("run.v2.json") else {
        return;
    };
    let sim = CloudRunSim::new(Faults::new());
    for name in ["api", "b", "c"] {
        sim.add_service("soul-kun", "asia-northeast1", name, ServiceSeed::new())
            .unwrap();
    }
    sim.set_page(2);
    sim.cut_off_region("asia-northeast1");
    let server = LoopbackServer::start(Arc::clone(&sim) as _).await.unwrap();
    let recorder = Arc::new(Recorder {
        inner: loopback_transport(),
        exchanges: Mutex::default(),
        before_write: Mutex::default(),
    });
    let cloud_run = CloudRunTraffic::builder()
        .with_transport(Arc::clone(&recorder) as _)
        .with_token(Arc::new(StaticToken::new("any")))
        .with_clock(Arc::new(ManualClock::self_moving()))
        .with_base_url(server.base_url())
        .with_resource_manager_url(server.base_url())
        .build()
        .unwrap();
    let target = |name| CloudRunTraffic::target("soul-kun", "asia-northeast1", name).unwrap();
    cloud_run.examine(&[target("api"), target("none")]).await;
    let regions = ["asia-northeast1".to_owned()];
    let inventory = CloudRunInventory::new(&cloud_run, "soul-kun", regions).unwrap();
    inventory.deployed().await.unwrap();
    for permission in ["run.services.get", "run.services.update"] {
        sim.revoke(permission);
    }
    cloud_run.examine(&[target("api")]).await;
    let mut methods = BTreeSet::new();
    for exchange in std::mem::take(&mut *recorder.exchanges.lock().unwrap()) {
        // Resource Manager has no discovery document here; its one path is marked unverified.
        if !exchange.url.contains("/v3/projects/") {
            methods.insert(exchange.check(&api));
        }
    }
    assert_eq!(
        methods.into_iter().collect::<Vec<_>>(),
        [
            "run.projects.locations.operations.get 404",
            "run.projects.locations.services.get 200",
            "run.projects.locations.services.get 403",
            "run.projects.locations.services.get 404",
            "run.projects.locations.services.list 200",
            "run.projects.locations.services.testIamPermissions 200",
        ]
    );
    assert_eq!(sim.writes(), 0);
}

/// What a snapshot has to hold is decided field by field: a new field of the vendor has to be put on one of the lists.
#[test]
fn every_field_of_the_vendors_service_is_on_exactly_one_list() {
    let Some(api) = Discovery::open("run.v2.json") else {
        return;
    };
    let schema: Vec<_> = api.schema(SERVICE).keys().map(String::as_str).collect();
    let lists = [RESTORABLE, WITNESSED, VOLATILE, UNTOUCHED].concat();
    for field in &schema {
        let listed = lists.iter().filter(|listed| *listed == field).count();
        assert_eq!(listed, 1, "{field} is on {listed} lists");
    }
    for listed in &lists {
        assert!(schema.contains(listed), "{listed} is no field any more");
    }
    for name in VOLATILE.iter().filter(|name| **name != "etag") {
        assert_eq!(
            api.schema(SERVICE)[*name]["readOnly"],
            true,
            "{name} can be written"
        );
    }
}

/// A member of scaling or traffic that the client does not know is carried along; the simulation has to learn it.
#[test]
fn the_restorable_messages_have_the_known_members() {
    let Some(api) = Discovery::open("run.v2.json") else {
        return;
    };
    for (message, known) in [
        (
            "GoogleCloudRunV2ServiceScaling",
            [
                "manualInstanceCount",
                "maxInstanceCount",
                "minInstanceCount",
                "scalingMode",
            ],
        ),
        (
            "GoogleCloudRunV2TrafficTarget",
            ["percent", "revision", "tag", "type"],
        ),
    ] {
        let members: BTreeSet<_> = api.schema(message).keys().map(String::as_str).collect();
        assert_eq!(members, BTreeSet::from(known), "{message}");
    }
}

#[tokio::test]
async fn the_simulation_knows_every_field_that_the_vendor_knows() {
    let Some(api) = Discovery::open("run.v2.json") else {
        return;
    };
    let sim = CloudRunSim::new(Faults::new());
    let seed = ServiceSeed::new();
    sim.add_service("soul-kun", "asia-northeast1", "api", seed)
        .unwrap();
    let server = LoopbackServer::start(Arc::clone(&sim) as _).await.unwrap();
    let send = async |body: Value| {
        let url = format!("{}{PATH}?updateMask=labels", server.base_url());
        let request = HttpRequest::new(Method::Patch, url)
            .with_bearer(&SecretString::from("any"))
            .with_json(&body)
            .unwrap();
        loopback_transport().send(request).await.unwrap()
    };
    for (name, property) in api.schema(SERVICE) {
        let value = match (property["type"].as_str(), property["enum"][1].as_str()) {
            (_, Some(first)) => json!(first),
            (Some("string"), _) if name == "name" => json!(PATH.trim_start_matches("/v2/")),
            (Some("string"), _) if name == "etag" => continue,
            (Some("string"), _) => json!("1"),
            (Some("boolean"), _) => json!(true),
            (Some("array"), _) => json!([]),
            _ => json!({}),
        };
        let mut body = json!({});
        body[name] = value;
        let response = send(body).await;
        let answer: Value = response.json().unwrap();
        assert_eq!(response.status(), 200, "{name}: {answer}");
    }
    assert_eq!(send(json!({"replicas": 0})).await.status(), 400);
}

#[test]
fn the_checker_refuses_what_the_vendor_would() {
    let Some(api) = Discovery::open("run.v2.json") else {
        return;
    };
    for (body, fault) in [
        (
            json!({"scaling": {"scalingMode": 2}}),
            ".scaling.scalingMode has a wrong",
        ),
        (
            json!({"scaling": {"scalingMode": "OFF"}}),
            ".scaling.scalingMode has a wrong",
        ),
        (
            json!({"scaling": {"replicas": 0}}),
            ".scaling.replicas is unknown",
        ),
        (
            json!({"scaling": {"minInstanceCount": "2"}}),
            ".minInstanceCount has a wrong",
        ),
        (json!({"traffic": {}}), ".traffic has a wrong"),
        (
            json!({"traffic": [{"percent": 1.5}]}),
            ".traffic[0].percent has a wrong",
        ),
        (json!({"labels": {"a": 1}}), ".labels.a has a wrong"),
        (json!({"generation": "3"}), ".generation is read-only"),
        (json!({"uri": "https://x"}), ".uri is read-only"),
        (json!([]), "is no object"),
    ] {
        let faults = api.faults(SERVICE, &body, Way::Request);
        assert!(
            faults.len() == 1 && faults[0].contains(fault),
            "{body}: {faults:?}"
        );
    }
    for (body, fault) in [
        (json!({"generation": 3}), ".generation has a wrong"),
        (json!({"generation": "three"}), ".generation has a wrong"),
        (json!({"createTime": "yesterday"}), ".createTime has a wrong"),
        (json!({"reconciling": "true"}), ".reconciling has a wrong"),
    ] {
        let faults = api.faults(SERVICE, &body, Way::Response);
        assert!(
            faults.len() == 1 && faults[0].contains(fault),
            "{body}: {faults:?}"
        );
    }
    let patch = api.method("PATCH", PATH).unwrap();
    let query = |name: &str, value: &str| vec![(name.to_owned(), value.to_owned())];
    let body = json!({});
    for (query, good) in [
        (query("updateMask", "scaling.scalingMode,labels"), true),
        (query("updateMask", "scaling.scaling_mode"), false),
        (query("updateMask", "scaling.scalingMode.x"), false),
        (query("updateMask", ""), false),
        (query("update_mask", "labels"), false),
        (query("validateOnly", "yes"), false),
    ] {
        assert_eq!(
            patch.request_faults(&query, Some(&body)).is_empty(),
            good,
            "{query:?}"
        );
    }
    assert!(!patch.request_faults(&[], None).is_empty());
    assert!(api.method("PUT", PATH).is_none());
    assert!(api.method("PATCH", &format!("{PATH}/x/y/z/w")).is_none());
}

/// Sends one service through everything that the client does, refusals included.
async fn a_stop_and_a_restore(seed: ServiceSeed) -> Vec<Exchange> {
    let faults = Faults::new();
    let sim = CloudRunSim::new(faults.clone());
    let server = LoopbackServer::start(Arc::clone(&sim) as _).await.unwrap();
    let target = sim
        .add_service("soul-kun", "asia-northeast1", "api", seed.clone())
        .unwrap();
    let recorder = Arc::new(Recorder {
        inner: loopback_transport(),
        exchanges: Mutex::default(),
        before_write: Mutex::default(),
    });
    let cloud_run = CloudRunTraffic::builder()
        .with_transport(Arc::clone(&recorder) as _)
        .with_token(Arc::new(StaticToken::new("any")))
        .with_clock(Arc::new(ManualClock::self_moving()))
        .with_base_url(server.base_url())
        .build()
        .unwrap();
    let key = IdempotencyKey::for_step(&RunId::new("run-1").unwrap(), 0);
    for fault in [Fault::TooManyRequests, Fault::Unavailable, Fault::Forbidden] {
        faults.add(FaultRule::on_writes(fault, "api").times(1));
        cloud_run.stop(&target, &key).await.unwrap_err();
    }
    sim.fail_next_change(&target, 13);
    cloud_run.stop(&target, &key).await.unwrap_err();
    sim.add_service("soul-kun", "asia-northeast1", "api", seed.clone())
        .unwrap();
    {
        let (sim, target) = (Arc::clone(&sim), target.clone());
        let deploy: Box<dyn FnOnce() + Send> = Box::new(move || sim.deploy(&target).unwrap());
        *recorder.before_write.lock().unwrap() = Some(deploy);
    }
    cloud_run.stop(&target, &key).await.unwrap_err();
    let prior = cloud_run.observe(&target).await.unwrap();
    cloud_run.stop(&target, &key).await.unwrap();
    cloud_run.observe(&target).await.unwrap();
    cloud_run.restore(prior.snapshot(), &key).await.unwrap();
    // Traffic and ingress differ as well, and a label makes the vendor refuse the marker.
    let other = ServiceSeed::new()
        .revisions(3)
        .revision("api-00003", 100)
        .ingress("INGRESS_TRAFFIC_NONE")
        .label("cloud.googleapis.com/location", "x");
    sim.add_service("soul-kun", "asia-northeast1", "api", other)
        .unwrap();
    cloud_run.stop(&target, &key).await.unwrap();
    cloud_run.restore(prior.snapshot(), &key).await.unwrap();
    std::mem::take(&mut recorder.exchanges.lock().unwrap())
}

#[derive(Debug)]
struct Exchange {
    method: &'static str,
    url: String,
    body: Option<Value>,
    status: u16,
    answer: Value,
}

impl Exchange {
    /// Checks both directions; gives the vendor's name of the method, and the status.
    fn check(&self, api: &Discovery) -> String {
        let rest = self.url.split_once("://").unwrap().1;
        let path_and_query = &rest[rest.find('/').unwrap()..];
        let (path, query) = path_and_query.split_once('?').unwrap_or((path_and_query, ""));
        let query: Vec<_> = query
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        let method = api
            .method(self.method, path)
            .unwrap_or_else(|| panic!("the vendor has no {} {path}", self.method));
        assert_eq!(
            method.request_faults(&query, self.body.as_ref()),
            Vec::<String>::new(),
            "{self:?}"
        );
        if self.method == "PATCH" {
            assert!(
                query
                    .iter()
                    .any(|(name, mask)| name == "updateMask" && !mask.is_empty())
            );
            assert!(self.body.as_ref().unwrap()["etag"].is_string(), "{self:?}");
        }
        if (200..300).contains(&self.status) {
            assert_eq!(
                method.response_faults(&self.answer),
                Vec::<String>::new(),
                "{self:?}"
            );
            self.check_inside_of_operation(api);
        } else {
            // The envelope adds the name of the code to `google.rpc.Status`.
            let mut error = self.answer["error"].clone();
            let name = error.as_object_mut().unwrap().remove("status");
            assert!(name.is_some_and(|name| name.is_string()));
            assert_eq!(
                api.faults("GoogleRpcStatus", &error, Way::Response),
                Vec::<String>::new()
            );
        }
        format!("{} {}", method.id(), self.status)
    }

    /// An operation carries the service as "any"; its type says what it is.
    fn check_inside_of_operation(&self, api: &Discovery) {
        for part in ["metadata", "response"] {
            let Some(service) = self.answer.get(part) else {
                continue;
            };
            let mut service = service.clone();
            let name = service.as_object_mut().unwrap().remove("@type");
            assert_eq!(
                name,
                Some(json!("type.googleapis.com/google.cloud.run.v2.Service"))
            );
            assert_eq!(api.faults(SERVICE, &service, Way::Response), Vec::<String>::new());
        }
    }
}

/// Keeps every exchange, and lets somebody in before one write.
struct Recorder {
    inner: Arc<dyn HttpTransport>,
    exchanges: Mutex<Vec<Exchange>>,
    before_write: Mutex<Option<Box<dyn FnOnce() + Send>>>,
}

impl std::fmt::Debug for Recorder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Recorder")
    }
}

#[async_trait]
impl HttpTransport for Recorder {
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse> {
        if request.method() == Method::Patch
            && let Some(interfere) = self.before_write.lock().unwrap().take()
        {
            interfere();
        }
        let body = (!request.body().is_empty()).then(|| serde_json::from_slice(request.body()).unwrap());
        let (method, url) = (request.method().as_str(), request.url().to_owned());
        let response = self.inner.send(request).await?;
        self.exchanges.lock().unwrap().push(Exchange {
            method,
            url,
            body,
            status: response.status(),
            answer: response.json()?,
        });
        Ok(response)
    }
}
