use std::time::Duration;

use crate::model::{Incident, Severity, Timestamp};

/// How fast the second runbook wants an incident to be taken on, and to be over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct IncidentTargets {
    /// From detection until somebody has taken it on.
    pub acknowledge: Duration,
    /// From detection until it is over.
    pub recover: Duration,
}

/// The targets of a severity, round the clock: 15 minutes and an hour for `P1`, an hour and four for `P2`. `None` for `P3` and `P4`: theirs count business time, which is not
/// computed yet.
pub fn targets_of(severity: Severity) -> Option<IncidentTargets> {
    let minutes = |acknowledge: u64, recover: u64| IncidentTargets {
        acknowledge: Duration::from_secs(60 * acknowledge),
        recover: Duration::from_secs(60 * recover),
    };
    match severity {
        Severity::P1 => Some(minutes(15, 60)),
        Severity::P2 => Some(minutes(60, 240)),
        Severity::P3 | Severity::P4 => None,
    }
}

/// A time that an incident took, beside what it may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TimeTaken {
    /// From detection on; `None`: it has not come to that.
    pub took: Option<Duration>,
    /// What it may take at most; `None`: not computed for this severity.
    pub target: Option<Duration>,
}

impl TimeTaken {
    /// Whether it was in time; `None` while it is not over, or without a target.
    pub fn in_time(self) -> Option<bool> {
        Some(self.took? <= self.target?)
    }

    /// From detection until somebody took it on, by the worst severity that the incident ever had.
    pub fn to_acknowledge(incident: &Incident) -> Self {
        let at = incident.acknowledged.as_ref().map(|(at, _)| *at);
        Self::of(incident, at, |targets| targets.acknowledge)
    }

    /// From detection until it was over, by the worst severity that the incident ever had.
    pub fn to_recover(incident: &Incident) -> Self {
        Self::of(incident, incident.resolved_at, |targets| targets.recover)
    }

    fn of(incident: &Incident, at: Option<Timestamp>, which: fn(IncidentTargets) -> Duration) -> Self {
        Self {
            took: at.map(|at| at.saturating_since(incident.detected_at)),
            target: targets_of(incident.worst).map(which),
        }
    }
}
