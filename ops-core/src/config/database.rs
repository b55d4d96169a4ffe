use serde::Serialize;

use super::report::Report;
use super::rule::{label, variable};
use super::section::Section;

/// `[database]`: the PostgreSQL that holds journal, switches and audit trail, and that can be made read-only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct DatabaseConfig {
    /// The environment variable with the URL. Default: `DATABASE_URL`.
    pub url_env: String,
    /// The environment variable with the URL of the audit writer's own role. Without it, the default, audit records
    /// wait in a file while the database is read-only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audit_url_env: Option<String>,
    /// The database to make read-only; `None`, the default: the one in the URL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

impl DatabaseConfig {
    pub(super) fn read(section: &Section<'_>, report: &mut Report<'_>) -> Self {
        let database = Self {
            url_env: section.text_or("url_env", "DATABASE_URL", variable, report),
            audit_url_env: section.optional("audit_url_env", variable, report),
            name: section.optional("name", label, report),
        };
        if database.audit_url_env.as_ref() == Some(&database.url_env) {
            report.fault(
                section.place_of("audit_url_env"),
                section.path_of("audit_url_env"),
                "is the same variable as url_env",
                "name a variable with the URL of a role of its own, or remove the key",
            );
        }
        database
    }
}
