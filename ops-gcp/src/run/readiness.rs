//! What a stop and a restore need of Google Cloud, found out by reading.

use std::collections::BTreeSet;

use async_trait::async_trait;
use ops_core::error::{Error, ErrorKind, Result};
use ops_core::http::{HttpRequest, HttpResponse, Method};
use ops_core::messages::{
    need_clock, need_no_permission, need_permission, need_reachable, need_readable_service,
    need_valid_credential,
};
use ops_core::model::{Check, TargetId, Text, Timestamp};
use ops_core::ports::ReadinessProbe;
use serde::Deserialize;
use serde_json::json;

use super::name::ServiceName;
use super::{CloudRunTraffic, PROVIDER};
use crate::error::from_response;

/// What the calls of [`CloudRunTraffic`] need on each service.
pub(super) const REQUIRED: &[&str] = &["run.services.get", "run.services.update"];

/// Follows the operation of a change. It belongs to the project, so it is found out by asking for one that does not exist.
pub(super) const OPERATION: &str = "run.operations.get";

/// What a stop and a restore never need on a service, and what would make a stolen emergency credential worse.
pub(super) const EXCESS: &[&str] = &["run.services.delete", "run.services.setIamPolicy"];

/// The same on the project.
pub(super) const PROJECT_EXCESS: &[&str] = &[
    "iam.serviceAccountKeys.create",
    "resourcemanager.projects.delete",
    "resourcemanager.projects.setIamPolicy",
];

/// Unverified: there was no description of Resource Manager v3 to test against.
pub(crate) const RESOURCE_MANAGER: &str = "https://cloudresourcemanager.googleapis.com";

/// Unverified, as [`RESOURCE_MANAGER`]: `POST /v3/projects/{project}:testIamPermissions`.
pub(crate) fn project_permissions_path(project: &str) -> String {
    format!("/v3/projects/{project}:testIamPermissions")
}

#[async_trait]
impl ReadinessProbe for CloudRunTraffic {
    fn limitations(&self) -> Vec<Text> {
        vec![
            Text::new(
                "Cloud Run: サービスの実行アカウントに対する iam.serviceAccounts.actAs が必要かどうかは、書き込まずには確かめられません",
                "Cloud Run: whether an update also asks for iam.serviceAccounts.actAs on the service's identity cannot be proven without writing",
            ),
            Text::new(
                "Google Cloud: アクセストークンの残り時間はわかりません（通常 1 時間以内に切れます）",
                "Google Cloud: how long the access token will stay valid is not told (an hour at most, as a rule)",
            ),
        ]
    }

    async fn examine(&self, targets: &[TargetId]) -> Vec<Check> {
        let mut looked = Looked::default();
        let (mut regions, mut projects) = (BTreeSet::new(), BTreeSet::new());
        for target in targets {
            let need = || need_readable_service(target.as_str());
            let name = match ServiceName::of(target) {
                Ok(name) => name,
                Err(error) => {
                    looked.checks.push(need().failed(&error));
                    continue;
                }
            };
            let request = HttpRequest::new(Method::Get, self.url(&name.path()));
            match self.look(request, "read service", &mut looked).await {
                Ok(_) => looked.checks.push(need().ready()),
                Err(error) => {
                    looked.checks.push(need().failed(&error));
                    // The vendor gives an empty set for a service that does not exist: it would say nothing.
                    if error.kind() == ErrorKind::NotFound {
                        continue;
                    }
                }
            }
            self.permissions(&name, target, &mut looked).await;
            regions.insert((name.project.clone(), name.region.clone()));
            projects.insert(name.project);
        }
        for (project, region) in &regions {
            self.operations(project, region, &mut looked).await;
        }
        for project in &projects {
            self.project(project, &mut looked).await;
        }
        looked.into_checks(self.client.clock.now())
    }
}

impl CloudRunTraffic {
    fn url(&self, path: &str) -> String {
        format!("{}/v2/{path}", self.client.base_url)
    }

    async fn look(
        &self,
        request: HttpRequest,
        doing: &'static str,
        looked: &mut Looked,
    ) -> Result<HttpResponse> {
        let answer = self.client.ask(request).await;
        looked.note(answer.as_ref());
        let response = answer?;
        if response.is_success() {
            return Ok(response);
        }
        let error = from_response(&response, doing, PROVIDER);
        looked.refused |= error.kind() == ErrorKind::Unauthenticated;
        Err(error)
    }

    async fn granted(&self, url: String, asked: &[&str], looked: &mut Looked) -> Result<Vec<String>> {
        // A POST that the vendor documents as changing nothing.
        let request = HttpRequest::new(Method::Post, url).with_json(&json!({"permissions": asked}))?;
        let response = self.look(request, "test permissions", looked).await?;
        Ok(response.json::<Granted>()?.permissions)
    }

    async fn permissions(&self, name: &ServiceName, target: &TargetId, looked: &mut Looked) {
        let url = format!("{}:testIamPermissions", self.url(&name.path()));
        let asked = [REQUIRED, EXCESS].concat();
        let granted = self.granted(url, &asked, looked).await;
        for permission in REQUIRED {
            let need = need_permission(target.as_str(), permission);
            looked.checks.push(match &granted {
                Ok(granted) if granted.iter().any(|found| found == permission) => need.ready(),
                Ok(_) => need.missing("is not granted"),
                Err(error) => need.failed(error),
            });
        }
        for permission in EXCESS {
            looked.excess(target.as_str(), permission, &granted);
        }
    }

    async fn operations(&self, project: &str, region: &str, looked: &mut Looked) {
        let need = need_permission(&format!("{PROVIDER}:{project}/{region}"), OPERATION);
        let path = format!("projects/{project}/locations/{region}/operations/{NO_OPERATION}");
        let request = HttpRequest::new(Method::Get, self.url(&path));
        let check = match self.look(request, "read operation", looked).await {
            Ok(_) => need.ready(),
            // It may look, and there is nothing.
            Err(error) if error.kind() == ErrorKind::NotFound => need.ready(),
            Err(error) if error.kind() == ErrorKind::InvalidInput => {
                need.unknown("the vendor does not take the name of an operation that does not exist")
            }
            Err(error) => need.failed(&error),
        };
        looked.checks.push(check);
    }

    async fn project(&self, project: &str, looked: &mut Looked) {
        let url = format!(
            "{}{}",
            self.client.resource_manager_url,
            project_permissions_path(project)
        );
        let granted = self.granted(url, PROJECT_EXCESS, looked).await;
        for permission in PROJECT_EXCESS {
            looked.excess(project, permission, &granted);
        }
    }
}

/// What was seen so far.
#[derive(Debug, Default)]
struct Looked {
    checks: Vec<Check>,
    answered: bool,
    refused: bool,
    date: Option<Timestamp>,
    silence: Option<Error>,
}

impl Looked {
    fn note(&mut self, answer: Result<&HttpResponse, &Error>) {
        match answer {
            Ok(response) => {
                self.answered = true;
                self.date = response.date().or(self.date);
            }
            Err(error) if self.silence.is_none() => {
                let copy = Error::new(error.kind(), "ask")
                    .provider(PROVIDER)
                    .context("cause", error.to_string());
                self.silence = Some(copy);
            }
            Err(_) => {}
        }
    }

    /// An excess that could not be asked about is unknown, whatever the refusal.
    fn excess(&mut self, subject: &str, permission: &str, granted: &Result<Vec<String>>) {
        let need = need_no_permission(subject, permission);
        self.checks.push(match granted {
            Ok(granted) if granted.iter().any(|found| found == permission) => need.missing("is granted"),
            Ok(_) => need.ready(),
            Err(error) => need.unknown(error.to_string()),
        });
    }

    fn into_checks(self, now: Timestamp) -> Vec<Check> {
        let (reachable, credential) = (need_reachable(PROVIDER), need_valid_credential(PROVIDER));
        let mut checks = match (self.answered, &self.silence) {
            (false, None) => vec![credential.unknown("no target to try it on")],
            (false, Some(error)) if error.kind() == ErrorKind::Unauthenticated => {
                vec![credential.failed(error)]
            }
            (false, Some(error)) => {
                let unread = error.to_string();
                vec![reachable.failed(error), credential.unknown(unread)]
            }
            (true, _) => vec![
                reachable.ready(),
                match self.refused {
                    true => credential.missing("the vendor does not accept it, or it has expired"),
                    false => credential.ready(),
                },
                need_clock(PROVIDER).same_time(now, self.date),
            ],
        };
        checks.extend(self.checks);
        checks
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Granted {
    /// Absent when nothing is granted.
    permissions: Vec<String>,
}

/// A name that no operation of the vendor's has.
const NO_OPERATION: &str = "ops-doctor-asks-for-none";
