use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use ops_core::error::Result;
use ops_core::http::{HttpRequest, HttpResponse, HttpTransport};
use ops_core::model::{Accepted, IdempotencyKey, Observation, RunId, Snapshot, TargetId, TargetState};
use ops_core::ports::TrafficController;
use ops_core::testkit::{Faults, LoopbackServer, ManualClock, loopback_transport};
use ops_railway::railway::sim::{RailwaySim, ServiceSeed};
use ops_railway::railway::{RailwayToken, RailwayTraffic};
use serde_json::Value;

/// One service on a simulated Railway.
pub(crate) struct Stage {
    pub(crate) sim: Arc<RailwaySim>,
    pub(crate) faults: Faults,
    pub(crate) traffic: RailwayTraffic,
    pub(crate) target: TargetId,
    server: LoopbackServer,
}

/// How often a test looks before it gives up; each look lets the simulator's time pass.
const LOOKS: u32 = 12;

impl Stage {
    pub(crate) async fn new() -> Self {
        Self::with(seed()).await
    }

    pub(crate) async fn with(seed: ServiceSeed) -> Self {
        let faults = Faults::new();
        let sim = RailwaySim::new(faults.clone());
        let target = sim.add_service(seed);
        let server = LoopbackServer::start(Arc::<RailwaySim>::clone(&sim))
            .await
            .unwrap();
        let traffic = connect(&server, bearer(), loopback_transport());
        Self {
            sim,
            faults,
            traffic,
            target,
            server,
        }
    }

    pub(crate) fn with_token(&self, token: RailwayToken) -> RailwayTraffic {
        connect(&self.server, token, loopback_transport())
    }

    pub(crate) fn with_transport(&self, transport: Arc<dyn HttpTransport>) -> RailwayTraffic {
        connect(&self.server, bearer(), transport)
    }

    pub(crate) async fn observe(&self) -> Observation {
        self.traffic.observe(&self.target).await.unwrap()
    }

    pub(crate) async fn stop(&self) -> Result<Accepted> {
        self.traffic.stop(&self.target, &key("run_1")).await
    }

    pub(crate) async fn restore(&self, prior: &Snapshot) -> Result<Accepted> {
        self.traffic.restore(prior, &key("run_2")).await
    }

    /// Looks until the service is stopped, or gives the last look.
    pub(crate) async fn watch_stop(&self) -> Observation {
        self.watch(|seen| seen.stopped().holds()).await
    }

    /// Looks, with a client that remembers nothing, until the service is exactly as in `prior`, or gives the last look.
    pub(crate) async fn watch_restore(&self, prior: &Snapshot) -> Observation {
        let fresh = self.with_token(bearer());
        let mut seen = fresh.observe(&self.target).await.unwrap();
        for _ in 0..LOOKS {
            if is_exact(prior, &seen) {
                break;
            }
            seen = fresh.observe(&self.target).await.unwrap();
        }
        seen
    }

    pub(crate) async fn watch(&self, judge: impl Fn(&Observation) -> bool) -> Observation {
        let mut seen = self.observe().await;
        for _ in 0..LOOKS {
            if judge(&seen) {
                break;
            }
            seen = self.observe().await;
        }
        seen
    }

    /// Stops and sees it hold.
    pub(crate) async fn stopped(&self) {
        self.stop().await.unwrap();
        let seen = self.watch_stop().await;
        assert!(seen.stopped().holds(), "{seen:?}");
    }

    /// The names of the mutations that reached the vendor, in order.
    pub(crate) fn mutations(&self) -> Vec<String> {
        let requests = self.sim.requests();
        let bodies = requests
            .iter()
            .map(|request| serde_json::from_slice::<Value>(&request.body).unwrap());
        bodies
            .filter(|body| body["query"].as_str().unwrap().starts_with("mutation"))
            .map(|body| body["operationName"].as_str().unwrap().to_owned())
            .collect()
    }

    pub(crate) fn edge_rules(&self) -> Value {
        self.sim.raw(&self.target).unwrap()["edge_rules"].clone()
    }
}

pub(crate) fn seed() -> ServiceSeed {
    ServiceSeed::new("prj-1", "env-1", "svc-1").unwrap()
}

pub(crate) fn key(run: &str) -> IdempotencyKey {
    IdempotencyKey::for_step(&RunId::new(run).unwrap(), 0)
}

pub(crate) fn bearer() -> RailwayToken {
    RailwayToken::Bearer("account-token".into())
}

/// The bytes are those of `prior`, and the vendor has finished.
pub(crate) fn is_exact(prior: &Snapshot, seen: &Observation) -> bool {
    prior.restorable_bytes() == seen.snapshot().restorable_bytes() && seen.settled().holds()
}

pub(crate) fn is_serving(seen: &Observation) -> bool {
    seen.state() == TargetState::Serving && seen.settled().holds()
}

fn connect(
    server: &LoopbackServer,
    token: RailwayToken,
    transport: Arc<dyn HttpTransport>,
) -> RailwayTraffic {
    RailwayTraffic::builder()
        .with_transport(transport)
        .with_token(token)
        .with_base_url(server.base_url())
        .with_clock(Arc::new(ManualClock::self_moving()))
        .build()
        .unwrap()
}

/// Changes a text in the answers to one operation.
#[derive(Debug)]
pub(crate) struct Rewriting {
    pub(crate) inner: Arc<dyn HttpTransport>,
    pub(crate) operation: &'static str,
    pub(crate) from: &'static str,
    pub(crate) to: &'static str,
}

#[async_trait]
impl HttpTransport for Rewriting {
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse> {
        let asked: Value = serde_json::from_slice(request.body()).unwrap();
        let response = self.inner.send(request).await?;
        if asked["operationName"] != self.operation {
            return Ok(response);
        }
        let body = String::from_utf8(response.body().to_vec()).unwrap();
        assert!(body.contains(self.from), "nothing to rewrite in {body}");
        Ok(HttpResponse::new(
            response.status(),
            response.headers().to_vec(),
            body.replace(self.from, self.to),
        ))
    }
}

/// Refuses the first request of one operation for the state of its deployment, before it reaches the vendor.
#[derive(Debug)]
pub(crate) struct RefusingOnce {
    inner: Arc<dyn HttpTransport>,
    operation: &'static str,
    done: AtomicBool,
}

impl RefusingOnce {
    pub(crate) fn new(operation: &'static str) -> Arc<Self> {
        Arc::new(Self {
            inner: loopback_transport(),
            operation,
            done: AtomicBool::new(false),
        })
    }
}

#[async_trait]
impl HttpTransport for RefusingOnce {
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse> {
        let asked: Value = serde_json::from_slice(request.body()).unwrap();
        if asked["operationName"] == self.operation && !self.done.swap(true, Ordering::SeqCst) {
            let body = r#"{"data":null,"errors":[{"message":"Deployment is not active"}]}"#;
            return Ok(HttpResponse::new(200, Vec::new(), body));
        }
        self.inner.send(request).await
    }
}
