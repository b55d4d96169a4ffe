use std::time::Duration;

use serde::{Serialize, Serializer};

use super::procedure::{Names, known};
use super::report::Report;
use super::rule::{Wrong, slug};
use super::section::{Located, Section};
use super::{key, rule};
use crate::model::{TimeOfDay, Timestamp, Weekday, Window};

/// The rules of a `[[procedure]]`, which its stops keep. Each is overridden by the name that stands with it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct RulesConfig {
    /// `keep-at-least`: so many services serve afterwards. Default: no such rule.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_at_least: Option<KeepAtLeastConfig>,
    /// `at-most`: the most targets that are taken down, 1 to 1000. Default: any number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at_most: Option<u32>,
    /// `requires:NAME`: services, and switches as `switch:NAME`, that are stopped first. Default: none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub requires: Vec<String>,
    /// `not-during:NAME`: `[[window]]` tables in which no stop begins. Default: none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not_during: Vec<String>,
    /// What the rules answer when they cannot see a target: `all-but-automation`, `refuse` or `go-ahead`. Default: `all-but-automation`.
    #[serde(skip_serializing_if = "is_default")]
    pub unseen: Unseen,
}

/// `keep_at_least = { up = 1, of = ["…"] }`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct KeepAtLeastConfig {
    /// How many, 1 to 1000. Required.
    pub up: u32,
    /// Names of `[[service]]` tables, at least `up`. Required.
    pub of: Vec<String>,
}

/// What is answered when something cannot be observed or read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Unseen {
    /// A person's stop goes ahead, automation's does not.
    #[default]
    AllButAutomation,
    /// The stop is refused.
    Refuse,
    /// The stop goes ahead.
    GoAhead,
}

const UNSEEN: &[(&str, Unseen)] = &[
    ("all-but-automation", Unseen::AllButAutomation),
    ("refuse", Unseen::Refuse),
    ("go-ahead", Unseen::GoAhead),
];

impl RulesConfig {
    pub(super) fn read(section: &Section<'_>, names: &Names<'_>, report: &mut Report<'_>) -> Self {
        let keep_at_least = section
            .section("keep_at_least", key::KEEP_AT_LEAST, report)
            .map(|section| KeepAtLeastConfig::read(&section, names, report));
        let at_most = section.number("at_most", 1, 1..=1000, report);
        let features: Vec<_> = names
            .switches
            .iter()
            .map(|name| format!("switch:{name}"))
            .collect();
        let stoppable: Vec<&str> = names
            .services
            .iter()
            .copied()
            .chain(features.iter().map(String::as_str))
            .collect();
        let requires = section.texts("requires", report);
        let requires = known(section, "requires", requires, "service", &stoppable, report);
        let windows = section.texts("not_during", report);
        let not_during = known(section, "not_during", windows, "window", &names.windows, report);
        Self {
            keep_at_least,
            at_most: section.gives("at_most").then_some(at_most),
            requires,
            not_during,
            unseen: section.choice("unseen", UNSEEN, report).unwrap_or_default(),
        }
    }
}

impl KeepAtLeastConfig {
    fn read(section: &Section<'_>, names: &Names<'_>, report: &mut Report<'_>) -> Self {
        section.report_missing("of", report);
        section.report_missing("up", report);
        let up = section.number("up", 1, 1..=1000, report);
        let wanted: Vec<Located<String>> = section.texts("of", report);
        let of = known(section, "of", wanted, "service", &names.services, report);
        if section.gives("of") && usize::try_from(up).is_ok_and(|up| up > of.len()) {
            report.consequence(
                section.place_of("up"),
                section.path_of("up"),
                format!("is {up}, and `of` names {} services", of.len()),
                "name more services, or keep fewer up",
            );
        }
        Self { up, of }
    }
}

/// A `[[window]]`: a span of time in which a procedure must not begin to stop.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct WindowConfig {
    /// Lower-case letters, digits and hyphens; unique. Required.
    pub name: String,
    /// Either `from` and `until`, times of day in Japan, on `days` (default: all; `mon` to `sun`), or `start` and `end`, times in RFC 3339.
    #[serde(flatten)]
    pub window: Window,
}

impl WindowConfig {
    pub(super) fn read(section: &Section<'_>, report: &mut Report<'_>) -> Option<Self> {
        let name = section.required("name", slug, report);
        let once = section.gives("start") || section.gives("end");
        let (mine, others) = if once {
            (["start", "end"], ["from", "until", "days"].as_slice())
        } else {
            (["from", "until"], [].as_slice())
        };
        for other in others.iter().filter(|other| section.gives(other)) {
            report.fault(
                section.place_of(other),
                section.path_of(other),
                "does not go with start and end",
                "give either from and until, or start and end",
            );
        }
        let check = if once { instant } else { time_of_day };
        let [first, last] = mine.map(|key| section.required(key, check, report));
        let window = if once {
            let (start, end): (Timestamp, Timestamp) = (first.parse().ok()?, last.parse().ok()?);
            if end <= start {
                report.fault(
                    section.place_of("end"),
                    section.path_of("end"),
                    "is not after start",
                    "write a later time",
                );
            }
            Window::Once { start, end }
        } else {
            let days = days(section, report);
            let (from, until): (TimeOfDay, TimeOfDay) = (first.parse().ok()?, last.parse().ok()?);
            Window::Weekly { days, from, until }
        };
        Some(Self { name, window })
    }
}

fn days(section: &Section<'_>, report: &mut Report<'_>) -> Vec<Weekday> {
    const NAMES: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
    if !section.gives("days") {
        return Weekday::ALL.to_vec();
    }
    if section.is_empty_list("days") {
        report.fault(
            section.place_of("days"),
            section.path_of("days"),
            "is empty",
            "name at least one day, or remove the key",
        );
    }
    let mut days = Vec::new();
    for Located { value, at } in section.texts("days", report) {
        match NAMES.iter().position(|name| *name == value) {
            Some(position) => days.push(Weekday::ALL[position]),
            None => report.fault(
                at,
                section.path_of("days"),
                format!("{} is no day", rule::quoted(&value)),
                format!("use {}", rule::alternatives(NAMES)),
            ),
        }
    }
    days
}

fn time_of_day(text: &str) -> Result<(), Wrong> {
    let wrong = || {
        Wrong::new(
            "is not a time of day",
            "write HH:MM in Japanese time, from 00:00 to 24:00",
        )
    };
    text.parse::<TimeOfDay>().map(drop).map_err(|_| wrong())
}

fn instant(text: &str) -> Result<(), Wrong> {
    let wrong = || Wrong::new("is not a time", "write it as in \"2026-12-31T22:00:00+09:00\"");
    text.parse::<Timestamp>().map(drop).map_err(|_| wrong())
}

/// `[automation]`: how much a rule that acts by itself may stop.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct AutomationConfig {
    /// The most targets that one run takes down, 1 to 1000. Default: 5.
    pub max_targets: u32,
    /// No other automated stop, of whatever procedure, in this time; below 5 minutes it is 5. In the file: `window_minutes`, 1 to 10080,
    /// default 60.
    #[serde(rename = "window_minutes", serialize_with = "minutes")]
    pub window: Duration,
    /// What is answered when the journal cannot tell of the last run: `refuse` or `go-ahead`. Default: `refuse`.
    pub journal_unread: Unseen,
}

impl Default for AutomationConfig {
    fn default() -> Self {
        Self {
            max_targets: 5,
            window: Duration::from_secs(3600),
            journal_unread: Unseen::Refuse,
        }
    }
}

impl AutomationConfig {
    pub(super) fn read(section: &Section<'_>, report: &mut Report<'_>) -> Self {
        let minutes = section.number("window_minutes", 60, 1..=7 * 24 * 60, report);
        Self {
            max_targets: section.number("max_targets", 5, 1..=1000, report),
            window: Duration::from_secs(u64::from(minutes) * 60),
            journal_unread: section
                .choice("journal_unread", &UNSEEN[1..], report)
                .unwrap_or(Unseen::Refuse),
        }
    }
}

fn minutes<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(duration.as_secs() / 60)
}

fn is_default(unseen: &Unseen) -> bool {
    *unseen == Unseen::default()
}
