use serde::Serialize;

use super::report::Report;
use super::rule::{base_url, bucket, project_id, variable, vendor_id};
use super::section::Section;

/// Where a service runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Platform {
    /// Google Cloud Run.
    CloudRun,
    /// Railway.
    Railway,
    /// Vercel.
    Vercel,
}

impl Platform {
    /// Every platform with its name in the file.
    pub(super) const CHOICES: &[(&str, Self)] = &[
        ("cloud-run", Self::CloudRun),
        ("railway", Self::Railway),
        ("vercel", Self::Vercel),
    ];

    /// The name in the file: `cloud-run`, `railway`, `vercel`. It is also the system of the service's
    /// [`TargetId`](crate::model::TargetId).
    pub fn as_str(self) -> &'static str {
        match self {
            Self::CloudRun => "cloud-run",
            Self::Railway => "railway",
            Self::Vercel => "vercel",
        }
    }

    /// The table that describes how to reach it.
    pub(super) fn table(self) -> &'static str {
        match self {
            Self::CloudRun => "gcp",
            Self::Railway => "railway",
            Self::Vercel => "vercel",
        }
    }
}

/// `[gcp]`: how to reach Google Cloud.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct GcpConfig {
    /// The project's id. Required.
    pub project: String,
    /// Where services run that do not say it themselves. No default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// The start of every URL of the Cloud Run Admin API, without a slash at the end. Default: `https://run.googleapis.com`.
    pub run_base_url: String,
    /// Further regions in which `doctor` looks for services. The vendor lists one region at a time. Default: none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub inventory_regions: Vec<String>,
    /// The start of every URL of the other Google APIs: those that `doctor` and the list of queues read, Cloud Storage, and Identity Toolkit. Default: each API's own address; with
    /// `loopback_only`, that of `run_base_url`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_base_url: Option<String>,
    /// The bucket that keeps evidence: `doctor` looks whether the everyday credential may. Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub evidence_bucket: Option<String>,
    /// The project whose Identity Toolkit keeps the users: `opsctl user` ends their sessions and suspends their accounts there. Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub identity_project: Option<String>,
    /// The environment variable with an access token. Default: `GOOGLE_OAUTH_ACCESS_TOKEN`.
    pub token_env: String,
    /// The environment variable with the credential of the button: one that may stop and restore, and no more. Default: none;
    /// the everyday one is used, and `doctor` says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub emergency_token_env: Option<String>,
}

impl GcpConfig {
    pub(super) fn read(section: &Section<'_>, loopback_only: bool, report: &mut Report<'_>) -> Self {
        let run_base_url = read_base_url(
            section,
            "run_base_url",
            "https://run.googleapis.com",
            loopback_only,
            report,
        );
        let api_base_url = match section.gives("api_base_url") {
            true => Some(read_base_url(section, "api_base_url", "", loopback_only, report)),
            false => loopback_only.then(|| run_base_url.clone()),
        };
        let regions = section.texts("inventory_regions", report);
        for region in &regions {
            if let Err(wrong) = vendor_id(&region.value) {
                report.fault(
                    region.at,
                    section.path_of("inventory_regions"),
                    wrong.problem,
                    wrong.remedy,
                );
            }
        }
        let token_env = section.text_or("token_env", "GOOGLE_OAUTH_ACCESS_TOKEN", variable, report);
        Self {
            project: section.required("project", vendor_id, report),
            region: section.optional("region", vendor_id, report),
            inventory_regions: regions.into_iter().map(|region| region.value).collect(),
            run_base_url,
            api_base_url,
            evidence_bucket: section.optional("evidence_bucket", bucket, report),
            identity_project: section.optional("identity_project", project_id, report),
            emergency_token_env: emergency(section, &token_env, report),
            token_env,
        }
    }
}

/// `[railway]`: how to reach Railway.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct RailwayConfig {
    /// The start of every URL, without a slash at the end. Default: `https://backboard.railway.com`.
    pub base_url: String,
    /// The project's id. Required.
    pub project: String,
    /// The environment's id. Required.
    pub environment: String,
    /// The environment variable with the token. Default: `RAILWAY_TOKEN`.
    pub token_env: String,
    /// The environment variable with the credential of the button: one that may stop and restore, and no more. Default: none;
    /// the everyday one is used, and `doctor` says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub emergency_token_env: Option<String>,
    /// What sort of token it is. Default: `project`.
    pub token_kind: RailwayTokenKind,
}

impl RailwayConfig {
    pub(super) fn read(section: &Section<'_>, loopback_only: bool, report: &mut Report<'_>) -> Self {
        let kinds = [
            ("project", RailwayTokenKind::Project),
            ("bearer", RailwayTokenKind::Bearer),
        ];
        let token_env = section.text_or("token_env", "RAILWAY_TOKEN", variable, report);
        Self {
            base_url: read_base_url(
                section,
                "base_url",
                "https://backboard.railway.com",
                loopback_only,
                report,
            ),
            project: section.required("project", vendor_id, report),
            environment: section.required("environment", vendor_id, report),
            emergency_token_env: emergency(section, &token_env, report),
            token_env,
            token_kind: section.choice("token_kind", &kinds, report).unwrap_or_default(),
        }
    }
}

/// How Railway wants a token to be sent: one sort sent as the other is refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum RailwayTokenKind {
    /// A project token, bound to one environment: `Project-Access-Token`.
    #[default]
    Project,
    /// An account, workspace or OAuth token: `Authorization: Bearer`.
    Bearer,
}

/// `[vercel]`: how to reach Vercel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct VercelConfig {
    /// The start of every URL, without a slash at the end. Default: `https://api.vercel.com`.
    pub base_url: String,
    /// The team that owns the projects; `None`, the default: the token's personal account.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub team: Option<String>,
    /// The environment variable with the token. Default: `VERCEL_TOKEN`.
    pub token_env: String,
    /// The environment variable with the credential of the button: one that may stop and restore, and no more. Default: none;
    /// the everyday one is used, and `doctor` says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub emergency_token_env: Option<String>,
}

impl VercelConfig {
    pub(super) fn read(section: &Section<'_>, loopback_only: bool, report: &mut Report<'_>) -> Self {
        let token_env = section.text_or("token_env", "VERCEL_TOKEN", variable, report);
        Self {
            base_url: read_base_url(
                section,
                "base_url",
                "https://api.vercel.com",
                loopback_only,
                report,
            ),
            team: section.optional("team", vendor_id, report),
            emergency_token_env: emergency(section, &token_env, report),
            token_env,
        }
    }
}

/// A second variable: the same one twice would be one credential under two names.
fn emergency(section: &Section<'_>, everyday: &str, report: &mut Report<'_>) -> Option<String> {
    let named = section.optional("emergency_token_env", variable, report)?;
    if named == everyday {
        report.fault(
            section.place_of("emergency_token_env"),
            section.path_of("emergency_token_env"),
            "is the same variable as token_env",
            "name a variable with a token of its own, or remove the key",
        );
    }
    Some(named)
}

pub(super) fn read_base_url(
    section: &Section<'_>,
    key: &str,
    default: &str,
    loopback_only: bool,
    report: &mut Report<'_>,
) -> String {
    let given = section.optional(key, base_url, report);
    let readable = given.is_some() || !section.gives(key);
    let url = given.unwrap_or_else(|| default.to_owned());
    if loopback_only && readable && crate::http::HostPolicy::LoopbackOnly.check(&url).is_err() {
        report.fault(
            section.place_of(key),
            section.path_of(key),
            "leads to another machine, although loopback_only is true",
            format!("give {key} = \"http://127.0.0.1:PORT\", or remove loopback_only"),
        );
    }
    url.trim_end_matches('/').to_owned()
}
