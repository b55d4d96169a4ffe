use ops_core::error::{Error, ErrorKind, Result};
use ops_core::http::{HttpRequest, HttpResponse, Method};
use ops_core::model::{TargetId, Timestamp};

use super::endpoint::Endpoint;
use super::item::Item;
use crate::error::from_response;
use crate::pages::{PAGES, page_url};
use crate::run::{Client as RunClient, RESOURCE_MANAGER, ServiceName};

/// The reads of five services of Google's, over the client of a sixth.
#[derive(Clone, Debug)]
pub(super) struct Client {
    run: RunClient,
    pub(super) project: String,
    pub(super) regions: Vec<String>,
    pub(super) pubsub: String,
    pub(super) tasks: String,
    pub(super) scheduler: String,
    pub(super) monitoring: String,
    pub(super) resource_manager: String,
}

impl Client {
    pub(super) fn new(run: RunClient, project: String, regions: Vec<String>) -> Self {
        Self {
            run,
            project,
            regions,
            pubsub: PUBSUB.to_owned(),
            tasks: TASKS.to_owned(),
            scheduler: SCHEDULER.to_owned(),
            monitoring: MONITORING.to_owned(),
            resource_manager: RESOURCE_MANAGER.to_owned(),
        }
    }

    pub(super) fn all_at(&mut self, base_url: &str) {
        for url in [
            &mut self.pubsub,
            &mut self.tasks,
            &mut self.scheduler,
            &mut self.monitoring,
            &mut self.resource_manager,
        ] {
            base_url.clone_into(url);
        }
    }

    pub(super) fn now(&self) -> Timestamp {
        self.run.clock.now()
    }

    /// Where each target that is a service of this project is called; a target of another system is none of ours.
    ///
    /// The second part is the targets whose service could not be read, and why.
    pub(super) async fn endpoints(&self, targets: &[TargetId]) -> (Vec<Endpoint>, Vec<(String, String)>) {
        let (mut endpoints, mut unread) = (Vec::new(), Vec::new());
        for target in targets {
            let Ok(name) = ServiceName::of(target) else {
                continue;
            };
            if name.project != self.project {
                continue;
            }
            let url = format!("{}/v2/{}", self.run.base_url, name.path());
            match self
                .get(url, "read service")
                .await
                .and_then(|answer| answer.json())
            {
                Ok(service) => endpoints.push(Endpoint::of(target.clone(), &service)),
                Err(error) => unread.push((target.to_string(), error.to_string())),
            }
        }
        (endpoints, unread)
    }

    /// Every item of a list, page after page; `most` pages, and whether there are more.
    pub(super) async fn list(
        &self,
        url: &str,
        items: &'static str,
        page_size: u32,
        most: u32,
        doing: &'static str,
    ) -> Result<(Vec<Item>, bool)> {
        let (mut found, mut token) = (Vec::new(), None::<String>);
        for _ in 0..most {
            let answer = self
                .get(page_url(url, page_size, token.as_deref()), doing)
                .await?;
            let page = Item::new(answer.json()?);
            found.extend(page.items(items));
            match page.text(NEXT_PAGE).filter(|token| !token.is_empty()) {
                // An empty page with a token is a page: go on.
                Some(next) => token = Some(next.to_owned()),
                None => return Ok((found, false)),
            }
        }
        Ok((found, true))
    }

    /// The same to its end.
    pub(super) async fn list_all(
        &self,
        url: &str,
        items: &'static str,
        page_size: u32,
        doing: &'static str,
    ) -> Result<Vec<Item>> {
        match self.list(url, items, page_size, PAGES, doing).await? {
            (found, false) => Ok(found),
            (_, true) => Err(Error::new(ErrorKind::Unexpected, doing)
                .provider(PROVIDER)
                .context("answer", "does not come to an end")),
        }
    }

    pub(super) async fn ask(&self, request: HttpRequest) -> Result<HttpResponse> {
        self.run.ask(request).await
    }

    async fn get(&self, url: String, doing: &'static str) -> Result<HttpResponse> {
        let response = self.run.ask(HttpRequest::new(Method::Get, url)).await?;
        match response.is_success() {
            true => Ok(response),
            false => Err(from_response(&response, doing, PROVIDER)),
        }
    }
}

pub(super) const PROVIDER: &str = "gcp";

/// Of the answers of all four: the token of the next page.
const NEXT_PAGE: &str = "/nextPageToken";

/// Unverified: there was no description of Pub/Sub v1 to test against.
const PUBSUB: &str = "https://pubsub.googleapis.com";
/// Unverified: there was no description of Cloud Tasks v2 to test against.
const TASKS: &str = "https://cloudtasks.googleapis.com";
/// Unverified: there was no description of Cloud Scheduler v1 to test against.
const SCHEDULER: &str = "https://cloudscheduler.googleapis.com";
const MONITORING: &str = "https://monitoring.googleapis.com";
