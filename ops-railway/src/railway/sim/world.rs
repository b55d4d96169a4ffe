//! All services of the simulated vendor, and the answers to what is asked about them.

use std::collections::{BTreeMap, BTreeSet};

use ops_core::model::Timestamp;
use ops_core::testkit::SimRequest;
use serde_json::{Map, Value, json};

use super::document::{self, Document, Kind};
use super::schema::{self, Call};
use super::service::Service;
use super::{BrokenRule, Problem, edge};

#[derive(Debug, Default)]
pub(super) struct World {
    /// By the name of their target.
    pub(super) services: BTreeMap<String, Service>,
    /// The place that each project token is bound to.
    pub(super) project_tokens: BTreeMap<String, Place>,
    pub(super) broken: BTreeSet<BrokenRule>,
    pub(super) requests: Vec<SimRequest>,
    /// By root field, in the order they were asked for.
    pub(super) problems: Vec<(String, Problem)>,
    rules_made: u64,
    /// Services that were deleted; the vendor goes on listing them.
    pub(super) deleted: BTreeSet<String>,
    pub(super) revoked: BTreeSet<String>,
    /// So many services are on a page, however many are asked for.
    pub(super) page: Option<usize>,
    pub(super) date: Option<Timestamp>,
}

/// A project and an environment.
pub(super) type Place = (String, String);

/// One operation with its variables.
#[derive(Debug)]
pub(super) struct Asked {
    document: Document,
    variables: Map<String, Value>,
}

impl Asked {
    /// Reads the body of a request.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn read(body: &[u8]) -> Result<Self, String> {
        let body: Value = serde_json::from_slice(body).map_err(|_| "the body is not JSON")?;
        let query = body
            .get("query")
            .and_then(Value::as_str)
            .ok_or("query is missing")?;
        let document = document::parse(query)?;
        match body.get("operationName") {
            None | Some(Value::Null) => {}
            Some(name) if *name == document.name.as_str() => {}
            Some(_) => return Err("unknown operation".to_owned()),
        }
        let variables = match body.get("variables") {
            None | Some(Value::Null) => Map::new(),
            Some(Value::Object(variables)) => variables.clone(),
            Some(_) => return Err("variables must be an object".to_owned()),
        };
        Ok(Self { document, variables })
    }

    pub(super) fn is_mutation(&self) -> bool {
        self.document.kind == Kind::Mutation
    }
}

/// What a credential may see; `None` stands for everything.
type Scope = Option<Place>;

const NOT_AUTHORIZED: &str = "Not Authorized";

const PROBLEM: &str = "Problem processing request";

impl World {
    pub(super) fn next_rule(&mut self) -> u64 {
        self.rules_made += 1;
        self.rules_made
    }

    /// The name of the target that a request is about; empty: about none.
    pub(super) fn name_of(&self, asked: &Asked) -> String {
        let variables = Value::Object(asked.variables.clone());
        let service = find(&variables, "serviceId");
        let environment = find(&variables, "environmentId");
        let deployment = asked.variables.get("id").and_then(Value::as_str);
        self.services
            .iter()
            .find(|(_, known)| match deployment {
                Some(id) => known.has(id),
                None => known.is_at(environment, service),
            })
            .map_or_else(String::new, |(name, _)| name.clone())
    }

    /// Takes the first problem that waits for a field of `asked`.
    pub(super) fn next_problem(&mut self, asked: &Asked) -> Option<Problem> {
        let fields = &asked.document.selection;
        let meets = |(name, _): &(String, Problem)| fields.iter().any(|field| field.name == *name);
        let at = self.problems.iter().position(meets)?;
        Some(self.problems.remove(at).1)
    }

    /// The answer to `asked`: data, or errors inside what will be a 200.
    pub(super) fn answer(&mut self, request: &SimRequest, asked: &Asked, never: bool) -> Value {
        let calls = match schema::check(&asked.document, &asked.variables) {
            Ok(calls) => calls,
            Err(fault) => return invalid(&fault),
        };
        let Some(scope) = self.scope(request) else {
            return failed(NOT_AUTHORIZED);
        };
        let mut data = Map::new();
        for call in calls {
            match self.resolve(&call, &scope, never) {
                Ok(value) => {
                    let value = schema::project(&call.selection.selection, value);
                    data.insert(call.selection.key.clone(), value);
                }
                // Every root field of this vendor is non-null: one error leaves no data at all.
                Err(fault) => return failed(fault),
            }
        }
        json!({"data": data})
    }

    /// A project token in the header of the others, or the other way round, is no credential.
    fn scope(&self, request: &SimRequest) -> Option<Scope> {
        if let Some(token) = request.header("project-access-token") {
            return Some(Some(self.project_tokens.get(token)?.clone()));
        }
        let token = request.header("authorization")?.strip_prefix("Bearer ")?;
        (!token.is_empty() && !self.project_tokens.contains_key(token) && !self.revoked.contains(token))
            .then_some(None)
    }

    fn resolve(&mut self, call: &Call<'_>, scope: &Scope, never: bool) -> Result<Value, &'static str> {
        let input = call
            .arguments
            .get("input")
            .and_then(Value::as_object)
            .unwrap_or(&call.arguments);
        let text = |name: &str| input.get(name).and_then(Value::as_str);
        let id = text("id").unwrap_or_default();
        match call.field.name {
            "projectToken" => {
                let (project, environment) = scope.as_ref().ok_or("Project Token not found")?;
                Ok(json!({"projectId": project, "environmentId": environment}))
            }
            "environment" => self.environment(id, text("projectId"), &call.arguments, scope),
            "serviceInstance" => {
                let service = self.service(text("environmentId"), text("serviceId"), scope)?;
                service.tick();
                Ok(service.instance())
            }
            "serviceInstanceAutoDeployStatus" => {
                let service = self.service(text("environmentId"), text("serviceId"), scope)?;
                Ok(json!({"enabled": service.auto_deploy, "canEnable": true, "reason": null}))
            }
            "deployments" => {
                let service = self.service(text("environmentId"), text("serviceId"), scope)?;
                let first = call.arguments.get("first").and_then(Value::as_u64).unwrap_or(20);
                let after = call.arguments.get("after").and_then(Value::as_str);
                let statuses = input.get("status").and_then(|status| status.get("in"));
                Ok(service.page(statuses, usize::try_from(first).unwrap_or(usize::MAX), after))
            }
            "validateServiceEdgeRules" => {
                let service = self.service(text("environmentId"), text("serviceId"), scope)?;
                let rules = input.get("edgeRules").unwrap_or(&Value::Null);
                Ok(edge::diagnose(rules, service.rule_limit).into())
            }
            "updateServiceEdgeRules" => {
                let rules = input.get("edgeRules").cloned().unwrap_or_default();
                self.write_edge(text("environmentId"), text("serviceId"), rules, scope, never)
            }
            "serviceInstanceAutoDeployUpdate" => {
                let enabled = input.get("enabled").and_then(Value::as_bool).unwrap_or_default();
                let service = self.service(text("environmentId"), text("serviceId"), scope)?;
                if !never {
                    service.auto_deploy = enabled;
                }
                Ok(json!({"enabled": enabled}))
            }
            "deploymentStop" if self.broken.contains(&BrokenRule::StopIsIgnored) => {
                self.service_of(id, scope).map(|_| true.into())
            }
            "deploymentStop" => self.service_of(id, scope)?.stop(id, never).map(Value::from),
            "deploymentCancel" => self.service_of(id, scope)?.cancel(id, never).map(Value::from),
            "deploymentRestart" if self.broken.contains(&BrokenRule::RestartBuildsAnew) => {
                self.service_of(id, scope)?.restart_anew(id).map(Value::from)
            }
            "deploymentRestart" => self.service_of(id, scope)?.restart(id, never).map(Value::from),
            "deploymentRollback" => self.service_of(id, scope)?.roll_back(id).map(Value::from),
            "deploymentRedeploy" => self.service_of(id, scope)?.redeploy(id),
            _ => Err(PROBLEM),
        }
    }

    fn write_edge(
        &mut self,
        environment: Option<&str>,
        service: Option<&str>,
        rules: Value,
        scope: &Scope,
        never: bool,
    ) -> Result<Value, &'static str> {
        let found = self.service(environment, service, scope)?;
        if !found.public {
            return Err("Service has no public domain");
        }
        if !rules.is_null() && !edge::diagnose(&rules, found.rule_limit).is_empty() {
            return Err("Invalid edge rules");
        }
        let rules = edge::with_ids(rules, || self.next_rule());
        let forgets = self.broken.contains(&BrokenRule::EdgeRulesAreForgotten);
        let found = self.service(environment, service, scope)?;
        if never || forgets {
            let id = format!("{}-edge", found.place.service);
            return Ok(json!({"id": id, "edgeRules": rules}));
        }
        found.write_edge(rules);
        Ok(found.edge_config())
    }

    /// The services of an environment, a page of them. Those that were deleted are still listed, with the time of it.
    fn environment(
        &self,
        id: &str,
        project: Option<&str>,
        arguments: &Map<String, Value>,
        scope: &Scope,
    ) -> Result<Value, &'static str> {
        let there = |service: &&Service| {
            service.place.environment == id && project.is_none_or(|project| service.place.project == project)
        };
        let bound_elsewhere = scope.as_ref().is_some_and(|(bound_to, environment)| {
            environment != id || project.is_some_and(|project| project != bound_to)
        });
        if bound_elsewhere {
            return Err(NOT_AUTHORIZED);
        }
        let all: Vec<_> = self.services.values().filter(there).collect();
        if all.is_empty() && scope.is_none() {
            return Err("Environment not found");
        }
        let first = arguments.get("first").and_then(Value::as_u64).unwrap_or(20);
        let first = usize::try_from(first)
            .unwrap_or(usize::MAX)
            .min(self.page.unwrap_or(usize::MAX));
        let after = arguments.get("after").and_then(Value::as_str);
        let from = after
            .and_then(|cursor| cursor.parse::<usize>().ok())
            .map_or(0, |at| at + 1);
        let edges: Vec<_> = all
            .iter()
            .enumerate()
            .skip(from)
            .take(first)
            .map(|(position, service)| {
                let id = &service.place.service;
                let deleted = self.deleted.contains(id).then_some("2026-01-30T00:00:00Z");
                json!({"cursor": position.to_string(), "node": {
                    "serviceId": id, "serviceName": format!("name-of-{id}"), "deletedAt": deleted,
                }})
            })
            .collect();
        let last = from + edges.len();
        let end = (!edges.is_empty()).then(|| (last - 1).to_string());
        Ok(json!({"id": id, "serviceInstances": {
            "edges": edges,
            "pageInfo": {"hasNextPage": last < all.len(), "endCursor": end},
        }}))
    }

    fn service(
        &mut self,
        environment: Option<&str>,
        service: Option<&str>,
        scope: &Scope,
    ) -> Result<&mut Service, &'static str> {
        let deleted = &self.deleted;
        let found = self
            .services
            .values_mut()
            .find(|known| known.is_at(environment, service) && !deleted.contains(&known.place.service));
        visible(found.ok_or("Service Instance not found")?, scope)
    }

    fn service_of(&mut self, deployment: &str, scope: &Scope) -> Result<&mut Service, &'static str> {
        let found = self.services.values_mut().find(|known| known.has(deployment));
        visible(found.ok_or("Deployment not found")?, scope)
    }
}

/// A project token sees one environment.
fn visible<'a>(service: &'a mut Service, scope: &Scope) -> Result<&'a mut Service, &'static str> {
    match scope {
        Some((project, environment))
            if service.place.project != *project || service.place.environment != *environment =>
        {
            Err(NOT_AUTHORIZED)
        }
        _ => Ok(service),
    }
}

/// What the vendor says instead of a 4xx or 5xx. The code of a refusal is not documented: the real one may be the same for
/// all, so only the message is to be relied on.
fn failed(message: &str) -> Value {
    let code = match message {
        NOT_AUTHORIZED | PROBLEM => "INTERNAL_SERVER_ERROR",
        _ => "BAD_USER_INPUT",
    };
    json!({"data": null, "errors": [{"message": message, "extensions": {"code": code}}]})
}

pub(super) fn not_authorized() -> Value {
    failed(NOT_AUTHORIZED)
}

/// The catch-all: it gives no reason.
pub(super) fn problem() -> Value {
    failed(PROBLEM)
}

/// What the vendor says to a document that does not fit its schema.
pub(super) fn invalid(message: &str) -> Value {
    json!({"data": null, "errors": [{"message": message, "extensions": {"code": "GRAPHQL_VALIDATION_FAILED"}}]})
}

/// The first text of that name, at any depth.
fn find<'a>(value: &'a Value, name: &str) -> Option<&'a str> {
    let object = value.as_object()?;
    match object.get(name).and_then(Value::as_str) {
        Some(text) => Some(text),
        None => object.values().find_map(|inner| find(inner, name)),
    }
}
