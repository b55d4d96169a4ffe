//! `ops.toml`: which services, switches, people and procedures there are.
//!
//! The file is read as a whole. Everything that is wrong with it is reported at once, each fault with its line and what to do about
//! it, because a fault that hides behind another one is found in the next emergency. Secrets never stand in the file: a key that
//! ends in `_env` names the environment variable ([`Env`]) that holds one.
//!
//! ```
//! use ops_core::config::OpsConfig;
//!
//! let faults = OpsConfig::parse("
//!     lang = 'jp'
//!     [[service]]
//!     name = 'soul-kun-api'
//!     platfrom = 'cloud-run'
//! ").unwrap_err();
//! assert_eq!(faults.to_string(), "\
//! line 2: lang: unknown lang \"jp\" — use ja or en
//! line 3: service[1].platform: is missing — add `platform = …` to this table
//! line 5: service[1].platfrom: is not a known key — did you mean `platform`?");
//! ```

mod approval;
mod backup;
mod calendar;
mod contact;
mod database;
mod env;
mod fault;
mod gate;
mod health;
mod key;
mod masking;
mod personal;
mod platform;
mod preset;
mod procedure;
mod report;
mod rule;
mod safety;
mod section;
mod service;
mod shared_limits;
mod switch;
mod tenancy;
mod uncovered;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Serialize;
use toml::de::DeTable;

pub use self::approval::{ApprovalsConfig, ApproverConfig};
pub use self::backup::BackupConfig;
pub use self::calendar::CalendarConfig;
pub use self::contact::ContactConfig;
pub use self::database::DatabaseConfig;
pub use self::env::Env;
pub use self::fault::{ConfigFault, ConfigFaults};
pub use self::gate::{GateAfter, GateConfig};
pub use self::health::HealthConfig;
pub use self::personal::{PersonalDataConfig, PersonalDataEnd, RetentionConfig, RetentionUntil};
pub use self::platform::{GcpConfig, Platform, RailwayConfig, RailwayTokenKind, VercelConfig};
pub use self::preset::{Preset, preset};
use self::procedure::Names;
pub use self::procedure::{ProcedureConfig, ProcedureKind};
use self::report::Report;
pub use self::rule::is_bucket_name;
use self::rule::{Rule, quoted};
pub use self::safety::{AutomationConfig, KeepAtLeastConfig, RulesConfig, Unseen, WindowConfig};
use self::section::Section;
pub use self::service::ServiceConfig;
pub use self::shared_limits::{LimitsIn, SharedLimitsConfig};
pub use self::switch::{OnStale, SwitchConfig};
pub use self::tenancy::{TenancyConfig, TenancyPhase, TenantTableConfig};
pub use self::uncovered::UncoveredConfig;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Lang, MaskingPolicy, TenantId};

/// The whole of `ops.toml`. What it says is consistent when it was read; whoever changes a field keeps it so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct OpsConfig {
    /// The language of messages: `ja` or `en`. Default: `ja`.
    pub lang: Lang,
    /// Where journal, switches and audit log are kept without a database, and what must survive its outage with one.
    /// Default: `.ops`. [`load`](Self::load) takes it relative to the file's directory, [`parse`](Self::parse) leaves it.
    pub state_dir: PathBuf,
    /// Whether requests may go to this machine only: simulations, drills. Default: `false`.
    pub loopback_only: bool,
    /// Whose systems these are. Default: `org_soulsyncs`.
    pub tenant: TenantId,
    /// How to reach Google Cloud. Default: not used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gcp: Option<GcpConfig>,
    /// How to reach Railway. Default: not used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub railway: Option<RailwayConfig>,
    /// How to reach Vercel. Default: not used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vercel: Option<VercelConfig>,
    /// The PostgreSQL. Default: none; journal, switches and audit trail are files in `state_dir`, and nothing is made read-only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub database: Option<DatabaseConfig>,
    /// Where limits are counted that instances share. Default: nowhere, each instance counts for itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shared_limits: Option<SharedLimitsConfig>,
    /// Where copies of the database are, and what backups have to be like. Default: nowhere, and as the runbook says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backup: Option<BackupConfig>,
    /// The services. Default: none.
    #[serde(rename = "service", skip_serializing_if = "Vec::is_empty")]
    pub services: Vec<ServiceConfig>,
    /// The switches, at most 63. Default: none.
    #[serde(rename = "switch", skip_serializing_if = "Vec::is_empty")]
    pub switches: Vec<SwitchConfig>,
    /// Who can be told. Default: nobody.
    #[serde(rename = "contact", skip_serializing_if = "Vec::is_empty")]
    pub contacts: Vec<ContactConfig>,
    /// What can say whether something works. Default: nothing.
    #[serde(rename = "health", skip_serializing_if = "Vec::is_empty")]
    pub health: Vec<HealthConfig>,
    /// What can be stopped. Default: nothing.
    #[serde(rename = "procedure", skip_serializing_if = "Vec::is_empty")]
    pub procedures: Vec<ProcedureConfig>,
    /// Deployed services that are knowingly in no procedure. Default: none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub uncovered: Vec<UncoveredConfig>,
    /// How many signatures a plan needs.
    pub approvals: ApprovalsConfig,
    /// Whose signatures count. Default: nobody's.
    #[serde(rename = "approver", skip_serializing_if = "Vec::is_empty")]
    pub approvers: Vec<ApproverConfig>,
    /// Times in which procedures must not begin to stop. Default: none.
    #[serde(rename = "window", skip_serializing_if = "Vec::is_empty")]
    pub windows: Vec<WindowConfig>,
    /// How much automation may stop.
    pub automation: AutomationConfig,
    /// What becomes of personal values, by where a text goes. Default: the table of [`MaskingPolicy`].
    #[serde(skip_serializing_if = "is_default")]
    pub masking: MaskingPolicy,
    /// How the application's database tells tenants apart.
    #[serde(skip_serializing_if = "is_default")]
    pub tenancy: TenancyConfig,
    /// Where data of persons is, and what becomes of it on request. Default: nothing is known.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub personal_data: Vec<PersonalDataConfig>,
    /// How long data is kept. Default: for ever.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub retention: Vec<RetentionConfig>,
    /// What is to be done again and again. Default: nothing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub calendar: Vec<CalendarConfig>,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl OpsConfig {
    /// Reads a configuration.
    ///
    /// # Errors
    /// Every fault of the text. Where the text is not TOML, faults that may only follow from that are left out.
    pub fn parse(text: &str) -> Result<Self, ConfigFaults> {
        let mut report = Report::new(text);
        let (table, errors) = DeTable::parse_recoverable(text);
        for error in &errors {
            // The error's own `Display` repeats the line, which may hold a secret; its message does not.
            report.syntax(error.span().map_or(0, |span| span.start), error.message());
        }
        let config = read(
            &Section::root(table.get_ref(), key::ROOT, &mut report),
            &mut report,
        );
        let faults = report.finish();
        match config {
            Some(config) if faults.is_empty() => Ok(config),
            // `read` gives up only after a fault, so there is at least one.
            _ => Err(ConfigFaults { faults }),
        }
    }

    /// Reads the file at `path`; a relative `state_dir` then begins at the file's directory. Blocks while it reads.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidConfig`] for a file that cannot be read, is not UTF-8, or has faults: [`ConfigFaults::of`] finds them.
    pub fn load(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let failed = || {
            Error::new(ErrorKind::InvalidConfig, "read configuration")
                .context("file", path.display().to_string())
        };
        let text = std::fs::read_to_string(path).map_err(|source| failed().source(source))?;
        let mut config = Self::parse(&text).map_err(|faults| failed().source(faults))?;
        if let Some(directory) = path.parent() {
            config.state_dir = directory.join(&config.state_dir);
            let copies = config
                .backup
                .as_mut()
                .and_then(|backup| backup.directory.as_mut());
            if let Some(copies) = copies {
                *copies = directory.join(&*copies);
            }
        }
        Ok(config)
    }

    /// The configuration as a text that [`parse`](Self::parse) reads back to the same. It holds no secret.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] for a `state_dir` that is not Unicode.
    pub fn to_toml(&self) -> Result<String> {
        toml::to_string(self)
            .map_err(|source| Error::new(ErrorKind::InvalidInput, "write configuration").source(source))
    }

    /// The service of that name.
    pub fn service(&self, name: &str) -> Option<&ServiceConfig> {
        self.services.iter().find(|service| service.name == name)
    }

    /// The window of that name.
    pub fn window(&self, name: &str) -> Option<&WindowConfig> {
        self.windows.iter().find(|window| window.name == name)
    }

    /// The procedure of that name.
    pub fn procedure(&self, name: &str) -> Option<&ProcedureConfig> {
        self.procedures.iter().find(|procedure| procedure.name == name)
    }

    /// Approvers who still have the key of a preset, for which nobody can sign.
    pub fn placeholder_approvers(&self) -> impl Iterator<Item = &ApproverConfig> {
        self.approvers
            .iter()
            .filter(|approver| preset::is_placeholder(&approver.public_key))
    }
}

/// Reads the known keys; `None` only after a fault.
fn read(root: &Section<'_>, report: &mut Report<'_>) -> Option<OpsConfig> {
    let loopback_only = root.flag("loopback_only", report);
    let gcp = root
        .section("gcp", key::GCP, report)
        .map(|section| GcpConfig::read(&section, loopback_only, report));
    let railway = root
        .section("railway", key::RAILWAY, report)
        .map(|section| RailwayConfig::read(&section, loopback_only, report));
    let vercel = root
        .section("vercel", key::VERCEL, report)
        .map(|section| VercelConfig::read(&section, loopback_only, report));
    let database = root
        .section("database", key::DATABASE, report)
        .map(|section| DatabaseConfig::read(&section, report));
    let shared_limits = root
        .section("shared_limits", key::SHARED_LIMITS, report)
        .map(|section| SharedLimitsConfig::read(&section, report));
    let backup = root
        .section("backup", key::BACKUP, report)
        .map(|section| BackupConfig::read(&section, report));

    let service_sections = root.sections("service", key::SERVICE, report);
    let services: Vec<Option<ServiceConfig>> = service_sections
        .iter()
        .map(|section| {
            let configured = |platform: Platform| root.gives(platform.table());
            ServiceConfig::read(section, gcp.as_ref(), configured, report)
        })
        .collect();
    let named = report_repeated(&service_sections, "name", report);
    let whole = service_sections
        .iter()
        .zip(&services)
        .filter_map(|(section, service)| Some((section, service.as_ref()?)));
    ServiceConfig::report_same(whole, report);

    let switch_sections = root.sections("switch", key::SWITCH, report);
    switch::report_too_many(&switch_sections, report);
    let switches: Vec<SwitchConfig> = switch_sections
        .iter()
        .map(|section| SwitchConfig::read(section, report))
        .collect();
    let switchable = report_repeated(&switch_sections, "name", report);

    let contact_sections = root.sections("contact", key::CONTACT, report);
    let contacts = contact_sections
        .iter()
        .map(|section| ContactConfig::read(section, report))
        .collect();
    let audiences = report_repeated(&contact_sections, "audience", report);

    let window_sections = root.sections("window", key::WINDOW, report);
    let windows: Vec<Option<WindowConfig>> = window_sections
        .iter()
        .map(|section| WindowConfig::read(section, report))
        .collect();
    let window_names = report_repeated(&window_sections, "name", report);
    let automation = root
        .section("automation", key::AUTOMATION, report)
        .map_or_else(AutomationConfig::default, |section| {
            AutomationConfig::read(&section, report)
        });
    let health_sections = root.sections("health", key::HEALTH, report);
    let health: Vec<HealthConfig> = health_sections
        .iter()
        .map(|section| HealthConfig::read(section, loopback_only, report))
        .collect();
    let checks = report_repeated(&health_sections, "name", report);

    let names = Names {
        services: named,
        switches: switchable,
        audiences,
        windows: window_names,
        checks,
        database: root.gives("database"),
    };
    let procedure_sections = root.sections("procedure", key::PROCEDURE, report);
    let procedures: Vec<Option<ProcedureConfig>> = procedure_sections
        .iter()
        .map(|section| ProcedureConfig::read(section, &names, report))
        .collect();
    report_repeated(&procedure_sections, "name", report);

    let uncovered_sections = root.sections("uncovered", key::UNCOVERED, report);
    let uncovered = uncovered_sections
        .iter()
        .map(|section| UncoveredConfig::read(section, report))
        .collect();
    report_repeated(&uncovered_sections, "target", report);

    let approver_sections = root.sections("approver", key::APPROVER, report);
    let approvers: Vec<ApproverConfig> = approver_sections
        .iter()
        .map(|section| ApproverConfig::read(section, report))
        .collect();
    report_repeated(&approver_sections, "name", report);
    report_repeated(&approver_sections, "public_key", report);
    let approvals_section = root.section("approvals", key::APPROVALS, report);
    let approvals = approvals_section
        .as_ref()
        .map_or_else(ApprovalsConfig::default, |section| {
            ApprovalsConfig::read(section, report)
        });
    // Without a procedure there is nothing to approve.
    if let Some(first) = procedure_sections.first() {
        approvals.report_unmet(approvals_section.as_ref(), approvers.len(), first.at(), report);
    }

    let personal_sections = root.sections("personal_data", key::PERSONAL_DATA, report);
    let personal_data: Vec<Option<PersonalDataConfig>> = personal_sections
        .iter()
        .map(|section| PersonalDataConfig::read(section, report))
        .collect();
    report_repeated(&personal_sections, "table", report);
    let retention_sections = root.sections("retention", key::RETENTION, report);
    let retention: Vec<Option<RetentionConfig>> = retention_sections
        .iter()
        .map(|section| RetentionConfig::read(section, report))
        .collect();
    report_repeated(&retention_sections, "name", report);
    let calendar_sections = root.sections("calendar", key::CALENDAR, report);
    let calendar: Vec<Option<CalendarConfig>> = calendar_sections
        .iter()
        .map(|section| CalendarConfig::read(section, report))
        .collect();
    report_repeated(&calendar_sections, "id", report);

    Some(OpsConfig {
        lang: root.choice("lang", LANGS, report).unwrap_or_default(),
        state_dir: root.text_or("state_dir", ".ops", rule::path, report).into(),
        loopback_only,
        tenant: TenantId::new(root.text_or("tenant", "org_soulsyncs", TENANT, report)).ok()?,
        gcp,
        railway,
        vercel,
        database,
        shared_limits,
        backup,
        services: services.into_iter().collect::<Option<_>>()?,
        switches,
        contacts,
        health,
        procedures: procedures.into_iter().collect::<Option<_>>()?,
        uncovered,
        approvals,
        approvers,
        windows: windows.into_iter().collect::<Option<_>>()?,
        automation,
        masking: root
            .section("masking", key::MASKING, report)
            .map_or_else(MaskingPolicy::default, |section| masking::read(&section, report)),
        tenancy: root
            .section("tenancy", key::TENANCY, report)
            .map_or_else(TenancyConfig::default, |section| {
                TenancyConfig::read(&section, report)
            }),
        personal_data: personal_data.into_iter().collect::<Option<_>>()?,
        retention: retention.into_iter().collect::<Option<_>>()?,
        calendar: calendar.into_iter().collect::<Option<_>>()?,
    })
}

const LANGS: &[(&str, Lang)] = &[("ja", Lang::Ja), ("en", Lang::En)];

const TENANT: Rule = |text| match TenantId::new(text) {
    Ok(_) => Ok(()),
    Err(_) => Err(rule::Wrong::new(
        "is not a tenant id",
        "use 1 to 100 visible ASCII characters without a space",
    )),
};

/// Gives the names of the tables, after reporting those that an earlier table has already.
fn report_repeated<'a>(sections: &[Section<'a>], key: &str, report: &mut Report<'_>) -> Vec<&'a str> {
    let mut firsts: BTreeMap<&str, usize> = BTreeMap::new();
    for section in sections {
        let Some(name) = section.raw_text(key) else {
            continue;
        };
        let at = section.place_of(key);
        let first = *firsts.entry(name).or_insert(at);
        if first != at {
            let line = report.line(first);
            report.fault(
                at,
                section.path_of(key),
                format!("{} is taken by the table at line {line}", quoted(name)),
                "give each its own",
            );
        }
    }
    firsts.into_keys().collect()
}
