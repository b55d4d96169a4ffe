use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ops_core::error::{Error, ErrorKind, Result, Retry};
use ops_core::http::{HttpRequest, HttpResponse, HttpTransport, Method};
use ops_core::model::Timestamp;
use ops_core::ports::Clock;
use secrecy::SecretString;
use serde::Serialize;

use super::PROVIDER;
use super::wire::{Failure, Project, ProjectChange, ProjectPage};
use crate::error::wait_until;

/// The calls to the vendor, one method each. No retry.
pub(super) struct VercelClient {
    transport: Arc<dyn HttpTransport>,
    token: SecretString,
    base_url: String,
    team: Option<String>,
    clock: Arc<dyn Clock>,
}

/// What a request is about, because the same status means different things.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum About {
    Reading,
    Pausing,
    Changing,
}

impl VercelClient {
    pub(super) fn new(
        transport: Arc<dyn HttpTransport>,
        token: SecretString,
        base_url: String,
        team: Option<String>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            transport,
            token,
            base_url,
            team,
            clock,
        }
    }

    pub(super) async fn read(&self, project: &str, timeout: Duration) -> Result<Project> {
        let request = self
            .request(Method::Get, &format!("/v9/projects/{project}"))
            .with_timeout(timeout);
        self.call("read project", About::Reading, request)
            .await?
            .json()
            .map_err(named)
    }

    /// Reads a project, and what the vendor's clock says.
    pub(super) async fn glance(
        &self,
        project: &str,
        timeout: Duration,
    ) -> Result<(Project, Option<Timestamp>)> {
        let request = self
            .request(Method::Get, &format!("/v9/projects/{project}"))
            .with_timeout(timeout);
        let response = self.call("read project", About::Reading, request).await?;
        Ok((response.json().map_err(named)?, response.date()))
    }

    /// Every project of the team or the personal account: id and name.
    pub(super) async fn projects(&self) -> Result<Vec<(String, String)>> {
        let mut found = Vec::new();
        let mut from: Option<String> = None;
        for _ in 0..PAGES {
            let mut path = format!("/v10/projects?limit={PAGE}");
            if let Some(from) = &from {
                path += &format!("&from={from}");
            }
            let request = self.request(Method::Get, &path);
            let page: ProjectPage = self
                .call(LIST, About::Reading, request)
                .await?
                .json()
                .map_err(named)?;
            found.extend(page.projects.into_iter().map(|listed| (listed.id, listed.name)));
            match page.pagination.next() {
                Some(next) => from = Some(next),
                None => return Ok(found),
            }
        }
        Err(Error::new(ErrorKind::Unexpected, LIST)
            .provider(PROVIDER)
            .context("answer", "does not come to an end"))
    }

    /// The team that the credential acts for.
    pub(super) fn team(&self) -> Option<&str> {
        self.team.as_deref()
    }

    /// What this machine's clock says.
    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(super) async fn pause(&self, project: &str) -> Result<()> {
        let request = self.request(Method::Post, &format!("/v1/projects/{project}/pause"));
        self.call("pause project", About::Pausing, request).await?;
        Ok(())
    }

    pub(super) async fn unpause(&self, project: &str) -> Result<()> {
        let request = self.request(Method::Post, &format!("/v1/projects/{project}/unpause"));
        self.call("unpause project", About::Pausing, request).await?;
        Ok(())
    }

    pub(super) async fn set_auto_assign(
        &self,
        project: &str,
        auto_assign_custom_domains: bool,
    ) -> Result<()> {
        let change = ProjectChange {
            auto_assign_custom_domains,
        };
        let request = self.request(Method::Patch, &format!("/v9/projects/{project}"));
        let request = with_change(request, &change)?;
        self.call("write project", About::Changing, request).await?;
        Ok(())
    }

    /// Waits by the provider's clock.
    pub(super) async fn sleep(&self, duration: Duration) {
        self.clock.sleep(duration).await;
    }

    /// The query's name is `teamId`. Published examples write `teamID`, which the vendor ignores: such a call acts on the
    /// personal scope.
    fn request(&self, method: Method, path: &str) -> HttpRequest {
        let joint = if path.contains('?') { '&' } else { '?' };
        let url = match &self.team {
            Some(team) => format!("{}{path}{joint}teamId={team}", self.base_url),
            None => format!("{}{path}", self.base_url),
        };
        HttpRequest::new(method, url).with_bearer(&self.token)
    }

    async fn call(
        &self,
        operation: &'static str,
        about: About,
        request: HttpRequest,
    ) -> Result<HttpResponse> {
        let response = self
            .transport
            .send(request)
            .await
            .map_err(|error| named(error).context("for", operation))?;
        if response.is_success() {
            return Ok(response);
        }
        Err(failure(&response, operation, about, self.clock.now()))
    }
}

impl fmt::Debug for VercelClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VercelClient")
            .field("base_url", &self.base_url)
            .field("team", &self.team)
            .finish_non_exhaustive()
    }
}

fn with_change<T: Serialize>(request: HttpRequest, change: &T) -> Result<HttpRequest> {
    request.with_json(change).map_err(named)
}

fn named(error: Error) -> Error {
    error.provider(PROVIDER)
}

/// What a failing answer means.
///
/// A missing credential and a missing right both carry the code `forbidden`; the status tells them apart, so the code is
/// only shown, never decided on.
fn failure(response: &HttpResponse, operation: &'static str, about: About, now: Timestamp) -> Error {
    let body: Failure = response.json().unwrap_or_default();
    let mut error = match kind_of(response.status(), about) {
        Some(kind) => Error::new(kind, operation)
            .provider(PROVIDER)
            .context("status", response.status().to_string()),
        None => response.to_error(operation, PROVIDER),
    };
    if let Some(code) = body.error.code.filter(|code| is_word(code)) {
        error = error.context("code", code);
    }
    let reset = body.error.limit.and_then(|limit| limit.reset_ms);
    match reset {
        Some(reset) if error.kind() == ErrorKind::RateLimited && error.retry() == Retry::Safe => {
            error.with_retry(Retry::After(wait_until(reset_moment(reset), now)))
        }
        _ => error,
    }
}

/// Statuses that mean something else here than elsewhere. A wrong project id gives 400, not 404, on pause and unpause.
/// 402 is a matter of the plan: this account may not.
fn kind_of(status: u16, about: About) -> Option<ErrorKind> {
    match (status, about) {
        (400, About::Pausing) => Some(ErrorKind::NotFound),
        (402, _) => Some(ErrorKind::PermissionDenied),
        _ => None,
    }
}

/// The moment that `resetMs` names, taken as milliseconds since 1970; the unit is not documented.
fn reset_moment(reset_ms: i64) -> Timestamp {
    Timestamp::from_unix_micros(reset_ms.saturating_mul(1000))
}

/// A code is a short word of the vendor's, never text that somebody sent.
fn is_word(code: &str) -> bool {
    (1..=40).contains(&code.len()) && code.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
}

const LIST: &str = "list projects";
const PAGE: u32 = 100;
/// How many pages are read before the list is given up as endless.
const PAGES: u32 = 100;

#[cfg(test)]
mod tests {
    use super::*;

    fn read(status: u16, body: &str, about: About) -> Error {
        let now = Timestamp::from_unix_micros(1_769_731_200_000_000);
        failure(
            &HttpResponse::new(status, Vec::new(), body.to_owned()),
            "pause project",
            about,
            now,
        )
    }

    /// Both carry the code `forbidden`; only the status differs.
    #[test]
    fn a_missing_token_and_a_missing_right_are_told_apart_by_status() {
        let body = r#"{"error":{"code":"forbidden","message":"s3cret"}}"#;
        assert_eq!(read(401, body, About::Reading).kind(), ErrorKind::Unauthenticated);
        let error = read(403, body, About::Reading);
        assert_eq!(error.kind(), ErrorKind::PermissionDenied);
        assert_eq!(
            error.to_string(),
            "pause project on vercel failed: permission denied (status: 403, code: forbidden)"
        );
    }

    /// A wrong id gives 400 on pause, where one would expect 404.
    #[test]
    fn a_wrong_id_on_pause_is_not_found() {
        let body = r#"{"error":{"code":"bad_request","message":"x"}}"#;
        assert_eq!(read(400, body, About::Pausing).kind(), ErrorKind::NotFound);
        assert_eq!(read(400, body, About::Changing).kind(), ErrorKind::InvalidInput);
        assert_eq!(read(404, body, About::Reading).kind(), ErrorKind::NotFound);
    }

    #[test]
    fn the_end_of_a_limit_becomes_a_wait() {
        let body = r#"{"error":{"code":"rate_limited","limit":{"total":10,"remaining":0,"reset":1769731205,"resetMs":1769731205000}}}"#;
        assert_eq!(
            read(429, body, About::Pausing).retry(),
            Retry::After(Duration::from_secs(5))
        );
        assert_eq!(read(429, "", About::Pausing).retry(), Retry::Safe);
    }

    #[test]
    fn a_code_that_is_no_word_is_not_shown() {
        let error = read(
            403,
            r#"{"error":{"code":"Taro <taro@example.jp>"}}"#,
            About::Reading,
        );
        assert!(!error.to_string().contains("taro"), "{error}");
    }
}
