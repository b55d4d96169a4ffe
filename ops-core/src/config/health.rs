use serde::Serialize;

use super::platform::read_base_url;
use super::report::Report;
use super::rule::{label, slug};
use super::section::Section;

/// A `[[health]]`: an endpoint that says whether something works. It is asked without a credential.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct HealthConfig {
    /// What gates call it; unique. Required.
    pub name: String,
    /// The whole URL; an answer of 200 to 299 is health. Required.
    pub url: String,
    /// A field of its JSON answer that must be `equals`; a dot goes one level deeper. Default: the answer is not read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// What `field` must be. Required with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub equals: Option<String>,
}

impl HealthConfig {
    pub(super) fn read(section: &Section<'_>, loopback_only: bool, report: &mut Report<'_>) -> Self {
        let name = section.required("name", slug, report);
        section.report_missing("url", report);
        let url = match section.gives("url") {
            true => read_base_url(section, "url", "", loopback_only, report),
            false => String::new(),
        };
        let field = section.optional("field", label, report);
        let equals = section.optional("equals", label, report);
        for (key, other) in [("field", "equals"), ("equals", "field")] {
            if section.gives(key) && !section.gives(other) {
                report.consequence(
                    section.place_of(key),
                    section.path_of(key),
                    format!("means nothing without `{other}`"),
                    format!("add `{other} = …`, or remove the key"),
                );
            }
        }
        Self {
            name,
            url,
            field,
            equals,
        }
    }
}
