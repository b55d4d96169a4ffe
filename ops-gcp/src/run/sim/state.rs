//! The whole control plane: where a request leads, and what it does there.

use std::collections::{BTreeMap, BTreeSet};

use ops_core::model::TargetId;
use ops_core::testkit::{Fault, SimRequest};
use serde_json::{Value, json};

use super::BrokenRule;
use super::access::Access;
use super::fields;
use super::service::{Ending, Service};
use super::spec::Spec;
use crate::run::name::ServiceName;
use crate::sim::refusal::Refusal;

/// What a path leads to.
#[derive(Debug)]
pub(super) enum Route {
    Service(ServiceName),
    /// `…/services/{service}:testIamPermissions`
    Permissions(ServiceName),
    Services {
        project: String,
        region: String,
    },
    /// `/v3/projects/{project}:testIamPermissions`, of Resource Manager.
    ProjectPermissions(String),
    Operation {
        project: String,
        path: String,
    },
    Elsewhere,
}

impl Route {
    pub(super) fn of(path: &str) -> Self {
        let parts: Vec<_> = path.trim_start_matches('/').split('/').collect();
        match parts[..] {
            [
                "v2",
                "projects",
                project,
                "locations",
                region,
                "services",
                service,
            ] => match service.strip_suffix(TEST) {
                Some(service) => {
                    ServiceName::new(project, region, service).map_or(Self::Elsewhere, Self::Permissions)
                }
                None => ServiceName::new(project, region, service).map_or(Self::Elsewhere, Self::Service),
            },
            ["v2", "projects", project, "locations", region, "services"] => Self::Services {
                project: project.to_owned(),
                region: region.to_owned(),
            },
            ["v3", "projects", project] => match project.strip_suffix(TEST) {
                Some(project) => Self::ProjectPermissions(project.to_owned()),
                None => Self::Elsewhere,
            },
            ["v2", "projects", project, "locations", _, "operations", _] => Self::Operation {
                project: project.to_owned(),
                path: parts[1..].join("/"),
            },
            _ => Self::Elsewhere,
        }
    }

    fn project(&self) -> &str {
        match self {
            Self::Service(name) | Self::Permissions(name) => &name.project,
            Self::Operation { project, .. } | Self::Services { project, .. } => project,
            Self::ProjectPermissions(project) => project,
            Self::Elsewhere => "",
        }
    }
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) services: BTreeMap<TargetId, Service>,
    /// By name: whose it is, and the generation that it wanted.
    operations: BTreeMap<String, (TargetId, i64)>,
    pub(super) requests: Vec<(String, String)>,
    pub(super) broken: BTreeSet<BrokenRule>,
    pub(super) disabled: BTreeSet<String>,
    pub(super) failing: BTreeMap<TargetId, i32>,
    pub(super) pace: u32,
    pub(super) access: Access,
    pub(super) unreachable: BTreeSet<String>,
    /// So many services are on a page, however many are asked for.
    pub(super) page: usize,
}

impl Default for State {
    fn default() -> Self {
        Self {
            services: BTreeMap::new(),
            operations: BTreeMap::new(),
            requests: Vec::new(),
            broken: BTreeSet::new(),
            disabled: BTreeSet::new(),
            failing: BTreeMap::new(),
            pace: 2,
            access: Access::default(),
            unreachable: BTreeSet::new(),
            page: 100,
        }
    }
}

impl State {
    /// Keeps the request and tells the name of the service that it is about.
    pub(super) fn record(&mut self, request: &SimRequest, route: &Route) -> String {
        let query: Vec<_> = request
            .query
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let query = if query.is_empty() {
            String::new()
        } else {
            format!("?{}", query.join("&"))
        };
        self.requests
            .push((request.method.clone(), format!("{}{query}", request.path)));
        match route {
            Route::Service(name) | Route::Permissions(name) => name.service.clone(),
            Route::Services { .. } | Route::ProjectPermissions(_) => String::new(),
            Route::Operation { path, .. } => {
                let target = self.operations.get(path).map(|(target, _)| target);
                let name = target.and_then(|target| ServiceName::of(target).ok());
                name.map(|name| name.service).unwrap_or_default()
            }
            Route::Elsewhere => String::new(),
        }
    }

    pub(super) fn answer(
        &mut self,
        request: &SimRequest,
        route: &Route,
        fault: Option<Fault>,
    ) -> Result<Value, Refusal> {
        self.access.check(request, route)?;
        if self.disabled.contains(route.project()) {
            return Err(Refusal::disabled_api());
        }
        let known =
            |target: &TargetId| ServiceName::of(target).is_ok_and(|name| name.project == route.project());
        if !matches!(route, Route::Elsewhere) && !self.services.keys().any(known) {
            return Err(Refusal::forbidden());
        }
        match (route, request.method.as_str()) {
            (Route::Service(name), "GET") => {
                let service = self.service(name)?;
                service.read();
                Ok(service.json())
            }
            // An empty set for a service that does not exist, not NOT_FOUND.
            (Route::Permissions(name), "POST") => match self.service(name) {
                Ok(_) => self.access.test(&request.body),
                Err(_) => Ok(json!({})),
            },
            (Route::ProjectPermissions(_), "POST") => self.access.test(&request.body),
            (Route::Services { project, region }, "GET") => self.list(project, region, request),
            (Route::Service(name), "PATCH") => self.patch(name, request, fault),
            (Route::Operation { path, .. }, "GET") => {
                let (target, generation) = self.operations.get(path).ok_or_else(Refusal::not_found)?;
                let service = self.services.get_mut(target).ok_or_else(Refusal::not_found)?;
                service.read();
                Ok(service.operation(path, *generation))
            }
            _ => Err(Refusal::not_found()),
        }
    }

    /// One page of a region. "Location … cannot be the "-" wildcard."
    fn list(&self, project: &str, region: &str, request: &SimRequest) -> Result<Value, Refusal> {
        if let Some((name, _)) = request
            .query
            .iter()
            .find(|(name, _)| !matches!(name.as_str(), "pageSize" | "pageToken" | "showDeleted"))
        {
            return Err(Refusal::invalid(format!("unknown query parameter \"{name}\"")));
        }
        if ServiceName::new(project, region, "any").is_err() {
            return Err(Refusal::invalid("the location must be a region"));
        }
        let asked = match request.query("pageSize").map(str::parse::<usize>) {
            None => self.page,
            Some(Ok(size)) => size.min(self.page),
            Some(Err(_)) => return Err(Refusal::invalid("pageSize must be a number")),
        };
        let from = match request.query("pageToken") {
            None => 0,
            Some(token) => token
                .strip_prefix("page=")
                .and_then(|from| from.parse().ok())
                .ok_or_else(|| Refusal::invalid("the page token is not one of this list"))?,
        };
        let of_region = |service: &&Service| {
            let name = service.service_name();
            name.project == project && name.region == region
        };
        let all: Vec<_> = self.services.values().filter(of_region).collect();
        let page: Vec<_> = all
            .iter()
            .skip(from)
            .take(asked)
            .map(|service| service.json())
            .collect();
        let next = from + page.len();
        let mut answer = json!({});
        if !page.is_empty() {
            answer["services"] = page.into();
        }
        if next < all.len() {
            answer["nextPageToken"] = format!("page={next}").into();
        }
        if self.unreachable.contains(region) {
            answer["unreachable"] = json!([region]);
        }
        Ok(answer)
    }

    fn patch(
        &mut self,
        name: &ServiceName,
        request: &SimRequest,
        fault: Option<Fault>,
    ) -> Result<Value, Refusal> {
        check_query(request)?;
        let body: Value =
            serde_json::from_slice(&request.body).map_err(|_| Refusal::invalid("invalid JSON payload"))?;
        let body = body
            .as_object()
            .ok_or_else(|| Refusal::invalid("invalid JSON payload"))?;
        fields::check(body)?;
        let service = self.service(name)?;
        if body.get("name").is_some_and(|sent| *sent != json!(name.path())) {
            return Err(Refusal::invalid("the name is not that of the path"));
        }
        if body
            .get("etag")
            .is_some_and(|sent| *sent != json!(service.etag()))
        {
            return Err(Refusal::stale_etag());
        }
        let mask = request.query("updateMask").filter(|mask| !mask.is_empty());
        let before = service.spec().clone();
        let wanted = before.patched(body, mask, service.revisions())?;
        let wanted = self.bend(name, &before, wanted)?;
        let target = name.target().map_err(|_| Refusal::not_found())?;
        let ending = match (self.failing.remove(&target), fault) {
            (Some(code), _) => Ending::Failure(code),
            (None, Some(Fault::NeverEnds)) => Ending::Never,
            (None, Some(Fault::Drift)) => Ending::Drift,
            (None, _) => Ending::Success,
        };
        let pace = self.pace;
        let path = format!(
            "projects/{}/locations/{}/operations/sim-{}",
            name.project,
            name.region,
            self.operations.len() + 1
        );
        let service = self.service(name)?;
        service.want(wanted, pace, ending);
        let generation = service.generation();
        let shown = service.operation(&path, generation);
        self.operations.insert(path, (target, generation));
        Ok(shown)
    }

    /// Applies the broken rules to a wanted state.
    fn bend(&mut self, name: &ServiceName, before: &Spec, mut wanted: Spec) -> Result<Spec, Refusal> {
        if wanted.scaling == before.scaling {
            return Ok(wanted);
        }
        if self.broken.contains(&BrokenRule::StopIsIgnored) && wanted.scaling.is_stopped() {
            wanted.scaling = before.scaling;
        }
        if self.broken.contains(&BrokenRule::RestoreForgetsLimits) && !wanted.scaling.is_manual {
            (wanted.scaling.min, wanted.scaling.max) = (None, None);
        }
        if self.broken.contains(&BrokenRule::TagsVanish) {
            wanted.traffic.retain(|entry| fields::percent(entry) > 0);
            for entry in wanted.traffic.iter_mut().filter_map(Value::as_object_mut) {
                entry.remove("tag");
            }
        }
        if self.broken.contains(&BrokenRule::LatestIsPinned) {
            let latest = self.service(name)?.revisions().last().cloned();
            for entry in wanted.traffic.iter_mut().filter(|entry| fields::is_latest(entry)) {
                entry["type"] = json!("TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION");
                entry["revision"] = json!(latest);
            }
        }
        Ok(wanted)
    }

    fn service(&mut self, name: &ServiceName) -> Result<&mut Service, Refusal> {
        let target = name.target().map_err(|_| Refusal::not_found())?;
        self.services.get_mut(&target).ok_or_else(Refusal::not_found)
    }
}

const TEST: &str = ":testIamPermissions";

fn check_query(request: &SimRequest) -> Result<(), Refusal> {
    for (name, value) in &request.query {
        match name.as_str() {
            "updateMask" | "alt" | "prettyPrint" => {}
            "allowMissing" | "validateOnly" | "forceNewRevision" if value == "false" => {}
            "allowMissing" | "validateOnly" | "forceNewRevision" => return Err(Refusal::not_simulated(name)),
            _ => return Err(Refusal::invalid(format!("unknown query parameter \"{name}\""))),
        }
    }
    Ok(())
}
