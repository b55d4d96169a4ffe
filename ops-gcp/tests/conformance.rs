//! The suite of the port, against the simulated control plane over HTTP.

use std::sync::Arc;

use async_trait::async_trait;
use ops_core::error::Result;
use ops_core::model::{Accepted, IdempotencyKey, Observation, Snapshot, TargetId};
use ops_core::ports::{Clock, TrafficCapability, TrafficController};
use ops_core::testkit::{self, Faults, LoopbackServer, ManualClock, loopback_transport};
use ops_gcp::auth::StaticToken;
use ops_gcp::run::sim::{CloudRunSim, ServiceSeed};
use ops_gcp::run::{CloudRunInventory, CloudRunTraffic};

#[tokio::test]
async fn cloud_run_keeps_the_contract_of_a_traffic_controller() {
    for seed in [
        ServiceSeed::new().automatic(1, 10).label("team", "brain"),
        ServiceSeed::new()
            .automatic(None, 3)
            .latest(100)
            .tag("old", "api-00001"),
        ServiceSeed::new().manual(2),
    ] {
        let sim = CloudRunSim::new(Faults::new());
        let target = sim
            .add_service("soul-kun", "asia-northeast1", "api", seed)
            .unwrap();
        let server = LoopbackServer::start(sim).await.unwrap();
        let cloud_run = CloudRunTraffic::builder()
            .with_transport(loopback_transport())
            .with_token(Arc::new(StaticToken::new("any")))
            .with_clock(Arc::new(ManualClock::self_moving()))
            .with_base_url(server.base_url())
            .build()
            .unwrap();
        testkit::traffic_controller(&WithShortNames(cloud_run), &target).await;
    }
}

#[tokio::test]
async fn cloud_run_keeps_the_contracts_of_a_readiness_probe_and_an_inventory() {
    let sim = CloudRunSim::new(Faults::new());
    let clock = Arc::new(ManualClock::self_moving());
    sim.set_date(clock.now());
    let seed = ServiceSeed::new();
    let target = sim
        .add_service("soul-kun", "asia-northeast1", "api", seed)
        .unwrap();
    let server = LoopbackServer::start(Arc::clone(&sim) as _).await.unwrap();
    let cloud_run = CloudRunTraffic::builder()
        .with_transport(loopback_transport())
        .with_token(Arc::new(StaticToken::new("any")))
        .with_clock(clock)
        .with_base_url(server.base_url())
        .with_resource_manager_url(server.base_url())
        .build()
        .unwrap();
    let gone = CloudRunTraffic::target("soul-kun", "asia-northeast1", "gone").unwrap();
    testkit::readiness_probe(&cloud_run, &target, &gone).await;
    let regions = ["asia-northeast1".to_owned()];
    let inventory = CloudRunInventory::new(&cloud_run, "soul-kun", regions).unwrap();
    testkit::inventory(&inventory, &[target]).await;
}

/// The suite names an unknown target by one word. Here that is a service of the same project and region.
#[derive(Debug)]
struct WithShortNames(CloudRunTraffic);

fn whole(target: &TargetId) -> Result<TargetId> {
    match target.name().contains('/') {
        true => Ok(target.clone()),
        false => CloudRunTraffic::target("soul-kun", "asia-northeast1", target.name()),
    }
}

#[async_trait]
impl TrafficController for WithShortNames {
    fn capability(&self) -> TrafficCapability {
        self.0.capability()
    }

    async fn observe(&self, target: &TargetId) -> Result<Observation> {
        self.0.observe(&whole(target)?).await
    }

    async fn stop(&self, target: &TargetId, key: &IdempotencyKey) -> Result<Accepted> {
        self.0.stop(&whole(target)?, key).await
    }

    async fn restore(&self, prior: &Snapshot, key: &IdempotencyKey) -> Result<Accepted> {
        self.0.restore(prior, key).await
    }
}
