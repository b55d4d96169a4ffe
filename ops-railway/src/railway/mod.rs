//! Railway: one service of one environment, over its GraphQL API.
//!
//! A stop turns auto-deploy off, puts a rule that blocks every path before the service's edge rules, stops every running
//! deployment and cancels every one in progress. Nothing of it needs a build or the vendor's deploy queue. The rule works
//! within seconds, while containers take their time; it leaves containers and variables untouched and covers only what
//! comes through the edge. The stopped containers cover the rest: TCP proxy, private network, cron, queue workers.
//!
//! # Restorable
//! `edge_rules` (the section without the stop rule; null where none was ever written), `auto_deploy`, and `running` (the ids of
//! the active deployments that are not stopped). Witnesses are the newest deployment and its commit. A deployment that was in
//! progress at the stop is cancelled and not restorable: that would need a build.
//!
//! Where the plan allows no further edge rule, or the section has an unknown form, the stop rule replaces the section; then
//! the snapshot is the only place that has the rest.
//!
//! # Two stops at once
//! The stop rule carries the marker of its run. A service without a public domain has no rule and hence no marker: while a
//! first stop has turned auto-deploy off and the containers still run, a second one would take that for the state to go back
//! to. An observation in that state has a caveat; one run at a time for a target is the caller's part.

#[cfg(feature = "sim")]
pub mod sim;

mod builder;
mod client;
mod inventory;
mod parts;
mod readiness;
mod reading;
mod restore;
mod stop;
mod stop_rule;
mod target;
mod wire;

use std::sync::Arc;

use async_trait::async_trait;
use ops_core::error::{Error, ErrorKind, Result};
use ops_core::model::{Accepted, IdempotencyKey, Observation, Snapshot, TargetId, Text};
use ops_core::ports::{TrafficCapability, TrafficController};

pub use self::builder::{RailwayToken, RailwayTrafficBuilder};
use self::client::RailwayClient;
pub use self::inventory::RailwayInventory;
use self::restore::PriorState;
use self::target::{ServiceRef, wrong_form};

/// Stops and restores services on Railway.
///
/// With a project token, the environment that the token is bound to is read once and compared before any change.
///
/// # Errors
/// Beside those of the port: "Not Authorized" of this vendor is [`ErrorKind::PermissionDenied`] and means either that the
/// credential is dead or that it does not cover the service; the vendor does not tell which. An error of
/// [`stop`](TrafficController::stop) names the parts that failed and those that were accepted. An error of
/// [`restore`](TrafficController::restore) with [`ErrorKind::Conflict`] means that the vendor refused twice to restart a deployment:
/// what runs instead is not the same one, and the edge stays closed. With [`ErrorKind::Unexpected`] a restart failed without a
/// reason: nothing was replaced, the edge stays closed, and the restore may be repeated.
///
/// ```
/// use std::sync::Arc;
///
/// use ops_core::http::HttpTransport;
/// use ops_core::ports::Clock;
/// use ops_railway::railway::{RailwayToken, RailwayTraffic};
///
/// fn connect(
///     transport: Arc<dyn HttpTransport>,
///     clock: Arc<dyn Clock>,
///     token: secrecy::SecretString,
/// ) -> ops_core::error::Result<RailwayTraffic> {
///     RailwayTraffic::builder()
///         .with_transport(transport)
///         .with_clock(clock)
///         .with_token(RailwayToken::Project(token))
///         .build()
/// }
/// ```
#[derive(Debug)]
pub struct RailwayTraffic {
    client: Arc<RailwayClient>,
}

const PROVIDER: &str = "railway";

/// The field set of a snapshot, and its version.
const FORMAT: &str = "railway/1";

impl RailwayTraffic {
    /// Starts collecting what is needed.
    pub fn builder() -> RailwayTrafficBuilder {
        RailwayTrafficBuilder::new()
    }

    /// The target `railway:{project_id}/{environment_id}/{service_id}`.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] unless each id is 1 to 64 letters, digits, `-` and `_`.
    pub fn target(project_id: &str, environment_id: &str, service_id: &str) -> Result<TargetId> {
        let target = TargetId::new(format!("railway:{project_id}/{environment_id}/{service_id}"))?;
        match ServiceRef::parse(&target) {
            Some(_) => Ok(target),
            None => Err(wrong_form(ErrorKind::InvalidInput)),
        }
    }
}

#[async_trait]
impl TrafficController for RailwayTraffic {
    fn capability(&self) -> TrafficCapability {
        let mut capability = TrafficCapability::default();
        capability.lets_running_requests_finish = true;
        capability.leaves_marker = true;
        capability.limitations = vec![
            Text::new(
                "公開ドメイン以外（TCP、内部通信、cron）はコンテナ停止まで動きます。",
                "TCP proxy, private network and cron go on until the containers stop",
            ),
            Text::new(
                "進行中のデプロイは取り消され、復旧でも再開されません。",
                "a deployment in progress is cancelled, and a restore does not start it again",
            ),
            Text::new(
                "再起動が拒否されると、復旧は公開を閉じたままエラーで終わります（再起動の可否は未文書）。",
                "if the (undocumented) restart is refused, a restore fails with the edge still closed",
            ),
            Text::new(
                "復旧は一度に全体を開きます（エッジルールに割合の指定はありません）。",
                "a restore opens the service as a whole: an edge rule has no share",
            ),
        ];
        capability
    }

    async fn observe(&self, target: &TargetId) -> Result<Observation> {
        let service = ServiceRef::of(target)?;
        Ok(self.client.read(&service).await?.observation(target.clone()))
    }

    async fn stop(&self, target: &TargetId, key: &IdempotencyKey) -> Result<Accepted> {
        let service = ServiceRef::of(target)?;
        // A scope that cannot be read must not keep a stop from being tried: the vendor enforces it anyway.
        if let Ok(Some(mismatch)) = self.client.mismatch(&service).await {
            return Err(not_covered("stop", mismatch));
        }
        stop::stop(&self.client, &service, key.run()).await
    }

    async fn restore(&self, prior: &Snapshot, _key: &IdempotencyKey) -> Result<Accepted> {
        let service = ServiceRef::of(prior.target())?;
        let prior = PriorState::read(prior)?;
        if let Some(mismatch) = self.client.mismatch(&service).await? {
            return Err(not_covered("restore", mismatch));
        }
        restore::restore(&self.client, &service, &prior).await
    }
}

/// What to say when the project token is known not to cover the service.
fn not_covered(operation: &'static str, mismatch: &'static str) -> Error {
    Error::new(ErrorKind::PermissionDenied, operation)
        .provider(PROVIDER)
        .context("project token", mismatch)
}
