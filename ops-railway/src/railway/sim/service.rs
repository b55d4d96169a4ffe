//! One service as the vendor keeps it. Changes are accepted at once and become visible some reads later.

use serde_json::{Value, json};

use super::edge;
use super::seed::ServiceSeed;
use crate::railway::target::ServiceRef;

#[derive(Clone, Debug)]
pub(super) struct Service {
    pub(super) place: ServiceRef,
    pub(super) auto_deploy: bool,
    /// `None`: no edge configuration was ever made.
    edge: Option<Value>,
    /// What the edge works by; it follows `edge` after a while.
    at_edge: Value,
    edge_due: Option<u32>,
    pub(super) rule_limit: usize,
    pub(super) public: bool,
    cron: Option<String>,
    /// Oldest first.
    deployments: Vec<Deployment>,
    images_expired: bool,
}

#[derive(Clone, Debug)]
struct Deployment {
    id: String,
    status: &'static str,
    commit: String,
    /// Live, or stopped and not yet replaced.
    active: bool,
    stopped: bool,
    change: Option<Change>,
    /// For one in progress: how many reads until it goes live.
    live_in: Option<u32>,
}

/// A change on its way; `in_reads` as `None` never arrives.
#[derive(Clone, Copy, Debug)]
struct Change {
    to_stopped: bool,
    in_reads: Option<u32>,
}

/// What the vendor answers to something it cannot do.
pub(super) type Refusal = &'static str;

/// The status of a live deployment without instances, which a visitor would wake.
const SLEEPING: &str = "SLEEPING";

/// A change shows at the second read after it.
const EFFECT: u32 = 2;

/// A deployment in progress goes live at the fifth read.
const GO_LIVE: u32 = 5;

const IN_PROGRESS: [&str; 6] = [
    "BUILDING",
    "QUEUED",
    "WAITING",
    "NEEDS_APPROVAL",
    "INITIALIZING",
    "DEPLOYING",
];

impl Service {
    pub(super) fn new(seed: ServiceSeed, next_rule: impl FnMut() -> u64) -> Self {
        let edge = seed.edge_rules.map(|rules| edge::with_ids(rules, next_rule));
        let status = if seed.asleep { SLEEPING } else { "SUCCESS" };
        let running = seed.running.into_iter().map(|id| Deployment::live(id, status));
        let pending = seed
            .pending
            .into_iter()
            .map(|(id, status)| Deployment::in_progress(id, status, "commit-pending"));
        Self {
            place: seed.place,
            auto_deploy: seed.auto_deploy,
            at_edge: edge.clone().unwrap_or_default(),
            edge,
            edge_due: None,
            rule_limit: seed.rule_limit,
            public: seed.public,
            cron: seed.cron,
            deployments: running.chain(pending).collect(),
            images_expired: false,
        }
    }

    /// Time passes: once for each read of the service.
    pub(super) fn tick(&mut self) {
        if let Some(left) = self.edge_due {
            self.edge_due = left.checked_sub(1).filter(|left| *left > 0);
            if self.edge_due.is_none() {
                self.at_edge = self.edge.clone().unwrap_or_default();
            }
        }
        let mut live = None;
        for deployment in &mut self.deployments {
            if let Some(Change {
                to_stopped,
                in_reads: Some(left),
            }) = deployment.change
            {
                deployment.change = (left > 1).then_some(Change {
                    to_stopped,
                    in_reads: Some(left - 1),
                });
                if deployment.change.is_none() {
                    deployment.stopped = to_stopped;
                    if !to_stopped {
                        deployment.status = "SUCCESS";
                    }
                }
            }
            if let Some(left) = deployment.live_in {
                deployment.live_in = (left > 1).then(|| left - 1);
                if deployment.live_in.is_none() {
                    live = Some(deployment.id.clone());
                }
            }
        }
        if let Some(id) = live {
            self.go_live(&id);
        }
    }

    pub(super) fn is_at(&self, environment: Option<&str>, service: Option<&str>) -> bool {
        Some(self.place.environment.as_str()) == environment && Some(self.place.service.as_str()) == service
    }

    pub(super) fn has(&self, deployment: &str) -> bool {
        self.deployments.iter().any(|found| found.id == deployment)
    }

    pub(super) fn stop(&mut self, id: &str, never: bool) -> Result<bool, Refusal> {
        let deployment = self.active(id).ok_or("Deployment is not active")?;
        deployment.change =
            (!deployment.stopped || deployment.change.is_some()).then(|| Change::to(true, never));
        Ok(true)
    }

    pub(super) fn cancel(&mut self, id: &str, never: bool) -> Result<bool, Refusal> {
        let deployment = self.find(id)?;
        if !IN_PROGRESS.contains(&deployment.status) {
            return Ok(false);
        }
        if !never {
            deployment.status = "REMOVED";
            deployment.live_in = None;
        }
        Ok(true)
    }

    pub(super) fn restart(&mut self, id: &str, never: bool) -> Result<bool, Refusal> {
        let deployment = self.active(id).ok_or("Deployment is not active")?;
        deployment.change =
            (deployment.stopped || deployment.change.is_some()).then(|| Change::to(false, never));
        Ok(true)
    }

    /// A restart that builds: what the vendor must never do.
    pub(super) fn restart_anew(&mut self, id: &str) -> Result<bool, Refusal> {
        let commit = self.find(id)?.commit.clone();
        self.remove(id);
        self.begin(commit);
        Ok(true)
    }

    pub(super) fn roll_back(&mut self, id: &str) -> Result<bool, Refusal> {
        if self.images_expired {
            return Err("Deployment cannot be rolled back to");
        }
        let commit = self.find(id)?.commit.clone();
        self.begin(commit);
        Ok(true)
    }

    pub(super) fn redeploy(&mut self, id: &str) -> Result<Value, Refusal> {
        let commit = self.find(id)?.commit.clone();
        let new = self.begin(commit);
        Ok(self.find(&new)?.json())
    }

    /// Another deployer brings a new commit; gives the id of the deployment.
    pub(super) fn deploy(&mut self) -> String {
        let commit = format!("commit-{}", self.deployments.len() + 1);
        self.begin(commit)
    }

    /// Another operator removes a deployment.
    pub(super) fn remove(&mut self, id: &str) {
        if let Ok(deployment) = self.find(id) {
            deployment.end();
        }
    }

    pub(super) fn expire_images(&mut self) {
        self.images_expired = true;
    }

    pub(super) fn write_edge(&mut self, rules: Value) {
        self.edge = Some(rules);
        self.edge_due = Some(EFFECT);
    }

    /// What a visitor gets.
    pub(super) fn probe(&self) -> u16 {
        if let Some(status) = edge::blocks(&self.at_edge) {
            return status;
        }
        let mut active = self
            .deployments
            .iter()
            .filter(|deployment| deployment.active)
            .peekable();
        match (self.public, active.peek().is_some()) {
            (false, _) | (_, false) => 404,
            _ if active.any(|deployment| !deployment.stopped) => 200,
            _ => 502,
        }
    }

    pub(super) fn edge_config(&self) -> Value {
        match &self.edge {
            None => Value::Null,
            Some(rules) => json!({"id": format!("{}-edge", self.place.service), "edgeRules": rules}),
        }
    }

    pub(super) fn instance(&self) -> Value {
        let domains = match self.public {
            true => json!([{"id": "dom-1", "domain": format!("{}.up.railway.app", self.place.service)}]),
            false => json!([]),
        };
        let active = self.deployments.iter().filter(|deployment| deployment.active);
        json!({
            "id": format!("{}-instance", self.place.service),
            "serviceId": self.place.service,
            "environmentId": self.place.environment,
            "cronSchedule": self.cron,
            "latestDeployment": self.deployments.last().map(Deployment::json),
            "activeDeployments": active.map(Deployment::json).collect::<Vec<_>>(),
            "edgeConfig": self.edge_config(),
            "domains": {"serviceDomains": domains, "customDomains": []},
        })
    }

    /// One page of the deployments whose status is one of `statuses`, newest first.
    pub(super) fn page(&self, statuses: Option<&Value>, first: usize, after: Option<&str>) -> Value {
        let wanted = |deployment: &&Deployment| {
            statuses
                .and_then(Value::as_array)
                .is_none_or(|statuses| statuses.contains(&deployment.status.into()))
        };
        let all: Vec<_> = self.deployments.iter().rev().filter(wanted).collect();
        let begin = after.map_or(0, |after| {
            all.iter()
                .position(|deployment| deployment.id == after)
                .map_or(all.len(), |at| at + 1)
        });
        let page: Vec<_> = all.iter().skip(begin).take(first).collect();
        json!({
            "edges": page.iter().map(|deployment| json!({"cursor": deployment.id, "node": deployment.json()})).collect::<Vec<_>>(),
            "pageInfo": {
                "hasNextPage": begin + page.len() < all.len(),
                "endCursor": page.last().map(|deployment| &deployment.id),
            },
        })
    }

    /// All that the vendor keeps, for comparing.
    pub(super) fn raw(&self) -> Value {
        json!({
            "auto_deploy": self.auto_deploy,
            "edge_rules": self.edge.clone().unwrap_or_default(),
            "deployments": self.deployments.iter().map(Deployment::json).collect::<Vec<_>>(),
        })
    }

    fn find(&mut self, id: &str) -> Result<&mut Deployment, Refusal> {
        self.deployments
            .iter_mut()
            .find(|deployment| deployment.id == id)
            .ok_or("Deployment not found")
    }

    fn active(&mut self, id: &str) -> Option<&mut Deployment> {
        self.find(id).ok().filter(|deployment| deployment.active)
    }

    fn begin(&mut self, commit: String) -> String {
        let ServiceRef {
            environment, service, ..
        } = &self.place;
        let id = format!("{environment}-{service}-d{}", self.deployments.len() + 1);
        self.deployments
            .push(Deployment::in_progress(id.clone(), "BUILDING", commit));
        id
    }

    /// A deployment that goes live replaces all others.
    fn go_live(&mut self, id: &str) {
        for deployment in &mut self.deployments {
            if deployment.id == id {
                deployment.status = "SUCCESS";
                deployment.active = true;
                deployment.stopped = false;
            } else if deployment.active {
                deployment.end();
            }
        }
    }
}

impl Deployment {
    fn live(id: String, status: &'static str) -> Self {
        Self {
            id,
            status,
            commit: "commit-1".to_owned(),
            active: true,
            stopped: false,
            change: None,
            live_in: None,
        }
    }

    /// One that needs an approval waits for it; all others go live by themselves.
    fn in_progress(id: String, status: &'static str, commit: impl Into<String>) -> Self {
        Self {
            id,
            status,
            commit: commit.into(),
            active: false,
            stopped: true,
            change: None,
            live_in: (status != "NEEDS_APPROVAL").then_some(GO_LIVE),
        }
    }

    fn end(&mut self) {
        self.status = "REMOVED";
        self.active = false;
        self.stopped = true;
        self.change = None;
        self.live_in = None;
    }

    /// A stop leaves the status as it is, `SUCCESS` or `SLEEPING`; `deploymentStopped` and the instances tell.
    fn json(&self) -> Value {
        let instance = match (self.stopped, self.change) {
            (true, _) => "STOPPED",
            (false, None) => "RUNNING",
            (false, Some(Change { to_stopped: true, .. })) => "REMOVING",
            (false, Some(_)) => "RESTARTING",
        };
        let instances = match self.active && self.status != SLEEPING {
            true => json!([{"id": format!("{}-i1", self.id), "status": instance}]),
            false => json!([]),
        };
        json!({
            "id": self.id,
            "status": self.status,
            "deploymentStopped": self.stopped,
            "meta": {"commitHash": self.commit},
            "instances": instances,
        })
    }
}

impl Change {
    fn to(to_stopped: bool, never: bool) -> Self {
        Self {
            to_stopped,
            in_reads: (!never).then_some(EFFECT),
        }
    }
}
