use std::sync::Arc;

use ops_core::error::Result;
use ops_core::model::{Accepted, IdempotencyKey, Observation, RunId, Snapshot, TargetId};
use ops_core::ports::TrafficController;
use ops_core::testkit::{Faults, LoopbackServer, ManualClock, loopback_transport};
use ops_railway::vercel::VercelTraffic;
use ops_railway::vercel::sim::{ProjectSeed, VercelSim};

/// One project on a simulated Vercel.
pub(crate) struct Stage {
    pub(crate) sim: Arc<VercelSim>,
    pub(crate) faults: Faults,
    pub(crate) traffic: VercelTraffic,
    pub(crate) target: TargetId,
    server: LoopbackServer,
}

/// How often a test looks before it gives up; each look lets the simulator's time pass.
const LOOKS: u32 = 8;

impl Stage {
    pub(crate) async fn new() -> Self {
        Self::with(seed()).await
    }

    pub(crate) async fn with(seed: ProjectSeed) -> Self {
        let faults = Faults::new();
        let sim = VercelSim::new(faults.clone());
        let target = sim.add_project(seed);
        let server = LoopbackServer::start(Arc::<VercelSim>::clone(&sim))
            .await
            .unwrap();
        let traffic = connect(&server, None);
        Self {
            sim,
            faults,
            traffic,
            target,
            server,
        }
    }

    pub(crate) fn with_team(&self, team: Option<&str>) -> VercelTraffic {
        connect(&self.server, team.map(str::to_owned))
    }

    pub(crate) fn base_url(&self) -> String {
        self.server.base_url()
    }

    pub(crate) async fn observe(&self) -> Observation {
        self.traffic.observe(&self.target).await.unwrap()
    }

    pub(crate) async fn stop(&self) -> Result<Accepted> {
        self.traffic.stop(&self.target, &key()).await
    }

    pub(crate) async fn restore(&self, prior: &Snapshot) -> Result<Accepted> {
        self.traffic.restore(prior, &key()).await
    }

    pub(crate) async fn stopped(&self) {
        self.stop().await.unwrap();
        let seen = self.watch(|seen| seen.stopped().holds()).await;
        assert!(seen.stopped().holds(), "{seen:?}");
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

    /// Lets everything that is on its way arrive, then looks with a client that remembers nothing.
    pub(crate) async fn at_rest(&self) -> Observation {
        let fresh = self.with_team(None);
        for _ in 0..LOOKS {
            fresh.observe(&self.target).await.unwrap();
        }
        fresh.observe(&self.target).await.unwrap()
    }

    /// Method and path of every changing request, in order.
    pub(crate) fn changes(&self) -> Vec<String> {
        let requests = self.sim.requests().into_iter();
        requests
            .filter(|request| request.method != "GET")
            .map(|request| format!("{} {}", request.method, request.path))
            .collect()
    }
}

pub(crate) fn seed() -> ProjectSeed {
    ProjectSeed::new("prj_1").unwrap()
}

pub(crate) fn key() -> IdempotencyKey {
    IdempotencyKey::for_step(&RunId::new("run_1").unwrap(), 0)
}

pub(crate) fn is_exact(prior: &Snapshot, seen: &Observation) -> bool {
    prior.restorable_bytes() == seen.snapshot().restorable_bytes()
}

fn connect(server: &LoopbackServer, team: Option<String>) -> VercelTraffic {
    VercelTraffic::builder()
        .with_transport(loopback_transport())
        .with_token("token".into())
        .with_team(team)
        .with_base_url(server.base_url())
        .with_clock(Arc::new(ManualClock::self_moving()))
        .build()
        .unwrap()
}
