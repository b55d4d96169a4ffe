use std::time::Duration;

use ops_core::error::{Error, ErrorKind, Result};
use ops_core::http::{HttpRequest, HttpResponse, Method};
use ops_core::model::Timestamp;
use serde::Serialize;

use super::wire::{LookupRequest, LookupResponse, UpdateRequest, User};
use super::{IdentityUsers, PROVIDER};
use crate::error::from_response;

/// A user as it was read.
#[derive(Debug)]
pub(super) struct Found {
    /// Seconds since the epoch; `None` where no sign-in was ever revoked.
    pub(super) valid_since: Option<i64>,
    pub(super) disabled: bool,
    /// A second that had not begun by the vendor's clock when it was read; by ours where the answer has no `Date`.
    pub(super) next_second: i64,
    /// How far the vendor's clock is ahead of ours at most, in microseconds; less than zero where it is behind.
    pub(super) ahead: i64,
}

impl IdentityUsers {
    /// Reads a user.
    pub(super) async fn lookup(&self, user: &str, doing: &'static str) -> Result<Found> {
        let request = LookupRequest { local_id: [user] };
        let asked = self.run.clock.now();
        let response = self.post("lookup", &request, doing).await?;
        let mut users = response.json::<LookupResponse>()?.users;
        let found = match (users.pop(), users.is_empty()) {
            // 200 without a user is the vendor's "not found".
            (None, _) => {
                return Err(Error::new(ErrorKind::NotFound, doing)
                    .provider(PROVIDER)
                    .context("user", "there is none of that id in this directory"));
            }
            (Some(found), true) if self.is_about(&found, user) => found,
            _ => return Err(strange(doing, "user", "the answer is about somebody else")),
        };
        let valid_since = match found.valid_since.as_deref().map(str::parse::<i64>) {
            None => None,
            Some(Ok(seconds)) => Some(seconds).filter(|seconds| *seconds > 0),
            Some(Err(_)) => return Err(strange(doing, "validSince", "is no number")),
        };
        // What counts is the vendor's clock: its sign-ins have the vendor's time. Its date is cut to seconds.
        let (read, ahead) = match response.date() {
            Some(theirs) => {
                let latest = theirs + Duration::from_secs(1);
                (
                    latest,
                    latest.as_unix_micros().saturating_sub(asked.as_unix_micros()),
                )
            }
            None => (self.run.clock.now(), 0),
        };
        if ahead.unsigned_abs() > PLAUSIBLE.as_micros().try_into().unwrap_or(u64::MAX) {
            return Err(strange(
                doing,
                "date",
                "is more than a day away from our clock: set this machine's clock",
            ));
        }
        Ok(Found {
            valid_since,
            disabled: found.disabled,
            next_second: seconds(read).saturating_add(1),
            ahead,
        })
    }

    /// Changes a user. That it was accepted proves nothing.
    pub(super) async fn update(&self, change: &UpdateRequest<'_>, doing: &'static str) -> Result<()> {
        self.post("update", change, doing).await.map(drop)
    }

    fn is_about(&self, found: &User, user: &str) -> bool {
        found.local_id == user && found.tenant_id == self.tenant
    }

    async fn post(
        &self,
        verb: &str,
        body: &(impl Serialize + Sync),
        doing: &'static str,
    ) -> Result<HttpResponse> {
        let tenant = match &self.tenant {
            Some(tenant) => format!("/tenants/{tenant}"),
            None => String::new(),
        };
        let url = format!(
            "{}/v1/projects/{}{tenant}/accounts:{verb}",
            self.base_url, self.project
        );
        self.ask(url, body, doing).await
    }

    pub(super) async fn ask(
        &self,
        url: String,
        body: &(impl Serialize + Sync),
        doing: &'static str,
    ) -> Result<HttpResponse> {
        let mut request = HttpRequest::new(Method::Post, url).with_json(body)?;
        if let Some(project) = &self.quota_project {
            request = request.with_header("x-goog-user-project", project.clone());
        }
        let response = self.run.ask(request).await?;
        match response.is_success() {
            true => Ok(response),
            false => Err(from_response(&response, doing, PROVIDER)),
        }
    }
}

/// Whole seconds since the epoch; a second that has begun counts as it.
pub(super) fn seconds(at: Timestamp) -> i64 {
    at.as_unix_micros().div_euclid(1_000_000)
}

/// A date further away than this is taken for none that could be written to an account.
const PLAUSIBLE: Duration = Duration::from_secs(86_400);

fn strange(doing: &'static str, part: &'static str, what: &str) -> Error {
    Error::new(ErrorKind::Unexpected, doing)
        .provider(PROVIDER)
        .context(part, what)
}
