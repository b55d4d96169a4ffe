use std::time::Duration;

use serde::{Serialize, Serializer};

use super::RulesConfig;
use super::database::STRENGTHS;
use super::gate::{GateConfig, Stages, as_text};
use super::report::Report;
use super::rule::{quoted, slug};
use super::section::{Located, Section};
use crate::config::key::{GATE, nearest};
use crate::model::ReadOnlyStrength;

/// A `[[procedure]]`: what is stopped together, under one name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ProcedureConfig {
    /// What people type; unique. Lower-case letters, digits and hyphens, a letter first, at most 63. Required.
    pub name: String,
    /// What it does. Required.
    #[serde(flatten)]
    pub kind: ProcedureKind,
    /// Whether it makes the database read-only. Default: `false`; always `true` for
    /// [`DatabaseReadOnly`](ProcedureKind::DatabaseReadOnly).
    pub read_only_database: bool,
    /// How much the read-only mode is to withstand. Default: what `[database]` says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read_only_strength: Option<ReadOnlyStrength>,
    /// Who is told: audiences of `[[contact]]` tables. Default: nobody.
    pub notify: Vec<String>,
    /// How fast each step promises to be. In the file: `target_seconds`, 1 to 3600, default 60.
    #[serde(rename = "target_seconds", serialize_with = "seconds")]
    pub promised: Duration,
    /// What its stops must leave as it is. Default: nothing.
    #[serde(flatten)]
    pub rules: RulesConfig,
    /// For which percents of the users a restore opens what can be opened in parts, before it opens the whole: 1 to 99, rising. Default: none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ramp: Vec<u8>,
    /// Over how long the steps of an opening stage begin. In the file a text such as `"30s"`, at most an hour. Default: zero.
    #[serde(skip_serializing_if = "Duration::is_zero", serialize_with = "as_text")]
    pub jitter: Duration,
    /// What must be seen between the opening stages. In the file: `[[procedure.gate]]` tables. Default: nothing.
    #[serde(rename = "gate", skip_serializing_if = "Vec::is_empty")]
    pub gates: Vec<GateConfig>,
}

/// The kinds of procedures, with what each needs. The key `kind` in the file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ProcedureKind {
    /// `llm-brain-stop`: the switch of the language model, then its services.
    LlmBrainStop {
        /// The name of a `[[switch]]`.
        switch: String,
        /// Names of `[[service]]` tables, at least one.
        services: Vec<String>,
    },
    /// `api-stop`: services.
    ApiStop {
        /// Names of `[[service]]` tables, at least one.
        services: Vec<String>,
    },
    /// `database-read-only`: nothing but the database.
    DatabaseReadOnly,
}

impl ProcedureKind {
    /// The name in the file.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::LlmBrainStop { .. } => "llm-brain-stop",
            Self::ApiStop { .. } => "api-stop",
            Self::DatabaseReadOnly => "database-read-only",
        }
    }

    /// What opens in which stage.
    fn stages(&self, database: bool) -> Stages {
        match (self, database) {
            (Self::LlmBrainStop { .. }, true) => ANY_STAGE,
            (Self::LlmBrainStop { .. }, false) => &[("services", 1), ("switch", 2)],
            (Self::ApiStop { .. }, true) => &[("services", 0), ("database", 0)],
            (Self::ApiStop { .. }, false) => &[("services", 0)],
            (Self::DatabaseReadOnly, _) => &[("database", 0)],
        }
    }

    /// The names of the services it stops.
    pub fn services(&self) -> &[String] {
        match self {
            Self::LlmBrainStop { services, .. } | Self::ApiStop { services } => services,
            Self::DatabaseReadOnly => &[],
        }
    }
}

/// Where the kind is not known, a gate may name whatever one opens.
const ANY_STAGE: Stages = &[("database", 0), ("services", 1), ("switch", 2)];

const HOUR: Duration = Duration::from_secs(3600);

/// What a procedure may refer to.
#[derive(Debug)]
pub(super) struct Names<'a> {
    pub(super) services: Vec<&'a str>,
    pub(super) switches: Vec<&'a str>,
    pub(super) audiences: Vec<&'a str>,
    pub(super) windows: Vec<&'a str>,
    pub(super) checks: Vec<&'a str>,
    pub(super) database: bool,
}

impl ProcedureConfig {
    pub(super) fn read(section: &Section<'_>, names: &Names<'_>, report: &mut Report<'_>) -> Option<Self> {
        let name = section.required("name", slug, report);
        let seconds = section.number("target_seconds", 60, 1..=3600, report);
        let audiences = section.texts("notify", report);
        let notify = known(section, "notify", audiences, "contact", &names.audiences, report);
        section.report_missing("kind", report);
        let kind = read_kind(section, names, report);
        let rules = RulesConfig::read(section, names, report);
        let flag = section.flag("read_only_database", report);
        let only_database = kind == Some(ProcedureKind::DatabaseReadOnly);
        if only_database && section.gives("read_only_database") && !flag {
            report.fault(
                section.place_of("read_only_database"),
                section.path_of("read_only_database"),
                "is false, but this kind does nothing else",
                "remove the key",
            );
        }
        if (flag || only_database) && !names.database {
            let key = if flag { "read_only_database" } else { "kind" };
            report.consequence(
                section.place_of(key),
                section.path_of(key),
                "there is no [database] table that says which database",
                "add a [database] table",
            );
        }
        let strength = section.choice("read_only_strength", STRENGTHS, report);
        if strength.is_some() && !(flag || only_database) {
            report.fault(
                section.place_of("read_only_strength"),
                section.path_of("read_only_strength"),
                "is given, but this procedure leaves the database as it is",
                "add `read_only_database = true`, or remove the key",
            );
        }
        let ramp = section.rising("ramp", 1..=99, report);
        if only_database {
            report_useless(section, "ramp", "database-read-only", report);
        }
        let jitter = section.duration("jitter", Duration::ZERO, Duration::ZERO..=HOUR, report);
        let gates = section.sections("gate", GATE, report);
        let stages = kind
            .as_ref()
            .map_or(ANY_STAGE, |kind| kind.stages(flag || only_database));
        let gates = GateConfig::read_all(&gates, stages, &names.checks, report);
        Some(Self {
            name,
            kind: kind?,
            read_only_database: flag || only_database,
            read_only_strength: strength,
            notify,
            promised: Duration::from_secs(seconds.into()),
            gates,
            jitter,
            ramp,
            rules,
        })
    }
}

/// A kind as the file names it, before what it needs is read.
#[derive(Clone, Copy)]
enum Word {
    LlmBrainStop,
    ApiStop,
    DatabaseReadOnly,
}

const WORDS: &[(&str, Word)] = &[
    ("llm-brain-stop", Word::LlmBrainStop),
    ("api-stop", Word::ApiStop),
    ("database-read-only", Word::DatabaseReadOnly),
];

fn read_kind(section: &Section<'_>, names: &Names<'_>, report: &mut Report<'_>) -> Option<ProcedureKind> {
    match section.choice("kind", WORDS, report)? {
        Word::LlmBrainStop => {
            let switch = section.required("switch", slug, report);
            let at = section.place_of("switch");
            if !switch.is_empty() {
                let wanted = vec![Located {
                    value: switch.clone(),
                    at,
                }];
                known(section, "switch", wanted, "switch", &names.switches, report);
            }
            let services = read_services(section, names, report);
            Some(ProcedureKind::LlmBrainStop { switch, services })
        }
        Word::ApiStop => {
            report_useless(section, "switch", "api-stop", report);
            let services = read_services(section, names, report);
            Some(ProcedureKind::ApiStop { services })
        }
        Word::DatabaseReadOnly => {
            report_useless(section, "switch", "database-read-only", report);
            report_useless(section, "services", "database-read-only", report);
            Some(ProcedureKind::DatabaseReadOnly)
        }
    }
}

fn read_services(section: &Section<'_>, names: &Names<'_>, report: &mut Report<'_>) -> Vec<String> {
    section.report_missing("services", report);
    if section.is_empty_list("services") {
        report.fault(
            section.place_of("services"),
            section.path_of("services"),
            "is empty",
            "name at least one service",
        );
    }
    let wanted = section.texts("services", report);
    known(section, "services", wanted, "service", &names.services, report)
}

/// The `wanted` names, after reporting those that no `[[table]]` has.
pub(super) fn known(
    section: &Section<'_>,
    key: &str,
    wanted: Vec<Located<String>>,
    table: &str,
    names: &[&str],
    report: &mut Report<'_>,
) -> Vec<String> {
    for Located { value, at } in &wanted {
        if names.contains(&value.as_str()) {
            continue;
        }
        let remedy = match nearest(value, names.iter().copied()) {
            Some(meant) => format!("did you mean {}?", quoted(meant)),
            None => format!("add a [[{table}]] table of that name, or remove it here"),
        };
        report.consequence(
            *at,
            section.path_of(key),
            format!("there is no {table} {}", quoted(value)),
            remedy,
        );
    }
    wanted.into_iter().map(|located| located.value).collect()
}

fn report_useless(section: &Section<'_>, key: &str, kind: &str, report: &mut Report<'_>) {
    if section.gives(key) {
        report.fault(
            section.place_of(key),
            section.path_of(key),
            format!("has no meaning for {kind}"),
            "remove the key",
        );
    }
}

fn seconds<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(duration.as_secs())
}
