use std::sync::Arc;
use std::time::Duration;

use ops_core::error::{Error, ErrorKind, Result};
use ops_core::http::{HttpRequest, HttpResponse, HttpTransport, Method};
use ops_core::ports::Clock;
use serde::de::DeserializeOwned;

use super::PROVIDER;
use super::name::ServiceName;
use super::wire::{Service, ServicePatch};
use crate::auth::TokenSource;
use crate::error::from_response;
use crate::operation::{Operation, OperationName, PollDelays};

/// The calls of the Cloud Run Admin API v2: three that a stop and a restore need; the readers of readiness and inventory ask by themselves.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    pub(crate) transport: Arc<dyn HttpTransport>,
    pub(crate) token: Arc<dyn TokenSource>,
    pub(crate) clock: Arc<dyn Clock>,
    /// Without a slash at the end.
    pub(crate) base_url: String,
    /// Of Resource Manager, without a slash at the end.
    pub(crate) resource_manager_url: String,
}

impl Client {
    /// Reads a service.
    pub(super) async fn service(&self, name: &ServiceName, doing: &'static str) -> Result<Service> {
        let url = format!("{}/v2/{}", self.base_url, name.path());
        let service: Service = self
            .exchange(HttpRequest::new(Method::Get, url), doing)
            .await
            .map_err(|error| error.context("service", name.service.clone()))?;
        if !service
            .name
            .ends_with(&format!("/locations/{}/services/{}", name.region, name.service))
        {
            return Err(Error::new(ErrorKind::Unexpected, doing)
                .provider(PROVIDER)
                .context("service", "the answer is about another one"));
        }
        Ok(service)
    }

    /// Changes a service and follows the operation to its end, or for as long as `patience` lasts: from then on the change is accepted and
    /// no more. Without a `patience` the caller bounds it.
    pub(super) async fn change(
        &self,
        name: &ServiceName,
        service: &Service,
        patch: &ServicePatch,
        patience: Option<Duration>,
        doing: &'static str,
    ) -> Result<OperationName> {
        let url = format!(
            "{}/v2/{}?updateMask={}",
            self.base_url,
            name.path(),
            patch.mask.join(",")
        );
        let request = HttpRequest::new(Method::Patch, url).with_json(patch)?;
        let named = |error: Error| error.context("service", name.service.clone());
        let mut operation: Operation = self.exchange(request, doing).await.map_err(named)?;
        // The vendor may name the project by its number where the target says its id, or the other way round.
        let projects = [name.project.as_str(), project(&service.name)];
        let checked = OperationName::parse(&operation.name, &projects, &name.region).map_err(named)?;
        let url = format!("{}/v2/{}", self.base_url, checked.as_str());
        let mut delays = PollDelays::new();
        let began = self.clock.monotonic();
        while !operation.ended(doing, PROVIDER).map_err(named)? {
            if patience.is_some_and(|patience| self.clock.monotonic().saturating_sub(began) >= patience) {
                break;
            }
            if let Some(delay) = delays.next() {
                self.clock.sleep(delay).await;
            }
            let request = HttpRequest::new(Method::Get, url.clone());
            operation = self.exchange(request, doing).await.map_err(named)?;
        }
        Ok(checked)
    }

    /// Sends a request with the credential; any status is an answer.
    pub(crate) async fn ask(&self, request: HttpRequest) -> Result<HttpResponse> {
        let request = request.with_bearer(&self.token.token().await?);
        self.transport.send(request).await
    }

    async fn exchange<T: DeserializeOwned>(&self, request: HttpRequest, doing: &'static str) -> Result<T> {
        let response = self.ask(request).await?;
        if !response.is_success() {
            return Err(from_response(&response, doing, PROVIDER));
        }
        response.json()
    }
}

/// The project in `projects/{project}/…`.
fn project(resource: &str) -> &str {
    resource.split('/').nth(1).unwrap_or("")
}
