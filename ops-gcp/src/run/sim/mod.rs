//! A simulated Cloud Run Admin API v2: reads and patches of services, operations, and the traps that are documented.
//!
//! What it keeps: etags guard writes; a PATCH without a mask replaces the whole service; masks and bodies with unknown
//! names are refused; a change comes into force only after some reads, and until then generation, conditions and traffic
//! in force show the former state; scaling modes forget and inherit limits; a revision that only a tag keeps active
//! answers although the service is stopped.
//!
//! What it does not do: creating and deleting services, IAM policies, `validateOnly`, `allowMissing`, masks inside the template,
//! `operations:wait`; the first three with 404, the others with 501 or 404.
//!
//! A caller has the permissions that a stop, a restore and the inventory need, until a test takes one away or adds one. Lists
//! come in pages, of one region: the wildcard `-` is refused. `testIamPermissions` of a service that does not exist answers an empty
//! set. That of a project, which is Resource Manager's, answers here too.
//!
//! Where the documents leave it open, the worse case is simulated: limits that are inherited from a manual count of zero
//! keep users out although they read back like "no limits".

mod access;
mod fields;
mod seed;
mod service;
mod spec;
mod state;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use ops_core::error::{Error, ErrorKind, Result};
use ops_core::model::{TargetId, Timestamp};
use ops_core::testkit::{Fault, Faults, Handler, Reply, SimRequest};
use serde_json::Value;

pub use self::seed::{Scaling, ServiceSeed};
use self::service::Service;
use self::state::{Route, State};
use super::PROVIDER;
use super::name::ServiceName;
use crate::sim::refusal::Refusal;

/// A simulated Cloud Run control plane, and the users of its services.
///
/// ```
/// # use std::sync::Arc;
/// # use ops_core::{error::Result, testkit::{Faults, LoopbackServer, ManualClock, loopback_transport}};
/// # use ops_core::{model::{IdempotencyKey, RunId}, ports::TrafficController};
/// use ops_gcp::auth::StaticToken;
/// use ops_gcp::run::CloudRunTraffic;
/// use ops_gcp::run::sim::{CloudRunSim, ServiceSeed};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<()> {
/// let sim = CloudRunSim::new(Faults::new());
/// let target = sim.add_service("soul-kun", "asia-northeast1", "api", ServiceSeed::new().automatic(1, 10))?;
/// let server = LoopbackServer::start(sim.clone()).await?;
///
/// let cloud_run = CloudRunTraffic::builder()
///     .with_transport(loopback_transport())
///     .with_token(Arc::new(StaticToken::new("any")))
///     .with_clock(Arc::new(ManualClock::self_moving()))
///     .with_base_url(server.base_url())
///     .build()?;
/// assert_eq!(sim.probe(&target), 200);
/// cloud_run.stop(&target, &IdempotencyKey::for_step(&RunId::new("run-1")?, 0)).await?;
/// assert_eq!(sim.probe(&target), 503);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct CloudRunSim {
    state: Mutex<State>,
    faults: Faults,
}

/// A documented rule that the simulation breaks on request, so that a report can be seen to turn false.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum BrokenRule {
    /// A stop is accepted and its operation succeeds, but the scaling stays.
    StopIsIgnored,
    /// Going back to automatic scaling loses the limits that were given.
    RestoreForgetsLimits,
    /// A change of the scaling takes every tag away.
    TagsVanish,
    /// A change of the scaling pins the traffic of "latest" to the revision that it means at the time.
    LatestIsPinned,
}

impl CloudRunSim {
    /// A control plane without services, with the faults that it is told.
    pub fn new(faults: Faults) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::default(),
            faults,
        })
    }

    /// Adds a service (or replaces it) and gives its target id.
    ///
    /// # Errors
    /// `InvalidInput` for names that cannot be, or a seed that the vendor would refuse (percents, unknown revisions).
    pub fn add_service(
        &self,
        project: &str,
        region: &str,
        name: &str,
        seed: ServiceSeed,
    ) -> Result<TargetId> {
        let name = ServiceName::new(project, region, name)?;
        let target = name.target()?;
        let service = Service::new(name, &seed).map_err(|refusal| {
            Error::new(ErrorKind::InvalidInput, "add service")
                .provider(PROVIDER)
                .context("seed", refusal.message())
        })?;
        self.lock().services.insert(target.clone(), service);
        Ok(target)
    }

    /// The status code that a user of the service's URL gets now: 200, 503 when stopped, 404 when not public or unknown.
    pub fn probe(&self, target: &TargetId) -> u16 {
        self.lock().services.get(target).map_or(404, Service::probe)
    }

    /// The status code that a user of the tag's URL gets now.
    pub fn probe_tag(&self, target: &TargetId, tag: &str) -> u16 {
        let state = self.lock();
        state
            .services
            .get(target)
            .map_or(404, |service| service.probe_tag(tag))
    }

    /// Another deployer: a new revision with another template, in force at once.
    ///
    /// # Errors
    /// `NotFound` for an unknown service.
    pub fn deploy(&self, target: &TargetId) -> Result<()> {
        self.with(target, Service::deploy)
    }

    /// Somebody at the console: the scaling as given, in force at once.
    ///
    /// # Errors
    /// `NotFound` for an unknown service.
    pub fn set_scaling_by_hand(&self, target: &TargetId, scaling: Scaling) -> Result<()> {
        self.with(target, |service| service.scale(scaling))
    }

    /// The service as a GET shows it, without being one; null for an unknown service.
    pub fn raw(&self, target: &TargetId) -> Value {
        self.lock()
            .services
            .get(target)
            .map_or(Value::Null, Service::json)
    }

    /// Every request so far: method, path with query.
    pub fn requests(&self) -> Vec<(String, String)> {
        self.lock().requests.clone()
    }

    /// Breaks a rule from now on.
    pub fn break_rule(&self, rule: BrokenRule) {
        self.lock().broken.insert(rule);
    }

    /// From now on the project's requests are refused with `SERVICE_DISABLED`.
    pub fn disable_api(&self, project: &str) {
        self.lock().disabled.insert(project.to_owned());
    }

    /// The next change of this service is accepted and its operation ends with this `google.rpc.Code`; the former state
    /// stays in force.
    pub fn fail_next_change(&self, target: &TargetId, code: i32) {
        self.lock().failing.insert(target.clone(), code);
    }

    /// From now on a change comes into force after so many reads of it (of the service or the operation). First: 2.
    pub fn set_pace(&self, reads: u32) {
        self.lock().pace = reads;
    }

    /// Takes a service away, as somebody who deleted it.
    pub fn remove_service(&self, target: &TargetId) {
        self.lock().services.remove(target);
    }

    /// From now on every credential has this permission. First: what a stop, a restore and the inventory need, and no more.
    pub fn grant(&self, permission: &str) {
        self.lock().access.grant(permission);
    }

    /// From now on no credential has this permission: calls that need it are refused.
    pub fn revoke(&self, permission: &str) {
        self.lock().access.revoke(permission);
    }

    /// From now on this token is past its time.
    pub fn expire_token(&self, token: &str) {
        self.lock().access.expired.insert(token.to_owned());
    }

    /// What the vendor's clock says, in the header of each answer. First: what this machine's says.
    pub fn set_date(&self, at: Timestamp) {
        self.lock().access.date = Some(at);
    }

    /// A page of a list has at most so many services. First: 100.
    pub fn set_page(&self, services: usize) {
        self.lock().page = services;
    }

    /// From now on the vendor itself cannot reach this region when it lists services.
    pub fn cut_off_region(&self, region: &str) {
        self.lock().unreachable.insert(region.to_owned());
    }

    /// How many requests so far were there to change something.
    pub fn writes(&self) -> usize {
        let state = self.lock();
        state
            .requests
            .iter()
            .filter(|(method, path)| changes(method, path))
            .count()
    }

    fn with(&self, target: &TargetId, change: impl FnOnce(&mut Service)) -> Result<()> {
        let mut state = self.lock();
        let service = state.services.get_mut(target).ok_or_else(|| {
            Error::new(ErrorKind::NotFound, "change simulated service")
                .provider(PROVIDER)
                .context("target", target.as_str())
        })?;
        change(service);
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Handler for CloudRunSim {
    async fn handle(&self, request: SimRequest) -> Reply {
        let route = Route::of(&request.path);
        let service = self.lock().record(&request, &route);
        let date = self.lock().access.date;
        self.answered(request, &route, &service).await.with_date(date)
    }
}

impl CloudRunSim {
    async fn answered(&self, request: SimRequest, route: &Route, service: &str) -> Reply {
        let fault = self
            .faults
            .strike(service, changes(&request.method, &request.path));
        match fault {
            Some(Fault::Latency(delay)) => tokio::time::sleep(delay).await,
            Some(Fault::Refused) => return Reply::Hangup,
            Some(Fault::TooManyRequests) => return Refusal::too_many().reply(),
            Some(Fault::Unavailable) => return Refusal::unavailable().reply(),
            Some(Fault::Forbidden) => return Refusal::forbidden().reply(),
            _ => {}
        }
        let answer = self.lock().answer(&request, route, fault);
        match (fault, answer) {
            (Some(Fault::LostAnswer), _) => Reply::Hangup,
            (_, Ok(body)) => Reply::json(200, &body),
            (_, Err(refusal)) => refusal.reply(),
        }
    }
}

/// Testing permissions is a POST that changes nothing.
fn changes(method: &str, path: &str) -> bool {
    method != "GET" && !path.ends_with(":testIamPermissions")
}
