//! A simulated Vercel: the project calls of its REST API, with the vendor's rules and traps.
//!
//! - A pause turns `autoAssignCustomDomains` off, an unpause turns it on, whatever it was before; both show some *reads* after
//!   they were accepted, so that nothing here depends on a clock.
//! - A read takes a project's name as well as its id; a pause takes the id only. A wrong id gives 404 on a read and 400 on a
//!   pause. A missing token (401) and a missing right (403) carry the same
//!   code.
//! - The team is `teamId`; any other query name, `teamID` among them, is ignored, and the call acts on the personal scope.
//! - A paused project answers 503, but the CDN goes on serving what it has cached.
//! - A project that was never paused has no field `paused`.

mod project;
mod seed;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use ops_core::http::HttpResponse;
use ops_core::model::{TargetId, Timestamp};
use ops_core::testkit::{Fault, Faults, Handler, Reply, SimRequest};
use serde_json::{Value, json};

use self::project::Project;
pub use self::seed::ProjectSeed;

/// A simulated Vercel. Serve it with [`LoopbackServer`](ops_core::testkit::LoopbackServer).
///
/// A [`Fault`] meets single requests; its target name is the project's id. After [`Fault::Drift`] somebody has promoted
/// another deployment; [`Fault::NeverEnds`] accepts a change that never shows.
#[derive(Debug)]
pub struct VercelSim {
    faults: Faults,
    world: Mutex<World>,
}

/// A rule of the vendor that can be broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum BrokenRule {
    /// A pause is answered with 200 and not done.
    PauseIsIgnored,
    /// A pause leaves `autoAssignCustomDomains` as it is. A second stop makes up for that.
    PauseForgetsAutoAssign,
    /// An unpause is answered with 200 and not done.
    UnpauseIsIgnored,
    /// An unpause leaves `autoAssignCustomDomains` as it is. A restore that compares afterwards copes with that.
    UnpauseForgetsAutoAssign,
    /// A change of `autoAssignCustomDomains` is answered with 200 and not kept: no restore can be exact where an unpause sets
    /// another value than there was.
    AutoAssignIsForgotten,
}

#[derive(Debug, Default)]
struct World {
    projects: BTreeMap<String, Project>,
    broken: BTreeSet<BrokenRule>,
    requests: Vec<SimRequest>,
    expired: BTreeSet<String>,
    page: Option<usize>,
    date: Option<Timestamp>,
}

/// The call that a request makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Call {
    List,
    Read,
    Change,
    Pause,
    Unpause,
}

impl VercelSim {
    /// A vendor without projects, that `faults` happen to.
    pub fn new(faults: Faults) -> Arc<Self> {
        Arc::new(Self {
            faults,
            world: Mutex::default(),
        })
    }

    /// Adds a project; one of the same id is replaced. Gives its target.
    pub fn add_project(&self, seed: ProjectSeed) -> TargetId {
        let target = seed.target().clone();
        self.world()
            .projects
            .insert(target.name().to_owned(), Project::new(seed));
        target
    }

    /// Somebody deletes a project.
    pub fn delete_project(&self, target: &TargetId) {
        self.world().projects.remove(target.name());
    }

    /// From now on this token is past its time.
    pub fn expire_token(&self, token: &str) {
        self.world().expired.insert(token.to_owned());
    }

    /// A page of projects holds at most so many. First: as many as are asked for.
    pub fn set_page(&self, projects: usize) {
        self.world().page = Some(projects);
    }

    /// What the vendor's clock says, in the header of each answer. First: what this machine's says.
    pub fn set_date(&self, at: Timestamp) {
        self.world().date = Some(at);
    }

    /// How many requests so far were there to change something.
    pub fn writes(&self) -> usize {
        let world = self.world();
        world
            .requests
            .iter()
            .filter(|request| request.method != "GET")
            .count()
    }

    /// Breaks one rule from now on.
    pub fn break_rule(&self, rule: BrokenRule) {
        self.world().broken.insert(rule);
    }

    /// Another deployer pushes; gives the id of the deployment. It serves production only if `autoAssignCustomDomains` is on.
    pub fn deploy(&self, target: &TargetId) -> Option<String> {
        Some(self.world().projects.get_mut(target.name())?.deploy())
    }

    /// The status that a visitor of an uncached page gets now: 200, 503 when paused, 404 for an unknown project.
    pub fn probe(&self, target: &TargetId) -> u16 {
        match self.world().projects.get(target.name()) {
            None => 404,
            Some(project) if project.is_paused() => 503,
            Some(_) => 200,
        }
    }

    /// The status that a visitor of a cached page gets: 200 even while the project is paused.
    pub fn probe_cached(&self, target: &TargetId) -> u16 {
        if self.world().projects.contains_key(target.name()) {
            200
        } else {
            404
        }
    }

    /// What the vendor keeps of a project. Looking lets no time pass.
    pub fn raw(&self, target: &TargetId) -> Option<Value> {
        self.world().projects.get(target.name()).map(Project::json)
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
impl Handler for VercelSim {
    async fn handle(&self, request: SimRequest) -> Reply {
        let date = self.world().date;
        self.answered(request).await.with_date(date)
    }
}

impl VercelSim {
    async fn answered(&self, request: SimRequest) -> Reply {
        self.world().requests.push(request.clone());
        let Some((call, id)) = route(&request) else {
            return refused(404, "not_found");
        };
        let fault = self.faults.strike(&id, !matches!(call, Call::Read | Call::List));
        match fault {
            Some(Fault::Latency(delay)) => tokio::time::sleep(delay).await,
            Some(Fault::Refused) => return Reply::Hangup,
            Some(Fault::TooManyRequests) => return too_many_requests(),
            Some(Fault::Unavailable) => return refused(503, "service_unavailable"),
            Some(Fault::Forbidden) => return refused(403, "forbidden"),
            _ => {}
        }
        let mut world = self.world();
        let reply = world.answer(&request, call, &id, fault == Some(Fault::NeverEnds));
        match fault {
            Some(Fault::LostAnswer) => return Reply::Hangup,
            Some(Fault::Drift) => {
                if let Some(project) = world.projects.get_mut(&id) {
                    project.promote();
                }
            }
            _ => {}
        }
        reply
    }
}

impl World {
    fn answer(&mut self, request: &SimRequest, call: Call, id: &str, never: bool) -> Reply {
        let token = request
            .header("authorization")
            .and_then(|value| value.strip_prefix("Bearer "));
        if token.is_none_or(|token| token.is_empty() || self.expired.contains(token)) {
            return refused(401, "forbidden");
        }
        if call == Call::List {
            return self.list(request);
        }
        let broken = self.broken.clone();
        let found = self
            .projects
            .values_mut()
            .find(|project| project.id == id || (call == Call::Read && project.name() == id));
        let Some(project) = found else {
            return match call {
                Call::List | Call::Read | Call::Change => refused(404, "not_found"),
                Call::Pause | Call::Unpause => refused(400, "bad_request"),
            };
        };
        if project.team.as_deref() != request.query("teamId") {
            return match call {
                Call::Read => refused(404, "not_found"),
                _ => refused(403, "forbidden"),
            };
        }
        let ignored = |rule: BrokenRule| never || broken.contains(&rule);
        match call {
            Call::Read | Call::List => {
                project.tick();
                Reply::json(200, &project.json())
            }
            Call::Pause => {
                if !ignored(BrokenRule::PauseIsIgnored) {
                    let forgets = broken.contains(&BrokenRule::PauseForgetsAutoAssign);
                    project.accept(true, (!forgets).then_some(false));
                }
                empty()
            }
            Call::Unpause => {
                if !ignored(BrokenRule::UnpauseIsIgnored) {
                    let forgets = broken.contains(&BrokenRule::UnpauseForgetsAutoAssign);
                    project.accept(false, (!forgets).then_some(true));
                }
                empty()
            }
            Call::Change => {
                let Some(enabled) = read_change(&request.body) else {
                    return refused(400, "bad_request");
                };
                if !ignored(BrokenRule::AutoAssignIsForgotten) {
                    project.auto_assign = enabled;
                }
                Reply::json(200, &project.json())
            }
        }
    }
}

impl World {
    /// A page of the projects of a team or of the personal scope; `from` is what the page before gave as `next`.
    fn list(&self, request: &SimRequest) -> Reply {
        let of_scope = |project: &&Project| project.team.as_deref() == request.query("teamId");
        let all: Vec<_> = self.projects.values().filter(of_scope).collect();
        let limit = request.query("limit").map_or(Ok(20), str::parse::<usize>);
        let from = request.query("from").map_or(Ok(0), str::parse::<usize>);
        let (Ok(limit), Ok(from)) = (limit, from) else {
            return refused(400, "bad_request");
        };
        let limit = limit.min(100).min(self.page.unwrap_or(100));
        let page: Vec<_> = all
            .iter()
            .skip(from)
            .take(limit)
            .map(|project| project.json())
            .collect();
        let next = from + page.len();
        let next = (next < all.len()).then_some(next);
        let count = page.len();
        Reply::json(
            200,
            &json!({"projects": page, "pagination": {"count": count, "next": next, "prev": null}}),
        )
    }
}

fn route(request: &SimRequest) -> Option<(Call, String)> {
    let parts: Vec<&str> = request.path.split('/').collect();
    let (call, id) = match (request.method.as_str(), &parts[..]) {
        ("GET", ["", "v10", "projects"]) => (Call::List, &""),
        ("GET", ["", "v9", "projects", id]) => (Call::Read, id),
        ("PATCH", ["", "v9", "projects", id]) => (Call::Change, id),
        ("POST", ["", "v1", "projects", id, "pause"]) => (Call::Pause, id),
        ("POST", ["", "v1", "projects", id, "unpause"]) => (Call::Unpause, id),
        _ => return None,
    };
    Some((call, (*id).to_owned()))
}

/// The one field that this simulator lets be changed; anything more, or of another type, is a bad request.
fn read_change(body: &[u8]) -> Option<bool> {
    let body: Value = serde_json::from_slice(body).ok()?;
    let object = body.as_object().filter(|object| object.len() == 1)?;
    object.get("autoAssignCustomDomains")?.as_bool()
}

fn empty() -> Reply {
    Reply::Answer(HttpResponse::new(200, Vec::new(), ""))
}

fn refused(status: u16, code: &str) -> Reply {
    Reply::json(
        status,
        &json!({"error": {"code": code, "message": format!("refused as {code}")}}),
    )
}

fn too_many_requests() -> Reply {
    let body = json!({"error": {
        "code": "rate_limited",
        "message": "the limit of this endpoint is used up",
        "limit": {"total": 10, "remaining": 0, "reset": 1, "resetMs": 1000},
    }});
    let headers = [("content-type", "application/json"), ("retry-after", "1")];
    let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned()));
    Reply::Answer(HttpResponse::new(429, headers.to_vec(), body.to_string()))
}
