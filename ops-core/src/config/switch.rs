use std::time::Duration;

use serde::Serialize;

use super::Env;
use super::report::Report;
use super::rule::{label, slug, variable};
use super::section::Section;

/// What a switch does once the shared store could not be read for a while.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnStale {
    /// Keeps what the store said last.
    #[default]
    Hold,
    /// Stops the feature when there was no contact for `grace`; it opens by a fresh read only. An outage of the store becomes one of the
    /// feature: for switches whose missed stop is worse than that.
    Stop {
        /// How long without contact.
        grace: Duration,
    },
}

/// A `[[switch]]`: a feature that can be switched off in every process at once.
///
/// ```
/// use ops_core::config::{Env, SwitchConfig};
///
/// let brain = SwitchConfig::new("llm-brain").with_env("USE_BRAIN_ARCHITECTURE", "false");
/// assert!(brain.stopped_by(&Env::from_pairs([("USE_BRAIN_ARCHITECTURE", "False")])));
/// assert!(!brain.stopped_by(&Env::from_pairs([("USE_BRAIN_ARCHITECTURE", "true")])));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(into = "Table")]
#[non_exhaustive]
pub struct SwitchConfig {
    /// Lower-case letters, digits and hyphens, a letter first, at most 63; unique. Required.
    pub name: String,
    /// The environment variable that stops the feature in a process that is started with it. Default: none.
    pub env: Option<String>,
    /// The value of `env` that stops, upper or lower case. Default: `false`.
    pub env_stops: String,
    /// Whether the feature is stopped while neither the shared store nor a file of what it said last could be read since the start:
    /// `default = "stopped"`. Default: `open`.
    pub stopped_by_default: bool,
    /// `on_stale = "hold"` or `"stop"`, the latter after `grace_seconds` (1 to 86 400, default 300). Default: `hold`.
    pub on_stale: OnStale,
}

/// As it is written in the file.
#[derive(Serialize)]
struct Table {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    env: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    env_stops: Option<String>,
    default: &'static str,
    on_stale: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    grace_seconds: Option<u64>,
}

impl From<SwitchConfig> for Table {
    fn from(config: SwitchConfig) -> Self {
        let (on_stale, grace_seconds) = match config.on_stale {
            OnStale::Hold => ("hold", None),
            OnStale::Stop { grace } => ("stop", Some(grace.as_secs())),
        };
        Self {
            name: config.name,
            env_stops: config.env.is_some().then_some(config.env_stops),
            env: config.env,
            default: if config.stopped_by_default {
                "stopped"
            } else {
                "open"
            },
            on_stale,
            grace_seconds,
        }
    }
}

impl SwitchConfig {
    /// A switch that nothing but the store stops, open by default.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            env: None,
            env_stops: ENV_STOPS.to_owned(),
            stopped_by_default: false,
            on_stale: OnStale::Hold,
        }
    }

    /// The variable that stops it, and the value that does.
    #[must_use]
    pub fn with_env(mut self, variable: impl Into<String>, stops: impl Into<String>) -> Self {
        self.env = Some(variable.into());
        self.env_stops = stops.into();
        self
    }

    /// Stopped until a store or the file of what it said last was read.
    #[must_use]
    pub fn stopped_by_default(mut self) -> Self {
        self.stopped_by_default = true;
        self
    }

    /// What it does without contact to the store.
    #[must_use]
    pub fn with_on_stale(mut self, on_stale: OnStale) -> Self {
        self.on_stale = on_stale;
        self
    }

    /// Whether `env` stops it.
    pub fn stopped_by(&self, env: &Env) -> bool {
        let value = self.env.as_deref().and_then(|name| env.text(name));
        value.is_some_and(|value| value.trim().eq_ignore_ascii_case(&self.env_stops))
    }

    pub(super) fn read(section: &Section<'_>, report: &mut Report<'_>) -> Self {
        let name = section.required("name", slug, report);
        let env = section.optional("env", variable, report);
        let env_stops = section.text_or("env_stops", ENV_STOPS, label, report);
        if section.gives("env_stops") && !section.gives("env") {
            report.fault(
                section.place_of("env_stops"),
                section.path_of("env_stops"),
                "has no variable to compare with",
                "add `env = \"VARIABLE\"`, or remove it",
            );
        }
        let stopped_by_default = section
            .choice("default", &[("open", false), ("stopped", true)], report)
            .unwrap_or(false);
        let stops = section
            .choice("on_stale", &[("hold", false), ("stop", true)], report)
            .unwrap_or(false);
        let grace = section.number("grace_seconds", GRACE, 1..=86_400, report);
        if section.gives("grace_seconds") && !section.gives("on_stale") {
            report.fault(
                section.place_of("grace_seconds"),
                section.path_of("grace_seconds"),
                "means nothing without `on_stale`",
                "add `on_stale = \"stop\"`, or remove it",
            );
        }
        let grace = Duration::from_secs(u64::from(grace));
        Self {
            name,
            env,
            env_stops,
            stopped_by_default,
            on_stale: if stops {
                OnStale::Stop { grace }
            } else {
                OnStale::Hold
            },
        }
    }
}

const ENV_STOPS: &str = "false";
const GRACE: u32 = 300;

/// All switches share one 64-bit word, and one bit of it tells that a stop was made meanwhile.
const MOST: usize = 63;

pub(super) fn report_too_many(sections: &[Section<'_>], report: &mut Report<'_>) {
    if let Some(first_too_many) = sections.get(MOST) {
        report.fault(
            first_too_many.at(),
            format!("switch[{}]", MOST + 1),
            format!("there are {} switches, {MOST} is the most", sections.len()),
            "remove switches that nothing asks about",
        );
    }
}
