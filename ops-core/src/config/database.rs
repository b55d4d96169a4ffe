use std::ops::RangeInclusive;
use std::time::Duration;

use serde::Serialize;

use super::gate::as_text;
use super::key::SESSION_RULE;
use super::report::Report;
use super::rule::{label, slug, variable};
use super::section::Section;
use crate::model::{ReadOnlyStrength, SessionDeed, SessionMatch, SessionRule, SessionTrouble};

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
    /// How much its read-only mode is to withstand. In the file `brake`, `strict` or `wall`, the default.
    pub strength: ReadOnlyStrength,
    /// Applications whose sessions a stop does not end while they have written nothing; a `*` at the end stands for any rest. Default:
    /// `pg_dump`.
    pub spare_applications: Vec<String>,
    /// Roles whose sessions are neither ended by a stop while they have written nothing, nor cancelled by a rule. Default: none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub spare_roles: Vec<String>,
    /// Whether a stop rolls back prepared transactions, which nothing brings back. Default: `false`.
    pub roll_back_prepared: bool,
    /// The environment variable with the URL of the application's role, to try writes with. Default: none are tried.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub probe_url_env: Option<String>,
    /// The environment variable with the same role's URL through the pooler. Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pooled_url_env: Option<String>,
    /// How long a statement may take under `opsctl db timeouts on`. In the file a text such as `"30s"`, the default; 1 s to an hour, as the next two.
    #[serde(serialize_with = "as_text")]
    pub statement_timeout: Duration,
    /// How long it may wait for a lock. Default: `"5s"`.
    #[serde(serialize_with = "as_text")]
    pub lock_timeout: Duration,
    /// How long a transaction may be open in which nothing runs. Default: `"60s"`.
    #[serde(serialize_with = "as_text")]
    pub idle_in_transaction_timeout: Duration,
    /// Which sessions `opsctl db cancel` acts on. In the file: `[[database.session_rule]]` tables. Default: none.
    #[serde(rename = "session_rule", skip_serializing_if = "Vec::is_empty")]
    pub session_rules: Vec<SessionRule>,
}

impl DatabaseConfig {
    pub(super) fn read(section: &Section<'_>, report: &mut Report<'_>) -> Self {
        let database = Self {
            url_env: section.text_or("url_env", "DATABASE_URL", variable, report),
            audit_url_env: section.optional("audit_url_env", variable, report),
            name: section.optional("name", label, report),
            strength: section.choice("strength", STRENGTHS, report).unwrap_or_default(),
            spare_applications: match section.gives("spare_applications") {
                true => texts(section, "spare_applications", report),
                false => vec!["pg_dump".to_owned()],
            },
            spare_roles: texts(section, "spare_roles", report),
            roll_back_prepared: section.flag("roll_back_prepared", report),
            probe_url_env: section.optional("probe_url_env", variable, report),
            pooled_url_env: section.optional("pooled_url_env", variable, report),
            statement_timeout: section.duration("statement_timeout", MINUTE / 2, TIMEOUTS, report),
            lock_timeout: section.duration("lock_timeout", MINUTE / 12, TIMEOUTS, report),
            idle_in_transaction_timeout: section.duration(
                "idle_in_transaction_timeout",
                MINUTE,
                TIMEOUTS,
                report,
            ),
            session_rules: section
                .sections("session_rule", SESSION_RULE, report)
                .iter()
                .filter_map(|rule| read_rule(rule, report))
                .collect(),
        };
        if database.pooled_url_env.is_some() && database.probe_url_env.is_none() {
            report.fault(
                section.place_of("pooled_url_env"),
                section.path_of("pooled_url_env"),
                "is given without probe_url_env",
                "name the variable with the direct URL of the same role too",
            );
        }
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

impl DatabaseConfig {
    /// Whose sessions a stop spares.
    pub fn spared(&self) -> Vec<SessionMatch> {
        let applications = self.spare_applications.iter().map(SessionMatch::application);
        applications
            .chain(self.spare_roles.iter().map(SessionMatch::role))
            .collect()
    }
}

fn texts(section: &Section<'_>, key: &str, report: &mut Report<'_>) -> Vec<String> {
    let texts = section.texts(key, report);
    texts.into_iter().map(|text| text.value).collect()
}

fn read_rule(section: &Section<'_>, report: &mut Report<'_>) -> Option<SessionRule> {
    let name = section.required("name", slug, report);
    section.report_missing("when", report);
    section.report_missing("deed", report);
    let when = section.choice("when", TROUBLES, report);
    let deed = section.choice("deed", DEEDS, report);
    let longer_than = section.duration(
        "longer_than",
        MINUTE,
        Duration::from_secs(1)..=60 * MINUTE * 24,
        report,
    );
    let of = SessionMatch {
        role: section.optional("role", label, report),
        application: section.optional("application", label, report),
    };
    let rule = SessionRule::new(name, when?, longer_than, deed?);
    Some(match of == SessionMatch::default() {
        true => rule,
        false => rule.of(of),
    })
}

/// The words for strengths.
pub(super) const STRENGTHS: &[(&str, ReadOnlyStrength)] = &[
    ("brake", ReadOnlyStrength::Brake),
    ("strict", ReadOnlyStrength::Strict),
    ("wall", ReadOnlyStrength::Wall),
];
const TROUBLES: &[(&str, SessionTrouble)] = &[
    ("running", SessionTrouble::Running),
    ("idle-in-transaction", SessionTrouble::IdleInTransaction),
    ("blocking", SessionTrouble::Blocking),
];
const DEEDS: &[(&str, SessionDeed)] = &[("cancel", SessionDeed::Cancel), ("end", SessionDeed::End)];
const MINUTE: Duration = Duration::from_secs(60);
const TIMEOUTS: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(3600);
