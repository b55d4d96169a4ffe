use serde::{Deserialize, Serialize};

/// A project, as far as a stop touches it. The vendor sends many more fields.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Project {
    pub(super) id: String,
    pub(super) paused: Option<bool>,
    pub(super) auto_assign_custom_domains: Option<bool>,
    pub(super) targets: Option<Targets>,
}

impl Project {
    /// A project that was never paused may lack the field.
    pub(super) fn is_paused(&self) -> bool {
        self.paused.unwrap_or(false)
    }

    /// Whether new production deployments get the domains. Assigning them is the vendor's default, so a missing field is read
    /// as `true`; that a missing field means the default is not documented.
    pub(super) fn auto_assigns(&self) -> bool {
        self.auto_assign_custom_domains.unwrap_or(true)
    }

    /// The deployment that serves production.
    pub(super) fn production(&self) -> Option<&str> {
        Some(self.targets.as_ref()?.production.as_ref()?.id.as_str())
    }
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Targets {
    pub(super) production: Option<Deployment>,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Deployment {
    pub(super) id: String,
}

#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ProjectChange {
    pub(super) auto_assign_custom_domains: bool,
}

/// The vendor's error: `code` is a word; `message` may quote what was sent and is not read.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Failure {
    #[serde(default)]
    pub(super) error: FailureDetail,
}

#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct FailureDetail {
    #[serde(default)]
    pub(super) code: Option<String>,
    #[serde(default)]
    pub(super) limit: Option<Limit>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Limit {
    #[serde(default)]
    pub(super) reset_ms: Option<i64>,
}
