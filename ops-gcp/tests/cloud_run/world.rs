use std::sync::Arc;

use ops_core::http::HttpTransport;
use ops_core::model::{IdempotencyKey, Observation, RunId, TargetId};
use ops_core::ports::TrafficController;
use ops_core::testkit::{Faults, LoopbackServer, ManualClock, loopback_transport};
use ops_gcp::auth::StaticToken;
use ops_gcp::run::CloudRunTraffic;
use ops_gcp::run::sim::{CloudRunSim, ServiceSeed};

/// A simulated control plane behind HTTP, and clients of it.
#[derive(Debug)]
pub(super) struct World {
    pub(super) sim: Arc<CloudRunSim>,
    pub(super) faults: Faults,
    pub(super) clock: Arc<ManualClock>,
    server: LoopbackServer,
}

impl World {
    pub(super) async fn new() -> Self {
        let faults = Faults::new();
        let sim = CloudRunSim::new(faults.clone());
        Self {
            server: LoopbackServer::start(Arc::clone(&sim) as _).await.unwrap(),
            sim,
            faults,
            clock: Arc::new(ManualClock::self_moving()),
        }
    }

    pub(super) fn add(&self, seed: ServiceSeed) -> TargetId {
        self.sim
            .add_service("soul-kun", "asia-northeast1", "api", seed)
            .unwrap()
    }

    /// A fresh client: nothing of an earlier one is remembered.
    pub(super) fn cloud_run(&self) -> CloudRunTraffic {
        self.cloud_run_over(loopback_transport())
    }

    pub(super) fn cloud_run_over(&self, transport: Arc<dyn HttpTransport>) -> CloudRunTraffic {
        CloudRunTraffic::builder()
            .with_transport(transport)
            .with_token(Arc::new(StaticToken::new("t0ken")))
            .with_clock(Arc::clone(&self.clock) as _)
            .with_base_url(self.server.base_url())
            .with_resource_manager_url(self.server.base_url())
            .build()
            .unwrap()
    }

    pub(super) async fn observe(&self, target: &TargetId) -> Observation {
        self.cloud_run().observe(target).await.unwrap()
    }

    pub(super) fn base_url(&self) -> String {
        self.server.base_url()
    }

    pub(super) fn writes(&self) -> usize {
        self.sim.writes()
    }
}

pub(super) fn key(run: &str) -> IdempotencyKey {
    IdempotencyKey::for_step(&RunId::new(run).unwrap(), 0)
}
