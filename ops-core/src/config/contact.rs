use serde::Serialize;

use super::report::Report;
use super::rule::{label, variable};
use super::section::Section;

/// A `[[contact]]`: somebody to tell.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ContactConfig {
    /// A channel (`#emergency`) or a person; unique. Required.
    pub audience: String,
    /// The environment variable with the phone number, which is personal data and stands in no file. Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phone_env: Option<String>,
}

impl ContactConfig {
    pub(super) fn read(section: &Section<'_>, report: &mut Report<'_>) -> Self {
        Self {
            audience: section.required("audience", label, report),
            phone_env: section.optional("phone_env", variable, report),
        }
    }
}
