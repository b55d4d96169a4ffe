//! A simulated Railway: one GraphQL endpoint over HTTP that keeps the vendor's rules and traps.
//!
//! - Errors come inside a 200. A document is checked against the part of the schema that is known here.
//! - An error comes with a message and a code. What the vendor refuses for a reason is told apart from its catch-all, "Problem
//!   processing request", which may come before or after the effect.
//! - A mutation that answers `true` is accepted, no more: a deployment stops, starts, or goes live some *reads* of its service
//!   later (so that nothing here depends on a clock), and its status stays `SUCCESS` or `SLEEPING` when it is stopped.
//! - A deployment in progress goes live by itself unless it is cancelled, and replaces the live ones.
//! - Edge rules: priorities are unique, a block has a status of 400 to 499 and a body of at most 4096 bytes, a plan allows so
//!   many rules, a rule without an id gets one, and a service without a public domain has none.
//! - A project token sees one environment and is refused as a Bearer token.
//!
//! Nobody knows whether the vendor's restart revives a stopped deployment; here it does, unless the deployment was removed.

mod document;
mod edge;
mod schema;
mod seed;
mod service;
mod world;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use ops_core::http::HttpResponse;
use ops_core::model::{TargetId, Timestamp};
use ops_core::testkit::{Fault, Faults, Handler, Reply, SimRequest};
use serde_json::{Value, json};

pub use self::seed::{Progress, ServiceSeed};
use self::service::Service;
use self::world::{Asked, World, invalid, not_authorized, problem};

/// A simulated Railway. Serve it with [`LoopbackServer`](ops_core::testkit::LoopbackServer).
///
/// A [`Fault`] meets single requests; its target name is that of the [`TargetId`] (`project/environment/service`).
/// [`Fault::Forbidden`] is the vendor's "Not Authorized" inside a 200; after [`Fault::Drift`] another deployer has begun a
/// deployment by hand; [`Fault::NeverEnds`] leaves a deployment stopping for ever, and any other change without effect.
#[derive(Debug)]
pub struct RailwaySim {
    faults: Faults,
    world: Mutex<World>,
}

/// A rule of the vendor that can be broken, to see that a report then turns false.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum BrokenRule {
    /// `deploymentStop` answers `true`, and the deployment runs on.
    StopIsIgnored,
    /// `deploymentRestart` answers `true` and builds a new deployment.
    RestartBuildsAnew,
    /// `updateServiceEdgeRules` answers as if it had written, and has not.
    EdgeRulesAreForgotten,
}

/// Where the vendor was when it gave up with its catch-all error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Problem {
    /// Nothing was done.
    BeforeTheEffect,
    /// All was done, and the answer does not say so.
    AfterTheEffect,
}

impl RailwaySim {
    /// A vendor without services, that `faults` happen to.
    pub fn new(faults: Faults) -> Arc<Self> {
        Arc::new(Self {
            faults,
            world: Mutex::default(),
        })
    }

    /// Adds a service; one of the same target is replaced. Gives its target.
    pub fn add_service(&self, seed: ServiceSeed) -> TargetId {
        let target = seed.target().clone();
        let mut world = self.world();
        let service = Service::new(seed, || world.next_rule());
        world.services.insert(target.name().to_owned(), service);
        target
    }

    /// Makes `token` a project token that is bound to one environment. Any other text is a Bearer token that sees everything.
    pub fn add_project_token(&self, token: &str, project_id: &str, environment_id: &str) {
        let place = (project_id.to_owned(), environment_id.to_owned());
        self.world().project_tokens.insert(token.to_owned(), place);
    }

    /// Somebody revokes a project token.
    pub fn revoke_project_token(&self, token: &str) {
        let mut world = self.world();
        world.project_tokens.remove(token);
        world.revoked.insert(token.to_owned());
    }

    /// Somebody deletes a service. The vendor goes on listing it, with the time of its deletion.
    pub fn delete_service(&self, service_id: &str) {
        self.world().deleted.insert(service_id.to_owned());
    }

    /// A page of services holds at most so many. First: as many as are asked for.
    pub fn set_page(&self, services: usize) {
        self.world().page = Some(services);
    }

    /// What the vendor's clock says, in the header of each answer. First: what this machine's says.
    pub fn set_date(&self, at: Timestamp) {
        self.world().date = Some(at);
    }

    /// How many requests so far were mutations.
    pub fn writes(&self) -> usize {
        let asked = |request: &SimRequest| Asked::read(&request.body);
        let world = self.world();
        world
            .requests
            .iter()
            .filter(|request| asked(request).is_ok_and(|asked| asked.is_mutation()))
            .count()
    }

    /// Breaks one rule from now on.
    pub fn break_rule(&self, rule: BrokenRule) {
        self.world().broken.insert(rule);
    }

    /// Answers the next call of the root field `name`, for example `deploymentRestart`, with the vendor's catch-all error inside
    /// a 200. Calls add up.
    pub fn add_problem(&self, name: &str, problem: Problem) {
        self.world().problems.push((name.to_owned(), problem));
    }

    /// Another deployer pushes. With auto-deploy on this begins a deployment, whose id is given.
    pub fn deploy(&self, target: &TargetId) -> Option<String> {
        let mut world = self.world();
        let service = world.services.get_mut(target.name())?;
        service.auto_deploy.then(|| service.deploy())
    }

    /// Another operator removes a deployment: it can no longer be restarted.
    pub fn remove_deployment(&self, target: &TargetId, deployment: &str) {
        if let Some(service) = self.world().services.get_mut(target.name()) {
            service.remove(deployment);
        }
    }

    /// The images of the service's deployments are past their retention: none can be rolled back to.
    pub fn expire_images(&self, target: &TargetId) {
        if let Some(service) = self.world().services.get_mut(target.name()) {
            service.expire_images();
        }
    }

    /// The status that a visitor gets now: 200; what the edge rule says; 502 when all containers are stopped; 404 when there
    /// is no deployment, no domain or no such service.
    pub fn probe(&self, target: &TargetId) -> u16 {
        self.world()
            .services
            .get(target.name())
            .map_or(404, Service::probe)
    }

    /// What the vendor keeps of a service: `auto_deploy`, `edge_rules`, `deployments`. Looking lets no time pass.
    pub fn raw(&self, target: &TargetId) -> Option<Value> {
        self.world().services.get(target.name()).map(Service::raw)
    }

    /// Every request so far.
    pub fn requests(&self) -> Vec<SimRequest> {
        self.world().requests.clone()
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Handler for RailwaySim {
    async fn handle(&self, request: SimRequest) -> Reply {
        let date = self.world().date;
        self.answered(request).await.with_date(date)
    }
}

impl RailwaySim {
    async fn answered(&self, request: SimRequest) -> Reply {
        self.world().requests.push(request.clone());
        if request.method != "POST" || request.path != "/graphql/v2" {
            return Reply::json(404, &json!({"message": "Not Found"}));
        }
        let asked = match Asked::read(&request.body) {
            Ok(asked) => asked,
            Err(fault) => return Reply::json(200, &invalid(&fault)),
        };
        let name = self.world().name_of(&asked);
        let fault = self.faults.strike(&name, asked.is_mutation());
        match fault {
            Some(Fault::Latency(delay)) => tokio::time::sleep(delay).await,
            Some(Fault::Refused) => return Reply::Hangup,
            Some(Fault::TooManyRequests) => return too_many_requests(),
            Some(Fault::Unavailable) => return Reply::json(503, &json!({"message": "Service Unavailable"})),
            Some(Fault::Forbidden) => return Reply::json(200, &not_authorized()),
            _ => {}
        }
        let mut world = self.world();
        let problem_at = world.next_problem(&asked);
        if problem_at == Some(Problem::BeforeTheEffect) {
            return Reply::json(200, &problem());
        }
        let mut answer = world.answer(&request, &asked, fault == Some(Fault::NeverEnds));
        if problem_at == Some(Problem::AfterTheEffect) {
            answer = problem();
        }
        match fault {
            Some(Fault::LostAnswer) => return Reply::Hangup,
            Some(Fault::Drift) => {
                if let Some(service) = world.services.get_mut(&name) {
                    service.deploy();
                }
            }
            _ => {}
        }
        Reply::json(200, &answer)
    }
}

fn too_many_requests() -> Reply {
    let headers = [
        ("content-type", "application/json"),
        ("retry-after", "1"),
        ("x-ratelimit-limit", "100"),
        ("x-ratelimit-remaining", "0"),
        ("x-ratelimit-reset", "1"),
    ];
    let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned()));
    Reply::Answer(HttpResponse::new(
        429,
        headers.to_vec(),
        r#"{"message":"Too Many Requests"}"#,
    ))
}
