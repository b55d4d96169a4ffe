//! Simulated Pub/Sub, Cloud Tasks, Cloud Scheduler, and the part of Cloud Monitoring that tells what waits.
//!
//! What it keeps: lists come in pages whose tokens must be escaped and are of one list only; an unknown query parameter, a wildcard region
//! and a filter without a metric are refused; each list needs its own permission; a message older than the retention is gone, a task is
//! deleted when it was tried often *and* long enough, a scheduled run whose time has passed is missed. It is as if nobody ever answered: what
//! comes in waits until it is given up.
//!
//! There is no description of the first three to test its answers against: they are as the vendor's reference has them, and unverified.

mod route;
mod seed;
mod stock;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use ops_core::model::Timestamp;
use ops_core::ports::Clock;
use ops_core::testkit::{Fault, Faults, Handler, Reply, SimRequest};
use serde_json::{Value, json};

use self::route::{Route, page};
pub use self::seed::{JobSeed, QueueSeed, SubscriptionSeed};
use self::stock::{Job, Queue, Subscription, Task};
use super::{REQUIRED, pubsub, tasks};
use crate::run::ServiceName;
use crate::sim::permissions::test_permissions;
use crate::sim::refusal::Refusal;

/// The queues of one simulated project.
#[derive(Debug)]
pub struct QueueSim {
    project: String,
    clock: Arc<dyn Clock>,
    faults: Faults,
    others: Option<Arc<dyn Handler>>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    subscriptions: BTreeMap<String, Subscription>,
    queues: BTreeMap<String, Queue>,
    jobs: BTreeMap<String, Job>,
    granted: BTreeSet<String>,
    requests: Vec<(String, String)>,
    page: usize,
}

impl QueueSim {
    /// A project without queues.
    pub fn new(project: &str, clock: Arc<dyn Clock>, faults: Faults) -> Arc<Self> {
        Self::made(project, clock, faults, None)
    }

    /// The same, at one address with other simulated services: what is not about queues is handed on to `others`.
    pub fn beside(
        others: Arc<dyn Handler>,
        project: &str,
        clock: Arc<dyn Clock>,
        faults: Faults,
    ) -> Arc<Self> {
        Self::made(project, clock, faults, Some(others))
    }

    fn made(
        project: &str,
        clock: Arc<dyn Clock>,
        faults: Faults,
        others: Option<Arc<dyn Handler>>,
    ) -> Arc<Self> {
        Arc::new(Self {
            project: project.to_owned(),
            clock,
            faults,
            others,
            state: Mutex::new(State {
                subscriptions: BTreeMap::new(),
                queues: BTreeMap::new(),
                jobs: BTreeMap::new(),
                granted: REQUIRED
                    .iter()
                    .map(|permission| (*permission).to_owned())
                    .collect(),
                requests: Vec::new(),
                page: 100,
            }),
        })
    }

    /// Adds a subscription.
    pub fn add_subscription(&self, id: &str, seed: SubscriptionSeed) {
        let subscription = Subscription {
            seed,
            messages: Vec::new(),
            lost: 0,
        };
        let name = format!("projects/{}/subscriptions/{id}", self.project);
        self.lock().subscriptions.insert(name, subscription);
    }

    /// Adds a queue.
    pub fn add_queue(&self, region: &str, id: &str, seed: QueueSeed) {
        let queue = Queue {
            seed,
            tasks: Vec::new(),
            lost: 0,
            made: 0,
        };
        self.lock().queues.insert(self.queue_name(region, id), queue);
    }

    /// Adds a job.
    pub fn add_job(&self, region: &str, id: &str, seed: JobSeed) {
        let name = format!("projects/{}/locations/{region}/jobs/{id}", self.project);
        self.lock().jobs.insert(name, Job { seed, missed: 0 });
    }

    /// So many messages are published now and not acknowledged. A detached subscription keeps none.
    pub fn publish(&self, subscription: &str, messages: u64) {
        let name = format!("projects/{}/subscriptions/{subscription}", self.project);
        let now = self.clock.now();
        if let Some(found) = self.lock().subscriptions.get_mut(&name)
            && !found.seed.detached
        {
            found.messages.push((messages, now));
        }
    }

    /// So many tasks for this URL are created now, tried at once, and fail.
    pub fn create_tasks(&self, region: &str, queue: &str, tasks: u64, url: &str, audience: Option<&str>) {
        let now = self.clock.now();
        if let Some(found) = self.lock().queues.get_mut(&self.queue_name(region, queue)) {
            for _ in 0..tasks {
                found.made += 1;
                found.tasks.push(Task {
                    number: found.made,
                    url: url.to_owned(),
                    audience: audience.map(str::to_owned),
                    first_attempt: now,
                });
            }
        }
    }

    /// How many messages, tasks and runs have been given up so far.
    pub fn given_up(&self) -> u64 {
        let state = self.settled();
        let messages = state.subscriptions.values().map(|found| found.lost);
        let tasks = state.queues.values().map(|found| found.lost);
        let runs = state.jobs.values().map(|found| found.missed);
        messages.chain(tasks).chain(runs).sum()
    }

    /// From now on every credential has this permission. First: those that the inspectors need.
    pub fn grant(&self, permission: &str) {
        self.lock().granted.insert(permission.to_owned());
    }

    /// From now on no credential has this permission.
    pub fn revoke(&self, permission: &str) {
        self.lock().granted.remove(permission);
    }

    /// A page of a list has at most so many items. First: 100.
    pub fn set_page(&self, items: usize) {
        self.lock().page = items;
    }

    /// Every request about queues so far: method, path.
    pub fn requests(&self) -> Vec<(String, String)> {
        self.lock().requests.clone()
    }

    fn queue_name(&self, region: &str, id: &str) -> String {
        format!("projects/{}/locations/{region}/queues/{id}", self.project)
    }

    fn settled(&self) -> MutexGuard<'_, State> {
        let now = self.clock.now();
        let mut state = self.lock();
        state
            .subscriptions
            .values_mut()
            .for_each(|found| found.settle(now));
        state.queues.values_mut().for_each(|found| found.settle(now));
        state.jobs.values_mut().for_each(|found| found.settle(now));
        state
    }

    fn answer(&self, request: &SimRequest, route: &Route) -> Result<Value, Refusal> {
        let state = self.settled();
        let bearer = request
            .header("authorization")
            .and_then(|value| value.strip_prefix("Bearer "));
        if bearer.is_none_or(str::is_empty) {
            return Err(Refusal::unauthenticated());
        }
        if route.project() != self.project
            || route
                .permission()
                .is_some_and(|needed| !state.granted.contains(needed))
        {
            return Err(Refusal::forbidden());
        }
        let (known, most) = route.query();
        if let Some((name, _)) = request
            .query
            .iter()
            .find(|(name, _)| !known.contains(&name.as_str()))
        {
            return Err(Refusal::invalid(format!("unknown query parameter \"{name}\"")));
        }
        let bounds = (most, state.page);
        match route {
            Route::Subscriptions { .. } => {
                let all = state.subscriptions.iter().map(|(name, found)| found.json(name));
                page(all.collect(), "subscriptions", request, bounds)
            }
            Route::Queues { region, .. } => {
                let of = self.place(region, "queues")?;
                let all = state.queues.iter().filter(|(name, _)| name.starts_with(&of));
                page(
                    all.map(|(name, found)| found.json(name)).collect(),
                    "queues",
                    request,
                    bounds,
                )
            }
            Route::Tasks { region, queue, .. } => {
                let name = self.queue_name(region, queue);
                let found = state.queues.get(&name).ok_or_else(Refusal::not_found)?;
                let all = found.tasks.iter().map(|task| task.json(&name));
                page(all.collect(), "tasks", request, bounds)
            }
            Route::Jobs { region, .. } => {
                let of = self.place(region, "jobs")?;
                let all = state.jobs.iter().filter(|(name, _)| name.starts_with(&of));
                page(
                    all.map(|(name, found)| found.json(name)).collect(),
                    "jobs",
                    request,
                    bounds,
                )
            }
            Route::TimeSeries { .. } => {
                let all = series(&state, request, self.clock.now())?;
                page(all, "timeSeries", request, bounds)
            }
            Route::Permissions { .. } => test_permissions(&state.granted, &request.body),
        }
    }

    /// What the names of a region begin with. "-" is no region.
    fn place(&self, region: &str, kind: &str) -> Result<String, Refusal> {
        match ServiceName::new(&self.project, region, "any") {
            Ok(_) => Ok(format!("projects/{}/locations/{region}/{kind}/", self.project)),
            Err(_) => Err(Refusal::invalid("the location must be a region")),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Handler for QueueSim {
    async fn handle(&self, request: SimRequest) -> Reply {
        let route = Route::of(&request.method, &request.path);
        // Permissions on the project are those of all services at this address.
        let route = match (route, &self.others) {
            (None | Some(Route::Permissions { .. }), Some(others)) => return others.handle(request).await,
            (Some(route), _) => route,
            (None, None) => return Refusal::not_found().reply(),
        };
        self.lock()
            .requests
            .push((request.method.clone(), request.path.clone()));
        match self.faults.strike(route.subject(), false) {
            Some(Fault::Latency(delay)) => tokio::time::sleep(delay).await,
            Some(Fault::Refused | Fault::LostAnswer) => return Reply::Hangup,
            Some(Fault::TooManyRequests) => return Refusal::too_many().reply(),
            Some(Fault::Unavailable) => return Refusal::unavailable().reply(),
            Some(Fault::Forbidden) => return Refusal::forbidden().reply(),
            _ => {}
        }
        match self.answer(&request, &route) {
            Ok(body) => Reply::json(200, &body),
            Err(refusal) => refusal.reply(),
        }
    }
}

/// The series of the one metric that the filter names; an empty queue has one too.
fn series(state: &State, request: &SimRequest, now: Timestamp) -> Result<Vec<Value>, Refusal> {
    let required = |name: &str| {
        let missing = || Refusal::invalid(format!("{name} is required"));
        request
            .query(name)
            .filter(|value| !value.is_empty())
            .ok_or_else(missing)
    };
    let filter = required("filter")?;
    let metric = filter
        .strip_prefix("metric.type=\"")
        .and_then(|rest| rest.strip_suffix('"'))
        .ok_or_else(|| Refusal::invalid("the filter must name one metric type"))?;
    let until: Timestamp = required("interval.endTime")?
        .parse()
        .map_err(|_| Refusal::invalid("interval.endTime must be a time"))?;
    if required("view")? != "FULL" {
        return Err(Refusal::not_simulated("other views"));
    }
    let at = until.min(now);
    let points = |newest: u64| {
        let point = |before: u64, value: u64| {
            let at = at - Duration::from_secs(before);
            json!({"interval": {"startTime": at, "endTime": at}, "value": {"int64Value": value.to_string()}})
        };
        // Newest first; the older one was another.
        json!([point(60, newest), point(120, newest.saturating_add(7))])
    };
    let one = |kind: &str, label: &str, id: &str, newest: u64| {
        json!({
            "metric": {"type": metric, "labels": {}},
            "resource": {"type": kind, "labels": {"project_id": "soul-kun", label: id}},
            "metricKind": "GAUGE",
            "valueType": "INT64",
            "points": points(newest),
        })
    };
    let id = |name: &str| name.rsplit('/').next().unwrap_or_default().to_owned();
    Ok(match metric {
        pubsub::UNDELIVERED => state
            .subscriptions
            .iter()
            .map(|(name, found)| {
                let waiting = found.messages.iter().map(|(count, _)| count).sum();
                one("pubsub_subscription", pubsub::LABEL, &id(name), waiting)
            })
            .collect(),
        pubsub::OLDEST => state
            .subscriptions
            .iter()
            .map(|(name, found)| {
                let ages = found
                    .messages
                    .iter()
                    .map(|(_, since)| now.saturating_since(*since).as_secs());
                one(
                    "pubsub_subscription",
                    pubsub::LABEL,
                    &id(name),
                    ages.max().unwrap_or(0),
                )
            })
            .collect(),
        tasks::DEPTH => state
            .queues
            .iter()
            .map(|(name, found)| {
                let depth = u64::try_from(found.tasks.len()).unwrap_or(u64::MAX);
                one("cloud_tasks_queue", tasks::LABEL, &id(name), depth)
            })
            .collect(),
        // A metric that there is not has no series.
        _ => Vec::new(),
    })
}
