use std::sync::Arc;

use ops_core::http::HttpTransport;
use ops_core::model::{FeedingQueue, TargetId};
use ops_core::ports::{QueueInspector, QueuesFound};
use ops_core::testkit::{Faults, LoopbackServer, ManualClock, loopback_transport};
use ops_gcp::auth::StaticToken;
use ops_gcp::queues::GcpQueues;
use ops_gcp::queues::sim::QueueSim;
use ops_gcp::run::CloudRunTraffic;
use ops_gcp::run::sim::{CloudRunSim, ServiceSeed};

pub(super) const PROJECT: &str = "soul-kun";
pub(super) const REGION: &str = "asia-northeast1";
pub(super) const API: &str = "https://api-sim.a.run.app";
pub(super) const WEB: &str = "https://web-sim.a.run.app";

/// Two services and the simulated queues, at one address.
#[derive(Debug)]
pub(super) struct World {
    pub(super) queues: Arc<QueueSim>,
    pub(super) cloud_run: Arc<CloudRunSim>,
    pub(super) faults: Faults,
    pub(super) clock: Arc<ManualClock>,
    pub(super) api: TargetId,
    pub(super) web: TargetId,
    server: LoopbackServer,
}

impl World {
    pub(super) async fn new() -> Self {
        let (faults, clock) = (Faults::new(), Arc::new(ManualClock::self_moving()));
        let cloud_run = CloudRunSim::new(Faults::new());
        let add = |name: &str| {
            cloud_run
                .add_service(PROJECT, REGION, name, ServiceSeed::new())
                .unwrap()
        };
        let (api, web) = (add("api"), add("web"));
        let queues = QueueSim::beside(
            Arc::clone(&cloud_run) as _,
            PROJECT,
            Arc::clone(&clock) as _,
            faults.clone(),
        );
        Self {
            server: LoopbackServer::start(Arc::clone(&queues) as _).await.unwrap(),
            queues,
            cloud_run,
            faults,
            clock,
            api,
            web,
        }
    }

    pub(super) fn gcp(&self) -> GcpQueues {
        self.gcp_over(loopback_transport())
    }

    pub(super) fn gcp_over(&self, transport: Arc<dyn HttpTransport>) -> GcpQueues {
        let cloud_run = CloudRunTraffic::builder()
            .with_transport(transport)
            .with_token(Arc::new(StaticToken::new("t0ken")))
            .with_clock(Arc::clone(&self.clock) as _)
            .with_base_url(self.server.base_url())
            .build()
            .unwrap();
        GcpQueues::new(&cloud_run, PROJECT, [REGION.to_owned()])
            .unwrap()
            .with_base_url(&self.server.base_url())
            .unwrap()
    }

    pub(super) fn inspectors(&self) -> Vec<Arc<dyn QueueInspector>> {
        self.gcp().inspectors()
    }

    pub(super) async fn look(&self, targets: &[&TargetId]) -> QueuesFound {
        let targets: Vec<_> = targets.iter().map(|target| (*target).clone()).collect();
        let mut found = QueuesFound::default();
        for inspector in self.inspectors() {
            found = found.and(inspector.feeding(&targets).await);
        }
        found
    }

    /// What feeds `api`, all of which could be read.
    pub(super) async fn feeding_api(&self) -> Vec<FeedingQueue> {
        let found = self.look(&[&self.api]).await;
        assert_eq!(found.unread, []);
        found.queues
    }
}

pub(super) fn subscription(id: &str) -> String {
    format!("projects/{PROJECT}/subscriptions/{id}")
}

pub(super) fn queue(id: &str) -> String {
    format!("projects/{PROJECT}/locations/{REGION}/queues/{id}")
}

pub(super) fn job(id: &str) -> String {
    format!("projects/{PROJECT}/locations/{REGION}/jobs/{id}")
}
