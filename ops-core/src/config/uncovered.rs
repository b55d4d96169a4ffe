use serde::Serialize;

use super::report::Report;
use super::rule::{Wrong, label};
use super::section::Section;
use crate::model::{TargetId, Timestamp};

/// An `[[uncovered]]`: a deployed service that is knowingly in no procedure, until a day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct UncoveredConfig {
    /// The service as `opsctl doctor` names it: `cloud-run:project/region/service`; unique. Required.
    pub target: String,
    /// Why no procedure stops it. Required.
    pub reason: String,
    /// The last day on which this counts, in Japan: `2027-03-31`. Required.
    pub until: String,
}

impl UncoveredConfig {
    pub(super) fn read(section: &Section<'_>, report: &mut Report<'_>) -> Self {
        Self {
            target: section.required("target", target, report),
            reason: section.required("reason", label, report),
            until: section.required("until", day, report),
        }
    }

    /// The last moment at which it counts.
    pub fn ends(&self) -> Timestamp {
        end_of(&self.until).unwrap_or(Timestamp::UNIX_EPOCH)
    }
}

fn end_of(day: &str) -> Option<Timestamp> {
    format!("{day}T23:59:59+09:00").parse().ok()
}

fn day(text: &str) -> Result<(), Wrong> {
    if text.len() == 10 && end_of(text).is_some() {
        return Ok(());
    }
    Err(Wrong::new(
        "is not a day",
        "write year, month and day between quotes, as in \"2027-03-31\"",
    ))
}

fn target(text: &str) -> Result<(), Wrong> {
    match TargetId::new(text) {
        Ok(target) if !target.system().is_empty() && !target.name().is_empty() => Ok(()),
        _ => Err(Wrong::new(
            "is not a target",
            "copy it from the output of `opsctl doctor`, as in \"cloud-run:project/region/service\"",
        )),
    }
}
