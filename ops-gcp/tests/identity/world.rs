use std::sync::Arc;
use std::time::Duration;

use ops_core::actions::RevokeSessions;
use ops_core::http::HttpTransport;
use ops_core::model::{IdempotencyKey, RunId};
use ops_core::ports::{Action, Clock};
use ops_core::testkit::{Faults, LoopbackServer, ManualClock, loopback_transport};
use ops_gcp::auth::StaticToken;
use ops_gcp::identity::IdentityUsers;
use ops_gcp::identity::sim::{IdentitySim, SimSession};
use ops_gcp::run::CloudRunTraffic;

pub(super) const PROJECT: &str = "soul-kun";
pub(super) const USER: &str = "kX3uR9aQvT";
pub(super) const EMAIL: &str = "taro.yamada@example.jp";

/// A simulated project with one user of no tenant.
#[derive(Debug)]
pub(super) struct World {
    pub(super) sim: Arc<IdentitySim>,
    pub(super) faults: Faults,
    /// Ours and the vendor's.
    pub(super) clock: Arc<ManualClock>,
    server: LoopbackServer,
}

impl World {
    pub(super) async fn new() -> Self {
        let (faults, clock) = (Faults::new(), Arc::new(ManualClock::self_moving()));
        let sim = IdentitySim::new(PROJECT, Arc::clone(&clock) as _, faults.clone());
        sim.add_user(None, USER, EMAIL);
        // A new user has a time: that of the beginning.
        clock.advance(Duration::from_secs(10));
        Self {
            server: LoopbackServer::start(Arc::clone(&sim) as _).await.unwrap(),
            sim,
            faults,
            clock,
        }
    }

    pub(super) fn users(&self) -> IdentityUsers {
        self.users_over(loopback_transport(), Arc::clone(&self.clock) as _)
    }

    pub(super) fn users_over(
        &self,
        transport: Arc<dyn HttpTransport>,
        clock: Arc<dyn Clock>,
    ) -> IdentityUsers {
        IdentityUsers::new(&self.cloud_run_over(transport, clock), PROJECT)
            .unwrap()
            .with_base_url(&self.server.base_url())
            .unwrap()
    }

    pub(super) fn cloud_run(&self) -> CloudRunTraffic {
        self.cloud_run_over(loopback_transport(), Arc::clone(&self.clock) as _)
    }

    fn cloud_run_over(&self, transport: Arc<dyn HttpTransport>, clock: Arc<dyn Clock>) -> CloudRunTraffic {
        CloudRunTraffic::builder()
            .with_transport(transport)
            .with_token(Arc::new(StaticToken::new("t0ken-s3cret")))
            .with_clock(clock)
            .with_base_url(self.server.base_url())
            .build()
            .unwrap()
    }

    pub(super) fn sign_in(&self) -> SimSession {
        self.sim.sign_in(None, USER).unwrap()
    }

    pub(super) fn renews(&self, session: &SimSession) -> bool {
        self.sim.renew(None, USER, &mut session.clone())
    }

    /// The action, decided now.
    pub(super) fn revoke(&self) -> RevokeSessions {
        RevokeSessions::new(Arc::new(self.users()), USER, self.clock.now()).unwrap()
    }

    pub(super) async fn holds(&self, action: &dyn Action) -> bool {
        let observed = action.observe().await.unwrap();
        action.verify(&observed).holds()
    }

    pub(super) fn key(&self) -> IdempotencyKey {
        IdempotencyKey::for_step(&RunId::generate(self.clock.now()), 0)
    }

    pub(super) fn base_url(&self) -> String {
        self.server.base_url()
    }
}
