use serde::Serialize;

use super::report::Report;
use super::rule::{base_url, variable, vendor_id};
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
    /// The environment variable with an access token. Default: `GOOGLE_OAUTH_ACCESS_TOKEN`.
    pub token_env: String,
}

impl GcpConfig {
    pub(super) fn read(section: &Section<'_>, loopback_only: bool, report: &mut Report<'_>) -> Self {
        Self {
            project: section.required("project", vendor_id, report),
            region: section.optional("region", vendor_id, report),
            run_base_url: read_base_url(
                section,
                "run_base_url",
                "https://run.googleapis.com",
                loopback_only,
                report,
            ),
            token_env: section.text_or("token_env", "GOOGLE_OAUTH_ACCESS_TOKEN", variable, report),
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
    /// What sort of token it is. Default: `project`.
    pub token_kind: RailwayTokenKind,
}

impl RailwayConfig {
    pub(super) fn read(section: &Section<'_>, loopback_only: bool, report: &mut Report<'_>) -> Self {
        let kinds = [
            ("project", RailwayTokenKind::Project),
            ("bearer", RailwayTokenKind::Bearer),
        ];
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
            token_env: section.text_or("token_env", "RAILWAY_TOKEN", variable, report),
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
}

impl VercelConfig {
    pub(super) fn read(section: &Section<'_>, loopback_only: bool, report: &mut Report<'_>) -> Self {
        Self {
            base_url: read_base_url(
                section,
                "base_url",
                "https://api.vercel.com",
                loopback_only,
                report,
            ),
            team: section.optional("team", vendor_id, report),
            token_env: section.text_or("token_env", "VERCEL_TOKEN", variable, report),
        }
    }
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
