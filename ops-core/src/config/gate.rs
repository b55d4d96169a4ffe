use std::time::Duration;

use serde::{Serialize, Serializer};

use super::procedure::known;
use super::report::Report;
use super::rule::{alternatives, quoted};
use super::section::Section;

/// A `[[procedure.gate]]`: what must be seen before a restore goes on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct GateConfig {
    /// What it follows. In the file: `start`, `database`, `services`, `switch`, or the number of an opening stage. Required.
    #[serde(serialize_with = "after")]
    pub after: GateAfter,
    /// Names of `[[health]]` tables, at least one; all must hold.
    pub health: Vec<String>,
    /// For how long without a break. In the file a text such as `"60s"`, at most a day. Default: 60 s.
    #[serde(serialize_with = "as_text")]
    pub hold: Duration,
    /// How often it looks, from a second on. Default: 5 s.
    #[serde(serialize_with = "as_text")]
    pub every: Duration,
    /// When it gives up; longer than `hold`. Default: 10 minutes, or what `hold` needs beyond that.
    #[serde(serialize_with = "as_text")]
    pub patience: Duration,
}

/// Where a gate stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(clippy::exhaustive_enums, reason = "who builds a gate must decide on each")]
pub enum GateAfter {
    /// Before anything is opened: a check of a staging environment.
    Start,
    /// After an opening stage.
    Stage(u32),
}

/// The stages of a kind of procedure, by name.
pub(super) type Stages = &'static [(&'static str, u32)];

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 3600);

impl GateConfig {
    /// The gates of a procedure whose kind opens in `stages`.
    pub(super) fn read_all(
        sections: &[Section<'_>],
        stages: Stages,
        checks: &[&str],
        report: &mut Report<'_>,
    ) -> Vec<Self> {
        let mut gates: Vec<Self> = Vec::new();
        for section in sections {
            let Some(gate) = Self::read(section, stages, checks, report) else {
                continue;
            };
            if gates.iter().any(|other| other.after == gate.after) {
                report.fault(
                    section.place_of("after"),
                    section.path_of("after"),
                    "is the place of another gate",
                    "give one gate both checks",
                );
            }
            gates.push(gate);
        }
        gates
    }

    fn read(section: &Section<'_>, stages: Stages, checks: &[&str], report: &mut Report<'_>) -> Option<Self> {
        section.report_missing("after", report);
        section.report_missing("health", report);
        if section.is_empty_list("health") {
            report.fault(
                section.place_of("health"),
                section.path_of("health"),
                "is empty, and no data is never health",
                "name at least one [[health]] table",
            );
        }
        let wanted = section.texts("health", report);
        let health = known(section, "health", wanted, "health", checks, report);
        let hold = section.duration("hold", MINUTE, Duration::ZERO..=DAY, report);
        let every = section.duration(
            "every",
            Duration::from_secs(5),
            Duration::from_secs(1)..=DAY,
            report,
        );
        let patience = section.duration(
            "patience",
            (10 * MINUTE).max(2 * hold),
            Duration::ZERO..=2 * DAY,
            report,
        );
        if patience <= hold {
            report.fault(
                section.place_of("patience"),
                section.path_of("patience"),
                "is not longer than `hold`",
                "write a longer time, or remove the key",
            );
        }
        let after = place(section, stages, report)?;
        Some(Self {
            after,
            health,
            hold,
            every,
            patience,
        })
    }
}

fn place(section: &Section<'_>, stages: Stages, report: &mut Report<'_>) -> Option<GateAfter> {
    let last = stages.iter().map(|(_, stage)| *stage).max().unwrap_or(0);
    if let Some(name) = section.raw_text("after") {
        if name == "start" {
            return Some(GateAfter::Start);
        }
        if let Some((_, stage)) = stages.iter().find(|(known, _)| *known == name) {
            return Some(GateAfter::Stage(*stage));
        }
        let names = ["start"].into_iter().chain(stages.iter().map(|(name, _)| *name));
        let remedy = match super::key::nearest(name, names.clone()) {
            Some(meant) => format!("did you mean {}?", quoted(meant)),
            None => format!("use {}, or the number of an opening stage", alternatives(names)),
        };
        report.fault(
            section.place_of("after"),
            section.path_of("after"),
            format!("{} is nothing that this kind opens", quoted(name)),
            remedy,
        );
        return None;
    }
    if !section.gives("after") {
        return None;
    }
    let stage = section.number("after", last, 0..=last, report);
    if stages.iter().all(|(_, opens)| *opens != stage) {
        report.consequence(
            section.place_of("after"),
            section.path_of("after"),
            "is a stage in which this procedure opens nothing",
            format!("use {}", alternatives(stages.iter().map(|(name, _)| *name))),
        );
    }
    Some(GateAfter::Stage(stage))
}

fn after<S: Serializer>(after: &GateAfter, serializer: S) -> Result<S::Ok, S::Error> {
    match after {
        GateAfter::Start => serializer.serialize_str("start"),
        GateAfter::Stage(stage) => serializer.serialize_u32(*stage),
    }
}

pub(super) fn as_text<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&duration_text(*duration))
}

/// As [`parse_duration`] reads it.
pub(super) fn duration_text(duration: Duration) -> String {
    match duration.subsec_millis() {
        0 => format!("{}s", duration.as_secs()),
        _ => format!("{}ms", duration.as_millis()),
    }
}

/// `500ms`, `60s`, `5m`, `2h`.
pub(super) fn parse_duration(text: &str) -> Option<Duration> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let number: u32 = number.parse().ok()?;
    match unit {
        "ms" => Some(Duration::from_millis(number.into())),
        "s" => Some(Duration::from_secs(number.into())),
        "m" => MINUTE.checked_mul(number),
        "h" => (60 * MINUTE).checked_mul(number),
        _ => None,
    }
}
