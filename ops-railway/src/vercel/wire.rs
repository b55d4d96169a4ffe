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

/// A page of the list of projects. The contract at hand describes no answers, so this shape is unverified: `projects`, and in
/// `pagination.next` what goes into `from` for the next page, a number or null.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct ProjectPage {
    pub(super) projects: Vec<ListedProject>,
    pub(super) pagination: Pagination,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct ListedProject {
    pub(super) id: String,
    pub(super) name: String,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Pagination {
    next: Option<serde_json::Value>,
}

impl Pagination {
    /// What goes into `from`, if there is more.
    pub(super) fn next(&self) -> Option<String> {
        match self.next.as_ref()? {
            serde_json::Value::Number(number) => Some(number.to_string()),
            serde_json::Value::String(text) if crate::error::is_plain_id(text) => Some(text.clone()),
            _ => None,
        }
    }
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
