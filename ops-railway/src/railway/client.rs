use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ops_core::error::{Error, ErrorKind, Result, Retry};
use ops_core::http::{HttpRequest, HttpResponse, HttpTransport, Method};
use ops_core::model::Timestamp;
use ops_core::ports::Clock;
use serde_json::Value;
use tokio::sync::OnceCell;

use super::reading::Reading;
use super::target::ServiceRef;
use super::wire::{
    AutoDeployInput, AutoDeployUpdate, Connection, DeploymentCancel, DeploymentListInput, DeploymentRedeploy,
    DeploymentRestart, DeploymentRollback, DeploymentStatus, DeploymentStatusInput, DeploymentStop, Done,
    EdgeRulesInput, EnvironmentServices, PendingDeployments, ProjectToken, ReadInstance, ServiceInstance,
    ServiceState, TokenScope, UpdateEdgeRules, ValidateEdgeRules,
};
use super::{PROVIDER, RailwayToken};
use crate::error::wait_until;
use crate::graphql::{self, Operation};

/// The calls to the vendor, one method each. No retry.
pub(super) struct RailwayClient {
    transport: Arc<dyn HttpTransport>,
    token: RailwayToken,
    endpoint: String,
    clock: Arc<dyn Clock>,
    /// What the project token is bound to. It never changes during the life of a token.
    scope: OnceCell<ProjectToken>,
}

/// How long any call may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// How long the look at the token may hold up what it comes before.
const SCOPE_TIMEOUT: Duration = Duration::from_secs(2);

/// How many deployments in progress one page holds.
const PAGE: u32 = 50;

/// How many pages are read before the vendor's list is given up as endless.
const PAGES: u32 = 20;

impl RailwayClient {
    pub(super) fn new(
        transport: Arc<dyn HttpTransport>,
        token: RailwayToken,
        base_url: &str,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            transport,
            token,
            endpoint: format!("{base_url}/graphql/v2"),
            clock,
            scope: OnceCell::new(),
        }
    }

    /// In what a project token differs from `service`; `None` when it covers it, or when the token is of another sort.
    pub(super) async fn mismatch(&self, service: &ServiceRef) -> Result<Option<&'static str>> {
        if matches!(self.token, RailwayToken::Bearer(_)) {
            return Ok(None);
        }
        let read = async || {
            Ok::<_, Error>(
                self.call_within(SCOPE_TIMEOUT, &TokenScope {})
                    .await?
                    .project_token,
            )
        };
        let scope = self.scope.get_or_try_init(read).await?;
        Ok(if scope.project_id != service.project {
            Some("is bound to another project")
        } else if scope.environment_id != service.environment {
            Some("is bound to another environment")
        } else {
            None
        })
    }

    /// What the project token is bound to, asked anew, and what the vendor's clock says. The clock is told even where the
    /// token is none, or of another sort.
    pub(super) async fn introduce(&self) -> Result<(Result<ProjectToken>, Option<Timestamp>)> {
        let response = self.send(TIMEOUT, &TokenScope {}).await?;
        let scope = graphql::read::<TokenScope>(&response, PROVIDER);
        Ok((scope.map(|scope| scope.project_token), response.date()))
    }

    /// Whether the credential is bound to one environment.
    pub(super) fn is_bound(&self) -> bool {
        matches!(self.token, RailwayToken::Project(_))
    }

    /// Every service of an environment, deleted ones left out: id and name.
    pub(super) async fn services(&self, project: &str, environment: &str) -> Result<Vec<(String, String)>> {
        let mut found = Vec::new();
        let mut after = None;
        for _ in 0..PAGES {
            let page = EnvironmentServices {
                environment_id: environment,
                project_id: project,
                first: PAGE,
                after,
            };
            let page = self.call(&page).await?.environment.service_instances;
            let alive = page.edges.into_iter().map(|edge| edge.node);
            let alive = alive.filter(|service| service.deleted_at.is_none());
            found.extend(alive.map(|service| (service.service_id, service.service_name)));
            if !page.page_info.has_next_page {
                return Ok(found);
            }
            after = page.page_info.end_cursor;
        }
        Err(Error::new(ErrorKind::Unexpected, EnvironmentServices::VERB)
            .provider(PROVIDER)
            .context("answer", "does not come to an end"))
    }

    /// Reads everything about `service` that a stop changes.
    pub(super) async fn read(&self, service: &ServiceRef) -> Result<Reading> {
        let state = self
            .call(&ServiceState {
                project_id: &service.project,
                environment_id: &service.environment,
                service_id: &service.service,
                pending: in_progress(service),
                first: PAGE,
            })
            .await?;
        Ok(Reading {
            instance: state.service_instance,
            auto_deploy: state.service_instance_auto_deploy_status.enabled,
            pending: self.all_pages(service, state.deployments).await?,
        })
    }

    /// Reads the service without its auto-deploy setting and its deployments in progress.
    pub(super) async fn read_instance(&self, service: &ServiceRef) -> Result<ServiceInstance> {
        let answer = self
            .call(&ReadInstance {
                environment_id: &service.environment,
                service_id: &service.service,
            })
            .await?;
        Ok(answer.service_instance)
    }

    /// Lists the deployments in progress.
    pub(super) async fn read_pending(&self, service: &ServiceRef) -> Result<Vec<String>> {
        let first = self.page(service, None).await?;
        self.all_pages(service, first).await
    }

    pub(super) async fn set_auto_deploy(&self, service: &ServiceRef, enabled: bool) -> Result<()> {
        let answer = self
            .call(&AutoDeployUpdate {
                input: AutoDeployInput {
                    project_id: &service.project,
                    environment_id: &service.environment,
                    service_id: &service.service,
                    enabled,
                },
            })
            .await?;
        if answer.service_instance_auto_deploy_update.enabled != enabled {
            return Err(refused(AutoDeployUpdate::VERB));
        }
        Ok(())
    }

    /// Whether the vendor would take `rules`; changes nothing.
    pub(super) async fn takes_edge_rules(&self, service: &ServiceRef, rules: &Value) -> Result<bool> {
        let input = edge_rules(service, rules);
        let answer = self.call(&ValidateEdgeRules { input }).await?;
        Ok(answer.validate_service_edge_rules.is_empty())
    }

    /// Replaces the whole section; null clears it.
    pub(super) async fn write_edge_rules(&self, service: &ServiceRef, rules: &Value) -> Result<()> {
        let input = edge_rules(service, rules);
        self.call(&UpdateEdgeRules { input }).await?;
        Ok(())
    }

    pub(super) async fn stop(&self, deployment: &str) -> Result<()> {
        self.change(&DeploymentStop { id: deployment }).await
    }

    pub(super) async fn cancel(&self, deployment: &str) -> Result<()> {
        self.change(&DeploymentCancel { id: deployment }).await
    }

    pub(super) async fn restart(&self, deployment: &str) -> Result<()> {
        self.change(&DeploymentRestart { id: deployment }).await
    }

    /// Goes back to `deployment`. The vendor makes a new deployment of it and does not say which.
    pub(super) async fn roll_back(&self, deployment: &str) -> Result<()> {
        self.change(&DeploymentRollback { id: deployment }).await
    }

    /// Makes a new deployment with the image of `deployment`.
    pub(super) async fn redeploy(&self, deployment: &str) -> Result<()> {
        self.call(&DeploymentRedeploy { id: deployment }).await?;
        Ok(())
    }

    async fn all_pages(&self, service: &ServiceRef, first: Connection) -> Result<Vec<String>> {
        let mut ids = Vec::new();
        let mut page = first;
        for _ in 0..PAGES {
            ids.extend(page.edges.into_iter().map(|edge| edge.node.id));
            if !page.page_info.has_next_page {
                return Ok(ids);
            }
            page = self.page(service, page.page_info.end_cursor).await?;
        }
        Err(Error::new(ErrorKind::Unexpected, PendingDeployments::VERB)
            .provider(PROVIDER)
            .context("answer", "does not come to an end"))
    }

    async fn page(&self, service: &ServiceRef, after: Option<String>) -> Result<Connection> {
        let pending = in_progress(service);
        let first = PAGE;
        let answer = self
            .call(&PendingDeployments {
                pending,
                first,
                after,
            })
            .await?;
        Ok(answer.deployments)
    }

    /// Sends a mutation that answers whether it was taken. `true` means accepted, not done.
    async fn change<O: Operation<Data = Done>>(&self, operation: &O) -> Result<()> {
        if self.call(operation).await?.done {
            Ok(())
        } else {
            Err(refused(O::VERB))
        }
    }

    async fn call<O: Operation>(&self, operation: &O) -> Result<O::Data> {
        self.call_within(TIMEOUT, operation).await
    }

    async fn call_within<O: Operation>(&self, timeout: Duration, operation: &O) -> Result<O::Data> {
        let response = self.send(timeout, operation).await?;
        graphql::read::<O>(&response, PROVIDER).map_err(|error| self.with_wait(error, &response))
    }

    async fn send<O: Operation>(&self, timeout: Duration, operation: &O) -> Result<HttpResponse> {
        let request = HttpRequest::new(Method::Post, self.endpoint.as_str()).with_timeout(timeout);
        let request = match &self.token {
            RailwayToken::Project(token) => request.with_header("project-access-token", token.clone()),
            RailwayToken::Bearer(token) => request.with_bearer(token),
        };
        let request = graphql::with_operation(request, operation)?;
        self.transport
            .send(request)
            .await
            .map_err(|error| error.provider(PROVIDER).context("for", O::VERB))
    }

    /// What this machine's clock says.
    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Adds how long to wait where the vendor says it by the moment of its next window only.
    fn with_wait(&self, error: Error, response: &HttpResponse) -> Error {
        if error.kind() != ErrorKind::RateLimited || error.retry() != Retry::Safe {
            return error;
        }
        match response.retry_after().or_else(|| self.until_reset(response)) {
            Some(wait) => error.with_retry(Retry::After(wait)),
            None => error,
        }
    }

    fn until_reset(&self, response: &HttpResponse) -> Option<Duration> {
        reset_moment(response.header("x-ratelimit-reset")?, self.clock.now())
            .map(|at| wait_until(at, self.clock.now()))
    }
}

impl fmt::Debug for RailwayClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RailwayClient")
            .field("endpoint", &self.endpoint)
            .finish_non_exhaustive()
    }
}

fn in_progress(service: &ServiceRef) -> DeploymentListInput<'_> {
    DeploymentListInput {
        project_id: &service.project,
        environment_id: &service.environment,
        service_id: &service.service,
        status: DeploymentStatusInput {
            r#in: DeploymentStatus::IN_PROGRESS,
        },
    }
}

fn edge_rules<'a>(service: &'a ServiceRef, rules: &'a Value) -> EdgeRulesInput<'a> {
    EdgeRulesInput {
        environment_id: &service.environment,
        service_id: &service.service,
        edge_rules: rules,
    }
}

fn refused(operation: &'static str) -> Error {
    Error::new(ErrorKind::Conflict, operation)
        .provider(PROVIDER)
        .context("answer", "not done in the present state")
}

/// The moment that `X-RateLimit-Reset` names. Its form is not documented: a time in RFC 3339, seconds since 1970, or seconds
/// from now are taken.
fn reset_moment(text: &str, now: Timestamp) -> Option<Timestamp> {
    let Ok(seconds) = text.trim().parse::<u64>() else {
        return text.trim().parse().ok();
    };
    let since = if seconds > 1_000_000_000 {
        Timestamp::UNIX_EPOCH
    } else {
        now
    };
    Some(since + Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_moment_of_the_next_window_is_read_in_three_forms() {
        let now: Timestamp = "2026-01-30T00:00:00Z".parse().unwrap();
        let later = now + Duration::from_secs(30);
        for text in ["30", "1769731230", "2026-01-30T00:00:30Z", " 30 "] {
            assert_eq!(reset_moment(text, now), Some(later), "{text}");
        }
        assert_eq!(reset_moment("soon", now), None);
    }
}
